"""What the README says is so: its commands run, its drawing is the code's, its links lead somewhere."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from skimage import data
from test_project import LAYERS, PACKAGE, PROJECT, imports

from fkp_utils.datasets.personal import free_portraits
from fkp_utils.folders import WEIGHTS
from fkp_utils.nets.shipped import SHIPPED

TEXT = (PROJECT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, flags=re.S)
COMMANDS = [line.split("#")[0].split() for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]


sys.path.insert(0, str(PROJECT / "bench" / "shipped_files"))

import screens  # noqa: E402


def import_graph() -> dict[str, set[str]]:
    """What each module (or folder of modules) of the package needs, without what its needs need."""
    needs = {name: set() for name in LAYERS}
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if name != "__init__":
            needs[name] |= imports(path) - {name}

    def all_of(name):
        return needs[name].union(*(all_of(other) for other in needs[name]))
    return {name: {need for need in direct if not any(need in all_of(other) for other in direct - {need})}
            for name, direct in needs.items()}


def test_the_drawing_is_the_import_graph():
    [drawing] = [block for kind, block in BLOCKS if kind == "mermaid"]
    drawn = {}
    for line in drawing.splitlines()[1:]:
        name, _, needed = line.strip().partition(" --> ")
        drawn[name] = set(needed.split(" & ")) - {""}
    assert drawn == import_graph()


def test_every_module_is_in_the_table():
    rows = " ".join(line.split("|")[1] for line in TEXT.splitlines() if line.startswith("| `"))
    public = {name for name in LAYERS if not name.startswith("_")} - {"errors", "files", "landmarks"}
    assert all(f"`{name}" in rows for name in public)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z]+)", TEXT)) - {"it"}))
def test_every_make_target_exists(target):
    done = subprocess.run(["make", "-n", "-C", str(PROJECT), target], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with photo.jpg and other.jpg, as a user would have it, from which the package can be imported."""
    if not SHIPPED:
        pytest.fail("no weights come with the project")
    Image.fromarray(data.astronaut()).save(tmp_path / "photo.jpg", quality=95)
    Image.fromarray(free_portraits()["Grace Hopper"]).save(tmp_path / "other.jpg", quality=95)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_python_blocks_run(desk):
    for kind, block in BLOCKS:
        if kind == "python" and "@register" not in block:                # the new dataset has tests of its own
            names = {}
            exec(block, names)
            assert len(names["faces"]) == 1 and (desk / "photo.landmarks.png").stat().st_size > 10_000


@pytest.mark.training
@pytest.mark.parametrize("command", [c for c in COMMANDS if c and c[0] == ".venv/bin/python"], ids=lambda c: c[2])
def test_commands_run(command, desk, embedded):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    environment.pop("FKP_DATA", None)
    done = subprocess.run([sys.executable, *command[1:]], cwd=desk, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = [word for word in command if re.search(r"\.(csv|safetensors)$", word) and word not in SHIPPED]
    assert all((desk / name).exists() for name in made)


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert Path(PROJECT, link).exists(), link


def test_the_weights_card_has_the_checksums_of_the_files():
    told = re.findall(r"^([0-9a-f]{64})  (\S+)$", (WEIGHTS / "README.md").read_text(), re.M)
    assert {name: digest for digest, name in told} == SHIPPED
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in WEIGHTS.glob("*.[os]*")} == SHIPPED


def test_the_picture_of_a_widget_is_what_notebook_3_keeps():
    assert screens.apart(screens.small(screens.widget()), "widget") < 3          # of another training: 10
