"""Where the labels of iBUG 300-W lie of what they mark: a look at faces and their mirror images.

    python bench/real_photos/label_offset.py FOLDER_WITH_REAL_DATA [--weights FILE]

A mirror image changes left and right of a face, and of the mistakes that a net makes of it. So the mean of what a net
says of a picture and, mirrored back, of its mirror image has no side that it prefers; where the labels differ from it in
the mean of many faces, they do. Writes bench/real_photos/label_offset.md, in percent of the inter-ocular distance. A minute.
"""

import argparse
from pathlib import Path

import numpy as np

from fkp_utils.datasets import IBugFaces
from fkp_utils.files import write_text
from fkp_utils.landmarks import IBUG_68
from fkp_utils.nets.weights import load_weights
from fkp_utils.predict import WEIGHTS, both_ways

RESULTS = Path(__file__).with_suffix(".md")
ABOUT = """# Labels beside what they mark

Made by `python bench/real_photos/label_offset.py DATA`: landmarks of iBUG's photos against the mean of what `{weights}` says of
each face and of its mirror image, which has no side; percent of the inter-ocular distance, with the standard error.

{table}

All labels lie about a hundredth of the inter-ocular distance to the right in the picture, in each of the three sets, whatever
the faces' size: a pixel on a face of 250. To the eye that is nothing, to the NME much: a net that learns from faces and their
mirror images is told both sides and says the middle. With `flip_offset=0.009` labels of mirror images are moved to the same
side. The landmarks then lie where the dataset's do, a hundredth to the right.
"""


def in_frame_of_eyes(moved: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Differences (N, n, 2) of landmarks of faces (N, 68, 2), in inter-ocular distances, as complex numbers (N, n).

    Their real part points to the face's image-right, along the eyes, the imaginary one down.
    """
    left, right = IBUG_68.eye_corners
    return moved @ (1, 1j) / ((faces[:, right] - faces[:, left]) @ (1, 1j))[:, None]


def offsets(found: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How far to the face's image-right and how far down labels (N, n, 2) lie of what was found, in percent (N, 2)."""
    moved = in_frame_of_eyes(labels - found, found).mean(1)
    return 100 * np.stack([moved.real, moved.imag], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("--weights", default=WEIGHTS)
    options = parser.parse_args()
    run = load_weights(options.weights)
    lines = ["| faces | how many | to the right | down |", "| --- | --- | --- | --- |"]
    for split in ("train", "val"):
        faces = IBugFaces(options.real, split, crop=run.recipe.crop)
        values = offsets(both_ways(run, np.array(faces.images))[0], faces.landmarks)
        folder, width = np.array([name.split("/")[0] for name in faces.names]), faces.boxes[:, 2]
        groups = {f"{split}": np.ones(len(faces), bool)}
        groups |= {f"{split}, {name.upper()}": folder == name for name in np.unique(folder)}
        groups |= {f"{split}, box {words} px": (width >= low) & (width < high)
                   for words, low, high in (("below 150", 0, 150), ("150 to 250", 150, 250), ("above 250", 250, 1e9))}
        for name, chosen in groups.items():
            mean, error = values[chosen].mean(0), values[chosen].std(0) / np.sqrt(chosen.sum())
            lines.append(f"| {name} | {chosen.sum()} | " + " | ".join(f"{m:.2f} ± {e:.2f}" for m, e in zip(mean, error)) + " |")
    write_text(RESULTS, ABOUT.format(weights=Path(options.weights).name, table="\n".join(lines)))
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
