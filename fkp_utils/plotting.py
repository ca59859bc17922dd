"""Every figure of the course. Functions take arrays, return a matplotlib Figure and save nothing.

Images are (h, w) uint8 or float arrays; landmarks (n, 2) in their pixels. Truth is drawn as blue dots,
prediction as orange crosses, in every figure (`palette`).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw

from .landmarks import Convention, box_corners
from .metrics import error_curve
from .nets.stages import Stage
from .palette import BLUE, BOX, GREEN, GRID, INK, LINE, NUMBER, ORANGE, PREDICTION, SERIES, SOFT, TRUTH

DPI = 110                            # of a figure on screen


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def _chart(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty chart in the palette's colours: no frame but the two axes, a light grid behind the data."""
    fig = _figure(width, height)
    ax = fig.subplots()
    ax.set_prop_cycle(color=SERIES)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(SOFT)
    ax.tick_params(which="both", colors=SOFT, labelcolor=INK)
    ax.xaxis.label.set_color(INK)
    ax.yaxis.label.set_color(INK)
    ax.grid(color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    return fig, ax


def _legend(ax: Axes, **how) -> None:
    ax.legend(fontsize=8, frameon=False, labelcolor=INK, **how)


def show_face(ax: Axes, image: np.ndarray, truth=None, prediction=None, title: str = "",
              convention: Convention | None = None) -> None:
    """Draw one face with its landmarks into `ax`, joined by the convention's lines if it is given."""
    ax.imshow(image, cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else None)
    for points, colour, mark in ((truth, TRUTH, "o"), (prediction, PREDICTION, "x")):
        if points is None:
            continue
        size, wide = (34, 2) if len(points) == 1 else (7, 1)
        ax.scatter(points[:, 0], points[:, 1], s=size, c=colour, marker=mark, linewidths=wide if mark == "x" else 0, zorder=3)
        for index, closed in convention.lines if convention else ():
            path = points[[*index, index[0]] if closed else list(index)]
            ax.plot(path[:, 0], path[:, 1], color=colour, linewidth=0.8, alpha=0.75)
    ax.set_xlim(-0.5, image.shape[1] - 0.5)
    ax.set_ylim(image.shape[0] - 0.5, -0.5)
    ax.set_title(title, fontsize=9)
    ax.set_axis_off()


def face_grid(images: Sequence[np.ndarray], truths=None, predictions=None, titles=None, columns: int = 4,
              heading: str = "", convention: Convention | None = None) -> Figure:
    """A grid of faces; `truths`, `predictions` and `titles` are None or as long as `images`."""
    n = len(images)
    columns = min(columns, n)
    rows = -(-n // columns)
    h, w = images[0].shape[:2]
    fig = _figure(2.7 * columns, (2.7 * h / w + 0.25) * rows + (0.35 if heading else 0))
    axes = fig.subplots(rows, columns, squeeze=False).ravel()
    for k, ax in enumerate(axes):
        if k < n:
            show_face(ax, images[k], None if truths is None else truths[k], None if predictions is None else predictions[k],
                      titles[k] if titles else "", convention)
        else:
            ax.set_axis_off()
    if heading:
        fig.suptitle(heading, fontsize=11)
    return fig


def numbered_landmarks(image: np.ndarray, landmarks: np.ndarray, convention: Convention, marked: int | None = None) -> Figure:
    """One large face with the number of each landmark; number `marked` stands out."""
    fig = _figure(8, 8 * image.shape[0] / image.shape[1])
    ax = fig.subplots()
    show_face(ax, image, landmarks, convention=convention)
    for k, (x, y) in enumerate(landmarks):
        ax.annotate(str(k), (x, y), xytext=(2, -2), textcoords="offset points", fontsize=7.5, color=NUMBER)
    if marked is not None:
        x, y = landmarks[marked]
        ax.scatter(x, y, s=160, facecolors="none", edgecolors=PREDICTION, linewidths=2, zorder=4)
    low, high = landmarks.min(0), landmarks.max(0)
    pad = 0.35 * (high - low).max()
    ax.set_xlim(max(low[0] - pad, -0.5), min(high[0] + pad, image.shape[1] - 0.5))
    ax.set_ylim(min(high[1] + pad / 2, image.shape[0] - 0.5), max(low[1] - pad, -0.5))
    return fig


def face_with_options(image: np.ndarray, landmarks: np.ndarray | None, convention: Convention, shown: bool, numbers: bool,
                      title: str = "", prediction: np.ndarray | None = None) -> Figure:
    """One face, with or without its landmarks and their numbers, and what a net says of it."""
    fig = _figure(5.6, 5.6 * image.shape[0] / image.shape[1] + 0.3)
    ax = fig.subplots()
    show_face(ax, image, landmarks if shown else None, prediction, title, convention)
    if numbers and landmarks is not None:
        for k, (x, y) in enumerate(landmarks):
            ax.annotate(str(k), (x, y), xytext=(2, -2), textcoords="offset points", fontsize=7, color=NUMBER, clip_on=True)
    return fig


def error_details(image: np.ndarray, truth: np.ndarray, prediction: np.ndarray, regions: dict[str, float],
                  title: str, convention: Convention, limit: float) -> Figure:
    """One face with truth and prediction, and beside it the error of each region, {region: percent}, up to `limit`."""
    fig = _figure(7.6, 3.6)
    face, bars = fig.subplots(1, 2, width_ratios=(1, 1))
    show_face(face, image, truth, prediction, title, convention)
    drawn = bars.barh(list(regions), list(regions.values()), color=BLUE)
    bars.bar_label(drawn, color=INK, fmt="%.1f", padding=3, fontsize=8)
    bars.invert_yaxis()
    bars.set_xlim(0, 1.15 * limit)
    bars.set_xlabel("NME, %")
    return fig


def heatmap_details(image: np.ndarray, heatmap: np.ndarray, peak: np.ndarray, mean: np.ndarray, title: str) -> Figure:
    """A landmark's heatmap (height, width), of any size, over a face (h, w); its brightest pixel and the point read off it."""
    fig = _figure(7.6, 3.9)
    left, right = fig.subplots(1, 2)
    h, w = image.shape
    for ax in (left, right):
        show_face(ax, image)
        ax.imshow(heatmap, cmap="inferno", alpha=0.55, extent=(-0.5, w - 0.5, h - 0.5, -0.5), interpolation="nearest")
        ax.scatter(*peak, marker="s", s=46, facecolors="none", edgecolors=TRUTH, label="argmax", zorder=3)
        ax.scatter(*mean, marker="+", s=80, c=PREDICTION, label="read off", zorder=3)
    reach = max(6.0, 3.5 * w / heatmap.shape[1])
    right.set_xlim(mean[0] - reach, mean[0] + reach)
    right.set_ylim(mean[1] + reach, mean[1] - reach)
    right.set_title(f"enlarged; the two are {np.linalg.norm(peak - mean):.2f} px apart", fontsize=9)
    left.set_title(title, fontsize=9)
    left.legend(fontsize=7, loc="lower right")
    return fig


def feature_maps(image: np.ndarray, maps: np.ndarray, weight: np.ndarray, title: str, limit: int = 12) -> Figure:
    """What a layer sees: a face (h, w), the layer's first filters (out, in, k, k) and their maps (out, h', w')."""
    count = min(limit, len(maps))
    fig = _figure(1.1 * count / 2 + 2.6, 4.6)
    axes = fig.subplots(4, 2 + count // 2 + count % 2, squeeze=False)
    for ax in axes.ravel():
        ax.set_axis_off()
    grid = axes[0, 0].get_gridspec()
    show_face(fig.add_subplot(grid[1:3, :2]), image, title="the face")
    span = float(np.abs(weight[:, 0]).max())
    for k in range(count):
        row, column = 2 * (k % 2), 2 + k // 2
        axes[row, column].imshow(weight[k, 0], cmap="RdBu_r", vmin=-span, vmax=span)
        axes[row, column].set_title(f"filter {k}", fontsize=7)
        axes[row + 1, column].imshow(maps[k], cmap="magma")
    fig.suptitle(title, fontsize=10)
    return fig


def _epochs(ax: Axes, ylabel: str) -> None:
    ax.set_yscale("log")
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylabel(ylabel)
    ax.grid(which="minor", color=GRID, linewidth=0.4)


def loss_curves(history: pd.DataFrame, mean_shape: float | None = None, title: str = "", ylabel: str = "loss") -> Figure:
    """Training and validation loss of each epoch on a log scale, with the mean shape's loss as a line."""
    fig, ax = _chart(6.4, 4)
    ax.plot(history.epoch, history.train_loss, color=BLUE, marker="o", markersize=3, label="training")
    ax.plot(history.epoch, history.val_loss, color=ORANGE, marker="o", markersize=3, label="validation")
    if mean_shape is not None:
        ax.axhline(mean_shape, color=SOFT, linestyle="--", linewidth=1.2, label="mean shape (looks at no picture)")
    _epochs(ax, f"{ylabel} (log scale)")
    ax.set_title(title, fontsize=10, color=INK)
    _legend(ax)
    return fig


def compare_recipes(histories: dict[str, pd.DataFrame], mean_shape: float, ylabel: str) -> Figure:
    """Validation error of each epoch, in pixels or whatever `ylabel` says, for several recipes."""
    fig, ax = _chart(6.4, 4)
    for name, history in histories.items():
        ax.plot(history.epoch, history.val_error, label=name, linewidth=1.6)
    ax.axhline(mean_shape, color=SOFT, linestyle="--", linewidth=1.2, label="mean shape (looks at no picture)")
    _epochs(ax, f"{ylabel} (log scale)")
    _legend(ax)
    return fig


def extremes(errors: np.ndarray, count: int, worst: bool) -> np.ndarray:
    """Indices of the `count` faces with the largest (worst) or smallest errors, most extreme first."""
    order = np.argsort(errors, kind="stable")
    return order[::-1][:count] if worst else order[:count]


def ranked_faces(images, truths, predictions, errors, worst: bool, unit: str, names=None, count: int = 4,
                 convention: Convention | None = None) -> Figure:
    """The best or worst predictions by measured error, with the error in each caption."""
    chosen = extremes(errors, count, worst)
    titles = [f"{names[i] + ': ' if names else ''}{errors[i]:.1f} {unit}" for i in chosen]
    return face_grid([images[i] for i in chosen], [truths[i] for i in chosen], [predictions[i] for i in chosen], titles,
                     columns=count, convention=convention)


def filters(weight: np.ndarray, title: str = "") -> Figure:
    """Filters of a convolution, (out, in, k, k): a row an output channel, a column an input channel.

    A layer with one input channel is drawn as one row of filters.
    """
    out_channels, in_channels = weight.shape[:2]
    grid = weight.swapaxes(0, 1) if in_channels == 1 else weight
    rows, columns = grid.shape[:2]
    fig = _figure(*((min(6, 0.6 * side + 0.4) for side in (columns, rows)) if rows > 1 else (min(8, 0.6 * columns + 0.4), 1.2)))
    axes = fig.subplots(rows, columns, squeeze=False)
    limit = float(np.abs(weight).max())
    for row, line in zip(axes, grid):
        for ax, kernel in zip(row, line):
            ax.imshow(kernel, cmap="RdBu_r", vmin=-limit, vmax=limit)
            ax.set_xticks([])
            ax.set_yticks([])
    label = f"{out_channels} filters" + (f" (rows) on {in_channels} channels (columns)" if in_channels > 1 else "")
    fig.suptitle(f"{title}: {label}", fontsize=10)
    return fig


def strongest_filters(weights: dict[str, np.ndarray], count: int = 12) -> Figure:
    """The kernels with the largest weights of each layer, a row a layer: {layer: (out, in, k, k)}."""
    fig = _figure(0.72 * count + 0.9, 0.95 * len(weights) + 0.3)
    axes = fig.subplots(len(weights), count, squeeze=False)
    for row, (name, weight) in zip(axes, weights.items()):
        kernels = weight.reshape(-1, *weight.shape[2:])
        chosen = np.argsort(-np.square(kernels).sum((1, 2)), kind="stable")[:count]
        span = float(np.abs(kernels[chosen]).max())
        for ax, k in zip(row, chosen):
            ax.imshow(kernels[k], cmap="RdBu_r", vmin=-span, vmax=span)
            ax.set_title("{} on {}".format(*divmod(int(k), weight.shape[1])), fontsize=7)
            ax.set_xticks([])
            ax.set_yticks([])
        row[0].set_ylabel(name, fontsize=8)
    return fig


def error_by_view(errors: np.ndarray, views: Sequence[str], unit: str) -> Figure:
    """Mean error of each group of pictures as bars; `views` names the group of each error."""
    table = pd.DataFrame({"view": views, "error": errors}).groupby("view").error.mean()
    fig, ax = _chart(6.4, 3)
    bars = ax.barh(table.index, table.values, color=BLUE)
    ax.bar_label(bars, color=INK, fmt="%.1f", padding=3, fontsize=8)
    ax.set_xlabel(f"mean error ({unit})")
    ax.invert_yaxis()
    return fig


def drawn_on(photo: np.ndarray, landmarks: Sequence[np.ndarray], boxes: Sequence[np.ndarray], rolls: Sequence[float],
             convention: Convention | None = None) -> np.ndarray:
    """A photo with the faces found in it drawn on: uint8 (h, w, 3), or a multiple of it where the photo is smaller than 480 px.

    Points, the convention's lines and the boxes are as wide as each face's size asks for. Everything is drawn at four times
    the resolution for small faces and then shrunk, so that edges are smooth.

    photo : uint8 (h, w, 3); landmarks : k times (n, 2) in its pixels; boxes : k times (4,); rolls : k, degrees
    """
    larger = max(1, min(4, round(480 / max(photo.shape[:2]))))
    picture = Image.fromarray(photo)
    picture = picture.resize([larger * side for side in picture.size], Image.Resampling.BICUBIC) if larger > 1 else picture
    for points, box, roll in zip(landmarks, boxes, rolls):
        [corners] = box_corners(np.asarray(box)[None], np.array([roll]))
        shapes = np.concatenate([points, corners])
        size = larger * max(np.sqrt(np.prod(np.ptp(points, 0))), 0.3 * np.sqrt(np.prod(box[2:])), 1)
        fine = 4 if size < 400 else 2 if size < 1000 else 1
        stroke = max(1.0, size / 130)
        low = np.maximum(np.floor(larger * shapes.min(0) - 4 * stroke), 0).astype(int)
        high = np.minimum(np.ceil(larger * shapes.max(0) + 4 * stroke), picture.size).astype(int)
        if (high <= low).any():
            continue
        part = picture.crop((*low, *high))
        sheet = part.resize([fine * side for side in part.size], Image.Resampling.BICUBIC) if fine > 1 else part
        pen = ImageDraw.Draw(sheet)

        def place(xy, low=low, fine=fine):
            return [tuple(p) for p in (((xy + 0.5) * larger - low) * fine - 0.5).tolist()]

        wide = max(1, round(stroke * fine))
        pen.line([*place(corners), *place(corners[:1])], fill=BOX, width=wide, joint="curve")
        for index, closed in convention.lines if convention else ():
            path = place(points[[*index, index[0]] if closed else list(index)])
            pen.line(path, fill=LINE, width=wide, joint="curve")
        for x, y in place(points):
            pen.circle((x, y), 1.1 * stroke * fine, fill=PREDICTION)
        picture.paste(sheet.resize(part.size, Image.Resampling.BOX) if fine > 1 else sheet, tuple(low.tolist()))
    return np.asarray(picture)


def photo_figure(photo: np.ndarray, title: str = "") -> Figure:
    """A photo, uint8 (h, w, 3), as a figure of at most 7 inches that is saved with at least the photo's pixels."""
    h, w = photo.shape[:2]
    width = min(7.0, max(4.0, 5.5 * w / h))
    fig = Figure(figsize=(width, width * h / w + (0.35 if title else 0)), dpi=max(DPI, w / width),
                 layout=ConstrainedLayoutEngine(w_pad=0, h_pad=0))
    show_face(fig.subplots(), photo, title=title)
    return fig


def photo_with_points(photo: np.ndarray, points: np.ndarray | None) -> Figure:
    """A photo, uint8 (h, w, 3), of 360 px on the screen, and points (n, 2) on it, or None."""
    fig = Figure(figsize=(360 / DPI, 360 / DPI * photo.shape[0] / photo.shape[1]), dpi=DPI)
    show_face(fig.add_axes((0, 0, 1, 1)), photo, prediction=points)
    return fig


def _superimpose(ax: Axes, heatmaps: np.ndarray, size: tuple[int, int], least: float) -> None:
    """Heatmaps (n, height, width) over a face of `size`, each scaled to its own peak; `least` is how opaque their floor is."""
    maps, (h, w) = np.clip(heatmaps, 0, None), size
    together = (maps / np.maximum(maps.max((1, 2), keepdims=True), 1e-12)).max(0)
    ax.imshow(together, cmap="inferno", vmin=0, vmax=1, alpha=np.clip(least + together, 0, 1),
              extent=(-0.5, w - 0.5, h - 0.5, -0.5), interpolation="bilinear")


def heatmap_overlay(images: Sequence[np.ndarray], heatmaps: Sequence[np.ndarray], points=None, titles=None,
                    convention: Convention | None = None) -> Figure:
    """Faces beside their heatmaps, all landmarks' maps superimposed, each scaled to its own peak.

    images : k times (h, w); heatmaps : k times (n, height, width), of any size, stretched over the face;
    points : None or k times (n, 2), drawn on the faces
    """
    fig = _figure(5.6, 2.95 * len(images))
    for k, row in enumerate(fig.subplots(len(images), 2, squeeze=False)):
        show_face(row[0], images[k], prediction=None if points is None else points[k], title=titles[k] if titles else "",
                  convention=convention)
        show_face(row[1], images[k], title=f"{len(heatmaps[k])} heatmaps, superimposed")
        _superimpose(row[1], heatmaps[k], images[k].shape[:2], 0.25)
    return fig


def found_in_scenes(images: Sequence[np.ndarray], heatmaps: Sequence[np.ndarray], points: Sequence[np.ndarray]) -> Figure:
    """Scenes above, with the boxes of the faces found in them, and below the heatmaps of the faces' centres.

    images : k times (h, w); heatmaps : k times (height, width), from 0 to 1, of any size; points : k times (n, 2, 2), each
    face's centre and the middle of its box's upper edge, in pixels of the images
    """
    fig = _figure(2.3 * len(images), 4.8)
    for k, (scene, below) in enumerate(fig.subplots(2, len(images), squeeze=False).T):
        show_face(scene, images[k])
        for centre, top in points[k]:
            up = top - centre
            aside = np.array([-up[1], up[0]])
            corners = np.array([up + aside, up - aside, -up - aside, -up + aside, up + aside]) + centre
            scene.plot(*corners.T, color=BOX, linewidth=1.2)
            scene.plot(*np.array([centre, top]).T, color=PREDICTION, linewidth=1.2)
        below.imshow(heatmaps[k], cmap="inferno", vmin=0, vmax=1)
        below.set_axis_off()
    return fig


def trade_off(curves: dict[str, dict[str, list[float]]], chosen: dict[str, float]) -> Figure:
    """Faces lost (percent) against wrong faces (in 100 pictures), a point for each threshold of a confidence.

    curves : name -> columns "threshold", "lost", "wrong"; chosen : name -> the threshold in use, which is marked
    """
    fig, ax = _chart(6, 3.8)
    for colour, (name, curve) in zip(SERIES, curves.items()):
        wrong, lost = (np.array(curve[column]) for column in ("wrong", "lost"))
        ax.plot(wrong, lost, color=colour, marker=".", label=name)
        k = int(np.abs(np.array(curve["threshold"]) - chosen[name]).argmin())
        ax.plot(wrong[k], lost[k], "o", markersize=9, markerfacecolor="none", markeredgecolor=colour)
        ax.annotate(f"{curve['threshold'][k]:g}", (wrong[k], lost[k]), xytext=(7, 5), textcoords="offset points", color=colour)
    ax.set_xscale("symlog", linthresh=1)
    ax.set_xlabel("wrong faces in 100 pictures")
    ax.set_ylabel("faces lost, %")
    ax.set_ylim(-0.3, 12)                                    # beyond that no threshold is of use
    _legend(ax)
    return fig


def error_curves(errors: dict[str, np.ndarray], limit: float = 25.0) -> Figure:
    """Cumulative error distribution of each net: the share of faces (y) whose NME is at most x percent."""
    fig, ax = _chart(6.4, 4)
    for name, values in errors.items():
        colour, style = (SOFT, "--") if name.lower().startswith("mean") else (None, "-")
        x, y = error_curve(values, limit)
        ax.plot(x, y, label=f"{name} (mean {np.mean(values):.1f} %)", color=colour, linestyle=style)
    ax.set_xlabel("NME, % of the distance between the outer eye corners")
    ax.set_ylabel("share of faces")
    ax.set_xlim(0, limit)
    ax.set_ylim(0, 1)
    _legend(ax, loc="lower right")
    return fig


def ablation(rows: dict[str, dict], title: str) -> Figure:
    """What each change does to the validation NME: bars to the right made it worse.

    rows : {change: {"nme": percent, ...}}, one of them called "reference"
    """
    base = rows["reference"]["nme"]
    changes = {name: row["nme"] - base for name, row in rows.items() if name != "reference"}
    fig, ax = _chart(7.2, 0.3 * len(changes) + 1.1)
    bars = ax.barh(list(changes), list(changes.values()), color=[ORANGE if d > 0 else GREEN for d in changes.values()])
    ax.bar_label(bars, color=INK, fmt="{:+z.2f}", padding=3, fontsize=8)
    ax.axvline(0, color=SOFT, linewidth=1)
    ax.margins(x=0.15)
    ax.invert_yaxis()
    ax.tick_params(axis="y", labelsize=8)
    ax.set_xlabel(f"change of the validation NME in points (reference: {base:.2f} %)")
    ax.set_title(title, fontsize=10, color=INK)
    return fig


def transfer(curves: dict[str, dict[int, float]], levels: dict[str, float]) -> Figure:
    """Errors on real photos of nets that have seen generated faces only, against how many there were.

    curves : net -> {number of faces: NME in percent}; levels : what to compare with -> NME in percent, dashed
    """
    fig, ax = _chart(6.4, 4)
    for name, errors in curves.items():
        ax.plot(list(errors), list(errors.values()), marker="o", markersize=4, label=name)
    for colour, (name, error) in zip((SOFT, GREEN), levels.items()):
        ax.axhline(error, color=colour, linewidth=1.2, linestyle="--", label=name)
    ax.set_xscale("log")
    counts = sorted({count for errors in curves.values() for count in errors})
    ax.set_xticks(counts, [f"{count:,}" for count in counts])
    ax.minorticks_off()
    ax.set_ylim(0)
    ax.set_xlabel("generated faces")
    ax.set_ylabel("NME on real photos, %")
    _legend(ax, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return fig


def calibration(confidences: np.ndarray, errors: np.ndarray, groups: int = 8) -> Figure:
    """NME (%) against confidence: each face a dot, and the median and 90th percentile of equally large groups."""
    order = np.argsort(confidences)
    parts = [part for part in np.array_split(order, groups) if len(part)]
    centre = [np.median(confidences[part]) for part in parts]
    fig, ax = _chart(6.4, 4)
    ax.scatter(confidences, errors, s=6, color=SOFT, alpha=0.5, linewidths=0, label="one face")
    for share, colour, label in ((50, BLUE, "median of an eighth of the faces"), (90, ORANGE, "nine in ten are below")):
        ax.plot(centre, [np.percentile(errors[part], share) for part in parts], color=colour, marker="o", label=label)
    ax.set_ylim(0, 1.05 * np.percentile(errors, 99.5))
    ax.set_xlabel("confidence")
    ax.set_ylabel("NME, %")
    _legend(ax)
    return fig


def region_bars(regions: dict[str, dict[str, float]]) -> Figure:
    """Error of each region of the face, one group of bars a net: {net: {region: percent}}."""
    fig, ax = _chart(6.4, 3.4)
    pd.DataFrame(regions).plot.bar(ax=ax, rot=0, width=0.75, color=[SOFT, *SERIES] if len(regions) > 1 else [BLUE])
    ax.set_ylabel("NME, %")
    ax.grid(visible=False, axis="x")
    _legend(ax, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(regions))          # above: the bars may fill the chart
    return fig


def _bar(stage: Stage) -> tuple[float, float]:
    """Width and height of a stage's bar: logarithms of its channels and of its picture's height, or of its features."""
    channels, height = stage.shape[:2] if len(stage.shape) == 3 else (1, stage.shape[0])
    return 0.1 + 0.085 * np.log2(channels + 1), 0.3 + 0.5 * np.log2(height)


def network(stages: Sequence[Stage]) -> Figure:
    """A net's shapes from left to right: a bar a stage, high as its pictures and wide as its channels are many (logarithms).

    Blue is a convolution or a block of them, grey pooling, orange what enlarges, green a fully connected layer.
    """
    fig = _figure(max(5.5, 0.55 * len(stages) + 0.6), 3.2)
    ax = fig.subplots()
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
    ax.set_xlim(-0.8, len(stages) - 0.3)
    ax.set_ylim(bottom - (1.9 if many else 0.8), -bottom + 1.5)
    ax.set_axis_off()
    return fig


def teaser(photo: np.ndarray, crop: np.ndarray, heatmaps: np.ndarray, drawn: np.ndarray) -> Figure:
    """Three squares side by side: a photo (h, w, 3), the heatmaps (n, height, width) over a crop (s, s), and what was found."""
    fig = Figure(figsize=(10.8, 3.6), dpi=DPI)
    for k, picture in enumerate((photo, crop, drawn)):
        ax = fig.add_axes((k / 3 + 0.003 * (k > 0), 0, 1 / 3 - 0.006 * (k < 2), 1))
        show_face(ax, picture)
        if k == 1:
            _superimpose(ax, heatmaps, crop.shape[:2], 0.3)
        ax.set_aspect("auto")
    return fig


def recipes_compared(rows: dict[str, dict[str, dict[str, float]]]) -> Figure:
    """Each part's error in percent of the mean shape's, a panel a kind of faces: {faces: {part: {recipe: percent}}}."""
    fig = _figure(9.2, 3.4)
    for ax, (faces, parts) in zip(fig.subplots(1, len(rows), sharey=True, squeeze=False)[0], rows.items()):
        for k, recipes in enumerate(parts.values()):
            for j, (name, percent) in enumerate(recipes.items()):
                y = k + 0.38 * (j - 0.5)
                ax.barh([y], [percent], height=0.34, color=(SOFT, BLUE)[j], label=name if k == 0 else None)
                ax.annotate(f"{percent:.0f}", (percent, y), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8,
                            color=INK)
        ax.axvline(100, color=ORANGE, linestyle="--", linewidth=1.2, label="mean shape")
        ax.set_yticks(range(len(parts)), list(parts))
        ax.set_title(faces, fontsize=10, color=INK)
        ax.set_xlim(0, 122)
        ax.set_xlabel("error, % of the mean shape's", color=INK)
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.spines["bottom"].set_color(SOFT)
        ax.tick_params(colors=SOFT, labelcolor=INK, length=0)
    ax.invert_yaxis()
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=8, frameon=False, labelcolor=INK)
    return fig
