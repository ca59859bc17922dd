"""Synthetic-to-real transfer: landmark nets trained on generated faces alone, scored on real ones.

    python bench/real_photos/embedded_to_real.py FOLDER_WITH_REAL_DATA [--generated FOLDER ...] [--faces 600 3000 ...]
        [--recipe pyramid|lite] [--side 128] [--start WEIGHTS [--start-name NAME]] [--views 30000] [--without WORDS]
        [--plain [--noise]] [--average] [--keep FILE]

`--generated` names folders of faces that `bench/shipped_files/faces/make.py` has made (default: the embedded ones),
`--without` says what its option of that name left out, `--plain` leaves out the random changes of light, noise, blur and
covering patches, `--plain --noise` all but the noise. Each net sees the same number of faces in training, `--views`, however
many different ones there are.

The table in bench/real_photos/embedded_to_real.md gets a row a run: the NME on all 2,208 real training photos, none of which
was seen, in one look, averaged with the mirror image, without each landmark's mean error, and by region; on the 221 of the
validation tenth; and on these label-adapted (`label_adaptation.py`), by the labels, not the pictures, of the 1,987 others.
`--start` takes initial weights (`imagenet.py`), `--average` takes the mean of these and the trained ones, `--keep` writes them.
A quarter of an hour to an hour a row on 2 cores.
"""

import argparse
import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from averaged import averaged
from finder import table
from label_adaptation import adapted
from label_offset import in_frame_of_eyes
from rows import with_row
from scipy.ndimage import gaussian_filter

from fkp_utils.augment import Augment
from fkp_utils.datasets import EMBEDDED, Crop, IBugFaces
from fkp_utils.files import write_json, write_text
from fkp_utils.folders import CHECKPOINTS, MEASURED
from fkp_utils.metrics import failure_rate, mean_nme, mean_shape, nme, region_errors
from fkp_utils.nets.shipped import SHIPPED
from fkp_utils.nets.weights import save_weights
from fkp_utils.predict import both_ways
from fkp_utils.profiles import recipe
from fkp_utils.train import started
from fkp_utils.training.loop import fit

RESULTS = MEASURED / "embedded_to_real.json"
TABLE = Path(__file__).with_suffix(".md")
# Real photos are lit, blurred and covered in more ways than the generated ones: cheaper to add than to draw.
AUGMENT = Augment(rotate=25, shift=0.08, scale=0.15, flip=0.5, brightness=0.25, contrast=0.5, gamma=0.8, noise=0.08, blur=0.4,
                  occlude=0.5, coarse=0.3)
ABOUT = """# What generated faces teach

Made by `python bench/real_photos/embedded_to_real.py DATA`: nets that have seen generated faces only, on all 2,208
real training photos of iBUG, and on the validation tenth. *Mirrored*: averaged with the answer for the mirror image, as
`predict` looks. *Without bias*: one look, each landmark's mean error taken off, in the frame of the eyes; what is left is not
due to where the generated faces have their landmarks. *Label-adapted*: by the labels, not the pictures, of the 1,987 other
real faces. The mean shape of the generated faces, in each box, has {mean_shape:.2f} %. Minutes are those of one core or of two,
beside other work or without. One seed each.

{table}

1,800 faces are three sets by `bench/shipped_files/faces/make.py`: the embedded ones, the same people as the maker before
drew them, and 600 other people by one in between.
970 faces are the embedded ones and 384 others (`make.py FOLDER --people 0 --train 384 --test 0 --side 70 90 --samples 10
--seed 11`). *free68* are the weights that were shipped under this name before: for 128 px and 49 epochs those of the row with
56, which had seen views with changes; for 160 px the mean of these two. *That of 160 px* is the row with 29 epochs. In rows
*averaged with it* each weight is the mean of those before and after; the one of 29 epochs at 160 px is shipped now. *Noise*,
*blur*, *patch*: the validation tenth with noise (standard deviation 20 of 255), a gaussian blur of 2 px, or a grey patch of a
quarter of the side. Averaging with *free68* costs a little on photos as they are, and is much better on noisy ones. With
noise in the last training the net is best on these, and the mean on photos as they are.
720 faces are the embedded ones and the first 120 of these others. *Shipped now*: on from there, at 192 px. That is better on
photos as they are and on noisy ones, and worse behind a patch; about as good as 21 epochs more at 160 px.
Without *augmentation* there are no random changes of light, blur and noise and no covering patches, only of place: a third of
the views then taught as much. The pictures have light, noise and hands of their own.
HeatmapResNet, which starts from random weights, came to 5.40 % in this way, but had 32.5 % on noisy photos: it was of no use
for those. Trained on from there for 29 epochs, at 160 px and with noise as the only random change besides place, it came to
5.19 %, and on the tenth to 5.33 with noise, 4.83 without. HeatmapLite, whose way down had learned from ImageNet, has 5.0 to 7.6
on noisy photos. Minutes of HeatmapResNet have pauses in them; the 62 epochs take 108, if each is as long as the median one.

## Faces drawn by simple rules

What the course had before a path tracer made its faces:

{drawn}

The same training on a nearly equal set of 600 faces differed by 0.1.

## What was wrong with the first ones

Earlier faces taught less:

| NME, one look, % | 600 faces | 3,000 | 10,000 | 30,000 |
| --- | --- | --- | --- | --- |
| HeatmapResNet, from scratch | 7.74 | 7.79 | 7.62 | 7.69 |
| without bias | 7.22 | 7.21 | 7.08 | 7.09 |
| HeatmapLite, from ImageNet | 6.97 | | 6.88 | 6.92 |
| without bias | 6.51 | | 6.41 | 6.44 |

So half a point was the faces' fault, the same in each of them. A script looked at them
with the net that learned on real photos: what it says of a generated face differs from the face's landmarks in the mean where
a feature is drawn beside its landmark. Lips ended before their corners, the nose reached below its base, and the jaw's
landmarks lay inside of the outline, by 2.5 % of the inter-ocular distance in the mean. Two faults were in the shapes: the
jaw's depth had been learned from all of its line, also where a turned head hides it, and real photos are taken from a little
above. Since both were mended that net has an NME of 3.8 % on generated faces, 4.8 before.
"""
# The same faces in the same places, as they were made.
PLAIN = replace(AUGMENT, brightness=0, contrast=0, gamma=0, noise=0, blur=0, occlude=0, coarse=0)
KEY = ("net", "side", "start", "faces", "without", "epochs")
REGIONS = ("jaw", "brows", "nose", "eyes", "mouth")


def without_bias(found: np.ndarray, labels: np.ndarray) -> float:
    """NME in percent when each landmark's mean error, in the frame of the eyes, is taken off landmarks (N, 68, 2).

    What is left is not due to where the generated faces have their landmarks, which may be beside where annotators put them.
    """
    errors = in_frame_of_eyes(found - labels, labels)
    return 100 * float(np.abs(errors - errors.mean(0)).mean())


def together(folders: list[Path], split: str, crop: Crop) -> IBugFaces:
    """The faces of several folders, as one dataset to train on."""
    first, *others = (IBugFaces(folder, split, crop=crop) for folder in folders)
    joined = copy.copy(first)
    joined.names = [name for part in (first, *others) for name in part.names]
    joined.images, joined.landmarks = (np.concatenate([getattr(part, what) for part in (first, *others)])
                                       for what in ("images", "landmarks"))
    return joined


def start_of(weights: Path | None) -> str:
    """What a net starts from, in the table's words: shipped weights by their name, others are `imagenet.py`'s."""
    return "none" if weights is None else weights.stem if weights.name in SHIPPED else "ImageNet"


def spoiled(pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Pictures (N, h, w) as bad photos have them: noise of 20 of 255, a blur of 2 px, a grey patch of a quarter of the side."""
    rng, (count, height, width) = np.random.default_rng(0), pictures.shape
    covered = pictures.copy()
    for picture, (top, left) in zip(covered, rng.integers((height // 4, width // 4), (height // 2, width // 2), (count, 2))):
        picture[top:top + height // 4, left:left + width // 4] = 128
    return {"noise": np.clip(pictures + rng.normal(0, 20, pictures.shape), 0, 255).astype(np.uint8),
            "blur": gaussian_filter(pictures, (0, 2, 2)), "patch": covered}


def measured(arguments: argparse.Namespace, count: int) -> dict:
    """One training: a row of the table."""
    base = recipe("full", arguments.recipe)
    augment = PLAIN if arguments.plain else AUGMENT
    if arguments.noise:
        augment = replace(augment, noise=AUGMENT.noise)
    chosen = replace(base, title=f"{base.net} on {count} generated faces", size=(arguments.side, arguments.side),
                     augment=augment, epochs=max(1, round(arguments.views / count)), ema=0.99)
    train, val = (together(arguments.generated, split, chosen.crop) for split in ("train", "val"))
    train, val = train.first(round(0.9 * count)), val.first(round(0.1 * count))
    if len(train) + len(val) < 0.99 * count:
        raise SystemExit(f"{arguments.generated}: fewer than {count} faces")
    run = fit(started(chosen, arguments.start), train, val, chosen, CHECKPOINTS)
    minutes = run.history.seconds.sum() / 60              # those before an interruption, too
    if arguments.average:
        run = averaged(run, arguments.start)
    if arguments.keep:
        save_weights(arguments.keep, run)
    real, tenth = (IBugFaces(arguments.real, split, crop=chosen.crop) for split in ("all", "val"))
    found, held = run.predict(real), np.isin(real.names, tenth.names)                # all faces of a photo are on one side
    moved = adapted(found[~held], real.landmarks[~held], found[held])
    errors = nme(found, real.landmarks, real.convention)
    mirrored, _ = both_ways(run, np.array(real.images))
    bad = {name: run.landmarks(torch.from_numpy(pictures[:, None])).numpy()
           for name, pictures in spoiled(np.array(tenth.images)).items()}
    guess = np.repeat(mean_shape(train.landmarks)[None], len(real), 0)
    without = [*arguments.without, *["augmentation but noise" if arguments.noise else "augmentation"] * arguments.plain]
    return {"net": base.net, "side": arguments.side,
            "start": (arguments.start_name or start_of(arguments.start)) + ", averaged with it" * arguments.average,
            "faces": count, "without": ", ".join(without) or "nothing", "epochs": chosen.epochs,
            "nme": round(float(errors.mean()), 2),
            "validation": round(mean_nme(found[held], real.landmarks[held], real.convention), 2),
            "adapted": round(mean_nme(moved, real.landmarks[held], real.convention), 2),
            "mirrored": round(mean_nme(mirrored, real.landmarks, real.convention), 2),
            "without_bias": round(without_bias(found, real.landmarks), 2),
            "median": round(float(np.median(errors)), 2),
            **{name: round(mean_nme(points, tenth.landmarks, tenth.convention), 2) for name, points in bad.items()},
            "above_10": round(100 * failure_rate(errors), 1),
            "mean_shape": round(mean_nme(guess, real.landmarks, real.convention), 2), "minutes": round(minutes, 1),
            "regions": {name: round(error, 2) for name, error in region_errors(found, real.landmarks, real.convention).items()}}


def lines(rows: list[dict]) -> str:
    """The rows as a Markdown table."""
    columns = {"net": "net", "px": "side", "starts from": "start", "generated faces": "faces", "without": "without",
               "epochs": "epochs", "NME, one look, %": "nme", "validation tenth": "validation", "label-adapted": "adapted",
               "mirrored": "mirrored", "without bias": "without_bias", "median": "median", "above 10, %": "above_10",
               "tenth, noise": "noise", "blur": "blur", "patch": "patch"}
    return table([*columns, *REGIONS, "training, min"],
                 [[*(str(row.get(key, "")) for key in columns.values()), *(str(row["regions"][name]) for name in REGIONS),
                   str(row["minutes"])] for row in rows])


def publish(known: dict) -> None:
    """Keep all rows, and write their tables."""
    write_json(RESULTS, known)
    write_text(TABLE, ABOUT.format(table=lines(known["rows"]), drawn=lines(known["drawn"]),
                                   mean_shape=known["rows"][-1]["mean_shape"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("--generated", type=Path, nargs="+", default=[EMBEDDED])
    parser.add_argument("--faces", type=int, nargs="+", default=[600])
    parser.add_argument("--recipe", choices=("pyramid", "lite"), default="pyramid")
    parser.add_argument("--side", type=int, default=128, help="of the pictures, in pixels")
    parser.add_argument("--start", type=Path)
    parser.add_argument("--start-name", help="of what no other option tells, in the table")
    parser.add_argument("--views", type=int, default=30000)
    parser.add_argument("--without", nargs="+", default=[])
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--noise", action="store_true", help="with --plain: but for noise")
    parser.add_argument("--average", action="store_true")
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    if arguments.noise and not arguments.plain:
        parser.error("--noise is of --plain: without, there is noise, too")
    for count in arguments.faces:
        row = measured(arguments, count)
        known = json.loads(RESULTS.read_text())                       # by now, other runs' rows may be there
        publish({**known, "rows": with_row(known["rows"], row, KEY)})
        print(row, flush=True)


if __name__ == "__main__":
    main()
