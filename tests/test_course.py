"""The environment's installation, JupyterLab's settings, and the notebooks' reset."""

import base64
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from test_project import PROJECT

from fkp_utils.course import __main__, install, lab, reset


@pytest.mark.parametrize("torch, system, machine, needed", [
    ("default", "Linux", "x86_64", 5.7), ("cpu", "Linux", "x86_64", 2.0), ("default", "Linux", "aarch64", 2.0),
    ("default", "Darwin", "arm64", 2.0), ("default", "Windows", "AMD64", 2.0)])
def test_the_size_of_the_environment_is_known_by_platform(torch, system, machine, needed):
    assert install.gigabytes(torch, system, machine) == needed


def test_pip_takes_pytorchs_own_cpu_wheels_where_they_are_asked_for(tmp_path):
    make, small = install.commands(tmp_path / "v", "cpu", None)
    assert make == [sys.executable, "-m", "venv", str(tmp_path / "v")]
    assert small[1:5] == ["-I", "-m", "pip", "install"] and small[-2:] == ["-r", str(PROJECT / "requirements.txt")]
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
    monkeypatch.setattr(install, "REQUIREMENTS", tmp_path / "requirements.txt")
    (tmp_path / "requirements.txt").write_text("one==1.0\n")
    install.install(tmp_path / "v", torch, run=_Runner(ran, "one==1.0\n"))
    assert [command[-2:] for command in ran][2] == ["-r", str(tmp_path / "requirements.txt")] and len(ran) == 4


class _Runner:
    """Stands for subprocess.run: keeps commands; the environment that it is asked about has `installed`."""

    def __init__(self, ran, installed, listed=""):
        self.ran, self.installed, self.listed, self.environments = ran, installed, listed, []

    def __call__(self, command, env=None, **options):
        self.ran.append(command)
        self.environments.append(env)
        said = self.listed if "config" in command else self.installed if "-c" in command else ""
        return subprocess.CompletedProcess(command, 0, said)


LISTED = """For variant 'global', will try loading '/etc/pip.conf'
:env:.user='1'
global.index-url='https://a.example/simple'
global.extra-index-url='\\nhttps://b.example/1\\nhttps://b.example/2'
global.timeout='60'
install.timeout='90'
install.user='true'
install.target='elsewhere'
install.no-deps='yes'
install.find-links="/it's"
list.format='json'
"""


def test_settings_that_say_where_packages_come_from_stay_and_those_that_send_them_elsewhere_go(monkeypatch):
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    kept = {"PIP_INDEX_URL": "https://a.example", "PIP_CERT": "/c.pem", "UV_INDEX": "u", "PIP_CONFIG_FILE": "/p"}
    for name, value in kept.items():
        monkeypatch.setenv(name, value)
    for name in ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_DRY_RUN", "PIP_NO_DEPS", "PIP_PYTHON", "PIP_user",
                 "PIP_REQUIRE_HASHES", "UV_SYSTEM_PYTHON", "UV_PYTHON", "UV_WORKING_DIR", "PYTHONPATH", "PYTHONHOME"):
        monkeypatch.setenv(name, "1")
    found = install.settings(LISTED)
    assert {name: value for name, value in found.items() if name.startswith(("PIP_", "UV_", "PYTHON"))
            and name not in ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")} == {
        **kept, "PIP_EXTRA_INDEX_URL": "\nhttps://b.example/1\nhttps://b.example/2", "PIP_TIMEOUT": "90",
        "PIP_FIND_LINKS": "/it's"}
    assert found["PATH"] == os.environ["PATH"]


def test_an_environment_that_lacks_a_package_is_an_error_that_names_it(tmp_path, monkeypatch):
    """Names in any spelling, PyTorch's versions with what they were built for."""
    wanted = "torch==2.13.0   # the net\nPillow_heif==1.8.1\n\n# words\nscikit-image==0.26.0\ntqdm==4.70.1\n"
    assert install.lacking(wanted, "torch==2.13.0+cpu\npillow-heif==1.8.1\nscikit_image==0.26.0\ntqdm==4.70.1\n") == []
    assert install.lacking(wanted, "torch==2.13.1\npillow.heif==1.8.1\n") == [
        "torch==2.13.0", "scikit-image==0.26.0", "tqdm==4.70.1"]
    monkeypatch.setattr(install, "REQUIREMENTS", tmp_path / "requirements.txt")
    monkeypatch.setattr(install.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1e12, 0, 1e12))
    (tmp_path / "requirements.txt").write_text(wanted)
    with pytest.raises(ValueError, match=r"lacks torch==2.13.0, pillow-heif==1.8.1, scikit-image==0.26.0 and more"):
        install.install(tmp_path / "v", "cpu", run=_Runner([], "pip==25.0\n"))


@pytest.mark.training
@pytest.mark.parametrize("section", ["[install]\nuser = 1\ndry-run = 1\n[global]\n", "[install]\ntarget = there\n[global]\n",
                                     "[global]\nquiet = 1\nprefix = there\nroot = there\n"])
def test_packages_come_into_the_environment_whatever_pips_file_says(tmp_path, monkeypatch, capfd, section):
    """The package lies in a folder of this machine, which the same file names."""
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels" / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    (tmp_path / "pip.conf").write_text(f"{section}no-index = true\nfind-links = {tmp_path / 'wheels'}\n")
    (tmp_path / "requirements.txt").write_text("tiny==1.0\n")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_TARGET", "there")
    monkeypatch.setattr(install, "REQUIREMENTS", tmp_path / "requirements.txt")
    monkeypatch.setattr(install.shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["install", str(tmp_path / "v")])
    monkeypatch.chdir(tmp_path)
    assert install.main() == 0, capfd.readouterr().err
    assert list((tmp_path / "v").rglob("tiny.py")) and not (tmp_path / "there").exists()


@pytest.mark.parametrize("given, expected", [([], "default"), (["TORCH=cpu"], "cpu")])
def test_make_passes_the_choice_of_pytorch_on(tmp_path, given, expected):
    done = subprocess.run(["make", "-n", "-C", str(PROJECT), "figures", f"VENV={tmp_path}/v", *given], capture_output=True,
                          text=True)
    assert f'-m fkp_utils.course figures --venv "{tmp_path}/v" --torch {expected} --profile "quick"' in done.stdout


@pytest.mark.parametrize("module", ["course.install", "course", "website.serve"])
def test_what_makes_the_environment_needs_nothing_but_python(module):
    """-S leaves site-packages out: importing anything that is not Python's own would fail."""
    done = subprocess.run([sys.executable, "-S", "-m", f"fkp_utils.{module}", "--help"], cwd=PROJECT, capture_output=True)
    assert done.returncode == 0, done.stderr


def _made_by_make(*given):
    """The line that make would run for a target with these variables, without its Python."""
    make = ["make", "-n", "-C", str(PROJECT), "PYTHON=python3", *given]
    done = subprocess.run(make, capture_output=True, text=True, check=True)
    [line] = [line for line in done.stdout.splitlines() if "fkp_utils.course" in line]
    return shlex.split(line)[3:]


@pytest.mark.parametrize("given, ran", [
    (["figures"], [["-m", "fkp_utils.website.run_notebooks", "--profile", "quick"]]),
    (["figures", "PROFILE=full", "DATA=my data", "CHECK=1"],
     [["-m", "fkp_utils.website.run_notebooks", "--profile", "full", "--data", "my data", "--check"]]),
    (["notebooks"], [["-m", "fkp_utils.website.run_notebooks", "--store"]]),
    (["lab"], [["-m", "fkp_utils.course.lab"]]), (["lab", "ALLOW_ROOT=1"], [["-m", "fkp_utils.course.lab", "--allow-root"]]),
    (["reset"], [["-m", "fkp_utils.course.reset"]]), (["data", "ACCEPT_TERMS=1"], [["-m", "fkp_utils.datasets.download"]]),
    (["assignment", "COURSE=cs 180"], [["-m", "fkp_utils.course.assignment", "cs 180"]]),
    (["site"], [["-m", "fkp_utils.website.page"], ["-m", "fkp_utils.website.demo"]]),
    (["serve"], [["-m", "fkp_utils.website.serve"]])])
def test_make_and_the_python_command_run_the_same(given, ran):
    options = __main__._parser().parse_args(_made_by_make(*given))
    assert __main__.jobs(options) == ran and options.venv == Path(".venv")
    assert __main__.settings(options, ran[0]).get("ACCEPT_TERMS") == ("1" if "ACCEPT_TERMS=1" in given else None)


def test_every_target_of_make_is_a_python_command_and_the_other_way_round():
    [names] = re.findall(r"^TARGETS := (.*)$", (PROJECT / "Makefile").read_text(), re.M)
    assert names.split() == list(__main__.ABOUT)
    assert [Path(job[0]).stem for job in __main__.jobs(__main__._parser().parse_args(["bench"]))] == list(__main__.BENCHES)
    assert all((PROJECT / "bench" / "speed" / f"{name}.py").is_file() for name in __main__.BENCHES)


def test_tests_take_a_thread_each(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    options = __main__._parser().parse_args(["test"])
    unit, notebooks = __main__.jobs(options)
    assert [__main__.settings(options, job)["OMP_NUM_THREADS"] for job in (unit, notebooks, ["-m", "other"])] == ["1", "1", "2"]
    assert (unit[-1], notebooks[-1]) == ("tests", "notebooks") and int(unit[unit.index("-n") + 1]) == os.cpu_count() + 1
    assert __main__.jobs(__main__._parser().parse_args(["check"])) == [[*unit, "-m", "not training and not browser"]]


def test_the_environment_is_made_where_it_is_not_there_or_older_than_the_requirements(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(install, "install", lambda folder, torch: (folder.mkdir(exist_ok=True), made.append(torch)))
    monkeypatch.setattr(__main__, "REQUIREMENTS", tmp_path / "requirements.txt")
    (tmp_path / "requirements.txt").write_text("one==1.0\n")
    assert __main__._prepared(tmp_path / "v", "cpu") == tmp_path / "v" / install.PYTHON
    __main__._prepared(tmp_path / "v", "cpu")
    assert made == ["cpu"]
    later = (tmp_path / "v" / ".installed").stat().st_mtime + 10
    os.utime(tmp_path / "requirements.txt", (later, later))
    __main__._prepared(tmp_path / "v", "default")
    assert made == ["cpu", "default"]


def test_a_target_ends_at_the_first_job_that_fails_and_its_python_is_the_environments(tmp_path, monkeypatch):
    ran = []

    def start(line, cwd, env):
        ran.append(line)
        return subprocess.Popen([sys.executable, "-c", f"raise SystemExit({len(ran) - 1})"])
    monkeypatch.setattr(__main__, "_prepared", lambda folder, torch: folder / "python")
    monkeypatch.setattr(__main__, "subprocess", SimpleNamespace(Popen=start, CalledProcessError=subprocess.CalledProcessError))
    assert __main__.main(["bench", "--venv", str(tmp_path)]) == 1 and len(ran) == 2
    assert [line[0] for line in ran] == [str(tmp_path / "python")] * 2
    assert __main__.main(["serve"]) == 2 and ran[2][0] == sys.executable


def test_ctrl_c_waits_until_the_job_has_ended_as_it_wants_to():
    answers = iter([KeyboardInterrupt(), KeyboardInterrupt(), 130])

    class Job:
        def wait(self):
            if isinstance(answer := next(answers), BaseException):
                raise answer
            return answer
    assert __main__._wait(Job()) == 130
    assert __main__._wait(subprocess.Popen(["sh", "-c", "kill -9 $$"])) == 137


def test_an_older_python_is_told_which_one_is_needed(tmp_path):
    code = "import sys; sys.version_info = (3, 10, 1)\nimport fkp_utils.course"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("Python 3.11 or later is needed") and done.stderr.count("\n") == 1


def test_the_project_is_a_package_with_the_requirements_pins():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["dependencies"] and project["project"]["requires-python"] == ">=3.11"
    assert project["tool"]["setuptools"]["dynamic"]["dependencies"] == {"file": ["requirements.txt"]}
    parts = project["tool"]["setuptools"]
    folders = {name: PROJECT / parts["package-dir"].get(name, name.replace(".", "/")) for name in parts["packages"]}
    assert {path.parent for path in (PROJECT / "fkp_utils").rglob("*.py")} == {f for f in folders.values() if f.is_relative_to(
        PROJECT / "fkp_utils")}
    taken = {path for name, patterns in parts["package-data"].items() for each in patterns for path in folders[name].glob(each)
             if path.is_file()}
    ours = "fkp_utils", "data/embedded", "data/weights", "data/measured"
    here = [path for folder in ours for path in (PROJECT / folder).rglob("*")]
    assert {path for path in here if path.is_file() and path.suffix not in (".py", ".pyc")} == taken


@pytest.mark.training
def test_an_installed_package_has_its_weights_and_keeps_what_it_makes_in_the_users_cache(tmp_path):
    for name in ("fkp_utils", "data/embedded", "data/weights", "data/measured", "tests"):
        shutil.copytree(PROJECT / name, tmp_path / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, tmp_path / "source")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", tmp_path / "site", tmp_path / "source"], check=True, capture_output=True)
    assert {path.name for path in (tmp_path / "site").iterdir()} == {"fkp_utils", "fkp_utils-1.0.0.dist-info"}
    code = """
from skimage import data
from fkp_utils import folders, predict
from fkp_utils.datasets import EMBEDDED, IMMFaces, download, scenes
from fkp_utils.website.report import measured
print(len(predict.landmarks(data.astronaut())), scenes.UNLABELLED.is_file(), len(measured("part1")["rows"]) > 2,
      download.HASHES.is_file(), len(IMMFaces(EMBEDDED, "val", size=(60, 80))), folders.CHECKPOINTS, sep="\\n")"""
    cache = tmp_path / "cache"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env={
        **os.environ, "PYTHONPATH": str(tmp_path / "site"), "XDG_CACHE_HOME": str(cache)})
    assert done.stdout.splitlines() == ["1", "True", "True", "True", "48",
                                        str(cache / "fkp_utils/build/checkpoints")], done.stderr


def test_make_clean_leaves_the_only_copies_of_somebodys_work(tmp_path):
    parts = ["Makefile", *(f"fkp_utils/{name}.py" for name in ("__init__", "command", "errors", "folders")),
             *(f"fkp_utils/course/{name}.py" for name in ("__init__", "__main__", "clean", "install"))]
    for name in parts:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    stays = ["build/before_reset/then/1_a.ipynb", "build/checkpoints/nosenet-1.pt", "build/full-data/checkpoints/a.pt",
             "data/personal/me.jpg", "data/weights/a.safetensors", "notebooks/1_a.ipynb", "data/imm_face_db/01-1m.asf",
             "data/embedded/README.md"]
    goes = [".venv/bin/python", "build/cache/faces.npy", "build/full-data/1_a.ipynb", "build/.figures.lock",
            "build/notebook1/a b.jpg", "fkp_utils/__pycache__/a.pyc"]
    for name in [*stays, *goes]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("work")
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "kept.txt").write_text("work")
    (tmp_path / "build" / "link").symlink_to(tmp_path / "others")
    stays.append("others/kept.txt")
    for _ in range(2):                                       # the second time there is nothing left to do
        done = subprocess.run(["make", "-C", str(tmp_path), "clean"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == sorted([*stays, *parts])
    assert not (tmp_path / "build/cache").exists()
    shutil.rmtree(tmp_path / "build")
    assert subprocess.run(["make", "-C", str(tmp_path), "clean"], capture_output=True).returncode == 0


@pytest.mark.parametrize("user, given, starts", [(0, [], False), (0, ["--allow-root"], True), (1000, [], True)])
def test_lab_opens_the_first_notebook_and_advises_root(monkeypatch, capsys, user, given, starts):
    started = []
    monkeypatch.setattr(lab.os, "geteuid", lambda: user, raising=False)
    monkeypatch.setattr(lab.LabApp, "launch_instance", started.extend)
    monkeypatch.setattr(sys, "argv", ["lab", *given])
    assert lab.main() == (0 if starts else 1) and bool(started) == starts
    assert ("--allow-root" in capsys.readouterr().err) != starts
    assert (f"--LabApp.default_url=/lab/tree/{lab.FIRST}" in started) == starts
    assert (PROJECT / lab.FIRST).is_file()
    assert not starts or f"--ServerApp.root_dir={PROJECT}" in started


def test_links_of_the_notebooks_lead_to_files():
    """Relative to the notebook, inside of what JupyterLab serves."""
    for path in (PROJECT / "notebooks").glob("*.ipynb"):
        for cell in nbformat.read(path, 4).cells:
            text = cell.source if cell.cell_type == "markdown" else ""
            prose = re.sub(r"```.*?```|`[^`]*`|\$\$?[^$]+\$", "", text, flags=re.S)
            for link in re.findall(r"\]\(([^)#]+)[^)]*\)", prose):
                assert link.startswith(("http", "attachment")) or (path.parent / link).is_file(), (path.name, link)


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


def _git(folder, *arguments):
    author = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"]
    subprocess.run(["git", "-C", str(folder), *author, *arguments], check=True, capture_output=True)


def _course(project, monkeypatch, names=("1_a", "2_b")):
    """A project with notebooks, which `reset.main` takes for its own."""
    for name in names:
        path = project / "notebooks" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(new_notebook(cells=[new_code_cell("1 + 1", id="one"), new_code_cell("# yours", id="two")]), path)
    monkeypatch.setattr(reset, "PROJECT", project)
    monkeypatch.setattr(sys, "argv", ["reset"])
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.parents[2]))
    return project


def _committed(folder):
    _git(folder, "init", "-q")
    _git(folder, "add", ".")
    _git(folder, "commit", "-qm", "as it came")


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A git repository with two notebooks."""
    _course(tmp_path, monkeypatch)
    _committed(tmp_path)
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


@pytest.mark.parametrize("kind", ["folder", "link to a folder", "link to nothing", "pipe", "file for the folder"])
def test_reset_keeps_what_is_in_a_notebooks_place(clone, monkeypatch, kind):
    """git alone removes a folder there with all that is in it."""
    path, folder = clone / "notebooks/1_a.ipynb", clone / "notebooks"
    path.unlink()
    (clone / "mine").mkdir()
    (clone / "mine/notes.txt").write_text("mine")
    if kind == "folder":
        (clone / "mine").rename(path)
    elif "link" in kind:
        path.symlink_to(clone / ("gone" if "nothing" in kind else "mine"))
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        (folder / "2_b.ipynb").unlink()
        folder.rmdir()
        folder.write_text("mine")
    said = reset.changed(clone)
    assert said["notebooks/1_a.ipynb"] == ("deleted" if "file" in kind else "not a notebook any more")
    monkeypatch.setattr(sys, "argv", ["reset", "--yes"])
    assert reset.main() == 0 and reset.changed(clone) == {} and path.is_file()
    [kept] = (clone / "build/before_reset").iterdir()
    left = kept / ("notebooks" if "file" in kind else "1_a.ipynb")
    found = {"folder": lambda: (left / "notes.txt").read_text() == "mine", "pipe": left.is_fifo,
             "file for the folder": lambda: left.read_text() == "mine"}
    assert found.get(kind, left.is_symlink)() and ((clone / "mine/notes.txt").exists() or kind == "folder")


def test_reset_where_nobody_can_answer_changes_nothing(clone, monkeypatch, capsys):
    _run_and_saved(clone / "notebooks/1_a.ipynb", "mine")
    monkeypatch.setattr(sys, "stdin", None)                   # `<&-`
    assert reset.main() == 1 and "nothing was changed" in capsys.readouterr().out and reset.changed(clone)


def test_reset_does_not_say_that_what_was_committed_came_so(clone, capsys):
    _run_and_saved(clone / "notebooks/1_a.ipynb", "mine")
    _git(clone, "commit", "-qam", "mine")
    assert reset.main() == 0 and "as they came, or as you have committed them" in capsys.readouterr().out


def _as_a_folder(tmp_path):
    _committed(tmp_path)
    return tmp_path / "cs 180" / "größe"


def _as_a_submodule(tmp_path):
    _committed(tmp_path / "cs 180" / "größe")
    (tmp_path / "outer").mkdir()
    _git(tmp_path / "outer", "init", "-q")
    _git(tmp_path / "outer", "submodule", "add", "-q", str(tmp_path / "cs 180" / "größe"), "course")
    return tmp_path / "outer" / "course"


def _as_a_worktree(tmp_path):
    _committed(tmp_path / "cs 180")
    _git(tmp_path / "cs 180", "worktree", "add", "-q", str(tmp_path / "tree"))
    return tmp_path / "tree" / "größe"


@pytest.mark.parametrize("inside", [_as_a_folder, _as_a_submodule, _as_a_worktree])
def test_reset_knows_the_project_inside_of_a_larger_repository(tmp_path, monkeypatch, capsys, inside):
    names = ("1_a", "2_b", "with space", 'größe "x"', "deep/1_a")
    _course(tmp_path / "cs 180" / "größe", monkeypatch, names)
    project = inside(tmp_path)
    monkeypatch.setattr(reset, "PROJECT", project)
    for name in names[1:]:
        _run_and_saved(project / "notebooks" / f"{name}.ipynb", "mine")
    (project / "notebooks/1_a.ipynb").unlink()
    one = "1 cell(s) edited, added or removed"
    edited = {f"notebooks/{name}.ipynb": one for name in names[1:]}
    assert reset.changed(project) == {"notebooks/1_a.ipynb": "deleted", **edited}
    monkeypatch.setattr(sys, "argv", ["reset", "--yes"])
    assert reset.main() == 0 and reset.changed(project) == {}
    [kept] = (project / "build" / "before_reset").iterdir()
    assert sorted(str(p.relative_to(kept)) for p in kept.rglob("*.ipynb")) == sorted(f"{name}.ipynb" for name in names[1:])
    assert reset.main() == 0 and "as they came" in capsys.readouterr().out


def test_reset_touches_no_notebook_whose_name_another_one_matches_as_a_pattern(tmp_path, monkeypatch):
    project = _course(tmp_path, monkeypatch, ("1_a", "1_[a]"))
    _committed(project)
    _run_and_saved(project / "notebooks/1_a.ipynb", "mine")
    reset.reset(project, ["notebooks/1_[a].ipynb"])
    assert list(reset.changed(project)) == ["notebooks/1_a.ipynb"]


def test_reset_keeps_what_was_staged_and_a_notebook_of_ones_own(clone):
    """Nothing that exists is lost: neither the version that would have been committed, nor what git does not bring back."""
    first, mine = clone / "notebooks/1_a.ipynb", clone / "notebooks/mine.ipynb"
    _run_and_saved(first, "staged")
    staged = first.read_bytes()
    _git(clone, "add", ".")
    _run_and_saved(first, "later")
    _git(clone, "mv", "notebooks/2_b.ipynb", "notebooks/mine.ipynb")
    assert list(reset.changed(clone)) == ["notebooks/1_a.ipynb", "notebooks/2_b.ipynb"]
    kept = reset.reset(clone, list(reset.changed(clone)))
    assert reset.changed(clone) == {} and mine.exists() and (clone / "notebooks/2_b.ipynb").exists()
    assert sorted(p.name for p in kept.iterdir()) == ["1_a.ipynb", "1_a.staged.ipynb"]
    assert (kept / "1_a.staged.ipynb").read_bytes() == staged and '"later"' in (kept / "1_a.ipynb").read_text()


def test_two_resets_within_a_second_keep_both_copies(clone):
    for words in ("one", "two"):
        _run_and_saved(clone / "notebooks/1_a.ipynb", words)
        reset.reset(clone, ["notebooks/1_a.ipynb"])
    assert len(list((clone / "build" / "before_reset").iterdir())) == 2


def test_a_copy_that_fails_stops_the_reset(clone, monkeypatch, capsys):
    _run_and_saved(clone / "notebooks/2_b.ipynb", "mine")
    mine = (clone / "notebooks/2_b.ipynb").read_bytes()
    (clone / "build").write_text("a file in the way")
    monkeypatch.setattr(sys, "argv", ["reset", "--yes"])
    assert reset.main() == 1 and "build" in capsys.readouterr().err
    assert (clone / "notebooks/2_b.ipynb").read_bytes() == mine


def test_reset_without_an_answer_changes_nothing(clone, monkeypatch, capsys):
    def ended(question):
        raise EOFError
    monkeypatch.setattr("builtins.input", ended)
    _run_and_saved(clone / "notebooks/2_b.ipynb", "mine")
    assert reset.main() == 1 and "nothing was changed" in capsys.readouterr().out and reset.changed(clone)


def test_reset_where_git_has_no_notebooks_says_so_and_changes_nothing(tmp_path, monkeypatch, capsys):
    """An unpacked zip file: alone, and in a repository of something else, also one whose hook calls."""
    project = _course(tmp_path / "outer" / "course", monkeypatch)
    monkeypatch.setattr(sys, "argv", ["reset", "--yes"])
    assert reset.main() == 1 and "not a git repository" in capsys.readouterr().err
    (tmp_path / "outer" / "other.txt").write_text("x")
    _git(tmp_path / "outer", "init", "-q")
    assert reset.main() == 1 and "reset: " in capsys.readouterr().err
    _git(tmp_path / "outer", "add", "other.txt")
    _git(tmp_path / "outer", "commit", "-qm", "something else")
    assert reset.main() == 1 and "not committed" in capsys.readouterr().err
    other = _course(tmp_path / "another", monkeypatch)
    _committed(other)
    _run_and_saved(other / "notebooks/1_a.ipynb", "mine")
    for name, value in (("GIT_DIR", other / ".git"), ("GIT_WORK_TREE", other)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(reset, "PROJECT", project)
    assert reset.main() == 1 and "not committed" in capsys.readouterr().err
    assert '"mine"' in (other / "notebooks/1_a.ipynb").read_text()


def test_reset_without_git_is_one_line(clone, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    assert reset.main() == 1 and "git" in capsys.readouterr().err
