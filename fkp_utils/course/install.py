"""Makes the environment: a virtual environment with the packages of requirements.txt.

    python -m fkp_utils.course.install FOLDER [--torch default|cpu]

`make` calls it before anything is installed, so it needs nothing but Python. It says first how much disk the packages take.
On Linux, pip's default build of PyTorch brings CUDA's libraries with it, three quarters of the whole; `--torch cpu`
(`make figures TORCH=cpu`) takes PyTorch's own build without them. uv installs, several times as fast, where it is there.
The settings of pip and uv on this machine count, but for those that send packages elsewhere; whether they came is checked.
"""

import ast
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .. import command
from ..folders import REQUIREMENTS

CPU_WHEELS = "https://download.pytorch.org/whl/cpu"          # as pytorch.org/get-started has it
TORCH = ("default", "cpu")
TRIED = "3.11 to 3.13"
PYTHON = "Scripts/python.exe" if os.name == "nt" else "bin/python"
# With these, packages go elsewhere or nowhere, or are looked for there.
ELSEWHERE = {f"{tool}_{name}" for tool in ("PIP", "UV") for name in (
    "USER", "TARGET", "PREFIX", "ROOT", "PYTHON", "SYSTEM_PYTHON", "PROJECT", "WORKING_DIR", "DRY_RUN", "NO_DEPS",
    "NO_DEPENDENCIES", "REQUIRE_HASHES", "REQUIREMENT", "EDITABLE", "PLATFORM", "PYTHON_VERSION", "IMPLEMENTATION", "ABI")} | {
    "PYTHONPATH", "PYTHONHOME"}
_HAS = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()), sep='\\n')"


def gigabytes(torch: str, system: str, machine: str) -> float:
    """Disk that the environment takes, in GB, as measured: PyTorch's default for 64-bit Intel Linux is the one with CUDA."""
    return 5.7 if torch == "default" and system == "Linux" and machine in ("x86_64", "AMD64") else 2.0


def commands(folder: Path, torch: str, uv: str | None) -> list[list[str]]:
    """What makes the environment and installs into it: argument lists, in order; `uv` is its path, or None without it."""
    python = str(folder / PYTHON)
    if uv:
        small = ["--torch-backend", "cpu"] if torch == "cpu" else []
        return [[uv, "venv", "--quiet", "--seed", "--allow-existing", "--python", sys.executable, str(folder)],
                [uv, "pip", "install", "--quiet", "--python", python, *small, "-r", str(REQUIREMENTS)]]
    small = ["--extra-index-url", CPU_WHEELS] if torch == "cpu" else []     # its versions, +cpu, go before the same without
    return [[sys.executable, "-m", "venv", str(folder)],
            [python, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *small, "-r", str(REQUIREMENTS)]]


def settings(listed: str) -> dict[str, str]:
    """The environment variables to install with: the user's and pip's files', as `pip config list` has them, but ELSEWHERE."""
    files = {f"PIP_{name.upper().replace('-', '_')}": ast.literal_eval(value) for section in ("global", "install")
             for name, value in re.findall(rf"^{section}\.([\w-]+)=(.+)$", listed, re.M)}
    return {name: value for name, value in {**files, **os.environ}.items() if name.upper() not in ELSEWHERE}


def lacking(wanted: str, installed: str) -> list[str]:
    """Lines `name==version` of `wanted` that are not in `installed`, where PyTorch's version may end in +cpu."""
    pins, has = ([f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}" for name, version in
                  re.findall(r"^([\w.-]+)==([\w.]+)", text, re.M)] for text in (wanted, installed))
    return [pin for pin in pins if pin not in has]


def install(folder: Path, torch: str, run: Callable[..., subprocess.CompletedProcess] = subprocess.run) -> None:
    """Make the environment; ValueError where the machine lacks room or means, before all else, or packages went elsewhere."""
    folder = folder.absolute()
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
    make, fill = commands(folder, torch, uv)
    if Path(sys.prefix).resolve() != folder.resolve():        # else its own Python runs this: it is there
        run(make, check=True, env=settings(""))
    ask = partial(run, check=True, stdout=subprocess.PIPE, encoding="utf-8", errors="replace")
    listed = ask([str(folder / PYTHON), "-I", "-m", "pip", "-vvv", "config", "list"], env=settings("")).stdout
    run(fill, check=True, env={**settings(listed), "PIP_CONFIG_FILE": os.devnull})
    if rest := lacking(REQUIREMENTS.read_text(encoding="utf-8"), ask([str(folder / PYTHON), "-I", "-c", _HAS]).stdout):
        raise ValueError(f"{folder}: lacks {', '.join(rest[:3])}{' and more' if rest[3:] else ''}, which pip or uv put "
                         "elsewhere: see their settings on this machine (`pip config list`, uv.toml)")


def main() -> int:
    """Command line; 0 when installed, 1 where that is not possible, 130 when interrupted."""
    parser = command.parser("course.install", __doc__, ".venv --torch cpu")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the environment, new or to be brought up to date")
    parser.add_argument("--torch", choices=TORCH, default=TORCH[0], help="cpu: PyTorch without CUDA, 2 GB instead of 6 (Linux)")
    options = parser.parse_args()
    return command.run("install", lambda: install(options.folder, options.torch), "interrupted; the same command goes on",
                       (*command.FAILURES, subprocess.CalledProcessError))


if __name__ == "__main__":
    sys.exit(main())
