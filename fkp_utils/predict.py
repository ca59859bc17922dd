"""Landmarks for any photo.

    from fkp_utils import predict
    faces = predict.landmarks("photo.jpg")
    predict.draw("photo.jpg", faces)

    python -m fkp_utils.predict PHOTO... [--out DIR] [--json] [--csv] [--box L,T,W,H]
"""

import argparse
import glob
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, count
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from tqdm.auto import tqdm

from . import plotting
from .augment import flip
from .datasets.images import read_photo
from .detection import find_faces
from .errors import DatasetError
from .files import replacing, write_json
from .landmarks import Convention, box_around
from .nets.trained import Trained
from .nets.weights import load_weights

WEIGHTS = "ibug68.safetensors"
BATCH = 16                                   # faces looked at together
# On the validation photos every face has at least 0.70; of 54 random boxes that show none, the surest has 0.50.
DOUBTFUL = 0.6
DISAGREEMENT = 10                            # confidence is 1/e where an answer and its mirror image differ by 1 in so many
PHOTOS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


@dataclass(frozen=True)
class Face:
    """One face: box (left, top, width, height), landmarks (n, 2) in pixels of the photo, confidence from 0 to 1."""

    box: np.ndarray
    landmarks: np.ndarray
    confidence: float

    def to_dict(self) -> dict:
        """Plain lists, for JSON."""
        return {"box": self.box.round(2).tolist(), "landmarks": self.landmarks.round(2).tolist(),
                "confidence": round(self.confidence, 4)}


@cache
def default_net() -> Trained:
    """The net that comes with the project, loaded once."""
    return load_weights(WEIGHTS)


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
        straight, mirrored = run.landmarks(torch.cat([images, images.flip(-1)])).chunk(2)
        _, mirrored = flip(images, mirrored, torch.ones(len(images), dtype=torch.bool), run.convention)
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


def _look(pictures: Sequence[Image.Image], boxes: np.ndarray, run: Trained) -> tuple[np.ndarray, np.ndarray]:
    crop = run.recipe.crop
    found, sure = both_ways(run, np.stack([crop.cut(picture, box) for picture, box in zip(pictures, boxes)]))
    return crop.to_image(found, boxes), sure


def landmarks_in_boxes(pictures: Sequence[Image.Image], boxes: np.ndarray, run: Trained) -> list[Face]:
    """One face a box, looked at twice: the second time in the box that the first answer asks for.

    A detector's boxes are less regular than those the nets were trained on; `bench/real_photos/shipped.py` measures what the
    second look gains.

    Parameters
    ----------
    pictures : k grayscale pictures, one a box (the same one again for several faces of a photo)
    boxes : float (k, 4), (left, top, width, height) in pixels of the pictures
    run : trained net
    """
    found, sure = _look(pictures, boxes, run)
    if run.convention.box:
        collapsed = (np.ptp(found, 1) <= 1).any(1)               # to a point or a line: no box follows from that
        found, sure = _look(pictures, np.where(collapsed[:, None], boxes, box_around(found, run.convention)), run)
    return [Face(*face) for face in zip(boxes, found, sure.astype(float))]


def _pixels(photo: str | Path | np.ndarray) -> np.ndarray:
    return photo if isinstance(photo, np.ndarray) else read_photo(photo)


def _checked(boxes: Sequence, array: np.ndarray) -> np.ndarray:
    """Boxes as float64 (k, 4); ValueError for one that lies nowhere on the picture."""
    given, (height, width) = np.array(boxes, np.float64).reshape(-1, 4), array.shape[:2]
    left, top, wide, high = given.T
    fits = (np.minimum(wide, high) > 0) & (np.maximum(wide, high) < 5 * max(width, height))          # false for NaN, too
    fits &= (left < width) & (top < height) & (left + wide > 0) & (top + high > 0)
    if not fits.all():
        box = ", ".join(f"{number:g}" for number in given[~fits][0])
        raise ValueError(f"a box (left, top, width, height) of {box} lies nowhere on a picture of {width}x{height}")
    return given


def landmarks(photo: str | Path | np.ndarray, boxes: Sequence | None = None, run: Trained | None = None,
              detector: Callable[[np.ndarray], np.ndarray] = find_faces) -> list[Face]:
    """The faces of a photo: in the order of `boxes` where they are given, else largest first.

    Parameters
    ----------
    photo : file, or uint8 (h, w, 3) RGB
    boxes : (k, 4) as (left, top, width, height) in pixels, if known; else the detector looks for them, and
        what the net then makes nothing of (confidence below `DOUBTFUL`) is left out
    run : net (default: the one that comes with the project)
    detector : photo (h, w, 3) -> boxes (k, 4)

    Raises
    ------
    DatasetError
        When the file is not a picture. No face is no error: the list is empty.
    ValueError
        When a given box lies nowhere on the photo.
    """
    array = _pixels(photo)
    places = detector(array) if boxes is None else _checked(boxes, array)
    picture, faces = Image.fromarray(array).convert("L"), list[Face]()
    for start in range(0, len(places), BATCH):
        some = places[start:start + BATCH]
        faces += landmarks_in_boxes([picture] * len(some), some, run or default_net())
    return [face for face in faces if boxes is not None or face.confidence >= DOUBTFUL]


def face_heatmaps(photo: str | Path | np.ndarray, box: np.ndarray, run: Trained | None = None) -> tuple[np.ndarray, np.ndarray]:
    """What a heatmap net sees in a box (4,) of a photo: the crop, uint8 (1, s, s), and its maps (1, 68, h, w)."""
    array, run = _pixels(photo), run or default_net()
    crops = np.stack([run.recipe.crop.cut(Image.fromarray(array).convert("L"), np.asarray(box))])
    maps = run.heatmap_target.heatmaps(run.logits(torch.from_numpy(crops)[:, None]))
    return crops, maps.cpu().numpy()


def draw(photo: str | Path | np.ndarray, faces: Sequence[Face]):
    """A matplotlib Figure of the photo with boxes and landmarks."""
    array = _pixels(photo)
    return plotting.photo_with_faces(array, [face.landmarks for face in faces], [face.box for face in faces])


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
    if len(values) != 4 or min(values[2:]) <= 0:
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


def _write(photo: Path, faces: Sequence[Face], picture: np.ndarray, place: Path, as_json: bool) -> None:
    with replacing(place.with_name(f"{place.name}.landmarks.jpg")) as beside:
        draw(picture, faces).savefig(beside, format="jpg", dpi=150)
    if as_json:
        write_json(place.with_name(f"{place.name}.landmarks.json"),
                   {"photo": photo.name, "faces": [face.to_dict() for face in faces]})


def _rows(photo: Path, faces: Sequence[Face]) -> list[dict]:
    return [{"photo": str(photo), "face": k, "point": n, "x": round(x, 2), "y": round(y, 2),
             "confidence": round(face.confidence, 4)}
            for k, face in enumerate(faces) for n, (x, y) in enumerate(face.landmarks.tolist())]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when every photo had a face, 1 when some had none or failed, 2 for wrong arguments."""
    parser = argparse.ArgumentParser("python -m fkp_utils.predict", description="Draws 68 landmarks on the faces of photos.")
    parser.add_argument("photos", nargs="+", help="files, folders or patterns")
    parser.add_argument("--out", type=Path, help="folder for the results (default: beside each photo)")
    parser.add_argument("--json", action="store_true", help="write PHOTO.landmarks.json, too")
    parser.add_argument("--csv", action="store_true", help="write all landmarks into landmarks.csv")
    parser.add_argument("--box", type=_box, help="left,top,width,height of the face in pixels, instead of looking for it")
    parser.add_argument("--weights", default=WEIGHTS, help="another .safetensors file of this project")
    options = parser.parse_args(arguments)
    photos = photos_named(options.photos)
    if not photos:
        parser.error("no photos there")
    try:
        run = load_weights(options.weights)
    except ValueError as error:
        parser.error(str(error))
    rows, troubles = [], []
    bar = tqdm(photos, "photos", disable=len(photos) == 1 or not sys.stderr.isatty())
    for photo, place in zip(bar, _places(photos, options.out)):
        try:
            picture = read_photo(photo)
            faces = landmarks(picture, [options.box] if options.box else None, run)
            _write(photo, faces, picture, place, options.json)
        except (DatasetError, OSError) as error:
            troubles.append(str(error))
            continue
        except ValueError as error:
            troubles.append(f"{photo}: {error}")
            continue
        rows += _rows(photo, faces)
        if not faces:
            troubles.append(f"{photo}: no face found")
    if options.csv:
        try:
            with replacing((options.out or Path()) / "landmarks.csv") as beside:
                pd.DataFrame(rows, columns=["photo", "face", "point", "x", "y", "confidence"]).to_csv(beside, index=False)
        except OSError as error:
            troubles.append(str(error))
    print(f"{len(photos)} photos, {len({(row['photo'], row['face']) for row in rows})} faces")
    print(*troubles, sep="\n", file=sys.stderr, end="\n" if troubles else "")
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
