"""Figures as SVG that follow the reader's light or dark scheme, without a script."""

import base64
import io
import re

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

from ..palette import CHART, css
from ..plotting import DPI

_FONT = re.compile(r"'DejaVu Sans'[^;\"]*")
_PNG = re.compile(r"data:image/png;base64,([^\"]+)")
_DIGITS = re.compile(r"(\.\d{3})\d+")


def _webp(found: re.Match) -> str:
    """A picture in an SVG as WebP, a fifth of its bytes as PNG; without loss where it is a few pixels."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(found[1]))) as picture:
        picture.convert("RGBA").save(file, "webp", quality=75, method=6, lossless=picture.width * picture.height < 600)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def themed(fig: Figure, name: str, dpi: float = DPI) -> str:
    """A figure as SVG: the palette's colours become CSS properties with a value for each scheme, text stays text.

    The same figure gives the same characters; `name` goes into the ids, so that several SVGs fit into one page. Photos in
    it have `dpi` pixels an inch.
    """
    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        fig.savefig(file, format="svg", dpi=dpi, transparent=True, metadata={"Date": None, "Creator": None})
    text = _PNG.sub(_webp, _DIGITS.sub(r"\1", _FONT.sub("system-ui, sans-serif", file.getvalue())))
    for colour, (light, _) in CHART.items():
        text = re.sub(light, f"var(--{colour})", text, flags=re.IGNORECASE)
    text = re.sub(r' id="([^"]+)"', lambda found: found[0] if f"#{found[1]}" in text else "", text)
    head, tag, rest = text[text.index("<svg"):].partition(">")          # without XML's declaration, so that HTML takes it in
    return f"{head}{tag}\n<style>{css()}text{{fill:var(--ink)}}</style>{rest}"
