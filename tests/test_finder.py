"""The finder: its scenes, its target with numbers worked out by hand, and faces found in photos at every angle."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from fkp_utils import predict
from fkp_utils.datasets import Scenes
from fkp_utils.datasets.personal import free_portraits
from fkp_utils.datasets.scenes import FACES, SCENE, _Composer, faces_of, matched, points_of
from fkp_utils.detection import LEAST, _parts, _search, _search_parts, find_faces, grey_of, search_levels
from fkp_utils.landmarks import IBUG_68, upright_boxes
from fkp_utils.metrics import nme
from fkp_utils.nets.finder import Faces
from fkp_utils.nets.models import FinderLite, FinderResNet, count_parameters
from fkp_utils.nets.peaks import STRIDE, UNIT, distinct
from fkp_utils.nets.trained import new_model
from fkp_utils.nets.weights import find_weights, load_weights
from fkp_utils.profiles import recipe
from fkp_utils.training.loop import fit


def scene(*faces, complete=True):
    """Landmarks (1, 33, 2) of faces given as (x, y, side, roll)."""
    points = torch.full((1, SCENE.size, 2), torch.nan)
    for k, (x, y, side, roll) in enumerate(faces):
        angle = np.deg2rad(roll)
        points[0, 2 * k] = torch.tensor([x, y])
        points[0, 2 * k + 1] = torch.tensor([x + side / 2 * np.sin(angle), y - side / 2 * np.cos(angle)])
    if complete:
        points[0, -1] = 0
    return points


def maps(*faces, size=(128, 128), background=-10.0):
    """What a perfect finder says: at each centre's pixel its offset, size and roll."""
    output = torch.zeros(1, 6, size[0] // STRIDE, size[1] // STRIDE)
    output[:, 0] = background
    for x, y, side, roll in faces:
        u, v = (x + 0.5) / STRIDE - 0.5, (y + 0.5) / STRIDE - 0.5
        i, j = round(u), round(v)
        angle = np.deg2rad(roll)
        output[0, :, j, i] = torch.tensor([10, u - i, v - j, np.log2(side / UNIT), np.cos(angle), np.sin(angle)])
    return output


TWO = ((30.2, 40.7, 24.0, 0.0), (90.4, 77.1, 50.0, 135.0))


# ---------------------------------------------------------------- target


def test_what_a_perfect_net_says_is_read_exactly():
    [found] = Faces((96, 128)).faces(maps(*TWO, size=(96, 128)), 0.5)
    np.testing.assert_allclose(found[:, :4][found[:, 2].argsort()], TWO, atol=1e-4)


def test_decoded_points_are_the_scenes_points_and_their_errors_zero():
    target, truth = Faces((128, 128)), scene(*TWO)
    decoded = target.decode(maps(*TWO))
    assert decoded.shape == (1, SCENE.size, 2) and len(faces_of(decoded[0].numpy())) == 2
    errors = target.errors(maps(*TWO), truth)
    assert errors.shape == (4,) and errors.max() < 1e-3


def test_a_missed_face_counts_as_half_its_side():
    errors = Faces((128, 128)).errors(maps(TWO[0]), scene(*TWO))
    np.testing.assert_allclose(errors, [0, 0, 25, 25], atol=1e-3)


def test_the_loss_is_least_for_the_truth():
    target, truth = Faces((128, 128)), scene(*TWO)
    right = float(target.loss(maps(*TWO), truth))
    for wrong in (maps(), maps(TWO[0]), maps(*TWO, (60, 20, 20, 0)), maps(TWO[0], (90.4, 77.1, 50, -45)),
                  maps(TWO[0], (90.4, 77.1, 80, 135))):
        assert float(target.loss(wrong, truth)) > right + 0.01


def test_focal_loss_by_hand():
    """No face and one pixel with logit 2: p = sigmoid(2), and the loss p^2 * ln(1 + e^2) a quarter of a face."""
    output = torch.full((1, 6, 4, 4), -50.0)
    output[0, 0, 1, 2] = 2.0
    p = 1 / (1 + np.exp(-2))
    assert float(Faces((16, 16)).loss(output, scene())) == pytest.approx(p**2 * np.log1p(np.exp(2)) / 4, rel=1e-5)


@pytest.mark.parametrize("side, logit, expected", [
    (8, 0, 0.5**2 * np.log(2) / 4), (8, -50, 50 / 4),           # (1 - p)^2 * ln(1 + e^-logit), a quarter of a face
    (7.9, -50, 0)])                                             # too small to be asked for
def test_loss_of_a_face_by_hand(side, logit, expected):
    """A face on a pixel of the maps, whose offset, size and roll are right, so that its confidence is all that is wrong."""
    face = (4 * 4 + 1.5, 3 * 4 + 1.5, side, 90.0)
    output = maps(face, size=(32, 32), background=-50.0)
    output[0, 0, 3, 4] = logit
    assert float(Faces((32, 32)).loss(output, scene(face))) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_regression_by_hand():
    """One face, everywhere answered with zeros: smooth L1 (beta 0.1) of offset (0.25 px of the map), log-size and roll."""
    output = torch.zeros(1, 6, 8, 8)
    output[:, 0] = -50
    output[0, 0, 3, 4] = 50                                              # only the centre's pixel has the face, and is right
    face = (4 * 4 + 1.5 + 1, 3 * 4 + 1.5, 8.0, 90.0)                       # 0.25 pixels of the map to the right of (4, 3)
    sigma, near = 0.7, []
    for j in range(8):
        for i in range(8):
            weight = np.exp(-((i - 4.25) ** 2 + (j - 3) ** 2) / (2 * sigma**2))
            if weight > 0.6:
                wanted = [4.25 - i, 3 - j, np.log2(8 / 32), 0, 1]
                near.append((weight, sum(abs(t) - 0.05 if abs(t) > 0.1 else t * t / 0.2 for t in wanted)))
    expected = sum(w * d for w, d in near) / max(1, sum(w for w, _ in near))
    assert float(Faces((32, 32)).loss(output, scene(face))) == pytest.approx(expected, rel=1e-4)


def test_loss_around_a_face_by_hand():
    """Logit 1 at two places of a map of 6x10, one and a half and three pixels from a centre, whose Gaussian is 0.09 sides wide.

    The side is 80 px, 20 pixels of the map, so that its deviation is 1.8; each place adds (1 - weight)^4 p^2 ln(1 + e).
    """
    face = (4 * 3.5 + 1.5, 4 * 2 + 1.5, 80.0, 0.0)                       # at (3.5, 2) of the map: between two of its pixels
    output = torch.full((1, 6, 6, 10), -50.0)
    p, expected = 1 / (1 + np.exp(-1)), 50.0 * 2                         # two pixels have the centre and miss it: softplus(50)
    for column, row, square in ((2, 2, 1.5**2), (3, 5, 0.5**2 + 3**2)):
        output[0, 0, row, column] = 1
        expected += (1 - np.exp(-square / (2 * 1.8**2))) ** 4 * p**2 * np.log1p(np.e)
    output[0, 3] = np.log2(80 / 32)
    output[0, 4], output[0, 5] = 1, 0
    y, x = np.mgrid[:6, :10]
    near = np.exp(-((x - 3.5) ** 2 + (y - 2) ** 2) / (2 * 1.8**2))
    output[0, 1], output[0, 2] = torch.tensor(3.5 - x), torch.tensor(2.0 - y)
    assert float(Faces((24, 40)).loss(output, scene(face))) == pytest.approx(expected / 4, rel=1e-5)
    output[0, 1] += 4                                                    # 4 pixels of the map: 4 * 8 / 80 sides, less 0.05
    fitted = (near[near > 0.6] * 0.35).sum() / near[near > 0.6].sum()
    assert float(Faces((24, 40)).loss(output, scene(face))) == pytest.approx(expected / 4 + fitted, rel=1e-5)


def test_where_people_may_be_unlabelled_a_sure_answer_is_no_mistake():
    target, somebody = Faces((128, 128)), maps(TWO[0], (90, 90, 30, 0))
    assert float(target.loss(somebody, scene(TWO[0]))) > float(target.loss(somebody, scene(TWO[0], complete=False))) + 1
    missed = maps((90, 90, 30, 0))
    assert float(target.loss(missed, scene(TWO[0], complete=False))) > 1          # the labelled one is still asked for


def test_of_two_answers_for_one_face_the_surer_stays():
    faces = np.array([[50, 50, 40, 0, 0.6], [58, 50, 40, 0, 0.9], [50, 75, 40, 0, 0.5], [200, 50, 40, 0, 0.4]])
    np.testing.assert_allclose(distinct(faces)[:, 4], [0.9, 0.5, 0.4])
    assert distinct(faces[:0]).shape == (0, 5)
    assert len(distinct(np.full((3, 5), np.nan))) == 3                    # nowhere: none is another


@pytest.mark.parametrize("sides, apart, kept", [
    ((100, 20), 49, 1), ((20, 100), 49, 1), ((100, 20), 51, 2), ((20, 100), 51, 2), ((20, 20), 11, 2), ((20, 20), 9, 1)])
def test_of_unequal_faces_the_larger_side_says_whether_they_are_one(sides, apart, kept):
    """Half of the larger side, whichever of them is the surer; of the smaller one it would be 10 px."""
    first, second = sides
    faces = np.array([[300.0, 200, first, 0, 0.9], [300 + 0.6 * apart, 200 - 0.8 * apart, second, 0, 0.8]])
    assert len(distinct(faces)) == kept and distinct(faces[::-1])[0, 2] == first


def test_what_is_near_to_a_dropped_face_only_stays():
    """Of a chain each nearer than half a side to the next, the surest, and those that are not near to it: the last one."""
    chain = np.array([[0.0, 0, 40, 0, 0.9], [15, 0, 40, 0, 0.8], [30, 0, 40, 0, 0.7]])
    np.testing.assert_allclose(distinct(chain)[:, 0], [0, 30])


def test_2000_faces_are_compared_in_moments():
    """A fifth of a second; a loop over all pairs takes half a minute."""
    y, x = np.mgrid[:40, :50] * 30.0
    faces = np.stack([x.ravel(), y.ravel(), np.full(2000, 20), np.zeros(2000), np.linspace(0.4, 0.9, 2000)], 1)
    twice, start = np.concatenate([faces, faces + [3.0, 3, 0, 0, -0.1]]), time.process_time()
    assert distinct(twice).shape == (2000, 5) and time.process_time() - start < 5


def test_more_than_a_hundred_faces_are_read():
    many = [(40.0 * k + 21.3, 40.0 * n + 18.9, 24.0, 10.0) for n in range(11) for k in range(13)]
    [found] = Faces((480, 640)).faces(maps(*many, size=(480, 640)), 0.5)
    np.testing.assert_allclose(sorted(found[:, :4].tolist()), sorted(many), atol=1e-3)


@pytest.mark.parametrize("kind", [FinderResNet, FinderLite])
def test_the_net_learns_one_scene_by_heart(kind):
    torch.manual_seed(0)
    net, target = kind(8), Faces((64, 64))
    image = torch.full((1, 1, 64, 64), -0.3)
    image[..., 20:40, 16:36] = 0.4
    image, truth = image.repeat(2, 1, 1, 1), scene((25.5, 29.5, 20, 30)).repeat(2, 1, 1)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(120):
        optimizer.zero_grad()
        target.loss(net(image), truth).backward()
        optimizer.step()
    with torch.no_grad():
        [face] = faces_of(target.decode(net(image))[0].numpy())
    assert np.abs(face - truth[0, :2].numpy()).max() < 1.5


@pytest.mark.parametrize("kind, most, factor", [(FinderResNet, 750_000, 32), (FinderLite, 400_000, 64)])
def test_the_net_takes_multiples_of_a_size(kind, most, factor):
    net = kind(8)
    assert net(torch.zeros(1, 1, 64, 192)).shape == (1, 6, 16, 48)
    with pytest.raises(ValueError, match=f"multiples of {factor}, got 64x100"):
        net(torch.zeros(1, 1, 64, 100))
    assert count_parameters(kind()) < most


@pytest.mark.parametrize("shape", [(5, 600_001), (3001, 700), (1, 3)])
def test_a_photo_in_grey_is_as_luma_says_where_it_is_made_in_parts(shape):
    """ITU-R BT.601's weights in 16 bits, as Pillow documents its mode L."""
    photo = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    luma = (photo @ np.array([19595, 38470, 7471]) + 2**15) >> 16
    np.testing.assert_array_equal(np.asarray(grey_of(photo)), luma)


# ---------------------------------------------------------------- scenes


def test_points_of_turned_boxes_by_hand():
    points = points_of(np.array([[10.0, 20, 40, 40]] * 2), np.array([0.0, 90]))
    np.testing.assert_allclose(points, [[[29.5, 39.5], [29.5, 19.5]], [[29.5, 39.5], [49.5, 39.5]]], atol=1e-9)


@pytest.fixture(scope="module")
def scenes(embedded):
    return Scenes(embedded, "val", (128, 128), count=60)


def test_scenes_show_faces_where_their_points_are(scenes):
    """The shipped finder, which learned from other photos, agrees with the composer."""
    found = [find_faces(np.repeat(image[..., None], 3, 2), levels=(256,)) for image in scenes.images]
    truth = [faces_of(points) for points in scenes.landmarks]
    large = [faces[2 * np.linalg.norm(faces[:, 1] - faces[:, 0], axis=1) > 20] for faces in truth]
    hits = [matched(points_of(boxes[:, :4], boxes[:, 4]), faces) for boxes, faces in zip(found, large)]
    assert sum(len(faces) for faces in large) > 40
    assert sum((hit >= 0).sum() for hit in hits) > 0.85 * sum(len(faces) for faces in large)


def test_the_same_seed_gives_the_same_scenes(scenes, embedded):
    again = Scenes(embedded, "val", (128, 128), count=5)
    assert (again.images == scenes.images[:5]).all()
    np.testing.assert_array_equal(again.landmarks, scenes.landmarks[:5])


@pytest.mark.training
def test_a_training_composes_each_scene_once(embedded, monkeypatch):
    """And who asks for them afterwards composes none; a part's are its own."""
    made, compose = [], _Composer.scene
    monkeypatch.setattr(_Composer, "scene", lambda self, rng: made.append(rng) or compose(self, rng))
    train, val = (Scenes(embedded, split, (64, 64), count) for split, count in (("train", 6), ("val", 2)))
    chosen = replace(recipe("quick", "finder"), size=(64, 64), epochs=1, width=4, limit=None)
    fit(new_model(chosen), train, val, chosen, progress=False)
    assert len(train.landmarks) == 6 and len(made) == 6 + 2
    assert len(train.first(2).images) == 2 and len(made) == 6 + 2 + 2


def test_scores_count_found_missed_and_wrong_faces(scenes):
    perfect = scenes.scores(scenes.landmarks)
    assert perfect == {"found": 100.0, "wrong": 0.0}
    moved = scenes.landmarks + np.float32(1000)
    assert scenes.scores(moved)["found"] == 0 and scenes.scores(moved)["wrong"] == 100
    assert scenes.scores(np.full_like(scenes.landmarks, np.nan)) == {"found": 0.0, "wrong": 0.0}


def test_each_face_is_matched_once():
    true = np.array([[[0, 0], [0, -10.0]], [[100, 0], [100, -10]], [[200, 0], [200, -10]]])
    found = np.array([[[103, 0], [103, -10.0]], [[101, 0], [101, -10]], [[200, 0], [200, -40]], [[8, 0], [8, -10]]])
    assert matched(found, true).tolist() == [-1, 1, -1]              # too far away; the nearer of two; of another size
    assert matched(found[:0], true).tolist() == [-1, -1, -1]


def test_two_faces_that_want_the_same_answer_share_out_what_there_is():
    """Sides of 20. The first answer is nearest to both, but the second too far from the second face, which gets the first."""
    up = np.array([[0, 0], [0, -10.0]])
    true, found = np.array([up, up + [6, 0]]), np.array([up + [2.5, 0], up - [5, 0]])
    assert matched(found, true).tolist() == [1, 0] and matched(found[::-1], true).tolist() == [0, 1]
    assert matched(found[:1], true).tolist() == [0, -1] and matched(found, true[:1]).tolist() == [0]
    assert matched(found, true[:0]).tolist() == []


def test_no_scene_has_more_faces_than_it_has_points_for(scenes):
    assert scenes.landmarks.shape[1:] == (2 * FACES + 1, 2)
    assert max(len(faces_of(points)) for points in scenes.landmarks) <= FACES


# ---------------------------------------------------------------- shipped


def finder_that(faces):
    """A finder that answers with a function's faces, one part of a photo after the other."""
    @contextmanager
    def apart():
        with ThreadPoolExecutor(1) as pool:
            yield pool, 1
    return SimpleNamespace(faces=faces, apart=apart)


@pytest.fixture(scope="module")
def collins():
    picture = Image.fromarray(free_portraits()["Eileen Collins"]).crop((90, 0, 370, 280))
    [face] = predict.landmarks(np.asarray(picture))
    return picture, face


@pytest.mark.parametrize("degrees", range(30, 360, 30))
def test_a_turned_face_is_found_and_read_as_the_upright_one(collins, degrees):
    picture, expected = collins
    turned = picture.rotate(-degrees, Image.Resampling.BICUBIC, fillcolor=(120, 120, 120))
    [face] = predict.landmarks(np.asarray(turned))
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    truth = (expected.landmarks - 139.5) @ turn.T + 139.5
    assert nme(face.landmarks[None], truth[None], IBUG_68)[0] < 2.5
    assert abs((face.roll - expected.roll - degrees + 180) % 360 - 180) < 12


@pytest.mark.parametrize("factor", [0.2, 0.5, 2.0, 8.0])
def test_a_small_or_large_photo_gives_the_same_face(collins, factor):
    picture, expected = collins
    side = round(280 * factor)
    [face] = predict.landmarks(np.asarray(picture.resize((side, side), Image.Resampling.LANCZOS)))
    assert nme((face.landmarks[None] + 0.5) / factor - 0.5, expected.landmarks[None], IBUG_68)[0] < 5


def test_boxes_are_those_that_the_landmarks_ask_for(collins):
    picture, face = collins
    boxes, _ = upright_boxes(face.landmarks[None], IBUG_68)
    [[left, top, width, height, _, confidence]] = find_faces(np.asarray(picture))
    assert width == height and abs(width / boxes[0, 2] - 1) < 0.15 and confidence > 0.5
    assert np.abs(np.array([left, top]) - boxes[0, :2]).max() < 0.15 * width


@pytest.mark.parametrize("turns, rolls", [(range(1), [30]), (range(1, 2), [120]), (range(4), [30, 120, -150, -60])])
def test_turned_looks_give_places_in_the_upright_picture(turns, rolls):
    """The only bright pixel, taken for a face turned by 30 degrees in what the net sees."""
    def brightest(images, min_confidence):
        assert images.shape[1] == 1 and images.shape[-2] % 64 == images.shape[-1] % 64 == 0
        places = [divmod(int(view.argmax()), images.shape[-1]) for view in images]
        return np.array([[[x, y, 24.0, 30.0, 1.0], [x, y, 23.5, 30.0, 1.0]] for y, x in places])
    run = finder_that(brightest)
    picture = np.zeros((65, 90), np.uint8)
    picture[17, 30] = 255
    expected = [[30, 17, side, roll, 1] for roll in rolls for side in (24, 23.5) if side == 24 or roll == 30]
    assert _search(run, picture, turns, 0.3).tolist() == expected


@pytest.mark.parametrize("size, upright, seen", [
    ((50, 100), (128, 256), []), ((512, 256), (256, 128), [(1, 640, 320)]),
    ((128, 257), (128, 256), [(1, 192, 448)]), ((213, 426), (128, 256), [(1, 320, 640)]),                # 385.5 and 639 wide
    ((320, 427), (192, 256), [(1, 512, 640)]), ((640, 640), (256, 256), [(1, 640, 640)]),
    ((64, 641), (64, 256), [(1, 128, 1024)]), ((853, 853), (256, 256), [(1, 1280, 1280)]),               # 961.5 and 1279.5 wide
    ((854, 854), (256, 256), [(1, 640, 640), (1, 1280, 1280)]),
    ((500, 1280), (128, 256), [(1, 256, 640), (1, 512, 1280)]),
    ((120, 1281), (64, 256), [(1, 64, 640), (1, 128, 1344)]),
    ((2560, 40), (256, 64), [(1, 640, 64), (1, 1280, 64), (1, 1408, 64), (1, 1408, 64)]),
    ((10, 12000), (64, 256), [(1, 64, 640), (1, 64, 1280), *[(1, 64, 1472)] * 4, *[(1, 64, 1536)] * 9])])
def test_sizes_at_which_a_photo_is_searched(size, upright, seen):
    """Never less than its own, in multiples of 64; up to 1280, enlarged by at most 1.5 after the first; long ones in parts."""
    shapes = []

    def nothing(images, min_confidence):
        shapes.append((len(images), *images.shape[2:]))
        return [np.empty((0, 5))] * len(images)

    run = finder_that(nothing)
    assert find_faces(np.zeros((*size, 3), np.uint8), run).shape == (0, 6)
    assert shapes == [(1, *upright), (3, 256, 256), *seen]


@pytest.mark.parametrize("confidence, roll, fast, looks", [
    (0.6, 44, False, [(1, 192, 256), (1, 512, 640)]), (0.4, 0, False, [(1, 192, 256), (3, 256, 256), (1, 512, 640)]),
    (0.6, -46, False, [(1, 192, 256), (3, 256, 256), (1, 512, 640)]), (0.6, 0, True, [(1, 192, 256)]),
    (0.6, 46, True, [(1, 192, 256), (3, 256, 256)]), (0.4, 0, True, [(1, 192, 256), (3, 256, 256), (1, 512, 640)])])
def test_where_an_upright_face_is_sure_it_is_not_looked_for_turned_ones_and_fast_ends(confidence, roll, fast, looks):
    shapes = []

    def one(images, min_confidence):
        shapes.append((len(images), *images.shape[2:]))
        return [np.array([[20.0, 30, 32, roll, confidence]])] * len(images)
    assert len(find_faces(np.zeros((480, 640, 3), np.uint8), finder_that(one), fast=fast)) and shapes == looks


@pytest.mark.parametrize("sure, kept", [(0.5, {0.5, 0.35}), (0.49, {0.49, 0.35, 0.34})])
def test_beside_a_sure_face_others_must_be_surer(sure, kept):
    """Below a half none is sure, and all count from `LEAST` on, which the net is asked for."""
    def three(images, min_confidence):
        assert min_confidence == LEAST == 0.2
        return [np.array([[20.0, 30, 32, 0, sure], [90, 30, 32, 0, 0.35], [20, 90, 32, 0, 0.34]])] * len(images)
    found = find_faces(np.zeros((256, 256, 3), np.uint8), finder_that(three))
    assert set(found[:, 5]) == kept


@pytest.mark.parametrize("width, height, last", [(4000, 3000, 4000), (6000, 4000, 4242.64), (3000, 16000, 8000)])
def test_the_largest_size_has_12_megapixels(width, height, last):
    assert search_levels(width, height)[-1] == pytest.approx(last, abs=0.01)


def spots(images, min_confidence):
    """Takes each bright spot of what the net sees for an upright face of 20 pixels."""
    places = [np.nonzero(view > 250) for view in images[:, 0]]
    return [np.stack([x, y, 20 + 0 * x, 0 * x, np.ones(len(x))], 1) for y, x in places]


def test_each_face_of_a_large_photo_is_found_once_whatever_part_it_lies_in():
    """3400x1700: three parts of 1262 px by two of 946, which begin at 0, 1069 and 2138, and at 0 and 754."""
    assert [(part.start, part.stop) for part in _parts(3400)] == [(0, 1262), (1069, 2331), (2138, 3400)]
    assert [(part.start, part.stop) for part in _parts(1700)] == [(0, 946), (754, 1700)]
    places = [(x, y) for y in (0, 300, 760, 850, 945, 1699) for x in (0, 500, 1100, 1165, 1180, 1261, 1700, 2150, 2234, 3399)]
    photo = np.zeros((1700, 3400, 3), np.uint8)
    photo[tuple(np.transpose(places)[::-1])] = 255
    run = finder_that(spots)
    found = find_faces(photo, run, levels=(3400,))
    centres = found[:, :2] + found[:, 2:4] / 2 - 0.5
    assert sorted(map(tuple, centres.round(3).tolist())) == sorted(places)


def test_a_face_that_the_edge_of_a_part_cuts_is_told_by_the_next_part():
    """What is nearer than a quarter of the overlap to an inner edge belongs to the next part, which sees 144 px around it."""
    asked = []

    def everywhere(images, min_confidence):
        asked.append(images.shape)
        return [np.array([[x, 10.0, 20, 0, 0.9] for x in (0.0, 47, 48, 800, 1214, 1215, 1261)])]

    found = _search_parts(finder_that(everywhere), np.zeros((64, 3400), np.uint8), range(1), 0.3)
    assert asked == [(1, 1, 64, 1280)] * 3
    assert found[:, 0].tolist() == [0, 47, 48, 800, 1214, *(1069 + x for x in (48, 800, 1214)), *(
        2138 + x for x in (48, 800, 1214, 1215, 1261))]


def test_places_come_back_to_the_photo_where_width_and_height_were_rounded_differently():
    """100x33 becomes 256x84, not 84.48: a face at (40, 60) lies at 40.5 * 100 / 256 - 0.5 and at 60.5 * 33 / 84 - 0.5."""
    def two(images, min_confidence):
        return [np.array([[40, 60, 32, 20, 0.9], [200, 20, 64, -20, 0.8]])]

    run, x, y = finder_that(two), 100 / 256, 33 / 84
    small, large = 32 * (x * y) ** 0.5, 64 * (x * y) ** 0.5
    expected = [[200.5 * x - large / 2, 20.5 * y - large / 2, large, large, -20, 0.8],
                [40.5 * x - small / 2, 60.5 * y - small / 2, small, small, 20, 0.9]]
    np.testing.assert_allclose(find_faces(np.zeros((33, 100, 3), np.uint8), run), expected, rtol=1e-5)


@pytest.fixture(scope="module")
def portrait():
    """A face whose jaw is 92 px wide, in a picture of 180x180."""
    return Image.fromarray(free_portraits()["Eileen Collins"]).crop((130, 20, 310, 200))


def pasted(portrait, size, jaw, places):
    """A photo of (width, height) with the portrait at some places, so small that its jaw is so many pixels wide."""
    photo, side = Image.new("RGB", size, (120, 130, 140)), round(180 * jaw / 92)
    for place in places:
        photo.paste(portrait.resize((side, side), Image.Resampling.LANCZOS), place)
    return np.asarray(photo)


@pytest.mark.parametrize("size", [(300, 200), (420, 280), (700, 500), (853, 600), (1700, 900)])
def test_faces_of_13_pixels_are_found_in_photos_of_any_size(portrait, size):
    places = [(10, 15), (size[0] - 70, size[1] - 90)]
    boxes = find_faces(pasted(portrait, size, 13, places))
    middles = sorted((boxes[:, :2] + boxes[:, 2:4] / 2).tolist())
    np.testing.assert_allclose(middles, np.add(places, [13, 12]), atol=2)


def test_faces_of_20_pixels_are_found_in_24_megapixels(portrait):
    places = [(500 + k % 4 * 1400 + 37 * k, 300 + k // 4 * 1200) for k in range(12)]
    assert len(find_faces(pasted(portrait, (6000, 4000), 20, places), min_confidence=0.5)) == 12


def test_every_face_of_a_crowd_is_found(portrait):
    """A hundred was the most that were looked at."""
    places = [(72 * k, 72 * n) for n in range(11) for k in range(12)]
    assert len(find_faces(pasted(portrait, (864, 792), 30, places), min_confidence=0.5)) == 132


def test_other_weights_are_no_finder():
    with pytest.raises(ValueError, match="finds landmarks, not faces"):
        find_faces(np.zeros((64, 64, 3), np.uint8), load_weights("small68.safetensors"))


def test_shipped_finder_is_small():
    assert find_weights("finder.safetensors").stat().st_size < 3_000_000


class Always:
    """A generator of random numbers whose numbers are known: half of what is between, or what is asked for by name."""

    def __init__(self, roll):
        self.roll = roll

    def random(self):
        return 0.9                                                       # of any angle

    def integers(self, *bounds):
        return 0

    def uniform(self, low=0.0, high=1.0, size=None):
        return self.roll if low == -180 else np.broadcast_to((np.asarray(low) + high) / 2, size or np.shape(low))


@pytest.mark.parametrize("roll", [0.0, 90.0, -35.0])
def test_a_pasted_face_is_turned_with_its_points_and_its_neighbours(roll):
    """A crop of 60 pixels with a face of 20 at (30, 25), a bright spot at its top, and somebody of 10 further right."""
    crop = np.zeros((1, 60, 60), np.uint8)
    crop[0, 13:18, 28:33] = 255                                          # around (30, 15), the face's top
    points = np.array([[[30, 25], [30, 15]]], float)
    others = np.array([[[48, 25], [48, 20]]], float)
    for more in (False, True):
        composer = _Composer(crop, points, [(others, more)], (140, 200))
        picture, found = Image.new("L", (200, 140)), []
        complete = composer._paste(Always(roll), picture, found, 30.0, np.array([110.0, 60.0]))
        assert complete is not more
        angle = np.deg2rad(roll)
        up, right = np.array([np.sin(angle), -np.cos(angle)]), np.array([np.cos(angle), np.sin(angle)])
        [face, neighbour] = found
        np.testing.assert_allclose(face, [[110, 60], [110, 60] + 15 * up], atol=1e-6)
        np.testing.assert_allclose(neighbour, [[110, 60] + 27 * right, [110, 60] + 27 * right + 7.5 * up], atol=1e-6)
        y, x = np.nonzero(np.asarray(picture) > 100)
        np.testing.assert_allclose([x.mean(), y.mean()], face[1], atol=0.3)
