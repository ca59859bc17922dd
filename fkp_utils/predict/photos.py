"""Many photos: which files are meant, and their faces, read ahead by as many threads as there are processors."""

import glob
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np

from ..datasets.images import read_photo
from ..errors import DatasetError
from ..marks import mark_of
from ..nets.net import Net
from .faces import MIN_CONFIDENCE, SECOND_LOOK_SHIFT, Detector, Face, default_net, landmarks_of

PHOTOS_AT_ONCE = 4
ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".avif", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".mpo"}

Answer = tuple[np.ndarray | None, list[Face], Exception | None]      # picture, faces; or no picture and why, or why no faces


def photos_named(names: Sequence[str]) -> list[Path]:
    """Files for names that may be files, folders or glob patterns, each once, without those that the project made.

    Of folders and patterns only files that are not hidden and have a picture's ending; of a pattern that names no such file,
    all. What does not exist, and a folder that may not be read, is kept, to be told about.
    """
    found: list[Path] = []
    for name in names:
        try:
            if os.path.isdir(name):                           # false, too, for names that are too long
                found += sorted(file for file in Path(name).iterdir() if file.suffix.lower() in ENDINGS and _is_photo(file))
            elif any(sign in name for sign in "*?[") and not os.path.exists(name):
                folder = next((folder for folder in Path(name).parents if os.path.isdir(folder)), Path())  # as it is called
                pattern = os.path.join(glob.escape(str(folder)), Path(name).relative_to(folder))
                matches = sorted(filter(_is_photo, map(Path, glob.glob(pattern, recursive=True))))
                found += [file for file in matches if file.suffix.lower() in ENDINGS] or matches or [Path(name)]
            else:
                found.append(Path(name))
        except OSError:
            found.append(Path(name))
    once: dict[str, Path] = {}
    for path in found:
        once.setdefault(os.path.abspath(path), path)
    return [path for path in once.values() if mark_of(path) is None]


def _is_photo(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def ahead(job: Callable, items: Iterable, pool: Executor, count: int) -> Iterator:
    """Futures of `job` for items in order, `count` of them submitted in advance."""
    waiting: deque = deque()
    for item in items:
        waiting.append(pool.submit(job, item))
        if len(waiting) > count:
            yield waiting.popleft()
    yield from waiting


def in_photos(photos: Sequence[Path], boxes: Sequence | None = None, run: Net | None = None,
              detector: Detector | None = None, min_confidence: float = MIN_CONFIDENCE, fast: bool = False) -> Iterator[Answer]:
    """For each of many files its picture, its faces and None, or what went wrong with this one, in order.

    Each processor decodes, searches and reads a group of up to `PHOTOS_AT_ONCE` photos by itself, which takes less time than
    to share out every step of the nets. A net reads a group's faces together. One more group than processors is in memory.
    """
    run, boxes = run or default_net(fast), boxes if boxes is None or hasattr(boxes, "__len__") else list(boxes)

    def read(group):
        return _in_group(group, boxes, run, detector, min_confidence, SECOND_LOOK_SHIFT, fast)
    with run.apart() as (pool, count):
        size = min(PHOTOS_AT_ONCE, -(-len(photos) // count))
        groups = [photos[start:start + size] for start in range(0, len(photos), max(1, size))]
        if len(groups) == 1:                                 # with all threads
            yield from read(groups[0])
        else:
            for future in ahead(read, groups, pool, count):
                yield from future.result()


def _in_group(photos, *how) -> list[Answer]:
    answers = [_tried(read_photo, photo) for photo in photos]
    arrays = [answer for answer in answers if not isinstance(answer, Exception)]
    found = _tried(landmarks_of, arrays, *how)
    if isinstance(found, Exception):                         # each alone: the trouble of one is not that of the others
        alone = [_tried(landmarks_of, [array], *how) for array in arrays]
        found = [some if isinstance(some, Exception) else some[0] for some in alone]
    faces = iter(found)
    pairs = [(None, answer) if isinstance(answer, Exception) else (answer, next(faces)) for answer in answers]
    return [(picture, [], some) if isinstance(some, Exception) else (picture, some, None) for picture, some in pairs]


def _tried(job: Callable, *arguments):
    """What a job returns or raises: one photo's trouble, whatever it is, must not cost the others."""
    try:
        return job(*arguments)
    except Exception as error:
        return error


def fault(photo: Path, error: Exception) -> str:
    """One line on what went wrong with a photo."""
    if isinstance(error, DatasetError):                      # names its file itself
        return str(error)
    return f"{photo}: {error if isinstance(error, ValueError | OSError) else f'{type(error).__name__}: {error}'}"
