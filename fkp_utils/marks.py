"""Files that the project makes say so themselves, so that no command takes its own results for photos.

Of landmarks as JSON or as a table their keys do. A picture's mark is a dictionary as JSON: the EXIF tag
ImageDescription, in GIF the comment.
"""

import contextlib
import json
import os
from pathlib import Path

from PIL import Image
from PIL.ExifTags import Base

SOFTWARE = "fkp_utils"
COLUMNS = ["photo", "face", "point", "x", "y", "confidence"]                      # of a table of landmarks


def mark(ending: str, about: dict) -> dict:
    """Keywords for Pillow's `save`, with which a file of this ending says that it is ours and what it is `about`."""
    if ending.lower().endswith("gif"):
        return {"comment": json.dumps({"software": SOFTWARE, **about})}
    exif = Image.Exif()
    exif[Base.Software], exif[Base.ImageDescription] = SOFTWARE, json.dumps(about)
    return {"exif": exif}


def mark_of(path: Path) -> dict | None:
    """What a file of ours is about, of faces their number; None for any other file, and for one that cannot be read."""
    if not os.path.isfile(path):                             # a pipe would wait for a writer
        return None
    with contextlib.suppress(Exception):
        if path.suffix == ".json":
            about = json.loads(path.read_text(encoding="utf-8"))
            return {**about, "faces": len(about["faces"])} if {"photo", "path"} <= about.keys() else None
        if path.suffix == ".csv":
            with path.open(encoding="utf-8") as table:
                return {} if table.readline().rstrip() == ",".join(COLUMNS) else None
    with contextlib.suppress(Exception), Image.open(path, formats=("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF")) as picture:
        if picture.format == "GIF":
            about = json.loads(picture.info["comment"])
            return about if about.pop("software") == SOFTWARE else None
        # Asked for EXIF that did not come before its pixels, Pillow would decode a whole PNG.
        exif = picture.getexif() if "exif" in picture.info or picture.format == "TIFF" else {}
        return json.loads(exif[Base.ImageDescription]) if exif.get(Base.Software) == SOFTWARE else None
    return None
