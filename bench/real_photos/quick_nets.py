"""How the nets that `make figures` trains, on generated faces, read real people.

    python bench/real_photos/quick_nets.py FOLDER_WITH_REAL_DATA

Trains the nets of Parts 3 to 5 as `make figures` does, which keeps none of them: with half as many threads as processors.
Scores them on the 221 validation photos, and writes bench/real_photos/quick_nets.md. So it does with ResNets of three widths
that train for about as long, from three seeds. What is finished is taken from build/checkpoints. Forty minutes on one core.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from embedded_to_real import REGIONS
from finder import table
from rows import mean_and_range

from fkp_utils.datasets import IBugFaces
from fkp_utils.files import write_text
from fkp_utils.folders import CHECKPOINTS, EMBEDDED
from fkp_utils.metrics import mean_shape, nme, region_errors
from fkp_utils.nets.models import count_parameters
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.trained import Trained, new_model
from fkp_utils.profiles import recipe
from fkp_utils.training.loop import fit
from fkp_utils.website.progress import THREADS

RESULTS = Path(__file__).with_suffix(".md")
ABOUT = """# The nets of `make figures` on real people

Made by `python bench/real_photos/quick_nets.py DATA`: nets trained by the profile `quick` on the embedded faces alone, each at
the epoch that was best on its embedded validation faces. NME in percent, one look, on these and on the 221 real validation
photos; median and regions are of the real ones. One seed.

{rows}

All three nets learn from the same 540 faces, for a few minutes. What longer trainings on more such faces come to is in
[embedded_to_real.md](embedded_to_real.md).

## Wide, or long?

Part 3's improved recipe with other widths and epochs, which take about the same time on a processor; *width* is that of the
first layer, of which ResNet-18 has 64. The whole one with two rates: that of its recipe before it became narrow, with the
weight average of then (0.98), and that of the others (0.99). Means of seeds 0 to 2, least and most. Seconds are those of
seed 0, on one thread.

{widths}
"""
NETS = ("resnet_improved", "unet_improved", "pyramid")
# What differs from Part 3's improved recipe.
TRAININGS: tuple[dict, ...] = ({"width": 64, "epochs": 9, "lr": 1e-3, "ema": 0.98}, {"width": 64, "epochs": 9},
                               {"width": 32, "epochs": 31}, {})
SEEDS = range(3)


def row(name: str, found: np.ndarray, unseen: np.ndarray, val: IBugFaces, real: IBugFaces) -> list[str]:
    """A row of the table: landmarks found on embedded (N, 68, 2) and real faces (M, 68, 2), in pixels of their crops."""
    errors = [nme(points, faces.landmarks, faces.convention) for points, faces in ((found, val), (unseen, real))]
    regions = region_errors(unseen, real.landmarks, real.convention)
    return [name, *(f"{each.mean():.2f}" for each in errors), f"{np.median(errors[1]):.2f}",
            *(f"{regions[region]:.1f}" for region in REGIONS)]


def trained(chosen: Recipe, real: Path) -> tuple[Trained, dict[str, IBugFaces]]:
    """The net that a recipe trains on the embedded faces; the faces it learned from, and those of both kinds to score it on."""
    faces = {split: IBugFaces(EMBEDDED, split, crop=chosen.crop) for split in ("train", "val")}
    run = fit(new_model(chosen), faces["train"], faces["val"], chosen, CHECKPOINTS)
    return run, {**faces, "real": IBugFaces(real, "val", crop=chosen.crop)}


def width_row(fields: dict, real: Path) -> list[str]:
    """A row of the second table, of a training with other `fields`: means of three seeds, and the least and the most."""
    chosen = replace(recipe("quick", "resnet_improved"), **fields)
    runs = [trained(replace(chosen, seed=seed), real) for seed in SEEDS]
    found = np.array([[some.scores(run.predict(some))["nme"] for some in (faces["val"], faces["real"])] for run, faces in runs])
    first = runs[0][0]
    return [str(chosen.width), str(chosen.epochs), f"{chosen.lr:g}",
            f"{count_parameters(first.model):,}", f"{first.history.seconds.sum():.0f}",
            *map(mean_and_range, found.T)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    rows: list[list[str]] = []
    for name in NETS:
        chosen = recipe("quick", name)
        run, faces = trained(chosen, options.real)
        both = faces["val"], faces["real"]
        if not rows:
            shape = mean_shape(faces["train"].landmarks)[None]
            rows.append(row("Mean shape in the box", *(shape.repeat(len(some), 0) for some in both), *both))
        rows.append(row(chosen.title, *map(run.predict, both), *both))
    widths = [width_row(fields, options.real) for fields in TRAININGS]
    write_text(RESULTS, ABOUT.format(
        rows=table(["net", "embedded", "real photos", "median", *REGIONS], rows),
        widths=table(["width", "epochs", "rate", "weights", "seconds", "embedded", "real photos"], widths)))
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
