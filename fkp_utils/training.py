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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from . import distributed
from .augment import to_float
from .datasets.base import FaceDataset
from .files import locked, replacing
from .memory import keep_freed_memory
from .metrics import mean_shape, point_errors
from .models import he_init, make_net
from .profiles import Recipe
from .targets import Coordinates, Heatmaps, make_target


@dataclass
class Trained:
    """Result of `fit`: the net of the best epoch, its target, and a row of numbers an epoch."""

    model: nn.Module
    target: Coordinates | Heatmaps
    recipe: Recipe
    history: pd.DataFrame

    @property
    def best_epoch(self) -> int:
        """Epoch (from 1) with the smallest validation error."""
        return int(self.history.val_error.idxmin()) + 1

    @property
    def heatmap_target(self) -> Heatmaps:
        """The target of a net that answers with heatmaps; ValueError for one that does not."""
        if not isinstance(self.target, Heatmaps):
            raise ValueError(f"{self.recipe.title} answers with coordinates, not with heatmaps")
        return self.target

    def predict(self, dataset: FaceDataset, batch: int = 64) -> np.ndarray:
        """Landmarks of every face of a dataset, float32 (N, n, 2), in pixels of its pictures."""
        return predict(self.model, self.target, dataset, batch, self.recipe)


def default_device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is fast: any recent GPU, or a CPU with AVX512-BF16 or AMX units.

    Without them PyTorch emulates bfloat16 tens of times slower than float32.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


def _forward(model: nn.Module, images: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Logits in float32 for float images (b, 1, h, w), in the recipe's layout and precision."""
    if recipe.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=recipe.bf16 and has_bf16(images.device)):
        return model(images).float()


def laid_out(model: nn.Module, recipe: Recipe) -> nn.Module:
    """The net, its weights in the memory layout of the recipe."""
    return model.to(memory_format=torch.channels_last) if recipe.channels_last else model         # type: ignore[call-overload]


def new_model(recipe: Recipe) -> nn.Module:
    """The recipe's net with the initial weights that its seed and `he_init` give."""
    torch.manual_seed(recipe.seed)
    net = make_net(recipe.net, recipe.width)
    return he_init(net) if recipe.he_init else net


@torch.no_grad()
def logits(model: nn.Module, images: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """What a net puts out for uint8 images (b, 1, h, w) without augmentation: float32, its target's shape."""
    model.eval()
    return _forward(model, to_float(images.to(next(model.parameters()).device)), recipe)


@torch.no_grad()
def predict(model: nn.Module, target, dataset: FaceDataset, batch: int, recipe: Recipe) -> np.ndarray:
    """Landmarks (N, n, 2) of a dataset, in order, without augmentation."""
    found = []
    for start in range(0, len(dataset), batch):
        images, _ = dataset.batch(np.arange(start, min(start + batch, len(dataset))))
        found.append(target.decode(logits(model, images, recipe)).cpu().numpy())
    return np.concatenate(found)


def _learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    if recipe.schedule == "constant":
        return recipe.lr
    warm_up = max(1, steps // 25)
    if step < warm_up:
        return recipe.lr * (step + 1) / warm_up
    return recipe.lr * (0.005 + 0.995 * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up))))


def _fingerprint(model: nn.Module, recipe: Recipe, train: FaceDataset, val: FaceDataset) -> str:
    """Changes whenever a checkpoint would no longer fit: other net, recipe or data."""
    digest = hashlib.sha256(f"{model}{json.dumps(asdict(recipe))}{torch.__version__}".encode())
    for dataset in (train, val):
        for array in (dataset.images, dataset.landmarks):
            digest.update(zlib.crc32(np.ascontiguousarray(array).data).to_bytes(4, "big"))
    return digest.hexdigest()[:12]


class _Checkpoints:
    """The last two states of a run; a damaged file is passed over for the one before it."""

    def __init__(self, folder: str | Path | None, name: str):
        self.last = Path(folder) / f"{name}.pt" if folder else None
        self.previous = self.last and self.last.with_suffix(".previous.pt")

    def held(self) -> contextlib.AbstractContextManager:
        """Lets no second run train the same; BusyError there."""
        return locked(self.last) if self.last and distributed.rank() == 0 else contextlib.nullcontext()

    def save(self, state: dict) -> None:
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
        for path in filter(None, (self.last, self.previous)):
            with contextlib.suppress(Exception):      # whatever is wrong with it, it is no checkpoint
                return torch.load(path, map_location="cpu", weights_only=True)
        return None


def fit(model: nn.Module, train: FaceDataset, val: FaceDataset, recipe: Recipe, checkpoints: str | Path | None = None,
        on_epoch: Callable[[pd.DataFrame], bool | None] | None = None, progress: bool = True,
        device: torch.device | None = None) -> Trained:
    """Train `model` by `recipe` and return the state of its best epoch.

    Parameters
    ----------
    model : net whose outputs fit the recipe's target; trained in place
    train, val : faces with landmarks
    checkpoints : folder for the run's state, written after each epoch; a run found there goes on.
        Its file name holds a digest of net, recipe and data, so nothing stale is taken up.
    on_epoch : called with the history after each epoch; returning False ends training
    progress : show a bar
    device : default the GPU if there is one

    Returns
    -------
    Trained
        history columns: epoch, lr, train_loss, val_loss, val_error (mean distance in pixels), seconds.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C; call again with the same arguments to go on after the last whole epoch.
    FloatingPointError
        When the training loss is no longer a number.
    BusyError
        When another process is at the same training, with the same folder of checkpoints.
    OSError
        When a checkpoint cannot be written; the one before it is whole.
    """
    device = device or default_device()
    keep_freed_memory()
    n_train = min(len(train), recipe.limit or len(train))
    if len(train) == 0 or len(val) == 0:
        raise ValueError("fit needs at least one face to train and one to validate on")
    target = make_target(recipe, torch.from_numpy(train.landmarks[:n_train]))
    laid_out(model.to(device), recipe)
    average = copy.deepcopy(model).requires_grad_(False) if recipe.ema else None
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True)
    store = _Checkpoints(checkpoints, f"{type(model).__name__.lower()}-{_fingerprint(model, recipe, train, val)}")
    with store.held():
        history: list[dict] = []
        best: dict[str, Any] = {}
        if state := distributed.from_first(store.load() if distributed.rank() == 0 else None):
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            if average:
                average.load_state_dict(state["average"])
            history, best = state["history"], state["best"]
        judged, worker = average or model, distributed.shared(model)
        steps = math.ceil(n_train / recipe.batch)
        with tqdm(total=recipe.epochs * steps, initial=len(history) * steps, desc=recipe.title, mininterval=0.5,
                  disable=not progress or distributed.rank() > 0) as bar:
            for epoch in range(len(history), recipe.epochs):
                start = time.perf_counter()
                train_loss = _train_epoch(worker, model, average, target, train, n_train, recipe, epoch, optimizer, device, bar)
                val_loss, val_error = _validate(judged, target, val, recipe, device)
                history.append({"epoch": epoch + 1, "lr": optimizer.param_groups[0]["lr"], "train_loss": train_loss,
                                "val_loss": val_loss, "val_error": val_error, "seconds": time.perf_counter() - start})
                if not best or val_error < best["val_error"]:
                    best = {"val_error": val_error, "model": copy.deepcopy(judged.state_dict())}
                if distributed.rank() == 0:
                    store.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                                "average": average and average.state_dict(), "history": history, "best": best})
                bar.set_postfix(train=f"{train_loss:.2e}", val=f"{val_loss:.2e}", px=f"{val_error:.2f}")
                if on_epoch and on_epoch(pd.DataFrame(history)) is False:
                    break
    model.load_state_dict(best["model"])
    model.eval()
    return Trained(model, target, recipe, pd.DataFrame(history))


def _train_epoch(worker, model, average, target, train, n_train, recipe, epoch, optimizer, device, bar) -> float:
    generator = torch.Generator().manual_seed(recipe.seed * 100_003 + epoch)
    order = torch.randperm(n_train, generator=generator).numpy()
    batches = [order[i:i + recipe.batch] for i in range(0, n_train, recipe.batch)]
    model.train()
    total = torch.zeros((), device=device)
    for k, indices in enumerate(batches):
        step = epoch * len(batches) + k
        for group in optimizer.param_groups:
            group["lr"] = _learning_rate(recipe, step, recipe.epochs * len(batches))
        mine = distributed.share(np.arange(len(indices)))
        images, landmarks = train.batch(indices[mine])
        chance = recipe.augment.draw(len(indices), generator)[mine]
        images, landmarks = recipe.augment(to_float(images.to(device)), landmarks.to(device), chance)
        optimizer.zero_grad(set_to_none=True)
        output = _forward(worker, images, recipe)
        loss = target.loss(output, target.encode(landmarks)) if len(mine) else output.sum()       # no rows: zero
        part = len(mine) / len(indices)
        (loss * (part * distributed.processes())).backward()          # gradients are averaged over processes
        optimizer.step()
        if average:
            _update_average(average, model, recipe.ema, step)
        total += loss.detach() * len(mine)
        bar.update()
    mean = float(distributed.total(total)) / n_train
    if not math.isfinite(mean):
        raise FloatingPointError(f"{recipe.title}: the training loss is {mean} in epoch {epoch + 1}; lower the learning rate")
    return mean


@torch.no_grad()
def _update_average(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    decay = min(decay, (1 + step) / (10 + step))          # young averages forget their start sooner
    averaged, current = average.state_dict(), model.state_dict()
    floats = [(a, current[k]) for k, a in averaged.items() if a.is_floating_point()]
    torch._foreach_lerp_([a for a, _ in floats], [c for _, c in floats], 1 - decay)


@torch.no_grad()
def _validate(model, target, val, recipe, device) -> tuple[float, float]:
    model.eval()
    sums = torch.zeros(2, dtype=torch.float64)
    mine = distributed.share(np.arange(len(val)))
    for start in range(0, len(mine), 64):
        images, landmarks = val.batch(mine[start:start + 64])
        output = _forward(model, to_float(images.to(device)), recipe)
        sums[0] += float(target.loss(output, target.encode(landmarks.to(device)))) * len(images)
        sums[1] += point_errors(target.decode(output).cpu().numpy(), landmarks.numpy()).mean(1).sum()
    loss, error = (distributed.total(sums.to(device)) / len(val)).tolist()
    return loss, error


def mean_shape_loss(train: FaceDataset, val: FaceDataset, target) -> float:
    """Validation loss of the training faces' mean shape: what a net that ignores the picture can reach."""
    guess = torch.from_numpy(mean_shape(train.landmarks))[None].expand(len(val), -1, -1)
    return float(target.loss(target.encode(guess), target.encode(torch.from_numpy(val.landmarks))))
