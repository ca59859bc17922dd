"""The IMM Face Database: 240 photos of 40 people with 58 landmarks each.

M. B. Stegmann, B. K. Ersboell, R. Larsen, "FAME - a flexible appearance modelling environment",
IEEE Trans. Medical Imaging 22(10), 2003. File format: ASF, "AAM shape file" (Stegmann's AAM-API).
"""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import DatasetError
from ..landmarks import IMM_58, NOSE, NOSE_TIP_58
from ..metrics import mean_nme, normalised_mse, point_errors
from .base import FaceDataset, register
from .images import read_gray

FOLDER = "imm_face_db"
PHOTO_SIZE = (480, 640)                       # (height, width)
N_POINTS = 58
LONGEST = 1 << 20                             # bytes; an ASF file has about 4,000
_NAME = re.compile(r"(\d\d)-([1-6])([mf])")
SPLITS = {"train": range(1, 33), "val": range(33, 41), "all": range(1, 41)}


def read_asf(path: Path) -> np.ndarray:
    """Landmarks of one ASF file in relative coordinates, float32 (58, 2).

    Lines that start with `#` are comments. The first number is the count of points; a point line is
    `path type x y point# from to`, in some files with three more columns; the last line names the
    picture. Line ends may be LF, CR LF or CR. DatasetError if the file is missing or count, columns or numbers are wrong.
    """
    try:
        with path.open("rb") as file:
            text = file.read(LONGEST).removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from None
    lines = [line.split() for line in re.split(r"\r\n|\r|\n", text) if line.strip() and not line.lstrip().startswith("#")]
    if not lines or not lines[0][0].isdecimal():
        raise DatasetError(f"{path}: does not start with the count of points")
    declared, rows = lines[0][0], [line for line in lines[1:] if len(line) in (7, 10)]
    if declared != str(N_POINTS) or len(rows) != N_POINTS:
        raise DatasetError(f"{path}: {len(rows)} points, {declared[:12]} declared, expected {N_POINTS}")
    try:
        points = np.array([[float(row[2]), float(row[3])] for row in rows])
        numbers = [int(row[4]) for row in rows]
    except ValueError as error:
        raise DatasetError(f"{path}: {error}") from None
    if numbers != list(range(N_POINTS)):
        raise DatasetError(f"{path}: points are not numbered 0 to {N_POINTS - 1} in order")
    if not (np.abs(points) <= 2).all():               # also false for NaN
        raise DatasetError(f"{path}: point {int(np.argmin((np.abs(points) <= 2).all(1)))} is not a place in the picture")
    return points.astype(np.float32)


@register("imm")
class IMMFaces(FaceDataset):
    """IMM faces, decoded once and kept in memory as uint8 grayscale.

    Index 52 (`landmarks.NOSE_TIP_58`) is the nose tip: the middle of the lower edge of the nose, between the nostrils (notebook
    1 draws it on the faces).

    root : folder that holds `imm_face_db/`; split : "train" (persons 1-32), "val" (33-40) or "all"
    size : (height, width) to which photos and landmarks are scaled; None keeps 480x640

    Raises DatasetError for an empty folder, a photo without ASF or the reverse, and every fault of a file.
    """

    convention = IMM_58

    def __init__(self, root, split="train", size=None):
        folder = Path(root) / FOLDER
        found = {path.stem for path in folder.glob("*.*") if path.suffix in (".asf", ".jpg") and _NAME.fullmatch(path.stem)}
        self.names = sorted(name for name in found if int(name[:2]) in SPLITS[split])
        if not self.names:
            raise DatasetError(f"{folder}: no IMM faces of the {split} split (files such as 01-1m.jpg and 01-1m.asf)")
        size = tuple(size or PHOTO_SIZE)
        self.images = np.empty((len(self.names), *size), np.uint8)
        self.landmarks = np.empty((len(self.names), N_POINTS, 2), np.float32)
        half, scale = np.float32(0.5), (np.array(size) / PHOTO_SIZE)[::-1].astype(np.float32)      # corners lie at -0.5
        for k, name in enumerate(self.names):
            relative = read_asf(folder / f"{name}.asf")
            photo = read_gray(folder / f"{name}.jpg", expected=PHOTO_SIZE[::-1])
            self.images[k] = np.asarray(photo.resize(size[::-1], Image.Resampling.BILINEAR))
            self.landmarks[k] = (relative * np.float32(PHOTO_SIZE[::-1]) + half) * scale - half

    def person(self, index: int) -> int:
        """Number (1-40) of the person in picture `index`."""
        return int(self.names[index][:2])

    def view(self, index: int) -> int:
        """View 1-6 of picture `index`: frontal, happy, turned to the image's left, to its right, spot light, free."""
        return int(self.names[index][3])

    def scores(self, predicted: np.ndarray) -> dict[str, float]:
        """MSE of normalised coordinates, mean distance in pixels of 640x480 and, with eye corners, the NME in percent."""
        pixels = np.nanmean(point_errors(predicted, self.landmarks)) * PHOTO_SIZE[1] / self.size[1]
        nme = {} if self.convention.eye_corners is None else {"nme": mean_nme(predicted, self.landmarks, self.convention)}
        return {"mse": normalised_mse(predicted, self.landmarks, self.size), "pixels": float(pixels), **nme}


@register("imm_nose")
class IMMNoses(IMMFaces):
    """IMM faces with one landmark, the tip of the nose: landmarks (N, 1, 2). Parameters and errors as `IMMFaces`."""

    convention = NOSE

    def __init__(self, root, split="train", size=None):
        super().__init__(root, split, size)
        self.landmarks = self.landmarks[:, [NOSE_TIP_58]]
