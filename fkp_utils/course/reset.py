"""Brings the notebooks back to how they came: what git has of them.

    python -m fkp_utils.course.reset [--yes]

It says first what would go, and asks. Copies of what it takes away go to build/before_reset/.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat

from ..folders import PROJECT


def _git(project: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(project), *arguments], capture_output=True, text=True, check=True).stdout


def changed(project: Path) -> dict[str, str]:
    """What was done to each notebook that is not as it came: {path inside the project: description}."""
    found = {}
    for line in _git(project, "status", "--porcelain", "--untracked-files=no", "--", "notebooks").splitlines():
        name = line[3:].strip('"')
        path = project / name
        if path.suffix != ".ipynb":
            continue
        if not path.exists():
            found[name] = "deleted"
            continue
        old = {cell.id: cell.source for cell in nbformat.reads(_git(project, "show", f"HEAD:{name}"), 4).cells}
        try:
            new = {cell.id: cell.source for cell in nbformat.read(path, 4).cells}
        except Exception:                                # half a file is a file to reset, too
            found[name] = "not a notebook any more"
            continue
        edited = sum(new.get(key) != source for key, source in old.items()) + len(new.keys() - old.keys())
        found[name] = f"{edited} cell(s) edited, added or removed" if edited else "run, no cell edited"
    return found


def reset(project: Path, names: list[str]) -> Path:
    """Restore these files; return the folder with copies of what they were."""
    kept = project / "build" / "before_reset" / time.strftime("%Y-%m-%d_%H.%M.%S")
    kept.mkdir(parents=True)
    for name in names:
        if (project / name).exists():
            shutil.copy2(project / name, kept)
    _git(project, "checkout", "HEAD", "--", *names)
    return kept


def main() -> int:
    """Command line; 0 when the notebooks are as they came, 1 if they are not."""
    parser = argparse.ArgumentParser(prog="python -m fkp_utils.course.reset", description=__doc__.splitlines()[0])
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.parse_args()
    try:
        found = changed(PROJECT)
        if not found:
            print("the notebooks are as they came")
            return 0
        print("would be thrown away:", *(f"  {name}: {what}" for name, what in found.items()), sep="\n")
        if not options.yes and input("reset them? [y/N] ").strip().lower() not in ("y", "yes"):
            print("nothing was changed")
            return 1
        print(f"done; copies of what they were are in {reset(PROJECT, list(found))}")
    except (OSError, EOFError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, "stderr", None) or str(error) or "no answer").strip()
        print(f"reset: {reason}; nothing was changed", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
