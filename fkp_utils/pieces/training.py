"""Checks of what makes a training: a dataset, a step, an epoch, a validation; and of all against the course's `fit`."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from math import isnan
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset

from ..exercises import NOT_YET, Verdict, close, said_of


def check_dataset(yours: Callable[[np.ndarray, np.ndarray], Dataset], seed: int = 0) -> Verdict:
    """YourFaces(images uint8 (N, h, w), landmarks (N, 1, 2) in pixels): its length, and its items.

    An item is a float picture (1, h, w) in [-0.5, 0.5] and its target (2,): x and y as shares of width and height, of which the
    centre of the first pixel is half a pixel.
    """
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (4, 6, 9), np.uint8)
    landmarks = rng.uniform(0, 5, (4, 1, 2)).astype(np.float32)
    picture = images[2].astype(np.float32) / 255 - 0.5
    (x, y), h, w = landmarks[2, 0], 6, 9
    targets = {f"the target is face {k}'s, not face 2's": (landmarks[k, 0] + 0.5) / [w, h] for k in (0, 1, 3)} | {
        "the landmarks were cut to whole numbers": ((x // 1 + 0.5) / w, (y // 1 + 0.5) / h),
        "x and y are exchanged: x is first, and goes with the width": ((y + 0.5) / h, (x + 0.5) / w),
        "x goes with the width, y with the height": ((x + 0.5) / h, (y + 0.5) / w),
        "both were divided by one side": ((x + 0.5) / w, (y + 0.5) / w),
        "the target is half a pixel off: pixel centres are integers, the picture begins half a pixel before": (x / w, y / h),
        "the target is in pixels, not in shares of the picture": (x, y),
        "the target is in pixels, and half a pixel off": (x + 0.5, y + 0.5),
        "the last pixel's centre is not the picture's end: divide by width and height": (x / (w - 1), y / (h - 1))}
    pictures = {"the picture is in 0 to 1, not in -0.5 to 0.5": picture + 0.5,
                "the picture is in -0.5 to 254.5: first divide by 255": picture * 255 + 127,
                "the picture has whole numbers from 0 to 255": picture * 255 + 127.5, "the picture is in -1 to 1": 2 * picture,
                "dividing by // leaves whole numbers": images[2] // 255 - 0.5, "the picture is inverted": -picture,
                "unsigned numbers of 8 bits wrap around: make them float first": (images[2] - np.uint8(128)) / 255}
    pictures |= {f"the picture is face {k}'s, not face 2's": images[k] / 255 - 0.5 for k in (0, 1, 3)}

    def judge() -> str:
        faces: Any = yours(images.copy(), landmarks.copy())
        if faces is None or faces.__len__() is None:             # len() itself would raise
            return "not yet"
        if len(faces) != 4:
            return f"wrong: of 4 faces its length is {len(faces)}"
        item = faces[2]
        if item is None or item is ...:
            return "not yet: an item is nothing"
        if not isinstance(item, tuple | list) or len(item) != 2:
            return "wrong: an item is a picture and its target, two things"
        seen, target = (torch.as_tensor(part).clone() for part in item)          # for its own changes in place
        if seen.shape != (1, 6, 9):
            return f"wrong: the picture has the shape {tuple(seen.shape)}, not (1, 6, 9): one channel, rows, columns"
        if target.shape != (2,):
            return f"wrong: the target has the shape {tuple(target.shape)}, not (2,)"
        for what, wrong in pictures.items():
            if close(seen[0], wrong, 2e-3):
                return f"wrong: {what}"
        if not close(seen[0], picture):
            return "wrong: the picture's numbers are others: another picture, rounded, or scaled in another way"
        if seen.dtype != torch.float32 or target.dtype != torch.float32:
            return f"wrong: nets take float32; the picture is {seen.dtype}, the target {target.dtype}".replace("torch.", "")
        for what, pair in targets.items():
            if close(target, np.array(pair)):
                return f"wrong: {what}"
        if not close(target, np.array([(x + 0.5) / w, (y + 0.5) / h])):
            return "wrong: the target is ({:.4g}, {:.4g}), not ({:.4g}, {:.4g})".format(*target, (x + 0.5) / w, (y + 0.5) / h)
        for k, ((a, b), image) in enumerate(zip(landmarks[:, 0], images)):
            wanted = image[None] / 255 - 0.5, np.array([(a + 0.5) / w, (b + 0.5) / h])
            if k != 2 and not all(map(close, faces[k], wanted, (2e-3, 1e-4))):
                return f"wrong: face 2 is right, face {k} is not: an item is that of its index"
        again = all(close(a, b) for a, b in zip(faces[2], (seen, target)))
        return "right" if again else "wrong: asked again for a face it gives something else: it changes what it was given"

    return said_of(judge)


def _step_of(*calls: str, measure: Callable = F.mse_loss) -> Callable[..., torch.Tensor]:
    """A step that does some of "clear", "backward" and "step", in this order."""
    def step(model, optimizer, images, targets):
        loss = measure(model(images), targets)
        does = {"clear": optimizer.zero_grad, "backward": loss.backward, "step": optimizer.step}
        for call in calls:
            does[call]()
        return loss
    return step


def _loss_of(measure: Callable) -> Callable[..., torch.Tensor]:
    return _step_of("clear", "backward", "step", measure=measure)


def check_step(yours: Callable[..., Any], seed: int = 0) -> Verdict:
    """your_step(model, optimizer, images (b, 1, h, w), targets (b, 2)) -> loss: two steps' losses and weights are compared."""
    generator = torch.Generator().manual_seed(seed)
    batches = [(torch.rand(5, 1, 3, 4, generator=generator) - 0.5, 5 * torch.rand(5, 2, generator=generator)) for _ in range(2)]

    def after(step) -> tuple[list, torch.Tensor]:
        with torch.random.fork_rng():
            torch.manual_seed(2)
            model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
        optimizer = torch.optim.SGD(model.parameters(), 0.2, momentum=0.9)        # which takes a gradient at its size
        losses = [step(model, optimizer, images.clone(), targets.clone()) for images, targets in batches]
        losses = [loss.detach() if isinstance(loss, torch.Tensor) else loss for loss in losses]
        return losses, torch.cat([p.detach().flatten() for p in model.parameters()])

    mistakes = {
        "the gradients of the step before are still there: `optimizer.zero_grad()` before `backward`":
            _step_of("backward", "step"),
        "the weights do not move: `optimizer.step()` after `backward`, before gradients are cleared, and nothing detached":
            _step_of("clear", "backward"),
        "the step comes before its own gradients": _step_of("step", "clear", "backward"),
        "the step comes before its own gradients, by those of the batch before": lambda model, optimizer, *batch: (
            optimizer.step(), _step_of("clear", "backward")(model, optimizer, *batch))[1],
        "the sum of the squares, not their mean": _loss_of(lambda a, b: F.mse_loss(a, b, reduction="sum")),
        "the absolute difference, not its square": _loss_of(F.l1_loss),
        "the root of the mean square": _loss_of(lambda a, b: F.mse_loss(a, b).sqrt()),
        "answers and targets are broadcast against each other; their shapes must be the same":
            _loss_of(lambda a, b: (a[:, None] - b).square().mean()),
        "the squared distance of each point: the mean over x and y is half of that":
            _loss_of(lambda a, b: (a - b).square().sum(1).mean())}

    def judge() -> str:
        losses, weights = after(yours)
        if all(loss is None or loss is ... for loss in losses):
            return NOT_YET
        if isinstance(losses[0], tuple | list | dict):
            return f"wrong: it returns a {type(losses[0]).__name__}; one number is wanted, the loss"
        found = torch.tensor([float(loss) for loss in losses])
        expected, right = after(_loss_of(F.mse_loss))
        if close(found, torch.tensor(expected)) and close(weights, right):
            return "right"
        for what, wrong in mistakes.items():
            other, moved = after(wrong)
            if close(found, torch.tensor([float(loss) for loss in other])) and close(weights, moved):
                return f"wrong: {what}"
        if not close(found[0], expected[0]):
            return f"wrong: the first loss is {found[0]:.6g}, not {expected[0]:.6g}, {found[0] / expected[0]:.4g} times that"
        return "wrong: the first loss is right, the weights after the step are not"

    return said_of(judge)


class _Seen(nn.Module):
    """Notes which faces it is shown, and how; its answer for face k is (w, k)."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.batches: list[list[int]] = []
        self.trained: set[bool] = set()
        self.recorded: set[bool] = set()

    def forward(self, images):
        numbers = images[:, 0, 0, 0]
        self.batches.append([round(float(k)) for k in numbers])
        self.trained.add(self.training)
        self.recorded.add(torch.is_grad_enabled())
        return torch.stack([self.weight.expand(len(images)), numbers], 1)


class _Numbered(Dataset):
    """Ten faces, or more: picture k is full of k, its target is (0.1 * k, k)."""

    def __init__(self, count: int = 10):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, k):
        if not 0 <= k < self.count:
            raise IndexError(k)
        return torch.full((1, 2, 2), float(k)), torch.tensor([0.1 * k, float(k)])


_BATCHES_ALIKE = "the mean of the batches' means counts the faces of the small batch more; weigh by their number"


def _said_of_mean(given: Any, batches: list[list[int]]) -> str:
    """Whether a loss is the mean over the faces that `_Seen`, with the weight 0, was shown; or which mean of batches it is."""
    if isinstance(given, tuple | list | dict):
        return f"wrong: it returns a {type(given).__name__}; one number is wanted, the mean loss"
    loss = float(given)
    squares = [[(0.1 * k) ** 2 / 2 for k in batch] for batch in batches]
    means, mean = [float(np.mean(batch)) for batch in squares], float(np.mean(np.concatenate(squares)))
    if close(loss, mean):
        kept = isinstance(given, torch.Tensor) and given.requires_grad
        return "wrong: the sum holds every batch's graph in memory: `float(loss)`, or `detach`" if kept else "right"
    count = sum(map(len, batches))
    for what, wrong in {_BATCHES_ALIKE: np.mean(means), "it is the last batch's loss, not the mean": means[-1],
                        "it is the sum of the batches' losses, not the mean over the faces": sum(means),
                        "divided by the number of faces, but a batch's mean is not taken times its faces": sum(means) / count,
                        "divided by the number of batches; by that of faces": mean * count / len(batches)}.items():
        if close(loss, wrong):
            return f"wrong: {what}"
    return f"wrong: the mean loss is {loss:.6g}, not {mean:.6g}"


def check_epoch(yours: Callable[..., Any], seed: int = 0) -> Verdict:
    """your_epoch(model, optimizer, faces, batch) -> mean loss: every face once, in another order each time."""
    def judge() -> str:
        slopes: list[float] = []                          # of the weight, at each step; NaN where there is none
        orders, model, faces, count = [], _Seen().eval(), _Numbered(10 + 4 * seed), 10 + 4 * seed
        for _ in range(3):
            optimizer = torch.optim.SGD(model.parameters(), 0.0)          # so that the losses are those of fixed weights
            optimizer.register_step_post_hook(lambda *given: slopes.append(
                float("nan") if model.weight.grad is None else float(model.weight.grad)))
            model.batches = []
            loss = yours(model, optimizer, faces, 4)
            if loss is None or loss is ...:
                return NOT_YET if not model.batches else "wrong: it returns nothing; the mean loss is wanted"
            orders.append(model.batches)
        flat = [[k for batch in order for k in batch] for order in orders]
        if len(orders[0]) == 1 and flat[0] != list(range(count)) and len(flat[0]) <= 4:
            return "wrong: it ends after the first batch: `return` comes after the loop"
        if sorted(flat[0]) != list(range(count)):
            missing = sorted(set(range(count)) - set(flat[0]))
            return ("wrong: drawn with replacement: some faces come twice, others never" if len(flat[0]) == count else
                    f"wrong: {len(missing)} of {count} faces are left out: the last batch is smaller, but it counts"
                    if missing else "wrong: some faces are shown more than once in an epoch")
        if [len(batch) for batch in orders[0]] != (sizes := [4] * (count // 4) + [2]):
            return f"wrong: the batches hold {[len(batch) for batch in orders[0]]} faces, not {sizes}"
        if flat[0] == flat[1] == flat[2]:
            seeded = "it is the same order" if flat[0] != sorted(flat[0]) else "shuffle"
            return f"wrong: the order is the same in every epoch: {seeded}" + "; set no seed inside" * (seeded != "shuffle")
        if len({frozenset(map(frozenset, order)) for order in orders}) == 1:
            return "wrong: batches come in another order, but their faces stay together: shuffle the faces"
        batches = [batch for order in orders for batch in order]
        if len(slopes) != len(batches):
            return f"wrong: {len(slopes) or 'no'} step(s) of the optimizer for {len(batches)} batches; one a batch is wanted"
        if any(map(isnan, slopes)):
            return "wrong: a step is taken without a gradient: `backward` comes before it"
        if model.trained != {True}:
            return "wrong: the model is not in training mode: `model.train()`"
        wanted = [-0.1 * sum(batch) / len(batch) for batch in batches]            # of the mean squared error, at a weight of 0
        if close(slopes, list(accumulate(wanted))):
            return "wrong: the gradients of the batches before are still there: `optimizer.zero_grad()` before `backward`"
        if not close(slopes, wanted):
            return "wrong: the gradient at a step is not that of its batch's loss"
        return _said_of_mean(loss, orders[-1])

    return said_of(judge)


def check_validation(yours: Callable[..., Any], seed: int = 0) -> Verdict:
    """your_validation(model, faces, batch) -> mean loss: without gradients, in evaluation mode, weights as they were."""
    def judge() -> str:
        model, faces, count = _Seen().train(), _Numbered(10 + 4 * seed), 10 + 4 * seed
        loss = yours(model, faces, 4)
        if loss is None or loss is ...:
            return NOT_YET if not model.batches else "wrong: it returns nothing; the mean loss is wanted"
        flat = sorted(k for batch in model.batches for k in batch)
        if flat != list(range(count)):
            return f"wrong: it shows {len(flat)} faces, {len(set(flat))} different ones, of {count}"
        if model.trained != {False}:
            return "wrong: the model is in training mode: `model.eval()`, since some layers do something else in training"
        if model.recorded != {False}:
            return "wrong: gradients are recorded, which costs memory and time: `torch.no_grad()`"
        if float(model.weight.detach()) != 0:
            return "wrong: the weights have changed; validation only looks"
        return _said_of_mean(loss, model.batches)

    return said_of(judge)


def when_right(checks: Sequence[tuple[Callable[..., Verdict], Any]], train: Callable[[], list]) -> list | None:
    """What `train` returns if every piece is right by its check; else None, and a line for each that is not."""
    wrong = [f"{piece.__name__}: {said}" for check, piece in checks if (said := check(piece)) != "right"]
    if not wrong:
        return train()
    print("First make these right:", *wrong, sep="\n    ")
    return None


def matched(yours: list[tuple[float, float]] | None, history, factor: float = 1.5) -> Verdict:
    """Whether the validation loss lies within a factor of that of `fit`'s history: random starts differ, recipes do not.

    It is the mean of the last three epochs: from one to the next it jumps, with small batches by a half.

    yours : (training loss, validation loss) of each epoch; None where the pieces are not right yet
    """
    if yours is None:
        return Verdict("not yet: without your pieces there is nothing to compare")
    if len(yours) != len(history):
        return Verdict(f"wrong: {len(yours)} epochs, not {len(history)}")
    mine, theirs = sum(loss for _, loss in yours[-3:]) / len(yours[-3:]), float(history.val_loss.iloc[-3:].mean())
    numbers = f"in the last epochs your validation loss is {mine:.3g}, the course's {theirs:.3g}, {mine / theirs:.2f} times"
    near = 1 / factor < mine / theirs < factor
    return Verdict(f"right: {numbers}" if near else f"wrong: {numbers}; within {factor:g} is wanted")
