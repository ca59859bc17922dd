"""Random changes to faces, image and landmarks together, a whole batch in one call on any device."""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
import torch.nn.functional as F

from .landmarks import Convention, moved_aside

CHUNK = 16                           # faces augmented together on a CPU: their intermediate tensors fit its cache


def to_float(images: torch.Tensor) -> torch.Tensor:
    """uint8 images to float32 in [-0.5, 0.5]."""
    return images.float() / 255 - 0.5


def warp(images: torch.Tensor, landmarks: torch.Tensor, matrix: torch.Tensor, shift: torch.Tensor,
         size: tuple[int, int] | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Apply one linear map a face, `matrix` (b, 2, 2), about the picture's centre, then a `shift` (b, 2).

    A landmark p goes to `matrix @ (p - centre) + new centre + shift`, and every pixel with it, so
    that landmarks stay on their features exactly. Pixel centres are integers; the shift is in pixels of the result.

    images : float (b, c, h, w); landmarks : float (b, n, 2), (x, y) pixels; size : (height, width) of the result, default that
    of the images -> images (b, c, *size), landmarks (b, n, 2)
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
    """Linear maps for `warp`, (b, 2, 2): rotate by `degrees` (b,), clockwise on the screen, and scale by `factor` (b,)."""
    angle = torch.deg2rad(degrees)
    cos, sin = factor * angle.cos(), factor * angle.sin()
    return torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)


def flip(images: torch.Tensor, landmarks: torch.Tensor, which: torch.Tensor, convention: Convention,
         offset: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Mirror the faces where `which` (b,) is true; left and right landmarks change places.

    Labels may all lie a little to one side of what they mark, those of 300-W do. In the mirror image that would be the other
    side, and a net that sees both learns to split the difference. With the `offset`, a share of the inter-ocular distance
    to the face's image-right, landmarks lie to the same side in both.

    ValueError for another number of landmarks than the convention has, and for an offset where it has no eye corners.
    """
    if landmarks.shape[1] != convention.size:
        raise ValueError(f"{landmarks.shape[1]} landmarks, but convention {convention.name!r} has {convention.size}")
    order = torch.tensor(convention.flip, device=landmarks.device)
    mirrored = landmarks[:, order] * landmarks.new_tensor([-1, 1]) + landmarks.new_tensor([images.shape[-1] - 1, 0])
    mirrored = moved_aside(mirrored, convention, 2 * offset)
    return (torch.where(which[:, None, None, None], images.flip(-1), images),
            torch.where(which[:, None, None], mirrored, landmarks))


@cache
def _noise(h: int, w: int) -> torch.Tensor:
    return torch.randn(h, w, generator=torch.Generator().manual_seed(0), device="cpu")


@dataclass(frozen=True)
class Augment:
    """Random geometry and light. Every amount is the largest change; 0 switches it off."""

    # The random numbers that change one face, one column a use.
    columns: ClassVar[tuple[str, ...]] = (
        "flip", "rotate", "scale", "shift_x", "shift_y", "gamma", "contrast", "brightness", "blur", "occlude",
        "patch_x", "patch_y", "patch_width", "patch_height", "patch_grey", "noise", "noise_x", "noise_y")

    rotate: float = 0                    # degrees
    shift: float = 0                     # share of the picture's width and height
    scale: float = 0                     # share: 0.1 gives factors from 0.9 to 1.1
    flip: float = 0                      # probability of the mirror image, with left and right landmarks exchanged
    brightness: float = 0                # largest value added to pixels in [-0.5, 0.5]
    contrast: float = 0                  # share, as scale
    gamma: float = 0                     # largest logarithm (base 2) of the exponent
    noise: float = 0                     # largest standard deviation of added noise
    blur: float = 0                      # probability of a soft blur
    occlude: float = 0                   # probability of a random patch over part of the face
    coarse: float = 0                    # probability of 2, 4 or 8 pixels becoming one, as in small faces; never with blur
    flip_offset: float = 0               # no change but a property of the labels, see `flip`

    def __post_init__(self):
        if self.blur + self.coarse > 1:
            raise ValueError(f"blur {self.blur:g} and coarse {self.coarse:g} exclude each other, together they are more than 1")

    def sample(self, faces: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """All random numbers of a batch: uniform in [0, 1), a row a face, (faces, columns).

        Drawn on the CPU, so that a seed means the same on every device. Processes that share a batch draw for
        all of it and take their own rows, so that a face changes in the same way whoever has it.
        """
        return torch.rand(faces, len(self.columns), generator=generator, device="cpu")

    def __call__(self, images: torch.Tensor, landmarks: torch.Tensor, convention: Convention,
                 random: torch.Generator | torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Change a batch: float (b, 1, h, w) in [-0.5, 0.5] and (b, n, 2) pixels -> the same.

        `convention` says which landmarks a mirror image exchanges; `random` is a generator to draw from, or the rows that
        `sample` gave. Unknown landmarks (NaN) stay unknown.
        """
        rows = random if isinstance(random, torch.Tensor) else self.sample(len(images), random)
        if images.device.type == "cpu" and len(images) > CHUNK:
            chunks = [self._change(*chunk, convention)
                      for chunk in zip(images.split(CHUNK), landmarks.split(CHUNK), rows.split(CHUNK))]
            pictures, points = zip(*chunks)
            return torch.cat(pictures), torch.cat(points)
        return self._change(images, landmarks, rows, convention)

    def _change(self, images, landmarks, rows, convention):
        h, w = images.shape[-2:]
        uniform = dict(zip(self.columns, rows.to(images.device).unbind(1)))
        signed = {name: 2 * column - 1 for name, column in uniform.items()}
        if self.flip:
            images, landmarks = flip(images, landmarks, uniform["flip"] < self.flip, convention, self.flip_offset)
        if self.rotate or self.shift or self.scale:
            matrix = turn_and_scale(signed["rotate"] * self.rotate, 1 + signed["scale"] * self.scale)
            shift = torch.stack([signed["shift_x"], signed["shift_y"]], -1) * self.shift
            images, landmarks = warp(images, landmarks, matrix, shift * images.new_tensor([w, h]))
        return self._light(images, uniform, signed), landmarks

    def _light(self, images, uniform, signed):
        def per_image(column):
            return column[:, None, None, None]

        if self.gamma:
            images = (images + 0.5).clamp(1e-3, 1) ** per_image(2 ** (signed["gamma"] * self.gamma)) - 0.5
        if self.brightness or self.contrast:
            images = (images * per_image(1 + signed["contrast"] * self.contrast)
                      + per_image(signed["brightness"] * self.brightness))
        if self.blur:
            soft = F.avg_pool2d(F.pad(images, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
            images = torch.where(per_image(uniform["blur"] < self.blur), soft, images)
        if self.coarse:
            images = self._coarsen(images, (1 - uniform["blur"]) / self.coarse)
        if self.occlude:
            images = self._patch(images, uniform)
        if self.noise:
            images = images + self._grain(images, uniform) * (self.noise * per_image(uniform["noise"]))
        return images.clamp(-0.5, 0.5)

    @staticmethod
    def _grain(images, uniform):
        """Noise of deviation 1: one fixed picture of it, shifted by a random offset for each face."""
        h, w = images.shape[-2:]
        y, x = (((uniform[name] * side).long()[:, None] + torch.arange(side, device=images.device)) % side
                for name, side in (("noise_y", h), ("noise_x", w)))
        return _noise(h, w).to(images.device)[y[:, :, None], x[:, None, :]][:, None]

    @staticmethod
    def _coarsen(images, uniform):
        """Pictures made smaller by 2, 4 and 8 and enlarged again, for the thirds of [0, 1) that `uniform` (b,) falls into."""
        changed = images.clone()
        for k, factor in enumerate((2, 4, 8)):
            which = (k <= 3 * uniform) & (3 * uniform < k + 1)
            if which.any():
                h, w = images.shape[-2:]                     # whole blocks, so that all stays in its place
                whole = F.pad(images[which], (0, -w % factor, 0, -h % factor), mode="replicate")
                small = F.avg_pool2d(whole, factor)
                changed[which] = F.interpolate(small, size=whole.shape[-2:], mode="bilinear", align_corners=False)[..., :h, :w]
        return changed

    def _patch(self, images, uniform):
        """Cover a random rectangle of at most 0.4 x 0.4 of the picture with one grey."""
        h, w = images.shape[-2:]
        y, x = torch.arange(h, device=images.device) / h, torch.arange(w, device=images.device) / w
        inside_y, inside_x = ((place - uniform[centre][:, None]).abs() < 0.05 + 0.15 * uniform[length][:, None]
                              for place, centre, length in ((y, "patch_y", "patch_height"), (x, "patch_x", "patch_width")))
        inside = inside_y[:, :, None] & inside_x[:, None, :] & (uniform["occlude"] < self.occlude)[:, None, None]
        return torch.where(inside[:, None], (uniform["patch_grey"] - 0.5)[:, None, None, None], images)
