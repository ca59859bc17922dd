"""What makes generated faces teach: one thing left out at a time, as in Wood et al., ICCV 2021.

    python bench/real_photos/ablation.py FOLDER_WITH_REAL_DATA FOLDER_WITH_FACES --start build/imagenet.safetensors

FOLDER_WITH_FACES holds a folder for each thing that pictures can lack, `VARIANTS`, of the same people:

    make="python bench/shipped_files/faces/make.py" few="--people 0 --train 120 --test 0 --side 70 90 --samples 10 --seed 11"
    $make FACES/all $few
    $make FACES/hair_things $few --without hair things
    $make FACES/skin_light $few --without skin light
    cp -r FACES/all FACES/labels && $make FACES/labels $few --relabel --without labels

Each row of bench/real_photos/ablation.md is three trainings of HeatmapLite, from ImageNet (`imagenet.py`), scored on all 2,208
real training photos. That took an hour on 2 cores, beside other work, and the faces forty minutes.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from embedded_to_real import AUGMENT, PLAIN
from finder import table
from label_adaptation import adapted
from rows import mean_and_range

from fkp_utils.datasets import IBugFaces
from fkp_utils.files import write_text
from fkp_utils.folders import CHECKPOINTS
from fkp_utils.metrics import mean_nme
from fkp_utils.profiles import recipe
from fkp_utils.train import started
from fkp_utils.training.loop import fit

RESULTS = Path(__file__).with_suffix(".md")
SEEDS, VIEWS = (0, 1, 2), 3000
# What is left out: folder, random changes of the pictures. These make a short training worse, so that the others go without.
VARIANTS = {"nothing": ("all", AUGMENT), "random changes": ("all", PLAIN),
            "random changes; hair, beards, glasses, hats, hands": ("hair_things", PLAIN),
            "random changes; uneven skin, make-up, lamps, surroundings": ("skin_light", PLAIN),
            "random changes; the annotators' outlines": ("labels", PLAIN)}

ABOUT = """# What makes generated faces teach

Made by `bench/real_photos/ablation.py`: HeatmapLite from ImageNet, trained on nine tenths of {faces} generated faces of the
same people, {epochs} epochs at {side} px. All rows but the first go without random changes of the pictures, other than of
place; the last three leave one thing more out, each another. NME in percent, one look, on all {all:,} real training photos, and
how much more that is than in the second row; *label-adapted* (`label_adaptation.py`) on the validation tenth, by the labels,
not the pictures, of the others. Means of {seeds} seeds, least and most: a difference counts where these do not overlap.

{table}

These trainings are short, so that they tell what helps to begin with. Longer ones, on more faces:
[embedded_to_real.md](embedded_to_real.md).
"""


def compared(measured: dict[str, tuple[list, list]]) -> str:
    """Errors of each variant's seeds, and those label-adapted, as a Markdown table."""
    means = {name: np.mean(errors).round(2) for name, (errors, _) in measured.items()}
    return table(["left out", "real photos", "more", "label-adapted"], [
        [name, mean_and_range(errors), f"{means[name] - means['random changes']:+.2f}", mean_and_range(moved)]
        for name, (errors, moved) in measured.items()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--start", type=Path, required=True)
    options = parser.parse_args()
    base = replace(recipe("full", "lite"), size=(128, 128), ema=0.99)
    real, tenth = (IBugFaces(options.real, split, crop=base.crop) for split in ("all", "val"))
    held, measured, counts = np.isin(real.names, tenth.names), dict[str, tuple[list, list]](), set()
    for left_out, (folder, augment) in VARIANTS.items():
        train, val = (IBugFaces(options.faces / folder, split, crop=base.crop) for split in ("train", "val"))
        counts.add(len(train) + len(val))
        errors, moved = [], []
        for seed in SEEDS:
            chosen = replace(base, title=f"without {left_out}", seed=seed, augment=augment, epochs=round(VIEWS / len(train)))
            run = fit(started(chosen, options.start), train, val, chosen, CHECKPOINTS)
            found = run.predict(real)
            errors.append(mean_nme(found, real.landmarks, real.convention))
            moved.append(mean_nme(adapted(found[~held], real.landmarks[~held], found[held], seed), real.landmarks[held],
                                  real.convention))
        measured[left_out] = errors, moved
        print(left_out, mean_and_range(errors), mean_and_range(moved), sep="  ", flush=True)
    [count] = counts                                              # as many in each folder
    write_text(RESULTS, ABOUT.format(faces=count, epochs=chosen.epochs, side=base.size[0], seeds=len(SEEDS), all=len(real),
                                     table=compared(measured)))


if __name__ == "__main__":
    main()
