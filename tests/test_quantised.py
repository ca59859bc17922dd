"""Shipped nets in 8-bit integers: they say what the nets say that they were made of, without PyTorch."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from PIL import Image
from test_project import PROJECT
from torch import nn

from fkp_utils import predict
from fkp_utils.datasets.personal import free_portraits
from fkp_utils.landmarks import IBUG_68
from fkp_utils.metrics import nme
from fkp_utils.nets import quantised
from fkp_utils.nets.models import UNet
from fkp_utils.nets.peaks import peaks
from fkp_utils.nets.quantised import Quantised
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.shipped import SHIPPED, find_weights, sha256
from fkp_utils.nets.targets import make_target
from fkp_utils.nets.trained import Trained
from fkp_utils.nets.weights import load_weights

sys.path.insert(0, str(PROJECT / "bench" / "shipped_files"))

import quantise

TINY = Recipe("tiny", "UNet", (32, 32), 1, 1, 1e-3, target="heatmaps", loss="cross_entropy", sigma=2.0, width=4)
FILES = sorted(name for name in SHIPPED if name.endswith(".onnx"))


def tiny(model=None):
    torch.manual_seed(0)
    return Trained(model or UNet(init_features=4).eval(), make_target(TINY, torch.zeros(1, 68, 2)), TINY, IBUG_68)


@pytest.mark.training
def test_exported_net_says_what_the_net_says(tmp_path):
    run = tiny()
    quantise.export(run, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    for batch in (1, 3):
        images = torch.rand(batch, 1, 32, 32) - 0.5
        with torch.no_grad():
            output = run.model(images)
        points, maps = session.run(["landmarks", "heatmaps"], {"images": images.numpy()})
        assert np.abs(points - run.target.decode(output).numpy()).max() < 0.05
        assert np.abs(maps - run.target.heatmaps(output).numpy()).max() < 1e-4 and np.allclose(maps.sum((2, 3)), 1, atol=1e-4)


@pytest.mark.training
def test_a_net_of_ones_own_is_made_and_read_and_its_landmarks_at_the_border_are_there(tmp_path):
    """A net of one known map: a Gaussian whose centre is the corner pixel's, of which a quarter is left."""
    class Corner(nn.Module):
        def __init__(self):
            super().__init__()
            y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
            self.register_buffer("maps", -((x - 31) ** 2 + y**2).expand(1, 68, 32, 32) / (2 * 2.0**2))
            self.conv = nn.Conv2d(1, 68, 1)

        def forward(self, images):
            return self.maps + 0 * self.conv(images)
    run = tiny(Corner())
    quantise.export(run, tmp_path / "float.onnx")
    quantise.quantised(tmp_path / "float.onnx", tmp_path / "net.onnx", np.zeros((2, 32, 32), np.uint8), quantise.about(run))
    net = Quantised(tmp_path / "net.onnx")
    points = net.landmarks(np.zeros((2, 1, 32, 32), np.uint8))
    np.testing.assert_allclose(points[:, 0], [[31, 0]] * 2, atol=0.05)    # the mean of what is left lies 1.4 pixels inside
    assert (net.title, net.size, net.crop, net.convention) == (run.title, run.size, run.crop, run.convention)


@pytest.mark.training
@pytest.mark.parametrize("exact", [1, 3])
def test_as_many_of_the_last_convolutions_as_asked_for_keep_their_weights(exact, tmp_path):
    run = tiny()
    quantise.export(run, tmp_path / "float.onnx")
    quantise.quantised(tmp_path / "float.onnx", tmp_path / "net.onnx", np.zeros((2, 32, 32), np.uint8), quantise.about(run),
                       exact)
    net = onnx.load(tmp_path / "net.onnx").graph
    floats = {value.name for value in net.initializer if value.data_type == onnx.TensorProto.FLOAT}
    convolutions = [node.input[1] in floats for node in net.node if node.op_type == "Conv"]
    assert convolutions == [False] * (len(convolutions) - exact) + [True] * exact


class Halves(nn.Module):
    """Two layers down, the first with a kernel of `how`, and up to the size of the first one's answer."""

    def __init__(self, *how):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, *how), nn.Conv2d(3, 3, 5, stride=2, padding=2)

    def forward(self, images):
        beside = self.first(images)
        return torch.nn.functional.interpolate(self.second(beside), beside.shape[-2:], mode="bilinear") + 2 * beside


@pytest.mark.training
@pytest.mark.parametrize("how, kind", [((3, 2, 1), "SpaceToDepth"), ((12, 4, 4), "SpaceToDepth"), ((7, 4, 3), "SpaceToDepth"),
                                       ((3, 1, 1), "Conv"), ((4, 2, 3), "Conv"), ((6, 2, 0), "Conv")])
def test_a_net_that_reads_blocks_and_doubles_says_the_same_and_asks_for_no_size(how, kind, tmp_path):
    """Kernels, steps and edges; those of the last three lines give no place a block, and stay as they are."""
    torch.manual_seed(0)
    net, images, path = Halves(*how).eval(), torch.rand(2, 1, 16, 24) - 0.5, tmp_path / "net.onnx"
    torch.onnx.export(net, (images,), path, input_names=["images"], dynamo=True, external_data=False, verbose=False,
                      dynamic_shapes=({0: torch.export.Dim("batch")},))
    changed = quantise.in_blocks(quantise.with_scales(onnx.load(path)))
    kinds = [node.op_type for node in changed.graph.node]
    assert kinds[0] == kind and kinds.count("Conv") == 2 and "Resize" in kinds and "Shape" not in kinds
    answer = onnxruntime.InferenceSession(changed.SerializeToString()).run(None, {"images": images.numpy()})[0]
    np.testing.assert_allclose(answer, net(images).detach(), atol=1e-5)


@pytest.mark.parametrize("name", FILES)
def test_shipped_files_are_small_and_name_no_file_of_a_machine(name):
    content = find_weights(name).read_bytes()
    assert len(content) < {"finder.onnx": 1_000_000, "small68.onnx": 3_200_000, "ibug68.onnx": 4_600_000}[name]
    assert b".py" not in content and sha256(find_weights(name)) == SHIPPED[name]
    run, net = load_weights(name.replace(".onnx", ".safetensors")), Quantised(name)
    for what in ("title", "size", "flip_offset", "finds_faces", "convention"):
        assert getattr(net, what) == getattr(run, what), what
    assert asdict(net.crop) == asdict(run.crop)
    points = np.arange(136.0).reshape(1, 68, 2)
    np.testing.assert_allclose(net.on_labels_side(points), run.on_labels_side(points))


@pytest.mark.parametrize("name", FILES)
def test_weights_have_seven_bits_so_that_no_processor_saturates(name):
    """255 * 64 + 255 * 64 fits 16 bits, in which processors without VNNI add two products; 255 * 127 * 2 does not."""
    weights = [numpy_helper.to_array(part) for part in onnx.load(find_weights(name)).graph.initializer if part.data_type == 3]
    assert len(weights) > 30 and all(np.abs(values.astype(int)).max() <= 64 for values in weights if values.ndim == 4)


@pytest.mark.parametrize("name", ["ibug68", "small68"])
def test_landmarks_are_those_of_the_net_it_was_made_of(name):
    photo = free_portraits()["Grace Hopper"]
    net, run = Quantised(f"{name}.onnx"), load_weights(f"{name}.safetensors")
    [face] = predict.landmarks(photo)
    crop = net.crop.cut(predict.faces.Image.fromarray(photo).convert("L"), face.box, roll=face.roll)
    images = np.stack([crop, crop[:, ::-1]])[:, None]
    found, expected = net.landmarks(images), run.landmarks(images).numpy()
    assert found.dtype == np.float32 and nme(found, expected, IBUG_68).max() < 0.6
    maps, wanted = net.heatmaps(images), run.heatmaps(images).numpy()
    assert maps.shape == wanted.shape and np.abs(maps - wanted).max() < 0.15 * wanted.max()


def test_the_finder_finds_what_the_net_does_that_it_was_made_of_in_pictures_of_any_size():
    photo = free_portraits()["both"].mean(2).astype(np.uint8)
    net, run = Quantised("finder.onnx"), load_weights("finder.safetensors")
    for images in (photo[None, None, :448, :960], np.stack([photo[None, :320, :192], photo[None, 100:420, 100:292]])):
        for found, expected in zip(net.faces(images, 0.4), run.faces(images, 0.4), strict=True):
            assert len(found) == len(expected)
            np.testing.assert_allclose(found[:, :3], expected[:, :3], atol=3)
            np.testing.assert_allclose(found[:, 4], expected[:, 4], atol=0.1)
    with pytest.raises(ValueError, match="finds landmarks, not faces"):
        Quantised("small68.onnx").faces(photo[None, None, :160, :160], 0.3)


def test_threads_of_ones_own_compute_alone_and_say_the_same(monkeypatch):
    monkeypatch.setattr(quantised, "usable", lambda: 3)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    net = Quantised("small68.onnx")
    images = np.random.default_rng(0).integers(0, 256, (6, 1, 160, 160)).astype(np.uint8)
    expected = np.concatenate([net.landmarks(image[None]) for image in images])
    assert list(net._sessions) == [3]
    with net.apart() as (pool, count):
        found = np.concatenate(list(pool.map(lambda image: net.landmarks(image[None]), images)))
    assert count == 3 and sorted(net._sessions) == [1, 3]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(net.landmarks(images), expected)        # one after the other, or together


@pytest.mark.parametrize("chosen, processors, expected", [("1", 4, 1), ("8", 4, 4), ("", 4, 4), ("2,1", 4, 4)])
def test_the_users_number_of_threads_is_taken(monkeypatch, chosen, processors, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", chosen)
    monkeypatch.setattr(quantised, "usable", lambda: processors)
    assert quantised._threads() == expected


@pytest.mark.parametrize("content", [b"", b"rubbish" * 99, None])
def test_other_files_are_refused_by_name(tmp_path, content):
    path = Path(tmp_path) / "other.onnx"
    if content is None:                                                  # a sound net that does not say what it is
        net = onnx.load(find_weights("finder.onnx"))
        del net.metadata_props[:]
        content = net.SerializeToString()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.onnx: not a net of this project"):
        Quantised(path)
    with pytest.raises(ValueError, match=r"nothing\.onnx: no such weights"):
        Quantised("nothing.onnx")


def test_a_shipped_file_that_was_changed_is_refused(tmp_path, monkeypatch):
    from fkp_utils.nets import shipped
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    (tmp_path / "small68.onnx").write_bytes(find_weights(PROJECT / "data" / "weights" / "small68.onnx").read_bytes() + b" ")
    with pytest.raises(ValueError, match=r"small68\.onnx: its SHA-256 is not"):
        Quantised("small68.onnx")


def test_peaks_are_read_by_hand():
    """A centre of logit 2 in column 3 and row 1, half a cell right and a quarter up, 64 px large, turned by 90 degrees."""
    maps = np.full((2, 6, 4, 8), -10.0, np.float32)
    maps[0, :, 1, 3] = [2, 0.5, -0.25, 1, 0, 1]
    maps[0, :, 1, 4] = [1.9, 0, 0, 0, 1, 0]                              # its neighbour is lower: no peak
    [face], none = peaks(maps, 0.3)
    np.testing.assert_allclose(face, [4 * 4 - 0.5, 4 * 1.25 - 0.5, 64, 90, 1 / (1 + np.exp(-2))], rtol=1e-6)
    assert none.shape == (0, 5) and not len(peaks(maps, 0.9)[0])
    assert json.dumps(face.tolist())


def test_the_spread_of_maps_is_read_by_hand():
    """One pixel; two 6 apart, 3 from their mean; three quarters beside one quarter, 4 apart: the root of 3/16 times 16."""
    maps = np.zeros((1, 3, 5, 9), np.float32)
    maps[0, 0, 2, 7] = 1
    maps[0, 1, 1, [1, 7]] = 0.5
    maps[0, 2, [0, 4], 3] = 0.75, 0.25
    np.testing.assert_allclose(quantised.spread(maps), [[0, 3, 3**0.5]], atol=1e-3)


def test_landmarks_and_spread_come_in_pixels_of_the_picture():
    """A square of 160 px of one face: the maps have a quarter of its side, a landmark's spreads over a few of their pixels."""
    run = Quantised("small68.onnx")
    crop = run.crop.cut(Image.fromarray(free_portraits()["Eileen Collins"]).convert("L"), np.array([168, 62, 110, 110]))
    points, spread = run.landmarks_and_spread(crop[None, None])
    maps = run.heatmaps(crop[None, None])
    np.testing.assert_allclose(points, run.landmarks(crop[None, None]), atol=1e-3)
    assert spread.shape == (1, 68) and maps.shape == (1, 68, 40, 40)
    y, x = np.indices((40, 40)) * 4
    for share, found in zip(maps[0], spread[0]):
        mean = (share * x).sum(), (share * y).sum()
        assert found == pytest.approx((share * ((x - mean[0]) ** 2 + (y - mean[1]) ** 2)).sum() ** 0.5, abs=0.05)
