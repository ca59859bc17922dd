"""`make assignment`: both editions of all notebooks keep nbgrader's rules, no answer is left for students, nothing is lost."""

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from test_exercises import NOTEBOOKS, _imported, needed
from test_project import PROJECT
from torch.utils.data import DataLoader

from fkp_utils import exercises, pieces, sabotage, slips
from fkp_utils.course import assignment
from fkp_utils.course.editions import HIDDEN, HOLE, solved, students, teachers
from fkp_utils.sabotage import FAULTS

EACH = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
TASK = "def your_sum(a, b):                # two numbers\n    ..."
DONE = "def your_sum(a, b):\n    total = a + b              # both\n    return total"
CHECK = "exercises.check_sum(your_sum)"


def answer(code, words="It is a sum."):
    return f"<details><summary>Answer</summary>\n\n```python\n{code}\n```\n\n{words}\n\n</details>"


def book(*cells):
    """A notebook with code cells, and with text cells for what begins with `#` or `<`; the first one has an output."""
    made = [new_markdown_cell(source) if source[0] in "#<" else new_code_cell(source) for source in cells]
    next(cell for cell in made if cell.cell_type == "code").outputs.append(new_output("stream", text="stored"))
    return new_notebook(cells=made)


def marked(notebook):
    return [cell for cell in notebook.cells if "nbgrader" in cell.metadata]


@EACH
def test_the_metadata_keep_nbgraders_rules(path):
    """Its schema, version 3 (nbgrader/nbgraderformat/v3.json), and what v3.py asks for beyond it."""
    for edition in (source := teachers(nbformat.read(path, 4)), students(source)):
        nbformat.validate(edition)
        ids = [cell.metadata.nbgrader.grade_id for cell in marked(edition)]
        assert len(ids) == len(set(ids)) and all(re.fullmatch(r"[a-zA-Z0-9_\-]+", one) for one in ids)
        for cell in marked(edition):
            meta = cell.metadata.nbgrader
            assert meta.schema_version == 3 and all(type(meta[key]) is bool for key in ("grade", "solution", "locked", "task"))
            assert set(meta) - {"points", "checksum", "cell_type"} == {
                "schema_version", "grade", "solution", "locked", "task", "grade_id"}
            assert ("points" in meta) == meta.grade and meta.get("points", 0) >= 0
            assert meta.grade == meta.solution if cell.cell_type == "markdown" else meta.grade != meta.solution
            assert meta.locked == (meta.grade and not meta.solution)
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in edition.cells)
        for cell in edition.cells:
            for what, where in (("SOLUTION", "solution"), ("HIDDEN TESTS", "grade")):
                begins, ends = (cell.source.count(f"### {word} {what}") for word in ("BEGIN", "END"))
                assert begins == ends and (not begins or (edition is source and cell.metadata.nbgrader[where]))


@EACH
def test_a_students_edition_has_no_answer_and_all_else(path):
    original = nbformat.read(path, 4)
    release = students(teachers(original))
    left, whole = ("\n".join(cell.source for cell in edition.cells) for edition in (release, original))
    folded = re.findall(r"<details.*?</details>", whole, re.S)           # whatever its summary says
    beside = re.sub(r"<details.*?</details>", "", whole, flags=re.S)
    lines = {line.strip() for text in folded for line in text.splitlines() if len(line.strip()) > 12}
    assert lines and not [line for line in lines if line in left and line not in beside]
    assert not any(word in left for word in ("<details", "<summary", "BEGIN", "seed=other"))
    stubbed = HOLE.sub(r"\1# YOUR CODE HERE\n\1raise NotImplementedError()", beside)
    assert not [line for line in stubbed.splitlines() if line not in left and not re.search(r"\.check_\w+\(", line)]


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if "sabotage" in path.read_text()], ids=lambda path: path.stem)
def test_a_students_edition_tells_no_seeds_fault(path):
    """Nor what the probes then show: no text has a seed, or a number, next to a fault's name."""
    original = nbformat.read(path, 4)
    told = [re.compile(rf"{fault}\W{{0,5}}(?:\(seed|\|)\W*\d", re.I) for fault in FAULTS]
    left, whole = ("\n".join(cell.source for cell in book.cells) for book in (students(teachers(original)), original))
    assert sum(bool(one.search(whole)) for one in told) >= 3 and not any(one.search(left) for one in told)


@EACH
def test_right_passes_each_test_and_its_hidden_part_and_nothing_written_none(path, capfd):
    """With the names that are imported, and no others; nothing may go to stderr, which nbgrader takes for a failure."""
    source = teachers(nbformat.read(path, 4))
    code = [cell for cell in source.cells if cell.cell_type == "code"]
    for book, empty in ((source, False), (students(source), True)):
        names = _imported(code)
        for cell in (cell for cell in marked(book) if cell.cell_type == "code"):
            if empty and cell.metadata.nbgrader.grade:
                with pytest.raises(AssertionError, match=r"^not yet"):
                    exec(cell.source, names)
            else:
                exec(cell.source, names)
    said = capfd.readouterr()
    assert said.out.count("right") == sum(cell.metadata.nbgrader.locked for cell in marked(source)) and not said.err


@EACH
def test_every_check_asks_again_with_other_seeds(path):
    for cell in marked(teachers(nbformat.read(path, 4))):
        if cell.metadata.nbgrader.locked:
            [(module, call)] = re.findall(r"(\w+)\.(check_\w+)\(\w+(?:, FAULTS)?, seed=other\)", cell.source)
            check = getattr({"exercises": exercises, "pieces": pieces, "sabotage": sabotage, "slips": slips}[module], call)
            assert "seed" in inspect.signature(check).parameters


def test_a_hidden_test_finds_what_fits_only_the_numbers_that_are_seen():
    def your_validation(model, faces, batch):
        model.eval()
        with torch.no_grad():
            return float(sum((model(x) - y).square().mean() * len(x) for x, y in DataLoader(faces, batch))) / 10

    path = next(path for path in NOTEBOOKS if path.stem == "1_nose_tip")
    [test] = [cell.source for cell in marked(teachers(nbformat.read(path, 4)))
              if cell.metadata.nbgrader.grade_id == "test-your_validation"]
    names = {"pieces": pieces, "your_validation": your_validation}
    exec(HIDDEN.sub("", test), names)
    with pytest.raises(AssertionError, match=r"^wrong"):
        exec(test, names)


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if "sabotage" in path.read_text()], ids=lambda path: path.stem)
def test_a_diagnosis_of_the_seed_that_is_handed_over_alone_gives_no_point(path):
    source = teachers(nbformat.read(path, 4))
    [test] = [cell.source for cell in marked(source) if cell.metadata.nbgrader.grade_id == "test-your_diagnosis"]
    names = _imported([cell for cell in source.cells if cell.cell_type == "code"])
    names["your_diagnosis"] = lambda seed: sabotage.drawn(names["FAULTS"], names["SEED"])
    exec(HIDDEN.sub("", test), names)
    with pytest.raises(AssertionError, match=r"^no: look at"):
        exec(test, names)


def test_the_teachers_page_says_which_seed_hands_over_which_fault():
    """In each part all of its faults, the notebook's own seed in bold, and a probe that tells of each."""
    page = (PROJECT / "notebooks/teachers.md").read_text()
    rows = re.findall(r"^\| (\d) \| (\**)(\d)\**: ([\w' ]+) \| (.*?) \|", page, re.M)
    for path in NOTEBOOKS:
        names = _imported([cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"])
        faults, seed = names["FAULTS"] if path.stem[0] < "5" else tuple(slips.SLIPS), names["SEED"]
        said = [(int(k), fault, bool(bold)) for part, bold, k, fault, _ in rows if part == path.stem[0]]
        assert said == [(k, sabotage.drawn(faults, k), k == seed) for k in range(len(faults))]
    assert len(rows) == 16
    assert all(re.search(f"`({'|'.join(sabotage.PROBES)})`", probe) for part, *_, probe in rows if part < "5")


@EACH
def test_the_teachers_page_has_each_exercise_with_its_points(path):
    page = (PROJECT / "notebooks/teachers.md").read_text()
    for cell in marked(teachers(nbformat.read(path, 4))):
        if cell.metadata.nbgrader.locked:
            name = cell.metadata.nbgrader.grade_id.removeprefix("test-")
            assert f"| `{name}` | {cell.metadata.nbgrader.points} |" in page


def test_the_answer_stands_between_markers_where_the_cell_has_its_dots():
    assert solved(TASK, DONE) == ("def your_sum(a, b):                # two numbers\n    ### BEGIN SOLUTION\n"
                                  "    total = a + b              # both\n    return total\n    ### END SOLUTION")
    two = "class A:\n    def f(self):\n        x = 1        # given\n        ...\n\n    def g(self): # none\n        ...\n"
    full = "class A:\n    def f(self):\n        x = 1\n        # word\n        return x\n\n    def g(self):\n        return 2"
    filled = solved(two, full)
    assert filled.count("### BEGIN SOLUTION") == filled.count("### END SOLUTION") == 2
    assert ast.dump(ast.parse(filled)) == ast.dump(ast.parse(full))
    steps = "def f(a):\n    # first\n    ...\n    # then\n    ...\n"
    assert ast.dump(ast.parse(solved(steps, "def f(a):\n    b = a\n    return b"))) == ast.dump(
        ast.parse("def f(a):\n    b = a\n    return b"))


@pytest.mark.parametrize("text", ["def your_sum(b, a):\n    return a + b", "def your_sum(a, b):", "", "x = 1\n" + DONE,
                                  "def your_sum(a, b):\n    # nothing"], ids=["other", "no body", "none", "before it", "words"])
def test_an_answer_that_is_not_the_cell_filled_in_does_not_fit(text):
    assert not any(line.strip() and not line.strip().startswith("#") for line in solved(TASK, text).splitlines()[2:-1])


def test_questions_get_a_cell_to_write_in_and_code_that_was_asked_for_is_not_told_again():
    told = f"<details><summary>Answers</summary>\n\n**1.**\n\n```python\n{DONE}\n```\n\n**2.** As `a` is one.\n\n</details>"
    source = teachers(book("# Head", TASK, CHECK, "# Why?\n\n" + told))
    [_, _, _, question, written] = source.cells
    assert question.source == "# Why?" and written.source == "**2.** As `a` is one."
    assert students(source).cells[-1].source == "YOUR ANSWER HERE" and written.metadata.nbgrader.points == 0
    assert [cell.metadata.nbgrader.grade_id for cell in marked(source)] == ["your_sum", "test-your_sum", written.id]


def test_checksums_are_nbgraders():
    """Those of nbgrader 0.9.6's utils.compute_checksum for these two cells."""
    task, test = marked(students(teachers(book(TASK, CHECK, answer(DONE)))))
    assert task.metadata.nbgrader.checksum == "19893a6cd510581bc7e064f73fcd983d"
    assert test.metadata.nbgrader.checksum == "30a24cce41eafb2c46dc2b3a04945895"
    assert task.metadata.deletable is False and test.metadata.editable is False and "editable" not in task.metadata


@pytest.mark.parametrize("cells, said", [
    ((TASK, CHECK), "cell 1: your_sum has no folded answer"), ((TASK, CHECK, "# " + DONE), "cell 1: your_sum has no folded"),
    ((TASK, CHECK, answer("def your_sum(a):\n    return a")), "cell 1: your_sum has no folded answer"),
    ((TASK, answer(DONE)), "cell 1: your_sum has no check"), ((CHECK, TASK, answer(DONE)), "cell 2: your_sum has no check"),
    (("...", CHECK), "cell 1: its `...` has no"), ((TASK, CHECK, CHECK, answer(DONE)), "more than once: test-your_sum"),
    ((TASK, TASK, CHECK, answer(DONE)), "more than once: your_sum")],
    ids=["no answer", "not folded", "another", "no check", "check too early", "dots alone", "checked twice", "asked twice"])
def test_an_exercise_without_answer_or_check_is_one_error_and_nothing_is_written(tmp_path, monkeypatch, capsys, cells, said):
    (tmp_path / "notebooks").mkdir()
    for name, content in (("1_a", (TASK, CHECK, answer(DONE))), ("2_b", ("# Head", *cells))):
        nbformat.write(book(*content), tmp_path / f"notebooks/{name}.ipynb")
    monkeypatch.setattr(assignment, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(sys, "argv", ["assignment", str(tmp_path / "course")])
    assert assignment.main() == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("assignment: 2_b.ipynb, ") and said in line and not (tmp_path / "course").exists()


@pytest.fixture
def course(tmp_path, monkeypatch):
    """Writes both editions of two notebooks into a folder where a teacher has been at work already."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/words.md").write_text("# Words\n")
    (tmp_path / "notebooks/teachers.md").write_text("It is a sum.\n")
    for name in ("1_a", "2_b"):
        nbformat.write(book("# Head", TASK, CHECK, answer(DONE)), tmp_path / f"notebooks/{name}.ipynb")
    monkeypatch.setattr(assignment, "NOTEBOOKS", tmp_path / "notebooks")
    for name in ("gradebook.db", "submitted/ann/1_a/1_a.ipynb", "source/own/own.ipynb"):
        (tmp_path / "course" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "course" / name).write_text("work")
    return tmp_path / "course"


def write(course):
    return assignment.write(course, sorted(assignment.NOTEBOOKS.glob("*.ipynb")))


def test_each_notebook_becomes_an_assignment_beside_what_is_there(course):
    before = assignment._files(course)
    assert write(course) == ["1_a: 1 tests, 1 points", "2_b: 1 tests, 1 points"]
    made = assignment._files(course)
    assert before.items() <= made.items()
    assert {str(path) for path in made.keys() - before.keys() if path.name[0] != "."} == {
        f"{edition}/{name}/{file}" for edition in ("source", "release") for name in ("1_a", "2_b")
        for file in (f"{name}.ipynb", "words.md")}
    assert write(course) == ["1_a: 1 tests, 1 points", "2_b: 1 tests, 1 points"]
    assert assignment._files(course) == made and not (course / "before").exists()


def test_what_a_teacher_has_changed_is_kept(course):
    write(course)
    (course / "source/1_a/1_a.ipynb").write_text("edited")
    (course / "release/2_b/more.txt").write_text("mine")
    *_, said = write(course)
    [kept] = (course / "before").iterdir()
    assert str(kept) in said and (kept / "source/1_a/1_a.ipynb").read_text() == "edited"
    assert (kept / "release/2_b/more.txt").read_text() == "mine" and not (kept / "source/2_b").exists()
    assert "BEGIN SOLUTION" in (course / "source/1_a/1_a.ipynb").read_text()


@pytest.mark.parametrize("error", [OSError("disk"), KeyboardInterrupt()], ids=["OSError", "Ctrl-C"])
@pytest.mark.parametrize("after", range(8))
def test_what_stops_half_way_leaves_all_as_it_was(course, monkeypatch, error, after):
    write(course)
    for path in course.glob("[rs]*/[12]*/*.ipynb"):
        path.write_text("edited")
    before, replace, done = assignment._files(course), os.replace, []

    def stops(old, new):
        if Path(old).is_dir():
            done.append(new)
            if len(done) == after + 1:
                raise error
        replace(old, new)
    monkeypatch.setattr(assignment.os, "replace", stops)
    with pytest.raises(type(error)):
        write(course)
    assert assignment._files(course) == before


def test_make_clean_leaves_a_course_that_may_have_submissions(tmp_path):
    shutil.copy(PROJECT / "Makefile", tmp_path)
    shutil.copytree(PROJECT / "fkp_utils", tmp_path / "fkp_utils", ignore=shutil.ignore_patterns("__pycache__"))
    kept, gone = (tmp_path / "build" / name for name in ("assignment/gradebook.db", "notebook1/a.jpg"))
    for path in (kept, gone):
        path.parent.mkdir(parents=True)
        path.write_text("work")
    assert subprocess.run(["make", "-C", str(tmp_path), "clean"], capture_output=True).returncode == 0
    assert kept.exists() and not gone.exists()


def _short(path):
    """A notebook's imports, SEED, FAULTS and exercises alone, which take seconds."""
    notebook = nbformat.read(path, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    imports = [node for cell in code[2:] for node in needed(cell)]
    cells = [cell for cell in notebook.cells if HOLE.search(cell.source) or "<summary>" in cell.source
             or re.match(r"\w+\.check_", cell.source)]
    notebook.cells = [code[0], new_code_cell("\n".join(map(ast.unparse, imports))), *cells]
    return notebook


@pytest.mark.training
@EACH
def test_nbgrader_itself_gives_the_right_points(path, tmp_path):
    """Generate, submit (right, one wrong, empty), autograde; its release is ours, byte by byte."""
    api = pytest.importorskip("nbgrader.api")
    (tmp_path / "notebooks").mkdir()
    nbformat.write(_short(path), tmp_path / "notebooks" / path.name)
    shutil.copy(PROJECT / "notebooks/words.md", tmp_path / "notebooks")
    course, name = tmp_path / "course", path.stem
    assignment.write(course, [tmp_path / "notebooks" / path.name])
    ours = assignment._files(course / "release")
    source, release = (nbformat.read(course / edition / name / path.name, 4) for edition in ("source", "release"))
    tasks = [cell for cell in marked(source) if cell.cell_type == "code" and cell.metadata.nbgrader.solution]
    right = {cell.metadata.nbgrader.grade_id: re.sub(r"(?m)^.*### .*SOLUTION\n?", "", cell.source) for cell in tasks}
    last = tasks[-1].metadata.nbgrader.grade_id
    wrong = right | {last: re.sub(r"return .*", "return 0", right[last])}
    for who, answers in (("right", right), ("wrong", wrong), ("empty", {})):
        for cell in marked(release):
            cell.source = answers.get(cell.metadata.nbgrader.grade_id, cell.source)
        (folder := course / "submitted" / who / name).mkdir(parents=True)
        nbformat.write(release, folder / path.name)
        release = nbformat.read(course / "release" / name / path.name, 4)
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "FKP_PROFILE": "smoke", "OMP_NUM_THREADS": "1",
                   "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}     # where it looks for alembic
    for command in (["generate_assignment", name, "--force"], ["autograde", name, "--Execute.timeout=300"]):
        done = subprocess.run([sys.executable, "-m", "nbgrader", *command, f"--course-dir={course}"], env=environment,
                              cwd=course, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert assignment._files(course / "release") == ours
    points = {cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader.points for cell in marked(source) if
              cell.metadata.nbgrader.locked}
    with api.Gradebook(f"sqlite:///{course}/gradebook.db") as book:
        scores = {who: book.find_submission(name, who).score for who in ("right", "wrong", "empty")}
    assert scores == {"right": sum(points.values()), "wrong": sum(points.values()) - points[f"test-{last}"], "empty": 0}
