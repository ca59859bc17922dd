"""The competition's submission file: write it, read it, check it, score it.

Format: a header `Id,Predicted`, then for each face of `labels_ibug_300W_test_parsed.xml`, in the XML's
order, 136 rows: x and y of landmark 0, of landmark 1, and so on, in pixels of that face's picture.

    python -m fkp_utils.kaggle [--data FOLDER] [--weights FILE] [--out submission.csv]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from . import command
from .datasets import IBugFaces, data_root, published_landmarks
from .datasets.images import read_gray
from .files import replacing
from .landmarks import IBUG_68
from .metrics import mae
from .nets.trained import Trained
from .nets.weights import load_weights
from .predict import BATCH, WEIGHTS, landmarks_in_boxes

N_POINTS = IBUG_68.size


def write_submission(path: str | Path, landmarks: np.ndarray) -> Path:
    """Write landmarks (N, 68, 2), in pixels of the pictures, whole or not at all. ValueError for others, or none."""
    try:
        landmarks = np.asarray(landmarks, np.float64)
    except (TypeError, ValueError):                              # objects, or rows of different lengths
        landmarks = np.empty(0)
    if landmarks.shape[1:] != (N_POINTS, 2) or not landmarks.size or not np.isfinite(landmarks).all():
        raise ValueError(f"{path}: a submission holds finite landmarks (N, {N_POINTS}, 2) of faces, not what was given")
    with replacing(path) as beside:
        pd.DataFrame({"Id": np.arange(landmarks.size), "Predicted": landmarks.reshape(-1).round(3)}).to_csv(
            beside, index=False, lineterminator="\n", encoding="utf-8")
    return Path(path)


def read_submission(path: str | Path, sizes: np.ndarray) -> np.ndarray:
    """Read and check a submission: float64 (N, 68, 2), for pictures of `sizes` (N, 2), width and height, in the XML's order.

    ValueError, with file and row, for wrong columns or length, ids that do not count from 0, something that is no number, a
    coordinate further outside of its picture than the picture is large.
    """
    try:
        table = pd.read_csv(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: not a CSV file ({error})") from None
    if list(table.columns) != ["Id", "Predicted"]:
        raise ValueError(f"{path}: columns {list(table.columns)[:5]}, expected Id, Predicted")
    expected = len(sizes) * 2 * N_POINTS
    if len(table) != expected:
        raise ValueError(f"{path}: {len(table)} rows, expected {expected} ({len(sizes)} faces of {2 * N_POINTS})")
    numbers = table.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    _refuse(path, numbers[:, 0] != np.arange(expected), "Ids must count from 0 in order")
    _refuse(path, ~np.isfinite(numbers[:, 1]), "not a number")
    landmarks = numbers[:, 1].reshape(len(sizes), N_POINTS, 2)
    limit = np.asarray(sizes, np.float64)[:, None]
    _refuse(path, ((landmarks < -limit) | (landmarks > 2 * limit)).ravel(), "far outside of the picture")
    return landmarks


def _refuse(path, wrong: np.ndarray, words: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{path}, row {row + 2} (face {row // (2 * N_POINTS)}): {words}")


def predict_test(run: Trained, faces: IBugFaces) -> np.ndarray:
    """Landmarks (N, 68, 2) of test faces in pixels of their pictures, as `predict.landmarks` finds them in the given boxes."""
    found = []
    for start in tqdm(range(0, len(faces), BATCH), "predicting", unit="batch"):
        pictures = [read_gray(faces.folder / name) for name in faces.names[start:start + BATCH]]
        found += landmarks_in_boxes(pictures, faces.boxes[start:start + BATCH], run)
    return np.array([face.landmarks for face in found])


def on_labels_side(landmarks: np.ndarray, run: Trained, faces: IBugFaces) -> np.ndarray:
    """Landmarks (N, 68, 2) of test faces, moved to where labels lie like those that the net learned from (`augment.flip`).

    300-W's lie to one side of what they mark, and in the set's own mirrored copies, which their names tell, to the other.
    """
    aside = run.on_labels_side(landmarks) - landmarks
    return landmarks + np.where(faces.mirrored[:, None, None], -aside, aside)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: predict every test face with trained weights, write and check the submission."""
    parser = command.parser("kaggle", "Writes a submission with trained weights.", "--out submission.csv",
                            "--data data --weights mine.safetensors")
    parser.add_argument("--data", metavar="FOLDER", help="folder of the datasets (default: $FKP_DATA, or the embedded faces)")
    parser.add_argument("--weights", metavar="FILE", default=WEIGHTS, help="a net's .safetensors file (default: %(default)s)")
    parser.add_argument("--out", metavar="FILE", type=command.writable, default="submission.csv",
                        help="the submission (default: %(default)s)")
    parser.add_argument("--labels-side", action="store_true", help="move the landmarks to the side of what they mark where "
                        "300-W's labels lie, in its mirrored copies to the other: a better score, no better landmarks")
    options = parser.parse_args(arguments)
    return command.run("kaggle", lambda: _submit(options))


def _submit(options: argparse.Namespace) -> None:
    run, root = load_weights(options.weights), data_root(options.data)
    if run.convention.size != N_POINTS:
        raise ValueError(f"{options.weights}: a net of {run.convention.size} points; a submission has {N_POINTS} a face")
    faces = IBugFaces(root, "test_parsed", crop=run.recipe.crop)
    truth = published_landmarks(root)
    found = predict_test(run, faces)
    ways = {"as found": found, "on the labels' side": on_labels_side(found, run, faces)}
    chosen = "on the labels' side" if options.labels_side else "as found"
    written = read_submission(write_submission(options.out, ways[chosen]), faces.sizes)
    print(f"{options.out}: {written.size} rows for {len(faces)} faces, {chosen}, "
          f"values from {written.min():.1f} to {written.max():.1f}")
    if truth is not None:
        print("MAE " + ", ".join(f"{mae(points, truth):.3f} px {way}" for way, points in ways.items()))


if __name__ == "__main__":
    sys.exit(main())
