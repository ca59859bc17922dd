"""Trainings with a fault in them, handed over without a name, and four probes to find it.

The probes are those that help with any training: compare with the mean shape; let the net learn 16 faces by heart; look at how
large the signal is in each layer; and ask whose errors are large. Karpathy, "A recipe for training neural networks", 2019.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from .augment import to_float
from .datasets import FaceDataset, IBugFaces
from .datasets.crop import clip_boxes
from .datasets.images import read_gray
from .exercises import Verdict
from .metrics import mean_shape, point_errors, region_errors
from .nets.recipe import Recipe
from .nets.trained import Trained, new_model
from .training.loop import fit

PROBES = ("baseline", "overfit", "spread", "errors")


@dataclass(frozen=True)
class Fault:
    """What is done wrong, and what each probe then shows, in words that two faults share where it shows the same."""

    change: Callable[[Recipe, nn.Module, FaceDataset, FaceDataset], tuple[Recipe, nn.Module, FaceDataset, FaceDataset]]
    shows: tuple[str, str, str, str]                      # of `PROBES`


def _in_pixels(recipe, model, train, val):
    return replace(recipe, target="pixels"), model, train, val


def _collapsed(recipe, model, train, val):
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(0.1)
    return recipe, model, train, val


def _leaked(recipe, model, train, val):
    return recipe, model, joined(train, val), val


def _not_exchanged(recipe, model, train, val):
    flipped = copy.copy(train)
    flipped.convention = replace(train.convention, flip=tuple(range(train.convention.size)))
    return replace(recipe, augment=replace(recipe.augment, flip=0.5)), model, flipped, val


def _faint(recipe, model, train, val):
    return replace(recipe, loss="mse", heatmap_scale=None, l1_weight=0.0), model, train, val


def _clipped(recipe, model, train, val):
    return recipe, model, with_clipped_boxes(train), val


FAULTS = {
    "targets in pixels": Fault(_in_pixels, (
        "worse than the mean shape", "it cannot", "it stays as large", "all are wrong")),
    "collapsed initial weights": Fault(_collapsed, (
        "about the mean shape", "it cannot", "it shrinks from layer to layer", "those far from the mean are wrong")),
    "validation persons in training": Fault(_leaked, (
        "as good on validation as on training", "it can", "it stays as large", "none stand out")),
    "left and right not exchanged": Fault(_not_exchanged, (
        "between the mean shape and a good net", "it cannot, of mirrored faces", "it stays as large",
        "what lies far from the middle is worst")),
    "heatmaps of sum one": Fault(_faint, (
        "worse than the mean shape", "it cannot", "its last layer answers with next to nothing", "all are wrong")),
    "clipped boxes": Fault(_clipped, (
        "between the mean shape and a good net", "it can", "it stays as large", "faces at the picture's edge are worst"))}


class Joined(FaceDataset):
    """The faces of two datasets, one after the other."""

    def __init__(self, first: FaceDataset, second: FaceDataset):
        self.convention = first.convention
        self.images = np.concatenate([first.images, second.images])
        self.landmarks = np.concatenate([first.landmarks, second.landmarks])
        self.names = [*first.names, *second.names]


def joined(first: FaceDataset, second: FaceDataset) -> FaceDataset:
    """Two datasets as one."""
    return Joined(first, second)


def with_clipped_boxes(faces: IBugFaces) -> FaceDataset:
    """The faces cut out by what of their boxes lies on the picture, their landmarks as if by the whole boxes."""
    cut, clipped = copy.copy(faces), clip_boxes(faces.boxes, faces.sizes)
    cut.images = np.stack([faces.crop.cut(read_gray(faces.folder / name), box) for name, box in zip(faces.names, clipped)])
    return cut


class Patient:
    """A training that runs and does not do what it should. What is wrong with it? `diagnose` says whether you are right.

    recipe, train, val : of the training as it should be; fault : one of `FAULTS`
    """

    def __init__(self, recipe: Recipe, train: FaceDataset, val: FaceDataset, fault: str, checkpoints=None):
        self._fault, self._recipe, self._checkpoints = fault, recipe, checkpoints
        self.train, self.val = train, val
        self.run = self._trained(train, val)

    def _trained(self, train: FaceDataset, val: FaceDataset, **changes) -> Trained:
        recipe = replace(self._recipe, title="patient", **changes)
        recipe, model, train, val = FAULTS[self._fault].change(recipe, new_model(recipe), train, val)
        return fit(model, train, val, recipe, self._checkpoints)

    def baseline(self) -> dict[str, float]:
        """Mean distance in pixels: of the mean shape, and of the net's answers for training and validation faces."""
        guess = np.repeat(mean_shape(self.train.landmarks)[None], len(self.val), 0)
        return {"mean shape": float(point_errors(guess, self.val.landmarks).mean()),
                "training faces": float(point_errors(self.run.predict(self.train), self.train.landmarks).mean()),
                "validation faces": float(point_errors(self.run.predict(self.val), self.val.landmarks).mean())}

    def overfit(self, count: int = 16, epochs: int = 60) -> dict[str, float]:
        """Mean distance in pixels after so many epochs with the first faces alone: of their mean shape, and of the net."""
        few = self.train.first(count)
        run = self._trained(few, few, epochs=epochs, batch=min(self._recipe.batch, 4))
        guess = np.repeat(mean_shape(few.landmarks)[None], len(few), 0)
        return {"mean shape": float(point_errors(guess, few.landmarks).mean()),
                "the net": float(point_errors(run.predict(few), few.landmarks).mean())}

    def spread(self) -> dict[str, float]:
        """Standard deviation over faces of each layer's answers, on average over its numbers, before training."""
        model = FAULTS[self._fault].change(self._recipe, new_model(self._recipe), self.train, self.val)[1]
        return layer_spread(model, self.val)

    def errors(self) -> dict[str, float]:
        """Mean NME in percent by region of the face; of one landmark, the mean distance in pixels by view."""
        found = self.run.predict(self.val)
        if self.val.convention.eye_corners is None:
            views = np.array([self.val.view(k) for k in range(len(self.val))])
            far = point_errors(found, self.val.landmarks).mean(1)
            return {f"view {view}": float(far[views == view].mean()) for view in np.unique(views)}
        return region_errors(found, self.val.landmarks, self.val.convention)

    def diagnose(self, fault: str) -> Verdict:
        """Right, or which probe speaks against it."""
        if fault not in FAULTS:
            return Verdict(f"no such fault; there are: {', '.join(FAULTS)}")
        if fault == self._fault:
            return Verdict("right")
        for probe, here, there in zip(PROBES, FAULTS[self._fault].shows, FAULTS[fault].shows):
            if here != there:
                return Verdict(f"no: look at `{probe}` again. With {fault} it would say: {there}. Does it?")
        return Verdict("no")


def layer_spread(model: nn.Module, faces: FaceDataset, count: int = 16) -> dict[str, float]:
    """Standard deviation over faces of each convolution's and fully connected layer's answers: how much of a face is left."""
    seen: dict[str, float] = {}

    def note(name):
        def hook(layer, given, answer):
            seen[name] = float(answer.std(0).mean())
        return hook

    hooks = [layer.register_forward_hook(note(name)) for name, layer in model.named_modules()
             if isinstance(layer, nn.Conv2d | nn.Linear)]
    images, _ = faces.first(count).batch(range(min(count, len(faces))))
    with torch.no_grad():
        model.eval()(to_float(images))
    for hook in hooks:
        hook.remove()
    return seen


def hand_over(recipe: Recipe, train: FaceDataset, val: FaceDataset, faults: tuple[str, ...], seed: int = 0,
              checkpoints=None) -> Patient:
    """A training with one of the faults, drawn by `seed`."""
    return Patient(recipe, train, val, faults[int(np.random.default_rng(seed).integers(len(faults)))], checkpoints)
