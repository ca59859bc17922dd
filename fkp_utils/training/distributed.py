"""One training shared by several processes, GPUs or machines, as `torchrun` starts them.

Each process takes its rows of every batch; gradients, batch statistics and metrics are those of the whole batch, so that the
numbers do not depend on how many share it. Without torchrun there is one process, and everything here does nothing.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Join the other processes that torchrun started, if it did: with gloo on CPUs, NCCL on GPUs.

    ValueError for more processes than GPUs on this machine, and for numbers that torchrun would not give; ConnectionError when
    another process is gone or cannot be reached.
    """
    if "WORLD_SIZE" not in os.environ:
        yield
        return
    if gpus := torch.cuda.device_count() if torch.cuda.is_available() else 0:
        local = os.environ.get("LOCAL_RANK", "")
        if not local.isdecimal():
            raise ValueError(f"LOCAL_RANK is {local!r}, no number: start with torchrun, or without WORLD_SIZE")
        if (here := max(int(local) + 1, int(os.environ.get("LOCAL_WORLD_SIZE", 1)))) > gpus:
            raise ValueError(f"{here} processes on this machine would share {gpus} GPU(s): start at most {gpus}")
        torch.cuda.set_device(int(local))
    try:
        dist.init_process_group("nccl" if gpus else "gloo")
        yield
    except RuntimeError as error:                          # gloo has no class of its own
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise ConnectionError("lost another process") from error
    finally:
        with contextlib.suppress(RuntimeError, AssertionError, ValueError):       # not joined at all; else it hides what failed
            dist.destroy_process_group()


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes share the training."""
    return dist.get_world_size() if dist.is_initialized() else 1


def shard(rows: np.ndarray) -> np.ndarray:
    """This process's rows: `rows[rank::world_size]`."""
    return rows[rank()::world_size()]


def all_reduce(values: torch.Tensor) -> torch.Tensor:
    """Sum over all processes, elementwise, in place."""
    if world_size() > 1:
        dist.all_reduce(values)
    return values


def broadcast(value: Any) -> Any:
    """The value of rank 0, on every process."""
    box = [value]
    if world_size() > 1:
        dist.broadcast_object_list(box)
    return box[0]


def wrap(model: nn.Module) -> nn.Module:
    """The net in DistributedDataParallel, with batch statistics over all processes; the net itself where there is one process.

    The wrapped net shares its weights with `model`, whose batch norm layers become `SyncBatchNorm` on GPUs and
    `GlooBatchNorm2d` on CPUs.
    """
    if world_size() == 1:
        return model
    if next(model.parameters()).is_cuda:
        nn.SyncBatchNorm.convert_sync_batchnorm(model)
    else:
        for layer in model.modules():
            if type(layer) is nn.BatchNorm2d:
                layer.__class__ = GlooBatchNorm2d                  # type: ignore[assignment]
    return DistributedDataParallel(model, forward_sync_buffers=False)


class _AllReduce(torch.autograd.Function):
    """A differentiable all-reduce: the gradient of a sum over processes is the sum of the processes' gradients."""

    @staticmethod
    def forward(ctx, x):
        return all_reduce(x.clone())

    @staticmethod
    def backward(ctx, gradient):
        return all_reduce(gradient.clone())


class GlooBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over all processes' rows on CPUs, where PyTorch's SyncBatchNorm does not run."""

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        pixels = x.float()
        ones = pixels.new_full((1,), pixels.numel() / self.num_features)
        sums = _AllReduce.apply(torch.cat([pixels.sum((0, 2, 3)), ones]))
        count, mean = sums[-1].detach(), sums[:-1] / sums[-1].detach()
        centred = pixels - mean[:, None, None]
        variance = _AllReduce.apply((centred**2).sum((0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight / (variance + self.eps).sqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)
