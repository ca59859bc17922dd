"""Every figure of the course. Functions take arrays, return a matplotlib Figure and save nothing."""

import lazy_loader

# What each module gives stands in __init__.pyi; it is loaded where it is first used, and matplotlib with it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
