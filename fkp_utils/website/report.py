"""What a notebook hands to the website: figures with captions, and rows of measured numbers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from ..files import replacing, write_json, write_text
from ..folders import EMBEDDED, MEASURED
from ..nets.models import count_parameters
from ..nets.recipe import Recipe
from ..nets.stages import stages
from ..plotting import DPI, PHONE, for_phones, network
from .svg import themed

# Pixels of a saved figure, and of photos in one, for each of the page's: crisp on good screens.
SHARPNESS = 1.5


class Report:
    """Collects the figures and numbers of a part, 1 to 5, in the folder `out`; `finish` makes them official.

    The page says with which profile they were made, and on which faces, as the data folder `root` tells.
    """

    def __init__(self, part: int, out: str | Path, profile: str, root: Path):
        self.out = Path(out)
        data = "embedded faces" if Path(root).resolve() == EMBEDDED else "real photos"
        self.content: dict[str, Any] = {"part": part, "profile": profile, "data": data, "figures": {}, "models": {},
                                        "recipes": {}, "rows": [], "numbers": {}}

    def figure(self, name: str, fig: Figure, caption: str) -> None:
        """Save a figure as `name`.jpg and as `name`.svg, a chart for phones, too; the caption is also its alt text."""
        path = self.out / f"{name}.jpg"
        with replacing(path) as beside:
            fig.savefig(beside, format="jpg", dpi=SHARPNESS * DPI, facecolor="white", pil_kwargs={"quality": 85})
        if any(ax.images for ax in fig.axes):
            write_text(self.out / f"{name}.svg", themed(fig, name, SHARPNESS * DPI))
        else:
            self._drawing(name, fig, for_phones(fig))
        self.content["figures"][name] = caption

    def _drawing(self, name: str, wide: Figure, narrow: Figure) -> None:
        """Save what the page shows as SVG, on phones another one."""
        for file, fig in ((name, wide), (f"{name}-phone", narrow)):
            write_text(self.out / f"{file}.svg", themed(fig, file))

    def picture(self, name: str, image: np.ndarray, caption: str, quality: int = 85) -> None:
        """Save an array of pixels, uint8 (h, w) or (h, w, 3), as `name`.jpg."""
        with replacing(self.out / f"{name}.jpg") as beside:
            Image.fromarray(image).save(beside, format="jpeg", quality=quality)
        self.content["figures"][name] = caption

    def model(self, model: nn.Module, image: torch.Tensor) -> None:
        """Record a net's layer list and number of weights, and draw what it makes of a picture, uint8 (1, 1, h, w)."""
        name = type(model).__name__
        self.content["models"][name] = {"layers": repr(model), "parameters": count_parameters(model)}
        passed = stages(model, image)
        self._drawing(name, network(passed), network(passed, PHONE, 4))

    def numbers(self, name: str, content: Any) -> None:
        """Hand numbers to the page's script, by name, as a line of JSON; floats are best rounded."""
        self.content["numbers"][name] = json.dumps(content, separators=(",", ":"))

    def recipe(self, recipe: Recipe) -> None:
        """Record the hyperparameters of a training."""
        self.content["recipes"][recipe.title] = recipe.summary()

    def row(self, net: str, **numbers: float) -> None:
        """Record one line of the results table, numbers by column name."""
        self.content["rows"].append({"net": net, **{k: float(v) for k, v in numbers.items()}})

    def finish(self) -> str:
        """Write the record; without it the figures do not reach the website."""
        write_json(self.out / f"part{self.content['part']}.json", self.content)
        return f"part {self.content['part']}: {len(self.content['figures'])} figures"


def measured(name: str) -> dict:
    """Numbers measured on the real photos, from data/measured/`name`.json."""
    return json.loads((MEASURED / f"{name}.json").read_text(encoding="utf-8"))


def read_report(path: Path) -> dict | None:
    """A finished report, or None where there is none; ValueError, with the file's name, for one that is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from None
