"""The C library's allocator keeps freed memory for the next step instead of giving it back to the system."""

import contextlib
import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4               # glibc's numbers, malloc.h


def keep_freed_memory() -> None:
    """Let the C library reuse large blocks in this process; where it is not glibc, nothing happens.

    A training step allocates and frees the same large tensors again and again. glibc gets blocks above 32 MB from the
    system each time, and the system clears every page of them: an eighth to a quarter of a step (`bench/speed/memory.py`).
    Source: mallopt(3).
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            mallopt = ctypes.CDLL("libc.so.6").mallopt
            mallopt(_MMAP_MAX, 0)
            mallopt(_TRIM_THRESHOLD, 2**31 - 1)
