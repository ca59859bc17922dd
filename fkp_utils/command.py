"""How the project's commands begin and end: arguments that are refused at once, exit codes, one line for what went wrong."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .errors import BusyError, DatasetError

FAILURES = (DatasetError, BusyError, ValueError, FloatingPointError, OSError)


def parser(name: str, about: str, *examples: str) -> argparse.ArgumentParser:
    """What reads a command's arguments: `about` begins with the line that --help shows; no option may be abbreviated.

    Each of `examples` is a line of arguments; --help ends with them.
    """
    _open_streams()
    program = f"python -m fkp_utils.{name}"
    shown = "\n".join(["examples:" if examples[1:] else "example:", *(f"  {program} {line}".rstrip() for line in examples)])
    return argparse.ArgumentParser(program, description=about.splitlines()[0], epilog=shown, allow_abbrev=False,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)


def _open_streams() -> None:
    """Let closed ones (`2>&-`) lead nowhere, by the lowest free numbers: else the next file opened would get what they get."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8", newline="\n"))        # noqa: SIM115  until the end


def whole(least: int, most: int) -> Callable[[str], int]:
    """An argparse type: whole numbers from `least` to `most`."""
    def number(text: str) -> int:
        with suppress(ValueError):
            if least <= (value := int(text)) <= most:
                return value
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
    return number


def counted(number: int, noun: str) -> str:
    """A number of things in words: 1 photo, 2 photos."""
    return f"{number} {noun}{'s' * (number != 1)}"


def writable(text: str, folder: bool = False) -> Path:
    """An argparse type: a file, or folder, that can be written as things are now: nobody learns otherwise after hours."""
    try:
        path = Path(text).absolute()
        if not folder and (path.is_dir() or text.endswith(os.sep)):
            raise IsADirectoryError(0, "is a folder")
        there = [place for place in (path, *path.parents) if place.exists() or place.is_symlink()]
        with tempfile.TemporaryFile(dir=there[not folder and there[0] == path]):
            return Path(text)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: {error.strerror}") from None


def run(name: str, job: Callable[[], int | None], interrupted: str = "interrupted", failures: tuple = FAILURES) -> int:
    """What `job` returns, or 0; 1 after one of `failures`; 130 after Ctrl-C, which `interrupted` explains.

    A name that the terminal's encoding lacks is shown escaped: what was written is not reported as failed for that. Where
    nobody reads on (`| head`), the command ends without a word, with a shell's code for that, 141.
    """
    _open_streams()
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
