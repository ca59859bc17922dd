"""Do the landmarks of made faces lie where the shipped net, which has learned real ones, sees them?

    python bench/shipped_files/faces/check_labels.py data/embedded

prints the mean difference of each landmark, net less label, in percent of the inter-ocular distance and along the eyes, for
faces seen from the front, turned by 20 to 45 degrees to either side (the left ones mirrored) and by more; covered landmarks
are left out, and so are answers that lie more than a quarter of the distance off. The shipped net's own side (label_offset.md)
is taken out by its answer for the mirror image. Runs in the course's environment, without Blender.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

_BENCH = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_BENCH.parent), str(_BENCH / "real_photos")]

from label_offset import in_frame_of_eyes  # noqa: E402

from fkp_utils.datasets import IBugFaces  # noqa: E402  (found beside this file)
from fkp_utils.landmarks import IBUG_68  # noqa: E402
from fkp_utils.metrics import nme  # noqa: E402
from fkp_utils.nets.weights import load_weights  # noqa: E402
from fkp_utils.predict import WEIGHTS, both_ways  # noqa: E402

FAR = .25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    root = folder / "ibug_300W_large_face_landmark_dataset"
    covered = json.loads((root / "covered.json").read_text())
    turns = {file: facts["turn"] for file, facts in json.loads((root / "facts.json").read_text()).items()}
    run = load_weights(WEIGHTS)
    faces = IBugFaces(folder, "all", crop=run.recipe.crop)
    found, _ = both_ways(run, np.array(faces.images))
    print(f"NME of the shipped net: {np.mean(nme(found, faces.landmarks, IBUG_68)):.2f} %, "
          f"median {np.median(nme(found, faces.landmarks, IBUG_68)):.2f} %, {len(faces)} faces")
    moved = 100 * in_frame_of_eyes(found - faces.landmarks, faces.landmarks)
    turn = np.array([turns[name] for name in faces.names])
    seen = np.stack([~np.isin(np.arange(68), covered[name]) for name in faces.names])
    flip = np.array(IBUG_68.flip)
    mirror = turn < 0                                        # as if all turned the same way
    moved[mirror] = (-moved[mirror].real + 1j * moved[mirror].imag)[:, flip]
    seen[mirror] = seen[mirror][:, flip]
    seen &= np.abs(moved) < 100 * FAR
    turn = abs(turn)
    print("landmark: right/down (how many), front, turned 20 to 45, more")
    groups = [turn < 20, (turn >= 20) & (turn < 45), turn >= 45]
    means = [np.where(seen[g], moved[g], 0).sum(0) / np.maximum(seen[g].sum(0), 1) for g in groups]
    for k, name in enumerate(IBUG_68.names):
        print(f"{k:2d} {name:9s} " + "   ".join(f"{mean[k].real:6.2f} {mean[k].imag:6.2f} ({seen[group][:, k].sum()})"
                                              for group, mean in zip(groups, means)))
    for words, group, mean in zip(("front", "turned 20 to 45", "turned more"), groups, means):
        far = np.abs(mean)
        print(f"{words}: {group.sum()} faces, landmarks off by 1 % or more: {(far >= 1).sum()}, mean {far.mean():.2f} %")


if __name__ == "__main__":
    main()
