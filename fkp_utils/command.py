"""How the project's commands end: an exit code, and for what went wrong one line instead of a traceback."""

import sys
from collections.abc import Callable

from .errors import BusyError, DatasetError

FAILURES = (DatasetError, BusyError, ValueError, FloatingPointError, OSError)


def run(name: str, job: Callable[[], int], interrupted: str = "interrupted") -> int:
    """What `job` returns; 1 after one of `FAILURES`, 130 after Ctrl-C, of which `interrupted` says what it means.

    A name that the terminal's encoding lacks is shown escaped: what was written is not reported as failed for that.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):                    # not the streams of a notebook
            stream.reconfigure(errors="backslashreplace")
    try:
        return job()
    except FAILURES as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: {interrupted}", file=sys.stderr)
        return 130
