"""People in the iBUG training photos whom nobody labelled, for the finder not to take them for background.

    python bench/shipped_files/find_unlabelled.py FOLDER_WITH_REAL_DATA [--finder WEIGHTS] [--splits train val]

Searches the surroundings of every face with a finder (the first one was trained without this table), reads landmarks where
it sees a face, and writes data/measured/unlabelled.json: for each photo the faces that both nets are sure of, as centre,
side and roll in pixels of the photo, and whether there may be more. A few minutes.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from fkp_utils import predict
from fkp_utils.datasets import IBugFaces
from fkp_utils.datasets.scenes import CUT, UNLABELLED
from fkp_utils.detection import WEIGHTS, find_faces
from fkp_utils.files import write_json
from fkp_utils.landmarks import upright_boxes
from fkp_utils.nets.weights import load_weights

SURE, PERHAPS = (0.3, 0.6), (0.4, 0.35)              # least confidence of the finder and of the landmarks


def others(crop: np.ndarray, own: np.ndarray, finder) -> tuple[list[np.ndarray], bool]:
    """Further faces in a crop (s, s), as rows (x, y, side, roll) in its pixels, and whether there may be more.

    own : the labelled face's box (4,)
    """
    boxes = find_faces(np.repeat(crop[..., None], 3, 2), finder, min_confidence=min(SURE[0], PERHAPS[0]), levels=(256,))
    centre = boxes[:, :2] + boxes[:, 2:4] / 2
    apart = np.linalg.norm(centre - own[:2] - own[2:] / 2, axis=1)
    boxes = boxes[apart > 0.5 * np.maximum(own[2], boxes[:, 2])]
    if not len(boxes):
        return [], False
    picture = Image.fromarray(crop)
    faces = predict.landmarks_in_boxes([picture] * len(boxes), boxes[:, :4], predict.default_net(), boxes[:, 4])
    sure, perhaps = [], False
    for box, face in zip(boxes, faces):
        if box[5] >= SURE[0] and face.confidence >= SURE[1]:
            [[left, top, side, _]], [roll] = upright_boxes(face.landmarks[None], face.convention)
            sure.append(np.array([left + side / 2 - 0.5, top + side / 2 - 0.5, side, roll]))
        else:
            perhaps |= box[5] >= PERHAPS[0] and face.confidence >= PERHAPS[1]
    return sure, bool(perhaps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("--finder", default=WEIGHTS)
    parser.add_argument("--splits", nargs="+", default=["train", "val"])
    options = parser.parse_args()
    finder, table = load_weights(options.finder), {}
    for split in options.splits:
        faces = IBugFaces(options.real, split, CUT)
        own, _ = upright_boxes(faces.landmarks, faces.convention)
        for k in tqdm(range(len(faces)), split):
            sure, perhaps = others(np.asarray(faces.images[k]), own[k], finder)
            scale = float(CUT.squares(faces.boxes[k:k + 1])[0, 2]) / CUT.size
            rows = []
            for x, y, side, roll in sure:
                [[[x, y]]] = CUT.to_image(np.array([[[x, y]]]), faces.boxes[k:k + 1])
                rows.append([round(float(value), 1) for value in (x, y, side * scale, roll)])
            if rows or perhaps:
                table[faces.names[k]] = {"faces": rows, "more": perhaps}
    write_json(UNLABELLED, table)
    print(f"{UNLABELLED}: {len(table)} photos, {sum(len(row['faces']) for row in table.values())} faces")


if __name__ == "__main__":
    main()
