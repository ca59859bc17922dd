"""What a net is asked to predict, its loss, and how its output becomes landmarks again.

Landmarks are (b, n, 2) in pixels of the picture; NaN marks one that nobody knows. Unknown landmarks add nothing to a
loss, which is divided by the number of all landmarks, so that the loss of a batch is the mean of those of its faces.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F

from ..metrics import mean_shape
from . import heatmaps
from .finder import Faces
from .recipe import Recipe


def known(landmarks: torch.Tensor) -> torch.Tensor:
    """Which landmarks (..., 2) are known, bool (...)."""
    return landmarks.isfinite().all(-1)


class _Landmarks:
    """What targets with one answer a landmark share."""

    def decode(self, output: torch.Tensor) -> torch.Tensor:
        """A net's output -> (b, n, 2) pixels."""
        raise NotImplementedError

    def errors(self, output: torch.Tensor, landmarks: torch.Tensor) -> torch.Tensor:
        """Distances in pixels of decoded from true landmarks (b, n, 2), of all that are known: (k,)."""
        return (self.decode(output) - landmarks).norm(dim=-1)[known(landmarks)]


@dataclass
class Coordinates(_Landmarks):
    """Landmarks as fractions of the picture's width and height, flattened to (b, 2n).

    With a `mean` shape (n, 2) in pixels the target is the offset from it, times `gain`: the net
    starts at the mean face and its outputs have the size that its initial weights expect.
    """

    size: tuple[int, int]
    loss_name: str = "mse"
    mean: torch.Tensor | None = None
    gain: float = 1.0

    def _unit(self, like: torch.Tensor) -> torch.Tensor:
        return like.new_tensor([self.size[1], self.size[0]])

    def encode(self, landmarks: torch.Tensor) -> torch.Tensor:
        """(b, n, 2) pixels -> (b, 2n)."""
        origin = -0.5 if self.mean is None else self.mean.to(landmarks)
        return (self.gain * (landmarks - origin) / self._unit(landmarks)).flatten(1)

    def decode(self, output: torch.Tensor) -> torch.Tensor:
        """(b, 2n) -> (b, n, 2) pixels."""
        output = output.float().unflatten(1, (-1, 2))
        origin = -0.5 if self.mean is None else self.mean.to(output)
        return output * self._unit(output) / self.gain + origin

    def loss(self, output: torch.Tensor, landmarks: torch.Tensor) -> torch.Tensor:
        """The training loss of an output (b, 2n), a scalar. Landmarks outside of the picture count like all others."""
        mask = known(landmarks).repeat_interleave(2, 1)
        return COORDINATE_LOSSES[self.loss_name](output.where(mask, 0), self.encode(landmarks).where(mask, 0))


def wing_loss(output: torch.Tensor, target: torch.Tensor, width: float = 0.5, curve: float = 0.1) -> torch.Tensor:
    """Wing loss (Feng et al., CVPR 2018): steeper than L1 for errors below `width`, so that small ones matter."""
    error = (output - target).abs()
    offset = width - width * math.log(1 + width / curve)
    return torch.where(error < width, width * torch.log1p(error / curve), error - offset).mean()


Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
COORDINATE_LOSSES: dict[str, Loss] = {"mse": F.mse_loss, "smooth_l1": partial(F.smooth_l1_loss, beta=0.1), "wing": wing_loss}


@dataclass
class Heatmaps(_Landmarks):
    """One heatmap a landmark, (b, n, h / stride, w / stride).

    With the losses `mse` and `adaptive_wing` the net's output is compared with the heatmap pixel by pixel, and a landmark
    outside of the picture has an empty map. With `cross_entropy` the output is taken as logits of where the landmark is, a
    softmax over all pixels of a map: the all-zero answer, which plain MSE rests on for long, is then no answer at all, and
    landmarks up to `reach` outside of the picture are learned from the part of their Gaussian that lies inside. `l1_weight`
    adds the distance between decoded and true landmark, in percent of the picture's width (Nibali et al.,
    "Numerical coordinate regression with convolutional neural networks", 2018).
    """

    size: tuple[int, int]
    loss_name: str = "mse"
    sigma: float = 5.0
    scale: float | None = None
    stride: int = 1
    l1_weight: float = 0.0

    @property
    def reach(self) -> float:
        """How far outside of the picture a landmark may lie, in pixels of the heatmap."""
        return heatmaps.border(self.sigma) if self.loss_name == "cross_entropy" else 0.0

    @property
    def grid(self) -> tuple[int, int]:
        """(height, width) of the heatmaps."""
        return self.size[0] // self.stride, self.size[1] // self.stride

    def _on_grid(self, landmarks: torch.Tensor) -> torch.Tensor:
        return (landmarks + 0.5) / self.stride - 0.5

    def _to_picture(self, means: torch.Tensor, sigma: float) -> torch.Tensor:
        """Means (b, n, 2) of Gaussians on the grid -> their centres in pixels of the picture."""
        return (heatmaps.unbiased(means, self.grid, sigma) + 0.5) * self.stride - 0.5

    def encode(self, landmarks: torch.Tensor) -> torch.Tensor:
        """(b, n, 2) pixels -> (b, n, h / stride, w / stride)."""
        return heatmaps.gaussian_heatmaps(self._on_grid(landmarks), self.grid, self.sigma, self.scale, self.reach)

    def decode(self, output: torch.Tensor) -> torch.Tensor:
        """(b, n, h / stride, w / stride) -> (b, n, 2) pixels."""
        if self.loss_name == "cross_entropy":
            return self._to_picture(heatmaps.soft_argmax(output), self.sigma)
        return self._to_picture(heatmaps.weighted_mean(output), self.sigma / 2)                # the fourth power halves sigma

    def heatmaps(self, output: torch.Tensor) -> torch.Tensor:
        """What the net says, as maps to look at: probabilities for `cross_entropy`, else the output itself."""
        return output.flatten(2).softmax(-1).unflatten(2, output.shape[-2:]) if self.loss_name == "cross_entropy" else output

    def loss(self, output: torch.Tensor, landmarks: torch.Tensor) -> torch.Tensor:
        """The training loss of an output (b, n, h / stride, w / stride), a scalar.

        With `cross_entropy` landmarks further outside of the picture than `reach` add nothing.
        """
        mask = known(landmarks)
        landmarks = landmarks.where(mask[..., None], 0)          # some number: a NaN would reach the gradient
        if self.loss_name != "cross_entropy":
            mask = mask[..., None, None]
            return MAP_LOSSES[self.loss_name](output.where(mask, 0), self.encode(landmarks).where(mask, 0))
        places = self._on_grid(landmarks)
        mask = mask & heatmaps.inside_picture(places, self.grid, self.reach)
        # Maps are large: the target, a column times a row, is not drawn, and one softmax serves both parts.
        log_share = output.flatten(2).log_softmax(-1).unflatten(2, self.grid)
        column, row = (profile / profile.sum(-1, keepdim=True).clamp(min=1e-12)
                       for profile in heatmaps.gaussian_profiles(places, self.grid, self.sigma))
        losses = -((log_share @ row[..., None].to(log_share))[..., 0] * column).sum(-1)
        if self.l1_weight:
            distance = (self._to_picture(heatmaps.mean_position(log_share.exp()), self.sigma) - landmarks).abs().sum(-1)
            losses = losses + self.l1_weight * distance * (100 / self.size[1])
        return losses.where(mask, 0).mean()


def adaptive_wing_loss(output: torch.Tensor, target: torch.Tensor, width: float = 0.5, scale: float = 14.0,
                       curve: float = 1.0, power: float = 2.1) -> torch.Tensor:
    """Adaptive Wing loss (Wang, Bo, Fuxin, ICCV 2019) for maps whose peak is 1: a Wing at the peaks, like MSE far from them."""
    error, exponent = (output - target).abs(), power - target
    ratio = torch.pow(width / curve, exponent)
    slope = scale * exponent * torch.pow(width / curve, exponent - 1) / (curve * (1 + ratio))
    near = scale * torch.log1p(torch.pow(error.clamp(min=1e-6) / curve, exponent))
    return torch.where(error < width, near, slope * (error - width) + scale * torch.log1p(ratio)).mean()


MAP_LOSSES: dict[str, Loss] = {"mse": F.mse_loss, "adaptive_wing": adaptive_wing_loss}


Target = Coordinates | Heatmaps | Faces


def make_target(recipe: Recipe, train_landmarks: torch.Tensor) -> Target:
    """The target a recipe names; `train_landmarks` (N, n, 2) give the mean shape it may need."""
    if recipe.target == "heatmaps":
        return Heatmaps(recipe.size, recipe.loss, recipe.sigma, recipe.heatmap_scale, recipe.stride, recipe.l1_weight)
    if recipe.target == "faces":
        return Faces(recipe.size)
    if recipe.target == "coordinates":
        return Coordinates(recipe.size, recipe.loss)
    if recipe.target == "pixels":
        return Coordinates((1, 1), recipe.loss)
    mean = torch.from_numpy(mean_shape(train_landmarks.float().numpy()))
    return Coordinates(recipe.size, recipe.loss, mean=mean, gain=10.0)
