"""Shared fixtures, and a guard: no test may open a connection to another machine."""

import inspect
import os
import re
import socket
from pathlib import Path

from fkp_utils.processors import usable

# Equal numbers need equal threads, whatever else the machine does; before PyTorch is imported.
os.environ.setdefault("OMP_NUM_THREADS", str(usable()))

import numpy as np
import pytest
import torch
from PIL import Image
from toy import ToyFaces

from fkp_utils.datasets import EMBEDDED

# Those that take longest begin first, so that no worker has minutes to do when the others are done.
LONGEST = ("test_browser.py", "test_sabotaged_nets.py", "test_killed.py", "test_sabotage.py", "test_train.py", "test_pieces.py",
           "test_readme.py")
POSIX = re.compile(r"mkfifo|symlink_to|\"make\"|\"sh\"|/proc/|SIG(INT|KILL|TERM)|killpg|taskset|chmod|closed")
_connect = socket.socket.connect


def _guarded(self, address):
    local = self.family == getattr(socket, "AF_UNIX", None) or str(address[0]) in ("127.0.0.1", "::1", "localhost")
    if not local:
        raise AssertionError(f"a test tried to connect to {address}")
    return _connect(self, address)


socket.socket.connect = _guarded


def pytest_collection_modifyitems(items):
    """Tests that take long begin first; those of pipes, links, signals, make and shells are skipped on Windows."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))
    for item in items:
        if os.name == "nt" and hasattr(item, "function") and POSIX.search(inspect.getsource(item.function)):
            item.add_marker(pytest.mark.skip(reason="needs what Windows does not have"))


@pytest.fixture(autouse=True)
def no_thread_is_left():
    """A test that leaves PyTorch more threads makes those behind it many times slower, where other workers are busy."""
    before = torch.get_num_threads()
    yield
    now = torch.get_num_threads()
    torch.set_num_threads(before)
    assert now == before, f"the test leaves {now} threads to those behind it, and had {before}"


@pytest.fixture(scope="session")
def embedded() -> Path:
    """The embedded faces."""
    return EMBEDDED


@pytest.fixture(scope="session")
def real() -> Path:
    """The real data, where $FKP_DATA names it."""
    folder = os.environ.get("FKP_DATA")
    if not folder or not Path(folder, "imm_face_db").is_dir():
        pytest.skip("the real photos are not here (set FKP_DATA to their folder)")
    return Path(folder)


@pytest.fixture
def toy():
    return ToyFaces


ASF = """# a comment
58
# path type x y point from to
{points}
# host image
{image}
"""


@pytest.fixture
def imm_folder(tmp_path):
    """A function that writes one IMM-like face by hand into tmp_path/imm_face_db and returns the folder."""
    def write(name="01-1m", columns=7, newline="\n", size=(640, 480), points=58):
        folder = tmp_path / "imm_face_db"
        folder.mkdir(exist_ok=True)
        extra = "\t0\t0\t0" if columns == 10 else ""
        lines = [f"0 \t4 \t{(k + 1) / 100:.4f} \t{(k + 2) / 100:.4f} \t{k} \t0 \t1{extra}" for k in range(points)]
        text = ASF.format(points="\n".join(lines), image="OTHER.JPG").replace("\n", newline)
        (folder / f"{name}.asf").write_bytes(text.encode())
        Image.fromarray(np.full((size[1], size[0], 3), 90, np.uint8)).save(folder / f"{name}.jpg")
        return folder
    return write
