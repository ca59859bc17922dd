"""Which folder the datasets are in."""

import os
from pathlib import Path

from ..folders import EMBEDDED


def data_root(folder: str | Path | None = None) -> Path:
    """The folder with the datasets: the one given, else $FKP_DATA, else the embedded faces."""
    chosen = folder or os.environ.get("FKP_DATA")
    return Path(chosen).resolve() if chosen else EMBEDDED
