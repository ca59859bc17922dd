"""A GPU for tests on machines without one: real numbers, but the rules of a second device.

Inside of `gpu()` a tensor that goes to "cuda" is kept by the CPU and marked. What is marked says that it is on "cuda:0", has no
`.numpy()`, and does not mix with what is not marked, unless that is one number or says which rows to take, as on a GPU.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE, CPU = torch.device("cuda", 0), torch.device("cpu")
_BELOW = torch.device("lazy", 0)             # what PyTorch's C++ sees: a device that needs no driver and no other build
_ROWS = ("aten::index", "aten::index_put_", "aten::index_put", "aten::_index_put_impl_")


class OnGPU(torch.Tensor):
    """A marked tensor around one of the CPU, `inner`."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda self: DEVICE)                # type: ignore[assignment]
    is_cuda = property(lambda self: True)                 # type: ignore[assignment]

    @staticmethod
    def __new__(cls, inner: torch.Tensor):
        marked = torch.Tensor._make_wrapper_subclass(cls, inner.shape, inner.stride(), inner.storage_offset(),
                                                     dtype=inner.dtype, layout=inner.layout, device=_BELOW)
        marked.inner = inner
        return marked

    def __repr__(self):
        return f"OnGPU({self.inner})"

    def __deepcopy__(self, memo):
        new = self.detach().clone()
        return torch.nn.Parameter(new, self.requires_grad) if isinstance(self, torch.nn.Parameter) else new

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _computed(func, args, dict(kwargs or {}))


def _inner(leaf):
    return leaf.inner if isinstance(leaf, OnGPU) else leaf


def _computed(func, args, kwargs):
    """What an operator gives, with its results where they belong."""
    name = func._schema.name
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    marked = {id(leaf.inner): leaf for leaf in tensors if isinstance(leaf, OnGPU)}
    device = kwargs.get("device")
    here = device in (DEVICE, _BELOW) or (bool(marked) and device is None)
    if device in (DEVICE, _BELOW):
        kwargs["device"] = CPU
    if name == "aten::copy_":
        here = isinstance(args[0], OnGPU)
    elif marked and name not in _ROWS and any(leaf.dim() and not isinstance(leaf, OnGPU) for leaf in tensors):
        raise RuntimeError(f"{func}: expected all tensors to be on the same device, but found cuda:0 and cpu")
    answer = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
    if not here:
        return answer
    return tree_map(lambda leaf: leaf if not isinstance(leaf, torch.Tensor) else marked[id(leaf)] if id(leaf) in marked
                    else OnGPU(leaf), answer)


class _Made(TorchDispatchMode):
    """Tensors that PyTorch's C++ makes on the device by itself."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _computed(func, args, dict(kwargs or {}))


def _names_it(leaf) -> bool:
    return isinstance(leaf, torch.device | str) and str(leaf).startswith("cuda")


class _Calls(TorchFunctionMode):
    """Sends to the pretended device what a call in Python makes there, which PyTorch's own code would ask a driver for."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
        if name == "_parse_to":
            return func(*args, **kwargs)
        if name == "tolist":
            return _inner(args[0]).tolist()
        if name in ("tensor", "as_tensor", "new_tensor"):                     # these fill memory of the device themselves
            there = _names_it(kwargs.get("device")) or (isinstance(args[0], OnGPU) and "device" not in kwargs)
            made = func(*map(_inner, args), **{**kwargs, **({"device": CPU} if there else {})})
            return OnGPU(made) if there else made
        below = lambda leaf: _BELOW if _names_it(leaf) else leaf              # noqa: E731
        return func(*map(below, args), **{key: below(leaf) for key, leaf in kwargs.items()})


@contextlib.contextmanager
def gpu() -> Iterator[torch.device]:
    """Yields the device."""
    torch.__future__.set_overwrite_module_params_on_conversion(True)      # a marked tensor is another kind of object
    try:
        with _Calls(), _Made():
            yield DEVICE
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
