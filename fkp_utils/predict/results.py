"""What the command line leaves of each photo, and how a later run knows which photo that was and what it said."""

import glob
import io
import os
import tempfile
import zlib
from collections.abc import Collection, Iterable, Sequence
from itertools import count
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image

from ..files import replacing, write_json
from ..marks import COLUMNS, mark, mark_of
from ..nets.shipped import sha256
from ..plotting.drawing import LONGEST
from .faces import Face, drawn


class Result:
    """A photo's results, PLACE.landmarks.jpg and .json; both say which photo they are of, by path and content, and how made.

    place : path of the results without their ending; how : what the answer depends on besides the photo: plain values
    """

    def __init__(self, photo: Path, place: Path, how: dict):
        self.photo, self.place, self.how = photo, place, how
        self._others = (place.with_name(f"{place.name}-{k}") for k in count(2))

    def file(self, kind: str) -> Path:
        """The file with this ending."""
        return self.place.with_name(f"{self.place.name}.landmarks.{kind}")

    def _about(self) -> dict:
        return {**self._whose(), "sha256": sha256(self.photo), **self.how}

    def _whose(self) -> dict[str, str]:
        """The photo's name, and its path seen from the results, so that both may move together."""
        try:
            path = os.path.relpath(self.photo, self.place.parent)
        except ValueError:                                   # on another of Windows' drives
            path = os.path.abspath(self.photo)
        return {"photo": self.photo.name, "path": path}

    def make_way(self, taken: Collection[str] = ()) -> None:
        """Go on to the next place, numbered, while this one is taken or has a file that is no result of this photo."""
        def is_foreign(file: Path) -> bool:
            return os.path.lexists(file) and (mark_of(file) or {}).get("path") != self._whose()["path"]
        while str(self.place).lower() in taken or is_foreign(self.file("jpg")) or is_foreign(self.file("json")):
            self.place = next(self._others)

    def are_anothers(self, rows: Sequence[dict]) -> bool:
        """Whether rows by this photo's name are of one of another folder, whose drawing beside this one's tells of them."""
        others = self.place.parent.glob(f"{glob.escape(self.photo.stem)}*.landmarks.jpg")
        return any((mark_of(file) or {}).get("rows") == checksum(rows) for file in others if file != self.file("jpg"))

    def said(self, as_json: bool) -> dict | None:
        """What these results say of the photo as it is now, `faces` and `rows` (a checksum); None where they do not."""
        told = mark_of(self.file("jpg"))
        try:
            about = self._about()
        except OSError:
            return None
        if told is None or {key: told.get(key) for key in about} != about:
            return None
        return told if not as_json or mark_of(self.file("json")) == told else None

    def write(self, picture: np.ndarray, faces: Sequence[Face], as_json: bool) -> None:
        """Write the drawn photo, uint8 (h, w, 3), smaller if no JPEG can be as large, and its faces as JSON."""
        told = {**self._about(), "faces": len(faces), "rows": checksum(self.rows(faces))}
        drawing, file = Image.fromarray(drawn(picture, faces)), io.BytesIO()
        drawing.thumbnail((LONGEST, LONGEST))
        drawing.save(file, format="JPEG", quality=92, **mark("jpg", told))
        self.make_way()                                      # another run may have come meanwhile
        with replacing(self.file("jpg")) as beside:
            beside.write_bytes(file.getvalue())
        if as_json:
            write_json(self.file("json"), {**told, "faces": [face.to_dict() for face in faces]})

    def write_fault(self, words: str) -> None:
        """Say as JSON why there are no faces; results that are there already stay."""
        if not os.path.lexists(self.file("json")):
            write_json(self.file("json"), {**self._whose(), "error": words, "faces": []})

    def rows(self, faces: Sequence[Face]) -> list[dict]:
        """The photo's rows of the table, one a landmark, without its name."""
        return [dict(zip(COLUMNS[1:], (k, n, round(x, 2), round(y, 2), round(face.confidence, 4))))
                for k, face in enumerate(faces) for n, (x, y) in enumerate(face.landmarks.tolist())]


def checksum(rows: Iterable[dict]) -> int:
    """Of the numbers in a photo's rows."""
    return zlib.crc32(repr([tuple(row[name] for name in COLUMNS[1:]) for row in rows]).encode())


def places(photos: Sequence[Path], out: Path | None, how: dict) -> list[Result]:
    """Each photo's results: in `out`, else beside it, numbered where the name belongs to another photo or to another file."""
    taken, found = set[str](), []
    for photo in photos:
        found.append(Result(photo, (out or photo.parent) / (photo.stem or "photo"), how))
        found[-1].make_way(taken)
        taken.add(str(found[-1].place).lower())
    return found


def read_table(path: Path) -> dict[str, list[dict]]:
    """The rows of each photo in a table of ours; ValueError for another file, which must not be written over."""
    import pandas as pd

    try:
        table = pd.read_csv(path, encoding_errors="surrogateescape", float_precision="round_trip", dtype={"photo": str},
                            keep_default_na=False)               # a photo may be called 007, or NA
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as a table of landmarks ({error}); it is left as it is") from None
    if list(table.columns) != COLUMNS:
        raise ValueError(f"{path}: another table than one of landmarks; it is left as it is")
    return {str(photo): some.to_dict("records") for photo, some in table.groupby("photo", sort=False)}


def update_table(path: Path, photos: dict[str, list[dict]]) -> None:
    """Write the rows of photos, those of others stay; whole or not at all; names that are not UTF-8 as the bytes they are.

    A second run that has rows for the same table waits, for moments; the lock is not left beside the user's photos.
    """
    import pandas as pd

    lock = Path(tempfile.gettempdir()) / f"fkp_utils.{zlib.crc32(os.fsencode(path.absolute())):08x}.lock"
    with FileLock(lock, mode=0o666):
        rows = [{**row, "photo": name} for name, some in {**read_table(path), **photos}.items() for row in some]
        with replacing(path) as beside:
            pd.DataFrame(rows, columns=COLUMNS).to_csv(
                beside, index=False, lineterminator="\n", encoding="utf-8", errors="surrogateescape")
