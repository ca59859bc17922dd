"""Makes the environment: a virtual environment with the packages of requirements.txt.

    python -m fkp_utils.course.install FOLDER [--torch default|cpu]

`make` calls it before anything is installed, so it needs nothing but Python. It says first how much disk the packages take.
On Linux, pip's default build of PyTorch brings CUDA's libraries with it, three quarters of the whole; `--torch cpu`
(`make figures TORCH=cpu`) takes PyTorch's own build without them. uv installs, several times as fast, where it is there.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ..folders import REQUIREMENTS

CPU_WHEELS = "https://download.pytorch.org/whl/cpu"          # as pytorch.org/get-started has it
TRIED = "3.11 and 3.12"


def gigabytes(torch: str, system: str, machine: str) -> float:
    """Disk that the environment takes, in GB, as measured: PyTorch's default for 64-bit Intel Linux is the one with CUDA."""
    return 5.7 if torch == "default" and system == "Linux" and machine in ("x86_64", "AMD64") else 2.0


def commands(folder: Path, torch: str, uv: str | None) -> list[list[str]]:
    """What makes the environment and installs into it: argument lists, in order; `uv` is its path, or None without it."""
    python = str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")
    if uv:
        small = ["--torch-backend", "cpu"] if torch == "cpu" else []
        return [[uv, "venv", "--quiet", "--seed", "--allow-existing", "--python", sys.executable, str(folder)],
                [uv, "pip", "install", "--quiet", "--python", python, *small, "-r", str(REQUIREMENTS)]]
    small = ["--extra-index-url", CPU_WHEELS] if torch == "cpu" else []     # its versions, +cpu, go before the same without
    return [[sys.executable, "-m", "venv", str(folder)],
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *small, "-r", str(REQUIREMENTS)]]


def install(folder: Path, torch: str, run: Callable[[list[str]], object] = subprocess.check_call) -> None:
    """Make the environment; ValueError where the machine lacks the room or the means, before anything is written."""
    needed = gigabytes(torch, platform.system(), platform.machine())
    free = shutil.disk_usage(folder.resolve().parent).free / 1e9
    smaller = "; TORCH=cpu takes 2 GB" if needed > 2 else ""
    if free < 1.25 * needed:
        raise ValueError(f"{free:.1f} GB of disk are free here; the packages take up to {needed:g} GB and some room to unpack"
                         f"{smaller}: make room and try again")
    uv = shutil.which("uv")
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        if not uv:
            raise ValueError("Python lacks venv support; install it first (Debian, Ubuntu: apt install python3-venv)") from None
    print(f"installing the packages of requirements.txt with {'uv' if uv else 'pip'}: up to {needed:g} GB, minutes, "
          f"once{smaller}; Python {platform.python_version()}, tried are {TRIED}", flush=True)
    for command in commands(folder, torch, uv):
        run(command)


def main() -> int:
    """Command line; 0 when installed, 1 where that is not possible or was interrupted."""
    parser = argparse.ArgumentParser(prog="python -m fkp_utils.course.install", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--torch", choices=("default", "cpu"), default="default")
    options = parser.parse_args()
    try:
        install(options.folder, options.torch)
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        print(f"install: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("install: interrupted; the same command goes on", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
