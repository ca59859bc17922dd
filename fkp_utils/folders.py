"""Where the project keeps its files: in its own folder, or, once pip has installed the package, in the user's cache.

`pip install .` puts what comes with the project in data/ into the package itself (pyproject.toml).
"""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
PROJECT = PACKAGE.parent
if installed := (PACKAGE / "data").is_dir():
    from platformdirs import user_cache_path  # only here: `make` starts without any package

    PROJECT = user_cache_path("fkp_utils", appauthor=False)
DATA, NOTEBOOKS, WEBSITE, REQUIREMENTS = (PROJECT / name for name in ("data", "notebooks", "website", "requirements.txt"))
PERSONAL = DATA / "personal"
LAB_STYLE = PACKAGE / "course" / "lab_style"     # style sheet of the notebooks, and settings in place of JupyterLab's defaults
_WITH_IT = (PACKAGE if installed else PROJECT) / "data"
EMBEDDED, WEIGHTS, MEASURED = (_WITH_IT / name for name in ("embedded", "weights", "measured"))
BUILD = PROJECT / "build"                        # whatever can be made again
CACHE, CHECKPOINTS = BUILD / "cache", BUILD / "checkpoints"
