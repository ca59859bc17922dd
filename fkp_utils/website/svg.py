"""Charts as SVG that follow the reader's light or dark scheme, without a script."""

import io
import re

import matplotlib
from matplotlib.figure import Figure

from ..palette import CHART, css

_FONT = re.compile(r"'DejaVu Sans'[^;\"]*")


def themed(fig: Figure, name: str) -> str:
    """A figure as SVG: the palette's colours become CSS properties with a value for each scheme, text stays text.

    The same figure gives the same characters; `name` goes into the ids, so that several SVGs fit into one page.
    """
    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        fig.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = _FONT.sub("system-ui, sans-serif", file.getvalue())
    for colour, (light, _) in CHART.items():
        text = re.sub(light, f"var(--{colour})", text, flags=re.IGNORECASE)
    text = re.sub(r' id="([^"]+)"', lambda found: found[0] if f"#{found[1]}" in text else "", text)
    head, tag, rest = text[text.index("<svg"):].partition(">")          # without XML's declaration, so that HTML takes it in
    return f"{head}{tag}\n<style>{css()}text{{fill:var(--ink)}}</style>{rest}"
