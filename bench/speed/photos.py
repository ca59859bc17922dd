"""Whole photos: the finder beside the cascade that it took the place of, and folders of photos against one at a time.

    PYTHONPATH=. python bench/speed/photos.py

A photo of 640x480 with one face, and one of 24 megapixels with twelve; then a folder of JPEGs as a camera writes them,
decoded, searched, read, drawn and written. About three minutes on 2 cores.
"""

import contextlib
import io
import os
import tempfile
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from tables import publish, side_by_side

from bench.real_photos.finder import cascade
from fkp_utils import predict
from fkp_utils.datasets.images import read_photo
from fkp_utils.datasets.personal import free_portraits
from fkp_utils.detection import find_faces
from fkp_utils.predict.__main__ import main as predict_command

PHOTOS = 48


def folder_of(count: int, folder: Path) -> list[Path]:
    """JPEGs of 1600x1200 with a portrait each, at different places."""
    portrait, rng = Image.fromarray(free_portraits()["Eileen Collins"]), np.random.default_rng(0)
    for k in range(count):
        photo = Image.new("RGB", (1600, 1200), tuple(int(c) for c in rng.integers(40, 200, 3)))
        side = int(rng.integers(500, 1150))
        photo.paste(portrait.resize((side, side)), tuple(int(rng.integers(0, room - side)) for room in photo.size))
        photo.save(folder / f"photo{k:03d}.jpg", quality=92)
    return sorted(folder.glob("*.jpg"))


def main() -> None:
    photo = np.asarray(Image.fromarray(free_portraits()["Eileen Collins"][:384]).resize((640, 480)))
    searched = cascade()
    ways = {"finder alone": lambda: find_faces(photo), "cascade alone": lambda: searched(photo),
            "everything, with the finder": lambda: predict.landmarks(photo),
            "everything, with the cascade": lambda: predict.landmarks(photo, detector=searched)}
    took = side_by_side(ways, 7)
    rows = [{"what": f"a photo of 640x480, {name}", "ms a photo": round(1000 * seconds, 1), "compared with": "the cascade",
             "ratio": f"{seconds / took[name.replace('finder', 'cascade')]:.2f}"} for name, seconds in took.items()]
    large = Image.new("RGB", (6000, 4000), (120, 130, 140))
    for k in range(12):
        large.paste(Image.fromarray(photo), (400 + k % 4 * 1400, 300 + k // 4 * 1200))
    pixels = np.asarray(large)
    took = side_by_side({"finder alone": lambda: find_faces(pixels), "everything": lambda: predict.landmarks(pixels)}, 5)
    rows += [{"what": f"a photo of 6000x4000 with 12 faces, {name}", "ms a photo": round(1000 * seconds, 1)}
             for name, seconds in took.items()]
    with tempfile.TemporaryDirectory() as name:
        names, out = folder_of(PHOTOS, Path(name)), Path(name) / "out"
        memory = []

        def one_at_a_time():
            for path in names:
                picture = read_photo(path)
                faces = predict.landmarks(picture)
                Image.fromarray(predict.drawn(picture, faces)).save(path.with_suffix(".png.jpg"), quality=92)

        def folder():
            with contextlib.redirect_stdout(io.StringIO()):
                predict_command([*map(str, names), "--out", str(out)])
            memory.append(psutil.Process(os.getpid()).memory_info().rss >> 20)

        took = side_by_side({"one at a time": one_at_a_time, "as a folder": folder}, 3)
    alone = took["one at a time"]
    rows += [{"what": f"a folder of {PHOTOS} photos of 1600x1200, {way}", "ms a photo": round(1000 * seconds / PHOTOS, 1),
              "compared with": "one at a time", "ratio": f"{seconds / alone:.2f}"} for way, seconds in took.items()]
    note = f"Memory of the process after each time through the folder: {', '.join(f'{mb} MB' for mb in memory)}."
    publish("photos", "Whole photos, and folders of them", rows, note)


if __name__ == "__main__":
    main()
