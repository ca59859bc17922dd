"""The parts of torchvision that the project uses, importable beside any build of PyTorch.

torchvision's wheel on PyPI carries operators compiled for CUDA. Beside a CPU-only PyTorch they do not load, and `import
torchvision` then fails with "operator torchvision::nms does not exist", because it registers helpers for operators nobody has
declared. Declaring their schemas first is enough: the models are plain Python. Every module takes torchvision from here.
"""

import torch

try:
    from torchvision import models
except RuntimeError:
    _library = torch.library.Library("torchvision", "FRAGMENT")
    for _name in ("nms", "qnms"):
        _library.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision import models

__all__ = ["models"]
