"""Aligning, warping and mixing faces, on pictures whose answers are known."""

import numpy as np
import pytest
from PIL import Image
from skimage import data

from fkp_utils import morph
from fkp_utils.datasets.personal import free_portraits
from fkp_utils.landmarks import IBUG_68


def _face(seed=0, size=64):
    """68 made-up landmarks inside a picture, with a white spot of 3x3 pixels on number 30."""
    points = np.random.default_rng(seed).uniform(8, size - 9, (68, 2)).round()
    image = np.zeros((size, size, 3))
    x, y = points[30].astype(int)
    image[y - 1:y + 2, x - 1:x + 2] = 1
    return image, points


def _centre(image):
    weights = image.mean(-1)
    y, x = np.mgrid[:len(image), :len(image)]
    return np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()


def test_aligned_puts_the_eyes_where_they_belong():
    photo = np.zeros((200, 300, 3), np.uint8)
    points = np.random.default_rng(0).uniform(60, 140, (68, 2))
    points[36], points[45] = (200, 100), (140, 160)               # turned by 135 degrees
    photo[99:102, 199:202] = 255
    image, moved = morph.aligned(photo, points, 100)
    np.testing.assert_allclose(moved[[36, 45]], [[32.5, 41.5], [66.5, 41.5]], atol=1e-6)
    np.testing.assert_allclose(_centre(image), [32.5, 41.5], atol=0.3)


def test_the_ends_of_a_morph_are_the_two_faces():
    first, second = _face(0), _face(1)
    np.testing.assert_allclose(morph.between(first, second, 0.0), first[0], atol=1e-9)
    np.testing.assert_allclose(morph.between(first, second, 1.0), second[0], atol=1e-9)


def test_pixels_move_with_their_landmarks():
    image, points = _face()
    shape = points + [4, -3]
    moved = morph.to_shape(image, points, shape.clip(1, 62))
    np.testing.assert_allclose(_centre(moved), points[30] + [4, -3], atol=0.5)


def test_half_way_a_landmark_is_in_the_middle():
    size = 64
    first = np.array([[x, y] for y in np.linspace(10, 54, 8) for x in np.linspace(10, 54, 9)])[:68]
    second = first.copy()
    second[30] += [3, 2]
    faces = []
    for points in (first, second):
        image = np.zeros((size, size, 3))
        image[tuple(points[30].round().astype(int)[::-1])] = 1
        faces.append((image, points.round()))
    half = morph.between(*faces, 0.5)
    np.testing.assert_allclose(_centre(half), (faces[0][1][30] + faces[1][1][30]) / 2, atol=0.5)


def test_the_mean_of_one_face_is_that_face_and_of_two_has_the_mean_colour():
    first, second = _face(0), _face(0)
    np.testing.assert_allclose(morph.mean_face([first]), first[0], atol=1e-9)
    np.testing.assert_allclose(morph.mean_face([first, (0.5 * second[0], second[1])]), 0.75 * first[0], atol=1e-9)


def test_the_mean_of_two_shapes_lies_between_them():
    first, second = _face(0), _face(0)
    second = second[0], (second[1] + [6, -4]).clip(1, 62)
    moved = np.zeros_like(first[0])
    x, y = second[1][30].astype(int)
    moved[y - 1:y + 2, x - 1:x + 2] = 1
    mean = morph.mean_face([first, (moved, second[1])])
    np.testing.assert_allclose(_centre(mean), (first[1][30] + second[1][30]) / 2, atol=0.3)


def test_frames_go_from_one_to_the_other():
    first, second = _face(0), _face(1)
    made = morph.frames(first, second, 5)
    assert made.shape == (5, 64, 64, 3) and made.dtype == np.uint8
    np.testing.assert_array_equal(made[0], morph.to_bytes(first[0]))
    np.testing.assert_array_equal(made[-1], morph.to_bytes(second[0]))


@pytest.fixture
def photos(tmp_path):
    for name, photo in free_portraits().items():
        if name != "both":
            Image.fromarray(photo).save(tmp_path / f"{name.split()[0]}.jpg", quality=95)
    Image.fromarray(data.coffee()).save(tmp_path / "coffee.jpg")
    return tmp_path


@pytest.mark.training
def test_command_writes_an_animation_there_and_back(photos, capsys):
    out = photos / "made" / "morph.gif"
    both = [str(photos / "Eileen.jpg"), str(photos / "Grace.jpg")]
    assert morph.main([*both, "--out", str(out), "--frames", "4", "--size", "64"]) == 0
    with Image.open(out) as animation:
        assert animation.size == (64, 64) and animation.n_frames >= 6
    said = capsys.readouterr().out
    assert said.startswith(f"{out}: Eileen.jpg turned into Grace.jpg and back, 64x64 pixels, ") and said.endswith(" MB\n")


@pytest.mark.training
def test_the_mean_of_a_folder_leaves_out_photos_without_a_face(photos, capsys):
    (photos / "broken.jpg").write_text("no picture")
    out = photos / "out" / "mean.png"
    assert morph.main(["--mean", str(photos), "--out", str(out), "--size", "96"]) == 0
    said = capsys.readouterr()
    assert "the mean of 2 faces" in said.out and "coffee.jpg: no face found" in said.err and "broken.jpg" in said.err
    eyes = morph.find(np.asarray(Image.open(out).resize((384, 384))), "mean", 96)[1][list(IBUG_68.eye_corners)]
    np.testing.assert_allclose(eyes, morph.EYES * 96 - 0.5, atol=0.5)


@pytest.mark.parametrize("arguments", [["--mean", ".", "--out", "Grace.jpg"], ["--mean", ".", "--out", "./coffee.jpg"],
                                       ["Eileen.jpg", "moving.gif", "--out", "moving.gif"]])
def test_a_photo_is_never_written_over(photos, monkeypatch, capsys, arguments):
    monkeypatch.chdir(photos)
    Image.open("Grace.jpg").save("moving.gif")
    before = {path.name: path.read_bytes() for path in photos.iterdir()}
    assert morph.main(arguments) == 1 and "is one of the photos" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in photos.iterdir()} == before


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(morph, "find", lambda *given: pytest.fail("began"))
    (tmp_path / "file").write_text("mine")
    for line in (["--mean", str(tmp_path), "--out", str(tmp_path / "file/mean.jpg")],
                 ["a.jpg", "b.jpg", "--out", str(tmp_path / "file/m.gif")], ["a.jpg", "b.jpg", "--out", "n" * 252 + ".gif"]):
        with pytest.raises(SystemExit) as end:
            morph.main(line)
        assert end.value.code == 2 and "cannot be written" in capsys.readouterr().err


@pytest.mark.training
def test_the_mean_of_a_folder_is_the_same_again(photos, monkeypatch, capsys):
    """What morph made before lies in the folder, too."""
    monkeypatch.chdir(photos)
    assert morph.main(["Eileen.jpg", "Grace.jpg", "--out", "morph.gif", "--frames", "2", "--size", "64"]) == 0
    for _ in range(2):
        assert morph.main(["--mean", ".", "--out", "mean.jpg", "--size", "64"]) == 0
        assert "the mean of 2 faces" in capsys.readouterr().out


@pytest.mark.training
@pytest.mark.parametrize("arguments, code, said", [
    (["coffee.jpg", "Grace.jpg", "--out", "m.gif"], 1, "coffee.jpg: no face found"),
    (["Grace.jpg", "nobody.jpg", "--out", "m.gif"], 1, "nobody.jpg"),
    (["Grace.jpg", "--out", "m.gif"], 2, "two photos"), (["--mean", ".", "--out", "m.gif"], 2, "a mean face is"),
    (["Grace.jpg", "Eileen.jpg", "--out", "m.bmp"], 2, ".gif"),
    (["a.jpg", "b.jpg", "--out", "m.gif", "--frames", "1"], 2, "at least 2")])
def test_faults_are_named_and_nothing_is_written(photos, monkeypatch, capsys, arguments, code, said):
    monkeypatch.chdir(photos)
    try:
        returned = morph.main(arguments)
    except SystemExit as ended:
        returned = ended.code
    assert returned == code and said in capsys.readouterr().err and not list(photos.glob("m.*"))


def test_mp4_without_ffmpeg_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(morph.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="imageio-ffmpeg"):
        morph.write(np.zeros((2, 32, 32, 3), np.uint8), tmp_path / "m.mp4")
    assert not list(tmp_path.iterdir())
