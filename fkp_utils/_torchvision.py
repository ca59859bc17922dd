"""The parts of torchvision that the project uses, importable beside any build of PyTorch, and its ResNet-18 in other widths.

torchvision's wheel on PyPI carries operators compiled for CUDA. Beside a CPU-only PyTorch they do not load, and `import
torchvision` then fails with "operator torchvision::nms does not exist", because it registers helpers for operators nobody has
declared. Declaring their schemas first is enough: the models are plain Python. Every module takes torchvision from here.
"""

import torch
from torch import nn

try:
    from torchvision import models
except RuntimeError:
    _library = torch.library.Library("torchvision", "FRAGMENT")
    for _name in ("nms", "qnms"):
        _library.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision import models

__all__ = ["ResNet", "models"]


class ResNet(models.ResNet):
    """torchvision's ResNet-18 for pictures of one channel, with `width` features wherever torchvision's has 64."""

    def __init__(self, width: int, num_classes: int):
        self.width = width                                    # which `_make_layer` wants before all else
        super().__init__(models.resnet.BasicBlock, [2, 2, 2, 2], num_classes)
        self.conv1 = nn.Conv2d(1, width, 7, stride=2, padding=2, bias=False)
        if width != 64:
            self.bn1, self.fc = nn.BatchNorm2d(width), nn.Linear(8 * width, num_classes)

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        if planes == 64:                                      # the first one
            self.inplanes = self.width
        return super()._make_layer(block, planes * self.width // 64, blocks, stride, dilate)
