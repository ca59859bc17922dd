"""Random changes to faces, image and landmarks together, a whole batch in one call on any device."""

from dataclasses import dataclass

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

    def __call__(self, images: torch.Tensor, landmarks: torch.Tensor,
                 generator: torch.Generator | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Change a batch: float (b, c, h, w) in [-0.5, 0.5] and (b, n, 2) pixels -> the same."""
        b, _, h, w = images.shape
        # Drawn on the CPU, so that a seed means the same on every device.
        draw = torch.rand(b, 10, generator=generator).to(images.device)
        signed = 2 * draw - 1
        if self.flip:
            images, landmarks = flip(images, landmarks, draw[:, 0] < self.flip)
        if self.rotate or self.shift or self.scale:
            matrix = turn_and_scale(signed[:, 1] * self.rotate, 1 + signed[:, 2] * self.scale)
            images, landmarks = warp(images, landmarks, matrix, signed[:, 3:5] * self.shift * images.new_tensor([w, h]))
        return self._light(images, draw, signed, generator), landmarks

    def _light(self, images, draw, signed, generator):
        per_image = lambda column: column[:, None, None, None]      # noqa: E731
        if self.gamma:
            images = (images + 0.5).clamp(1e-3, 1) ** per_image(2 ** (signed[:, 5] * self.gamma)) - 0.5
        if self.brightness or self.contrast:
            images = images * per_image(1 + signed[:, 6] * self.contrast) + per_image(signed[:, 7] * self.brightness)
        if self.blur:
            soft = F.avg_pool2d(F.pad(images, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
            images = torch.where(per_image(draw[:, 8] < self.blur), soft, images)
        if self.occlude:
            images = self._patch(images, draw[:, 9] < self.occlude, generator)
        if self.noise:
            grain = torch.randn(images.shape, generator=generator).to(images.device)
            images = images + grain * (self.noise * per_image(draw[:, 5]))
        return images.clamp(-0.5, 0.5)

    @staticmethod
    def _patch(images, which, generator):
        """Cover a random rectangle of at most 0.4 x 0.4 of the picture with one grey."""
        b, _, h, w = images.shape
        r = torch.rand(b, 5, generator=generator).to(images.device)
        y, x = torch.arange(h, device=images.device) / h, torch.arange(w, device=images.device) / w
        inside_y = (y - r[:, 0:1]).abs() < 0.05 + 0.15 * r[:, 2:3]
        inside_x = (x - r[:, 1:2]).abs() < 0.05 + 0.15 * r[:, 3:4]
        inside = inside_y[:, :, None] & inside_x[:, None, :] & which[:, None, None]
        return torch.where(inside[:, None], (r[:, 4] - 0.5)[:, None, None, None], images)
