"""Augmentation by JPEG artefacts: one row of the recipe table, which it did not help."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from fkp_utils.augment import Augment

# Steps of the luminance coefficients, ITU-T T.81, table K.1.
_JPEG_STEPS = torch.tensor([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62], [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99]], dtype=torch.float32)


def jpeg_artefacts(images: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """What saving as JPEG does to grey images (b, 1, h, w) in [-0.5, 0.5]; `quality` (b,) from 1 to 100 as libjpeg scales it.

    Blocks of 8x8 pixels are written as sums of cosines whose weights are rounded; the lossless rest of the
    format (ITU-T T.81) is left out.
    """
    h, w = images.shape[-2:]
    k = torch.arange(8, dtype=images.dtype, device=images.device)
    cosines = torch.cos((2 * k + 1) * k[:, None] * (math.pi / 16)) / 2
    cosines[0] /= math.sqrt(2)
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None, None]
    steps = ((_JPEG_STEPS.to(images) * percent + 50) / 100).floor().clamp(1, 255) / 255
    steps = steps[:, None, None, :, None, :]
    blocks = F.pad(images, (0, -w % 8, 0, -h % 8), mode="replicate").unflatten(-1, (-1, 8)).unflatten(-3, (-1, 8))
    weights = torch.einsum("ui,bcyixj,vj->bcyuxv", cosines, blocks, cosines)
    blocks = torch.einsum("ui,bcyuxv,vj->bcyixj", cosines, (weights / steps).round() * steps, cosines)
    return blocks.flatten(-2).flatten(-3, -2)[..., :h, :w]


@dataclass(frozen=True)
class JpegAugment(Augment):
    """`Augment`, and JPEG artefacts of a quality from 10 to 70 with the probability `jpeg`."""

    columns: ClassVar[tuple[str, ...]] = (*Augment.columns, "jpeg", "quality")

    jpeg: float = 0

    def _light(self, images, uniform, signed):
        images = super()._light(images, uniform, signed)
        which = (uniform["jpeg"] < self.jpeg)[:, None, None, None]
        return torch.where(which, jpeg_artefacts(images, 10 + 60 * uniform["quality"]), images).clamp(-0.5, 0.5)
