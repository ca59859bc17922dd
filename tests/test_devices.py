"""Nets and faces on another device than the CPU: nothing mixes, and whatever a trained net answers is on the CPU."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from pretended_gpu import DEVICE, gpu
from toy import ToyFaces

from fkp_utils import augment, predict, widgets
from fkp_utils.augment import Augment
from fkp_utils.datasets import registered
from fkp_utils.datasets.scenes import SCENE
from fkp_utils.detection import find_faces
from fkp_utils.landmarks import IBUG_68
from fkp_utils.nets import heatmaps
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.targets import Heatmaps
from fkp_utils.nets.trained import default_device, has_bf16, new_model
from fkp_utils.nets.weights import load_weights
from fkp_utils.training.loop import fit, mean_shape_loss

PROJECT = Path(__file__).parents[1]
EVERYTHING = Augment(rotate=10, shift=0.05, scale=0.1, flip=0.5, brightness=0.1, contrast=0.1, gamma=0.2, noise=0.03, blur=0.3,
                     occlude=0.3, coarse=0.3)
UNET = dict(size=(32, 48), target="heatmaps", width=2)
NOSE = dict(net="NoseNet", size=(60, 80), epochs=2, batch=4, lr=1e-3, data="imm_nose")
RECIPES = {recipe.title: recipe for recipe in (
    Recipe("centred", target="centred", loss="wing", schedule="cosine", ema=0.9, **NOSE),
    Recipe("coordinates", loss="smooth_l1", **NOSE),
    Recipe("maps", "UNet", epochs=1, batch=4, lr=1e-3, channels_last=True, **UNET),
    Recipe("wing maps", "UNet", epochs=1, batch=4, lr=1e-3, loss="adaptive_wing", heatmap_scale=1.0, ema=0.9, **UNET),
    Recipe("logits", "UNet", epochs=1, batch=4, lr=1e-3, loss="cross_entropy", sigma=2.0, l1_weight=0.3, **UNET),
    Recipe("strided", "HeatmapResNet", (32, 64), 1, 4, 1e-3, "ibug", "cross_entropy", "heatmaps", sigma=1, stride=4, width=4),
    Recipe("faces", "FinderResNet", (64, 128), 1, 4, 1e-3, data="scenes", target="faces", loss="focal", width=4))}


def _faces(recipe, count, seed=0):
    """Toy faces with as many landmarks as the net answers with; two faces a scene, of which one is not known all over."""
    faces, rng = ToyFaces(count, recipe.size, seed), np.random.default_rng(seed)
    faces.convention = registered(recipe.data).convention
    places = faces.landmarks + rng.normal(0, 4, (count, faces.convention.size, 2)).astype(np.float32)
    if faces.convention is SCENE:
        places[:, 4:] = np.nan
        places[::2, -1] = 0
    faces.landmarks = places
    return faces


def _fitted(recipe, device):
    return fit(new_model(recipe), _faces(recipe, 9), _faces(recipe, 5, seed=1), recipe, progress=False, device=device)


@pytest.fixture(params=RECIPES)
def recipe(request):
    return RECIPES[request.param]


@pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'")
def test_a_training_and_its_answers_are_those_of_the_cpu_and_come_back_to_it(recipe):
    recipe = replace(recipe, augment=replace(EVERYTHING, flip=0 if recipe.target == "faces" else 0.5))
    here, few = _fitted(recipe, torch.device("cpu")), _faces(recipe, 3, seed=2)
    with gpu() as device:
        there = _fitted(recipe, device)
        assert {weights.device for weights in there.model.state_dict().values()} == {DEVICE}
        logits, points = there.logits(few.batch([0, 1, 2])[0]), there.landmarks(few.batch([0, 1, 2])[0])
        assert type(logits) is type(points) is torch.Tensor and logits.device == points.device == torch.device("cpu")
        assert logits.numpy().shape[0] == len(points.numpy()) == len(few)
        predicted = there.predict(few)
    columns = ["train_loss", "val_loss", "val_error"]
    np.testing.assert_array_equal(there.history[columns], here.history[columns])
    np.testing.assert_array_equal(predicted, here.predict(few))


def _in_float32(name):
    run = load_weights(name)
    return replace(run, recipe=replace(run.recipe, bf16=False))


@pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'")
def test_photos_and_widgets_take_a_net_on_the_gpu():
    photo = np.random.default_rng(0).integers(0, 255, (90, 120, 3)).astype(np.uint8)
    run, finder = map(_in_float32, ("small68.safetensors", "finder.safetensors"))
    expected, maps = predict.landmarks(photo, [[10, 10, 70, 70]], run), predict.face_heatmaps(photo, [10, 10, 70, 70], run)[1]
    boxes = find_faces(photo, finder, 0.05, (256,))
    logits = _fitted(RECIPES["logits"], torch.device("cpu"))
    few = _faces(RECIPES["logits"], 3)
    with gpu() as device:
        for net in (run, finder, logits):
            net.model.to(device)
        [face] = predict.landmarks(photo, [[10, 10, 70, 70]], run)
        np.testing.assert_array_equal(face.landmarks, expected[0].landmarks)
        np.testing.assert_array_equal(predict.face_heatmaps(photo, [10, 10, 70, 70], run)[1], maps)
        np.testing.assert_array_equal(find_faces(photo, finder, 0.05, (256,)), boxes)
        widgets.heatmap_explorer(logits, few)
        widgets.layer_explorer(logits.model, few)


def test_no_numbers_are_taken_from_a_net_past_its_answers():
    """In a notebook or the package `model(...).numpy()` fails with a net on a GPU; `.cpu()` must come between."""
    notebooks = [(path.name, "\n".join(line for line in cell.source.splitlines() if not line.startswith("%")))
                 for path in (PROJECT / "notebooks").glob("*.ipynb") for cell in nbformat.read(path, 4).cells
                 if cell.cell_type == "code"]
    package = [(path.name, path.read_text()) for path in (PROJECT / "fkp_utils").rglob("*.py")]
    calls = [(name, call) for name, source in [*notebooks, *package] for call in ast.walk(ast.parse(source))
             if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".numpy")]
    assert len(calls) > 10
    past = [f"{name}: {ast.unparse(call)}" for name, call in calls
            if re.search(r"(model|net)(\.eval\(\))?\(", ast.unparse(call)) and ".cpu()" not in ast.unparse(call)]
    assert not past


@pytest.mark.parametrize("fast", [False, True], ids=["Turing", "Ampere"])
def test_a_gpu_that_emulates_bfloat16_computes_in_float32(monkeypatch, fast):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or fast)
    assert has_bf16(DEVICE) == fast


def test_apples_gpu_is_left_alone_and_the_reason_is_told(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert default_device() == torch.device("cpu") and "Apple" in default_device.__doc__


def test_the_decoders_stay_on_the_device_of_their_maps():
    maps = torch.rand(2, 3, 20, 28, generator=torch.Generator().manual_seed(0))
    with gpu() as device:
        for decode in (heatmaps.argmax, heatmaps.weighted_mean, heatmaps.soft_argmax,
                       lambda maps: heatmaps.unbiased(heatmaps.soft_argmax(maps), (20, 28), 2.0)):
            points = decode(maps.to(device))
            assert points.device == DEVICE
            np.testing.assert_array_equal(points.cpu(), decode(maps))


def test_the_pretended_gpu_has_the_rules_of_one():
    with gpu() as device:
        there, here = torch.arange(4.0, device=device), torch.arange(4.0)
        with pytest.raises(RuntimeError, match="same device"):
            there + here
        with pytest.raises(RuntimeError, match="numpy"):
            there.numpy()
        assert (2 * there.cpu()).tolist() == (there * torch.tensor(2.0)).tolist() == [0, 2, 4, 6]
        assert (there + 1).device == there.new_full((2,), 7).device == torch.zeros_like(there).device == DEVICE
        assert here.to(there).device == DEVICE and there[torch.tensor([1, 3])].tolist() == [1, 3]


def _answers(recipe):
    """Numbers that a training, its checks and its answers give on the CPU."""
    run = _fitted(recipe, torch.device("cpu"))
    few = _faces(recipe, 3, seed=2)
    return [*run.history[["train_loss", "val_loss", "val_error"]].to_numpy().ravel(), *run.predict(few).ravel(),
            *(value.sum().item() for value in run.model.state_dict().values())]


def test_another_default_device_changes_nothing(recipe):
    """With "meta", a tensor that is made without a device has no numbers at all."""
    recipe = replace(recipe, augment=replace(EVERYTHING, flip=0 if recipe.target == "faces" else 0.5))
    expected = _answers(recipe)
    with torch.device("meta"):
        np.testing.assert_array_equal(_answers(recipe), expected)


def test_another_default_device_changes_no_augmentation_nor_widget():
    images, points = torch.rand(2, 1, 30, 44), 30 * torch.rand(2, 68, 2)
    faces = _faces(RECIPES["logits"], 3)
    for amount in (EVERYTHING, Augment(noise=0.1)):
        expected = amount(images, points, IBUG_68, torch.Generator().manual_seed(5))
        augment._noise.cache_clear()
        with torch.device("meta"):
            changed = amount(images, points, IBUG_68, torch.Generator().manual_seed(5))
        assert all(map(torch.equal, changed, expected))
    with torch.device("meta"):
        widgets.augmentation_playground(faces)
        assert mean_shape_loss(faces, faces, Heatmaps((32, 48), "cross_entropy")) > 0
