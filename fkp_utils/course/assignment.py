"""The notebooks for a class, in nbgrader's conventions: `make assignment` calls it. Each notebook is an assignment.

    python -m fkp_utils.course.assignment [FOLDER]

FOLDER (build/assignment) is a course folder of nbgrader's. In source/ is the teacher's edition: the printed answers stand in
the exercises' cells, and each check is a test with points, a part of it hidden, on other seeds. In release/ is the student's,
without any answer, as `nbgrader generate_assignment` makes it. What was there and differs goes to before/.
"""

import os
import shutil
import sys
import time
from pathlib import Path

import nbformat

from .. import command
from ..files import locked
from ..folders import BUILD, NOTEBOOKS
from .editions import students, teachers


def _files(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write(folder: Path, notebooks: list[Path]) -> list[str]:
    """Write both editions of all notebooks, or none; lines that say how many tests and points, and where what was there is."""
    made, lines = dict[Path, nbformat.NotebookNode](), []
    new, before = folder / ".new", folder / "before" / time.strftime("%Y-%m-%d_%H.%M.%S")
    for path in notebooks:
        try:
            book = teachers(nbformat.read(path, 4))
        except ValueError as error:
            raise ValueError(f"{path.name}, {error}") from None
        points = [cell.metadata.nbgrader.points for cell in book.cells if cell.metadata.get("nbgrader", {}).get("locked")]
        lines.append(f"{path.stem}: {len(points)} tests, {sum(points)} points")
        made |= {Path("source", path.stem): book, Path("release", path.stem): students(book)}
    moved: list[tuple[Path, Path]] = []
    with locked(folder / "editions"):
        shutil.rmtree(new, ignore_errors=True)                # of a run that was killed
        try:
            for place, book in made.items():
                (new / place).mkdir(parents=True)
                nbformat.write(book, new / place / f"{place.name}.ipynb")
                shutil.copy(NOTEBOOKS / "words.md", new / place)              # to which notebooks link
            for place in [place for place in made if _files(folder / place) != _files(new / place)]:
                for old, there in ((folder / place, before / place), (new / place, folder / place)):
                    if os.path.lexists(old):
                        there.parent.mkdir(parents=True, exist_ok=True)
                        os.replace(old, there)
                        moved.append((old, there))
        except BaseException:
            for old, there in reversed(moved):
                os.replace(there, old)
            raise
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return [*lines, *[f"what was there is in {before}"] * before.exists()]


def main() -> int:
    """Command line; 0 when both editions are written."""
    parser = command.parser("course.assignment", __doc__, "cs180")
    parser.add_argument("folder", nargs="?", metavar="FOLDER", default=BUILD / "assignment",
                        help="the course (default: build/assignment)", type=lambda text: command.writable(text, folder=True))
    folder = parser.parse_args().folder
    return command.run("assignment", lambda: print(*write(folder, sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))), folder, sep="\n"))


if __name__ == "__main__":
    sys.exit(main())
