"""Removes what can be made again, and nothing that is the only copy of somebody's work."""

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

STAYS = ("before_reset", "assignment", "checkpoints")         # in build/


def _remove(path: Path) -> None:
    """A file, a folder with all that is in it, or a link, but not where it leads."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def clean(project: Path, environment: Path) -> None:
    """Remove the environment, caches, and build/ but for `STAYS`. ValueError where Windows could not remove what runs here."""
    if os.name == "nt" and Path(sys.prefix).resolve() == environment.resolve():
        raise ValueError(f"{environment}: its own Python runs this; start it with the one that it was made with")
    for path in (environment, project / ".pytest_cache", project / ".ruff_cache"):
        _remove(path)
    if (project / "build").is_symlink():                      # what it leads to is another's
        _remove(project / "build")
    for folder, inner, files in os.walk(project / "build"):
        inner[:] = [name for name in inner if name not in STAYS]
        for path in [Path(folder, name) for name in files] + [Path(folder, name) for name in inner]:
            if path.is_symlink() or not path.is_dir():
                _remove(path)
    for folder, _, _ in os.walk(project / "build", topdown=False):
        with suppress(OSError):                               # something in it stays
            os.rmdir(folder)
    for cache in [Path(folder, "__pycache__") for folder, inner, _ in os.walk(project) if "__pycache__" in inner]:
        _remove(cache)
