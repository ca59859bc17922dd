"""Landmarks for any photo.

    from fkp_utils import predict
    faces = predict.landmarks("photo.jpg")
    predict.draw("photo.jpg", faces)

    python -m fkp_utils.predict PHOTO... [--out DIR] [--json] [--csv] [--resume] [--fast] [--box L,T,W,H[,ROLL]]
"""

import argparse
import glob
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain, count
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from PIL import Image
from tqdm.auto import tqdm

from . import plotting
from .augment import flip
from .datasets.images import read_photo
from .detection import find_faces
from .errors import DatasetError
from .files import replacing, write_json
from .landmarks import Convention, box_corners, upright_boxes
from .nets.threads import one_thread_each, threads_apart
from .nets.trained import Trained
from .nets.weights import load_weights

WEIGHTS = "ibug68.safetensors"
SMALL = "small68.safetensors"                # faster, and nearly as exact; the demo's net
BATCH = 16                                   # faces looked at together
PIXELS = 2**19                               # that go through the net at once: blocks above 32 MB are cleared anew each time
GROUP = 4                                    # photos looked at together
# Set by data/measured/finder.json: of faces turned, small and many it loses 0.3 percent.
DOUBTFUL = 0.65
HOPELESS = 0.5                               # in a box that a detector proposes: no second look would make a face of it
AGAIN = 0.1                                  # sides by which a box must move for a second look
NEAR = 0.2                                   # and up to which the first look's answer counts as much as the second one's
DISAGREEMENT = 10                            # confidence is 1/e where an answer and its mirror image differ by 1 in so many
PHOTOS = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".avif", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".mpo"}


@dataclass(frozen=True)
class Face:
    """One face of a photo.

    box : float64 (4,), (left, top, width, height) in pixels of the photo: the one given, else as the landmarks ask for
    landmarks : float64 (n, 2) in pixels of the photo
    confidence : from 0 to 1; 1 where the net says the same of the mirror image
    roll : by how many degrees, clockwise on the screen, the box is turned about its centre
    convention : what the landmarks mean
    """

    box: np.ndarray
    landmarks: np.ndarray
    confidence: float
    roll: float = 0.0
    convention: Convention | None = None

    def to_dict(self) -> dict:
        """Plain lists, for JSON."""
        return {"box": self.box.round(2).tolist(), "landmarks": self.landmarks.round(2).tolist(),
                "confidence": round(self.confidence, 4), "roll": round(self.roll, 2)}


@cache
def default_net(fast: bool = False) -> Trained:
    """The net that comes with the project, or the faster one, loaded once."""
    return load_weights(SMALL if fast else WEIGHTS).for_answers()


def both_ways(run: Trained, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks of crops, the mean of what the net says of each and of its mirror image.

    Parameters
    ----------
    run : trained net
    crops : uint8 (N, s, s)

    Returns
    -------
    landmarks (N, n, 2) in pixels of the crops, and the confidence (N,) from 0 to 1: how well the two
    answers agree. 1 means exactly; 1/e, that they lie a tenth of the inter-ocular distance apart.
    """
    images = torch.from_numpy(crops)[:, None]
    with torch.inference_mode():
        looks = torch.cat([images, images.flip(-1)])
        parts = min(len(looks), -(-looks.numel() // PIXELS))
        answers = [run.landmarks(some) for some in looks.tensor_split(parts)]
        straight, mirrored = torch.cat(answers).chunk(2)
        _, mirrored = flip(images, mirrored, torch.ones(len(images), dtype=torch.bool), run.convention,
                           run.recipe.augment.flip_offset)
        found = (straight + mirrored) / 2
        scale = _face_size(found, run.convention).clamp(min=1e-6)[:, None]
        sure = torch.exp(-DISAGREEMENT * (straight - mirrored).norm(dim=-1) / scale).mean(1)
    return found.numpy(), sure.numpy()


def _face_size(landmarks: torch.Tensor, convention: Convention) -> torch.Tensor:
    """Inter-ocular distance (N,) of landmarks (N, n, 2); without eye corners the diagonal of their extent."""
    if convention.eye_corners is None:
        return (landmarks.amax(1) - landmarks.amin(1)).norm(dim=-1)
    left, right = convention.eye_corners
    return (landmarks[:, left] - landmarks[:, right]).norm(dim=-1)


def _look(pictures: Sequence[Image.Image], boxes: np.ndarray, rolls: np.ndarray,
          run: Trained) -> tuple[np.ndarray, np.ndarray]:
    crop = run.recipe.crop
    crops = [crop.cut(picture, box, roll=roll) for picture, box, roll in zip(pictures, boxes, rolls)]
    found, sure = both_ways(run, np.stack(crops))
    return crop.to_image(found, boxes, rolls), sure


def landmarks_in_boxes(pictures: Sequence[Image.Image], boxes: np.ndarray, run: Trained,
                       rolls: np.ndarray | None = None, least: float = 0.0) -> list[Face]:
    """One face a box, looked at once, and again where that pays: upright, in the box that the first answer asks for.

    A detector's boxes are less regular than those the nets were trained on. Where the first box was about right, a second
    look gains nothing (`bench/real_photos/finder.py`): it is given to those whose corners lie more than `AGAIN` sides away.
    Where they lie less than `NEAR` away, both answers are averaged; the first one of a worse box is forgotten.

    Parameters
    ----------
    pictures : k grayscale pictures, one a box (the same one again for several faces of a photo)
    boxes : float (k, 4), (left, top, width, height) in pixels of the pictures
    run : trained net
    rolls : float (k,), degrees by which the boxes are turned about their centres (default: none)
    least : confidence of a first answer that a second look may follow
    """
    rolls = np.zeros(len(boxes)) if rolls is None else rolls
    found, sure = _look(pictures, boxes, rolls, run)
    if run.convention.box:
        better, upright = upright_boxes(found, run.convention)
        moved = np.linalg.norm(box_corners(boxes, rolls) - box_corners(better, upright), axis=-1).mean(1)
        collapsed = (np.ptp(found, 1) <= 1).any(1)               # to a point or a line: no box follows from that
        again = np.flatnonzero((moved > AGAIN * better[:, 2]) & ~collapsed & (sure >= least)).tolist()
        if again:
            seen, sure[again] = _look([pictures[k] for k in again], better[again], upright[again], run)
            near = (moved[again] < NEAR * better[again, 2])[:, None, None]
            found[again] = np.where(near, (found[again] + seen) / 2, seen)
    return [Face(box, points, float(confidence), float(roll), run.convention)
            for box, points, confidence, roll in zip(boxes, found, sure, rolls)]


def _pixels(photo: str | Path | np.ndarray) -> np.ndarray:
    return photo if isinstance(photo, np.ndarray) else read_photo(photo)


def _checked(boxes: Sequence, array: np.ndarray) -> np.ndarray:
    """Boxes as float64 (k, 4), or (k, 5) with rolls; ValueError for one that lies nowhere on the picture."""
    given, (height, width) = np.array(boxes, np.float64), array.shape[:2]
    given = given.reshape(-1, given.shape[-1] if given.ndim == 2 and given.shape[1] == 5 else 4)
    left, top, wide, high = given.T[:4]
    fits = (np.minimum(wide, high) > 0) & (np.maximum(wide, high) < 5 * max(width, height))          # false for NaN, too
    fits &= (left < width) & (top < height) & (left + wide > 0) & (top + high > 0) & np.isfinite(given).all(1)
    if not fits.all():
        box = ", ".join(f"{number:g}" for number in given[~fits][0])
        raise ValueError(f"a box (left, top, width, height) of {box} lies nowhere on a picture of {width}x{height}")
    return given


Detector = Callable[[np.ndarray], np.ndarray]


def landmarks(photo: str | Path | np.ndarray, boxes: Sequence | None = None, run: Trained | None = None,
              detector: Detector = find_faces, fast: bool = False) -> list[Face]:
    """The faces of a photo: in the order of `boxes` where they are given, else largest first.

    Parameters
    ----------
    photo : file, or uint8 (h, w, 3) RGB
    boxes : (k, 4) as (left, top, width, height) in pixels, or (k, 5) with rolls in degrees, if known; else the detector
        looks for them, and what the net then makes nothing of (confidence below `DOUBTFUL`) is left out
    run : net (default: the one that comes with the project)
    detector : photo (h, w, 3) -> boxes (k, 4), or with rolls (k, 5 or more)
    fast : by default the smaller net that comes with the project, see data/weights/README.md

    Raises
    ------
    DatasetError
        When the file is not a picture. No face is no error: the list is empty.
    ValueError
        When a given box lies nowhere on the photo.
    """
    return _landmarks_of([_pixels(photo)], boxes, run or default_net(fast), detector)[0]


def _landmarks_of(arrays: Sequence[np.ndarray], boxes: Sequence | None, run: Trained, detector: Detector) -> list[list[Face]]:
    """`landmarks` for several photos; the net reads their faces together."""
    places = [np.asarray(detector(array)) if boxes is None else _checked(boxes, array) for array in arrays]
    greys = [Image.fromarray(array).convert("L") for array in arrays]
    jobs = [(k, place[:4], place[4] if len(place) > 4 else 0.0) for k, some in enumerate(places) for place in some]
    found: list[list[Face]] = [[] for _ in arrays]
    for start in range(0, len(jobs), BATCH):
        owners, given, rolls = zip(*jobs[start:start + BATCH])
        pictures, least = [greys[k] for k in owners], HOPELESS if boxes is None else 0.0
        for k, face in zip(owners, landmarks_in_boxes(pictures, np.stack(given), run, np.array(rolls), least)):
            if boxes is not None:
                found[k].append(face)
            elif face.confidence >= DOUBTFUL:
                found[k].append(_boxed_anew(face))
    return found


def _boxed_anew(face: Face) -> Face:
    """The face with the box and the roll that its landmarks ask for, which are more exact than a detector's."""
    if face.convention is None or face.convention.box is None or (np.ptp(face.landmarks, 0) <= 1).any():
        return face
    [box], [roll] = upright_boxes(face.landmarks[None], face.convention)
    return replace(face, box=box, roll=float(roll))


def face_heatmaps(photo: str | Path | np.ndarray, box: np.ndarray, run: Trained | None = None,
                  roll: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """What a heatmap net sees in a box (4,) of a photo: the crop, uint8 (1, s, s), and its maps (1, 68, h, w)."""
    array, run = _pixels(photo), run or default_net()
    crops = np.stack([run.recipe.crop.cut(Image.fromarray(array).convert("L"), np.asarray(box), roll=roll)])
    maps = run.heatmap_target.heatmaps(run.logits(torch.from_numpy(crops)[:, None]))
    return crops, maps.cpu().numpy()


def drawn(photo: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
    """The photo, uint8 (h, w, 3), with boxes, landmarks and the lines that join them, at its own size; small ones larger."""
    return plotting.drawn_on(photo, [face.landmarks for face in faces], [face.box for face in faces],
                             [face.roll for face in faces], faces[0].convention if faces else None)


def draw(photo: str | Path | np.ndarray, faces: Sequence[Face]) -> Figure:
    """A matplotlib Figure of the photo with boxes and landmarks, which is saved with as many pixels as the photo has."""
    return plotting.photo_figure(drawn(_pixels(photo), faces), "" if faces else "no face found")


# ---------------------------------------------------------------- command line


def photos_named(names: Sequence[str]) -> list[Path]:
    """Files for names that may be files, folders or glob patterns; what does not exist is kept, to be told about."""
    found = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            found += sorted(file for file in path.iterdir() if file.suffix.lower() in PHOTOS and ".landmarks" not in file.name)
        elif any(sign in name for sign in "*?[") and not path.exists():
            found += sorted(Path(file) for file in glob.glob(name, recursive=True) if Path(file).is_file()) or [path]
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def _box(text: str) -> list[float]:
    values = [float(value) for value in text.split(",")]
    if len(values) not in (4, 5) or min(values[2:4]) <= 0:
        raise ValueError
    return values


def _places(photos: Sequence[Path], out: Path | None) -> list[Path]:
    """The path of each photo's results, without ending; photos that differ in folder or ending only get numbers."""
    taken, places = set[str](), []
    for photo in photos:
        first = (out or photo.parent) / photo.stem
        names = chain([first], (first.with_name(f"{first.name}-{k}") for k in count(2)))
        places.append(next(name for name in names if str(name).lower() not in taken))
        taken.add(str(places[-1]).lower())
    return places


def _result(place: Path, kind: str) -> Path:
    return place.with_name(f"{place.name}.landmarks.{kind}")


def _write(photo: Path, faces: Sequence[Face], picture: np.ndarray, place: Path, as_json: bool) -> None:
    if as_json:
        write_json(_result(place, "json"), {"photo": photo.name, "faces": [face.to_dict() for face in faces]})
    with replacing(_result(place, "jpg")) as beside:
        Image.fromarray(drawn(picture, faces)).save(beside, format="JPEG", quality=92)


def _is_done(photo: Path, place: Path, as_json: bool) -> bool:
    """Whether the results of a photo are there and newer than it."""
    try:
        asked = photo.stat().st_mtime_ns
        return all(_result(place, kind).stat().st_mtime_ns >= asked for kind in ("jpg", *(["json"] if as_json else [])))
    except OSError:
        return False


def _ahead(job: Callable, items: Iterable, pool: ThreadPoolExecutor, count: int) -> Iterator:
    """Results of `job` for items in order, or what it raised, `count` of them made in advance."""
    waiting: deque = deque()
    for item in items:
        waiting.append(pool.submit(job, item))
        if len(waiting) > count:
            yield waiting.popleft()
    yield from waiting


def in_photos(photos: Sequence[Path], boxes: Sequence | None = None, run: Trained | None = None,
              detector: Detector = find_faces) -> Iterator[tuple[np.ndarray | None, list[Face], Exception | None]]:
    """For each of many files its picture and its faces, or no picture and why it could not be read, in order.

    Each processor decodes, searches and reads a group of up to `GROUP` photos by itself, which takes less time than to share
    out every step of the nets. A net reads the faces of a group together. One group a processor, and one more, is in memory.
    """
    run = run or default_net()
    with threads_apart() as count, one_thread_each(count) as pool:
        size = min(GROUP, -(-len(photos) // count))
        groups = [photos[start:start + size] for start in range(0, len(photos), max(1, size))]
        if len(groups) == 1:                                 # with all of PyTorch's threads
            yield from _in_group(groups[0], boxes, run, detector)
        else:
            for future in _ahead(lambda group: _in_group(group, boxes, run, detector), groups, pool, count):
                yield from future.result()


def _in_group(photos, boxes, run, detector) -> list[tuple[np.ndarray | None, list[Face], Exception | None]]:
    arrays, answers = list[np.ndarray](), list[tuple[np.ndarray | None, list[Face], Exception | None]]()
    for photo in photos:
        try:
            arrays.append(read_photo(photo))
            answers.append((arrays[-1], [], None))
        except (DatasetError, OSError) as error:
            answers.append((None, [], error))
    try:
        found = iter(_landmarks_of(arrays, boxes, run, detector))
    except ValueError:                                       # a box that lies nowhere on one of them: say on which
        found = (_faces_or_error(array, boxes, run, detector) for array in arrays)
    for k, (array, *_) in enumerate(answers):
        if array is not None:
            faces = next(found)
            answers[k] = (array, faces, None) if isinstance(faces, list) else (array, [], faces)
    return answers


def _faces_or_error(array, boxes, run, detector):
    try:
        return landmarks(array, boxes, run, detector)
    except ValueError as error:
        return error


def _rows(photo: Path, faces: Sequence[Face]) -> list[dict]:
    return [{"photo": str(photo), "face": k, "point": n, "x": round(x, 2), "y": round(y, 2),
             "confidence": round(face.confidence, 4)}
            for k, face in enumerate(faces) for n, (x, y) in enumerate(face.landmarks.tolist())]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when every photo had a face, 1 when some had none or failed, 2 for wrong usage, 130 when interrupted."""
    parser = argparse.ArgumentParser("python -m fkp_utils.predict", description="Draws 68 landmarks on the faces of photos.")
    parser.add_argument("photos", nargs="+", help="files, folders or patterns")
    parser.add_argument("--out", type=Path, help="folder for the results (default: beside each photo)")
    parser.add_argument("--json", action="store_true", help="write PHOTO.landmarks.json, too")
    parser.add_argument("--csv", action="store_true", help="write all landmarks into landmarks.csv")
    parser.add_argument("--box", type=_box,
                        help="left,top,width,height[,roll] of the face in pixels (and degrees), instead of looking for it")
    parser.add_argument("--resume", action="store_true", help="skip photos whose results are newer than they are")
    nets = parser.add_mutually_exclusive_group()
    nets.add_argument("--fast", action="store_true", help="the smaller net: faster, less exact")
    nets.add_argument("--weights", help="another .safetensors file of this project")
    options = parser.parse_args(arguments)
    photos = photos_named(options.photos)
    if not photos:
        parser.error("no photos there")
    try:
        run = load_weights(options.weights) if options.weights else default_net(options.fast)
    except ValueError as error:
        parser.error(str(error))
    places = dict(zip(photos, _places(photos, options.out)))
    table = (options.out or Path()) / "landmarks.csv"
    known = _known_rows(table) if options.csv and options.resume else {}
    done = [photo for photo in photos if options.resume and _is_done(photo, places[photo], options.json)
            and (not options.csv or str(photo) in known)]
    rows, troubles = {photo: known.get(str(photo), []) for photo in done}, list[str]()
    left = [photo for photo in photos if photo not in rows]
    interrupted = False
    bar = tqdm(total=len(left), desc="photos", disable=len(left) < 2 or not sys.stderr.isatty())
    with ThreadPoolExecutor(1) as writer:
        def written(job):
            photo, picture, faces = job
            _write(photo, faces, picture, places[photo], options.json)

        def read():
            for photo, (picture, faces, error) in zip(left, in_photos(left, options.box and [options.box], run)):
                if error is None:
                    rows[photo] = _rows(photo, faces)
                    if not faces:
                        troubles.append(f"{photo}: no face found")
                    yield photo, picture, faces
                else:
                    troubles.append(str(error) if isinstance(error, DatasetError | OSError) else f"{photo}: {error}")
                bar.update()

        try:
            for future in _ahead(written, read(), writer, GROUP):
                failed = future.exception()
                if isinstance(failed, OSError):
                    troubles.append(str(failed))
                elif failed is not None:
                    raise failed
        except KeyboardInterrupt:
            interrupted = True
            writer.shutdown(cancel_futures=True)
    bar.close()
    if options.csv:
        try:
            with replacing(table) as beside:
                every = [row for photo in photos for row in rows.get(photo, [])]
                pd.DataFrame(every, columns=["photo", "face", "point", "x", "y", "confidence"]).to_csv(beside, index=False)
        except OSError as error:
            troubles.append(str(error))
    skipped = f", {len(done)} of them done before" if done else ""
    print(f"{len(photos)} photos{skipped}, {sum(len({row['face'] for row in some}) for some in rows.values())} faces")
    print(*troubles, sep="\n", file=sys.stderr, end="\n" if troubles else "")
    if interrupted:
        print("predict: interrupted; with --resume it goes on", file=sys.stderr)
        return 130
    return 1 if troubles else 0


def _known_rows(table: Path) -> dict[str, list[dict]]:
    """The rows of each photo in a table that was written before; none where it cannot be read."""
    try:
        return {str(photo): some.to_dict("records") for photo, some in pd.read_csv(table).groupby("photo")}
    except (OSError, ValueError, KeyError):
        return {}


if __name__ == "__main__":
    sys.exit(main())
