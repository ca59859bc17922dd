"""Parts of the benches that could be wrong without anyone's notice."""

import io
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from test_project import PROJECT

from fkp_utils.augment import to_float
from fkp_utils.landmarks import NOSE

sys.path.insert(0, str(PROJECT / "bench" / "real_photos"))

from jpeg import JpegAugment, jpeg_artefacts


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
