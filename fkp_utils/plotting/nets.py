"""What is inside of a net: filters, feature maps, the shapes of its layers."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ..nets.stages import Stage
from ..palette import BLUE, GREEN, INK, ORANGE, SOFT
from .base import Figure, subplots
from .faces import show_face


def _show_kernel(ax: Axes, kernel: np.ndarray, limit: float) -> None:
    ax.imshow(kernel, cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set(xticks=[], yticks=[])


def filters(weight: np.ndarray, title: str = "") -> Figure:
    """Filters of a convolution, (out, in, k, k): a row an output channel, a column an input channel.

    A layer with one input channel is drawn as one row of filters.
    """
    out_channels, in_channels = weight.shape[:2]
    grid = weight.swapaxes(0, 1) if in_channels == 1 else weight
    rows, columns = grid.shape[:2]
    wide, high = ((min(6, 0.6 * side + 0.4) for side in (columns, rows)) if rows > 1 else (min(8, 0.6 * columns + 0.4), 1.2))
    fig, axes = subplots(wide, high, rows, columns, squeeze=False)
    limit = float(np.abs(weight).max())
    for ax, kernel in zip(axes.flat, grid.reshape(-1, *grid.shape[2:])):
        _show_kernel(ax, kernel, limit)
    label = f"{out_channels} filters" + (f" (rows) on {in_channels} channels (columns)" if in_channels > 1 else "")
    fig.suptitle(f"{title}: {label}", fontsize=10)
    return fig


def strongest_filters(weights: dict[str, np.ndarray], count: int = 12) -> Figure:
    """The kernels with the largest weights of each layer, a row a layer: {layer: (out, in, k, k)}."""
    fig, axes = subplots(0.72 * count + 0.9, 0.95 * len(weights) + 0.3, len(weights), count, squeeze=False)
    for row, (name, weight) in zip(axes, weights.items()):
        kernels = weight.reshape(-1, *weight.shape[2:])
        chosen = np.argsort(-np.square(kernels).sum((1, 2)), kind="stable")[:count]
        span = float(np.abs(kernels[chosen]).max())
        for ax, k in zip(row, chosen):
            _show_kernel(ax, kernels[k], span)
            ax.set_title("{} on {}".format(*divmod(int(k), weight.shape[1])), fontsize=7)
        row[0].set_ylabel(name, fontsize=8)
    return fig


def feature_maps(image: np.ndarray, maps: np.ndarray, weight: np.ndarray, title: str, limit: int = 12) -> Figure:
    """What a layer sees: a face (h, w), the layer's first filters (out, in, k, k) and their maps (out, h', w')."""
    count = min(limit, len(maps))
    fig, axes = subplots(1.1 * count / 2 + 2.6, 4.6, 4, 2 + count // 2 + count % 2,
                         subplot_kw={"frame_on": False, "xticks": [], "yticks": []})
    grid = axes[0, 0].get_gridspec()
    show_face(fig.add_subplot(grid[1:3, :2]), image, title="the face")
    span = float(np.abs(weight[:, 0]).max())
    for k in range(count):
        row, column = 2 * (k % 2), 2 + k // 2
        _show_kernel(axes[row, column], weight[k, 0], span)
        axes[row, column].set_title(f"filter {k}", fontsize=7)
        axes[row + 1, column].imshow(maps[k], cmap="magma")
    fig.suptitle(title, fontsize=10)
    return fig


def _bar(stage: Stage) -> tuple[float, float]:
    """Width and height of a stage's bar: logarithms of its channels and of its picture's height, or of its features."""
    channels, height = stage.shape[:2] if len(stage.shape) == 3 else (1, stage.shape[0])
    return 0.1 + 0.085 * np.log2(channels + 1), 0.3 + 0.5 * np.log2(height)


def network(stages: Sequence[Stage]) -> Figure:
    """A net's shapes from left to right: a bar a stage, high as its pictures and wide as its channels are many (logarithms).

    Blue is a convolution or a block of them, grey pooling, orange what enlarges, green a fully connected layer.
    """
    fig, ax = subplots(max(5.5, 0.55 * len(stages) + 0.6), 3.2)
    many = len(stages) > 12
    bottom = -max(_bar(stage)[1] for stage in stages) / 2
    for k, stage in enumerate(stages):
        wide, high = _bar(stage)
        larger = k and len(stage.shape) == 3 and stage.shape[1] > stages[k - 1].shape[1]
        colour = GREEN if len(stage.shape) == 1 else SOFT if "Pool" in stage.kind else ORANGE if larger else BLUE
        ax.add_patch(Rectangle((k - wide / 2, -high / 2), wide, high, facecolor=colour, linewidth=0))
        ax.text(k, high / 2 + 0.15, "\n".join(map(str, stage.shape)), ha="center", va="bottom", fontsize=7, color=SOFT)
        turned = {"rotation": 45, "rotation_mode": "anchor", "ha": "right"} if many else {"ha": "center"}
        ax.text(k, bottom - 0.25, stage.name, va="top", fontsize=8, color=INK, **turned)
    ax.set(xlim=(-0.8, len(stages) - 0.3), ylim=(bottom - (1.9 if many else 0.8), -bottom + 1.5))
    ax.set_axis_off()
    return fig
