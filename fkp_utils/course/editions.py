"""Notebooks in nbgrader's conventions: a teacher's edition, and from that a student's.

An exercise is a code cell with `...` in a function or class, a cell further down that ends with a check of it, and a folded
answer, a block of Python that is the cell with lines for each `...`.
"""

import ast
import hashlib
import re
from copy import deepcopy
from functools import cache

import nbformat
from nbformat import NotebookNode

from ..folders import PACKAGE

HOLE = re.compile(r"^([ \t]*)\.\.\.[ \t]*(?:#.*)?$", re.M)
FOLDED = re.compile(r"<details>\s*<summary>Answers?\b.*?</summary>(.*?)</details>", re.S)
BLOCK = re.compile(r"```python\n(.*?)```", re.S)
SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n(.*?)\n[ \t]*### END SOLUTION$", re.S | re.M)
HIDDEN = re.compile(r"\n[ \t]*### BEGIN HIDDEN TESTS\n.*?### END HIDDEN TESTS", re.S)
TEST = '''from contextlib import redirect_stderr
from io import StringIO

with redirect_stderr(StringIO()):                         # nbgrader takes a warning for a failure
    verdict = {}
    print(verdict)
    assert verdict.startswith("right"), verdict
    ### BEGIN HIDDEN TESTS
    for other in (0, 1, 2):
        verdict = {}
        assert verdict.startswith("right"), verdict
    ### END HIDDEN TESTS'''


def _defined(code: str) -> list[str]:
    return re.findall(r"^(?:def|class)\s+(\w+)", code, re.M)


def _asked(cell: NotebookNode) -> list[str]:
    """What a cell asks for: names of functions and classes."""
    return (_defined(cell.source) or ["its `...`"]) if cell.cell_type == "code" and HOLE.search(cell.source) else []


def solved(cell: str, answer: str) -> str:
    """An exercise's cell with the answer's lines in the place of each `...`, between markers; "" where the two do not fit.

    The cell's other lines of code must be the answer's, too; comments and blank lines need not.
    """
    parts, blank = HOLE.split(cell), r"(?:[ \t]*(?:#[^\n]*)?\n)"
    code = [[re.sub(r"[ \t]*#.*", "", line).rstrip() for line in part.splitlines()] for part in parts[::2]]
    pattern = "(.*?)".join("".join(re.escape(line) + blank + "+" for line in lines if line) for lines in code)
    found = re.fullmatch(f"{blank}*{pattern}", answer.strip("\n") + "\n", re.S)
    filled = [f"{indent}### BEGIN SOLUTION\n{new}\n{indent}### END SOLUTION" * bool(new.strip()) for indent, new in
              zip(parts[1::2], [group.strip("\n") for group in found.groups()] if found else [])]
    return "".join(text + new for text, new in zip(parts[::2], [*filled, ""])) if any(filled) else ""


@cache
def _seeded() -> set[str]:
    """Names of the checks that take a seed; read, not imported, since PyTorch takes seconds to load."""
    files = [*(PACKAGE / f"{name}.py" for name in ("exercises", "sabotage", "slips")), *PACKAGE.glob("pieces/*.py")]
    return {node.name for path in files for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef) and "seed" in [word.arg for word in node.args.args]}


def _tested(source: str, names: set[str]) -> tuple[str, str] | None:
    """The test in place of a cell that ends with a check of one of these exercises, and which."""
    body = ast.parse(re.sub(r"(?m)^[%!].*", "", source)).body
    call = getattr(body[-1], "value", None) if body else None
    if not isinstance(call, ast.Call) or not (check := ast.unparse(call.func).split(".")[-1]).startswith("check_"):
        return None
    checked, visible = [word.id for word in call.args if isinstance(word, ast.Name) and word.id in names], ast.unparse(call)
    if check in _seeded():
        call.keywords = [ast.keyword("seed", ast.Name("other"))]
    return (TEST.format(visible, ast.unparse(call)), checked[0]) if checked else None


def _mark(cell: NotebookNode, grade_id: str, **kind) -> NotebookNode:
    usual = {"schema_version": 3, "grade": False, "locked": False, "solution": False, "task": False}
    cell.metadata.nbgrader = NotebookNode({**usual, "grade_id": grade_id, **kind})
    return cell


def teachers(notebook: NotebookNode) -> NotebookNode:
    """The teacher's edition; ValueError names a cell whose exercise has no answer or no check."""
    book, cells, points = deepcopy(notebook), [], dict[str, int]()
    asked = {name for cell in book.cells for name in _asked(cell)}
    answers = {name: block for cell in book.cells if cell.cell_type == "markdown" for folded in FOLDED.findall(cell.source)
               for block in BLOCK.findall(folded) for name in _defined(block)}
    tests = [_tested(cell.source, asked) if cell.cell_type == "code" else None for cell in book.cells]
    for number, (cell, test) in enumerate(zip(book.cells, tests)):
        if cell.cell_type == "markdown":
            cells += _without_answers(cell, asked)
            continue
        cell.outputs, cell.execution_count = [], None
        cells.append(cell)
        if own := _asked(cell):
            if not (filled := solved(cell.source, answers.get(own[0], ""))):
                raise ValueError(f"cell {number}: {own[0]} has no folded answer that is the cell with lines for each `...`")
            if alone := set(own) - {other[1] for other in tests[number:] if other}:
                raise ValueError(f"cell {number}: {min(alone)} has no check further down")
            points |= dict.fromkeys(own, 2 if sum(found[2].count("\n") + 1 for found in SOLUTION.finditer(filled)) > 4 else 1)
            cell.source = filled
            _mark(cell, own[0], solution=True)
        elif test:
            cell.source = test[0]
            _mark(cell, f"test-{test[1]}", grade=True, locked=True, points=points.get(test[1], 0))
    ids = [cell.metadata.nbgrader.grade_id for cell in cells if "nbgrader" in cell.metadata]
    if twice := {one for one in ids if ids.count(one) > 1}:
        raise ValueError(f"asked for or checked more than once: {min(twice)}")
    book.cells = cells
    return book


def _without_answers(cell: NotebookNode, names: set[str]) -> list[NotebookNode]:
    """A text cell without folded answers; those in words become a cell to write in, without points, which a teacher reads."""
    parts = [part for folded in FOLDED.findall(cell.source) for part in re.split(r"^(?=\*\*\d+\.\*\*)", folded, flags=re.M)]
    told = [part.strip() for part in parts if part.strip() and not names & {*_defined("\n".join(BLOCK.findall(part)))}]
    written = nbformat.v4.new_markdown_cell("\n\n".join(told), id=f"{cell.id}-answers")
    cell.source = FOLDED.sub("", cell.source).strip()
    return [cell] * bool(cell.source) + [_mark(written, written.id, grade=True, solution=True, points=0)] * bool(told)


def students(book: NotebookNode) -> NotebookNode:
    """The student's edition of a teacher's, with nbgrader's checksums."""
    book = deepcopy(book)
    for cell in book.cells:
        if meta := cell.metadata.get("nbgrader"):
            cell.metadata.update({"deletable": False, "editable": False} if meta.locked else {"deletable": False})
            cell.source = HIDDEN.sub("", SOLUTION.sub(r"\1# YOUR CODE HERE\n\1raise NotImplementedError()", cell.source))
            cell.source = "YOUR ANSWER HERE" if cell.cell_type == "markdown" else cell.source
            said = [cell.source, cell.cell_type, meta.grade, meta.solution, meta.locked, meta.grade_id]
            said += [float(meta.points)] if meta.grade else []
            meta.update(cell_type=cell.cell_type, checksum=hashlib.md5("".join(map(str, said)).encode()).hexdigest())
    return book
