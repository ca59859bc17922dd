"""Learns fkp_utils/synthesis/shape_model.npz from the landmarks (never the pixels) of the real data.

    python bench/shipped_files/learn_shape_model.py FOLDER_WITH_REAL_DATA [OUTPUT.npz]

Non-rigid structure from motion by alternation (in the spirit of Torresani, Hertzmann, Bregler, PAMI
2008): each face is a scaled orthographic view of a mean 3-D shape plus a few linear modes; poses,
coefficients and shapes are solved for in turn. The first mode found is the sliding of the jaw line
with the head's turn, which the renderer makes itself, so it is left out. That sliding also pulls the mean
jaw out of its depth, so the jaw is measured once more on the side that a turned head shows. What is learned
from orthographic views is then stretched for a camera nearby. Keeps what `learn_feature_offset.py` has
measured, which has to be measured again afterwards. Takes about a minute.
"""

import sys
from pathlib import Path

import numpy as np
from defusedxml.ElementTree import parse
from scipy.interpolate import RBFInterpolator

from fkp_utils.datasets.imm import read_asf
from fkp_utils.files import replacing
from fkp_utils.landmarks import IBUG_68, IMM_58, Convention
from fkp_utils.synthesis.shape_model import ShapeModel, load_shape_model

OUTPUT = Path(__file__).parents[2] / "fkp_utils/synthesis/shape_model.npz"
MODES, ROUNDS = 12, 60
CAMERA = 10.0                # usual distance of the wild set's camera from the eyes, in distances between their outer corners
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


def symmetric(shape: np.ndarray, convention: Convention = IBUG_68) -> np.ndarray:
    """The mean of a shape (n, 2) or (n, 3) about x = 0 and its mirror image."""
    return (shape + shape[list(convention.flip)] * [-1, *[1] * (shape.shape[1] - 1)]) / 2


def poses(shape: np.ndarray, seen: np.ndarray, weight: np.ndarray = WEIGHT):
    """Scaled orthographic poses of 3-D shapes (N, 68, 3) that explain seen (N, 68, 2): R (N, 2, 3), s (N,), t (N, 2)."""
    w = weight / weight.sum()
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
    unit = np.linalg.norm(mean[36] - mean[45])
    return mean / unit, modes / unit


def seen_jaw(faces: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, tuple]:
    """The left half of the jaw line, (9, 3), in faces (N, 68, 2) that show it, and the poses of all by the other landmarks."""
    rotation, scale, shift = poses(np.repeat(mean[None], len(faces), 0), faces, (np.arange(68) >= 17).astype(float))
    flat = (faces[:, :9] - shift[:, None]) / scale[:, None, None]
    shown = np.cross(rotation[:, 0], rotation[:, 1])[:, 0] < 0.09        # not turned to this side by more than 5 degrees
    return np.array([np.linalg.lstsq(rotation[shown].reshape(-1, 3), flat[shown, i].reshape(-1), rcond=None)[0]
                     for i in range(9)]), (rotation, scale, shift)


def with_seen_jaw(faces: np.ndarray, mean: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """The mean (68, 3) with a jaw line that is seen in random faces made of it where it is seen in the real ones.

    Poses are guesses, which flatten what is measured with them; in random faces of the same poses, they do so likewise.
    """
    rng = np.random.default_rng(0)
    faces = np.concatenate([faces, faces[:, list(IBUG_68.flip)] * [-1, 1]])
    wanted, (rotation, scale, shift) = seen_jaw(faces, mean)
    better = mean.copy()
    for _ in range(4):
        shape = better + np.einsum("nk,kpi->npi", rng.normal(0, 0.85, (len(faces), len(modes))), modes)
        views = np.einsum("nij,npj->npi", rotation, shape) * scale[:, None, None] + shift[:, None]
        better[:9] += wanted - seen_jaw(views, mean)[0]
        better[8, 0] = 0
        better[9:17] = better[:8][::-1] * [-1, 1, 1]
    return better


def for_perspective(mean: np.ndarray) -> np.ndarray:
    """The mean (68, 3) that a camera at a distance of CAMERA from the eyes sees as an orthographic one sees it now."""
    nearer = 1 - (mean[:, 2:] - mean[[36, 45], 2].mean()) / CAMERA
    return np.c_[mean[:, :2] * nearer, mean[:, 2]]


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
    return symmetric(bent, IMM_58)


def save(model: ShapeModel, output: Path) -> None:
    """Write the statistics in float32, whole or not at all."""
    with replacing(output) as beside:
        np.savez_compressed(beside, **{name: value.astype(np.float32) for name, value in vars(model).items()})


def main() -> None:
    root = Path(sys.argv[1])
    output = Path(sys.argv[2]) if len(sys.argv) > 2 else OUTPUT
    faces = read_landmarks(root / "ibug_300W_large_face_landmark_dataset/labels_ibug_300W_train.xml")
    mean, modes = factorise(faces)
    imm = imm_on_mean(root, mean)
    before, modes = load_shape_model(), modes[1:]
    same = np.sign((modes * before.modes).sum((1, 2)))       # a mode's sign is chance; with another, seeds give other people
    mean = for_perspective(with_seen_jaw(faces, mean, modes))
    save(ShapeModel(mean, modes * same[:, None, None], imm, before.feature_offset), output)
    print(f"{output}: mean {mean.shape}, {len(modes)} modes of sizes {np.sqrt((modes ** 2).sum((1, 2)) / 68).round(4)}")


if __name__ == "__main__":
    main()
