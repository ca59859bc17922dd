"""What a finder should learn from: scenes of real people, of generated ones, or of both.

    python bench/real_photos/mixture.py FOLDER_WITH_REAL_DATA [--shares 0 0.25 0.5 1] [--side 128] [--epochs 10] [--seeds 0 1]

Short trainings on as many scenes each, a share of them made of the embedded faces. Scored on scenes made of the validation
photos, and on these photos as they are. The table in bench/real_photos/mixture.md gets a row a training, which takes about
five minutes on one core, with scenes of 256 px ten.
"""

import argparse
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from finder import Detector, Example, as_they_are, at_most, score, table
from rows import with_row

from fkp_utils import predict
from fkp_utils.datasets import EMBEDDED, FaceDataset, IBugFaces
from fkp_utils.datasets.scenes import SCENE, Scenes
from fkp_utils.detection import find_faces
from fkp_utils.files import write_json, write_text
from fkp_utils.folders import CHECKPOINTS, MEASURED
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.trained import new_model
from fkp_utils.profiles import recipe
from fkp_utils.training.loop import fit

RESULTS, TABLE = MEASURED / "mixture.json", Path(__file__).with_suffix(".md")
SCENES = 1800
SMALL = replace(recipe("quick", "finder"), title="mixture", limit=None)
KEY = ("net", "side", "epochs", "share", "seed")
COLUMNS = {"net": "net", "px": "side", "epochs": "epochs", "generated people, %": "share", "seed": "seed",
           "scenes: found": "found_scenes", "scenes: wrong": "wrong_scenes", "photos: found": "found", "photos: wrong": "wrong",
           "`predict` keeps": "found_kept", "and keeps wrong": "wrong_kept"}
ABOUT = """# Real or generated people for the finder

Made by `bench/real_photos/mixture.py`, with `--side`, `--epochs` and `--shares` as the rows have them: {scenes} scenes a
training, scored on scenes of as many pixels, and on the validation photos. Found in percent of the faces, wrong in 100 faces
(scenes) or 100 pictures (photos); then what `predict` keeps of what is found in the photos: its landmark net has learned from
real ones.

{table}

FinderNet was the finder of profile `quick` before FinderResNet.

Scenes of 128 px show no face as large as the search meets in its views of 256 px: with larger ones more is found in photos, and
less of it is wrong.

Before, by the search of then, on another machine:

{earlier}
"""


class Mixed(FaceDataset):
    """The scenes of several datasets, one after the other."""

    convention = SCENE

    def __init__(self, *parts: FaceDataset):
        self.images = np.concatenate([part.images for part in parts])
        self.landmarks = np.concatenate([part.landmarks for part in parts])
        self.names = [name for part in parts for name in part.names]


def kept(picture: np.ndarray, detector: Detector) -> np.ndarray:
    """Boxes (k, 4) of the faces that `predict` keeps of what a detector proposes."""
    return np.array([face.box for face in predict.landmarks(picture, detector=detector)]).reshape(-1, 4)


def measured(photos: list[Example], train: FaceDataset, val: Scenes, chosen: Recipe) -> dict:
    """How well a finder does that learned from scenes: numbers of a row."""
    run = fit(new_model(chosen), train, val, chosen, CHECKPOINTS)
    detector = partial(find_faces, finder=run)
    numbers = {"_scenes": val.scores(run.predict(val)), "": score(detector, photos),
               "_kept": score(lambda picture: kept(picture, detector), photos)}
    return {what + name: round(scores[what], 1) for name, scores in numbers.items() for what in ("found", "wrong")}


def lines(rows: list[dict]) -> str:
    """The rows as a Markdown table."""
    return table([*COLUMNS], [[str(row.get(key, "")) for key in COLUMNS.values()] for row in rows])


def publish(known: dict) -> None:
    """Keep all rows, and write their tables."""
    write_json(RESULTS, known)
    write_text(TABLE, ABOUT.format(scenes=SCENES, table=lines(known["rows"]), earlier=lines(known["earlier"])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("--shares", type=float, nargs="+", default=[0, 0.25, 0.5, 1], help="of generated people")
    parser.add_argument("--side", type=int, default=SMALL.size[0], help="of the scenes, in pixels")
    parser.add_argument("--epochs", type=int, default=SMALL.epochs)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    options = parser.parse_args()
    chosen = replace(SMALL, size=(options.side, options.side), epochs=options.epochs)
    photos = [at_most(example, 640) for example in as_they_are(IBugFaces(options.real, "val"))]
    real, generated = (Scenes(root, "train", chosen.size, SCENES) for root in (options.real, EMBEDDED))
    val = Scenes(options.real, "val", chosen.size)
    for share in options.shares:
        number = round(share * SCENES)
        train = Mixed(*(part.first(count) for part, count in ((real, SCENES - number), (generated, number)) if count))
        for seed in options.seeds:
            row = {"net": chosen.net, "side": options.side, "epochs": options.epochs, "share": round(100 * share), "seed": seed,
                   **measured(photos, train, val, replace(chosen, seed=seed))}
            known = json.loads(RESULTS.read_text())
            publish({**known, "rows": with_row(known["rows"], row, KEY)})
            print(row, flush=True)


if __name__ == "__main__":
    main()
