"""Where the project keeps its files."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
PROJECT = PACKAGE.parent
DATA, NOTEBOOKS, WEBSITE, REQUIREMENTS = (PROJECT / name for name in ("data", "notebooks", "website", "requirements.txt"))
EMBEDDED, PERSONAL = DATA / "embedded", DATA / "personal"
WEIGHTS, MEASURED = DATA / "weights", DATA / "measured"
BUILD = PROJECT / "build"                        # whatever can be made again
CACHE, CHECKPOINTS = BUILD / "cache", BUILD / "checkpoints"
