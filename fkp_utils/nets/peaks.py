"""Faces out of a finder's maps, which `nets.finder` explains: peaks of the heatmap of centres, each face once."""

import numpy as np

STRIDE, UNIT = 4, 32
SAME_FACE = 0.5                      # centres nearer than this many sides are one face


def peaks(maps: np.ndarray, min_confidence: float) -> list[np.ndarray]:
    """All faces of each picture that are so sure.

    Parameters
    ----------
    maps : float32 (b, 6, h / 4, w / 4), a finder's output
    min_confidence : from 0 to 1

    Returns
    -------
    for each picture float32 (k, 5): centre x, y and side in pixels, roll in degrees, confidence. `distinct` leaves one of
    those that are the same face.
    """
    found = []
    for logits, *rest in maps:
        with np.errstate(over="ignore"):
            heat = 1 / (1 + np.exp(-logits))
        row, column = np.nonzero(heat >= min_confidence)
        around = np.pad(heat, 1, constant_values=-1)
        highest = np.max([around[row + down, column + right] for down in range(3) for right in range(3)], 0)
        row, column = (places[heat[row, column] == highest] for places in (row, column))
        dx, dy, size, cos, sin = (values[row, column] for values in rest)
        x, y = (column + dx + 0.5) * STRIDE - 0.5, (row + dy + 0.5) * STRIDE - 0.5
        side = UNIT * 2 ** size.clip(-3, 6)
        found.append(np.stack([x, y, side, np.rad2deg(np.arctan2(sin, cos)), heat[row, column]], 1).astype(np.float32))
    return found


def same_face(faces: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Which of faces (k, 3 or more), centre x, y and side first, are another (3 or more,): by the larger side, bool (k,)."""
    return np.linalg.norm(faces[:, :2] - face[:2], axis=1) < SAME_FACE * np.maximum(faces[:, 2], face[2])


def distinct(faces: np.ndarray) -> np.ndarray:
    """Of faces (k, 5), surest first, those whose centre is at least `SAME_FACE` of the larger side from each surer one's."""
    rest, kept = faces[np.argsort(-faces[:, 4], kind="stable")], [faces[:0]]
    while len(rest):
        kept.append(rest[:1])
        rest = rest[~same_face(rest, rest[0])]
    return np.concatenate(kept)
