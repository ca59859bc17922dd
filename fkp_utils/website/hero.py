"""One face, read by every part's net: what the page's first screen walks through.

The answers come from finished trainings in a folder of checkpoints, on the embedded faces; nothing is trained. A part whose
training is not there keeps the answer that is stored in `results/hero.json`, so that parts can be made one by one.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from .. import predict
from ..datasets import IMMFaces
from ..datasets.imm import FOLDER
from ..files import replacing, write_json
from ..folders import EMBEDDED
from ..landmarks import IBUG_68, IMM_58, NOSE_TIP_58
from ..metrics import mean_shape
from ..nets.trained import Trained, new_model
from ..profiles import recipe
from ..train import faces_for
from ..training.loop import finished
from .report import read_report

FACE = "33-1m"                           # of the embedded IMM faces: a person to validate on, whom no net has trained on
SQUARE = (147, 20, 390)                  # left, top and side, in pixels of that photo, of what the page shows
# The same places in both sets of landmarks: corners of eyes and mouth, middles of the lips, lower edge of the nose, chin.
SHARED = {21: 36, 25: 39, 17: 42, 13: 45, 39: 48, 43: 54, 41: 51, 45: 57, NOSE_TIP_58: 33, 6: 8}
STAGES = {"mean": "mean shape", "nose": "nose", "face": "58 landmarks", "resnet": "ResNet", "heatmaps": "heatmaps",
          "shipped": "shipped net"}
_RECIPES = {"nose": "nose_improved", "face": "face_improved", "resnet": "resnet_improved", "heatmaps": "unet_improved"}


def error(points: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance of the places in `SHARED`, or of the nose's tip alone, in percent of that between the outer eye corners.

    points : (1, 2), (58, 2) or (68, 2); truth : (58, 2), in the same pixels
    """
    theirs = {1: [0], 58: list(SHARED), 68: list(SHARED.values())}[len(points)]
    ours = [NOSE_TIP_58] if len(points) == 1 else list(SHARED)
    left, right = IMM_58.eye_corners                         # type: ignore[misc]
    between = np.linalg.norm(truth[left] - truth[right])
    return float(100 * np.linalg.norm(points[theirs] - truth[ours], axis=-1).mean() / between)


def answer(run: Trained, photo: Path, face: predict.Face) -> np.ndarray:
    """What a net says of the face, (n, 2) in pixels of the photo: of the whole picture, or of the square around `face`."""
    height, width = run.recipe.size
    if height == width:
        return predict.landmarks(photo, [[*face.box, face.roll]], run)[0].landmarks
    faces = IMMFaces(photo.parents[1], "val", run.recipe.size)
    images, _ = faces.batch(np.array([faces.names.index(photo.stem)]))
    return (run.landmarks(images)[0].numpy().astype(np.float64) + 0.5) * [640 / width, 480 / height] - 0.5


def answers(checkpoints: Path, profile: str) -> dict[str, dict]:
    """Points and words of each stage that can be told: {stage: {"points": (n, 2) in pixels of the photo, "net", "epochs"}}."""
    photo = EMBEDDED / FOLDER / f"{FACE}.jpg"
    face = predict.landmarks(photo)[0]
    found: dict[str, dict] = {"mean": {"points": mean_shape(IMMFaces(EMBEDDED, "train").landmarks)},
                              "shipped": {"points": face.landmarks}}
    for stage, name in _RECIPES.items():
        chosen = recipe(profile, name)
        run = finished(new_model(chosen), *faces_for(chosen, EMBEDDED), chosen, checkpoints)
        if run is not None:
            found[stage] = {"points": answer(run, photo, face), "epochs": len(run.history), "pixels": list(chosen.size)}
    return found


def make(checkpoints: Path, profile: str, site: Path) -> list[str]:
    """Write hero.jpg and results/hero.json into `site`; return the stages that are new, in order: none without trainings.

    The record holds the truth and each stage's points in thousandths of the picture's side, and the stage's `error`.
    """
    if not any(checkpoints.glob("*.pt")):
        return []
    faces = IMMFaces(EMBEDDED, "val")
    truth = faces.landmarks[faces.names.index(FACE)].astype(np.float64)
    left, top, side = SQUARE
    found = answers(checkpoints, profile)

    def shown(points: np.ndarray) -> list[list[int]]:
        return (1000 * (points + 0.5 - [left, top]) / side).round().astype(int).tolist()
    stored = (read_report(site / "results" / "hero.json") or {}).get("stages", {})
    new = {stage: {**told, "points": shown(told["points"]), "error": round(error(told["points"], truth), 2)}
           for stage, told in found.items()}
    stages = {stage: new.get(stage) or stored[stage] for stage in STAGES if stage in new or stage in stored}
    photo = Image.open(EMBEDDED / FOLDER / f"{FACE}.jpg").crop((left, top, left + side, top + side))
    with replacing(site / "hero.jpg") as beside:
        photo.resize((2 * side, 2 * side), Image.Resampling.LANCZOS).save(beside, format="jpeg", quality=85)
    write_json(site / "results" / "hero.json", {"face": FACE, "profile": profile, "truth": shown(truth), "stages": stages})
    return [stage for stage in STAGES if stage in new]


def strokes(stage: dict) -> dict[str, str]:
    """A stage's landmarks as SVG paths in thousandths of the picture: "crosses", and the "lines" between them."""
    points = stage["points"]
    convention = {58: IMM_58, 68: IBUG_68}.get(len(points))
    size = 30 if len(points) == 1 else 7
    lines = ["M" + "L".join(f"{points[i][0]} {points[i][1]}" for i in index) + ("Z" if closed else "")
             for index, closed in (convention.lines if convention else ())]
    crosses = [f"M{x - size} {y - size}l{2 * size} {2 * size}m0-{2 * size}l-{2 * size} {2 * size}" for x, y in points]
    return {"lines": "".join(lines), "crosses": "".join(crosses)}


def dots(points: list[list[int]]) -> str:
    """Points as an SVG path of strokes without length, which round ends make dots of."""
    return "".join(f"M{x} {y}h0" for x, y in points)
