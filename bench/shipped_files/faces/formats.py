"""The official formats of IMM and iBUG 300-W: ASF, dlib's XML; and what stands beside them, covered landmarks as JSON.

ASF: M. B. Stegmann, AAM-API. XML: dlib's imglab.
"""

import numpy as np

from fkp_utils.landmarks import DLIB_BOX, IBUG_68

IMM, IBUG = "imm_face_db", "ibug_300W_large_face_landmark_dataset"
_ASF_PATHS = ((0, 13, 4), (1, 8, 0), (2, 8, 0), (3, 5, 4), (4, 5, 4), (5, 8, 0), (6, 11, 4))      # number, points, type


def asf(landmarks: np.ndarray, image: str, size: tuple[int, int]) -> str:
    """One ASF file: landmarks (58, 2) in pixels of an image of (width, height), as shares of it."""
    lines = ["#" * 70, "#", "#    AAM Shape File  -  generated faces of the facial keypoint project", "#", "#" * 70, "",
             "# number of model points", str(len(landmarks)), "",
             "# format: <path#> <type> <x rel.> <y rel.> <point#> <connects from> <connects to>"]
    start = 0
    for path, count, kind in _ASF_PATHS:
        for k in range(start, start + count):
            before, after = start + (k - 1 - start) % count, start + (k + 1 - start) % count
            if kind == 4:                          # open path: its ends connect to themselves
                before, after = max(k - 1, start), min(k + 1, start + count - 1)
            x, y = landmarks[k] / size
            lines.append(f"{path} \t{kind} \t{x:.8f} \t{y:.8f} \t{k} \t{before} \t{after}")
        start += count
    return "\n".join([*lines, "", "# host image", image, ""])


def entry(file: str, size: tuple[int, int], landmarks: np.ndarray, box: np.ndarray, covered) -> dict:
    """What the XML and the list of covered landmarks say of one picture of (width, height)."""
    return {"file": file, "size": list(size), "box": [int(b) for b in box], "parts": np.round(landmarks, 2).tolist(),
            "covered": [int(k) for k in covered]}


def mirrored(original: dict, file: str) -> dict:
    """The entry of a picture's mirror image. A box spans edges, not pixel centres."""
    width, box, flip = original["size"][0], original["box"], list(IBUG_68.flip)
    parts = (np.array(original["parts"]) * [-1, 1] + [width - 1, 0])[flip]
    return entry(file, original["size"], parts, np.r_[width - box[0] - box[2], box[1:]],
                 sorted(flip.index(k) for k in original["covered"]))


def detector_box(rng: np.random.Generator, landmarks: np.ndarray, turn: float, nod: float) -> np.ndarray:
    """A box (4,) as dlib's detector draws it around landmarks (68, 2); turn and nod in degrees."""
    low, high = landmarks.min(0), landmarks.max(0)
    factor, up = DLIB_BOX
    side = factor * np.sqrt(np.prod(high - low)) * np.clip(rng.normal(1, .075), .84, 1.2)
    centre = (low + high) / 2 + side * np.array([rng.normal(.0034 * turn, .05), rng.normal(-up - .001 * nod, .05)])
    left_top = np.rint(centre - side / 2 + .5)
    return np.r_[left_top, np.rint(side), np.rint(side * rng.choice([.995, 1, 1, 1, 1.005]))]


def xml(title: str, entries: list[dict], with_parts: bool) -> str:
    """dlib's XML."""
    lines = ["<?xml version='1.0' encoding='ISO-8859-1'?>", "<dataset>", f"<name>{title}</name>",
             "<comment>Generated faces; landmarks are exact.</comment>", "<images>"]
    for e in entries:
        left, top, width, height = e["box"]
        box = f"  <box top='{top}' left='{left}' width='{width}' height='{height}'"
        parts = [f"   <part name='{k:02d}' x='{x:g}' y='{y:g}'/>" for k, (x, y) in enumerate(e["parts"])]
        lines += [f" <image file='{e['file']}' width='{e['size'][0]}' height='{e['size'][1]}'>",
                  *([box + ">", *parts, "  </box>"] if with_parts else [box + "/>"]), " </image>"]
    return "\n".join([*lines, "</images>", "</dataset>", ""])
