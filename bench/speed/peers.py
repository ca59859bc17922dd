"""`predict` beside other people's landmark libraries: one photo, a film, a large photo, many at once, and a cold start.

    python bench/speed/peers.py

All ways take turns on one machine. The project does not need the peers; missing ones are left out:

    pip install --no-deps mediapipe==0.10.21 protobuf==4.25.8 absl-py flatbuffers opencv-python-headless  # its face mesh
    pip install dlib-bin face_recognition_models "setuptools<80"   # HOG detector and 68 landmarks (Kazemi, Sullivan, 2014)

The photo shows the astronaut of scikit-image at 640x480; the large one has 12 megapixels. About three minutes on 2 cores.
"""

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from tables import publish, side_by_side

from fkp_utils import predict
from fkp_utils.datasets.personal import free_portraits

PROJECT = Path(__file__).resolve().parents[2]
PHOTOS = 24
OURS = "from fkp_utils import predict\nfind = lambda photo: predict.landmarks(photo{})"
# What a program has to write for its first landmarks, beginning with the imports; `photo` is a file's name.
STARTS = {
    "ours": OURS.format(""),
    "ours, fast": OURS.format(", fast=True"),
    "MediaPipe": "import numpy as np, mediapipe as mp\nfrom PIL import Image\n"
                 "mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=True)\n"
                 "find = lambda photo: mesh.process(np.asarray(Image.open(photo).convert('RGB')))",
    "dlib": "import dlib, numpy as np, face_recognition_models as files\nfrom PIL import Image\n"
            "detect = dlib.get_frontal_face_detector()\n"
            "read = dlib.shape_predictor(files.pose_predictor_model_location())\n"
            "def find(photo):\n    array = np.asarray(Image.open(photo).convert('RGB'))\n"
            "    return [read(array, box) for box in detect(array, 0)]"}
# getrusage would tell the largest memory of the process that began this one, if that is more.
MEASURE = ("import re, sys\n{}\nassert find(sys.argv[1])\n"
           "print(int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024)")


def ways() -> dict[str, Callable[[np.ndarray], object]]:
    """What reads the landmarks of a photo (h, w, 3), by name; a film's frames with "film" in it."""
    found: dict[str, Callable] = {"ours": predict.landmarks, "ours, fast": lambda photo: predict.landmarks(photo, fast=True)}
    if importlib.util.find_spec("mediapipe"):
        import mediapipe
        mesh = mediapipe.solutions.face_mesh.FaceMesh
        found["MediaPipe"] = mesh(static_image_mode=True).process
        found["MediaPipe, film"] = mesh(static_image_mode=False).process
    if importlib.util.find_spec("dlib") and importlib.util.find_spec("face_recognition_models"):
        import dlib
        import face_recognition_models
        detect = dlib.get_frontal_face_detector()
        read = dlib.shape_predictor(face_recognition_models.pose_predictor_model_location())
        found["dlib"] = lambda photo: [read(photo, box) for box in detect(photo, 0)]
    return found


def film_of(find: Callable[[np.ndarray], object], photo: np.ndarray, frames: int) -> Callable[[], None]:
    """A function that reads so many frames in which the face moves by a pixel."""
    shifted = [np.ascontiguousarray(np.roll(photo, k, 1)) for k in range(frames)]
    return lambda: [find(frame) for frame in shifted]


def followed(photo: np.ndarray, frames: int) -> Callable[[], None]:
    shifted = [np.roll(photo, k, 1) for k in range(frames)]
    return lambda: list(predict.follow(shifted))


def processor_time(job: Callable[[], object], times: int = 10) -> float:
    """Seconds of all threads for one of `times` calls."""
    start = time.process_time()
    for _ in range(times):
        job()
    return (time.process_time() - start) / times


def cold(name: str, photo: Path) -> tuple[float, float]:
    """Seconds from the start of Python to the first landmarks, and the process's largest memory in MB: medians of five."""
    both = []
    for _ in range(5):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", MEASURE.format(STARTS[name]), str(photo)], capture_output=True, text=True,
                              check=True, cwd=PROJECT)
        both.append((time.perf_counter() - start, float(done.stdout.split()[-1])))
    seconds, memory = np.median(both, 0)
    return float(seconds), float(memory)


def main() -> None:
    photo = np.asarray(Image.fromarray(free_portraits()["Eileen Collins"][:384]).resize((640, 480)))
    large = np.asarray(Image.fromarray(photo).resize((4000, 3000)))
    known, rows = ways(), []
    stills = {name: find for name, find in known.items() if "film" not in name}
    took = side_by_side({name: lambda find=find: find(photo) for name, find in stills.items()}, 25)
    huge = side_by_side({name: lambda find=find: find(large) for name, find in stills.items()}, 5)
    films = {"ours, fast": followed(photo, 50)} | ({"MediaPipe": film_of(known["MediaPipe, film"], photo, 50)}
                                                   if "MediaPipe" in stills else {})
    streams = side_by_side(films, 3)

    def many(name: str) -> Callable[[], object]:
        if name.startswith("ours"):
            def share():
                with predict.default_net("fast" in name).apart() as (pool, _):
                    list(pool.map(lambda k: known[name](photo), range(PHOTOS)))
            return share
        return lambda: [known[name](photo) for _ in range(PHOTOS)]           # their objects are made for one thread
    together = side_by_side({name: many(name) for name in stills}, 3)
    file = PROJECT / "build" / "peers.jpg"
    file.parent.mkdir(exist_ok=True)
    Image.fromarray(photo).save(file, quality=95)
    for name, find in stills.items():
        start, memory = cold(name, file)
        rows.append({"way": name, "640x480, one face, ms": round(1000 * took[name], 1),
                     "against ours": f"{took[name] / took['ours']:.2f}",
                     "processor time, ms": round(1000 * processor_time(lambda find=find: find(photo)), 1),
                     "a film's frame, ms": round(1000 * streams[name] / 50, 1) if name in streams else "",
                     "12 megapixels, ms": round(1000 * huge[name]),
                     "photos a second, all processors": round(PHOTOS / together[name]),
                     "cold start, s": round(start, 2), "memory then, MB": round(memory)})
    file.unlink()
    missing = [name for name in STARTS if name not in stills]
    publish("peers", "Beside other libraries, idle", rows,
            f"Not installed: {', '.join(missing)}." if missing else "")


if __name__ == "__main__":
    main()
