"""What a net is asked to predict, and how its answer becomes landmarks again."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .heatmaps import gaussian_heatmaps, mean_position, soft_argmax, weighted_mean
from .profiles import Recipe


@dataclass
class Coordinates:
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

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The training loss, a scalar. Landmarks outside of the picture count like all others."""
        if self.loss_name == "smooth_l1":
            return F.smooth_l1_loss(output, target, beta=0.1)
        if self.loss_name == "wing":
            return wing_loss(output, target)
        return F.mse_loss(output, target)


def wing_loss(output: torch.Tensor, target: torch.Tensor, width: float = 0.5, curve: float = 0.1) -> torch.Tensor:
    """Wing loss (Feng et al., CVPR 2018): steeper than L1 for errors below `width`, so that small ones matter."""
    error = (output - target).abs()
    offset = width - width * math.log(1 + width / curve)
    return torch.where(error < width, width * torch.log1p(error / curve), error - offset).mean()


@dataclass
class Heatmaps:
    """One heatmap a landmark, (b, n, h / stride, w / stride).

    With the losses `mse` and `adaptive_wing` the net's output is compared with the heatmap pixel by pixel. With
    `cross_entropy` it is taken as logits of where the landmark is, a softmax over all pixels of a
    map: the all-zero answer, which plain MSE rests on for long, is then no answer at all. `l1_weight`
    adds the distance between soft-argmax and landmark, in percent of the map's width (Nibali et al.,
    "Numerical coordinate regression with convolutional neural networks", 2018).
    """

    size: tuple[int, int]
    loss_name: str = "mse"
    sigma: float = 5.0
    scale: float | None = None
    stride: int = 1
    l1_weight: float = 0.0

    def encode(self, landmarks: torch.Tensor) -> torch.Tensor:
        """(b, n, 2) pixels -> (b, n, h / stride, w / stride)."""
        grid = (self.size[0] // self.stride, self.size[1] // self.stride)
        return gaussian_heatmaps((landmarks + 0.5) / self.stride - 0.5, grid, self.sigma, self.scale)

    def decode(self, output: torch.Tensor) -> torch.Tensor:
        """(b, n, h / stride, w / stride) -> (b, n, 2) pixels."""
        points = soft_argmax(output) if self.loss_name == "cross_entropy" else weighted_mean(output)
        return (points + 0.5) * self.stride - 0.5

    def heatmaps(self, output: torch.Tensor) -> torch.Tensor:
        """What the net says, as maps to look at: probabilities for `cross_entropy`, else the output itself."""
        return output.flatten(2).softmax(-1).unflatten(2, output.shape[-2:]) if self.loss_name == "cross_entropy" else output

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The training loss, a mean over landmarks; with `cross_entropy` those outside of the picture add nothing."""
        if self.loss_name == "mse":
            return F.mse_loss(output, target)
        if self.loss_name == "adaptive_wing":
            return adaptive_wing_loss(output, target)
        total = target.sum((-2, -1), keepdim=True)
        share, inside = target / total.clamp(min=1e-12), total[..., 0, 0] > 0
        losses = -(share.flatten(2) * output.flatten(2).log_softmax(-1)).sum(-1)
        if self.l1_weight:
            distance = (soft_argmax(output) - mean_position(share)).abs().sum(-1)
            losses = losses + self.l1_weight * distance * (100 / output.shape[-1])
        return (losses * inside).mean()


def adaptive_wing_loss(output: torch.Tensor, target: torch.Tensor, width: float = 0.5, scale: float = 14.0,
                       curve: float = 1.0, power: float = 2.1) -> torch.Tensor:
    """Adaptive Wing loss (Wang, Bo, Fuxin, ICCV 2019) for maps whose peak is 1: a Wing at the peaks, like MSE far from them."""
    error, exponent = (output - target).abs(), power - target
    ratio = torch.pow(width / curve, exponent)
    slope = scale * exponent * torch.pow(width / curve, exponent - 1) / (curve * (1 + ratio))
    near = scale * torch.log1p(torch.pow(error.clamp(min=1e-6) / curve, exponent))
    return torch.where(error < width, near, slope * (error - width) + scale * torch.log1p(ratio)).mean()


def make_target(recipe: Recipe, train_landmarks: torch.Tensor) -> Coordinates | Heatmaps:
    """The target a recipe names; `train_landmarks` (N, n, 2) give the mean shape it may need."""
    if recipe.target == "coordinates":
        return Coordinates(recipe.size, recipe.loss)
    if recipe.target == "centred":
        return Coordinates(recipe.size, recipe.loss, mean=train_landmarks.float().mean(0), gain=10.0)
    if recipe.target == "heatmaps":
        return Heatmaps(recipe.size, recipe.loss, recipe.sigma, recipe.heatmap_scale, recipe.stride, recipe.l1_weight)
    raise ValueError(f"unknown target {recipe.target!r}")
