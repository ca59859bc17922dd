"""The browser demo's parts: the exported net, and libraries that are checked."""

import base64
import hashlib
import io
import json
import sys
import tarfile

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from skimage import data
from test_project import PROJECT
from torch import nn

from fkp_utils import palette, predict
from fkp_utils.errors import DatasetError
from fkp_utils.folders import EMBEDDED
from fkp_utils.landmarks import IBUG_68
from fkp_utils.nets.models import UNet
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.targets import make_target
from fkp_utils.nets.trained import Trained
from fkp_utils.nets.weights import load_weights
from fkp_utils.website import demo, npm

sys.path.insert(0, str(PROJECT / "bench" / "shipped_files"))

import samples

pytestmark = pytest.mark.training

TINY = Recipe("tiny", "UNet", (32, 32), 1, 1, 1e-3, target="heatmaps", loss="cross_entropy", sigma=2.0, width=4)


def test_exported_net_says_what_the_net_says(tmp_path):
    torch.manual_seed(0)
    run = Trained(UNet(init_features=4).eval(), make_target(TINY, torch.zeros(1, 68, 2)), TINY, IBUG_68)
    size = demo.export(run, tmp_path / "net.onnx")
    assert size == (tmp_path / "net.onnx").stat().st_size and size < 500_000
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    for batch in (1, 3):
        images = torch.rand(batch, 1, 32, 32) - 0.5
        with torch.no_grad():
            output = run.model(images)
        points, maps = session.run(["landmarks", "heatmaps"], {"images": images.numpy()})
        assert np.abs(points - run.target.decode(output).numpy()).max() < 0.05
        assert np.abs(maps - run.target.heatmaps(output).numpy()).max() < 1e-4 and np.allclose(maps.sum((2, 3)), 1, atol=1e-4)


def test_the_exported_net_reads_landmarks_at_the_border_as_the_decoder_does(tmp_path):
    """A net of one known map: a Gaussian whose centre is the corner pixel's, of which a quarter is left."""
    class Corner(nn.Module):
        def __init__(self):
            super().__init__()
            y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
            self.register_buffer("maps", -((x - 31) ** 2 + y**2).expand(1, 68, 32, 32) / (2 * 2.0**2))

        def forward(self, images):
            return self.maps + 0 * images.mean((1, 2, 3), keepdim=True)
    run = Trained(Corner(), make_target(TINY, torch.zeros(1, 68, 2)), TINY, IBUG_68)
    demo.export(run, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    [points] = session.run(["landmarks"], {"images": np.zeros((1, 1, 32, 32), np.float32)})
    np.testing.assert_allclose(points[0, 0], [31, 0], atol=0.05)          # the mean of what is left lies 1.4 pixels inside


def test_the_committed_demo_is_the_shipped_small_net():
    file = PROJECT / "website" / "landmarks.onnx"
    assert file.stat().st_size < 6_000_000 and b".py" not in file.read_bytes()
    run, about = load_weights("small68.safetensors"), json.loads((PROJECT / "website/landmarks.json").read_text())
    assert about == json.loads(json.dumps(demo.description(run)))
    photo = data.astronaut()
    crop = run.recipe.crop.cut(Image.fromarray(photo).convert("L"), np.array([170.0, 70, 100, 100]))
    images = torch.from_numpy(crop.copy())[None, None].float() / 255 - 0.5
    with torch.no_grad():
        expected = run.target.decode(run.model.cpu()(images)).numpy()
    found = onnxruntime.InferenceSession(file).run(None, {"images": images.numpy()})[0]
    assert np.abs(found - expected).max() < 0.5


def test_the_committed_finder_is_the_shipped_one_for_pictures_of_any_size():
    file = PROJECT / "website" / "finder.onnx"
    assert file.stat().st_size <= 1_500_000 and b".py" not in file.read_bytes()
    session, run = onnxruntime.InferenceSession(file), load_weights("finder.safetensors")
    for size in ((64, 192), (256, 256)):
        images = torch.from_numpy(data.astronaut()[:size[0], 130:130 + size[1]].mean(2)).float()[None, None] / 255 - 0.5
        with torch.no_grad():
            expected = run.model.cpu()(images).numpy()
        assert np.abs(session.run(None, {"images": images.numpy()})[0] - expected).max() < 0.05


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A function that puts a package with these words in code.js into a registry on this machine; its integrity."""
    folder = tmp_path / "registry" / "@some" / "library" / "-"
    folder.mkdir(parents=True)
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", (tmp_path / "registry").as_uri())

    def put(words):
        with tarfile.open(folder / "library-1.0.0.tgz", "w:gz") as archive:
            entry = tarfile.TarInfo("package/code.js")
            entry.size = len(words)
            archive.addfile(entry, io.BytesIO(words.encode()))
        digest = hashlib.sha512((folder / "library-1.0.0.tgz").read_bytes()).digest()
        return f"sha512-{base64.b64encode(digest).decode()}"
    return put


def test_libraries_are_checked(tmp_path, monkeypatch, registry):
    """The package as a whole, and the file; without npm."""
    name = "@some/library@1.0.0"
    monkeypatch.setattr(demo, "INTEGRITY", {name: registry("let x = 1;")})
    monkeypatch.setattr(demo, "LIBRARIES", {name: {"code.js": hashlib.sha256(b"let x = 1;").hexdigest()}})
    monkeypatch.setenv("PATH", "")
    demo.vendor(tmp_path / "vendor")
    assert (tmp_path / "vendor" / "code.js").read_text() == "let x = 1;"
    other = registry("let x = 2;")
    demo.vendor(tmp_path / "vendor")                                    # it is there: nothing is fetched
    with pytest.raises(DatasetError, match=r"library@1\.0\.0: what came is not the package"):
        demo.vendor(tmp_path / "elsewhere")
    monkeypatch.setattr(demo, "INTEGRITY", {name: other})
    with pytest.raises(DatasetError, match=r"code\.js is not the file"):
        demo.vendor(tmp_path / "elsewhere")
    assert not list((tmp_path / "elsewhere").glob("*"))


def test_packages_lie_where_npm_looks_for_them(monkeypatch):
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://a.example/npm/")
    assert npm.address("onnxruntime-web@1.22.0") == "https://a.example/npm/onnxruntime-web/-/onnxruntime-web-1.22.0.tgz"
    assert npm.address("@some/library@1.0.0") == "https://a.example/npm/@some/library/-/library-1.0.0.tgz"
    assert set(demo.INTEGRITY) == set(demo.LIBRARIES)


def test_the_registry_is_npms_or_named(tmp_path, monkeypatch):
    monkeypatch.delenv("NPM_CONFIG_REGISTRY", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DatasetError, match="install npm, or name one in NPM_CONFIG_REGISTRY"):
        npm.address("a@1.0.0")
    write_script(tmp_path / "npm", "echo https://b.example/npm/")
    assert npm.address("a@1.0.0") == "https://b.example/npm/a/-/a-1.0.0.tgz"


def write_script(path, line):
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def test_a_missing_package_is_named(tmp_path, monkeypatch, registry):
    monkeypatch.setattr(demo, "LIBRARIES", {"nothing@2.0.0": {"code.js": "0"}})
    monkeypatch.setattr(demo, "INTEGRITY", {"nothing@2.0.0": "sha512-"})
    with pytest.raises(DatasetError, match=r"nothing@2\.0\.0 cannot be had"):
        demo.vendor(tmp_path / "vendor")
    assert not (tmp_path / "vendor").exists()


def test_samples_are_small_and_show_who_they_say(tmp_path):
    samples.samples(tmp_path / "samples")
    shipped = PROJECT / "website" / "samples"
    assert {file.name for file in shipped.iterdir()} == {file.name for file in (tmp_path / "samples").iterdir()}
    files = [*shipped.iterdir(), PROJECT / "website" / "example.jpeg"]
    assert sum(file.stat().st_size for file in files) <= 200_000
    facts = json.loads((EMBEDDED / "ibug_300W_large_face_landmark_dataset" / "facts.json").read_text())
    about = {name: facts[f"embedded/trainset/face_{number:04}.jpg"] for name, number in samples.SAMPLES.items()}
    assert about["glasses"]["glasses"] == "glasses" and abs(about["turned"]["turn"]) > 30 > abs(about["face"]["turn"])
    for name, many in {"face": 1, "turned": 1, "glasses": 1, "group": 6}.items():
        made = np.asarray(Image.open(tmp_path / "samples" / f"{name}.jpg"), float)
        assert np.abs(made - np.asarray(Image.open(shipped / f"{name}.jpg"), float)).mean() < 2
        assert len(predict.landmarks(shipped / f"{name}.jpg", fast=True)) == many


def test_the_demos_colours_are_the_palettes():
    assert (PROJECT / "website" / "palette.css").read_text() == f"{palette.css()}\n"
