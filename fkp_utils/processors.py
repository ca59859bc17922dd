"""Which processors there are, and how many this process may use: `taskset`, a scheduler or a container may allow fewer."""

import math
import platform
import re
from contextlib import suppress
from pathlib import Path

import psutil


def kind(told: Path = Path("/proc/cpuinfo")) -> str:
    """Maker, family and model, by which MKL and oneDNN choose how they compute: last digits may differ between two."""
    with suppress(OSError):
        known = dict(re.findall(r"^(vendor_id|cpu family|model)\s*: (.+)$", told.read_text(encoding="utf-8"), re.MULTILINE))
        if known:
            return " ".join(known.values())
    return platform.processor()


def allowed() -> set[int]:
    """Numbers of the processors that the process may run on; all of them where the system cannot tell."""
    process = psutil.Process()
    return set(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else set(range(psutil.cpu_count() or 1))


def usable() -> int:
    """How many processors' time the process gets, as `nproc` says; no more than the quota of its container (cgroup v2)."""
    count = len(allowed())
    with suppress(OSError, ValueError):                       # no such file, or "max"
        time, period = map(int, Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split())
        count = min(count, max(1, math.ceil(time / period)))
    return count
