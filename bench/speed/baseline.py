"""An epoch of Parts 1 and 2 against the way of PyTorch's data-loading tutorial.

    python bench/speed/baseline.py

The tutorial (pytorch.org/tutorials/beginner/data_loading_tutorial.html) reads each photo with scikit-image when it is asked
for, changes it with small transform classes in NumPy, and hands it to a DataLoader. Same nets, optimizer, batch, order of
sizes and amounts of augmentation. About three minutes on 2 cores, on embedded faces.
"""

import time
from functools import partial

import numpy as np
import torch
from skimage import color, io, transform
from tables import publish
from torch.utils.data import DataLoader, Dataset

from fkp_utils.datasets import EMBEDDED, IMMFaces
from fkp_utils.datasets.imm import FOLDER, read_asf
from fkp_utils.landmarks import NOSE_TIP_58
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.trained import new_model
from fkp_utils.profiles import recipe
from fkp_utils.train import faces_for
from fkp_utils.training.loop import fit

EPOCHS = 3


class Rescale:
    """To a height and width, landmarks as shares of both."""

    def __init__(self, size):
        self.size = size

    def __call__(self, sample):
        image = transform.resize(color.rgb2gray(sample["image"]), self.size, anti_aliasing=True)
        return {"image": image - 0.5, "landmarks": sample["landmarks"]}


class Change:
    """Part 2's rotation, shift and light."""

    def __init__(self, augment):
        self.augment = augment

    def __call__(self, sample):
        image, landmarks = sample["image"], sample["landmarks"]
        h, w = image.shape
        draw = np.random.uniform(-1, 1, 6)
        centre = np.array([w - 1, h - 1]) / 2
        larger, turned = 1 + self.augment.scale * draw[0], np.deg2rad(self.augment.rotate * draw[1])
        matrix = (transform.AffineTransform(translation=-centre) + transform.AffineTransform(scale=larger, rotation=turned)
                  + transform.AffineTransform(translation=centre + self.augment.shift * draw[2:4] * [w, h]))
        image = transform.warp(image, matrix.inverse, mode="edge")
        image = (image * (1 + self.augment.contrast * draw[4]) + self.augment.brightness * draw[5]).clip(-0.5, 0.5)
        return {"image": image, "landmarks": matrix(landmarks * [w, h]) / [w, h]}


class TutorialFaces(Dataset):
    """One photo read, resized and changed a call."""

    def __init__(self, names, transforms, points):
        self.names, self.transforms, self.points = names, transforms, points
        self.folder = EMBEDDED / FOLDER

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        name = self.names[index]
        sample = {"image": io.imread(self.folder / f"{name}.jpg"), "landmarks": read_asf(self.folder / f"{name}.asf")}
        for change in self.transforms:
            sample = change(sample)
        return (torch.from_numpy(sample["image"][None].astype(np.float32)),
                torch.from_numpy(sample["landmarks"][self.points].astype(np.float32)).flatten())


def tutorial(chosen: Recipe, workers: int) -> tuple[list[float], float]:
    """Loss of each epoch, and the seconds of the fastest."""
    torch.manual_seed(chosen.seed)
    np.random.seed(chosen.seed)
    points = [NOSE_TIP_58] if chosen.data == "imm_nose" else slice(None)
    changes = [Rescale(chosen.size)] + ([Change(chosen.augment)] if chosen.augment.rotate else [])
    faces = TutorialFaces(IMMFaces(EMBEDDED, "train", size=(6, 8)).names, changes, points)
    loader = DataLoader(faces, chosen.batch, shuffle=True, num_workers=workers)
    model = new_model(chosen).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=chosen.lr)
    losses, seconds = [], []
    for _ in range(EPOCHS):
        start, total = time.perf_counter(), 0.0
        for images, truth in loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(images), truth)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(images)
        losses.append(total / len(faces))
        seconds.append(time.perf_counter() - start)
    return losses, min(seconds)


def ours(chosen: Recipe) -> tuple[list[float], float]:
    """The same by our own loop."""
    faces = (part.first(count) for part, count in zip(faces_for(chosen, EMBEDDED), (192, 1)))
    history = fit(new_model(chosen), *faces, chosen, on_epoch=lambda history: len(history) < EPOCHS).history
    return history.train_loss.tolist(), float(history.seconds.min())


def main() -> None:
    ways = {"ours": ours, "0 workers": partial(tutorial, workers=0), "2 workers": partial(tutorial, workers=2)}
    rows = []
    for name in ("nose", "face"):
        chosen = recipe("full", name)
        runs = [{way: run(chosen) for way, run in ways.items()} for _ in range(2)]            # in turns
        losses = {way: ", ".join(f"{loss:.4f}" for loss in runs[0][way][0]) for way in ways}
        seconds = {way: min(run[way][1] for run in runs) for way in ways}
        for way in ("0 workers", "2 workers"):
            rows.append({"recipe": chosen.title, "the tutorial's loader": way, "its epoch, s": round(seconds[way], 2),
                         "our epoch, s": round(seconds["ours"], 2), "ratio": f"{seconds[way] / seconds['ours']:.1f}",
                         "its losses": losses[way], "our losses": losses["ours"]})
    publish("baseline", "Our epoch against the tutorial's", rows)


if __name__ == "__main__":
    main()
