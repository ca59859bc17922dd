"""One training shared by several processes, GPUs or machines, as `torchrun` starts them.

Each process takes its rows of every batch; gradients, batch statistics and metrics are those of the
whole batch, so that the numbers do not depend on how many share it. Without torchrun there is one
process, and everything here does nothing.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


@contextmanager
def joined() -> Iterator[None]:
    """Join the other processes that torchrun started, if it did: with gloo on CPUs, NCCL on GPUs.

    Raises
    ------
    ConnectionError
        When another process is gone.
    """
    if "WORLD_SIZE" not in os.environ:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    except RuntimeError as error:                          # gloo has no class of its own
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise ConnectionError("lost another process") from error
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def processes() -> int:
    """How many processes share the training."""
    return dist.get_world_size() if dist.is_initialized() else 1


def share(rows: np.ndarray) -> np.ndarray:
    """This process's part of rows: every so many, so that together each is taken once."""
    return rows[rank()::processes()]


def total(values: torch.Tensor) -> torch.Tensor:
    """Sum over all processes, elementwise."""
    if processes() > 1:
        dist.all_reduce(values)
    return values


def from_first(value: Any) -> Any:
    """The first process's value, everywhere."""
    box = [value]
    if processes() > 1:
        dist.broadcast_object_list(box)
    return box[0]


def shared(model: nn.Module) -> nn.Module:
    """The net as every process trains it: averaged gradients and batch statistics of the whole batch; alone, the net itself.

    The wrapped net shares its weights with `model`, whose batch norm layers become `SharedBatchNorm2d`.
    """
    if processes() == 1:
        return model
    for parent in model.modules():
        for name, layer in parent.named_children():
            if type(layer) is nn.BatchNorm2d:
                setattr(parent, name, SharedBatchNorm2d.of(layer))
    return DistributedDataParallel(model, forward_sync_buffers=False)


class _Total(torch.autograd.Function):
    """`total` with a gradient: what every process's result owes to this one's summand."""

    @staticmethod
    def forward(ctx, x):
        return total(x.clone())

    @staticmethod
    def backward(ctx, gradient):
        return total(gradient.clone())


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over all processes' rows, on any device; PyTorch's SyncBatchNorm exists for GPUs only."""

    @classmethod
    def of(cls, layer: nn.BatchNorm2d) -> "SharedBatchNorm2d":
        """A layer with the same parameters and statistics."""
        new = cls(layer.num_features, layer.eps, layer.momentum).train(layer.training)
        new.weight, new.bias = layer.weight, layer.bias
        new.running_mean, new.running_var, new.num_batches_tracked = (
            layer.running_mean, layer.running_var, layer.num_batches_tracked)
        return new

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        pixels = x.float()
        ones = pixels.new_full((1,), pixels.numel() / self.num_features)
        sums = _Total.apply(torch.cat([pixels.sum((0, 2, 3)), ones]))
        count, mean = sums[-1].detach(), sums[:-1] / sums[-1].detach()
        centred = pixels - mean[:, None, None]
        variance = _Total.apply((centred**2).sum((0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight / (variance + self.eps).sqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)
