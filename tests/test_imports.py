"""What loads with `from fkp_utils import predict`: by name, since times differ from machine to machine."""

import json
import os
import subprocess
import sys

from PIL import Image
from test_project import PROJECT

from fkp_utils.datasets.personal import free_portraits

# Each takes a tenth of a second or more, PyTorch more than one, and a photo's landmarks need none of them.
HEAVY = {"torch", "matplotlib", "pandas", "scipy", "skimage", "torchvision", "IPython", "ipywidgets", "sympy"}


def heavy_loaded_by(code):
    """Those of `HEAVY` that are there after `code` ran in a fresh Python."""
    code += "\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT,
                          env={**os.environ, "PYTHONPATH": str(PROJECT)})
    return HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


def test_predict_loads_no_heavy_module():
    assert not heavy_loaded_by("from fkp_utils import predict")


def test_nor_do_the_first_photo_and_its_drawing(tmp_path):
    """The command line itself, with all of its results but the table."""
    Image.fromarray(free_portraits()["Eileen Collins"]).save(tmp_path / "photo.jpg")
    found = heavy_loaded_by("from fkp_utils.predict.__main__ import main\n"
                            f"assert main([{str(tmp_path / 'photo.jpg')!r}, '--json', '--out', {str(tmp_path)!r}]) == 0")
    assert not found and len(list(tmp_path.iterdir())) == 3


def test_figures_load_where_they_are_used():
    assert "matplotlib" in heavy_loaded_by("from fkp_utils import plotting\nplotting.Figure")
    assert not heavy_loaded_by("from fkp_utils import plotting")
