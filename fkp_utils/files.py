"""Writing files so that a reader sees the old content or the new, never half of it, and one writer at a time."""

import json
import os
import platform
import re
import shutil
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from .errors import BusyError

LONG = 100                           # bytes of a name; with all that is put around it the file systems' 255 would be too few
HOUR, DAY = 3600, 86_400             # seconds: more than clocks differ; after which nobody on another machine still writes
_MACHINE = f"{zlib.crc32(platform.node().encode()):08x}"
_LEFT = re.compile(r"\.(.+)\.(\d+)(?:-([0-9a-f]{8}))?\.(?:partial.*|(old))")            # name, process, machine


def _beside(path: Path, name: str, ending: str) -> Path:
    """A path for this process beside `path`, of a form that `clear_left` knows; a folder's name stays whole, to be put back."""
    if ending != "old" and len(content := os.fsencode(name)) > LONG:
        name = f"{content[:LONG].decode(errors='ignore')}{zlib.crc32(content):08x}"
    return path.with_name(f".{name}.{os.getpid()}-{_MACHINE}.{ending}")


def _is_written(path: Path, process: int, machine: str | None) -> bool:
    """Whether a process may still be at a file. By now another one may have its number."""
    last = max(path.stat().st_mtime, path.stat().st_ctime)
    if machine != _MACHINE:
        return time.time() < last + DAY
    with suppress(psutil.NoSuchProcess):
        found = psutil.Process(process)
        return found.status() != psutil.STATUS_ZOMBIE and found.create_time() < last + HOUR
    return False


def clear_left(folder: Path) -> None:
    """Remove what killed processes have left half-written in a folder, and put back a folder whose new one never came."""
    for found in filter(None, map(_LEFT.fullmatch, os.listdir(folder) if os.access(folder, os.R_OK) else [])):
        path, target = folder / found[0], folder / found[1]
        with suppress(OSError):                               # another run clears away, too
            if _is_written(path, int(found[2]), found[3]):
                continue
            if found[4] and not target.exists():
                os.replace(path, target)
            elif path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


_clear_once = cache(clear_left)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; rename it over `path` when the block ends well.

    On any error, Ctrl-C included, what was written is removed and `path` stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_once(path.parent.absolute())
    beside = _beside(path, path.stem, f"partial{path.suffix[:LONG // 5]}")
    try:
        yield beside
        os.replace(beside, path)
    except OSError as error:
        if error.errno and not error.filename:                # a full disk does not say which file it was
            error.filename = str(path)
        raise
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value) -> None:
    """Write indented JSON whole or not at all."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def replace_folder(new: Path, target: Path) -> None:
    """Put folder `new` where `target` is; the old one disappears only once the new one stands, and is put back if it cannot."""
    old = _beside(target, target.name, "old")
    with suppress(FileNotFoundError):
        os.replace(target, old)
    try:
        os.replace(new, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.replace(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def locked(path: str | Path, wait: bool = False) -> Iterator[None]:
    """Let no other run make `path`, a file or folder, until the block ends.

    The operating system holds the lock for the process and drops it however that ends, so that no
    killed run stays in the way. With `wait` the second run says whom it waits for; else BusyError does.
    """
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    lock, note = FileLock(path.with_name(f".{path.name}.lock")), path.with_name(f".{path.name}.holder")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        try:
            holder = note.read_text(encoding="utf-8")
        except OSError:                                       # it has just begun, or has ended meanwhile
            holder = "another process"
        if not wait:
            raise BusyError(f"{path}: {holder} is making it; wait until it ends, or stop it") from None
        print(f"{path}: waiting for {holder}, which is making it", file=sys.stderr)
        lock.acquire()
    try:
        clear_left(path.parent)
        write_text(note, f"process {os.getpid()} of {platform.node()}")
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()
