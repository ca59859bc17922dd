"""What a net is asked to predict, and how its answer becomes landmarks again."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

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
        return F.mse_loss(output, target)


def make_target(recipe: Recipe, train_landmarks: torch.Tensor) -> Coordinates:
    """The target a recipe names; `train_landmarks` (N, n, 2) give the mean shape it may need."""
    if recipe.target == "coordinates":
        return Coordinates(recipe.size, recipe.loss)
    if recipe.target == "centred":
        return Coordinates(recipe.size, recipe.loss, mean=train_landmarks.float().mean(0), gain=10.0)
    raise ValueError(f"unknown target {recipe.target!r}")
