"""dlib's XML, crops and their cache, on files written by hand."""


import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fkp_utils.datasets import Crop, IBugFaces, published_landmarks
from fkp_utils.datasets.crop import clip_boxes
from fkp_utils.datasets.ibug import FOLDER, _Reader, read_xml, split_by_photo
from fkp_utils.errors import DatasetError
from fkp_utils.landmarks import IBUG_68, box_around


def parts(count=68, quote="'", reverse=False):
    lines = [f"<part y={quote}{60 + k}{quote} name={quote}{k:02d}{quote} x={quote}{50.5 + k}{quote}/>" for k in range(count)]
    return "".join(reversed(lines) if reverse else lines)


def xml(*images):
    return "<?xml version='1.0' encoding='ISO-8859-1'?>\n<dataset>\n<images>\n" + "\n".join(images) + "\n</images></dataset>\n"


def image(name="a.png", inside=None, box="top='40' left='30' width='100' height='90'"):
    inner = parts() if inside is None else inside
    return f"<image file='{name}' width='200' height='160'>\n<box {box}>{inner}</box>\n</image>"


@pytest.fixture
def dataset(tmp_path):
    """A function that writes an XML list and small pictures; returns the root."""
    def write(text, split="train", pictures=("a.png",)):
        folder = tmp_path / "data" / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"labels_ibug_300W_{split}.xml").write_text(text)
        for name in pictures:
            noise = np.random.default_rng(1).integers(0, 255, (160, 200), np.uint8)
            Image.fromarray(noise).resize((200, 160)).save(folder / name)
        return tmp_path / "data"
    return write


def fault(tmp_path, text):
    path = tmp_path / "list.xml"
    path.write_text(text)
    with pytest.raises(DatasetError) as caught:
        read_xml(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("quote, reverse", [("'", False), ('"', True)])
def test_quotes_and_orders_of_any_kind(tmp_path, quote, reverse):
    path = tmp_path / "list.xml"
    path.write_text(xml(image(inside=parts(quote=quote, reverse=reverse), box="height='90' width='100' left='30' top='40'")))
    [entry] = read_xml(path)
    assert entry.box == (30, 40, 100, 90)
    np.testing.assert_array_equal(entry.landmarks[[0, 67]], [[50.5, 60], [117.5, 127]])


def test_several_boxes_an_image_and_boxes_without_parts(tmp_path):
    path = tmp_path / "list.xml"
    two = (f"<image file='a.png'><box top='1' left='2' width='3' height='4'>{parts()}</box>"
           "<box top='5' left='6' width='7' height='8'/></image>")
    path.write_text(xml(two, image("b.png")))
    entries = read_xml(path)
    assert [entry.file for entry in entries] == ["a.png", "a.png", "b.png"]
    assert entries[1].box == (6, 5, 7, 8) and entries[1].landmarks is None


@pytest.mark.parametrize("text, words", [
    (xml(image(inside=parts(67))), "line 5: 67 parts, expected 68"),
    (xml(image(box="top='1' left='1' width='0' height='9'")), "line 5: a box of no area"),
    (xml(image(box="top='1' left='1' width='1e-300' height='9'")), "line 5: a box of no area"),
    (xml(image(inside=parts() + f"<box top='1' left='1' width='9' height='9'>{parts()}</box>")), "line 5: a box outside of"),
    (xml(image(box="top='1' left='x' width='9' height='9'")), "line 5: needs numbers for left"),
    (xml(image(box="top='nan' left='1' width='9' height='9'")), "no place in a picture"),
    (xml(image(inside=parts() + "<part name='03' x='1' y='1'/>")), "part '03' twice"),
    (xml(image("../../secret.png")), "not inside of the dataset's folder"),
    (xml(image("/etc/passwd")), "not inside of the dataset's folder"),
    (xml(image())[:-30], "malformed XML"),
    ("", "malformed XML"),
    ("<!DOCTYPE d [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]>\n<dataset>&b;</dataset>", "entity declarations are refused"),
    ("<!DOCTYPE d SYSTEM 'http://127.0.0.1/x.dtd'>\n<dataset>&b;</dataset>", ""),
])
def test_faults_name_file_and_line(tmp_path, text, words):
    assert words in fault(tmp_path, text)


def test_a_list_that_is_a_folder_or_a_link_to_itself_is_told_as_such(tmp_path):
    (tmp_path / "folder.xml").mkdir()
    (tmp_path / "link.xml").symlink_to("link.xml")
    for name, words in (("folder.xml", "directory"), ("link.xml", "symbolic links")):
        with pytest.raises(DatasetError, match=rf"{name}: cannot be read \(.*{words}"):
            read_xml(tmp_path / name)


def test_missing_list_and_missing_picture(dataset, tmp_path):
    with pytest.raises(DatasetError, match=r"labels_ibug_300W_train.xml: cannot be read"):
        IBugFaces(tmp_path, "all", cache=tmp_path / "cache")
    root = dataset(xml(image("gone.png")))
    with pytest.raises(DatasetError, match=r"gone.png: no such picture; named in line 5"):
        IBugFaces(root, "all", cache=tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"]


def test_an_empty_list_is_an_error(dataset, tmp_path):
    with pytest.raises(DatasetError, match="no faces of the all split"):
        IBugFaces(dataset(xml()), "all", cache=tmp_path)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400) | st.text(alphabet="<>/='\"! boxpartimgeDOCTYPENTI&;x19", max_size=200).map(str.encode))
def test_rubbish_gives_entries_or_a_dataset_error(tmp_path_factory, rubbish):
    path = tmp_path_factory.mktemp("xml") / "list.xml"
    path.write_bytes(rubbish)
    try:
        assert isinstance(read_xml(path), list)
    except DatasetError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("margin, shift, size", [(1.0, 0.0, 224), (1.4, 0.1, 224), (1.5, -0.2, 96)])
def test_crop_round_trip(margin, shift, size):
    rng = np.random.default_rng(0)
    boxes = np.c_[rng.uniform(-50, 400, (50, 2)), rng.uniform(40, 300, (50, 2))]
    points = rng.uniform(-100, 600, (50, 68, 2)).astype(np.float32)
    crop = Crop(margin, shift, size)
    back = crop.to_image(crop.to_crop(points, boxes).astype(np.float32), boxes)
    assert np.abs(back - points).max() < 1e-3


def test_landmarks_stay_on_their_pixels_when_cropped():
    """A bright dot is found again where `to_crop` says, also when the crop leaves the picture."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:240, :320]
    for box in ([100, 60, 110, 90], [-20, 120, 100, 130], [250, -10, 90, 90]):
        dot = np.array([box[0] + 0.6 * box[2], box[1] + 0.5 * box[3]]) + rng.uniform(-5, 5, 2)
        dot = dot.clip(8, [311, 231])
        picture = 250 * np.exp(-((x - dot[0]) ** 2 + (y - dot[1]) ** 2) / 18)
        crop = Crop(1.4, 0.1, 224)
        found = crop.cut(Image.fromarray(picture.astype(np.uint8)), np.array(box)).astype(float) ** 2
        v, u = np.mgrid[:224, :224]
        centre = np.array([(found * u).sum(), (found * v).sum()]) / found.sum()
        assert np.abs(centre - crop.to_crop(dot[None, None], np.array([box]))[0, 0]).max() < 0.3


def test_a_crop_far_larger_than_the_picture_is_refused():
    with pytest.raises(DatasetError, match=r"x.png: a face box of 90000x90000"):
        Crop().cut(Image.new("L", (50, 50)), np.array([0, 0, 90000, 90000]), "x.png")


def test_clipped_boxes_lie_on_the_picture():
    boxes = clip_boxes(np.array([[-10., 20, 50, 50], [180, 150, 40, 40]]), np.array([[200, 160]] * 2))
    np.testing.assert_array_equal(boxes, [[0, 20, 40, 50], [180, 150, 20, 10]])


def test_a_photo_and_its_mirror_stay_on_one_side():
    names = [f"set/p{k}{mirror}.jpg" for k in range(50) for mirror in ("", "_mirror")]
    val = split_by_photo(names)
    assert val.sum() == 10 and (val[::2] == val[1::2]).all()
    np.testing.assert_array_equal(val, split_by_photo(names))


def test_landmarks_and_boxes_outside_of_the_picture_are_kept(dataset, tmp_path):
    far = parts().replace("x='50.5'", "x='-70.25'")
    root = dataset(xml(image(inside=far, box="top='-30' left='-40' width='100' height='90'")))
    faces = IBugFaces(root, "all", cache=tmp_path / "c")
    assert faces.truth[0, 0, 0] == np.float32(-70.25) and faces.boxes[0, 0] == -40
    assert np.abs(faces.to_image(faces.landmarks) - faces.truth).max() < 1e-3


class TestCache:
    def faces(self, root, tmp_path, **options):
        return IBugFaces(root, "all", cache=tmp_path / "cache", **options)

    @pytest.fixture
    def root(self, dataset):
        return dataset(xml(image(), image("b.png")), pictures=("a.png", "b.png"))

    def count_reads(self, monkeypatch):
        count = []
        original = _Reader.startElement

        def counted(self, name, attributes):
            count.append(name)
            original(self, name, attributes)

        monkeypatch.setattr(_Reader, "startElement", counted)
        return count

    def test_the_second_start_reads_no_xml(self, root, tmp_path, monkeypatch):
        first = self.faces(root, tmp_path)
        count = self.count_reads(monkeypatch)
        second = self.faces(root, tmp_path)
        assert not count and isinstance(second.images, np.memmap)
        np.testing.assert_array_equal(first.images, second.images)
        np.testing.assert_array_equal(first.landmarks, second.landmarks)
        assert first.names == second.names == ["a.png", "b.png"]

    @pytest.mark.parametrize("harm", ["cut images", "flip a bit", "cut arrays", "empty arrays"])
    def test_a_damaged_cache_is_rebuilt(self, root, tmp_path, harm):
        good = np.array(self.faces(root, tmp_path).images)
        [images], [arrays] = (tmp_path / "cache").glob("*.npy"), (tmp_path / "cache").glob("*.npz")
        content = bytearray(images.read_bytes())
        if harm == "cut images":
            images.write_bytes(content[:-100])
        elif harm == "flip a bit":
            content[-5000] ^= 1
            images.write_bytes(content)
        else:
            arrays.write_bytes(arrays.read_bytes()[:200] if harm == "cut arrays" else b"")
        np.testing.assert_array_equal(self.faces(root, tmp_path).images, good)

    def test_a_changed_picture_or_crop_or_list_is_noticed(self, root, tmp_path):
        before = np.array(self.faces(root, tmp_path).images)
        Image.new("L", (200, 160), 77).save(root / FOLDER / "a.png")
        after = self.faces(root, tmp_path).images
        assert (after[0] == 77).all() and (after[1] == before[1]).all()
        assert self.faces(root, tmp_path, crop=Crop(size=64)).images.shape[1:] == (64, 64)


def test_test_truth_needs_the_same_faces_in_both_lists(dataset):
    root = dataset(xml(image()), "test")
    dataset(xml(image(inside="")), "test_parsed")
    assert published_landmarks(root).shape == (1, 68, 2)
    dataset(xml(image("other.png", inside="")), "test_parsed")
    with pytest.raises(DatasetError, match="does not list the faces"):
        published_landmarks(root)


def test_no_test_truth_where_nobody_published_it(tmp_path):
    assert published_landmarks(tmp_path) is None


def test_embedded_wild_set_in_official_layout(embedded, tmp_path):
    train, val = IBugFaces(embedded, "train"), IBugFaces(embedded, "val")
    assert len(train) + len(val) == 600 and not set(train.names) & set(val.names)
    asked = IBugFaces(embedded, "test_parsed")
    assert len(asked) == 100 and np.isnan(asked.landmarks).all()
    assert published_landmarks(embedded).shape == (100, 68, 2)
    images, points = train.batch([0, 3])
    assert images.shape == (2, 1, 224, 224) and points.shape == (2, 68, 2)


def test_real_margins_cut_off_what_they_should(real, tmp_path):
    faces = IBugFaces(real, "all", cache=tmp_path)
    for margin, low, high in ((1.0, 0.85, 0.97), (1.3, 0.1, 0.25), (1.5, 0.0, 0.03)):
        points = Crop(margin, 0.0).to_crop(faces.truth, faces.boxes)
        assert low < ((points < -0.5) | (points > 223.5)).any((1, 2)).mean() < high


def test_box_around_moves_and_grows_with_the_landmarks(embedded):
    faces = IBugFaces(embedded, "val", crop=Crop(1.4, 0.1, 64))
    boxes = box_around(faces.truth, IBUG_68)
    np.testing.assert_allclose(box_around(2 * faces.truth + [5, -3], IBUG_68), 2 * boxes + [4.5, -3.5, 0, 0], atol=1e-2)
    middle = np.abs(boxes[:, :2] + boxes[:, 2:] / 2 - faces.boxes[:, :2] - faces.boxes[:, 2:] / 2) / faces.boxes[:, 2:]
    assert np.median(middle) < 0.08 and np.median(boxes[:, 2] / faces.boxes[:, 2]) == pytest.approx(1, abs=0.05)
