"""Charts: losses, errors, what changes do, what confidence is worth."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter, MaxNLocator

from ..metrics import error_curve
from ..palette import BLUE, GREEN, GRID, IMPROVED, MEAN, ORANGE, PURPLE, SERIES, SOFT, WRITEUP
from .base import Figure, horizontal_bars, legend, new_chart


class _Plain(LogFormatter):
    """Labels the ticks of a log scale that matplotlib would, as 60 and 0.05 instead of powers of ten."""

    def __call__(self, x, pos=None):
        return f"{x:g}" if super().__call__(x, pos) else ""


def _finish_epochs(ax: Axes, mean_shape: float | None) -> None:
    """Epochs on a log scale, with the mean shape's value as a line, which is the legend's last."""
    if mean_shape is not None:
        ax.axhline(mean_shape, color=SOFT, linestyle="--", linewidth=1.2, label="mean shape (looks at no picture)")
    ax.set_yscale("log")
    ax.yaxis.set(major_formatter=_Plain(), minor_formatter=_Plain())
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(which="minor", color=GRID, linewidth=0.4)
    legend(ax)


def loss_curves(history: pd.DataFrame, mean_shape: float | None = None, title: str = "", ylabel: str = "loss") -> Figure:
    """Training and validation loss of each epoch on a log scale, with the mean shape's loss as a line."""
    fig, ax = new_chart(6.4, 4, "epoch", f"{ylabel} (log scale)", title)
    ax.plot(history.epoch, history.train_loss, color=BLUE, marker="o", markersize=3, label="training")
    ax.plot(history.epoch, history.val_loss, color=ORANGE, marker="o", markersize=3, label="validation")
    _finish_epochs(ax, mean_shape)
    return fig


def _recipe_colour(name: str) -> str | None:
    """The colour that the write-up's and our improved nets have in all charts; None for another name."""
    return IMPROVED if "improved" in name else WRITEUP if "write-up" in name else None


def compare_recipes(histories: dict[str, pd.DataFrame], mean_shape: float, ylabel: str) -> Figure:
    """Validation error of each epoch, in pixels or whatever `ylabel` says, for several recipes."""
    fig, ax = new_chart(6.4, 4, "epoch", f"{ylabel} (log scale)")
    styles = {WRITEUP: iter(("-", ":")), IMPROVED: iter("-"), BLUE: iter(("-", ":"))}          # the second of a kind is dotted
    for name, history in histories.items():
        colour = _recipe_colour(name) or BLUE
        ax.plot(history.epoch, history.val_error, label=name, linewidth=1.6, color=colour, linestyle=next(styles[colour], "--"))
    _finish_epochs(ax, mean_shape)
    return fig


def error_by_view(errors: np.ndarray, views: Sequence[str], unit: str) -> Figure:
    """Mean error of each group of pictures as bars; `views` names the group of each error."""
    fig, ax = new_chart(6.4, 3, f"mean error ({unit})")
    horizontal_bars(ax, pd.Series(errors).groupby(np.asarray(views)).mean().to_dict(), BLUE, "%.1f")
    return fig


def trade_off(curves: dict[str, dict[str, list[float]]], chosen: dict[str, float]) -> Figure:
    """Faces lost (percent) against wrong faces (in 100 pictures), a point for each threshold of a confidence.

    curves : name -> columns "threshold", "lost", "wrong"; chosen : name -> the threshold in use, which is marked
    """
    fig, ax = new_chart(6, 3.8, "wrong faces in 100 pictures", "faces lost, %")
    for colour, (name, curve) in zip(SERIES, curves.items()):
        wrong, lost = (np.array(curve[column]) for column in ("wrong", "lost"))
        ax.plot(wrong, lost, color=colour, marker=".", label=name)
        k = int(np.abs(np.array(curve["threshold"]) - chosen[name]).argmin())
        ax.plot(wrong[k], lost[k], "o", markersize=9, markerfacecolor="none", markeredgecolor=colour)
        ax.annotate(f"{curve['threshold'][k]:g}", (wrong[k], lost[k]), xytext=(7, 5), textcoords="offset points", color=colour)
    ax.set_xscale("symlog", linthresh=1)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_ylim(-0.3, 12)                                    # beyond that no threshold is of use
    legend(ax)
    return fig


def error_curves(errors: dict[str, np.ndarray], limit: float = 25.0) -> Figure:
    """Cumulative error distribution of each net: the share of faces (y) whose NME is at most x percent."""
    fig, ax = new_chart(6.4, 4, "NME, % of the distance between the outer eye corners", "share of faces")
    colours = {name: MEAN if name.lower().startswith("mean") else _recipe_colour(name) for name in errors}
    ax.set_prop_cycle(color=[colour for colour in dict.fromkeys((IMPROVED, *SERIES)) if colour not in colours.values()])
    for name, values in errors.items():
        x, y = error_curve(values, limit)
        ax.plot(x, y, label=f"{name} (mean {np.mean(values):.1f} %)", color=colours[name],
                linestyle="--" if colours[name] == MEAN else "-")
    ax.set(xlim=(0, limit), ylim=(0, 1))
    legend(ax)
    return fig


def ablation(rows: dict[str, dict], title: str) -> Figure:
    """What each change does to the validation NME: bars to the right made it worse, grey ones no more than another seed did.

    rows : {change: {"nme": percent, ...}}, one of them called "reference", and perhaps one "another seed"
    """
    base = rows["reference"]["nme"]
    changes = {name: row["nme"] - base for name, row in rows.items() if name != "reference"}
    chance = abs(changes.get("another seed", 0))
    fig, ax = new_chart(7.2, 0.3 * len(changes) + 1.1,
                        f"points of validation NME from the reference's {base:.2f} %: left is better", title=title)
    colours = [SOFT if abs(change) <= chance else ORANGE if change > 0 else BLUE for change in changes.values()]
    horizontal_bars(ax, changes, colours, "{:+z.2f}")
    ax.axvspan(-chance, chance, color=GRID, zorder=0)
    ax.axvline(0, color=SOFT, linewidth=1)
    ax.margins(x=0.15)
    ax.tick_params(axis="y", labelsize=8)
    return fig


def transfer(curves: dict[str, dict[int, float]], levels: dict[str, float]) -> Figure:
    """Errors on real photos of nets that have seen generated faces only, against how many there were.

    curves : net -> {number of faces: NME in percent}; levels : what to compare with -> NME in percent, dashed
    """
    fig, ax = new_chart(6.4, 4, "generated faces", "NME on real photos, %")
    for name, errors in curves.items():
        ax.plot(list(errors), list(errors.values()), marker="o", markersize=4, label=name)
    for colour, (name, error) in zip((SOFT, GREEN, PURPLE), levels.items()):
        ax.axhline(error, color=colour, linewidth=1.2, linestyle="--", label=name)
    ax.set_xscale("log")
    counts = sorted({count for errors in curves.values() for count in errors})
    ax.set_xticks(counts, [f"{count:,}" for count in counts])
    ax.minorticks_off()
    ax.set_ylim(0)
    legend(ax)
    return fig


def calibration(confidences: np.ndarray, errors: np.ndarray, groups: int = 8) -> Figure:
    """NME (%) against confidence: each face a dot, and the median and 90th percentile of equally large groups.

    Errors are on a log scale, on which a few lost faces press the others nowhere.
    """
    parts = [part for part in np.array_split(np.argsort(confidences), groups) if len(part)]
    centre = [np.median(confidences[part]) for part in parts]
    fig, ax = new_chart(6.4, 4, "confidence", "NME, % (log scale)")
    ax.scatter(confidences, errors, s=6, color=SOFT, alpha=0.5, linewidths=0, label="one face")
    for share, colour, label in ((50, BLUE, "median of an eighth of the faces"), (90, ORANGE, "nine in ten are below")):
        ax.plot(centre, [np.percentile(errors[part], share) for part in parts], color=colour, marker="o", label=label)
    ax.set_yscale("log")
    ax.yaxis.set(major_formatter=_Plain(), minor_formatter=_Plain())
    legend(ax)
    return fig


def region_bars(regions: dict[str, dict[str, float]]) -> Figure:
    """Error of each region of the face, one group of bars a net: {net: {region: percent}}."""
    fig, ax = new_chart(6.4, 3.4, ylabel="NME, %")
    colours = [MEAN, IMPROVED, *SERIES] if len(regions) > 1 else [BLUE]
    pd.DataFrame(regions).plot.bar(ax=ax, rot=0, width=0.75, legend=False, color=colours)
    ax.grid(visible=False, axis="x")
    if len(regions) > 1:
        legend(ax)
    return fig
