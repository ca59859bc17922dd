"""Submissions that went wrong between a net and the file, handed over without a name. The net is a good one.

What is wrong is how faces were cut out for it, or how its answers came back into the photos; `errors_of` asks whose errors are
large, as `sabotage` does for trainings.
"""

from collections.abc import Callable

import numpy as np

from .datasets import IBugFaces
from .exercises import Verdict, said_of
from .landmarks import box_centres
from .metrics import mae
from .nets.trained import Trained
from .sabotage import Readings, changed, drawn, named, outside, with_clipped_boxes

Slip = Callable[[Trained, IBugFaces], np.ndarray]        # -> landmarks (N, n, 2) in pixels of the photos


def _clipped(run, faces):
    return faces.to_image(run.predict(with_clipped_boxes(faces)))


def _next_box(run, faces):
    return changed(faces, boxes=np.roll(faces.boxes, -1, 0)).to_image(run.predict(faces))


def _half(faces: IBugFaces) -> tuple[str, np.ndarray]:
    """Photos whose answers may be others' mirrored ones, bool (N,), and their name: mirrored copies, or every second photo."""
    copies = faces.mirrored
    return ("mirrored copies", copies) if copies.any() else ("every second photo", np.arange(len(faces)) % 2 == 1)


def _not_exchanged(run, faces):
    found, (_, half) = faces.to_image(run.predict(faces)), _half(faces)
    found[half] = found[half][:, list(faces.convention.flip)]
    return found


SLIPS: dict[str, tuple[Slip, str]] = {                   # what was done, and what `errors_of` then shows
    "clipped boxes": (_clipped, "faces whose crop leaves the photo are far worse than the others"),
    "the next face's box": (_next_box, "landmarks lie farther from their boxes than they should"),
    "left and right not exchanged": (_not_exchanged, "mirrored copies, or every second photo, are far worse than the others")}


def errors_of(landmarks: np.ndarray, truth: np.ndarray, faces: IBugFaces) -> Readings:
    """MAE in pixels of landmarks (N, n, 2) in the photos, by groups of faces; and how far they lie from their boxes.

    That is the median distance of the landmarks' mean from the box's centre, in the box's sides.
    """
    over, (name, half) = outside(faces), _half(faces)
    groups = {"all": np.full(len(faces), True), "crop leaves the photo": over, "crop inside": ~over, name: half,
              "other photos": ~half}
    apart = np.linalg.norm(landmarks.mean(1) - box_centres(faces.boxes), axis=1) / faces.boxes[:, 2:].max(1)
    return Readings({name: float(mae(landmarks[some], truth[some])) for name, some in groups.items() if some.any()}
                    | {"from the box, in sides": float(np.median(apart))})


def hand_over(run: Trained, faces: IBugFaces, seed: int = 0) -> np.ndarray:
    """Landmarks (N, n, 2) in pixels of the photos, as a submission has them after that one of `SLIPS` which `seed` draws."""
    return SLIPS[drawn(tuple(SLIPS), seed)][0](run, faces)


def check_slip(yours: Callable[[int], object], seed: int = 0) -> Verdict:
    """your_slip(seed) -> the name of the slip, in any case of letters, that `hand_over` draws by this seed."""
    def told() -> str:
        said, slip = named(yours(seed)), drawn(tuple(SLIPS), seed)
        if not said:
            return "not yet: put the name of a mistake in place of the dots"
        if said not in SLIPS:
            return f"there is no such mistake; there are: {', '.join(SLIPS)}"
        return "right" if said == slip else f"no: with {said}, {SLIPS[said][1]}. Is that so?"
    return said_of(told)
