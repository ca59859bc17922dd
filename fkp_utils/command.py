"""How the project's commands begin and end: arguments that are refused at once, exit codes, one line for what went wrong."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from .errors import BusyError, DatasetError

FAILURES = (DatasetError, BusyError, ValueError, FloatingPointError, OSError)


def whole(least: int, most: int) -> Callable[[str], int]:
    """An argparse type: whole numbers from `least` to `most`."""
    def number(text: str) -> int:
        if not least <= (value := int(text)) <= most:
            raise argparse.ArgumentTypeError(f"{text} is not from {least} to {most}")
        return value
    return number


def writable(text: str) -> Path:
    """An argparse type: a file that can be written as things are now, so that nobody learns otherwise after hours of work."""
    try:
        if (path := Path(text).absolute()).is_dir():
            raise IsADirectoryError(0, "is a folder")
        with tempfile.TemporaryFile(dir=next(folder for folder in path.parents if folder.exists())):
            return Path(text)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: {error.strerror}") from None


def run(name: str, job: Callable[[], int | None], interrupted: str = "interrupted", failures: tuple = FAILURES) -> int:
    """What `job` returns, or 0; 1 after one of `failures`; 130 after Ctrl-C, which `interrupted` explains.

    A name that the terminal's encoding lacks is shown escaped: what was written is not reported as failed for that. Where
    nobody reads on (`| head`), the command ends without a word, with a shell's code for that, 141.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):                    # not the streams of a notebook
            stream.reconfigure(errors="backslashreplace")
    try:
        code = job() or 0
        print(end="", flush=True)
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())       # for what Python flushes when it ends
        return 141
    except failures as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: {interrupted}", file=sys.stderr)
        return 130
