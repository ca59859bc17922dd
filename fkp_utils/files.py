"""Writing files so that a reader sees the old content or the new, never half of it, and one writer at a time."""

import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import BusyError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; rename it over `path` when the block ends well.

    On any error, Ctrl-C included, what was written is removed and `path` stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
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
        beside.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value) -> None:
    """Write indented JSON whole or not at all."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def replace_folder(new: Path, target: Path) -> None:
    """Put folder `new` where `target` is; the old one disappears only once the new one stands."""
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    if target.exists():
        os.replace(target, old)
    os.replace(new, target)
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
        holder = note.read_text() if note.exists() else "another process"
        if not wait:
            raise BusyError(f"{path}: {holder} is making it; wait until it ends, or stop it") from None
        print(f"{path}: waiting for {holder}, which is making it", file=sys.stderr)
        lock.acquire()
    try:
        write_text(note, f"process {os.getpid()} of {platform.node()}")
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()
