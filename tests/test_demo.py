"""The browser demo's parts: the exported net, and libraries that are checked."""

import base64
import hashlib
import io
import json
import re
import shutil
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_project import PROJECT

from fkp_utils import palette, predict
from fkp_utils.errors import DatasetError
from fkp_utils.folders import EMBEDDED
from fkp_utils.nets.shipped import find_weights
from fkp_utils.nets.weights import load_weights
from fkp_utils.website import demo, npm

sys.path.insert(0, str(PROJECT / "bench" / "shipped_files"))

import samples

pytestmark = pytest.mark.training


def test_the_committed_demo_asks_the_shipped_nets():
    for name, shipped in (("landmarks", "small68"), ("finder", "finder")):
        assert (PROJECT / "website" / f"{name}.onnx").read_bytes() == find_weights(f"{shipped}.onnx").read_bytes()
    about = json.loads((PROJECT / "website/landmarks.json").read_text())
    assert about == json.loads(json.dumps(demo.description(load_weights("small68.safetensors"))))


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


def test_a_page_from_a_file_is_handed_all_that_it_asks_for(tmp_path):
    """Every sample and the settings, byte for byte; libraries of any content."""
    site = tmp_path / "site"
    shutil.copytree(PROJECT / "website", site, ignore=shutil.ignore_patterns("*.svg", "vendor", "pages", "results", "screens"))
    (site / "vendor").mkdir()
    for name in demo.LIBRARIES[demo.ORT]:
        (site / "vendor" / Path(name).name).write_bytes(bytes(range(256)))
    demo.from_disk(site)
    written = (site / "vendor" / "from_disk.js").read_text()
    handed = json.loads(re.fullmatch(r"self\.fromDisk = (.*);\n", written)[1])
    program = re.search(r"(?s)function program.*?\n}", (site / "demo.js").read_text())[0]
    asked = {*re.findall(r'"((?:vendor/)?[\w.]+\.js)"', program),
             *re.findall(r'data-src="([^"]+)"', (site / "demo.html").read_text()), "example.jpeg",
             *re.findall(r'"([\w/.-]+\.(?:json|onnx|mjs))"', (site / "demo.worker.js").read_text())}
    asked -= {"vendor/from_disk.js"}
    assert len(asked) >= 13 and asked <= handed.keys() and "vendor/ort-wasm-simd-threaded.wasm" in handed
    assert f'self.VERSION = "{handed.pop("version")}";\n' == (PROJECT / "website" / "version.js").read_text()    # as committed
    assert all(base64.b64decode(text) == (site / name).read_bytes() for name, text in handed.items())


def test_another_version_of_any_file_of_the_demo_is_another(tmp_path, monkeypatch):
    versions = set()
    for changed in (None, *demo.OURS):
        site = tmp_path / str(changed)
        for name in (*demo.OURS, "example.jpeg", *(f"vendor/{Path(name).name}" for name in demo.LIBRARIES[demo.ORT])):
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            (site / name).write_bytes(b"a;\r\n" if name == changed else b"b;\r\n")
        demo.from_disk(site)
        versions.add((site / "version.js").read_text())
        (site / "faces.js").write_bytes((site / "faces.js").read_bytes().replace(b"\r", b""))
        demo.from_disk(site)
        versions.add((site / "version.js").read_text())               # line ends change nothing
    assert len(versions) == 1 + len(demo.OURS)
    [package], [files] = demo.LIBRARIES, demo.LIBRARIES.values()
    monkeypatch.setattr(demo, "LIBRARIES", {package: dict.fromkeys(files, "another digest")})
    demo.from_disk(site)
    assert (site / "version.js").read_text() not in versions


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
