"""One change at a time: what helps a landmark net, and what does not.

    python bench/real_photos/recipes.py FOLDER_WITH_REAL_DATA

Trains small, short versions of the improved recipe, each with one thing changed, and writes
data/measured/recipes.json and bench/real_photos/recipes.md after each. What is in the JSON file is not trained
again. About 30 minutes on 2 cores.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from jpeg import JpegAugment

from fkp_utils.augment import Augment
from fkp_utils.datasets import EMBEDDED
from fkp_utils.files import write_json, write_text
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.trained import new_model
from fkp_utils.profiles import recipe
from fkp_utils.train import faces_for
from fkp_utils.training.loop import fit

PROJECT = Path(__file__).resolve().parents[2]
RESULTS, TABLE = PROJECT / "data/measured/recipes.json", PROJECT / "bench/real_photos/recipes.md"

SMALL = {"size": (64, 64), "epochs": 6, "ema": 0.99}
COORDINATES = replace(recipe("full", "resnet_improved"), **SMALL)
HEATMAPS = replace(recipe("full", "pyramid"), **SMALL)
_AUGMENT = COORDINATES.augment
_PRETRAINED = "first 6 epochs on embedded faces"
_SMALL_FIRST = "first 6 epochs at 32 px"
_TWO_NETS = "two seeds averaged"

# Group: (reference, {change: fields that differ}).
GROUPS = {
    "ResNet-18, coordinates": (COORDINATES, {
        "reference": {},
        "another seed": {"seed": 1},
        "the box as it is": {"margin": 1.0, "box_shift": 0.0},
        "box x 1.3": {"margin": 1.3},
        "box x 1.5": {"margin": 1.5},
        "box not moved down": {"box_shift": 0.0},
        "plain coordinates, not offsets from the mean": {"target": "coordinates"},
        "MSE": {"loss": "mse"},
        "Wing loss": {"loss": "wing"},
        "no augmentation": {"augment": Augment()},
        "rotation 15, not 30 degrees": {"augment": replace(_AUGMENT, rotate=15)},
        "no mirror images": {"augment": replace(_AUGMENT, flip=0)},
        "no jitter of the box": {"augment": replace(_AUGMENT, shift=0, scale=0)},
        "no changes of light, blur, noise": {"augment": replace(_AUGMENT, brightness=0, contrast=0, gamma=0, noise=0, blur=0)},
        "no covering patches": {"augment": replace(_AUGMENT, occlude=0)},
        "JPEG artefacts, too": {"augment": JpegAugment(**asdict(_AUGMENT), jpeg=0.5)},
        "constant learning rate": {"schedule": "constant"},
        "no average of weights": {"ema": 0.0},
        "96 px, not 64": {"size": (96, 96)},
        "12 epochs, not 6": {"epochs": 12},
        _PRETRAINED: {},
        _SMALL_FIRST: {},
        _TWO_NETS: {},
    }),
    "HeatmapResNet, heatmaps": (HEATMAPS, {
        "reference": {},
        "another seed": {"seed": 1},
        "no distance in the loss": {"l1_weight": 0.0},
        "sigma 0.7, not 1": {"sigma": 0.7},
        "MSE on maps of peak 10": {"loss": "mse", "heatmap_scale": 10.0, "l1_weight": 0.0},
        "adaptive Wing loss": {"loss": "adaptive_wing", "heatmap_scale": 1.0, "l1_weight": 0.0},
        _TWO_NETS: {},
    }),
}


def measure(chosen: Recipe, root: Path) -> dict:
    """Validation numbers of one short training on the real faces; minutes count the real faces' epochs at full size."""
    model = new_model(chosen)
    if chosen.title == _PRETRAINED:
        model = fit(model, *faces_for(chosen, EMBEDDED), chosen).model
    if chosen.title == _SMALL_FIRST:
        small = replace(chosen, size=(32, 32))
        model = fit(model, *faces_for(small, root), small).model
    train, val = faces_for(chosen, root)
    runs = [fit(model, train, val, chosen)]
    if chosen.title == _TWO_NETS:
        other = replace(chosen, seed=chosen.seed + 1)
        runs.append(fit(new_model(other), train, val, other))
    found = val.scores(np.mean([run.predict(val) for run in runs], axis=0))
    minutes = sum(float(run.history.seconds.sum()) for run in runs) / 60
    return {"nme": round(found["nme"], 3), "mae": round(found["mae"], 3), "minutes": round(minutes, 2)}


def table(results: dict) -> str:
    """The results as Markdown, each group's changes against its reference."""
    lines = ["# One change at a time", "",
             "Made by `python bench/real_photos/recipes.py FOLDER_WITH_REAL_DATA`. Short trainings (6 epochs at 64 px) on",
             "nine tenths of the real iBUG training photos, scored on the last tenth; each row differs from its group's",
             "reference in one thing. The row *another seed* shows what chance alone can do: smaller differences say nothing,",
             "and one other seed is a weak yardstick for larger ones.",
             "The rows of JPEG artefacts, 32 px first and two seeds were trained later than the others, when noise was drawn",
             "in another way; all of them before noise became independent of gamma."]
    for group, rows in results.items():
        lines += ["", f"## {group}", "", "| change | validation NME, % | against the reference | MAE, px | minutes |",
                  "| --- | --- | --- | --- | --- |"]
        base = rows.get("reference", {}).get("nme")
        for change, row in rows.items():
            against = "" if change == "reference" or base is None else f"{row['nme'] - base:+.2f}"
            lines.append(f"| {change} | {row['nme']:.2f} | {against} | {row['mae']:.2f} | {row['minutes']:.1f} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    root = parser.parse_args().real
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for group, (reference, changes) in GROUPS.items():
        rows = results.setdefault(group, {})
        for change, fields in changes.items():
            if change in rows:
                continue
            rows[change] = measure(replace(reference, title=change, **fields), root)
            print(group, change, rows[change], flush=True)
            write_json(RESULTS, results)
            write_text(TABLE, table(results))


if __name__ == "__main__":
    main()
