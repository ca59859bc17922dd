"""Trains one recipe and keeps its weights.

    python -m fkp_utils.train --list                                 what there is
    python -m fkp_utils.train RECIPE [--profile full] [--data FOLDER] [--start WEIGHTS]
                              [--out WEIGHTS.safetensors] [--record TABLE.json]

    torchrun --nproc_per_node=N -m fkp_utils.train RECIPE ...        the same on N processes or GPUs

RECIPE is a row of `profiles.py`: nose, face_improved, pyramid and so on. An interrupted training goes on after its last whole
epoch when the command is given again, on as many processes as one likes. A recipe's batch is what all processes together take
in a step, so that their number changes no result. `--batch` sets another; the learning rate then changes by the square root of
the ratio, the rule for Adam (Malladi et al., "On the SDEs and scaling rules for adaptive gradient algorithms", NeurIPS 2022).
"""

import argparse
import contextlib
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import nn

from . import command
from .datasets import FaceDataset, data_root, registered
from .files import write_json
from .folders import CHECKPOINTS
from .metrics import mean_shape, region_errors
from .nets.recipe import Recipe
from .nets.trained import new_model
from .nets.weights import load_weights, save_weights
from .profiles import FULL, PROFILES, recipe
from .training import distributed
from .training.loop import fit

_AGAIN = "the same command goes on after the last whole epoch"


def faces_for(chosen: Recipe, root: str | Path) -> tuple[FaceDataset, FaceDataset]:
    """Training and validation faces as a recipe wants them; DatasetError for every fault of a file."""
    dataset = registered(chosen.data)
    return dataset.open(root, "train", chosen.size, chosen.crop), dataset.open(root, "val", chosen.size, chosen.crop)


def started(chosen: Recipe, weights: str | Path | None) -> nn.Module:
    """The recipe's net, new or with the weights of a trained one; ValueError names a file of other layers."""
    model = new_model(chosen)
    if weights is None:
        return model
    try:
        model.load_state_dict(load_weights(weights).model.state_dict())
    except RuntimeError:
        raise ValueError(f"{weights}: not the weights of a {chosen.net} of this size") from None
    return model


def record(path: Path, profile: str, rows: list[dict]) -> None:
    """Write rows into a table of measured numbers, data/measured/partN.json, over the same nets'; ValueError if it is none."""
    table: dict = {"profile": profile, "data": "real photos", "rows": []}
    try:
        with contextlib.suppress(FileNotFoundError):
            table = json.loads(path.read_text(encoding="utf-8"))
        kept = {row["net"]: row for row in [*table["rows"], *rows]}
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{path}: no table of measured numbers") from None
    if rows:
        write_json(path, {**table, "rows": list(kept.values())})


def described() -> str:
    """The recipes as profile full has them, one a line: name, title, net, height x width of its pictures, epochs."""
    return "\n".join(f"{name:16}{row.title}: {row.net}, pictures of {row.size[0]}x{row.size[1]}, "
                     f"{row.epochs} epochs of {row.data}" for name, row in FULL.items())


def told(title: str, effort: dict, best: int, found: dict[str, float], baseline: dict[str, float]) -> str:
    """A training's end as one sentence: each measure of its net, and of the mean shape."""
    forms = {"pixels": "{:.1f} px of 640x480", "nme": "NME {:.2f} %", "mae": "MAE {:.2f} px",
             "found": "{:.1f} % of faces found", "wrong": "{:.1f} wrong ones in 100 faces"}
    ours, mean = (", ".join(form.format(scores[name]) for name, form in forms.items() if name in scores)
                  for scores in (found, baseline))
    took = f"{effort['epochs']} epochs in {effort['minutes']:g} minutes"
    return f"{title}: {ours} on the validation faces, the mean shape {mean}; {took}, the best was number {best}."


def _train(chosen: Recipe, options: argparse.Namespace) -> None:
    if options.record:
        record(options.record, options.profile, [])           # what is wrong with it is said before hours of training
    model = started(chosen, options.start)
    train, val = faces_for(chosen, data_root(options.data))
    run = fit(model, train, val, chosen, options.checkpoints)
    if distributed.rank() > 0:                            # only rank 0 reports
        return
    predicted = run.predict(val)
    found = val.scores(predicted)
    baseline = val.scores(np.repeat(mean_shape(train.landmarks)[None], len(val), 0))
    effort = {"epochs": len(run.history), "minutes": round(float(run.history.seconds.sum()) / 60, 1)}
    regions = region_errors(predicted, val.landmarks, val.convention)
    digest = options.out and save_weights(options.out, run)
    print(json.dumps({"recipe": options.recipe, **effort, "best_epoch": run.best_epoch, **found, "regions": regions,
                      "mean_shape": baseline}))
    if options.record:
        given = {"profile": options.profile != "full" and options.profile, "epochs": options.epochs, "batch": options.batch,
                 "seed": options.seed, "start": options.start and "WEIGHTS"}
        extra = "".join(f" --{name} {value}" for name, value in given.items() if value)
        again = f"python -m fkp_utils.train {options.recipe} --data DATA{extra}"
        record(options.record, options.profile, [{"net": "Mean shape in the box", **baseline, "command": ""},
                                                 {"net": chosen.title, **effort, **found, "command": again}])
    if options.out:
        print(f"{options.out}: SHA-256 {digest}")
    # For people, beside what programs read.
    kept = [] if options.out else ["the weights were not written: --out FILE.safetensors does"]
    print(*kept, told(chosen.title, effort, run.best_epoch, found, baseline), sep="\n", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when trained, 1 for data that cannot be read, 2 for wrong arguments, 130 when interrupted."""
    parser = command.parser("train", __doc__, "--list", "nose --profile smoke --out nose.safetensors",
                            "pyramid_large --data data --start pyramid.safetensors --out large.safetensors")
    parser.add_argument("recipe", metavar="RECIPE", choices=sorted(FULL), help="what to train; --list describes them")
    parser.add_argument("--list", action="version", version=described(),            # prints it, and ends as --help does
                        help="describe the recipes as --profile full has them, and end")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="full",
                        help="how long and how large: smoke takes two epochs, to try it (default: %(default)s)")
    parser.add_argument("--data", metavar="FOLDER", help="folder of the datasets (default: $FKP_DATA, or the embedded faces)")
    parser.add_argument("--start", metavar="FILE", help="weights of the same net to start from")
    parser.add_argument("--out", metavar="FILE", type=command.writable, help="write the weights here (.safetensors)")
    parser.add_argument("--record", metavar="FILE", type=command.writable,
                        help="add the numbers to this table (data/measured/partN.json)")
    parser.add_argument("--epochs", metavar="N", type=command.whole(1, 10**6), help="how many, instead of the recipe's number")
    parser.add_argument("--batch", metavar="N", type=command.whole(1, 10**6),
                        help="faces a step of all processes, instead of the recipe's")
    parser.add_argument("--seed", metavar="N", type=command.whole(0, 2**32 - 1), help="random seed, in place of the recipe's")
    parser.add_argument("--checkpoints", metavar="FOLDER", type=Path, default=CHECKPOINTS,
                        help="where an interrupted training goes on from (default: the project's build/checkpoints)")
    options = parser.parse_args(arguments)
    if options.out and options.out.suffix != ".safetensors":
        parser.error(f"argument --out: weights are .safetensors files, not {options.out.name}")
    chosen = recipe(options.profile, options.recipe)
    chosen = replace(chosen, epochs=options.epochs or chosen.epochs, seed=chosen.seed if options.seed is None else options.seed)
    if options.batch:
        chosen = replace(chosen, batch=options.batch, lr=chosen.lr * math.sqrt(options.batch / chosen.batch))

    def job() -> None:
        try:
            with distributed.joined():
                _train(chosen, options)
        except ConnectionError as error:
            raise type(error)(f"{error}; {_AGAIN}") from error
    return command.run("train", job, f"interrupted; {_AGAIN}")


if __name__ == "__main__":
    sys.exit(main())
