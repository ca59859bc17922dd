"""The embedded faces: a generated stand-in for IMM and iBUG 300-W, in their official formats.

`ensure_embedded` writes, once, a folder that holds

    imm_face_db/                              40 people x 6 views, 640x480 JPEG + ASF (58 landmarks)
    ibug_300W_large_face_landmark_dataset/    dlib XML (68 landmarks) + JPEG

so that the loaders of the real data read it unchanged. Every picture depends only on the seed and
its own number: the same settings give the same files, whatever the number of processes.

    python -m fkp_utils.datasets.embedded data/embedded

The faces come from `fkp_utils.synthesis`: no photo and no part of a photo is in them. Landmarks are
written with more decimals than the official files have, since here they are known exactly.
"""

import argparse
import hashlib
import json
import multiprocessing
import operator
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from tqdm.auto import tqdm

from .. import command
from ..errors import DatasetError
from ..files import locked, replace_folder, replacing, write_json, write_text
from ..folders import PACKAGE
from ..landmarks import DLIB_BOX, IBUG_68
from ..processors import usable
from ..synthesis.person import sample_person
from ..synthesis.portrait import Shot, develop, take
from ..synthesis.render import Camera, Light, clutter

IMM, IBUG = "imm_face_db", "ibug_300W_large_face_landmark_dataset"
IMM_WOMEN = {8, 12, 14, 15, 22, 30, 35}           # as in the official file names
IMM_GREY = {2, 3, 4}                              # these people's photos have no colour
_TESTS = 50_000                                   # the number of the first test face; training faces have those below
_ASF_PATHS = ((0, 13, 4), (1, 8, 0), (2, 8, 0), (3, 5, 4), (4, 5, 4), (5, 8, 0), (6, 11, 4))


@dataclass(frozen=True)
class Settings:
    """What to generate. Test entries are half originals, half their mirror images."""

    people: int = 40
    train: int = 600
    test: int = 100
    seed: int = 0


def _light(rng: np.random.Generator, key: tuple, around: tuple, aside: float) -> Light:
    direction = np.array([rng.normal(0, aside), rng.uniform(-1.0, 0.1), rng.uniform(0.45, 1.0)])
    warm = np.array([1, rng.uniform(.85, 1.0), rng.uniform(.68, 1.05)])
    sky = rng.uniform(*around) * np.array([.95, 1, 1.08])
    colours = rng.uniform(*key) * warm, sky, 0.5 * sky * [1.1, 1, .85]
    return Light(*(a.astype(np.float32) for a in (direction / np.linalg.norm(direction), *colours)))


def _studio_shot(seed: int, number: int, view: int) -> tuple[Shot, np.ndarray]:
    """Pose, light and backdrop of one IMM view; the studio stays the same for all people."""
    rng = np.random.default_rng([seed, 1, number, view])
    person_rng = np.random.default_rng([seed, 2, number])
    size = (480, 640)
    scale = person_rng.normal(126, 8)
    yaw = {3: rng.normal(-31, 4), 4: rng.normal(31, 4)}.get(view, rng.normal(0, 3))
    expression = rng.normal(0, .22, 4)
    if view == 2:                                  # happy
        expression += [rng.uniform(.1, 1.0), rng.uniform(.9, 1.9), 0, rng.normal(0, .3)]
    elif view == 6:                                # arbitrary
        expression += rng.normal(0, 1.3, 4)
        yaw += rng.normal(0, 6)
    light = Light(np.array([.25, -.45, .86], np.float32), np.array([1.0, .95, .88], np.float32),
                  np.array([.34, .36, .38], np.float32), np.array([.17, .17, .16], np.float32))
    if view == 5:                                  # spot light from the person's left
        light = Light(np.array([.83, -.22, .51], np.float32), np.array([1.7, 1.62, 1.5], np.float32),
                      np.array([.15, .16, .17], np.float32), np.array([.07, .07, .07], np.float32))
    centre = (322 + rng.normal(0, 18), 286 + rng.normal(0, 13))
    shot = Shot(yaw, rng.normal(2, 4), rng.normal(0, 2.5), expression, rng.normal(0, .008, 2), light,
                Camera(scale * rng.normal(1, .02), centre, 14), size)
    y, x = np.mgrid[-1:1:480j, -1:1:640j].astype(np.float32)
    glow = np.exp(-((x - .25) ** 2 + (y + .3) ** 2) / .8)
    wall = np.array([.010, .050, .045], np.float32).reshape(3, 1, 1) * (0.5 + 1.1 * glow)
    return shot, wall * (1 + 0.05 * gaussian_filter(rng.standard_normal((480, 640)), 3))


def studio_picture(seed: int, number: int, view: int) -> tuple[np.ndarray, np.ndarray]:
    """View 1-6 of IMM-like person 1-40: uint8 (480, 640, 3) and 58 landmarks (58, 2) in pixels."""
    person = sample_person(seed * 100_000 + number, female=number in IMM_WOMEN)
    shot, wall = _studio_shot(seed, number, view)
    picture, coverage, _, landmarks = take(person, shot, supersample=1.25)
    rng = np.random.default_rng([seed, 3, number, view])
    photo = develop(picture * coverage + wall * (1 - coverage), rng, blur=0.6, grain=0.008)
    if number in IMM_GREY:
        photo = np.repeat(photo.mean(2, keepdims=True), 3, 2).astype(np.uint8)
    return photo, landmarks


def wild_picture(seed: int, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture number `index` of the wild set: uint8 (h, w, 3), 68 landmarks (68, 2), box (4,) in pixels."""
    rng = np.random.default_rng([seed, 4, index])
    person = sample_person(seed * 100_000 + 1000 + index)
    box_size = float(np.exp(rng.uniform(np.log(80), np.log(150))))
    scale = box_size / 1.72
    size = (int(box_size * rng.uniform(2.0, 2.4)), int(box_size * rng.uniform(2.0, 2.4)))
    shift = rng.normal(0, .06, 2) if rng.random() > .06 else rng.normal(0, .25, 2)
    yaw = float(np.clip(rng.normal(0, 17), -38, 38))
    pitch = float(np.clip(rng.normal(3, 9), -22, 24))         # photos are taken from a little above
    shot = Shot(yaw, pitch, float(np.clip(rng.normal(0, 8.5), -24, 24)), rng.normal(0, 1.0, 4), rng.normal(0, .022, 2),
                _light(rng, (.35, 1.7), (.12, .65), .7),
                Camera(scale, ((.5 + shift[0]) * size[1], (.52 + shift[1]) * size[0]), rng.uniform(6, 16)), size)
    picture, coverage, landmarks, _ = take(person, shot, detail=0)
    photo = picture * coverage + clutter(rng, size) * (1 - coverage)
    exposure, blur = rng.lognormal(0, .25), rng.uniform(.25, 1.3) * box_size / 130
    photo = develop(photo * exposure, rng, blur, grain=rng.uniform(.002, .03))
    if rng.random() < .08:
        photo = np.repeat(photo.mean(2, keepdims=True), 3, 2).astype(np.uint8)
    return photo, landmarks, _detector_box(rng, landmarks, yaw, pitch)


def _detector_box(rng, landmarks: np.ndarray, yaw: float, pitch: float) -> np.ndarray:
    """A box as dlib's detector draws it: size and offset as measured on the real annotations."""
    low, high = landmarks.min(0), landmarks.max(0)
    factor, up = DLIB_BOX
    side = factor * np.sqrt(np.prod(high - low)) * np.clip(rng.normal(1, .075), .84, 1.2)
    centre = (low + high) / 2 + side * np.array([rng.normal(.0034 * yaw, .05), rng.normal(-up - .001 * pitch, .05)])
    left_top = np.rint(centre - side / 2 + 0.5)
    return np.r_[left_top, np.rint(side), np.rint(side * rng.choice([.995, 1, 1, 1, 1.005]))]


def _save_jpeg(path: Path, photo: np.ndarray, quality: int) -> None:
    with replacing(path) as beside:
        Image.fromarray(photo).save(beside, quality=quality, subsampling=0)


def _asf(landmarks: np.ndarray, image: str) -> str:
    """One ASF file (format: M. B. Stegmann, AAM-API): relative coordinates, one line a point."""
    lines = ["#" * 70, "#", "#    AAM Shape File  -  generated faces of the facial keypoint project", "#", "#" * 70, "",
             "# number of model points", str(len(landmarks)), "",
             "# format: <path#> <type> <x rel.> <y rel.> <point#> <connects from> <connects to>"]
    start = 0
    for path, count, kind in _ASF_PATHS:
        for k in range(start, start + count):
            before, after = start + (k - 1 - start) % count, start + (k + 1 - start) % count
            if kind == 4:                          # open path: its ends connect to themselves
                before, after = max(k - 1, start), min(k + 1, start + count - 1)
            x, y = landmarks[k] / (640, 480)
            lines.append(f"{path} \t{kind} \t{x:.8f} \t{y:.8f} \t{k} \t{before} \t{after}")
        start += count
    return "\n".join([*lines, "", "# host image", image, ""])


def _write_studio(folder: Path, seed: int, number: int, view: int) -> None:
    name = f"{number:02d}-{view}{'f' if number in IMM_WOMEN else 'm'}"
    image, shape = folder / IMM / f"{name}.jpg", folder / IMM / f"{name}.asf"
    if shape.exists():
        return
    photo, landmarks = studio_picture(seed, number, view)
    _save_jpeg(image, photo, 92)
    write_text(shape, _asf(landmarks, image.name))


def _write_wild(folder: Path, seed: int, split: str, first: int, index: int) -> None:
    name = f"embedded/{split}set/face_{index:04d}"
    record = folder / "records" / f"{split}_{index:04d}.json"
    if record.exists():
        return
    photo, landmarks, box = wild_picture(seed, first + index)
    quality = int(np.random.default_rng([seed, 5, first + index]).integers(70, 96))
    entries = [_entry(f"{name}.jpg", photo, landmarks, box)]
    _save_jpeg(folder / IBUG / f"{name}.jpg", photo, quality)
    if split == "test":
        width = photo.shape[1]
        mirrored = (landmarks * [-1, 1] + [width - 1, 0])[list(IBUG_68.flip)]
        mirrored_box = np.r_[width - box[0] - box[2], box[1:]]        # a box spans edges, not pixel centres
        _save_jpeg(folder / IBUG / f"{name}_mirror.jpg", photo[:, ::-1], quality)
        entries.append(_entry(f"{name}_mirror.jpg", photo, mirrored, mirrored_box))
    write_json(record, entries)


def _entry(file: str, photo: np.ndarray, landmarks: np.ndarray, box: np.ndarray) -> dict:
    return {"file": file, "size": [photo.shape[1], photo.shape[0]], "box": [int(b) for b in box],
            "parts": landmarks.round(2).tolist()}


def _xml(title: str, entries: list[dict], with_parts: bool) -> str:
    """dlib's imglab format."""
    lines = ["<?xml version='1.0' encoding='ISO-8859-1'?>", "<dataset>", f"<name>{title}</name>",
             "<comment>Generated faces; landmarks are exact.</comment>", "<images>"]
    for e in entries:
        left, top, width, height = e["box"]
        box = f"  <box top='{top}' left='{left}' width='{width}' height='{height}'"
        parts = [f"   <part name='{k:02d}' x='{x:g}' y='{y:g}'/>" for k, (x, y) in enumerate(e["parts"])]
        lines += [f" <image file='{e['file']}' width='{e['size'][0]}' height='{e['size'][1]}'>",
                  *([box + ">", *parts, "  </box>"] if with_parts else [box + "/>"]), " </image>"]
    return "\n".join([*lines, "</images>", "</dataset>", ""])


def _recipe(settings: Settings) -> dict:
    """Settings and a digest of the generator's source: a set made by other code is made again."""
    sources = [Path(__file__), *sorted((PACKAGE / "synthesis").glob("*.py")), PACKAGE / "synthesis/shape_model.npz"]
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in sources)).hexdigest()
    return {**asdict(settings), "generator": digest[:16]}


def _read(path: Path) -> dict | None:
    """A small JSON file, or None where there is none that can be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


@contextmanager
def _without_main() -> Iterator[None]:
    """Processes that start meanwhile do not run the user's script again, which a script without a guard does not survive."""
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def ensure_embedded(folder: str | Path, settings: Settings | None = None, processes: int | None = None) -> Path:
    """Generate the embedded faces in `folder` unless they are there already.

    An interrupted run goes on where it stopped; the folder gets its name only when it is complete.

    Parameters
    ----------
    folder : where the two datasets go
    settings : sizes and seed (default: 40 people, 600 + 100 wild faces)
    processes : how many to use (default: one a processor)

    Returns the folder. DatasetError if it exists and holds something that this function did not write; ChildProcessError if
    one of the processes was ended from outside.
    """
    folder, settings = Path(folder), settings or Settings()
    recipe, stamp = _recipe(settings), folder / "embedded.json"
    if _read(stamp) == recipe:
        return folder
    with locked(folder, wait=True):
        if _read(stamp) != recipe:                                   # nobody made it meanwhile
            _generate(folder, settings, recipe, processes or usable())
    return folder


def _generate(folder: Path, settings: Settings, recipe: dict, processes: int) -> None:
    stamp = folder / "embedded.json"
    if folder.exists() and not stamp.exists() and any(folder.iterdir()):
        raise DatasetError(f"{folder}: holds other files; name a new folder for the embedded faces")
    partial_folder = folder.with_name(f".{folder.name}.partial")
    if partial_folder.exists() and _read(partial_folder / "recipe.json") != recipe:
        shutil.rmtree(partial_folder)
    partial_folder.mkdir(parents=True, exist_ok=True)
    write_json(partial_folder / "recipe.json", recipe)
    tests = settings.test // 2
    jobs = [partial(_write_studio, partial_folder, settings.seed, n, view)
            for n in range(1, settings.people + 1) for view in range(1, 7)]
    jobs += [partial(_write_wild, partial_folder, settings.seed, "train", 0, i) for i in range(settings.train)]
    jobs += [partial(_write_wild, partial_folder, settings.seed, "test", _TESTS, i) for i in range(tests)]
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")          # one core a process
    if processes == 1 or multiprocessing.current_process().daemon:        # which may have no children
        for job in tqdm(jobs, "embedded faces", unit="picture", mininterval=1):
            job()
    else:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), signal.signal,
                                 (signal.SIGINT, signal.SIG_IGN)) as pool:
            try:
                with _without_main():
                    done = pool.map(operator.call, jobs, chunksize=4)
                for _ in tqdm(done, "embedded faces", len(jobs), unit="picture", mininterval=1):
                    pass
            except BrokenProcessPool:
                raise ChildProcessError(f"{folder}: a process at it was ended from outside (no memory?); the same call goes on "
                                        "from there") from None
            finally:
                pool.shutdown(cancel_futures=True)
    _write_lists(partial_folder, settings)
    os.replace(partial_folder / "recipe.json", partial_folder / stamp.name)
    replace_folder(partial_folder, folder)


def _write_lists(folder: Path, settings: Settings) -> None:
    """The three XML files, from the records of the single pictures; then the records go."""
    def read(split, count):
        files = (folder / "records" / f"{split}_{i:04d}.json" for i in range(count))
        return [entry for file in files for entry in json.loads(file.read_text())]

    train, test = read("train", settings.train), read("test", settings.test // 2)
    for name, title, entries, with_parts in (("train", "training faces", train, True), ("test", "test faces", test, True),
                                             ("test_parsed", "test faces, boxes only", test, False)):
        write_text(folder / IBUG / f"labels_ibug_300W_{name}.xml", _xml(title, entries, with_parts))
    shutil.rmtree(folder / "records", ignore_errors=True)


def main() -> int:
    """Command line: generate into a folder; 0 when it is there, 1 when it cannot be made, 130 when interrupted."""
    default = Settings()
    parser = argparse.ArgumentParser(prog="python -m fkp_utils.datasets.embedded", description=main.__doc__)
    parser.add_argument("folder", type=Path)
    for name, most in (("people", 99), ("train", _TESTS), ("test", 2 * _TESTS), ("seed", 2**32 - 1)):
        parser.add_argument(f"--{name}", type=command.whole(0, most), default=getattr(default, name))
    arguments = vars(parser.parse_args())
    folder = arguments.pop("folder")
    return command.run("embedded", lambda: print(f"embedded faces: {ensure_embedded(folder, Settings(**arguments))}"),
                       "interrupted; the same command goes on where it stopped")


if __name__ == "__main__":
    from fkp_utils.datasets.embedded import main as start  # whose functions other processes can import
    sys.exit(start())
