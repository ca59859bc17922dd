"""Your own photos: whatever lies in data/personal/, and free portraits where nothing does."""

from pathlib import Path

import numpy as np

from ..errors import DatasetError
from ..folders import PERSONAL
from ..marks import mark_of
from .images import read_photo


def free_portraits() -> dict[str, np.ndarray]:
    """Photos of real people that come with our dependencies, uint8 RGB, by name.

    Eileen Collins (NASA, public domain, in scikit-image), Grace Hopper (U.S. Navy, public domain, in
    matplotlib), and both in one picture, since a photo may show several people.
    """
    # Here, since both take long to load.
    from matplotlib import cbook
    from skimage import data as skimage_data

    collins = skimage_data.astronaut()[:, :, :3]
    hopper = read_photo(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))[: len(collins)]
    return {"Eileen Collins": collins, "Grace Hopper": hopper, "both": np.hstack([collins, hopper])}


def personal_photos(folder: str | Path = PERSONAL) -> tuple[dict[str, np.ndarray], list[str]]:
    """The photos of a folder, uint8 RGB (h, w, 3) by file name, and a line for each that cannot be read.

    Left out is what the project made of them. Where there are fewer than three, `free_portraits` fill up.
    """
    photos, faults = {}, []
    for path in sorted(path for path in Path(folder).glob("[!.]*") if path.is_file() and path.suffix.lower() != ".md"
                       and mark_of(path) is None):
        try:
            photos[path.name.encode(errors="backslashreplace").decode()] = read_photo(path)      # a name that can be drawn
        except DatasetError as error:
            faults.append(str(error))
    for name, portrait in free_portraits().items():
        if len(photos) < 3:
            photos[name] = portrait
    return photos, faults
