"""Coverage-guided fuzzing of every reader of files, for as long as one likes; needs `pip install atheris`.

    python tests/fuzz.py CORPUS_FOLDER [-max_total_time=600] [other libFuzzer options]

The first byte of an input chooses the reader. Only a DatasetError or a ValueError that names the file may come out; an
input that makes anything else happen is kept as crash-*, and belongs into tests/test_fuzz.py.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fkp_utils"]):
    import numpy as np

    from fkp_utils.datasets.ibug import read_xml
    from fkp_utils.datasets.images import read_photo
    from fkp_utils.datasets.imm import read_asf
    from fkp_utils.errors import DatasetError
    from fkp_utils.kaggle import read_submission
    from fkp_utils.nets.weights import load_weights

SIZES = np.array([[60, 40]])
READERS = [read_asf, read_xml, read_photo, lambda path: read_submission(path, SIZES), load_weights]
FILE = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)) / "input"


def once(content: bytes) -> None:
    """One input, one reader."""
    if not content:
        return
    FILE.write_bytes(content[1:])
    try:
        READERS[content[0] % len(READERS)](FILE)
    except (DatasetError, ValueError) as error:
        if str(FILE) not in str(error):
            raise RuntimeError(f"does not name the file: {error}") from error


if __name__ == "__main__":
    atheris.Setup(sys.argv, once)
    atheris.Fuzz()
