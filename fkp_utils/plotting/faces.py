"""Faces with their landmarks, and heatmaps over them.

Images are (h, w) uint8 or float arrays; landmarks (n, 2) in their pixels. Truth is drawn as blue dots,
prediction as orange crosses, in every figure (`palette`).
"""

import io
from base64 import b64encode
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from ..landmarks import Convention
from ..palette import BLUE, BOX, INK, NUMBER, PREDICTION, TRUTH
from .base import Figure, described, horizontal_bars, subplots


def show_face(ax: Axes, image: np.ndarray, truth=None, prediction=None, title: str = "",
              convention: Convention | None = None) -> None:
    """Draw one face, uint8 or float in [-0.5, 0.5], with its landmarks into `ax`, joined by the convention's lines if given."""
    black, white = (0, 255) if image.dtype == np.uint8 else (-0.5, 0.5)
    ax.imshow(image, cmap="gray", vmin=black, vmax=white)
    for points, colour, mark, what in ((truth, TRUTH, "o", "known (dots)"), (prediction, PREDICTION, "x", "found (crosses)")):
        if points is None:
            continue
        size, wide = (34, 2) if len(points) < 10 else (7, 1)
        ax.scatter(points[:, 0], points[:, 1], s=size, c=colour, marker=mark, linewidths=wide if mark == "x" else 0, zorder=3,
                   label=f"_{len(points)} landmark{'s' * (len(points) > 1)} {what}")          # for `described`, not for legends
        for index, closed in convention.lines if convention else ():
            path = points[[*index, index[0]] if closed else list(index)]
            ax.plot(path[:, 0], path[:, 1], color=colour, linewidth=0.8, alpha=0.75)
    ax.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
    ax.set_title(title, fontsize=9)
    ax.set_axis_off()


def face_grid(images: Sequence[np.ndarray], truths=None, predictions=None, titles=None, columns: int = 4,
              heading: str = "", convention: Convention | None = None) -> Figure:
    """A grid of faces; `truths`, `predictions` and `titles` are None or as long as `images`."""
    n = len(images)
    columns = min(columns, n)
    rows = -(-n // columns)
    h, w = images[0].shape[:2]
    height = (2.7 * h / w + 0.25) * rows + (0.35 if heading else 0)
    fig, axes = subplots(2.7 * columns, height, rows, columns, squeeze=False)
    for k, ax in enumerate(axes.flat):
        ax.set_axis_off()
        if k < n:
            show_face(ax, images[k], None if truths is None else truths[k], None if predictions is None else predictions[k],
                      titles[k] if titles else "", convention)
    if heading:
        fig.suptitle(heading, fontsize=11)
    return fig


def _number(ax: Axes, landmarks: np.ndarray, **how) -> None:
    for k, point in enumerate(landmarks):
        ax.annotate(str(k), point, xytext=(2, -2), textcoords="offset points", color=NUMBER, **how)


def numbered_landmarks(image: np.ndarray, landmarks: np.ndarray, convention: Convention, marked: int | None = None) -> Figure:
    """One large face with the number of each landmark; number `marked` stands out."""
    fig, ax = subplots(8, 8 * image.shape[0] / image.shape[1])
    show_face(ax, image, landmarks, convention=convention)
    _number(ax, landmarks, fontsize=7.5)
    if marked is not None:
        ax.scatter(*landmarks[marked], s=160, fc="none", edgecolors=PREDICTION, lw=2, zorder=4, label=f"_circle at {marked}")
    low, high = landmarks.min(0), landmarks.max(0)
    pad = 0.35 * (high - low).max()
    ax.set_xlim(max(low[0] - pad, -0.5), min(high[0] + pad, image.shape[1] - 0.5))
    ax.set_ylim(min(high[1] + pad / 2, image.shape[0] - 0.5), max(low[1] - pad, -0.5))
    return fig


def face_with_options(image: np.ndarray, landmarks: np.ndarray | None, convention: Convention, shown: bool, numbers: bool,
                      title: str = "", prediction: np.ndarray | None = None) -> Figure:
    """One face, with or without its landmarks and their numbers, and what a net says of it."""
    fig, ax = subplots(5.6, 5.6 * image.shape[0] / image.shape[1] + 0.3)
    show_face(ax, image, landmarks if shown else None, prediction, title, convention)
    if numbers and landmarks is not None:
        _number(ax, landmarks, fontsize=7, clip_on=True)
    return fig


def error_details(image: np.ndarray, truth: np.ndarray, prediction: np.ndarray, regions: dict[str, float],
                  title: str, convention: Convention, limit: float) -> Figure:
    """One face with truth and prediction, and beside it the error of each region, {region: percent}, up to `limit`."""
    fig, (face, bars) = subplots(7.6, 3.6, 1, 2)
    show_face(face, image, truth, prediction, title, convention)
    horizontal_bars(bars, regions, BLUE, "%.1f")
    bars.set(xlim=(0, 1.15 * limit), xlabel="NME, %")
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


def found_in_scenes(images: Sequence[np.ndarray], heatmaps: Sequence[np.ndarray], points: Sequence[np.ndarray]) -> Figure:
    """Scenes above, with the boxes of the faces found in them, and below the heatmaps of the faces' centres.

    images : k times (h, w); heatmaps : k times (height, width), from 0 to 1, of any size; points : k times (n, 2, 2), each
    face's centre and the middle of its box's upper edge, in pixels of the images
    """
    fig, axes = subplots(2.3 * len(images), 4.8, 2, len(images), squeeze=False)
    for k, (scene, below) in enumerate(axes.T):
        show_face(scene, images[k])
        for centre, top in points[k]:
            up = top - centre
            aside = np.array([-up[1], up[0]])
            corners = np.array([up + aside, up - aside, -up - aside, -up + aside, up + aside]) + centre
            scene.plot(*corners.T, color=BOX, linewidth=1.2)
            scene.plot(*np.array([centre, top]).T, color=PREDICTION, linewidth=1.2)
        below.imshow(heatmaps[k], cmap="inferno", vmin=0, vmax=1)
        below.set_axis_off()
    fig.set_label(f"{len(images)} scenes with boxes of {sum(map(len, points))} faces found, and below heatmaps of centres")
    return fig


def sketch(caption: str, images: Iterable[np.ndarray], given: Sequence, answers: Sequence) -> str:
    """HTML of pictures (h, w) on a ground for light and dark pages: points (n, 2) or None on each, given and answered ones."""
    fig, file, small = face_grid([*images], given, answers), io.BytesIO(), io.BytesIO()
    for ax, *both in zip(fig.axes, given, answers):
        for points in (points for points in both if points is not None and len(points) > 1):
            _number(ax, points, fontsize=11)
    fig.savefig(file, format="png", facecolor=INK)
    Image.open(file).quantize(32).save(small, "png", optimize=True)
    return (f'<p>{caption}</p><img alt="{caption}; {described(fig)}" width="{80 * fig.get_figwidth():.0f}" '
            f'src="data:image/png;base64,{b64encode(small.getvalue()).decode()}">')


def heatmap_details(image: np.ndarray, heatmap: np.ndarray, peak: np.ndarray, mean: np.ndarray, title: str) -> Figure:
    """A landmark's heatmap (height, width), of any size, over a face (h, w); its brightest pixel and the point read off it."""
    fig, (left, right) = subplots(7.6, 3.9, 1, 2)
    h, w = image.shape
    for ax in (left, right):
        show_face(ax, image)
        ax.imshow(heatmap, cmap="inferno", alpha=0.55, extent=(-0.5, w - 0.5, h - 0.5, -0.5), interpolation="nearest")
        ax.scatter(*peak, marker="s", s=46, facecolors="none", edgecolors=TRUTH, label="argmax", zorder=3)
        ax.scatter(*mean, marker="+", s=80, c=PREDICTION, label="read off", zorder=3)
    reach = max(6.0, 3.5 * w / heatmap.shape[1])
    right.set(xlim=(mean[0] - reach, mean[0] + reach), ylim=(mean[1] + reach, mean[1] - reach))
    right.set_title(f"enlarged; the two are {np.linalg.norm(peak - mean):.2f} px apart", fontsize=9)
    left.set_title(title, fontsize=9)
    left.legend(fontsize=7, loc="lower right")
    return fig


def superimpose(ax: Axes, heatmaps: np.ndarray, size: tuple[int, int], least: float) -> None:
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
    fig, axes = subplots(5.6, 2.95 * len(images), len(images), 2, squeeze=False)
    for k, (face, maps) in enumerate(axes):
        show_face(face, images[k], None, None if points is None else points[k], titles[k] if titles else "", convention)
        show_face(maps, images[k], title=f"{len(heatmaps[k])} heatmaps, superimposed")
        superimpose(maps, heatmaps[k], images[k].shape[:2], 0.25)
    return fig
