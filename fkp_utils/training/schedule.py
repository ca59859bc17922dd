"""What changes from step to step: the learning rate and the decay of the weights' moving average."""

import math

from ..nets.recipe import Recipe

FLOOR = 0.005                        # where cosine ends, as a share of the recipe's learning rate


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of `step` (from 0) of `steps` in all.

    cosine: a linear warm-up over a 25th of the steps, then half a cosine down to `FLOOR` (Loshchilov, Hutter, "SGDR", 2017).
    """
    if recipe.schedule == "constant":
        return recipe.lr
    warm_up = max(1, steps // 25)
    if step < warm_up:
        return recipe.lr * (step + 1) / warm_up
    share = (step - warm_up) / max(1, steps - warm_up)
    return recipe.lr * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * share)))


def ema_decay(recipe: Recipe, step: int) -> float:
    """Decay of the weights' exponential moving average at `step` (from 0): smaller at first, so that the start is forgotten."""
    return min(recipe.ema, (1 + step) / (10 + step))
