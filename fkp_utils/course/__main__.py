"""Everything that make does, as one Python command, on any system.

    python -m fkp_utils.course figures [--profile quick|full] [--data FOLDER] [--check]

The Makefile calls it. It needs nothing but Python: what needs packages runs in the project's environment, .venv, which is
made first where it is not there, or is older than requirements.txt.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import command
from ..folders import PROJECT, REQUIREMENTS
from . import clean, install

ABOUT = {
    "figures": "run the notebooks and build the website",
    "notebooks": "as figures, and keep the outputs in the notebooks",
    "test": "unit tests and the notebooks' stored outputs",
    "check": "ruff, mypy and the tests that take no training and no browser",
    "bench": "measure speed and memory, write bench/README.md (half an hour)",
    "lab": "open the notebooks in JupyterLab",
    "reset": "bring the notebooks back to how they came (says what goes, and asks)",
    "assignment": "write a class's editions of the notebooks for nbgrader",
    "data": "download the official datasets (shows their terms, and asks)",
    "site": "render the page again, notebooks and code as HTML, and the demo's parts",
    "serve": "show the website on http://localhost:8000",
    "clean": "remove what can be made again; checkpoints, build/before_reset, build/assignment and data/personal stay",
}
_EXAMPLES = {"figures": ("", "--profile full --data data"), "lab": ("--allow-root",), "reset": ("--yes",),
             "assignment": ("cs180",), "data": ("--accept-terms",), "serve": ("8080",)}
BENCHES = ("epoch", "step", "memory", "baseline", "heatmaps", "predict", "photos", "camera", "growth", "together")


def jobs(options: argparse.Namespace) -> list[list[str]]:
    """What a target runs in the environment: arguments of Python, in order."""
    workers = str((os.cpu_count() or 1) + 1)                   # tests wait for browsers, kernels and processes of their own
    tests = ["-m", "pytest", "-q", "-n", workers, "--dist", "loadfile", "--no-loadscope-reorder", "tests"]
    data = ["--data", options.data] if getattr(options, "data", None) else []
    return {
        "figures": lambda: [["-m", "fkp_utils.website.run_notebooks", "--profile", options.profile, *data,
                             *["--check"] * options.check]],
        "notebooks": lambda: [["-m", "fkp_utils.website.run_notebooks", "--store"]],
        "test": lambda: [tests, [*tests[:-1], "notebooks"]],
        "check": lambda: [[*tests, "-m", "not training and not browser"]],
        "bench": lambda: [[str(Path("bench", "speed", f"{name}.py"))] for name in BENCHES],
        "lab": lambda: [["-m", "fkp_utils.course.lab", *["--allow-root"] * options.allow_root]],
        "reset": lambda: [["-m", "fkp_utils.course.reset", *["--yes"] * options.yes]],
        "assignment": lambda: [["-m", "fkp_utils.course.assignment", *[options.folder] * bool(options.folder)]],
        "data": lambda: [["-m", "fkp_utils.datasets.download"]],
        "site": lambda: [["-m", "fkp_utils.website.page"], ["-m", "fkp_utils.website.demo"]],
        "serve": lambda: [["-m", "fkp_utils.website.serve", *[options.port] * bool(options.port)]],
    }[options.target]()


def settings(options: argparse.Namespace, job: Sequence[str]) -> dict[str, str]:
    """The environment variables of one of a target's jobs."""
    # One thread each: more would wait for those of the other processes.
    one = {"OMP_NUM_THREADS": "1"} if "pytest" in job else {}
    terms = {"ACCEPT_TERMS": "1"} if getattr(options, "accept_terms", False) else {}
    return {**os.environ, "PYTHONPATH": str(PROJECT), **one, **terms}


def _prepared(folder: Path, torch: str) -> Path:
    """The Python of the environment in `folder`, which is made, or brought up to date, where that is needed."""
    ready = folder / ".installed"
    if not ready.is_file() or ready.stat().st_mtime < REQUIREMENTS.stat().st_mtime:
        install.install(folder, torch)
        ready.touch()
    return folder.absolute() / install.PYTHON


def _wait(process: subprocess.Popen) -> int:
    """A process's exit code. Ctrl-C reaches it, too, and it may take a while to end well."""
    while True:
        try:
            code = process.wait()
            return code if code >= 0 else 128 - code          # as a shell has it, of one that a signal ended
        except KeyboardInterrupt:
            continue


def _do(options: argparse.Namespace) -> int:
    if options.target == "clean":
        clean.clean(PROJECT, options.venv)
        return 0
    # The server needs no package.
    python = Path(sys.executable) if options.target == "serve" else _prepared(options.venv, options.torch)
    for job in jobs(options):
        if code := _wait(subprocess.Popen([str(python), *job], cwd=PROJECT, env=settings(options, job))):
            return code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command.parser("course", __doc__, "figures", "lab", "serve", "figures --profile full --data data")
    targets = parser.add_subparsers(dest="target", required=True, metavar="TARGET", help="what to do:")
    each = {}
    for name, about in ABOUT.items():
        line = command.parser(f"course {name}", f"{about[0].upper()}{about[1:]}.", *_EXAMPLES.get(name, ("",)))
        each[name] = targets.add_parser(name, help=about, description=line.description, epilog=line.epilog,
                                        formatter_class=line.formatter_class, allow_abbrev=False)
        each[name].add_argument("--venv", metavar="FOLDER", type=Path, default=PROJECT / ".venv",
                                help="the environment (default: .venv in the project)")
        if name not in ("serve", "clean"):
            each[name].add_argument("--torch", choices=install.TORCH, default=install.TORCH[0],
                                    help="when it is made: cpu is PyTorch without CUDA, 2 GB instead of 6 (Linux)")
    each["figures"].add_argument("--profile", choices=("full", "quick", "smoke"), default="quick",
                                 help="how long to train (default: %(default)s)")
    each["figures"].add_argument("--data", metavar="FOLDER", help="folder with the real datasets (default: the embedded faces)")
    each["figures"].add_argument("--check", action="store_true", help="fail where a number or a figure is not as stored")
    each["lab"].add_argument("--allow-root", action="store_true", help="start it as the administrator, in a container, say")
    each["reset"].add_argument("--yes", action="store_true", help="do not ask")
    each["assignment"].add_argument("folder", nargs="?", metavar="FOLDER", help="the course (default: build/assignment)")
    each["data"].add_argument("--accept-terms", action="store_true", help="accept the datasets' terms, and do not ask")
    each["serve"].add_argument("port", nargs="?", metavar="PORT", help="of this machine (default: 8000)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit code of what the target runs, 2 for wrong arguments."""
    options = _parser().parse_args(arguments)
    return command.run(options.target, lambda: _do(options), "interrupted; the same command goes on",
                       (*command.FAILURES, subprocess.CalledProcessError))


if __name__ == "__main__":
    sys.exit(main())
