"""Brings the notebooks back to how they came, or to what you have committed of them: what git has.

    python -m fkp_utils.course.reset [--yes]

It says first what would go, and asks. Copies of what it takes away go to build/before_reset/. The project may be a folder
of a larger repository. Notebooks that git does not have, such as your own, stay as they are.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from .. import command
from ..folders import PROJECT


def _git(project: Path, *arguments: str) -> bytes:
    """What git prints, where names are those inside the project; OSError with git's own words."""
    here = {name: value for name, value in os.environ.items()       # not the repository whose hook may have called us
            if name not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")}
    done = subprocess.run(["git", "-C", str(project), "--literal-pathspecs", *arguments], capture_output=True, env=here)
    if done.returncode:
        raise OSError(os.fsdecode(done.stderr).strip())
    return done.stdout


def changed(project: Path) -> dict[str, str]:
    """What was done to each notebook that is not as it came: {path inside the project: description}; OSError without git's."""
    try:
        why = "" if _git(project, "ls-tree", "HEAD", "--", "notebooks") else "not committed in the repository that it lies in"
    except OSError as error:
        why = str(error)
    if why:
        raise OSError(f"{project}: git has no notebooks to bring back ({why}); get the project again, as a clone or unpacked")
    differ = ["diff", "--name-only", "--diff-filter=a", "--no-renames", "--relative", "-z", "HEAD", "--", "notebooks"]
    found = {}
    for name in os.fsdecode(_git(project, *differ)).split("\0"):
        path = project / name
        if path.suffix != ".ipynb":
            continue
        if not os.path.lexists(path):
            found[name] = "deleted"
            continue
        try:
            if not path.is_file():                       # a folder, say, or a pipe, which would wait for a writer
                raise OSError
            old, new = ({cell.id: cell.source for cell in nbformat.reads(content.decode(), 4).cells}
                        for content in (_git(project, "cat-file", "blob", f"HEAD:./{name}"), path.read_bytes()))
        except Exception:                                # half a file is a file to reset, too
            found[name] = "not a notebook any more"
            continue
        edited = sum(new.get(key) != source for key, source in old.items()) + len(new.keys() - old.keys())
        found[name] = f"{edited} cell(s) edited, added or removed" if edited else "run, no cell edited"
    return found


def reset(project: Path, names: list[str]) -> Path:
    """Restore these files; return the folder with copies of what they were, and of what was staged to be committed.

    What is no file, or a file in their folder's place, goes there itself: git would remove it with all that is in it.
    """
    (copies := project / "build" / "before_reset").mkdir(parents=True, exist_ok=True)
    kept = Path(tempfile.mkdtemp(prefix=time.strftime("%Y-%m-%d_%H.%M.%S_"), dir=copies))
    for name in names:
        path, copy = project / name, kept / Path(name).relative_to("notebooks")
        copy.parent.mkdir(parents=True, exist_ok=True)
        for place, target, fits in ((path.parent, kept / path.parent.name, Path.is_dir), (path, copy, Path.is_file)):
            if os.path.lexists(place) and not fits(place):
                shutil.move(place, target)
        if path.exists():
            shutil.copy2(path, copy)
        if _git(project, "diff", "--cached", "--name-only", "--diff-filter=du", "HEAD", "--", name):
            copy.with_suffix(".staged.ipynb").write_bytes(_git(project, "cat-file", "blob", f":./{name}"))
    _git(project, "checkout", "HEAD", "--", *names)
    return kept


def main() -> int:
    """Command line; 0 when the notebooks are as they came, 1 if they are not."""
    parser = command.parser("course.reset", __doc__, "--yes")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.parse_args()
    return command.run("reset", lambda: _main(options.yes))


def _main(yes: bool) -> int:
    found = changed(PROJECT)
    if not found:
        print("the notebooks are as they came, or as you have committed them")
        return 0
    print("would be thrown away:", *(f"  {name}: {what}" for name, what in found.items()), sep="\n")
    try:
        if not yes and input("reset them? [y/N] ").strip().lower() not in ("y", "yes"):
            raise EOFError
    except EOFError:                                          # nobody to ask
        print("nothing was changed")
        return 1
    print(f"done; copies of what they were are in {reset(PROJECT, list(found))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
