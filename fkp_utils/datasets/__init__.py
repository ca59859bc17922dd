"""Face datasets: `root, split` as in torchvision, one loader a file format."""

import lazy_loader

# What each module gives stands in __init__.pyi; it is loaded where it is first used, and PyTorch with it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
