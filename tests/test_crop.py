"""The square around a face: its place, its pixels, and the memory it takes."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from fkp_utils.datasets import Crop
from fkp_utils.errors import DatasetError

BOX = np.array([[10.0, 20.0, 100.0, 80.0]])


def test_a_square_has_the_longer_side_and_sits_lower():
    """Margin 1.5: side 150 around (60, 60 + 8), less half a pixel, since pixel centres are integers."""
    np.testing.assert_allclose(Crop(1.5, 0.1, 50).squares(BOX), [[60 - 75 - 0.5, 68 - 75 - 0.5, 150]])


def test_points_move_with_the_square():
    """Two pixels of the picture are one of the crop: the square's corner (9.5, 9.5) is the corner (-0.5, -0.5) of the crop."""
    crop = Crop(1.0, 0.0, 50)
    points = np.array([[[9.5, 9.5], [59.5, 59.5], [109.5, 109.5]]])
    np.testing.assert_allclose(crop.to_crop(points, BOX), [[[-0.5, -0.5], [24.5, 24.5], [49.5, 49.5]]])
    np.testing.assert_allclose(crop.to_image(crop.to_crop(points + 3.3, BOX), BOX), points + 3.3)


def test_a_crop_of_its_own_size_is_the_picture_and_its_border_repeated():
    picture = np.random.default_rng(0).integers(0, 255, (30, 40), np.uint8)
    cut = Crop(1.0, 0.0, 20).cut(Image.fromarray(picture), np.array([5, 4, 20, 20]))
    np.testing.assert_array_equal(cut, picture[4:24, 5:25])
    for left, top in ((-7, -9), (31, 22), (-7, 22), (60, 3), (-50, -50)):
        cut = Crop(1.0, 0.0, 20).cut(Image.fromarray(picture), np.array([left, top, 20, 20]))
        np.testing.assert_array_equal(cut, np.pad(picture, 80, "edge")[80 + top:100 + top, 80 + left:100 + left])


@pytest.mark.parametrize("box", [(-300, -200, 700, 700), (-10, -10, 50, 50), (10.3, 7.7, 33, 29), (-700, 3, 760, 760)])
def test_any_crop_is_that_of_the_picture_with_a_wide_border(box):
    """Resampled by Pillow from a picture that was padded first, as far as it takes."""
    picture, pad = np.random.default_rng(1).integers(0, 255, (90, 110), np.uint8), 1600
    crop = Crop(1.4, 0.1, 32)
    [[x, y, side]] = crop.squares(np.array([box]))
    place = (x + 0.5 + pad, y + 0.5 + pad, x + 0.5 + pad + side, y + 0.5 + pad + side)
    wide = Image.fromarray(np.pad(picture, pad, "edge")).resize((32, 32), Image.Resampling.BILINEAR, box=place)
    assert np.abs(crop.cut(Image.fromarray(picture), np.array(box)).astype(int) - np.asarray(wide)).max() <= 1


def test_a_crop_of_ten_picture_sides_takes_little_memory():
    picture = Image.fromarray(np.zeros((2000, 2000), np.uint8))
    tracemalloc.start()
    Crop(1.4, 0.1, 128).cut(picture, np.array([-9000.0, -9000, 14000, 14000]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6                                            # the picture itself has 4


def test_a_box_of_another_picture_is_refused():
    with pytest.raises(DatasetError, match=r"a\.png: a face box of 90x90 in a picture of 8x6"):
        Crop().cut(Image.new("L", (8, 6)), np.array([0, 0, 90, 90]), "a.png")


def test_a_turned_box_gives_an_upright_crop():
    """A picture turned by 30 degrees about the box's centre, cut with that roll, is the upright picture's crop."""
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 255, (20, 24), np.uint8)).resize((240, 200), Image.Resampling.BICUBIC)
    box, crop = np.array([90.0, 70, 60, 60]), Crop(1.4, 0.1, 64)
    centre = (119.5 + 0.5, 99.5 + 0.5)                                    # of the box, in Pillow's units
    turned = smooth.rotate(-30, Image.Resampling.BICUBIC, center=centre)  # Pillow turns counter-clockwise
    upright, again = crop.cut(smooth, box).astype(float), crop.cut(turned, box, roll=30).astype(float)
    assert np.abs(upright - again).mean() < 2 < np.abs(upright - crop.cut(turned, box).astype(float)).mean()


@pytest.mark.parametrize("roll", [0, 17, 90, 180, -133.3])
def test_points_go_to_a_turned_crop_and_back(roll):
    rng = np.random.default_rng(1)
    boxes, rolls = np.array([[10.0, 20, 50, 60], [300, 5, 211, 190]]), np.array([roll, -roll])
    points, crop = rng.uniform(-50, 500, (2, 68, 2)), Crop(1.4, 0.1, 128)
    there = crop.to_crop(points, boxes, rolls)
    assert np.abs(crop.to_image(there, boxes, rolls) - points).max() < 1e-9
    assert np.allclose(np.linalg.norm(there[0, 0] - there[0, 1]) * 1.4 * 60 / 128, np.linalg.norm(points[0, 0] - points[0, 1]))


def test_down_in_a_turned_crop_is_where_the_face_says():
    """A box of 100 px about (99.5, 99.5), turned by 90 degrees clockwise: the face's down points to the picture's left."""
    crop = Crop(1.0, 0.0, 100)
    points, box = np.array([[[99.5, 99.5], [69.5, 99.5]]]), np.array([[50.0, 50, 100, 100]])
    [[middle, below]] = crop.to_crop(points, box, np.array([90.0]))
    np.testing.assert_allclose(middle, [49.5, 49.5])
    np.testing.assert_allclose(below, [49.5, 79.5])


@pytest.mark.parametrize("roll", [1, 30, 45, 90, -135])
def test_a_turned_crop_is_filled_to_its_corners(roll):
    assert (Crop(1.4, 0.1, 64).cut(Image.new("L", (300, 300), 200), np.array([100.0, 100, 80, 80]), roll=roll) == 200).all()


def test_a_turned_crop_shows_what_its_points_say():
    """A bright spot in the picture lies in the crop where `to_crop` puts it, to a tenth of a pixel."""
    y, x = np.mgrid[:300, :400]
    spot = np.array([231.3, 142.8])
    picture = Image.fromarray((250 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / (2 * 4**2))).astype(np.uint8))
    for box, roll in (([180, 100, 80, 80], 40), ([150, 60, 200, 200], -160), ([205, 110, 50, 50], 77)):
        crop = Crop(1.4, 0.1, 96)
        seen = crop.cut(picture, np.array(box, float), roll=roll).astype(float)
        v, u = np.mgrid[:96, :96]
        found = np.array([(u * seen).sum(), (v * seen).sum()]) / seen.sum()
        assert np.abs(found - crop.to_crop(spot[None, None], np.array([box], float), np.array([roll]))[0, 0]).max() < 0.1
