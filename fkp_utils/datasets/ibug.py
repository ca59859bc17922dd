"""iBUG 300-W in dlib's layout: face boxes and 68 landmarks in XML beside the photos.

C. Sagonas et al., "300 faces in-the-wild challenge: the first facial landmark localization
challenge", ICCV-W 2013. File format: dlib's imglab XML, as in dlib.net/files/data.
"""

import contextlib
import hashlib
import json
import re
import xml.sax
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml import sax as defused_sax
from tqdm.auto import tqdm

from ..errors import DatasetError
from ..files import locked, replacing
from ..folders import CACHE
from ..landmarks import IBUG_68
from .base import FaceDataset, register
from .crop import Crop
from .images import read_gray

FOLDER = "ibug_300W_large_face_landmark_dataset"
N_POINTS = 68
FILES = {"train": "train", "val": "train", "all": "train", "test": "test", "test_parsed": "test_parsed"}
MIRRORED = "_mirror"                                        # ends the names of the set's own mirrored copies


@dataclass
class Entry:
    """One face: picture file (relative), line in the XML, box (left, top, width, height), landmarks (68, 2) or None."""

    file: str
    line: int
    box: tuple[float, ...]
    landmarks: np.ndarray | None = None
    parts: dict = field(default_factory=dict, repr=False)


class _Reader(xml.sax.ContentHandler):
    """Collects entries and turns every fault into a DatasetError with file and line."""

    def __init__(self, path: Path):
        super().__init__()
        self.path, self.entries = path, list[Entry]()
        self.file: str | None = None
        self.entry: Entry | None = None
        self._locator: xml.sax.xmlreader.Locator               # set by the parser

    def fault(self, words: str) -> DatasetError:
        return DatasetError(f"{self.path}, line {self._locator.getLineNumber()}: {words}")

    def numbers(self, attributes, names) -> tuple[float, ...]:
        try:
            values = tuple(float(attributes[name]) for name in names)
        except (KeyError, ValueError):
            raise self.fault(f"needs numbers for {', '.join(names)}") from None
        if not all(abs(value) < 1e6 for value in values):          # also false for NaN
            raise self.fault(f"{', '.join(names)} are no place in a picture: {values}")
        return values

    def startElement(self, name, attributes):
        if name == "image":
            self.file = attributes.get("file", "")
            inside = PurePosixPath(self.file)
            if not self.file or inside.is_absolute() or ".." in inside.parts or "\\" in self.file or "\0" in self.file:
                raise self.fault(f"an image whose file {self.file!r} is not inside of the dataset's folder")
        elif name == "box":
            if self.file is None or self.entry:
                raise self.fault("a box outside of an image or inside of another box")
            left, top, width, height = self.numbers(attributes, ("left", "top", "width", "height"))
            if min(width, height) < 1:
                raise self.fault(f"a box of no area ({width:g}x{height:g})")
            self.entry = Entry(self.file, self._locator.getLineNumber(), (left, top, width, height))
        elif name == "part":
            number = attributes.get("name", "")
            if self.entry is None or not re.fullmatch(r"\d{1,2}", number) or int(number) in self.entry.parts:
                raise self.fault(f"part {number!r} twice, without a number or outside of a box")
            self.entry.parts[int(number)] = self.numbers(attributes, ("x", "y"))

    def endElement(self, name):
        if name == "image":
            self.file = None
        elif name == "box" and self.entry:
            if parts := self.entry.parts:
                if sorted(parts) != list(range(N_POINTS)):
                    raise self.fault(f"{len(parts)} parts, expected {N_POINTS}, numbered 0 to {N_POINTS - 1}")
                self.entry.landmarks = np.array([parts[k] for k in range(N_POINTS)], np.float32)
            self.entries.append(self.entry)
            self.entry = None


def read_xml(path: str | Path) -> list[Entry]:
    """All faces of a dlib XML file in order; a picture with several boxes gives several.

    DatasetError with file and line: malformed XML, entity declarations, a box without area or with other than 0 or 68 parts,
    coordinates that are no numbers, a picture outside of the folder.
    """
    path = Path(path)
    reader = _Reader(path)
    try:
        with path.open("rb") as file:
            defused_sax.parse(file, reader)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from None
    except xml.sax.SAXParseException as error:
        raise DatasetError(f"{path}, line {error.getLineNumber()}: malformed XML ({error.getMessage()})") from None
    except DefusedXmlException as error:
        raise reader.fault(f"entity declarations are refused ({type(error).__name__})") from None
    except (LookupError, ValueError, xml.sax.SAXException) as error:
        raise DatasetError(f"{path}: malformed XML ({error})") from None
    return reader.entries


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def split_by_photo(names: list[str], share: float = 0.1, seed: int = 0) -> np.ndarray:
    """Which entries validate, bool (N,): whole photos with all their faces and their mirrored copies."""
    photo = np.array([_stem(name).removesuffix(MIRRORED) for name in names])
    photos = np.unique(photo)
    chosen = np.random.default_rng(seed).permutation(len(photos))[: max(1, round(share * len(photos)))]
    return np.isin(photo, photos[chosen])


def published_landmarks(root: str | Path) -> np.ndarray | None:
    """Landmarks of the test faces, float32 (N, 68, 2) in pixels of their pictures, or None where nobody published them.

    Raises DatasetError where `labels_ibug_300W_test.xml` and `..._test_parsed.xml` do not list the same faces.
    """
    folder = Path(root) / FOLDER
    listed = folder / "labels_ibug_300W_test.xml"
    if not listed.exists():
        return None
    known, asked = read_xml(listed), read_xml(folder / "labels_ibug_300W_test_parsed.xml")
    if [(e.file, e.box) for e in known] != [(e.file, e.box) for e in asked] or any(e.landmarks is None for e in known):
        raise DatasetError(f"{listed}: does not list the faces of labels_ibug_300W_test_parsed.xml, with landmarks")
    return np.array([entry.landmarks for entry in known])


@register("ibug")
class IBugFaces(FaceDataset):
    """Faces of iBUG 300-W, cropped around their boxes, from a cache on disk.

    Besides what every `FaceDataset` has:

    boxes : float64 (N, 4), (left, top, width, height) in pixels of the pictures
    truth : float32 (N, 68, 2), landmarks in pixels of the pictures; NaN where the XML has none
    sizes : int (N, 2), (width, height) of the pictures in pixels
    crop : the `Crop` that made `images` and `landmarks`

    And its arguments:

    root : folder that holds `ibug_300W_large_face_landmark_dataset/`
    split : "train" and "val" (nine tenths and one tenth of the training photos), "all" (both), "test" and "test_parsed" (the
        same faces, the second without landmarks)
    crop : how faces are cut out; cache : folder for the crops; written once, checked and memory-mapped afterwards

    DatasetError for every fault of the XML, a missing or damaged picture, and an empty list.
    """

    convention = IBUG_68

    @classmethod
    def open(cls, root: str | Path, split: str, size: tuple[int, int], crop: Crop) -> "IBugFaces":
        """A split cut out by `crop`, whose pictures are of `size` already."""
        return cls(root, split, crop=crop)

    def __init__(self, root, split="train", crop: Crop | None = None, cache: str | Path = CACHE):
        self.folder, self.crop = Path(root) / FOLDER, crop or Crop()
        listed = self.folder / f"labels_ibug_300W_{FILES[split]}.xml"
        stored = _Cache(Path(cache), listed, split, self.crop)
        if (found := stored.load()) is None:
            with locked(stored.images, wait=True):
                found = stored.load() or stored.build(self._entries(listed, split))
        self.images, arrays = found
        self.names = arrays["names"].tolist()
        self.boxes, self.truth, self.sizes = arrays["boxes"], arrays["truth"], arrays["sizes"]
        self.landmarks = self.crop.to_crop(self.truth, self.boxes).astype(np.float32)

    @staticmethod
    def _entries(listed: Path, split: str) -> list[Entry]:
        entries = read_xml(listed)
        if split in ("train", "val"):
            val = split_by_photo([entry.file for entry in entries])
            entries = [entry for entry, is_val in zip(entries, val) if is_val == (split == "val")]
        if not entries:
            raise DatasetError(f"{listed}: no faces of the {split} split")
        return entries

    @property
    def mirrored(self) -> np.ndarray:
        """Which pictures are the set's own mirrored copies, bool (N,)."""
        return np.array([_stem(name).endswith(MIRRORED) for name in self.names])

    def to_image(self, landmarks: np.ndarray) -> np.ndarray:
        """Map landmarks (N, 68, 2) of all crops to the pixels of their pictures, float64."""
        return self.crop.to_image(landmarks, self.boxes)


class _Cache:
    """Crops as one .npy (memory-mapped) and all the rest, with a checksum of the crops, as one .npz."""

    ARRAYS = ("names", "boxes", "truth", "sizes", "stamp", "crc")
    VERSION = 2                                           # of the crops' pixels: the next where `Crop.cut` changes them

    def __init__(self, folder: Path, listed: Path, split: str, crop: Crop):
        try:
            content = listed.read_bytes()
        except OSError as error:
            raise DatasetError(f"{listed}: cannot be read ({error.strerror})") from None
        how = json.dumps([str(listed), split, asdict(crop), self.ARRAYS, self.VERSION])
        key = hashlib.sha256(content + how.encode()).hexdigest()[:20]
        self.images, self.arrays = folder / f"{split}-{key}.npy", folder / f"{split}-{key}.npz"
        self.crop, self.root = crop, listed.parent

    def load(self):
        """(images, arrays) if they are there, whole and no older than their pictures; else None."""
        with contextlib.suppress(Exception):              # whatever is wrong with the files, they are made again
            with np.load(self.arrays, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in self.ARRAYS}
            images = np.load(self.images, mmap_mode="r", allow_pickle=False)
            whole = images.shape == (len(arrays["names"]), self.crop.size, self.crop.size) and images.dtype == np.uint8
            if whole and zlib.crc32(images) == arrays["crc"] and _stamp(self.root, arrays["names"]) == arrays["stamp"]:
                return images, arrays
        return None

    def build(self, entries: list[Entry]):
        """Cut all faces, store and return them."""
        self.images.parent.mkdir(parents=True, exist_ok=True)
        n, unknown = len(entries), np.full((N_POINTS, 2), np.nan, np.float32)
        arrays = {"names": np.array([entry.file for entry in entries]), "boxes": np.array([entry.box for entry in entries]),
                  "truth": np.array([unknown if entry.landmarks is None else entry.landmarks for entry in entries])}
        arrays["stamp"], arrays["sizes"] = np.array(_stamp(self.root, arrays["names"])), np.empty((n, 2), np.int64)
        header, crc = {"descr": "|u1", "fortran_order": False, "shape": (n, self.crop.size, self.crop.size)}, 0
        # Written, not mapped into memory: there a full disk would end the process without a word.
        with replacing(self.images) as beside, open(beside, "wb") as file, ThreadPoolExecutor(4) as pool:
            np.lib.format.write_array_header_1_0(file, header)
            cuts = pool.map(partial(_cut, self.root, self.crop), entries)
            for k, (face, size) in enumerate(tqdm(cuts, "cropping faces", total=n, unit="face", mininterval=1)):
                arrays["sizes"][k], pixels = size, face.tobytes()
                file.write(pixels)
                crc = zlib.crc32(pixels, crc)
        arrays["crc"] = np.array(crc)
        with replacing(self.arrays) as beside:
            np.savez(beside, allow_pickle=False, **arrays)
        return np.load(self.images, mmap_mode="r"), arrays


def _cut(root: Path, crop: Crop, entry: Entry) -> tuple[np.ndarray, tuple[int, int]]:
    try:
        picture = read_gray(root / entry.file)
        return crop.cut(picture, np.array(entry.box), str(root / entry.file)), picture.size
    except DatasetError as error:
        raise DatasetError(f"{error}; named in line {entry.line} of the XML") from None


def _stamp(root: Path, names) -> int:
    """Changes when a picture changes: a checksum of sizes and times."""
    crc = 0
    for name in names:
        about = None
        with contextlib.suppress(OSError):
            stat = (root / str(name)).stat()
            about = (stat.st_size, stat.st_mtime_ns)
        crc = zlib.crc32(f"{name}{about}".encode(), crc)
    return crc
