"""One face turned into another, and the mean of many: what landmarks are good for.

    python -m fkp_utils.morph A.jpg B.jpg --out morph.gif [--frames 25] [--size 360]
    python -m fkp_utils.morph --mean FOLDER --out mean.jpg

Landmarks say which points of two faces belong together. Triangles between them (Delaunay) and the picture's frame carry each
pixel of either photo to where it is in a shape between both; there the two are mixed (Wolberg, "Image morphing: a survey",
The Visual Computer 14, 1998). The kind of file follows from its name: .gif, .webp, .mp4 (with imageio's ffmpeg plugin), or .jpg
and .png for a mean face.
"""

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL import Image
from scipy.interpolate import LinearNDInterpolator
from scipy.ndimage import map_coordinates
from skimage.transform import SimilarityTransform, warp
from tqdm.auto import tqdm

from . import command, predict
from .datasets.images import read_photo
from .errors import DatasetError
from .files import replacing
from .landmarks import IBUG_68
from .marks import mark

# Where the outer eye corners lie in an aligned picture, in shares of its side.
EYES = np.array([[0.33, 0.42], [0.67, 0.42]])


def aligned(photo: np.ndarray, landmarks: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A face turned upright and scaled so that its outer eye corners lie at `EYES`.

    photo : uint8 (h, w, 3); landmarks : (68, 2) in its pixels -> float (size, size, 3) in [0, 1], and (68, 2) in its pixels
    """
    eyes = landmarks[list(IBUG_68.eye_corners or ())]
    move = SimilarityTransform.from_estimate(eyes, EYES * size - 0.5)
    return warp(photo, move.inverse, output_shape=(size, size), mode="edge"), move(landmarks)


def _framed(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Landmarks, kept inside of the picture, and eight points of its frame, so that the triangles cover all of it."""
    edge = np.linspace(0, size - 1, 3)
    frame = [(x, y) for x in edge for y in edge if (x, y) != (edge[1], edge[1])]
    return np.concatenate([landmarks.clip(1, size - 2), frame])


def to_shape(image: np.ndarray, landmarks: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Carry a square picture's landmarks to `shape`, and the pixels between them along, triangle by triangle.

    image : float (s, s, 3); landmarks, shape : (n, 2) in its pixels -> float (s, s, 3)
    """
    size = len(image)
    source = LinearNDInterpolator(_framed(shape, size), _framed(landmarks, size))
    y, x = np.mgrid[:size, :size]
    coordinates = source(x, y)[..., ::-1].transpose(2, 0, 1)              # rows, columns
    channels = [map_coordinates(channel, coordinates, order=1, mode="nearest") for channel in image.transpose(2, 0, 1)]
    return np.stack(channels, -1)


def between(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray], share: float) -> np.ndarray:
    """The face that is `share` (0 to 1) of the way from the first to the second; each as `aligned` gives it."""
    shape = (1 - share) * first[1] + share * second[1]
    return (1 - share) * to_shape(*first, shape) + share * to_shape(*second, shape)


def mean_face(faces: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The mean of faces as `aligned` gives them: their mean shape, filled with the mean of their colours; (s, s, 3)."""
    shape = np.mean([landmarks for _, landmarks in faces], 0)
    return np.mean([to_shape(image, landmarks, shape) for image, landmarks in tqdm(faces, "warping faces", disable=None)], 0)


def frames(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray], count: int) -> np.ndarray:
    """`count` pictures from the first face to the second, uint8 (count, s, s, 3); slow at both ends."""
    shares = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, count))
    return np.stack([to_bytes(between(first, second, share)) for share in tqdm(shares, "morphing", disable=None)])


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Floats in [0, 1] to uint8."""
    return (255 * image + 0.5).clip(0, 255).astype(np.uint8)


def find(photo: np.ndarray, name: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest face of a photo, uint8 (h, w, 3), as `aligned` gives it; ValueError names a photo without one."""
    faces = predict.landmarks(photo)
    if not faces:
        raise ValueError(f"{name}: no face found")
    return aligned(photo, max(faces, key=lambda face: face.box[2]).landmarks, size)


def write(pictures: np.ndarray, path: Path, seconds: float = 0.06) -> None:
    """Write pictures, uint8 (k, s, s, 3), there and back as an animation, or a single one as it is; whole or not at all."""
    with replacing(path) as beside:
        if len(pictures) == 1:
            Image.fromarray(pictures[0]).save(beside, **mark(path.suffix, {}))
            return
        there_and_back = np.concatenate([pictures[:1].repeat(8, 0), pictures, pictures[-1:].repeat(8, 0), pictures[-2:0:-1]])
        if path.suffix.lower() == ".mp4":
            if importlib.util.find_spec("imageio_ffmpeg") is None:
                raise ValueError(f"{path}: .mp4 needs imageio's ffmpeg plugin (pip install imageio-ffmpeg), .gif does not")
            iio.imwrite(beside, there_and_back, fps=round(1 / seconds))
        else:
            first, *more = map(Image.fromarray, there_and_back)
            first.save(beside, save_all=True, append_images=more, duration=round(1000 * seconds), loop=0,
                       **mark(path.suffix, {}))


def _run(options: argparse.Namespace) -> None:
    photos = predict.photos_named([str(options.mean)]) if options.mean else options.photos
    if any(options.out.exists() and options.out.samefile(path) for path in photos if Path(path).exists()):
        raise ValueError(f"{options.out}: is one of the photos; name another file for the result")
    if not options.mean:
        found = tqdm(options.photos, "finding faces", disable=None)
        first, second = [find(read_photo(path), path, options.size) for path in found]
        write(frames(first, second, options.frames), options.out)
        names = " turned into ".join(Path(path).name for path in options.photos)
        megabytes = options.out.stat().st_size / 1e6
        print(f"{options.out}: {names} and back, {options.size}x{options.size} pixels, {megabytes:.1f} MB")
        return
    faces = []
    for path in tqdm(photos, "finding faces", disable=None):
        try:
            faces.append(find(read_photo(path), path.name, options.size))
        except (ValueError, DatasetError) as error:
            print(f"left out: {error}", file=sys.stderr)
    if not faces:
        raise ValueError(f"{options.mean}: no photo with a face")
    write(to_bytes(mean_face(faces))[None], options.out)
    print(f"{options.out}: the mean of {command.counted(len(faces), 'face')}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when written, 1 for photos that cannot be used, 2 for wrong arguments, 130 when interrupted."""
    parser = command.parser("morph", __doc__, "photo.jpg other.jpg --out morph.gif", "--mean holiday/ --out mean.jpg")
    parser.add_argument("photos", nargs="*", metavar="PHOTO", help="two photos; the largest face of each is taken")
    parser.add_argument("--mean", metavar="FOLDER", type=Path,
                        help="instead of two photos: a folder; the largest face of each of its photos is averaged")
    parser.add_argument("--out", metavar="FILE", type=command.writable, required=True,
                        help="the result: a .gif, .webp or .mp4, with --mean a .jpg or .png")
    parser.add_argument("--frames", metavar="N", type=int, default=25,
                        help="pictures from the first face to the second (default: %(default)s)")
    parser.add_argument("--size", metavar="N", type=int, default=360, help="the result's side in pixels (default: %(default)s)")
    options = parser.parse_args(arguments)
    if bool(options.mean) == bool(options.photos) or (options.photos and len(options.photos) != 2):
        parser.error("give two photos, or --mean with a folder")
    if options.frames < 2 or not 32 <= options.size <= 2000:
        parser.error("--frames must be at least 2, --size between 32 and 2000")
    if options.out.suffix.lower() not in ((".jpg", ".jpeg", ".png") if options.mean else (".gif", ".webp", ".mp4")):
        parser.error(f"--out {options.out}: a mean face is a .jpg or .png, a morph a .gif, .webp or .mp4")
    return command.run("morph", lambda: _run(options), "interrupted; nothing was written")


if __name__ == "__main__":
    sys.exit(main())
