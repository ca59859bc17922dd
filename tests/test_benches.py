"""Parts of the benches that could be wrong without anyone's notice."""

import io
import sys
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from PIL import Image
from test_project import PROJECT

from fkp_utils.augment import to_float
from fkp_utils.datasets import Crop, IBugFaces
from fkp_utils.landmarks import IBUG_68, NOSE, Convention
from fkp_utils.nets.recipe import Recipe
from fkp_utils.predict import both_ways
from fkp_utils.profiles import recipe

sys.path.insert(0, str(PROJECT / "bench" / "real_photos"))
sys.path.insert(0, str(PROJECT / "bench" / "shipped_files"))

from embedded_to_real import without_bias
from jpeg import JpegAugment, jpeg_artefacts
from label_adaptation import adapted, from_frame, to_frame
from label_offset import offsets
from rows import mean_and_range, with_row
from starts import InColour


@pytest.mark.parametrize("quality", [10, 30, 70, 95])
def test_jpeg_artefacts_are_those_of_a_jpeg_file(quality):
    ramp = np.add.outer(np.arange(45), np.arange(60)) * 2.0
    grey = (ramp + np.random.default_rng(0).normal(0, 20, ramp.shape)).clip(0, 255).astype(np.uint8)
    Image.fromarray(grey).save(file := io.BytesIO(), "JPEG", quality=quality)
    real = np.asarray(Image.open(file)).astype(float)
    ours = jpeg_artefacts(to_float(torch.from_numpy(grey)[None, None]), torch.tensor([float(quality)]))
    ours = (ours[0, 0].clamp(-0.5, 0.5).numpy() + 0.5) * 255
    assert np.abs(ours - real).mean() < max(0.5, 0.15 * np.abs(real - grey).mean())


def test_half_of_the_faces_get_artefacts():
    noise = torch.rand(200, 1, 16, 16, generator=torch.Generator().manual_seed(1)) - 0.5
    changed, _ = JpegAugment(jpeg=0.5)(noise, torch.zeros(200, 1, 2), NOSE, torch.Generator().manual_seed(0))
    assert 70 < (changed != noise).flatten(1).any(1).sum() < 130


def test_offsets_are_shares_of_the_inter_ocular_distance_along_and_across_the_eyes():
    """Eyes 50 apart, level and along (3, 4) / 5: labels 2 px to the face's right, 1 px down."""
    found = np.random.default_rng(0).uniform(20, 80, (2, 68, 2))
    found[:, 36], found[0, 45], found[1, 45] = [30, 40], [80, 40], [60, 80]
    labels = found + np.array([[[2, 1]], [[0.6 * 2 - 0.8 * 1, 0.8 * 2 + 0.6 * 1]]])
    np.testing.assert_allclose(offsets(found, labels), [[4, 2], [4, 2]])


def test_what_is_left_without_bias_is_what_differs_from_face_to_face():
    """Eyes 50 apart, level and along (3, 4) / 5: all answers 2 px to the face's right, one landmark 3 px down or up, too."""
    labels = np.random.default_rng(0).uniform(20, 80, (2, 68, 2))
    labels[:, 36], labels[0, 45], labels[1, 45] = [30, 40], [80, 40], [60, 80]
    found = labels + np.array([[[2, 0]], [[1.2, 1.6]]])
    assert without_bias(found, labels) == pytest.approx(0, abs=1e-9)
    found[:, 30] += [[0, 3], [2.4, -1.8]]                    # down, and up, in the frame of the eyes
    assert without_bias(found, labels) == pytest.approx(100 * 3 / 50 / 68)


def turned_faces(count, seed):
    """Shapes around one, each turned, scaled and moved: landmarks (count, 68, 2)."""
    rng = np.random.default_rng(seed)
    shape = np.random.default_rng(9).uniform(-1, 1, (68, 2)) + 0.1 * rng.normal(size=(count, 68, 2))
    shape[:, 36], shape[:, 45] = [-0.5, 0], [0.5, 0]
    turn = np.exp(1j * rng.uniform(-1, 1, (count, 1))) * rng.uniform(40, 90, (count, 1))
    pixels = shape @ (1, 1j) * turn + rng.uniform(100, 300, (count, 1))
    return np.stack([pixels.real, pixels.imag], -1)


def test_the_frame_of_the_eyes_has_them_at_half_a_unit_and_leads_back():
    faces = turned_faces(5, 0)
    np.testing.assert_allclose(to_frame(faces, faces)[:, [36, 45]], np.tile([-0.5, 0.5], (5, 1)), atol=1e-9)
    np.testing.assert_allclose(from_frame(to_frame(faces, faces[::-1]), faces[::-1]), faces, atol=1e-6)


def test_label_adaptation_learns_what_turns_with_the_face_and_depends_on_it():
    """Labels lie 0.05 to the face's right, the chin by a tenth of how high the nose tip is: nothing of it is left on others."""
    def labelled(found):
        points = to_frame(found, found)
        moved = np.full(points.shape, 0.05 + 0j)
        moved[:, 8] += 0.1j * points[:, 30].imag
        return from_frame(points + moved, found)

    first, others = turned_faces(600, 1), turned_faces(200, 2)
    before, after = (np.abs(to_frame(p, others) - to_frame(labelled(others), others)).mean(0)
                     for p in (others, adapted(first, labelled(first), others)))
    assert before[0] == pytest.approx(0.05) and before[8] > 0.05
    assert after.mean() < 0.005 and after[8] < 0.01


@dataclass
class _Sided:
    """Says of every picture, mirrored or not, a fixed face and 3 pixels to the right of it."""

    face: np.ndarray
    recipe: Recipe = field(default_factory=lambda: recipe("full", "lite2_fine"))
    convention: Convention = IBUG_68

    @property
    def flip_offset(self):
        return self.recipe.augment.flip_offset

    def landmarks(self, images):
        return torch.tensor(self.face + [3, 0], dtype=torch.float32).expand(len(images), -1, -1)


def test_a_face_and_its_mirror_image_together_have_no_side():
    face = np.random.default_rng(1).uniform(20, 80, (68, 2))
    face = (face + face[list(IBUG_68.flip)] * [-1, 1] + [99, 0]) / 2                  # as its own mirror image
    found, _ = both_ways(_Sided(face), np.zeros((20, 100, 100), np.uint8))
    np.testing.assert_allclose(found, np.stack([face] * 20), atol=1e-4)


def test_a_row_takes_the_place_of_the_one_with_its_key_and_no_other():
    rows = [{"side": 128, "seed": 0, "found": 1}, {"side": 256, "seed": 0, "found": 2}]
    new, again = {"side": 128, "seed": 1, "found": 3}, {"side": 128, "seed": 0, "found": 4}
    assert with_row(rows, new, ("side", "seed")) == [rows[0], new, rows[1]]
    assert with_row(rows, again, ("side", "seed")) == [again, rows[1]]


def test_seeds_are_told_by_their_mean_the_least_and_the_most():
    assert mean_and_range([9.0, 7.5, 7.5]) == "8.00 (7.50 to 9.00)"


def test_faces_in_colour_are_the_grey_ones_before_they_were_grey(embedded):
    """ITU-R BT.601's luma of each pixel, up to what is rounded before and after resizing."""
    crop = Crop(1.3, 0.1, 48)
    grey, colours = (kind(embedded, "val", crop=crop) for kind in (IBugFaces, InColour))
    images, landmarks = colours.batch([3, 0])
    assert images.shape == (2, 3, 48, 48) and (landmarks == grey.batch([3, 0])[1]).all()
    luma = (images.numpy() * np.array([0.299, 0.587, 0.114])[:, None, None]).sum(1)
    assert np.abs(luma - grey.images[[3, 0]]).max() < 2 and np.ptp(images.numpy(), 1).mean() > 10
