"""Your own photos: whatever lies in data/personal/, and free portraits where nothing does."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib import cbook
from PIL import Image
from skimage import data as skimage_data
from tqdm.auto import tqdm

from ..detection import find_faces
from ..errors import DatasetError
from .base import FaceDataset
from .crop import Crop
from .images import read_photo

FOLDER = Path(__file__).resolve().parents[2] / "data" / "personal"


def free_portraits() -> dict[str, np.ndarray]:
    """Photos of real people that come with our dependencies, uint8 RGB, by name.

    Eileen Collins (NASA, public domain, in scikit-image), Grace Hopper (U.S. Navy, public domain, in
    matplotlib), and both in one picture, since a photo may show several people.
    """
    collins = skimage_data.astronaut()[:, :, :3]
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        hopper = np.asarray(Image.open(file).convert("RGB"))
    hopper = hopper[: len(collins)]
    return {"Eileen Collins": collins, "Grace Hopper": hopper, "both": np.hstack([collins, hopper])}


def personal_photos(folder: str | Path = FOLDER) -> tuple[dict[str, np.ndarray], list[str]]:
    """The photos of a folder, uint8 RGB (h, w, 3) by file name, and a line for each that cannot be read.

    Where there are fewer than three, `free_portraits` fill up.
    """
    photos, faults = {}, []
    files = sorted(path for path in Path(folder).glob("*") if path.is_file() and path.suffix.lower() != ".md"
                   and not path.name.startswith("."))
    for path in files:
        try:
            photos[path.name] = read_photo(path)
        except DatasetError as error:
            faults.append(str(error))
    for name, portrait in free_portraits().items():
        if len(photos) < 3:
            photos[name] = portrait
    return photos, faults


class PersonalFaces(FaceDataset):
    """All faces found in photos, cropped as the landmark nets want them; `landmarks` is NaN.

    photos : uint8 (h, w, 3) by name; `names` says from which photo each face is
    boxes : float64 (N, 4), (left, top, width, height) in pixels of the photos
    faults : one line for each photo without a face

    Parameters
    ----------
    photos : uint8 (h, w, 3) RGB by name, as `personal_photos` gives them
    transform : optional function of (image, landmarks), see `FaceDataset`
    crop : how faces are cut out
    detector : photo (h, w, 3) -> boxes (k, 4)
    """

    def __init__(self, photos: dict[str, np.ndarray], transform=None, crop: Crop | None = None,
                 detector: Callable[[np.ndarray], np.ndarray] = find_faces):
        self.photos, self.transform, self.crop = photos, transform, crop or Crop()
        self.names, self.faults, boxes, images = [], [], [], []
        for name, photo in tqdm(photos.items(), "finding faces", leave=False, disable=len(photos) < 10):
            found = detector(photo)
            if not len(found):
                self.faults.append(f"{name}: no face found (the detector knows upright faces that look at the camera)")
            gray = Image.fromarray(photo).convert("L")
            for box in found:
                self.names.append(name)
                boxes.append(box)
                images.append(self.crop.cut(gray, box, name))
        size = self.crop.size
        self.images = np.array(images, np.uint8).reshape(-1, size, size)
        self.boxes = np.array(boxes, np.float64).reshape(-1, 4)
        self.landmarks = np.full((len(images), 68, 2), np.nan, np.float32)

    def to_image(self, landmarks: np.ndarray) -> np.ndarray:
        """Map landmarks (N, 68, 2) of all crops back to the pixels of their photos, float64."""
        return self.crop.to_image(landmarks, self.boxes)

    def of_photo(self, name: str) -> list[int]:
        """Indices of the faces of one photo."""
        return [k for k, photo in enumerate(self.names) if photo == name]
