"""Files and folders that are replaced whole, and what killed writers leave behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from fkp_utils import files
from fkp_utils.errors import BusyError
from fkp_utils.files import locked, replace_folder, write_text

WRITER = "import os, sys, time\nfrom fkp_utils.files import {}\n{}\n    print('ready', flush=True)\n    time.sleep(60)\n"


def _started(call, body):
    """A process that has come to a certain place and waits there."""
    process = subprocess.Popen([sys.executable, "-c", WRITER.format(call, body)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def _half_written(folder, name="train-1.npy"):
    """A process half-way through writing a file; the path that it writes to."""
    process = _started("replacing", f"with replacing({str(folder / name)!r}) as beside:\n    beside.write_text('half')")
    [left] = folder.glob(".train-1.*.partial.npy")
    return process, left


def _end(process):
    process.kill()
    process.communicate()


def _aged(path, seconds):
    """As if it had been written so many seconds ago."""
    os.utime(path, (time.time() - seconds,) * 2)


@pytest.mark.parametrize("again", [
    lambda folder: write_text(folder / "other.txt", "new"), lambda folder: _lock(folder)], ids=["writer", "holder"])
def test_what_a_killed_process_was_writing_is_cleared_away_by_the_next(tmp_path, again):
    process, left = _half_written(tmp_path)
    again(tmp_path)
    assert left.read_text() == "half"                          # of a process that still runs
    _end(process)
    _forget_folders()
    again(tmp_path)
    assert not left.exists()


def _lock(folder):
    with locked(folder / "thing"):
        pass


def _forget_folders():
    files._clear_once.cache_clear()


def test_a_holder_of_a_lock_clears_away_each_time(tmp_path):
    _lock(tmp_path)
    process, left = _half_written(tmp_path)
    _end(process)
    _lock(tmp_path)
    assert not left.exists()


def test_a_process_that_ended_but_was_not_waited_for_is_dead(tmp_path):
    process, left = _half_written(tmp_path)
    process.kill()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    _lock(tmp_path)
    assert not left.exists()
    process.communicate()


def test_a_number_that_another_process_has_by_now_does_not_keep_a_file(tmp_path, monkeypatch):
    left = files._beside(tmp_path / "train-1.npy", "train-1", "partial.npy")        # of this very process
    left.write_text("half")
    _lock(tmp_path)
    assert left.exists()
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: time.time() + 4000)
    _lock(tmp_path)
    assert not left.exists()


@pytest.mark.parametrize("machine", ["-0123abcd", ""], ids=["named", "not named"])
def test_what_another_machine_writes_stays_for_a_day(tmp_path, monkeypatch, machine):
    process = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    left = tmp_path / f".train-1.{process.stdout.strip()}{machine}.partial.npy"
    left.write_text("half")
    _lock(tmp_path)
    assert left.exists()
    now = time.time()
    monkeypatch.setattr(files.time, "time", lambda: now + 90_000)
    _lock(tmp_path)
    assert not left.exists()


def test_files_that_only_look_alike_stay(tmp_path):
    names = [".embedded.partial", "a.1.partial.npy", ".train.partial.npy", ".holiday.old", "2.old", ".photo.1999.jpg"]
    for name in names:
        (tmp_path / name).write_text("a user's")
        _aged(tmp_path / name, 1e7)
    _lock(tmp_path)
    assert {*names} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("letter", ["n", "ü", "日", "\udcff"])
def test_a_name_as_long_as_a_file_may_have_is_written(tmp_path, letter):
    """255 bytes, whatever they are; two such at once, and what a killed process left of one is cleared away."""
    long = letter * (250 // len(os.fsencode(letter))) + ".txt"
    other = long.replace(letter + ".", "." + "x" * (len(os.fsencode(letter)) - 1))
    for name in (long, other):
        with files.replacing(tmp_path / name) as first, files.replacing(tmp_path / (name[:-1] + "x")) as second:
            first.write_text("one"), second.write_text("two")
        assert (tmp_path / name).read_text() == "one" and (tmp_path / (name[:-1] + "x")).read_text() == "two"
    files._beside(tmp_path / long, long, "partial.txt").write_text("half")
    assert len(list(tmp_path.iterdir())) == 5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_is_written", lambda *given: False)
        files.clear_left(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_an_ending_as_long_as_a_name_may_be_is_written(tmp_path):
    write_text(tmp_path / ("n." + "t" * 253), "content")
    assert [path.name for path in tmp_path.iterdir()] == ["n." + "t" * 253]


def test_a_long_name_of_a_folder_is_put_back_whole(tmp_path):
    old = files._beside(tmp_path / ("n" * 150), "n" * 150, "old")
    old.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_is_written", lambda *given: False)
        files.clear_left(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["n" * 150]


def _folder(path, text):
    path.mkdir()
    (path / "file").write_text(text)
    return path


def test_a_folder_takes_the_place_of_another(tmp_path):
    replace_folder(_folder(tmp_path / "new", "new"), _folder(tmp_path / "target", "old"))
    assert [path.name for path in tmp_path.iterdir()] == ["target"] and (tmp_path / "target/file").read_text() == "new"
    replace_folder(tmp_path / "target", tmp_path / "first")                   # where there was none
    assert [path.name for path in tmp_path.iterdir()] == ["first"]


@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
def test_when_the_new_folder_cannot_take_its_place_the_old_one_is_back(tmp_path, monkeypatch, error):
    new, target = _folder(tmp_path / "new", "new"), _folder(tmp_path / "target", "old")
    replace = os.replace

    def fails(source, place):
        if Path(source) == new:
            raise error
        replace(source, place)
    monkeypatch.setattr(files.os, "replace", fails)
    with pytest.raises(type(error)):
        replace_folder(new, target)
    assert (target / "file").read_text() == "old" and (new / "file").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "target"]


@pytest.mark.parametrize("came", [True, False], ids=["the new one came", "it never came"])
def test_the_old_folder_of_a_process_killed_between_is_removed_or_put_back(tmp_path, came):
    _folder(tmp_path / "new", "new"), _folder(tmp_path / "target", "old")
    new, target = (str(tmp_path / name) for name in ("new", "target"))
    killed = (f"from pathlib import Path\nreplace, calls = os.replace, []\ndef dies(a, b):\n"
              f"    {'replace(a, b)' if came else 'calls or replace(a, b)'}\n    calls.append(a)\n"
              f"    if len(calls) == 2: os.kill(os.getpid(), 9)\n"
              f"os.replace = dies\nreplace_folder(Path({new!r}), Path({target!r}))")
    done = subprocess.run([sys.executable, "-c", f"import os\nfrom fkp_utils.files import replace_folder\n{killed}"])
    assert done.returncode == -9 and len(list(tmp_path.glob(".target.*.old"))) == 1 and Path(target).exists() == came
    _lock(tmp_path)
    assert not list(tmp_path.glob(".target.*.old")) and (Path(target) / "file").read_text() == ("new" if came else "old")


def test_a_holder_whose_note_vanishes_meanwhile_is_another_process(tmp_path, monkeypatch):
    process = _started("locked", f"with locked({str(tmp_path / 'thing')!r}):")
    with pytest.raises(BusyError, match=f"process {process.pid} of"), locked(tmp_path / "thing"):
        pass
    (tmp_path / ".thing.holder").unlink()
    monkeypatch.setattr(Path, "exists", lambda self, **how: True)                # it was there a moment ago
    with pytest.raises(BusyError, match="thing: another process is making it"), locked(tmp_path / "thing"):
        pass
    _end(process)
