"""Trainings with a fault in them, handed over without a name, and four probes to find it.

The probes help with any training: compare with the mean shape; let the net learn 16 faces by heart; see how much of the
faces' differences each layer keeps; and ask whose errors are large. Karpathy, "A recipe for training neural networks", 2019.
"""

import copy
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import nn

from .augment import Augment, to_float
from .datasets import FaceDataset, IBugFaces, IMMFaces
from .datasets.images import read_gray
from .exercises import Verdict, said_of
from .metrics import mean_shape, nme, point_errors, region_errors
from .nets.recipe import Recipe
from .nets.targets import Heatmaps
from .nets.trained import Trained, new_model
from .training.loop import fit

PROBES = ("baseline", "overfit", "spread", "errors")
Parts = tuple[Recipe, nn.Module, FaceDataset, FaceDataset]


@dataclass(frozen=True)
class Fault:
    """What is done wrong, and what each probe then shows, in words that two faults share where it shows the same.

    change : (recipe, untrained net, faces to learn from, faces to answer for) -> the same, as the fault makes them
    """

    change: Callable[[Recipe, nn.Module, FaceDataset, FaceDataset], Parts]
    shows: tuple[str, str, str, str]                      # of `PROBES`


def _in_pixels(recipe, model, train, val):
    return replace(recipe, target="pixels"), model, train, val


def _collapsed(recipe, model, train, val):
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(0.1)
    return recipe, model, train, val


def _leaked(recipe, model, train, val):
    if train is val:                                      # to be learned by heart
        return recipe, model, train, val
    both = {name: np.concatenate([getattr(train, name), getattr(val, name)]) for name in ("images", "landmarks")}
    return recipe, model, changed(train, names=[*train.names, *val.names], **both), val


def _not_exchanged(recipe, model, train, val):
    convention = replace(train.convention, flip=tuple(range(train.convention.size)))
    return replace(recipe, augment=replace(recipe.augment, flip=0.5)), model, changed(train, {"convention": convention}), val


def _faint(recipe, model, train, val):
    return replace(recipe, loss="mse", heatmap_scale=None, l1_weight=0.0), model, train, val


def _clipped(recipe, model, train, val):
    return recipe, model, train, with_clipped_boxes(val) if isinstance(val, IBugFaces) else val


def _by_the_batch(recipe, model, train, val):
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):             # without running averages it normalises by the batch, always
            layer.track_running_stats, layer.running_mean, layer.running_var = False, None, None
    return recipe, model, train, val


_NO_BETTER, _FAR = "about as far off as the mean shape", "faces far from the mean shape are worst"
_KEPT = "each layer keeps as much of the spread as in any fresh net of its kind"
FAULTS = {                                                # "" where a probe shows now this, now that
    "targets in pixels": Fault(_in_pixels, (_NO_BETTER, "several times what a healthy net leaves is left", _KEPT, _FAR)),
    "collapsed initial weights": Fault(_collapsed, (      # which batch normalisation mends
        "", "", "each layer keeps a tenth of what it would keep in a fresh net of its kind", _FAR)),
    "validation persons in training": Fault(_leaked, (
        "about as far below the mean shape on validation faces as on training faces", "it can", _KEPT, "")),
    "left and right not exchanged": Fault(_not_exchanged, (_NO_BETTER, "it can", _KEPT, "")),
    "heatmaps of sum one": Fault(_faint, (
        "several times as far off as the mean shape", "it cannot", _KEPT, "at its landmark a map is as good as zero")),
    "clipped boxes": Fault(_clipped, (                    # whether it can learn few by heart is up to whose crops they are
        "much farther below the mean shape on training faces than on validation faces", "", _KEPT,
        "faces whose crop leaves the photo are far worse than the others")),
    "batch norm left in train mode": Fault(_by_the_batch, (
        "asked one face at a time, its answers move", "it can", "the layers' spread hardly falls", ""))}


def changed(faces: FaceDataset, of_class: dict | None = None, **attributes) -> FaceDataset:
    """A copy of a dataset with other attributes, and others of its class."""
    other = copy.copy(faces)
    other.__class__ = type(type(faces).__name__, (type(faces),), of_class or {})
    vars(other).update(attributes)
    return other


def outside(faces: IBugFaces) -> np.ndarray:
    """Of which faces the square that the crop shows leaves the photo, bool (N,)."""
    corner, side = np.split(faces.crop.squares(faces.boxes) + [0.5, 0.5, 0], [2], 1)
    return ((corner < 0) | (corner + side > faces.sizes)).any(1)


def with_clipped_boxes(faces: IBugFaces) -> FaceDataset:
    """Each crop what of its square lies on the photo, stretched to the crop's size; the landmarks as if by the whole square."""
    images = np.array(faces.images)
    for k in np.flatnonzero(outside(faces)):
        photo, (left, top, side) = read_gray(faces.folder / faces.names[k]), faces.crop.squares(faces.boxes[k:k + 1])[0]
        edges = np.clip(np.add([left, top, left + side, top + side], 0.5), 0, photo.size * 2)
        images[k] = photo.resize(images.shape[:0:-1], Image.Resampling.BILINEAR, tuple(edges))
    return changed(faces, images=images)


class Readings(dict[str, float]):
    """What a probe says: numbers by name, shown one a line."""

    def __repr__(self) -> str:
        return "\n".join(f"{what:24} {number:.3g}" for what, number in self.items())


class Patient:
    """A training that runs and does not do what it should. What is wrong with it? `check_diagnosis` says whether you are right.

    recipe, train, val : of the training as it should be; fault : one of `FAULTS`, or none
    """

    def __init__(self, recipe: Recipe, train: FaceDataset, val: FaceDataset, fault: str = "", checkpoints=None):
        self._fault, self._checkpoints = fault, checkpoints
        self._recipe = replace(recipe, title=f"patient {zlib.crc32(fault.encode()):x}", limit=None)
        self._healthy = train.first(recipe.limit or len(train)), val
        self.train, self.val = (self._made(self._recipe, faces, faces)[3] for faces in self._healthy)     # as it is asked
        self.run = self._trained(self._recipe, *self._healthy)

    def _made(self, recipe: Recipe, train: FaceDataset, val: FaceDataset) -> Parts:
        model = new_model(recipe)
        return FAULTS[self._fault].change(recipe, model, train, val) if self._fault else (recipe, model, train, val)

    def _trained(self, recipe: Recipe, train: FaceDataset, val: FaceDataset, **after) -> Trained:
        recipe, model, train, val = self._made(recipe, train, val)
        return fit(model, train, val, replace(recipe, **after), self._checkpoints, progress=False)    # a bar counts the faces

    def baseline(self) -> Readings:
        """Mean distances in pixels from the truth: of the mean shape of the training faces, and of the net's answers.

        Moved: of answers to one face at a time from those to many. Spread: standard deviation over faces, 0 for one answer.
        """
        shape, found = mean_shape(self.train.landmarks)[None], self.run.predict(self.val)
        guess, shapes = shape.repeat(len(self.val), 0), shape.repeat(len(self.train), 0)
        return Readings({
            "mean shape": distance(guess, self.val), "mean shape, training": distance(shapes, self.train),
            "training faces": distance(self.run.predict(self.train), self.train),
            "validation faces": distance(found, self.val),
            "moved, one at a time": round(float(point_errors(self.run.predict(self.val, 1), found).mean()), 3),
            "spread of the answers": float(found.std(0).mean()),
            "spread of the truth": float(np.nanstd(self.val.landmarks, 0).mean())})

    def overfit(self, count: int = 16, epochs: int | None = None) -> Readings:
        """Mean distance in pixels after a training with the first faces alone, unchanged: of their mean shape, and of the net.

        By default it looks at as many pictures as the whole training did, so that it takes about as long.
        """
        few = self._healthy[0].first(count)
        recipe = replace(self._recipe, batch=min(self._recipe.batch, 4),
                         epochs=epochs or max(1, self._recipe.epochs * len(self.train) // len(few)))
        run = self._trained(recipe, few, few, augment=Augment())
        few = self._made(recipe, few, few)[3]
        return Readings({"mean shape": distance(mean_shape(few.landmarks)[None].repeat(len(few), 0), few),
                         "the net": distance(run.predict(few), few),
                         "its worst face": float(np.nanmax(point_errors(run.predict(few), few.landmarks).mean(1)))})

    def spread(self) -> Readings:
        """Standard deviation over faces of each layer's answers, on average over its numbers, before training."""
        return layer_spread(self._made(self._recipe, *self._healthy)[1], self.val)

    def errors(self) -> Readings:
        """Of validation faces: mean distance in pixels by view, of one landmark; else NME in percent by region of the face.

        Then also the distance between the eyes, in percent of the true one; heights of heatmaps, where the net has them; and
        where faces have boxes the mean NME of all, training faces, too, whose crop leaves the photo, and of the others.
        """
        found, truth, convention = self.run.predict(self.val), self.val.landmarks, self.val.convention
        if convention.eye_corners is None:
            views = np.array([self.val.view(k) if isinstance(self.val, IMMFaces) else 0 for k in range(len(self.val))])
            far = point_errors(found, truth).mean(1)
            return Readings({f"view {view}": float(far[views == view].mean()) for view in np.unique(views)})
        said = Readings(region_errors(found, truth, convention))
        left, right = convention.eye_corners
        apart, should = (np.linalg.norm(points[:, left] - points[:, right], axis=-1) for points in (found, truth))
        said["between the eyes, %"] = float(100 * np.nanmean(apart / should))
        if isinstance(self.run.target, Heatmaps):
            said.update(heights(self.run, self.run.target, self.val))
        if not isinstance(self.val, IBugFaces) or not isinstance(self.train, IBugFaces):
            return said
        sets = (self.train, self.val)
        far = np.concatenate([nme(self.run.predict(faces), faces.landmarks, convention) for faces in sets])
        over = np.concatenate([outside(faces) for faces in sets])
        return Readings(said | {"crop leaves the photo": float(far[over].mean()), "crop inside": float(far[~over].mean())})


def distance(predicted: np.ndarray, faces: FaceDataset) -> float:
    """Mean distance in pixels of landmarks (N, n, 2) from the true ones, of all that are known."""
    return float(np.nanmean(point_errors(predicted, faces.landmarks)))


def heights(run: Trained, target: Heatmaps, faces: FaceDataset) -> Readings:
    """Mean height of a net's heatmaps: of a target's peak, of a map's highest place, and of its place at the landmark."""
    images, points = faces.batch(range(len(faces)))
    maps, (h, w) = target.heatmaps(run.logits(images)), target.grid
    x, y = ((points + 0.5) / target.stride - 0.5).round().long().unbind(-1)
    there = maps.flatten(2).gather(2, (x.clamp(0, w - 1) + w * y.clamp(0, h - 1))[..., None])
    return Readings({"a target's peak": float(target.encode(points).amax((2, 3)).mean()),
                     "a map's highest place": float(maps.amax((2, 3)).mean()), "a map at its landmark": float(there.mean())})


def layer_spread(model: nn.Module, faces: FaceDataset, count: int = 16) -> Readings:
    """Standard deviation over faces of each convolution's and fully connected layer's answers: how much of a face is left."""
    seen = Readings()
    images, _ = faces.first(count).batch(range(min(count, len(faces))))
    with ExitStack() as hooks, torch.no_grad():
        for name, layer in model.named_modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                hooks.enter_context(layer.register_forward_hook(
                    lambda layer, given, answer, name=name: seen.update({name: float(answer.std(0).mean())})))
        model.eval()(to_float(images))
    return seen


def drawn(faults: tuple[str, ...], seed: int) -> str:
    """The fault that a seed hands over; seeds in a row draw all of them, in an order of no meaning."""
    return faults[np.random.default_rng(0).permutation(len(faults))[seed % len(faults)]]


def hand_over(recipe: Recipe, train: FaceDataset, val: FaceDataset, faults: tuple[str, ...], seed: int = 0,
              checkpoints=None) -> Patient:
    """A training with that one of the faults which `seed` draws."""
    return Patient(recipe, train, val, drawn(faults, seed), checkpoints)


def named(said: object) -> str:
    """The name that an answer says, as it would stand in a table; "" where nothing is said yet."""
    return said.strip().lower().replace("\u2019", "'") if isinstance(said, str) and said.strip(" .") else ""


def diagnosed(said: object, fault: str, among: tuple[str, ...]) -> str:
    """Right, or which probe speaks against what is said of a training with this fault."""
    if not (said := named(said)):
        return "not yet: put the name of a fault in place of the dots"
    if said not in FAULTS:
        return f"no such fault; there are: {', '.join(among)}"
    if said == fault:
        return "right"
    for probe, here, there in zip(PROBES, FAULTS[fault].shows, FAULTS[said].shows):
        if here and there and here != there:
            return f"no: look at `{probe}` again. With {said} it would say: {there}. Does it?"
    return "no"


def check_diagnosis(yours: Callable[[int], object], faults: tuple[str, ...], seed: int = 0) -> Verdict:
    """your_diagnosis(seed) -> the name of the fault that `hand_over` draws by this seed; nothing is trained."""
    return said_of(lambda: diagnosed(yours(seed), drawn(faults, seed), faults))
