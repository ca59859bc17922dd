"""How could the write-up's ResNet-18 score 20.769? What each likely cause costs the net, one at a time.

    python bench/real_photos/writeup_score.py FOLDER_WITH_REAL_DATA [--seeds 0]

Trains the write-up's recipe at 64 px for 6 epochs on the real training photos: as it stands, with targets in pixels of the
crop instead of shares of it, with the faces in the XML's order instead of shuffled, and with both. Writes after each
bench/real_photos/writeup_score.md, the MAE in pixels on the 221 validation photos. What is finished is taken from
build/checkpoints. Ten minutes a row on one core.
"""

import argparse
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from finder import table

from fkp_utils.datasets import IBugFaces
from fkp_utils.files import write_text
from fkp_utils.folders import BUILD
from fkp_utils.metrics import mean_shape
from fkp_utils.nets.trained import new_model
from fkp_utils.profiles import recipe
from fkp_utils.training.loop import fit

RESULTS = Path(__file__).with_suffix(".md")
ABOUT = """# Why 20.769?

Made by `python bench/real_photos/writeup_score.py DATA`: the write-up's ResNet-18 at 64 px, 6 epochs on the real training
photos, one thing changed. MAE in pixels of the photos, on the 221 validation photos: of the epoch that was best there, and of
the last. The mean shape in the box has {guess:.1f} px.

{rows}
"""
BASE = replace(recipe("full", "resnet"), size=(64, 64), epochs=6, batch=32)
CAUSES = {"as it stands": ("coordinates", False), "targets in pixels": ("pixels", False),
          "not shuffled": ("coordinates", True), "targets in pixels, not shuffled": ("pixels", True)}


def in_order():
    """A context in which `fit` shows the faces in the order of the XML."""
    return patch("torch.randperm", lambda count, **_: torch.arange(count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    train, val = (IBugFaces(options.real, split, crop=BASE.crop) for split in ("train", "val"))
    guess = val.scores(np.repeat(mean_shape(train.landmarks)[None], len(val), 0))["mae"]
    rows = []
    for seed in options.seeds:
        for name, (target, sorted_) in CAUSES.items():
            chosen = replace(BASE, title=f"ResNet-18, {name}", target=target, seed=seed)
            with in_order() if sorted_ else nullcontext():
                run = fit(new_model(chosen), train, val, chosen, BUILD / "checkpoints")
            error, errors = val.scores(run.predict(val)), run.history.val_error
            rows.append([name, str(seed), f"{error['mae']:.2f}", f"{error['mae'] * errors.iloc[-1] / errors.min():.2f}",
                         f"{error['nme']:.2f}", str(run.best_epoch)])
            write_text(RESULTS, ABOUT.format(guess=guess, rows=table(
                ["", "seed", "MAE, px", "last epoch, about", "NME, %", "best epoch"], rows)))
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
