"""Make faces: the embedded set, or any number of pictures for a transfer curve.

    python bench/shipped_files/faces/make.py data/embedded
    python bench/shipped_files/faces/make.py FOLDER --people 0 --train 3000 --test 0 --side 70 90 --samples 10 --seed 1

needs what requirements.txt beside this file names. Writes, in the official layouts,

    imm_face_db/                              people x 6 views, 640x480 JPEG + ASF (58 landmarks)
    ibug_300W_large_face_landmark_dataset/    dlib XML (68 landmarks) + JPEG; half of the tests are mirror images
    README.md                                 the datasheet

and in both folders covered.json, the indices of the landmarks that something hides, and facts.json, who is seen and how.

Every picture depends only on the seed and its own number. An interrupted run goes on where it stopped: pictures that are
there with their record (records/, which stays) are not made again.
"""

import argparse
import fcntl
import json
import os
import sys
import time
from contextlib import redirect_stdout
from multiprocessing import get_context
from pathlib import Path

import numpy as np

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parents[2])]

import formats  # noqa: E402  (found beside this file)

WOMEN = {8, 12, 14, 15, 22, 30, 35}               # as in IMM's file names
GREY = {2, 3, 4}                                  # these people's photos have no colour
WITHOUT = "hair", "things", "skin", "light", "labels"      # what an ablation leaves out, see `picture.wild`
_TESTS = 50_000                                   # the number of the first test face; training faces have those below


def _write(path: Path, content: bytes | str) -> None:
    """The whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(beside, path)


def _quiet(make, *arguments):
    """Call, without Blender's own lines."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        out, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        try:
            return make(*arguments)
        finally:
            os.dup2(out, 1)
            os.close(out)
            os.close(null)


def _number(split: str, index: int) -> int:
    """A wild picture's own number."""
    return index + (_TESTS if split == "test" else 0)


def studio(folder: Path, options: argparse.Namespace, number: int, view: int) -> None:
    """One view of a person of IMM's kind."""
    import photo
    import picture
    name = f"{number:02d}-{view}{'f' if number in WOMEN else 'm'}"
    record = folder / "records" / f"imm_{name}.json"
    if record.exists():
        return
    start = time.time()
    sex = "female" if number in WOMEN else "male"
    made = _quiet(picture.studio, options.seed, number, view, sex, folder / "records", options.studio_samples)
    image = made.photo
    if number in GREY:
        image = np.repeat(np.rint(image.mean(2, keepdims=True)).astype(np.uint8), 3, 2)
    _write(folder / formats.IMM / f"{name}.jpg", photo.jpeg(image, 84))
    _write(folder / formats.IMM / f"{name}.asf", formats.asf(made.imm, f"{name}.jpg", (image.shape[1], image.shape[0])))
    _write(record, json.dumps({"file": f"{name}.jpg", "covered": np.flatnonzero(made.imm_covered).tolist(), "facts": made.facts,
                               "seconds": round(time.time() - start, 1)}))


def wild(folder: Path, options: argparse.Namespace, split: str, index: int) -> None:
    """One picture of iBUG 300-W's kind, and a test's mirror image."""
    import photo
    import picture
    record = folder / "records" / f"{split}_{index:05d}.json"
    if record.exists():
        return
    start = time.time()
    number = _number(split, index)
    made = _quiet(picture.wild, options.seed, number, folder / "records", options.samples, tuple(options.side), options.without)
    quality, entries = _entries(options, split, index, made.photo.shape[1::-1], made.ibug, made.covered, made.facts)
    for e, seen in zip(entries, (made.photo, made.photo[:, ::-1])):
        _write(folder / formats.IBUG / e["file"], photo.jpeg(seen, quality))
    _write(record, json.dumps({"entries": entries, "facts": made.facts | {"quality": quality},
                               "seconds": round(time.time() - start, 1)}))


def _entries(options: argparse.Namespace, split: str, index: int, size, landmarks, covered, facts: dict):
    """The JPEG's quality, and what the lists say of a picture of (width, height) and, in the tests, of its mirror image."""
    rng = np.random.default_rng([options.seed, 5, _number(split, index)])
    quality, name = int(rng.integers(40, 96)), f"embedded/{split}set/face_{index:04d}"
    box = formats.detector_box(rng, landmarks, facts["turn"], facts["nod"])
    entries = [formats.entry(f"{name}.jpg", size, landmarks, box, np.flatnonzero(covered))]
    if split == "test":
        entries.append(formats.mirrored(entries[0], f"{name}_mirror.jpg"))
    return quality, entries


def relabel(folder: Path, options: argparse.Namespace, split: str, index: int) -> None:
    """A wild picture that is there gets its landmarks anew."""
    import picture
    record = folder / "records" / f"{split}_{index:05d}.json"
    known = json.loads(record.read_text())
    landmarks, covered = _quiet(picture.wild_labels, options.seed, _number(split, index), tuple(options.side), options.without)
    _, entries = _entries(options, split, index, known["entries"][0]["size"], landmarks, covered, known["facts"])
    _write(record, json.dumps(known | {"entries": entries}))


def _on_one_core(records: Path) -> None:
    """Each process keeps to a core of its own: Blender's threads would wait for one another's. Who holds a core's file has it
    until the process ends, so that its successor finds the same core free."""
    for core in sorted(os.sched_getaffinity(0)):
        _core = os.open(records / f".core_{core}", os.O_WRONLY | os.O_CREAT)
        try:
            fcntl.flock(_core, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(_core)
        else:
            os.sched_setaffinity(0, {core})
            return


def _job(job) -> None:
    function, *arguments = job
    function(*arguments)


def _lines(by_file: dict) -> str:
    """JSON with a line a file."""
    return "{\n" + ",\n".join(f"{json.dumps(file)}: {json.dumps(value)}" for file, value in by_file.items()) + "\n}\n"


def finish(folder: Path, options: argparse.Namespace) -> None:
    """The lists over all pictures, and the datasheet."""
    import datasheet
    records = folder / "records"
    splits = {split: [json.loads((records / f"{split}_{k:05d}.json").read_text()) for k in range(count)]
              for split, count in (("train", options.train), ("test", options.test // 2))}
    entries = {split: [e for record in found for e in record["entries"]] for split, found in splits.items()}
    for name, split, with_parts in (("train", "train", True), ("test", "test", True), ("test_parsed", "test", False)):
        title = f"{split} faces" + ("" if with_parts else ", boxes only")
        _write(folder / formats.IBUG / f"labels_ibug_300W_{name}.xml", formats.xml(title, entries[split], with_parts))
    imm = [json.loads(p.read_text()) for p in sorted(records.glob("imm_*.json"))]
    wild_ones = [(e, record["facts"]) for found in splits.values() for record in found for e in record["entries"]]
    for name, known in ((formats.IBUG, wild_ones), (formats.IMM, [(record, record["facts"]) for record in imm])):
        if known:
            _write(folder / name / "covered.json", _lines({e["file"]: e["covered"] for e, _ in known}))
            _write(folder / name / "facts.json", _lines({e["file"]: facts for e, facts in known}))
    _write(folder / "README.md", datasheet.text(imm, splits, options))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("folder", type=Path)
    defaults = {"people": 40, "train": 600, "test": 100, "seed": 0, "samples": 20, "processes": os.cpu_count()}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--side", type=float, nargs=2, default=(95, 145), help="the wild faces' size in pixels, from and to")
    parser.add_argument("--without", nargs="+", default=[], choices=WITHOUT, help="what to leave out of the wild pictures")
    parser.add_argument("--relabel", action="store_true", help="only place the landmarks of the wild pictures anew")
    options = parser.parse_args()
    # The command once more, for the datasheet.
    aside = "folder", "processes", "relabel"
    options.given = {name: value for name, value in vars(options).items()
                     if name not in aside and value != parser.get_default(name)}
    # There the light is even: with more, nothing changes after the denoiser.
    options.studio_samples = max(options.samples * 2 // 5, 1)
    folder = options.folder
    (folder / "records").mkdir(parents=True, exist_ok=True)
    make = relabel if options.relabel else wild
    jobs = [(make, folder, options, "train", k) for k in range(options.train)]
    jobs += [(make, folder, options, "test", k) for k in range(options.test // 2)]
    if not options.relabel:
        jobs += [(studio, folder, options, n, view) for n in range(1, options.people + 1) for view in range(1, 7)]
    from tqdm.auto import tqdm
    context = get_context("spawn")
    # Blender keeps memory, so that no process lasts.
    with context.Pool(options.processes, _on_one_core, (folder / "records",), maxtasksperchild=40) as pool:
        try:
            for _ in tqdm(pool.imap_unordered(_job, jobs), "faces", len(jobs), unit="picture", mininterval=5):
                pass
        except KeyboardInterrupt:
            return 130
    finish(folder, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
