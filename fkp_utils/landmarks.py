"""The two landmark conventions: which index is what, left/right partners, regions.

58 points: IMM Face Database (Stegmann et al., 2003), paths in file order.
68 points: Multi-PIE / iBUG 300-W (Sagonas et al., 2013).

Left and right are the image's: index 0 of both conventions lies at the image's left.
"""

import numpy as np

NOSE_TIP_58 = 52                # the middle of the lower edge of the nose (figure 1 of notebook 1 shows it)
EYE_CORNERS_58 = (21, 13)       # outer corners, image left then right
EYE_CORNERS_68 = (36, 45)


def _run(first: int, last: int) -> list[int]:
    step = 1 if last >= first else -1
    return list(range(first, last + step, step))


# FLIP[i] is the index, in the original, of the landmark that becomes number i in the mirror image.
FLIP_58 = np.array(_run(12, 0) + _run(21, 28) + _run(13, 20) + _run(34, 38) + _run(29, 33)
                   + _run(43, 39) + _run(46, 44) + _run(57, 47))
FLIP_68 = np.array(_run(16, 0) + _run(26, 17) + _run(27, 30) + _run(35, 31) + [45, 44, 43, 42, 47, 46]
                   + [39, 38, 37, 36, 41, 40] + _run(54, 48) + _run(59, 55) + _run(64, 60) + _run(67, 65))

REGIONS_58 = {"jaw": _run(0, 12), "eyes": _run(13, 28), "brows": _run(29, 38), "mouth": _run(39, 46), "nose": _run(47, 57)}
REGIONS_68 = {"jaw": _run(0, 16), "brows": _run(17, 26), "nose": _run(27, 35), "eyes": _run(36, 47), "mouth": _run(48, 67)}

# Polylines that draw a face: (indices, closed).
LINES_58 = [(_run(0, 12), False), (_run(13, 20), True), (_run(21, 28), True), (_run(29, 33), False),
            (_run(34, 38), False), (_run(39, 46), True), (_run(47, 57), False)]
LINES_68 = [(_run(0, 16), False), (_run(17, 21), False), (_run(22, 26), False), (_run(27, 30), False), (_run(31, 35), False),
            (_run(36, 41), True), (_run(42, 47), True), (_run(48, 59), True), (_run(60, 67), True)]


def flip_order(n_landmarks: int) -> np.ndarray:
    """The flip permutation of a convention, int (n,); a single landmark is its own partner.

    Raises ValueError for a number of landmarks that no convention has.
    """
    try:
        return {1: np.array([0]), 58: FLIP_58, 68: FLIP_68}[n_landmarks]
    except KeyError:
        raise ValueError(f"no landmark convention has {n_landmarks} points (1, 58 or 68)") from None


def eye_corners(n_landmarks: int) -> tuple[int, int]:
    """Indices of the outer eye corners of the 58- or 68-point convention."""
    return {58: EYE_CORNERS_58, 68: EYE_CORNERS_68}[n_landmarks]


def regions(n_landmarks: int) -> dict[str, list[int]]:
    """Indices of each region of the face in the 58- or 68-point convention."""
    return {58: REGIONS_58, 68: REGIONS_68}[n_landmarks]
