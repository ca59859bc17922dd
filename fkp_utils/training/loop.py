"""One training loop for every part: history, checkpoints, exact resumption.

What happens in an epoch depends only on the recipe's seed and the epoch's number, so that a run
that was interrupted and resumed gives the same numbers as one that was not.
"""

import contextlib
import copy
import hashlib
import json
import math
import shutil
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from ..augment import to_float
from ..datasets import FaceDataset
from ..files import locked, replacing
from ..metrics import mean_shape
from ..nets.recipe import Recipe
from ..nets.targets import make_target
from ..nets.threads import adapt_threads
from ..nets.trained import Trained, default_device, forward, laid_out
from . import distributed
from .allocator import keep_freed_memory
from .schedule import ema_decay, learning_rate


class Trainer:
    """A net in training: the weights and their moving average, the optimizer, the target, and the faces with landmarks.

    model : net whose outputs fit the recipe's target; trained in place; device : default the GPU if there is one
    """

    def __init__(self, model: nn.Module, train: FaceDataset, val: FaceDataset, recipe: Recipe,
                 device: torch.device | None = None):
        if len(train) == 0 or len(val) == 0:
            raise ValueError("training needs at least one face to train and one to validate on")
        if not np.isfinite(val.landmarks).all(-1).any():
            raise ValueError(f"none of the {len(val)} faces to validate on has a known landmark")
        self.recipe, self.device = recipe, device or default_device()
        self.train, self.val = train, val
        self.target = make_target(recipe, torch.from_numpy(self.train.landmarks))
        self.model = laid_out(model.to(self.device), recipe)
        self.average = copy.deepcopy(model).requires_grad_(False) if recipe.ema else None
        self.worker = distributed.wrap(model)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True)

    @property
    def steps_an_epoch(self) -> int:
        """Optimizer steps of an epoch; the last batch may be smaller."""
        return math.ceil(len(self.train) / self.recipe.batch)

    @property
    def judged(self) -> nn.Module:
        """The net that validation looks at: the moving average where the recipe has one."""
        return self.average or self.model

    def step(self, images: torch.Tensor, landmarks: torch.Tensor, share: float = 1.0) -> torch.Tensor:
        """One optimizer step on a batch that is ready; its loss, detached.

        images : float (b, 1, h, w); landmarks : (b, n, 2) in their pixels; both on the device; share : of the batch of all
        processes that this is
        """
        self.optimizer.zero_grad(set_to_none=True)
        output = forward(self.worker, images, self.recipe)
        loss = self.target.loss(output, landmarks) if len(images) else output.sum()        # an empty shard: zero, with a graph
        (loss * (share * distributed.world_size())).backward()          # gradients are averaged over processes
        self.optimizer.step()
        return loss.detach()

    def train_epoch(self, epoch: int, on_step: Callable[[], object] = lambda: None) -> float:
        """Train for one epoch, numbered from 0; return its mean loss. FloatingPointError when that is not finite."""
        recipe = self.recipe
        generator = torch.Generator().manual_seed(recipe.seed * 100_003 + epoch)
        order = torch.randperm(len(self.train), generator=generator, device="cpu").numpy()
        self.worker.train()
        total = torch.zeros((), device=self.device)
        for k in range(self.steps_an_epoch):
            step = epoch * self.steps_an_epoch + k
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step, recipe.epochs * self.steps_an_epoch)
            adapt_threads()
            rows = order[k * recipe.batch:(k + 1) * recipe.batch]
            mine = distributed.shard(np.arange(len(rows)))
            images, landmarks = self.train.batch(rows[mine])
            random = recipe.augment.sample(len(rows), generator)[mine]
            images, landmarks = recipe.augment(to_float(images.to(self.device)), landmarks.to(self.device),
                                               self.train.convention, random)
            total += self.step(images, landmarks, len(mine) / len(rows)) * len(mine)
            if self.average:
                update_average(self.average, self.model, ema_decay(recipe, step))
            on_step()
        mean = float(distributed.all_reduce(total)) / len(self.train)
        if not math.isfinite(mean):
            raise FloatingPointError(f"{recipe.title}: the training loss is {mean} in epoch {epoch + 1}; "
                                     "lower the learning rate")
        return mean

    @torch.no_grad()
    def validate(self) -> tuple[float, float]:
        """Loss, and mean distance in pixels of the known landmarks, of the validation faces."""
        self.judged.eval()
        loss, distance, known = 0.0, 0.0, 0
        mine = distributed.shard(np.arange(len(self.val)))
        for start in range(0, len(mine), 64):
            images, landmarks = self.val.batch(mine[start:start + 64])
            output = forward(self.judged, to_float(images.to(self.device)), self.recipe)
            landmarks = landmarks.to(self.device)
            loss += float(self.target.loss(output, landmarks)) * len(images)
            errors = self.target.errors(output, landmarks)
            distance += float(errors.sum())
            known += len(errors)
        sums = torch.tensor([loss, distance, known], dtype=torch.float64, device=self.device)
        loss, distance, known = distributed.all_reduce(sums).tolist()
        return loss / len(self.val), distance / known

    def state_dict(self) -> dict[str, Any]:
        """All that changes in training."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                "average": self.average and self.average.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average:
            self.average.load_state_dict(state["average"])


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the weights of `average` towards those of `model`: average = decay * average + (1 - decay) * model, in place."""
    averaged, current = average.state_dict(), model.state_dict()
    floats = [(a, current[k]) for k, a in averaged.items() if a.is_floating_point()]
    torch._foreach_lerp_([a for a, _ in floats], [c for _, c in floats], 1 - decay)


def fit(model: nn.Module, train: FaceDataset, val: FaceDataset, recipe: Recipe, checkpoints: str | Path | None = None,
        on_epoch: Callable[[pd.DataFrame], bool | None] | None = None, progress: bool = True,
        device: torch.device | None = None) -> Trained:
    """Train `model` by `recipe` and return the state of its best epoch.

    model : net whose outputs fit the recipe's target; trained in place
    train, val : faces with landmarks; of `train` the recipe's `limit` is used
    checkpoints : folder for the run's state, written after each epoch; a run found there goes on. Its file name holds a
        digest of net, initial weights, recipe and data, so that no other run's state is taken up.
    on_epoch : called with the history after each epoch; returning False ends training
    progress : show a bar
    device : default the GPU if there is one

    The result's history has columns epoch, lr, train_loss, val_loss, val_error (mean distance in pixels), seconds.

    After Ctrl-C (KeyboardInterrupt), call again with the same arguments to go on after the last whole epoch. Where another
    process is at the same training, with the same folder of checkpoints, its end is waited for; under torchrun: BusyError.
    FloatingPointError when the training loss is no number; OSError when a checkpoint cannot be written: the last one is whole.
    """
    keep_freed_memory()
    first = distributed.rank() == 0
    train = train.first(recipe.limit or len(train))
    store = Checkpoints(checkpoints, f"{type(model).__name__.lower()}-{fingerprint(model, recipe, train, val)}")
    trainer = Trainer(model, train, val, recipe, device)
    # Another process's end is waited for, unless others wait for this one.
    held = locked(store.last, wait=distributed.world_size() == 1) if store.last and first else contextlib.nullcontext()
    with held:
        history: list[dict] = []
        best: dict[str, Any] = {}
        if state := distributed.broadcast(store.load() if first else None):
            trainer.load_state_dict(state["trainer"])
            history, best = state["history"], state["best"]
        steps = trainer.steps_an_epoch
        with tqdm(total=recipe.epochs * steps, initial=len(history) * steps, desc=recipe.title, mininterval=0.5,
                  disable=not (progress and first)) as bar:
            for epoch in range(len(history), recipe.epochs):
                start = time.perf_counter()
                train_loss = trainer.train_epoch(epoch, bar.update)
                val_loss, val_error = trainer.validate()
                history.append({"epoch": epoch + 1, "lr": trainer.optimizer.param_groups[0]["lr"], "train_loss": train_loss,
                                "val_loss": val_loss, "val_error": val_error, "seconds": time.perf_counter() - start})
                if not best or val_error < best["val_error"]:
                    best = {"val_error": val_error, "model": copy.deepcopy(trainer.judged.state_dict())}
                if first:
                    store.save({"trainer": trainer.state_dict(), "history": history, "best": best})
                bar.set_postfix(train=f"{train_loss:.2e}", val=f"{val_loss:.2e}", px=f"{val_error:.2f}")
                if on_epoch and on_epoch(pd.DataFrame(history)) is False:
                    break
    model.load_state_dict(best["model"])
    model.eval()
    return Trained(model, trainer.target, recipe, train.convention, pd.DataFrame(history))


def finished(model: nn.Module, train: FaceDataset, val: FaceDataset, recipe: Recipe, checkpoints: str | Path) -> Trained | None:
    """What `fit` left with the same arguments, or None where no training is there or it has not come to its end."""
    some = train.first(recipe.limit or len(train))
    state = Checkpoints(checkpoints, f"{type(model).__name__.lower()}-{fingerprint(model, recipe, some, val)}").load()
    whole = state is not None and len(state["history"]) >= recipe.epochs
    return fit(model, train, val, recipe, checkpoints, progress=False) if whole else None


def fingerprint(model: nn.Module, recipe: Recipe, train: FaceDataset, val: FaceDataset) -> str:
    """Twelve hexadecimal digits that change with the net, its initial weights, the recipe and the data."""
    digest = hashlib.sha256(f"{model}{json.dumps(asdict(recipe))}{torch.__version__}".encode())
    weights = [value.detach().cpu().contiguous().numpy() for value in model.state_dict().values()]
    for array in (*weights, *(array for dataset in (train, val) for array in (dataset.images, dataset.landmarks))):
        digest.update(zlib.crc32(np.ascontiguousarray(array).data).to_bytes(4, "big"))
    return digest.hexdigest()[:12]


class Checkpoints:
    """The last two states of a run in a folder; a damaged file is passed over for the one before it. None keeps nothing."""

    def __init__(self, folder: str | Path | None, name: str):
        self.last = Path(folder) / f"{name}.pt" if folder else None
        self.previous = self.last and self.last.with_suffix(".previous.pt")

    def save(self, state: dict) -> None:
        """Write a state, whole or not at all; OSError, with the file's name, when the disk does not take it."""
        if self.last is None or self.previous is None:
            return
        with replacing(self.last) as beside:
            try:
                torch.save(state, beside)
            except RuntimeError as error:                      # PyTorch's own words name neither file nor reason
                raise OSError(f"{self.last}: cannot be written ({shutil.disk_usage(self.last.parent).free >> 20} MB are free "
                              "there); the epochs before it are kept") from error
            if self.last.exists():
                self.last.replace(self.previous)

    def load(self) -> dict | None:
        """The last whole state, or None."""
        for path in filter(None, (self.last, self.previous)):
            with contextlib.suppress(Exception):      # unreadable for any reason: not a checkpoint
                return torch.load(path, map_location="cpu", weights_only=True)
        return None


def mean_shape_loss(train: FaceDataset, val: FaceDataset, target) -> float:
    """Validation loss of the training faces' mean shape: what a net that ignores the picture can reach."""
    guess = torch.from_numpy(mean_shape(train.landmarks))[None].expand(len(val), -1, -1)
    return float(target.loss(target.encode(guess), torch.from_numpy(val.landmarks)))
