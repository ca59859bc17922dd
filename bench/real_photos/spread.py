"""What one look at a face is worth, without that at the mirror image, and whether the heatmaps' spread tells who needs it.

    python bench/real_photos/spread.py FOLDER_WITH_REAL_DATA

`predict.follow` looks once where the heatmaps are narrow. On the validation photos of iBUG, for both nets that come with the
project: NME and unsteadiness of one look and of both; the spread in the labels' boxes, in boxes that are somewhat off as a
detector's are or by a factor of two, and in crops that are no face's. Writes bench/real_photos/spread.md. Two minutes.
"""

import argparse
from pathlib import Path

import numpy as np
from finder import table

from fkp_utils import predict
from fkp_utils.datasets import IBugFaces
from fkp_utils.datasets.images import read_gray
from fkp_utils.files import write_text
from fkp_utils.metrics import nme
from fkp_utils.nets.quantised import Quantised
from fkp_utils.predict.faces import MIN_CONFIDENCE, look, one_way
from fkp_utils.predict.film import SURE_SPREAD

RESULTS = Path(__file__).with_suffix(".md")
ABOUT = """# One look or two

Made by `python bench/real_photos/spread.py DATA`, on the 221 validation photos, without the labels' side. Unsteadiness: how far
landmarks are from their mean, in percent of the inter-ocular distance, when the box moves by up to 0.005 of its side.

{looks}

How far heatmaps spread about their means, in inter-ocular distances; *rejected* are crops whose confidence, by both looks, is
below {least}. Where the spread is below {sure}, `predict.follow` does without the second look.

{spreads}
"""
SHIFTS = 5                                   # of each box, to see how steady the answers are


def asked(pictures: list, boxes: np.ndarray, run: Quantised, way, rolls=None) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks in the pictures, and what else the way of looking says, eight faces at once."""
    rolls = np.zeros(len(boxes)) if rolls is None else rolls
    parts = [slice(k, k + 8) for k in range(0, len(boxes), 8)]
    found, sure = zip(*(look(pictures[part], boxes[part], rolls[part], run, way) for part in parts))
    return np.concatenate(found), np.concatenate(sure)


def unsteadiness(faces: IBugFaces, pictures: list, run: Quantised, way) -> float:
    rng, answers = np.random.default_rng(0), []
    for _ in range(SHIFTS):
        boxes = faces.boxes.copy()
        boxes[:, :2] += rng.uniform(-0.005, 0.005, (len(boxes), 2)) * boxes[:, 2:3]
        answers.append(asked(pictures, boxes, run, way)[0])
    mean = np.mean(answers, 0)
    return float(np.mean([nme(answer, mean, faces.convention) for answer in answers]))


def crops_of(faces: IBugFaces) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Boxes and rolls of faces, and of what is none."""
    rng, boxes, none = np.random.default_rng(0), faces.boxes, np.zeros(len(faces))

    def moved(shares: np.ndarray) -> np.ndarray:
        return np.c_[boxes[:, :2] + shares * boxes[:, 2:3], boxes[:, 2:]]

    def scaled(boxes: np.ndarray, factor: float) -> np.ndarray:
        return np.c_[boxes[:, :2] + (1 - factor) / 2 * boxes[:, 2:], factor * boxes[:, 2:]]
    signs = rng.choice([-1, 1], (len(boxes), 2))
    return {"faces": (boxes, none), "faces, boxes somewhat off": (moved(rng.normal(0, 0.06, (len(boxes), 2))),
                                                                  rng.normal(0, 6, len(boxes))),
            **{f"faces {1 / factor:g} times as large as the boxes": (scaled(boxes, factor), none) for factor in (0.5, 2)},
            "half outside": (moved(signs * rng.uniform(0.35, 0.8, (len(boxes), 2))), none),
            "turned by a quarter": (boxes, none + 90)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    faces = IBugFaces(parser.parse_args().real, "val")
    pictures = [read_gray(faces.folder / name) for name in faces.names]
    looks, spreads = [], []
    for name in (predict.QUANTISED, predict.QUANTISED_SMALL):
        run = Quantised(name)
        for way, ask in (("both", predict.both_ways), ("one", one_way)):
            found, _ = asked(pictures, faces.boxes, run, ask)
            looks.append([name, way, f"{nme(found, faces.truth, faces.convention).mean():.3f} %",
                          f"{unsteadiness(faces, pictures, run, ask):.3f} %"])
        for kind, (boxes, rolls) in crops_of(faces).items():
            _, spread = asked(pictures, boxes, run, one_way, rolls)
            _, sure = asked(pictures, boxes, run, predict.both_ways, rolls)
            poor = sorted(spread[sure < MIN_CONFIDENCE])
            spreads.append([name, kind, f"{np.median(spread):.3f}", f"{np.quantile(spread, 0.95):.3f}",
                            f"{100 * (spread < SURE_SPREAD).mean():.0f} %", str(len(poor)), f"{poor[0]:.3f}" if poor else ""])
    write_text(RESULTS, ABOUT.format(
        least=MIN_CONFIDENCE, sure=SURE_SPREAD, looks=table(["net", "looks", "NME", "unsteadiness"], looks),
        spreads=table(["net", "crops", "median", "95 % below", f"below {SURE_SPREAD}", "rejected", "least of these"],
                      spreads)))
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
