"""Trained nets as files: float16 safetensors with the recipe inside, checked before they are used.

safetensors holds tensors and text, never code, so that loading one cannot run anything. The format:
https://github.com/huggingface/safetensors.
"""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..augment import Augment
from ..datasets import registered
from ..files import replacing
from ..landmarks import Convention
from .models import NETS
from .recipe import Recipe
from .shipped import check_sha256, find_weights, known_sha256, sha256
from .targets import Coordinates, make_target
from .trained import Trained, default_device, laid_out


def save_weights(path: str | Path, run: Trained) -> str:
    """Write a trained net, whole or not at all; return the file's SHA-256.

    ValueError, with the file's and the tensor's name, for a weight that is not finite as float16.
    """
    tensors = {f"model.{name}": (value.half() if value.is_floating_point() else value).cpu().contiguous()
               for name, value in run.model.state_dict().items()}
    for name, value in tensors.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise ValueError(f"{path}: not written, since {name} has values that float16 cannot hold")
    if isinstance(run.target, Coordinates) and run.target.mean is not None:
        tensors["target.mean"] = run.target.mean.float().contiguous()
    with replacing(path) as beside:
        # Not save_file, after which nobody else may read it.
        beside.write_bytes(save(tensors, {"recipe": json.dumps(asdict(run.recipe)),
                                          "convention": json.dumps(run.convention.to_dict())}))
    return sha256(path)


# What the nets of files without a convention were trained on.
_FIRST_NETS = {"NoseNet": "imm_nose", "FaceNet": "imm"}


def _read_header(about: dict[str, str], tensors: dict[str, torch.Tensor]) -> tuple[Recipe, Convention]:
    """Recipe and convention of a file's metadata."""
    fields = json.loads(about["recipe"])
    if fields["net"] == "ResNet":                         # before it came in several widths, `width` said nothing of it
        fields["width"] = len(tensors["model.conv1.weight"])
    if "convention" not in about:                         # then `augment` had one change more
        fields["data"] = _FIRST_NETS.get(fields["net"], "ibug")
        fields["augment"].pop("jpeg", None)
    recipe = Recipe(**{**fields, "size": tuple(fields["size"]), "augment": Augment(**fields["augment"])})
    if "convention" in about:
        return recipe, Convention.from_dict(json.loads(about["convention"]))
    return recipe, registered(recipe.data).convention


def load_weights(path: str | Path, expected: str | None = None) -> Trained:
    """Load a net that `save_weights` wrote, ready to predict; a bare name is looked for in data/weights.

    ValueError, with the file's name, where it is missing, no safetensors file or not one of our nets, or has another SHA-256
    than `expected`, which is known for the files that come with the project.
    """
    path = find_weights(path)
    expected = expected or known_sha256(path)
    check_sha256(path, expected)
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}      # noqa: SIM118 (no mapping)
        recipe, convention = _read_header(about, tensors)
        mean = tensors.pop("target.mean", torch.zeros(1, 2, device="cpu")).float()
        target = make_target(recipe, mean[None])
        with torch.device("meta"):                            # layers without memory: the file's tensors become the weights
            model = NETS[recipe.net](recipe.width, convention.size).eval()
        whole = {name.removeprefix("model."): value.float() if value.is_floating_point() else value
                 for name, value in tensors.items()}
        model.load_state_dict(whole, assign=True)
        if not expected:                                      # fails where net, size and target do not fit
            with torch.inference_mode():
                target.decode(model(torch.zeros(1, 1, *recipe.size, device="cpu")))
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, OSError) as error:
        said = " ".join(str(error).split())[:300]
        raise ValueError(f"{path}: not weights of this project as it is now ({type(error).__name__}: {said})") from None
    return Trained(laid_out(model.to(default_device()), recipe), target, recipe, convention)
