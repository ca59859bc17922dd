"""What a net is asked to predict, and how its answer becomes landmarks again."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .heatmaps import gaussian_heatmaps, soft_argmax, weighted_mean
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
    """One heatmap a landmark, (b, n, h, w), of the picture's size.

    With the loss `mse` the net's output is compared with the heatmap pixel by pixel. With
    `cross_entropy` it is taken as logits of where the landmark is, a softmax over all pixels of a
    map: the all-zero answer, which plain MSE rests on for long, is then no answer at all.
    """

    size: tuple[int, int]
    loss_name: str = "mse"
    sigma: float = 5.0
    scale: float | None = None

    def encode(self, landmarks: torch.Tensor) -> torch.Tensor:
        """(b, n, 2) pixels -> (b, n, h, w)."""
        return gaussian_heatmaps(landmarks, self.size, self.sigma, self.scale)

    def decode(self, output: torch.Tensor) -> torch.Tensor:
        """(b, n, h, w) -> (b, n, 2) pixels."""
        return weighted_mean(output) if self.loss_name == "mse" else soft_argmax(output)

    def heatmaps(self, output: torch.Tensor) -> torch.Tensor:
        """What the net says, as maps to look at: probabilities for `cross_entropy`, else the output itself."""
        return output if self.loss_name == "mse" else output.flatten(2).softmax(-1).unflatten(2, output.shape[-2:])

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The training loss, a scalar; `cross_entropy` skips landmarks outside of the picture."""
        if self.loss_name == "mse":
            return F.mse_loss(output, target)
        total = target.sum((-2, -1))
        share = target.flatten(2) / total.clamp(min=1e-12)[..., None]
        return -(share * output.flatten(2).log_softmax(-1)).sum() / (total > 0).sum().clamp(min=1)


def make_target(recipe: Recipe, train_landmarks: torch.Tensor) -> Coordinates | Heatmaps:
    """The target a recipe names; `train_landmarks` (N, n, 2) give the mean shape it may need."""
    if recipe.target == "coordinates":
        return Coordinates(recipe.size, recipe.loss)
    if recipe.target == "centred":
        return Coordinates(recipe.size, recipe.loss, mean=train_landmarks.float().mean(0), gain=10.0)
    if recipe.target == "heatmaps":
        return Heatmaps(recipe.size, recipe.loss, recipe.sigma, recipe.heatmap_scale)
    raise ValueError(f"unknown target {recipe.target!r}")
