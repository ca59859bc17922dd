"""A parametric head: one smooth sheet of vertices from crown to chest, and where landmarks lie on it.

The sheet is a *loft*: each row is (half) a ring around the head, each column runs from the crown
over the face, under the chin, down the neck and over the shoulders. Small bumps add nose, eye
sockets, lips and cheeks. A linear map then pulls the sheet through any set of 68 landmarks
(biharmonic interpolation, kernel r), so a face drawn from the shape statistics needs one matrix
product.

Units: the distance between the outer eye corners is 1. Axes: x to the image's right, y down,
z towards the camera. The template looks straight at the camera.
"""

from functools import lru_cache

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from .shape_model import load_shape_model

N_ROWS, N_COLS = 320, 200
MAX_ANGLE = np.radians(112)  # the sheet ends behind the ears; hair covers the rest

# One line a key ring: v (row parameter), y and z of its front, half width, z of its widest place,
# and tilt: how far the ring climbs from the front to the side (the jaw line climbs steeply).
_RINGS = np.array([
    # v     y     z_front  width  z_side  tilt
    [0.00, -1.60, -0.80,   0.02,  -0.85,  0.00],
    [0.05, -1.55, -0.50,   0.33,  -0.85,  0.00],
    [0.10, -1.43, -0.24,   0.52,  -0.84,  0.00],
    [0.18, -1.18,  0.02,   0.70,  -0.82,  0.00],
    [0.28, -0.86,  0.14,   0.80,  -0.78,  0.00],
    [0.34, -0.68,  0.18,   0.82,  -0.76,  0.00],
    [0.42, -0.44,  0.14,   0.83,  -0.75,  0.00],
    [0.50, -0.18,  0.135,   0.83,  -0.75,  0.04],
    [0.58,  0.08,  0.13,   0.82,  -0.75,  0.14],
    [0.66,  0.34,  0.12,   0.80,  -0.75,  0.36],
    [0.72,  0.56,  0.10,   0.78,  -0.75,  0.64],
    [0.77,  0.74,  0.06,   0.77,  -0.75,  0.88],
    [0.80,  0.85, -0.03,   0.75,  -0.75,  0.97],
    [0.815, 0.89, -0.13,   0.71,  -0.75,  0.95],
    [0.83,  0.92, -0.30,   0.62,  -0.76,  0.75],
    [0.85,  1.00, -0.40,   0.52,  -0.80,  0.40],
    [0.88,  1.20, -0.42,   0.48,  -0.84,  0.14],
    [0.92,  1.50, -0.34,   0.55,  -0.84,  0.00],
    [0.95,  1.68, -0.25,   0.95,  -0.84, -0.05],
    [0.97,  1.86, -0.17,   1.55,  -0.84, -0.05],
    [0.985, 2.15, -0.05,   1.95,  -0.84,  0.00],
    [1.00,  2.90,  0.05,   2.10,  -0.84,  0.00],
])
NECK_V, COLLAR_V = 0.845, 0.945


def ring_curve(column: int, v: np.ndarray) -> np.ndarray:
    """Column of the ring table at row parameters v, smoothed so that no ring shows as a crease."""
    fine = np.linspace(0, 1, 2001)
    curve = PchipInterpolator(_RINGS[:, 0], _RINGS[:, column])(fine)
    edge = np.clip(np.minimum(fine / 0.05, (1 - fine) / 0.05), 0, 1)
    return np.interp(v, fine, edge * gaussian_filter1d(curve, 18, mode="nearest") + (1 - edge) * curve)


def _rows() -> np.ndarray:
    """Row parameters (N_ROWS,), dense where the face has detail."""
    v = np.linspace(0, 1, 4001)
    density = 0.45 + 1.3 * np.exp(-((v - 0.62) / 0.14) ** 4) + 0.5 * np.exp(-((v - 0.40) / 0.08) ** 2)
    density += 0.5 * np.exp(-((v - 0.05) / 0.05) ** 2)
    density[v > 0.835] = 1.1
    density[v > 0.925] = 3.2
    cdf = np.cumsum(density)
    return np.interp(np.linspace(0, 1, N_ROWS), (cdf - cdf[0]) / (cdf[-1] - cdf[0]), v)


def _blob(x, y, cx, cy, rx, ry, power=2.0):
    return np.exp(-((np.abs((x - cx) / rx) ** power) + np.abs((y - cy) / ry) ** power))


def _mirrored(x, y, cx, cy, rx, ry, power=2.0):
    return _blob(x, y, cx, cy, rx, ry, power) + _blob(x, y, -cx, cy, rx, ry, power)


def _relief(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Depth added to the loft at frontal position (x, y): nose, sockets, lips, cheeks, chin."""
    ridge = PchipInterpolator(
        [-0.62, -0.5, -0.42, -0.31, -0.18, -0.06, 0.00, 0.05, 0.09, 0.125, 0.16],
        [0.00, 0.02, 0.06, 0.15, 0.25, 0.33, 0.345, 0.30, 0.19, 0.06, 0.0])
    width = PchipInterpolator([-0.62, -0.45, -0.31, -0.18, -0.05, 0.06, 0.16],
                              [0.12, 0.075, 0.085, 0.10, 0.125, 0.135, 0.13])
    yc = np.clip(y, -0.62, 0.16)
    nose = ridge(yc) * np.exp(-np.abs(x / width(yc)) ** 2.4)                  # the ridge is 0 at both ends
    wings = 0.15 * _mirrored(x, y, 0.135, 0.025, 0.062, 0.07, 2.6)
    sockets = -0.09 * _mirrored(x, y, 0.34, -0.46, 0.19, 0.11, 2.4)
    corner = -0.05 * _mirrored(x, y, 0.17, -0.42, 0.07, 0.09)
    eyeballs = 0.085 * _mirrored(x, y, 0.36, -0.435, 0.125, 0.085, 2.4)
    ridge_brow = 0.035 * _mirrored(x, y, 0.33, -0.63, 0.26, 0.09)
    cheeks = 0.055 * _mirrored(x, y, 0.46, -0.08, 0.22, 0.22)
    muzzle = 0.13 * _blob(x, y, 0, 0.30, 0.33, 0.30)
    upper_lip = 0.045 * _blob(x, y, 0, 0.285, 0.24, 0.035)
    lower_lip = 0.055 * _blob(x, y, 0, 0.425, 0.20, 0.05)
    mouth_line = -0.05 * _blob(x, y, 0, 0.345, 0.25, 0.022, 3)
    philtrum = -0.018 * _blob(x, y, 0, 0.19, 0.035, 0.05)
    fold_chin = -0.04 * _blob(x, y, 0, 0.56, 0.22, 0.05)
    chin = 0.09 * _blob(x, y, 0, 0.72, 0.20, 0.14)
    return (nose + wings + sockets + corner + eyeballs + ridge_brow + cheeks + muzzle
            + upper_lip + lower_lip + mouth_line + philtrum + fold_chin + chin)


class Head:
    """The template sheet and its landmark machinery (build once, use for every face).

    Attributes
    ----------
    vertices : float32 (3, N_ROWS, N_COLS)
    v, angle : float32 (N_ROWS,), (N_COLS,), row parameter (0 crown, 1 chest) and angle around the head (0 front)
    face_rows : int (n,), rows from the forehead to the chin
    landmark_vertex : int (68,), flat indices of the vertices by which landmarks pull the sheet
    ibug_jaw_paths, imm_jaw_paths : 17 and 13 int arrays
        Where each landmark of the jaw line may be seen, from its own vertex towards the middle of the face.
    imm_inner : int (45,), flat indices of the vertices of the other IMM landmarks
    """

    def __init__(self):
        self.model = load_shape_model()
        self.inner_offset = np.where(np.arange(68)[:, None] < 17, 0, self.model.feature_offset)
        t = np.linspace(-1, 1, N_COLS)
        self.v = _rows().astype(np.float32)
        self.angle = (MAX_ANGLE * (0.75 * t + 0.25 * t**3)).astype(np.float32)           # dense in front
        self.face_rows = np.flatnonzero((self.v > 0.2) & (self.v < 0.825))
        y0, zf, width, zs, tilt = (ring_curve(k, self.v)[:, None] for k in range(1, 6))
        cos, sin = np.cos(self.angle)[None], np.sin(self.angle)[None]
        x = width * sin
        z = zs + np.where(cos > 0, zf - zs, 1.1 * width) * cos
        y = y0 - tilt * (1 - np.maximum(cos, 0))
        z = z + _relief(x, y) * (np.clip((cos - 0.25) / 0.3, 0, 1) * (self.v[:, None] < 0.83))
        self.vertices = np.stack([x, y, z]).astype(np.float32)
        self._fit_landmarks()

    def _locate(self, points_xy: np.ndarray, sheet_xy: np.ndarray) -> np.ndarray:
        """Flat vertex index of the face's point nearest to each frontal (x, y); (n, 2) -> (n,)."""
        rows = self.face_rows
        return rows[0] * N_COLS + cKDTree(sheet_xy[:, rows].reshape(2, -1).T).query(points_xy)[1]

    def _fit_landmarks(self):
        mean = self.model.mean                                   # (68, 3)
        flat = self.vertices.reshape(3, -1).T
        above_chest = slice(int(N_ROWS * 0.93) * N_COLS)
        jaw = cKDTree(flat[above_chest]).query(mean[:17])[1]
        inner = self._locate(mean[17:, :2], self.vertices[:2])
        self.landmark_vertex = np.r_[jaw, inner]
        # Anchors keep crown, ears, neck and chest where they are.
        rows = [np.searchsorted(self.v, v) for v in (0.02, 0.10, 0.18, 0.26, 0.40, 0.5, 0.87, 0.92)]
        shares = [[0, .5, 1], *[[0, .13, .31, .5, .69, .87, 1]] * 2, [0, .05, .95, 1], [0, .04, .96, 1], [0, .04, .96, 1],
                  [0, .25, .5, .75, 1], [0, .25, .5, .75, 1]]
        cols = [np.rint(np.array(share) * (N_COLS - 1)).astype(int) for share in shares]
        anchors = np.concatenate([r * N_COLS + c for r, c in zip(rows, cols)])
        centres = flat[np.r_[self.landmark_vertex, anchors]].astype(np.float64)
        kernel = np.linalg.norm(centres[:, None] - centres[None], axis=2)
        kernel[np.diag_indices(len(kernel))] -= 1e-3              # coincident points stay solvable
        linear = np.c_[np.ones(len(centres)), centres]
        system = np.block([[kernel, linear], [linear.T, np.zeros((4, 4))]])
        inverse = np.linalg.inv(system)[:, : len(centres)]
        # The sheet from the shoulders down does not follow the face.
        distance = np.linalg.norm(flat[:, None] - centres[None].astype(np.float32), axis=2)
        basis = np.c_[distance, np.ones(len(flat)), flat] @ inverse
        fade = np.clip((0.97 - self.v) / 0.08, 0, 1).repeat(N_COLS)[:, None]
        self.weights = np.ascontiguousarray((basis * fade)[:, :68].T, np.float32)  # anchors move by zero
        self.template_landmarks = flat[self.landmark_vertex]
        mean_face = self.deform(self.vertices_of(self.model.mean))
        near = np.array([1, 1, 0.5])                              # where it is seen counts more than its depth
        sheet = mean_face.reshape(3, -1).T[above_chest]
        jaw = cKDTree(sheet * near).query((self.model.mean + self.model.feature_offset)[:17] * near)[1]
        imm = self._locate(self.model.imm_points, mean_face[:2])
        self.ibug_jaw_paths = [self._level(mean_face[1], vertex) for vertex in jaw]
        self.imm_jaw_paths = [self._level(mean_face[1], vertex) for vertex in imm[:13]]
        self.imm_inner = imm[13:]

    def _level(self, y: np.ndarray, vertex: int) -> np.ndarray:
        """Flat indices of the vertices from one of the jaw line to the middle of the face, all as high on the mean face, y."""
        row, col = divmod(int(vertex), N_COLS)
        middle = N_COLS // 2
        if abs(col - middle) < 25:                                # the chin is always seen
            return np.array([vertex])
        cols = np.arange(col, middle) if col < middle else np.arange(col, middle, -1)
        rows = self.face_rows
        level = rows[np.abs(y[rows][:, cols] - y[row, col]).argmin(0)]
        return np.r_[vertex, level[1:] * N_COLS + cols[1:]]

    def vertices_of(self, landmarks: np.ndarray) -> np.ndarray:
        """Where the landmark vertices go for eyes, brows, nose and mouth to be seen at 68 landmarks, (68, 3) -> (68, 3)."""
        return landmarks - self.inner_offset

    def deform(self, control: np.ndarray) -> np.ndarray:
        """Pull the sheet with its landmark vertices to given places: float (68, 3) -> float32 (3, N_ROWS, N_COLS)."""
        move = (control - self.template_landmarks).astype(np.float32)
        return self.vertices + (move.T @ self.weights).reshape(3, N_ROWS, N_COLS)


@lru_cache(maxsize=1)
def template() -> Head:
    """The one head every face is made from."""
    return Head()
