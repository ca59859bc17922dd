"""What is inside of a net: filters, feature maps, what flows from stage to stage."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Affine2D
from PIL import Image

from ..nets.stages import Stage
from ..palette import INK, SOFT
from .base import DPI, Figure, subplots
from .faces import show_face

_RISE = 0.3                              # of a plane's lower edge, as it runs away to the right


def _show_kernel(ax: Axes, kernel: np.ndarray, limit: float) -> None:
    ax.imshow(kernel, cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set(xticks=[], yticks=[])


def filters(weight: np.ndarray, title: str = "") -> Figure:
    """Filters of a convolution, (out, in, k, k): a row an output channel, a column an input channel.

    A layer with one input channel is drawn as one row of filters. All are one picture: a hundred axes would take seconds.
    """
    out_channels, in_channels = weight.shape[:2]
    grid = weight.swapaxes(0, 1) if in_channels == 1 else weight
    rows, columns = grid.shape[:2]
    wide, high = ((min(6, 0.6 * side + 0.4) for side in (columns, rows)) if rows > 1 else (min(8, 0.6 * columns + 0.4), 1.2))
    fig, ax = subplots(wide, high)
    apart = np.pad(grid / np.float32(1), ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)     # floats, for gaps of NaN
    mosaic = apart.swapaxes(1, 2).reshape(rows * apart.shape[2], -1)[:-1, :-1]
    _show_kernel(ax, mosaic, float(np.abs(weight).max()))
    ax.set_frame_on(False)
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


def _said(maps: np.ndarray) -> str:
    """The size of what a stage puts out."""
    if maps[0].size == 1:
        return f"{len(maps)} numbers"
    rows, columns = maps.shape[1:]
    return f"{len(maps)} maps\n{rows} \u00d7 {columns}" if len(maps) > 1 else f"{rows} \u00d7 {columns}"


def _stack(ax: Axes, maps: np.ndarray, left: float, floor: float, cell: float, share: float) -> None:
    """A stage's maps (n, h, w) as planes one behind the other, those that vary most in front.

    In the middle of a `cell` that begins at `left`; `share` of a picture's height high. What is hidden is not drawn: the
    front one and a strip of each of the others lie in one plane that runs away to the right.
    """
    if maps[0].size == 1:
        maps = maps.reshape(1, -1, 1)
    count, (h, w) = min(len(maps), 1 + round(0.7 * np.log2(len(maps)))), maps.shape[1:]
    chosen = maps[np.argsort(-maps.std((1, 2)), kind="stable")[:count]]
    planes = [np.asarray(Image.fromarray(plane).reduce(max(1, round(h / 64)) if w > 1 else 1)) for plane in chosen]
    columns = planes[0].shape[1]
    strip = max(1, round(0.08 * columns))
    seen = np.concatenate([planes[0], *(plane[:, -strip:] for plane in planes[1:])], 1)
    high = 0.76 * cell * share
    pixel = min(0.75 * high * w / h, 0.66 * cell) / columns if w > 1 else 0.07 * cell
    left += (cell - pixel * seen.shape[1]) / 2
    across = Affine2D.from_values(pixel, _RISE * pixel, 0, high, left, floor) + ax.transData
    low, top = np.percentile(chosen, (1, 99))
    ax.imshow(seen, extent=(0, seen.shape[1], 0, 1), interpolation="none", transform=across, clip_on=False,
              cmap="magma" if count > 1 or w == 1 else "gray", vmin=low, vmax=top)
    x = np.r_[0, columns + strip * np.arange(count)]
    edges = [*((at, at) for at in x), (0, x[-1]), (0, x[-1])], [*((0, 1) for _ in x), (0, 0), (1, 1)]
    ax.plot(*(np.array([(*pair, np.nan) for pair in of]).ravel() for of in edges), transform=across, color=SOFT, linewidth=0.6,
            clip_on=False)


def network(stages: Sequence[Stage], width: float = 10.4, columns: int = 10) -> Figure:
    """What flows through a net: a stack of a stage's maps after the other, each with its name and size, in rows of `columns`.

    stages : `nets.stages.stages`, the picture first; width : of the figure in inches. Of many maps those are drawn that vary
    most, each stage on its own scale from black to yellow.
    """
    rows = -(-len(stages) // columns)
    columns = -(-len(stages) // rows)
    cell = min(width / columns, 1.5)
    below, size = 0.5, (cell * columns, rows * (1.01 * cell + 0.5))
    fig = Figure(figsize=size, dpi=DPI)
    ax = fig.add_axes((0, 0, 1, 1), frame_on=False)
    highest = max(stage.maps.shape[1] for stage in stages if stage.maps.ndim == 3)
    for k, stage in enumerate(stages):
        left, floor = k % columns * cell, size[1] - (k // columns + 1) * size[1] / rows + below
        tall = stage.maps.shape[1] if stage.maps[0].size > 1 else highest
        _stack(ax, stage.maps, left, floor, cell, (tall / highest) ** 0.3)
        ax.text(left + cell / 2, floor - 0.06, stage.name, ha="center", va="top", fontsize=8, color=INK)
        ax.text(left + cell / 2, floor - 0.19, _said(stage.maps), ha="center", va="top", fontsize=8, color=SOFT)
    ax.set(xlim=(0, size[0]), ylim=(0, size[1]), aspect="auto")
    ax.set_axis_off()
    fig.set_label("; ".join(f"{stage.name}: {_said(stage.maps)}".replace("\n", " of ") for stage in stages))
    return fig
