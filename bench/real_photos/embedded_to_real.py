"""Synthetic-to-real transfer: landmark nets trained on embedded faces alone, scored on real ones.

    python bench/real_photos/embedded_to_real.py FOLDER_WITH_REAL_DATA [--faces 600 3000 10000] [--recipe pyramid|lite]
                                                 [--start WEIGHTS] [--views 30000]

Each net sees the same number of faces in training, `--views`, however many different ones there are. The table in
bench/real_photos/embedded_to_real.md gets a row a run: the NME on the real training photos, none of which was seen, by region,
how long the faces took to generate and how much disk they take. `--start` takes initial weights (`imagenet.py`). About
ten minutes a row on 2 cores.
"""

import argparse
import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from fkp_utils.augment import Augment
from fkp_utils.datasets import IBugFaces
from fkp_utils.datasets.embedded import Settings, ensure_embedded
from fkp_utils.files import write_json, write_text
from fkp_utils.metrics import failure_rate, mean_nme, mean_shape, nme, region_errors
from fkp_utils.profiles import recipe
from fkp_utils.train import started
from fkp_utils.training.loop import fit

BUILD = Path(__file__).resolve().parents[2] / "build"
RESULTS = BUILD.parent / "data" / "measured" / "embedded_to_real.json"
TABLE = Path(__file__).with_suffix(".md")
# Real photos are lit, blurred and covered in more ways than the generated ones: cheaper to add than to draw.
AUGMENT = Augment(rotate=25, shift=0.08, scale=0.15, flip=0.5, brightness=0.25, contrast=0.5, gamma=0.8, noise=0.08, blur=0.4,
                  occlude=0.5, coarse=0.3)
REGIONS = ("jaw", "brows", "nose", "eyes", "mouth")


def generated(count: int) -> tuple[Path, dict]:
    """A folder with so many embedded training faces; what generating them took is kept beside it."""
    folder, record = BUILD / f"embedded-{count}", BUILD / f"embedded-{count}.json"
    if not record.exists():                                  # interrupted, or no longer known: measure it from the start
        shutil.rmtree(folder, ignore_errors=True)
    start = time.perf_counter()
    ensure_embedded(folder, Settings(people=1, train=count, test=2, seed=1))
    if not record.exists():
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        write_json(record, {"minutes": round((time.perf_counter() - start) / 60, 1), "megabytes": round(size / 1e6)})
    return folder, json.loads(record.read_text())


def measured(arguments: argparse.Namespace, count: int) -> dict:
    """One training: a row of the table."""
    folder, cost = generated(count)
    base = recipe("full", arguments.recipe)
    chosen = replace(base, title=f"{base.net} on {count} embedded faces", size=(128, 128), augment=AUGMENT,
                     epochs=max(1, round(arguments.views / count)), ema=0.99)
    train, val = IBugFaces(folder, "train", crop=chosen.crop), IBugFaces(folder, "val", crop=chosen.crop)
    start = time.perf_counter()
    run = fit(started(chosen, arguments.start), train, val, chosen, BUILD / "checkpoints")
    minutes = (time.perf_counter() - start) / 60
    real = IBugFaces(arguments.real, "all", crop=chosen.crop)
    found = run.predict(real)
    errors = nme(found, real.landmarks, real.convention)
    guess = np.repeat(mean_shape(train.landmarks)[None], len(real), 0)
    return {"net": base.net, "start": "ImageNet" if arguments.start else "none", "faces": count, "epochs": chosen.epochs,
            "nme": round(float(errors.mean()), 2), "median": round(float(np.median(errors)), 2),
            "above_10": round(100 * failure_rate(errors), 1),
            "mean_shape": round(mean_nme(guess, real.landmarks, real.convention), 2), "minutes": round(minutes, 1),
            "regions": {name: round(error, 2) for name, error in region_errors(found, real.landmarks, real.convention).items()},
            "generated": cost}


def table(rows: list[dict]) -> str:
    """The rows as Markdown."""
    head = ["net", "starts from", "embedded faces", "epochs", "NME on real photos, %", "median", "above 10 %", *REGIONS,
            "training, min", "generating, min", "disk, MB"]
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for row in rows:
        cells = [row["net"], row["start"], row["faces"], row["epochs"], row["nme"], row["median"], f"{row['above_10']} %",
                 *(row["regions"][name] for name in REGIONS), row["minutes"], row["generated"]["minutes"],
                 row["generated"]["megabytes"]]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("--faces", type=int, nargs="+", default=[600, 3000, 10000])
    parser.add_argument("--recipe", choices=("pyramid", "lite"), default="pyramid")
    parser.add_argument("--start", type=Path)
    parser.add_argument("--views", type=int, default=30000)
    arguments = parser.parse_args()
    for count in arguments.faces:
        row = measured(arguments, count)
        rows = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []       # by now, other runs' rows may be there
        rows = [old for old in rows if any(old[key] != row[key] for key in ("net", "start", "faces"))] + [row]
        rows.sort(key=lambda row: (row["net"], row["start"], row["faces"]))
        write_json(RESULTS, {"rows": rows})
        about = ("Made by `python bench/real_photos/embedded_to_real.py DATA`: nets of 128 px that have seen embedded faces "
                 "only, on all 2,208 real\ntraining photos of iBUG. The mean shape of the embedded faces, in each box, has "
                 f"{row['mean_shape']:.2f} %.")
        write_text(TABLE, f"# What generated faces teach\n\n{about}\n\n{table(rows)}\n")
        print(row, flush=True)


if __name__ == "__main__":
    main()
