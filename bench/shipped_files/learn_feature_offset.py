"""Learns where the features of the generated head are seen, beside the vertices that stand for its landmarks.

    python bench/shipped_files/learn_feature_offset.py

The shipped net has learned from real photos where annotators put landmarks. What it says of generated faces differs from
their landmarks in the mean where a feature is drawn beside its landmark: lips that end before their corners, a nose that
reaches below its base. That mean, in distances between the outer eye corners, goes to `feature_offset` in
`fkp_utils/synthesis/shape_model.npz`, and the head is pulled by that much less, or, along the jaw, the landmark put where the
outline is seen. After `learn_shape_model.py`. A minute and a half a round on 2 cores.
"""

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from fkp_utils.datasets import IBugFaces
from fkp_utils.datasets.embedded import Settings, ensure_embedded
from fkp_utils.metrics import mean_nme
from fkp_utils.nets.weights import load_weights
from fkp_utils.predict import WEIGHTS
from fkp_utils.synthesis.shape_model import ShapeModel, load_shape_model

sys.path.insert(0, str(Path(__file__).parents[1] / "real_photos"))

from label_offset import in_frame_of_eyes, without_a_side
from learn_shape_model import OUTPUT, save, symmetric

ROUNDS, FACES, FAR = 4, 600, 0.25
# Upper and lower lids, and lips: one offset down for both, since another would open or close them.
TOUCHING = ((37, 41), (38, 40), (43, 47), (44, 46), (61, 67), (62, 66), (63, 65))


def mean_offset(found: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """How far beside landmarks (N, 68, 2) those found lie, the same on both sides: (68, 3), in inter-ocular distances.

    Answers far off are none of a feature and count as FAR.
    """
    moved = in_frame_of_eyes(found - landmarks, landmarks)
    mean = np.stack([moved.real.clip(-FAR, FAR).mean(0), moved.imag.clip(-FAR, FAR).mean(0), np.zeros(68)], 1)
    return symmetric(mean)


def measured(model: ShapeModel) -> np.ndarray:
    """The offsets (68, 3) of features on faces made with a model, which stays in OUTPUT; says how well they are read."""
    run = load_weights(WEIGHTS)
    save(model, OUTPUT)
    with TemporaryDirectory() as folder:
        # Processes that start now read what was just written.
        root = ensure_embedded(Path(folder) / "faces", Settings(people=1, train=FACES, test=2, seed=1), processes=2)
        faces = IBugFaces(root, "all", crop=run.recipe.crop)
        found = without_a_side(run, faces)
    beside = mean_offset(found, faces.landmarks)
    print(f"NME {mean_nme(found, faces.landmarks, faces.convention):.2f} %, features beside their landmarks by "
          f"{100 * np.hypot(*beside[:, :2].T).mean():.2f} % of the inter-ocular distance", flush=True)
    return beside


def main() -> None:
    before = load_shape_model()
    model = replace(before, feature_offset=np.zeros((68, 3)))
    try:
        for _ in range(ROUNDS):
            offset = model.feature_offset + measured(model)
            for pair in TOUCHING:
                offset[pair, 1] = offset[pair, 1].mean()
            model = replace(model, feature_offset=offset)
        measured(model)
    except BaseException:                                    # Ctrl-C included: what was shipped is not lost
        save(before, OUTPUT)
        raise


if __name__ == "__main__":
    main()
