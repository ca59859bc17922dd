"""Does time grow with the data, and memory not?

    python bench/speed/growth.py

Trains an epoch of a ResNet-18 at 96 px on 1, 2, 4 and 8 thousand faces (the embedded ones, listed again and again), each in
a process of its own; then a step of each part's largest recipe. Memory is what the process holds itself, in contrast to
pages of the memory-mapped cache, which the system takes back when it needs them. About four minutes on 2 cores.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

from tables import publish

from fkp_utils.augment import Augment
from fkp_utils.datasets import EMBEDDED, IBugFaces
from fkp_utils.datasets.ibug import FOLDER
from fkp_utils.nets.trained import new_model
from fkp_utils.profiles import recipe
from fkp_utils.train import faces_for
from fkp_utils.training.loop import fit

PARTS = ("nose", "face", "resnet", "resnet_improved", "unet", "unet_improved", "pyramid_large")


def _own_memory() -> float:
    """MB of this process that are not pages of files."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("RssAnon"))


class Peak:
    """Largest own memory within a `with` block."""

    def __enter__(self):
        self.megabytes, self._end = 0.0, Event()
        self._thread = Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self):
        while not self._end.wait(0.02):
            self.megabytes = max(self.megabytes, _own_memory())

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()


def many(count: int, folder: Path) -> Path:
    """A dataset that lists the embedded training faces until there are `count`."""
    ours, theirs = folder / FOLDER, EMBEDDED / FOLDER
    ours.mkdir(parents=True)
    for path in theirs.iterdir():
        if path.is_dir():
            (ours / path.name).symlink_to(path)
    name = "labels_ibug_300W_train.xml"
    head, *images = (theirs / name).read_text().split(" <image ")
    images[-1], tail = images[-1].split("</images>")
    (ours / name).write_text(head + "".join(" <image " + images[k % len(images)] for k in range(count)) + "</images>" + tail)
    return folder


def one(what: str) -> dict:
    """Seconds, memory and faces of one measurement, in this process."""
    if what.isdecimal():
        chosen = replace(recipe("full", "resnet_improved"), size=(96, 96), epochs=1, ema=0.0,
                         augment=Augment(rotate=15, shift=0.05, scale=0.05))
        with tempfile.TemporaryDirectory() as folder, Peak() as peak:
            faces = IBugFaces(many(int(what), Path(folder) / "data"), "all", crop=chosen.crop, cache=Path(folder) / "cache")
            start = time.perf_counter()
            fit(new_model(chosen), faces, faces.first(8), chosen, progress=False)
            return {"faces": len(faces), "seconds": time.perf_counter() - start, "MB": peak.megabytes}
    part, profile = what.split(":")
    chosen = recipe(profile, part)
    chosen = replace(chosen, epochs=1, limit=2 * chosen.batch)
    with Peak() as peak:
        train, val = faces_for(chosen, EMBEDDED)
        fit(new_model(chosen), train, val.first(64), chosen, progress=False)
    return {"MB": peak.megabytes}


def elsewhere(what: str) -> dict:
    """The same in a fresh process."""
    done = subprocess.run([sys.executable, __file__, "--one", what], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one)))
        return
    rows = []
    for count in (1000, 2000, 4000, 8000):
        found = elsewhere(str(count))
        rows.append({"faces": found["faces"], "epoch, s": round(found["seconds"], 1),
                     "ms a face": round(1000 * found["seconds"] / found["faces"], 2), "own memory, MB": round(found["MB"])})
    publish("growth", "An epoch as the data grow", rows)
    memory = [{"recipe": recipe("full", part).title, **{f"{profile}, MB": round(elsewhere(f"{part}:{profile}")["MB"])
                                                         for profile in ("quick", "full")}} for part in PARTS]
    publish("growth_memory", "Own memory while training, by part", memory)


if __name__ == "__main__":
    main()
