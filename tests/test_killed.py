"""Hard to break: killed at any moment, two runs at once, full disks, folders that may not be written to."""

import contextlib
import filecmp
import functools
import importlib
import io
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toy import ToyFaces

from fkp_utils.augment import Augment
from fkp_utils.datasets import IBugFaces
from fkp_utils.datasets.crop import Crop
from fkp_utils.datasets.download import Source, get
from fkp_utils.datasets.personal import free_portraits
from fkp_utils.errors import BusyError
from fkp_utils.files import locked, write_text
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.trained import new_model
from fkp_utils.training.loop import Checkpoints, fit

pytestmark = pytest.mark.training

RECIPE = Recipe("killed", "NoseNet", (60, 80), epochs=8, batch=4, lr=2e-3, data="imm_nose", ema=0.9, schedule="cosine",
                augment=Augment(rotate=10, shift=0.05, noise=0.02))

# A fork server with everything imported, and nothing running, starts a process in no time.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["fkp_utils.website.run_notebooks", "fkp_utils.train", "toy"])


def run(job, *arguments, killed_after=None) -> bool:
    """Run a function in a process of its own, killed with signal 9 after so many seconds; whether it came to its end."""
    process = CONTEXT.Process(target=job, args=arguments)
    process.start()
    process.join(killed_after)
    if process.is_alive():
        process.kill()
        process.join()
    assert process.exitcode in (0, -9)
    return process.exitcode == 0


def _train(folder, result, recipe=RECIPE):
    torch.set_num_threads(1)
    train, val = ToyFaces(24), ToyFaces(6, seed=1)
    torch.save(fit(new_model(recipe), train, val, recipe, folder, progress=False).model.state_dict(), result)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Weights of a whole training, how long it took, and the folder of its checkpoints."""
    folder = tmp_path_factory.mktemp("whole")
    assert run(os.getpid)                               # the fork server's imports are no part of the time
    start = time.monotonic()
    assert run(_train, folder, folder / "weights.pt")
    return torch.load(folder / "weights.pt", weights_only=True), time.monotonic() - start, folder


def _same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_training_killed_many_times_ends_with_the_same_weights(uninterrupted, tmp_path):
    expected, seconds, _ = uninterrupted
    times = 20 if os.environ.get("FKP_SLOW") else 6                 # .ci/run sets it
    chance, kills = random.Random(times), 0
    while kills < times:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        # Several lives a training: each is killed somewhere within half of what is needed in one go.
        for _ in range(chance.randint(1, 4)):
            kills += not run(_train, tmp_path / "run", tmp_path / "w.pt", killed_after=chance.uniform(0.05, 0.5) * seconds)
        assert run(_train, tmp_path / "run", tmp_path / "w.pt")
        assert _same(expected, torch.load(tmp_path / "w.pt", weights_only=True))


def test_a_checkpoint_cut_at_any_byte_is_noticed_and_the_one_before_used(uninterrupted, tmp_path):
    _, _, whole = uninterrupted
    for file in whole.glob("nosenet-*.pt"):
        shutil.copy(file, tmp_path / file.name)
    last = next(p for p in tmp_path.glob("*.pt") if "previous" not in p.name)
    content, store = last.read_bytes(), Checkpoints(tmp_path, last.stem)
    assert len(store.load()["history"]) == RECIPE.epochs
    cuts = {0, 1, len(content) - 1, *random.Random(0).sample(range(len(content)), 60)}
    for cut in cuts:
        last.write_bytes(content[:cut])
        assert len(store.load()["history"]) == RECIPE.epochs - 1, cut


def test_a_second_run_of_the_same_training_waits_for_the_first_and_takes_its_result(tmp_path, capfd):
    longer, trained = replace(RECIPE, epochs=60), []
    first = CONTEXT.Process(target=_train, args=(tmp_path / "run", tmp_path / "w.pt", longer))
    first.start()
    try:
        while not list((tmp_path / "run").glob(".*.holder")):
            time.sleep(0.01)
        train, val = ToyFaces(24), ToyFaces(6, seed=1)
        run = fit(new_model(longer), train, val, longer, tmp_path / "run", trained.append, progress=False)
    finally:
        first.join()
    assert first.exitcode == 0 and not trained, "nothing was trained twice"
    assert f"waiting for process {first.pid} of" in capfd.readouterr().err
    weights = torch.load(tmp_path / "w.pt", weights_only=True)
    assert all(torch.equal(value, weights[name]) for name, value in run.model.state_dict().items())


def _files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def _same_folder(a, b):
    return _files(a) == _files(b) and filecmp.cmpfiles(a, b, _files(a), shallow=False)[1:] == ([], [])


def _crop(root, cache):
    IBugFaces(root, "all", crop=Crop(size=224), cache=cache)


def test_cache_killed_at_any_moment_is_made_again(embedded, tmp_path):
    expected = IBugFaces(embedded, "all", crop=Crop(size=224), cache=tmp_path / "whole")
    start = time.monotonic()
    run(_crop, embedded, tmp_path / "timed")
    seconds = time.monotonic() - start
    chance = random.Random(2)
    for _ in range(5):
        run(_crop, embedded, tmp_path / "cache", killed_after=chance.uniform(0.2, 1.0) * seconds)
    found = IBugFaces(embedded, "all", crop=Crop(size=224), cache=tmp_path / "cache")
    assert len(_files(tmp_path / "cache")) == 3, "the lock and two arrays; nothing of the runs that were killed"
    assert (found.images == expected.images).all() and (found.landmarks == expected.landmarks).all()


def _check(folder):
    assert len(list(folder.iterdir())) == 1001


def _download(url, folder):
    get(Source("faces", (url,), "marker.txt", _check, "Terms."), folder)


@pytest.fixture
def archive(tmp_path):
    """The address of an archive with a thousand files."""
    with tarfile.open(tmp_path / "faces.tar.gz", "w:gz") as packed:
        for k in range(1001):
            info = tarfile.TarInfo(f"some_db/{k}.asf" if k else "some_db/marker.txt")
            info.size = 1000
            packed.addfile(info, io.BytesIO(random.Random(k).randbytes(1000)))
    http = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/faces.tar.gz"
    http.shutdown()
    http.server_close()


def test_make_data_killed_at_any_moment_is_repaired(archive, tmp_path):
    start = time.monotonic()
    assert run(_download, archive, tmp_path / "whole")
    seconds, chance = time.monotonic() - start, random.Random(3)
    for _ in range(6):
        if not run(_download, archive, tmp_path / "data", killed_after=chance.uniform(0.2, 0.95) * seconds):
            assert not (tmp_path / "data/faces").exists() or _same_folder(tmp_path / "whole/faces", tmp_path / "data/faces")
    assert run(_download, archive, tmp_path / "data")
    assert _same_folder(tmp_path / "whole/faces", tmp_path / "data/faces")
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == [".downloads", "downloads.json", "faces"]


def test_make_figures_killed_leaves_the_site_whole_and_a_second_run_is_refused(tmp_path):
    site = tmp_path / "site"
    write_text(site / "index.html", "the old page")
    command = [sys.executable, "-m", "fkp_utils.website.run_notebooks", "--profile", "smoke", "--site", str(site),
               "notebooks/4_heatmaps.ipynb"]              # the longest, so that it is not through when it is killed
    project = tmp_path / "project"                      # a project of its own: locks and build files apart from ours
    here = Path(__file__).parents[1]
    for name in ("fkp_utils", "notebooks"):
        shutil.copytree(here / name, project / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    (project / "data").mkdir()
    for name in ("weights", "measured"):
        shutil.copytree(here / "data" / name, project / "data" / name)
    (project / "data/embedded").symlink_to(here / "data/embedded")
    environment = {**os.environ, "PYTHONPATH": str(project), "FKP_DATA": ""}
    first = subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             start_new_session=True)
    while not (project / "build/.figures.holder").exists():
        assert first.poll() is None
        time.sleep(0.05)
    second = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert second.returncode == 1 and f"process {first.pid} of" in second.stderr and "Traceback" not in second.stderr
    time.sleep(3)
    os.killpg(first.pid, 9)
    first.wait()
    assert _files(site) == ["index.html"] and (site / "index.html").read_text() == "the old page"
    with locked(project / "build/figures"):             # the dead run's lock does not stay in the way
        pass


@pytest.fixture
def full_disk(tmp_path):
    """A folder on a disk of three megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def _fill(disk, spare=0):
    with open(disk / "ballast", "wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        file.truncate(file.tell() - spare)


def test_full_disk_keeps_old_results_and_says_so(full_disk):
    write_text(full_disk / "page.html", "old")
    _fill(full_disk)
    with pytest.raises(OSError, match="No space left on device"):
        write_text(full_disk / "page.html", "new" * 100_000)
    assert (full_disk / "page.html").read_text() == "old" and _files(full_disk) == ["ballast", "page.html"]


def test_full_disk_keeps_the_last_checkpoint_and_says_so(full_disk, toy):
    run_ = fit(new_model(RECIPE), toy(8), toy(4), RECIPE, full_disk, on_epoch=lambda history: False, progress=False)
    assert len(run_.history) == 1
    _fill(full_disk, spare=200_000)
    with pytest.raises(OSError, match=r"nosenet-.*\.pt: cannot be written \(0 MB are free there\)"):
        fit(new_model(RECIPE), toy(8), toy(4), RECIPE, full_disk, progress=False)
    last = next(full_disk.glob("nosenet-*.pt"))
    assert len(torch.load(last, weights_only=True)["history"]) == 1


def _crop_and_tell(root, cache, answer):
    try:
        _crop(root, cache)
    except OSError as error:
        answer.put(str(error))


@pytest.mark.parametrize("spare", [2_000_000, 100])
def test_full_disk_under_the_cache_of_crops_is_an_error_that_names_the_file(full_disk, embedded, spare):
    """Six hundred faces of 50 kB on a disk of three MB; what is mapped into memory beyond its end kills the process."""
    _fill(full_disk, spare)
    answer = CONTEXT.Queue()
    process = CONTEXT.Process(target=_crop_and_tell, args=(embedded, full_disk / "cache", answer))
    process.start()
    process.join()
    assert process.exitcode == 0
    told = answer.get(timeout=10)
    assert "No space left on device" in told and str(full_disk / "cache" / ("all-" if spare > 100 else "")) in told
    assert not [path for path in full_disk.rglob("*") if path.suffix in (".npy", ".npz")]


@pytest.mark.parametrize("module, arguments", [
    ("train", ["nose", "--profile", "smoke", "--checkpoints", "{}"]),
    ("kaggle", ["--weights", "small68.safetensors", "--out", "{}/submission.csv"]),
    ("predict.__main__", ["{photo}", "--out", "{}"])])
def test_commands_name_a_disk_that_is_full(full_disk, module, arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FKP_DATA", "")
    _fill(full_disk)
    Image.fromarray(free_portraits()["Eileen Collins"]).save(tmp_path / "photo.png")
    line = [a.format(full_disk, photo=tmp_path / "photo.png") for a in arguments]
    assert importlib.import_module(f"fkp_utils.{module}").main(line) == 1
    assert str(full_disk) in capsys.readouterr().err
    assert [name for name in _files(full_disk) if not name.endswith(".lock")] == ["ballast"]


def _write_as_nobody(folder, answer):
    os.setuid(65534)
    try:
        write_text(Path(folder) / "page.html", "new")
    except OSError as error:
        answer.put(str(error))


def test_a_read_only_folder_is_named_and_its_content_stays(tmp_path):
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
        folder.chmod(0o755)
    write_text(tmp_path / "page.html", "old")
    answer = CONTEXT.Queue()
    process = CONTEXT.Process(target=_write_as_nobody, args=(tmp_path, answer))
    process.start()
    told = answer.get(timeout=60)
    process.join()
    assert "Permission denied" in told and str(tmp_path) in told
    assert _files(tmp_path) == ["page.html"] and (tmp_path / "page.html").read_text() == "old"


def _hold(path, seconds):
    with locked(path):
        time.sleep(seconds)


def test_the_lock_waits_says_for_whom_and_survives_a_killed_holder(tmp_path, capsys):
    holder = CONTEXT.Process(target=_hold, args=(tmp_path / "thing", 1.0))
    holder.start()
    while not (tmp_path / ".thing.holder").exists():
        time.sleep(0.01)
    with pytest.raises(BusyError, match=f"process {holder.pid} of"), locked(tmp_path / "thing"):
        pass
    with locked(tmp_path / "thing", wait=True):
        assert f"waiting for process {holder.pid}" in capsys.readouterr().err
    holder.join()
    assert not run(_hold, tmp_path / "thing", 60, killed_after=0.5)
    with locked(tmp_path / "thing"):
        assert json.dumps((tmp_path / ".thing.holder").read_text()).startswith(f'"process {os.getpid()}')


def test_another_number_of_threads_changes_numbers_by_less_than_a_thousandth(toy):
    """Over ten epochs; training doubles the smallest difference every few steps."""
    curves, short, before = [], replace(RECIPE, epochs=10), torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            curves.append(fit(new_model(short), toy(40), toy(10, seed=1), short, progress=False).history)
    finally:
        torch.set_num_threads(before)
    for column in ("train_loss", "val_loss", "val_error"):
        np.testing.assert_allclose(curves[0][column], curves[1][column], rtol=1e-3)
