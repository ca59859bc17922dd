"""What the finder's looks are worth: faces found, and milliseconds, when it looks everywhere, as it does, and with `fast`.

    python bench/real_photos/schedule.py FOLDER_WITH_REAL_DATA

On the validation photos of iBUG at most 640 px large, and pictures made of them: sheets, a turned face beside an upright one, a
small face beside a large one. Writes bench/real_photos/schedule.md. About five minutes.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from finder import Example, as_they_are, at_most, jaw_width, resized, rotated, score, sheets, table

from fkp_utils import detection
from fkp_utils.datasets import IBugFaces
from fkp_utils.files import write_text

RESULTS = Path(__file__).with_suffix(".md")
ABOUT = """# What the finder's looks are worth

Made by `python bench/real_photos/schedule.py DATA`: faces found, wrong boxes in 100 pictures (before the landmark net judges
them), milliseconds a picture. Everywhere: at all sizes, at the smallest in four turns, as if none were sure, so that boxes
count from 0.2 on beside sure ones, too. As it is: turned where no nearly upright face
is sure.

"""


def beside(first: Example, second: Example) -> Example:
    """Two pictures side by side, at most 640 px large."""
    height = max(example.picture.shape[0] for example in (first, second))
    parts = [np.pad(example.picture, [(0, height - example.picture.shape[0]), (0, 0), (0, 0)], constant_values=120)
             for example in (first, second)]
    shift = [first.picture.shape[1], 0]
    return at_most(Example(np.hstack(parts), np.concatenate([first.faces, second.faces + shift]),
                           np.concatenate([first.others, second.others + shift])), 640)


def with_a_small_one(photo: Example, other: Example, pixels: float) -> Example | None:
    """A photo in a corner of which another's head is pasted, so many pixels between its jaw's ends; None without room."""
    points, (high, wide) = other.faces[0], other.picture.shape[:2]
    low, size = points.min(0), np.ptp(points, 0).max()
    left, top = np.maximum(low - 0.6 * size, 0).astype(int)
    right, bottom = np.minimum(points.max(0) + 0.6 * size, [wide, high]).astype(int)
    head = jaw_width(Example(other.picture[top:bottom, left:right], other.faces - [left, top]), pixels)
    (height, width), (h, w) = photo.picture.shape[:2], head.picture.shape[:2]
    taken = photo.faces[0].min(0) - 20, photo.faces[0].max(0) + 20
    for x, y in ((4, 4), (width - w - 4, 4), (4, height - h - 4), (width - w - 4, height - h - 4)):
        apart = x + w < taken[0][0] or x > taken[1][0] or y + h < taken[0][1] or y > taken[1][1]
        if min(x, y) >= 0 and apart:
            picture = photo.picture.copy()
            picture[y:y + h, x:x + w] = head.picture
            return Example(picture, np.concatenate([photo.faces, head.faces + [x, y]]), photo.others)
    return None


@contextmanager
def everywhere() -> Iterator[None]:
    """No face is sure enough to leave out a look."""
    before, detection.SURE = detection.SURE, 2.0
    try:
        yield
    finally:
        detection.SURE = before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    photos = [at_most(example, 640) for example in as_they_are(IBugFaces(parser.parse_args().real, "val"))]
    pairs = list(zip(photos[::2], photos[1::2]))
    sets = {"photos": photos, "sheets of 4 to 16": list(sheets(photos))}
    sets |= {f"turned by {degrees}": [rotated(photo, degrees) for photo in photos[::3]] for degrees in (90, 150)}
    sets |= {f"an upright one and one turned by {degrees}": [beside(a, rotated(b, degrees)) for a, b in pairs[::2]]
             for degrees in (45, 90, 180)}
    sets["one, and one of half its size turned by 180"] = [beside(a, rotated(resized(b, 0.5), 180)) for a, b in pairs[::2]]
    sets |= {f"one, and one of {pixels} px in a corner": [some for a, b in pairs if (some := with_a_small_one(a, b, pixels))]
             for pixels in (16, 24, 32, 48)}
    rows = []
    for title, examples in sets.items():
        with everywhere():
            numbers = [score(detection.find_faces, examples)]
        numbers += [score(find, examples) for find in (detection.find_faces, partial(detection.find_faces, fast=True))]
        rows.append([title, str(len(examples)), *(f"{some['found']:.1f} %, {some['wrong']:.0f}, {some['ms']:.0f}"
                                                  for some in numbers)])
        print(*rows[-1], sep="  ", flush=True)
    write_text(RESULTS, ABOUT + table(["pictures", "number", "everywhere", "as it is", "`fast`"], rows) + "\n")


if __name__ == "__main__":
    main()
