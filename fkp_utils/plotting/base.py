"""What all figures share: how they look in a notebook and in a file, and empty charts in the palette's colours."""

import io
import pickle
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from textwrap import fill
from typing import Any

from matplotlib import figure, rcParams
from matplotlib.axes import Axes
from matplotlib.category import StrCategoryFormatter
from matplotlib.container import BarContainer

from ..marks import mark
from ..palette import GRID, INK, SERIES, SOFT

DPI = 110                            # of a figure on screen
CHART = {"needs_background": "light"}     # of an output: JupyterLab then marks it; see course/lab_style/custom.css
PHONE = 3.2                          # inches: what a phone's screen has room for


class Figure(figure.Figure):
    """A matplotlib Figure that a notebook shows without `%matplotlib`, and that says in its file that the project made it."""

    def _repr_png_(self) -> bytes | None:
        from IPython.core.getipython import get_ipython

        shell = get_ipython()
        formatters = shell.display_formatter.formatters.values() if shell and shell.display_formatter else ()
        if any(figure.Figure in formatter.type_printers for formatter in formatters):
            return None                                   # %matplotlib shows all figures as the user wants them
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()

    def savefig(self, fname, **how) -> None:
        """As matplotlib's; all that can be read as a photo gets a mark."""
        name = str(fname) if isinstance(fname, str | PathLike) else ""
        ending = how.get("format") or Path(name).suffix[1:] or rcParams["savefig.format"]
        if ending.lower() in ("jpg", "jpeg", "png", "webp", "tif", "tiff", "gif", "avif"):
            how["pil_kwargs"] = {**mark(ending, {}), **how.get("pil_kwargs", {})}
        super().savefig(fname, **how)

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        """No pictures, which formatters make, but what nbconvert's HTML says in their place; JupyterLab hears of charts."""
        alt, photos = {"alt": described(self)}, any(ax.images for ax in self.axes)
        return {}, {"image/jpeg": alt, "image/png": alt, **({} if photos else CHART)}


def described(fig: figure.Figure) -> str:
    """What a figure shows, in words: of pictures number, titles and marks, of charts title, axes, and series or bars."""
    if fig.get_label():
        return str(fig.get_label())
    words = [fig.get_suptitle()] if fig.get_suptitle() else []
    if pictures := [ax for ax in fig.axes if ax.images]:
        marks = dict.fromkeys(str(part.get_label()) for ax in pictures for part in ax.collections)
        words.append(", ".join(filter(None, [
            f"{len(pictures)} picture{'s' * (len(pictures) > 1)}", *(ax.get_title() for ax in pictures),
            *(mark.lstrip("_") for mark in marks if not mark.startswith("_child"))])))             # matplotlib's own names
    for ax in (ax for ax in fig.axes if ax.axison and not ax.images):
        series = {label: label for label in ax.get_legend_handles_labels()[1] if not label.startswith("_")}
        for bars in (part for part in ax.containers if isinstance(part, BarContainer)):
            flat, label = bars.orientation == "horizontal", str(bars.get_label())
            named = zip(ax.get_yticklabels() if flat else ax.get_xticklabels(), bars)
            lengths = ", ".join(f"{name.get_text()} {bar.get_width() if flat else bar.get_height():.3g}" for name, bar in named)
            series[label] = f"{label}: {lengths}" if label in series else lengths
        axes = " over ".join(filter(None, [ax.get_ylabel(), ax.get_xlabel()]))
        words.append(", ".join(filter(None, [ax.get_title(), axes, *series.values()])))
    return "; ".join(filter(None, words)) or "a drawing"


def subplots(width: float, height: float, rows: int = 1, columns: int = 1, **how) -> tuple[Figure, Any]:
    """As pyplot's, which would keep every figure in memory: a figure, in inches, and its axes."""
    fig = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    return fig, fig.subplots(rows, columns, **how)


def new_chart(width: float, height: float, xlabel: str = "", ylabel: str = "", title: str = "") -> tuple[Figure, Axes]:
    """An empty chart in the palette's colours: no frame but the two axes, a light grid behind the data."""
    fig, ax = subplots(width, height)
    ax.set_prop_cycle(color=SERIES)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(SOFT)
    ax.tick_params(which="both", colors=SOFT, labelcolor=INK)
    ax.set_xlabel(xlabel, color=INK)
    ax.set_ylabel(ylabel, color=INK)
    ax.set_title(title, fontsize=10, color=INK)
    ax.grid(color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    return fig, ax


def horizontal_bars(ax: Axes, values: Mapping[str, float], colour, form: str) -> None:
    """A bar for each of the values, the first one on top, with its number as `form` writes it."""
    bars = ax.barh(list(values), list(values.values()), color=colour)
    ax.bar_label(bars, color=INK, fmt=form, padding=3, fontsize=8)
    ax.invert_yaxis()


def legend(ax: Axes) -> None:
    """A legend in the palette's colours above the chart, where it covers no data, in as many columns as there is room for."""
    fig, (handles, labels) = ax.get_figure(), ax.get_legend_handles_labels()
    assert isinstance(fig, figure.Figure)
    columns = int(72 * fig.get_figwidth() / (45 + 4.6 * max(map(len, labels))))
    fig.legend(handles, labels, loc="outside upper left", ncols=max(1, min(columns, len(labels))), fontsize=8, frameon=False,
               labelcolor=INK)


def for_phones(chart: figure.Figure) -> figure.Figure:
    """A copy of a chart as wide as a phone's screen, its letters as large as before: long labels take several lines."""
    chart = pickle.loads(pickle.dumps(chart))
    height, across, [ax] = chart.get_figheight(), 36, chart.axes
    if isinstance(ax.yaxis.get_major_formatter(), StrCategoryFormatter):
        names = [fill(tick.get_text(), 18) for tick in ax.get_yticklabels()]
        ax.set_yticks(ax.get_yticks(), names)
        ax.margins(x=0.35)
        height, across = height + 0.17 * sum(name.count("\n") for name in names), 22
    else:
        height = min(height, 3.6)
    chart.set_size_inches(PHONE, height)
    ax.set(xlabel=fill(ax.get_xlabel(), across), ylabel=fill(ax.get_ylabel(), round(9 * height)),
           title=fill(ax.get_title(), across))
    for old in chart.legends[:]:
        old.remove()
        legend(ax)
    return chart
