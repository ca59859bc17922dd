"""How good the shipped 68-point weights are on real photos they were not trained on.

    python bench/real_photos/shipped.py FOLDER_WITH_REAL_DATA [--weights FILE] [--second FILE]

Scores the validation tenth of the iBUG training photos and writes data/measured/shipped.json: by region,
by pose, by brightness of the cheeks, by confidence; with and without the mirror image and a second pass on a
re-centred crop; and averaged with a second net, if one is named. All of these on the labels' side (`label_offset.md`), as the
dataset has it; what `predict` says has none, and stands beside them. The last two ways are the 8-bit net's that `predict` asks.
About a minute.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from fkp_utils.datasets import IBugFaces
from fkp_utils.datasets.images import read_gray
from fkp_utils.files import write_json
from fkp_utils.folders import MEASURED
from fkp_utils.landmarks import IBUG_68, box_around
from fkp_utils.metrics import failure_rate, mae, mean_nme, mean_shape, nme, region_errors
from fkp_utils.nets.shipped import find_weights, sha256
from fkp_utils.nets.weights import load_weights
from fkp_utils.predict import WEIGHTS, both_ways, default_net, landmarks_in_boxes

RESULTS = MEASURED / "shipped.json"
NOSE, CHEEKS = 30, ((2, 31), (14, 35))              # the cheek lies half-way between jaw and nose wing


def turned(truth: np.ndarray) -> np.ndarray:
    """How far the nose tip lies off the middle of the eyes, in eye distances (N,): a stand-in for the head's yaw."""
    left, right = (truth[:, k] for k in IBUG_68.eye_corners)
    across = right - left
    return np.abs(((truth[:, NOSE] - (left + right) / 2) * across).sum(1) / (across**2).sum(1))


def cheeks(faces: IBugFaces) -> np.ndarray:
    """Mean grey of both cheeks (N,), 0 to 255."""
    spots = np.stack([faces.landmarks[:, pair].mean(1) for pair in CHEEKS], 1)
    x, y = np.rint(spots).astype(int).clip(2, faces.size[0] - 3).transpose(2, 0, 1)
    rows, columns = y[..., None, None] + np.arange(-2, 3)[:, None], x[..., None, None] + np.arange(-2, 3)
    return faces.images[np.arange(len(faces))[:, None, None, None], rows, columns].mean((1, 2, 3))


def by_groups(errors: np.ndarray, values: np.ndarray, limits: dict[str, tuple[float, float]]) -> dict:
    """Number of faces and mean NME of each range of values."""
    groups = {name: errors[(values >= low) & (values < high)] for name, (low, high) in limits.items()}
    return {name: {"faces": len(group), "nme": round(float(group.mean()), 2)} for name, group in groups.items() if len(group)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("--weights", default=WEIGHTS)
    parser.add_argument("--second", help="weights of a second net to average with")
    options = parser.parse_args()
    run = load_weights(options.weights)
    crop = run.recipe.crop
    train, faces = (IBugFaces(options.real, split, crop=crop) for split in ("train", "val"))
    truth = faces.truth
    in_crops, sure = both_ways(run, np.array(faces.images))
    plain = faces.to_image(in_crops)
    found = run.on_labels_side(plain)
    again = box_around(plain, run.convention)
    pictures = [read_gray(faces.folder / name) for name in faces.names]
    cut_again = np.stack([crop.cut(picture, box) for picture, box in zip(pictures, again)])
    second = run.on_labels_side(crop.to_image(both_ways(run, cut_again)[0], again))
    asked = default_net() if options.weights == WEIGHTS else run
    predicted = np.array([face.landmarks for face in landmarks_in_boxes(pictures, faces.boxes, asked)])
    ways = {"mean shape in the box": faces.to_image(np.repeat(mean_shape(train.landmarks)[None], len(faces), 0)),
            "one look": faces.to_image(run.predict(faces)), "averaged with the mirror image": found,
            "second pass on a re-centred crop": second, "both passes averaged": (found + second) / 2,
            "as `predict` looks, on the labels' side": run.on_labels_side(predicted), "as `predict` looks": predicted}
    if options.second:
        other = load_weights(options.second)
        its = IBugFaces(options.real, "val", crop=other.recipe.crop)
        theirs = other.on_labels_side(its.to_image(both_ways(other, np.array(its.images))[0]))
        ways |= {"second net alone": theirs, "two nets averaged": (found + theirs) / 2}
    errors = nme(found, truth, IBUG_68)
    quarters = np.array_split(np.argsort(sure), 4)
    result = {
        "weights": Path(options.weights).name, "sha256": sha256(find_weights(options.weights)), "faces": len(faces),
        "ways": {name: {"nme": round(float(mean_nme(points, truth, IBUG_68)), 2), "mae": round(mae(points, truth), 2)}
                 for name, points in ways.items()},
        "median": round(float(np.median(errors)), 2), "failures": round(100 * failure_rate(errors), 1),
        "regions": {name: round(error, 2) for name, error in region_errors(found, truth, IBUG_68).items()},
        "pose": by_groups(errors, turned(truth), {"facing us": (0, 0.1), "half turned": (0.1, 0.25), "turned far": (0.25, 9)}),
        "cheeks": by_groups(errors, cheeks(faces), {"dark": (0, 90), "medium": (90, 160), "bright": (160, 256)}),
        "confidence": {"rank_correlation": round(float(spearmanr(sure, errors).statistic), 2),
                       "nme_by_quarter_least_sure_first": [round(float(errors[part].mean()), 2) for part in quarters]}}
    write_json(RESULTS, result)
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
