"""Random changes to faces, image and landmarks together, a whole batch in one call on any device."""

import math
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F

from .landmarks import flip_order


def to_float(images: torch.Tensor) -> torch.Tensor:
    """uint8 images to float32 in [-0.5, 0.5]."""
    return images.float() / 255 - 0.5


def warp(images: torch.Tensor, landmarks: torch.Tensor, matrix: torch.Tensor, shift: torch.Tensor,
         size: tuple[int, int] | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Apply one linear map a face about the picture's centre, then a shift.

    A landmark p goes to `matrix @ (p - centre) + new centre + shift`, and every pixel with it, so
    that landmarks stay on their features exactly. Pixel centres are integers.

    Parameters
    ----------
    images : float (b, c, h, w)
    landmarks : float (b, n, 2), (x, y) pixels
    matrix : float (b, 2, 2)
    shift : float (b, 2), pixels of the result
    size : (height, width) of the result; default that of the images

    Returns
    -------
    images (b, c, *size), landmarks (b, n, 2)
    """
    h, w = images.shape[-2:]
    new_h, new_w = size or (h, w)
    centre = images.new_tensor([(w - 1) / 2, (h - 1) / 2])
    new_centre = images.new_tensor([(new_w - 1) / 2, (new_h - 1) / 2]) + shift[:, None]
    moved = (landmarks - centre) @ matrix.mT + new_centre
    y, x = torch.meshgrid(*(torch.arange(s, dtype=images.dtype, device=images.device) for s in (new_h, new_w)), indexing="ij")
    grid = torch.stack([x, y], -1).reshape(1, -1, 2)
    source = (grid - new_centre) @ torch.linalg.inv(matrix).mT + centre
    source = (2 * source + 1) / images.new_tensor([w, h]) - 1           # grid_sample's units
    source = source.reshape(len(images), new_h, new_w, 2)
    return F.grid_sample(images, source, padding_mode="border", align_corners=False), moved


def turn_and_scale(degrees: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Linear maps for `warp`, (b, 2, 2), that turn by `degrees` (b,), clockwise on the screen, and enlarge by `factor` (b,)."""
    angle = torch.deg2rad(degrees)
    cos, sin = factor * angle.cos(), factor * angle.sin()
    return torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)


def flip(images: torch.Tensor, landmarks: torch.Tensor, which: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mirror the faces where `which` (b,) is true; left and right landmarks change places."""
    order = torch.as_tensor(flip_order(landmarks.shape[1]), device=landmarks.device)
    mirrored = landmarks[:, order] * landmarks.new_tensor([-1, 1]) + landmarks.new_tensor([images.shape[-1] - 1, 0])
    return (torch.where(which[:, None, None, None], images.flip(-1), images),
            torch.where(which[:, None, None], mirrored, landmarks))


@cache
def _noise(h: int, w: int) -> torch.Tensor:
    return torch.randn(h, w, generator=torch.Generator().manual_seed(0))


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


PIECE = 16                           # faces that a processor changes at once: their intermediate results stay in its caches


@dataclass(frozen=True)
class Augment:
    """Random geometry and light. Every amount is the largest change; 0 switches it off.

    Parameters
    ----------
    rotate : degrees
    shift : share of the picture's width and height
    scale : share, 0.1 gives factors from 0.9 to 1.1
    flip : probability of the mirror image, with left/right landmarks exchanged
    brightness : largest value added to pixels in [-0.5, 0.5]
    contrast : share, as scale
    gamma : largest logarithm (base 2) of the exponent
    noise : standard deviation of added noise
    blur : probability of a soft blur
    occlude : probability of a random patch over part of the face
    jpeg : probability of JPEG artefacts, of a quality from 10 to 70
    """

    rotate: float = 0
    shift: float = 0
    scale: float = 0
    flip: float = 0
    brightness: float = 0
    contrast: float = 0
    gamma: float = 0
    noise: float = 0
    blur: float = 0
    occlude: float = 0
    jpeg: float = 0

    def draw(self, faces: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """All the chance that a batch needs: numbers in [0, 1), a row a face, (faces, 10) or (faces, 19).

        Drawn on the CPU, so that a seed means the same on every device. Processes that share a batch draw for
        all of it and take their own rows, so that a face changes in the same way whoever has it.
        """
        columns = [torch.rand(faces, 10, generator=generator)]
        if self.occlude or self.noise or self.jpeg:
            columns.append(torch.rand(faces, 9, generator=generator))
        return torch.cat(columns, 1)

    def __call__(self, images: torch.Tensor, landmarks: torch.Tensor,
                 chance: torch.Generator | torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Change a batch: float (b, 1, h, w) in [-0.5, 0.5] and (b, n, 2) pixels -> the same.

        `chance` is a generator to draw from, or the rows that `draw` gave.
        """
        draw = chance if isinstance(chance, torch.Tensor) else self.draw(len(images), chance)
        if images.device.type == "cpu" and len(images) > PIECE:
            pieces = [self(*part) for part in zip(images.split(PIECE), landmarks.split(PIECE), draw.split(PIECE))]
            return torch.cat([piece for piece, _ in pieces]), torch.cat([points for _, points in pieces])
        h, w = images.shape[-2:]
        draw = draw.to(images.device)
        signed = 2 * draw - 1
        if self.flip:
            images, landmarks = flip(images, landmarks, draw[:, 0] < self.flip)
        if self.rotate or self.shift or self.scale:
            matrix = turn_and_scale(signed[:, 1] * self.rotate, 1 + signed[:, 2] * self.scale)
            images, landmarks = warp(images, landmarks, matrix, signed[:, 3:5] * self.shift * images.new_tensor([w, h]))
        return self._light(images, draw, signed), landmarks

    def _light(self, images, draw, signed):
        per_image = lambda column: column[:, None, None, None]      # noqa: E731
        if self.gamma:
            images = (images + 0.5).clamp(1e-3, 1) ** per_image(2 ** (signed[:, 5] * self.gamma)) - 0.5
        if self.brightness or self.contrast:
            images = images * per_image(1 + signed[:, 6] * self.contrast) + per_image(signed[:, 7] * self.brightness)
        if self.blur:
            soft = F.avg_pool2d(F.pad(images, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
            images = torch.where(per_image(draw[:, 8] < self.blur), soft, images)
        if self.occlude:
            images = self._patch(images, draw[:, 9] < self.occlude, draw[:, 10:15])
        if self.noise:
            images = images + self._grain(images, draw[:, 15:17]) * (self.noise * per_image(draw[:, 5]))
        if self.jpeg:
            images = torch.where(per_image(draw[:, 17] < self.jpeg), jpeg_artefacts(images, 10 + 60 * draw[:, 18]), images)
        return images.clamp(-0.5, 0.5)

    @staticmethod
    def _grain(images, r):
        """Noise of deviation 1: one fixed picture of it, moved round by a random way for each face."""
        h, w = images.shape[-2:]
        y, x = (((r[:, k:k + 1] * side).long() + torch.arange(side, device=r.device)) % side for k, side in ((0, h), (1, w)))
        return _noise(h, w).to(images.device)[y[:, :, None], x[:, None, :]][:, None]

    @staticmethod
    def _patch(images, which, r):
        """Cover a random rectangle of at most 0.4 x 0.4 of the picture with one grey."""
        h, w = images.shape[-2:]
        y, x = torch.arange(h, device=images.device) / h, torch.arange(w, device=images.device) / w
        inside_y = (y - r[:, 0:1]).abs() < 0.05 + 0.15 * r[:, 2:3]
        inside_x = (x - r[:, 1:2]).abs() < 0.05 + 0.15 * r[:, 3:4]
        inside = inside_y[:, :, None] & inside_x[:, None, :] & which[:, None, None]
        return torch.where(inside[:, None], (r[:, 4] - 0.5)[:, None, None, None], images)
