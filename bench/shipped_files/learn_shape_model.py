"""Learns fkp_utils/synthesis/shape_model.npz from the landmarks (never the pixels) of the real data.

    python bench/shipped_files/learn_shape_model.py FOLDER_WITH_REAL_DATA [OUTPUT.npz]

Non-rigid structure from motion by alternation (in the spirit of Torresani, Hertzmann, Bregler, PAMI
2008): each face is a scaled orthographic view of a mean 3-D shape plus a few linear modes; poses,
coefficients and shapes are solved for in turn. The first mode found is the sliding of the jaw line
with the head's turn, which the renderer makes itself, so it is left out. Takes about a minute.
"""

import sys
from pathlib import Path

import numpy as np
from defusedxml.ElementTree import parse
from scipy.interpolate import RBFInterpolator

from fkp_utils.datasets.imm import read_asf
from fkp_utils.landmarks import IBUG_68, IMM_58

MODES, ROUNDS = 12, 60
# Starting depth of the 68 landmarks, towards the camera, in units where the face is about 2 wide.
_JAW = [-1.1, -1.08, -1.05, -1.0, -.85, -.6, -.35, -.15]
_BROW, _EYE = [-.35, -.12, .05, .12, .15], [-.3, -.15, -.12, -.15, -.14, -.18]
DEPTH = np.array([*_JAW, -.08, *_JAW[::-1], *_BROW, *_BROW[::-1], .1, .25, .42, .58, .2, .28, .35, .28, .2,
                  *_EYE, *(_EYE[k] for k in (3, 2, 1, 0, 5, 4)), -.05, .13, .22, .24, .22, .13, -.05,
                  .1, .18, .2, .18, .1, -.03, .15, .18, .15, -.03, .15, .17, .15])
# The jaw line slides over the cheek when the head turns: trust it less for the pose.
WEIGHT = np.ones(68)
WEIGHT[:17], WEIGHT[7:10] = 0.35, 0.7


def read_landmarks(xml: Path) -> np.ndarray:
    """All faces of a dlib XML file, (N, 68, 2)."""
    return np.array([[(float(p.get("x")), float(p.get("y"))) for p in box.iter("part")] for box in parse(xml).iter("box")])


def procrustes_mean(shapes: np.ndarray, rounds: int = 10) -> np.ndarray:
    """Mean of centred shapes (N, n, 2) after rotating each onto it, (n, 2)."""
    mean = shapes[0]
    for _ in range(rounds):
        u, _, vt = np.linalg.svd(np.einsum("nij,ik->njk", shapes, mean))
        mean = np.einsum("nij,njk->nik", shapes, u @ vt).mean(0)
    return mean


def poses(shape: np.ndarray, seen: np.ndarray):
    """Scaled orthographic poses of 3-D shapes (N, 68, 3) that explain seen (N, 68, 2): R (N, 2, 3), s (N,), t (N, 2)."""
    w = WEIGHT / WEIGHT.sum()
    mx, my = (shape * w[:, None]).sum(1, keepdims=True), (seen * w[:, None]).sum(1, keepdims=True)
    x, y = shape - mx, seen - my
    spread = np.einsum("npi,p,npj->nij", x, w, x) + 1e-3 * np.eye(3)
    u, s, vt = np.linalg.svd(np.einsum("npi,p,npj->nij", y, w, x) @ np.linalg.inv(spread), full_matrices=False)
    rotation, scale = u @ vt, s.mean(1)
    for _ in range(6):                                   # complete the unseen depth, then solve exactly
        third = np.cross(rotation[:, 0], rotation[:, 1])
        depth = np.einsum("nj,npj->np", third, x) * scale[:, None]
        full = np.concatenate([y, depth[..., None]], 2)
        u, s, vt = np.linalg.svd(np.einsum("npi,p,npj->nij", full, w, x))
        sign = np.linalg.det(u @ vt)
        u[:, :, 2] *= sign[:, None]
        s[:, 2] *= sign
        rotation = (u @ vt)[:, :2]
        scale = s.sum(1) / np.einsum("npi,p,npi->n", x, w, x)
    return rotation, scale, my[:, 0] - scale[:, None] * np.einsum("nij,nj->ni", rotation, mx[:, 0])


def factorise(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (68, 3) and modes (MODES, 68, 3) from faces (N, 68, 2), unit: outer eye corners' distance."""
    mirrored = faces[:, list(IBUG_68.flip)] * [-1, 1]
    faces = np.concatenate([faces, mirrored])
    faces = faces - faces.mean(1, keepdims=True)
    faces = faces / np.sqrt((faces**2).sum((1, 2)) / 68)[:, None, None]
    symmetric = lambda s: (s + s[list(IBUG_68.flip)] * [-1, *[1] * (s.shape[1] - 1)]) / 2      # noqa: E731
    flat = symmetric(procrustes_mean(faces))
    prior = np.c_[flat / np.sqrt((flat**2).sum() / 68), DEPTH - DEPTH.mean()]
    mean, modes, coefficients = prior, np.zeros((0, 68, 3)), np.zeros((len(faces), 0))
    for turn in range(ROUNDS):
        shape = mean + np.einsum("nk,kpi->npi", coefficients, modes)
        rotation, scale, shift = poses(shape, faces)
        seen = (faces - shift[:, None]) / scale[:, None, None]
        k = len(modes)
        if k:                                            # coefficients, with a unit Gaussian prior
            projected = np.einsum("nij,kpj->nkpi", rotation, modes)
            rest = seen - np.einsum("nij,pj->npi", rotation, mean)
            weighted = projected * WEIGHT[:, None]
            normal = np.einsum("nkpi,nlpi->nkl", weighted, projected) + 0.017 * np.eye(k)
            coefficients = np.linalg.solve(normal, np.einsum("nkpi,npi->nk", weighted, rest)[..., None])[..., 0].clip(-4, 4)
        design = np.concatenate([np.ones((len(faces), 1)), coefficients], 1)
        rows = np.einsum("na,nij->niaj", design, rotation).reshape(2 * len(faces), -1)
        ridge = len(faces) * np.r_[[2e-3] * 3, [4e-3] * (3 * k)]
        aim = rows.T @ seen.transpose(0, 2, 1).reshape(-1, 68)
        aim += ridge[:, None] * np.concatenate([prior.T, np.zeros((3 * k, 68))])
        solved = np.linalg.solve(rows.T @ rows + np.diag(ridge), aim).reshape(1 + k, 3, 68).transpose(0, 2, 1)
        mean, modes = symmetric(solved[0]), solved[1:]
        if k:                                            # principal axes: uncorrelated, unit variance
            mean = symmetric(mean + np.einsum("k,kpi->pi", coefficients.mean(0), modes))
            coefficients = coefficients - coefficients.mean(0)
            root = np.linalg.cholesky(np.cov(coefficients.T).reshape(k, k) + 1e-9 * np.eye(k))
            axes, size, turned = np.linalg.svd(modes.reshape(k, -1).T @ root, full_matrices=False)
            coefficients = np.linalg.solve(root, coefficients.T).T @ turned.T
            modes = (axes * size).T.reshape(k, 68, 3)
        wanted = 0 if turn < 11 else min(MODES, 2 + (turn - 11) // 2)
        if wanted > k:                                   # new modes from what is not explained yet
            shape = mean + np.einsum("nk,kpi->npi", coefficients, modes)
            error = seen - np.einsum("nij,npj->npi", rotation, shape)
            back = np.einsum("nij,npi->npj", rotation, error).reshape(len(faces), -1)
            u, s, vt = np.linalg.svd(back - back.mean(0), full_matrices=False)
            new = vt[: wanted - k] * s[: wanted - k, None] / np.sqrt(len(faces))
            modes = np.concatenate([modes, new.reshape(-1, 68, 3)])
            coefficients = np.concatenate([coefficients, u[:, : wanted - k] * np.sqrt(len(faces))], 1)
    wider = modes[:, 54, 0] - modes[:, 48, 0]             # sign: a mode widens the mouth
    modes = modes * np.where(wider < 0, -1, 1)[:, None, None]
    unit = np.linalg.norm(mean[36] - mean[45])
    return mean / unit, modes / unit


def imm_on_mean(root: Path, mean: np.ndarray) -> np.ndarray:
    """The 58 IMM points on the frontal mean face (58, 2): the average frontal IMM shape, bent onto shared points."""
    shapes = np.array([read_asf(path) * [640, 480] for path in sorted((root / "imm_face_db").glob("??-1?.asf"))])
    shapes = shapes - shapes.mean(1, keepdims=True)
    shape = procrustes_mean(shapes / np.sqrt((shapes**2).sum((1, 2), keepdims=True)))
    mirrored = shape[list(IMM_58.flip)] * [-1, 1]
    u, _, vt = np.linalg.svd(mirrored.T @ shape)
    shape = (mirrored @ (u @ vt) + shape) / 2
    axis = shape[[13, 17]].mean(0) - shape[[21, 25]].mean(0)
    c, s = axis / np.linalg.norm(axis)
    shape = shape @ np.array([[c, -s], [s, c]])
    pairs = np.array([(13, 45), (17, 42), (21, 36), (25, 39), (39, 48), (43, 54), (41, 51), (45, 57), (6, 8), (52, 33),
                      (0, 2), (12, 14)])
    source, target = shape[pairs[:, 0]], mean[pairs[:, 1], :2]
    scale = np.sqrt(((target - target.mean(0)) ** 2).sum() / ((source - source.mean(0)) ** 2).sum())
    shape = (shape - source.mean(0)) * scale + target.mean(0)
    bent = RBFInterpolator(shape[pairs[:, 0]], target, kernel="thin_plate_spline", smoothing=1e-3)(shape)
    return (bent + bent[list(IMM_58.flip)] * [-1, 1]) / 2


def main() -> None:
    root = Path(sys.argv[1])
    output = sys.argv[2] if len(sys.argv) > 2 else Path(__file__).parents[2] / "fkp_utils/synthesis/shape_model.npz"
    mean, modes = factorise(read_landmarks(root / "ibug_300W_large_face_landmark_dataset/labels_ibug_300W_train.xml"))
    arrays = {"mean": mean, "modes": modes[1:], "imm_points": imm_on_mean(root, mean)}
    np.savez_compressed(output, **{name: array.astype(np.float32) for name, array in arrays.items()})
    print(f"{output}: mean {mean.shape}, {len(modes) - 1} modes of sizes {np.sqrt((modes[1:] ** 2).sum((1, 2)) / 68).round(4)}")


if __name__ == "__main__":
    main()
