"""The environment's installation, JupyterLab's settings, and the notebooks' reset."""

import base64
import shutil
import subprocess
import sys
import tomllib

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from test_project import PROJECT

from fkp_utils.course import install, lab, reset


@pytest.mark.parametrize("torch, system, machine, needed", [
    ("default", "Linux", "x86_64", 5.7), ("cpu", "Linux", "x86_64", 2.0), ("default", "Linux", "aarch64", 2.0),
    ("default", "Darwin", "arm64", 2.0), ("default", "Windows", "AMD64", 2.0)])
def test_the_size_of_the_environment_is_known_by_platform(torch, system, machine, needed):
    assert install.gigabytes(torch, system, machine) == needed


def test_pip_takes_pytorchs_own_cpu_wheels_where_they_are_asked_for(tmp_path):
    make, small = install.commands(tmp_path / "v", "cpu", None)
    assert make == [sys.executable, "-m", "venv", str(tmp_path / "v")]
    assert small[1:4] == ["-m", "pip", "install"] and small[-2:] == ["-r", str(PROJECT / "requirements.txt")]
    assert small[small.index("--extra-index-url") + 1] == "https://download.pytorch.org/whl/cpu"
    assert "--extra-index-url" not in install.commands(tmp_path / "v", "default", None)[1]


def test_uv_installs_where_it_is(tmp_path):
    make, small = install.commands(tmp_path / "v", "cpu", "/bin/uv")
    assert make[:2] == ["/bin/uv", "venv"] and small[:3] == ["/bin/uv", "pip", "install"]
    assert small[small.index("--torch-backend") + 1] == "cpu"
    assert small[small.index("--python") + 1] == str(tmp_path / "v" / "bin" / "python")
    assert "--torch-backend" not in install.commands(tmp_path / "v", "default", "/bin/uv")[1]


@pytest.mark.parametrize("free, torch, said", [(6.0e9, "default", "TORCH=cpu takes 2 GB"), (2.2e9, "cpu", "make room")])
def test_too_little_disk_is_said_before_anything_is_made(tmp_path, monkeypatch, free, torch, said):
    monkeypatch.setattr(install.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1e12, 0, free))
    monkeypatch.setattr(install.platform, "system", lambda: "Linux")
    monkeypatch.setattr(install.platform, "machine", lambda: "x86_64")
    with pytest.raises(ValueError, match=said):
        install.install(tmp_path / "v", torch, run=lambda command: pytest.fail("ran"))
    monkeypatch.setattr(install.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1e12, 0, 8e9))
    ran = []
    install.install(tmp_path / "v", torch, run=ran.append)
    assert len(ran) == 2


@pytest.mark.parametrize("given, expected", [([], "default"), (["TORCH=cpu"], "cpu")])
def test_make_passes_the_choice_of_pytorch_on(tmp_path, given, expected):
    done = subprocess.run(["make", "-n", "-C", str(PROJECT), "figures", f"VENV={tmp_path}/v", *given], capture_output=True,
                          text=True)
    assert f"-m fkp_utils.course.install {tmp_path}/v --torch {expected}" in done.stdout


def test_the_installer_needs_nothing_but_python():
    """-S leaves site-packages out: importing anything that is not Python's own would fail."""
    done = subprocess.run([sys.executable, "-S", "-m", "fkp_utils.course.install", "--help"], cwd=PROJECT, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_the_project_is_a_package_with_the_requirements_pins():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["dependencies"] and project["project"]["requires-python"] == ">=3.11"
    assert project["tool"]["setuptools"]["dynamic"]["dependencies"] == {"file": ["requirements.txt"]}
    for patterns in project["tool"]["setuptools"]["package-data"].values():
        assert all(list((PROJECT / "fkp_utils").glob(pattern)) for pattern in patterns)


def test_saved_notebooks_keep_pictures_and_lose_dead_widgets():
    picture = {"image/png": base64.b64encode(b"png").decode(), lab.WIDGET: {"model_id": "1"}, "text/plain": "panel"}
    bar = {lab.WIDGET: {"model_id": "2"}, "text/plain": "100%"}
    outputs = [new_output("execute_result", dict(picture)), new_output("display_data", dict(bar))]
    model = {"type": "notebook", "content": new_notebook(cells=[new_code_cell("x", outputs=outputs)])}
    lab.without_widgets(model, path="a.ipynb", contents_manager=None)
    first, second = (output["data"] for output in model["content"]["cells"][0]["outputs"])
    assert first == {key: picture[key] for key in ("image/png", "text/plain")} and second == bar
    lab.without_widgets({"type": "file", "content": "text"})


@pytest.mark.training
@pytest.mark.parametrize("stored, passes", [("3\n", True), ("4\n", False)])
def test_a_notebook_that_was_run_and_saved_passes(tmp_path, stored, passes):
    """Its first run had something to do, and a bar; what it prints is compared all the same."""
    shutil.copy(PROJECT / "notebooks" / "conftest.py", tmp_path)
    bar = new_output("display_data", {lab.WIDGET: {"model_id": "2"}, "text/plain": "cropping faces: 100%"})
    outputs = [bar, new_output("stream", name="stderr", text="50%"), new_output("stream", name="stdout", text=stored)]
    notebook = new_notebook(cells=[new_code_cell("print(1 + 2)", outputs=outputs, execution_count=1)], metadata={
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
    nbformat.write(notebook, tmp_path / "1_run.ipynb")
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "-p", "no:cacheprovider", "1_run.ipynb"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode == 0) == passes and ("1 passed" if passes else "1 failed") in done.stdout


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A git repository with two notebooks."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name in ("1_a", "2_b"):
        cells = [new_code_cell("1 + 1", id="one"), new_code_cell("# yours", id="two")]
        nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "as it came"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    monkeypatch.setattr(reset, "PROJECT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["reset"])
    return tmp_path


def _run_and_saved(path, source="1 + 1"):
    notebook = nbformat.read(path, 4)
    notebook.cells[0].source, notebook.cells[0].execution_count = source, 7
    nbformat.write(notebook, path)


def test_reset_says_what_goes_and_asks(clone, monkeypatch, capsys):
    assert reset.main() == 0 and "as they came" in capsys.readouterr().out
    _run_and_saved(clone / "notebooks/1_a.ipynb")
    _run_and_saved(clone / "notebooks/2_b.ipynb", "my_own = 3")
    mine = (clone / "notebooks/2_b.ipynb").read_bytes()
    monkeypatch.setattr("builtins.input", lambda question: "n")
    assert reset.main() == 1 and (clone / "notebooks/2_b.ipynb").read_bytes() == mine
    said = capsys.readouterr().out
    assert "1_a.ipynb: run, no cell edited" in said and "2_b.ipynb: 1 cell(s) edited" in said
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert reset.main() == 0 and reset.changed(clone) == {}
    [kept] = (clone / "build" / "before_reset").iterdir()
    assert (kept / "2_b.ipynb").read_bytes() == mine


def test_reset_restores_what_was_deleted_or_broken(clone, monkeypatch):
    (clone / "notebooks/1_a.ipynb").unlink()
    (clone / "notebooks/2_b.ipynb").write_text("{")
    assert reset.changed(clone) == {"notebooks/1_a.ipynb": "deleted", "notebooks/2_b.ipynb": "not a notebook any more"}
    monkeypatch.setattr(sys, "argv", ["reset", "--yes"])
    assert reset.main() == 0 and reset.changed(clone) == {}


def test_reset_outside_of_a_clone_changes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(reset, "PROJECT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["reset", "--yes"])
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert reset.main() == 1 and "not a git repository" in capsys.readouterr().err
