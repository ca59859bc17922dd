"""Each widget is driven through its values without a browser, and has a picture where there is none."""

import base64
import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from toy import ToyFaces

from fkp_utils import predict, widgets
from fkp_utils.datasets import Crop, IBugFaces, IMMFaces
from fkp_utils.datasets.personal import free_portraits
from fkp_utils.landmarks import IBUG_68
from fkp_utils.nets.models import NoseNet, UNet
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.targets import make_target
from fkp_utils.nets.trained import Trained, new_model
from fkp_utils.training.loop import fit

TOY = Recipe("toy", "NoseNet", (60, 80), epochs=3, batch=4, lr=1e-3, data="imm_nose")
TINY = Recipe("tiny", "UNet", (32, 32), 1, 1, 1e-3, target="heatmaps", loss="cross_entropy", sigma=2.0, margin=1.4, width=4)


@pytest.fixture(scope="module")
def wild(embedded):
    return IBugFaces(embedded, "val", crop=Crop(1.4, 0.1, 64))


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return Trained(UNet(init_features=4).eval(), make_target(TINY, torch.zeros(1, 68, 2)), TINY, IBUG_68)


def pictures(panel, control, values):
    """The panel's pictures, bytes, as one control takes values."""
    made = []
    for value in values:
        panel.controls[control].value = value
        made.append(panel.picture.value)
    return made


def test_a_picture_stands_where_no_front_end_is(wild):
    bundle = widgets.augmentation_playground(wild)._repr_mimebundle_()
    picture = Image.open(io.BytesIO(base64.b64decode(bundle["image/jpeg"])))
    assert picture.size[0] > 300 and bundle["text/plain"] == "interactive panel"


def test_dataset_browser(embedded, wild):
    panel = widgets.dataset_browser(IMMFaces(embedded, "val"), wild)
    assert len(set(pictures(panel, "person", [1, 2, 8]))) == 3
    assert len(set(pictures(panel, "view", [1, 6]))) == 2
    assert len(set(pictures(panel, "convention", [58, 68]))) == 2
    assert len(set(pictures(panel, "numbers", [False, True]))) == 2
    panel.controls["numbers"].value = False
    assert len(set(pictures(panel, "landmarks", [True, False]))) == 2
    for person in (1, 8):                                             # corners of the sliders
        for view in (1, 6):
            panel.controls["person"].value, panel.controls["view"].value = person, view


def test_augmentation_playground_changes_picture_and_landmarks(wild):
    panel = widgets.augmentation_playground(wild)
    for control, values in (("rotation", [-45, 0, 45]), ("shift", [-0.3, 0.3]), ("scale", [0.6, 1.5]),
                            ("brightness", [-0.4, 0.4]), ("mirror", [True, False])):
        assert len(set(pictures(panel, control, values))) == len(values), control


@pytest.mark.training
def test_live_training_gives_the_same_as_fit():
    train, val = ToyFaces(8), ToyFaces(4, seed=1)
    live = widgets.LiveTraining(new_model(TOY), train, val, TOY)
    first = live.picture.value
    run = live.wait()
    plain = fit(new_model(TOY), train, val, TOY, progress=False)
    assert run.history.val_error.equals(plain.history.val_error)
    assert live.picture.value != first and "after epoch 3" in live.note.value


@pytest.mark.training
def test_stop_ends_the_training_after_its_epoch():
    class Slow(ToyFaces):
        def batch(self, indices):
            if live_started:
                live_started[0].button.click()
            return super().batch(indices)

    live_started = []
    faces, recipe = Slow(4), Recipe("long", "NoseNet", (60, 80), epochs=2000, batch=4, lr=1e-3, data="imm_nose")
    live = widgets.LiveTraining(new_model(recipe), faces, faces, recipe)
    live_started.append(live)
    assert 1 <= len(live.wait().history) < 2000 and live.button.disabled


def test_a_failed_training_is_raised_by_wait():
    live = widgets.LiveTraining(NoseNet(), ToyFaces(0), ToyFaces(4), TOY)
    with pytest.raises(ValueError, match="at least one face"):
        live.wait()
    assert "failed" in live.note.value


def test_error_explorer_starts_with_the_worst(wild):
    predicted = wild.landmarks.copy()
    predicted[3] += 20
    panel = widgets.error_explorer(wild, predicted)
    drawn = []
    panel.draw = lambda rank, draw=panel.draw: drawn.append(draw(rank)) or drawn[-1]
    pictures(panel, "rank", [2, 1])
    assert wild.names[3].rsplit("/", 1)[-1] in drawn[-1].axes[0].get_title()
    assert len(set(pictures(panel, "rank", [1, 2, len(wild)]))) == 3


def test_heatmap_explorer(tiny, embedded):
    panel = widgets.heatmap_explorer(tiny, IBugFaces(embedded, "val", crop=TINY.crop))
    assert len(set(pictures(panel, "landmark", [0, 30, 67]))) == 3
    assert len(set(pictures(panel, "face", [0, 7]))) == 2


def test_own_photo(tiny, monkeypatch):
    monkeypatch.setattr(predict, "default_net", lambda fast=False: tiny)
    monkeypatch.setattr(predict, "DOUBTFUL", 0.0)
    portraits = free_portraits()
    panel = widgets.own_photo(portraits["Grace Hopper"])
    before = panel.picture.value
    file = io.BytesIO()
    Image.fromarray(portraits["Eileen Collins"][:300]).save(file, format="png")
    upload = {"name": "me.png", "type": "image/png", "size": 1, "content": memoryview(file.getvalue()), "last_modified": None}
    panel.controls["upload"].set_trait("value", ({**upload, "last_modified": pd.Timestamp(0).to_pydatetime()},))
    assert panel.picture.value != before and "1 face(s) found, confidence" in panel.note.value
    assert len(set(pictures(panel, "show", ["landmarks", "heatmaps"]))) == 2
    panel.controls["upload"].set_trait("value", ({**upload, "name": "notes.txt", "content": memoryview(b"no picture"),
                                                  "last_modified": pd.Timestamp(0).to_pydatetime()},))
    assert "notes.txt: not a picture" in panel.note.value


def test_layer_explorer(wild):
    model = UNet(init_features=4)
    panel = widgets.layer_explorer(model, wild)
    assert len(panel.controls["layer"].options) == 19
    assert len(set(pictures(panel, "layer", ["encoder1.enc1conv1", "bottleneck.bottleneckconv2", "conv"]))) == 3
    assert len(set(pictures(panel, "face", [0, len(wild) - 1]))) == 2
    assert np.isfinite(panel.controls["face"].value)


def test_a_files_name_is_shown_as_text(tiny, monkeypatch):
    monkeypatch.setattr(predict, "default_net", lambda fast=False: tiny)
    panel = widgets.own_photo(free_portraits()["Grace Hopper"])
    upload = {"name": "<img src=x onerror=alert(1)>.jpg", "type": "", "size": 1, "content": memoryview(b"no picture"),
              "last_modified": pd.Timestamp(0).to_pydatetime()}
    panel.controls["upload"].set_trait("value", (upload,))
    assert "<img" not in panel.note.value and "&lt;img src=x onerror=alert(1)&gt;.jpg: not a picture" in panel.note.value


def test_an_errors_text_is_shown_as_text():
    live = widgets.LiveTraining(NoseNet(), ToyFaces(4), ToyFaces(4), replace(TOY, title="<b>toy</b>", lr=1e18))
    with pytest.raises(FloatingPointError):
        live.wait()
    assert "<b>" not in live.note.value and "&lt;b&gt;toy&lt;/b&gt;: the training loss is" in live.note.value


def test_heatmap_explorer_reads_points_off_as_the_net_does(wild, monkeypatch):
    """A net of the write-up's loss, and a perfect map of a landmark at (20, 71): soft-argmax would say (47.5, 47.5)."""
    recipe = Recipe("mse", "UNet", (96, 96), 1, 1, 1e-3, target="heatmaps", width=4)
    run = Trained(UNet(init_features=4), make_target(recipe, torch.zeros(1, 68, 2)), recipe, IBUG_68)
    monkeypatch.setattr(Trained, "logits", lambda self, images: run.target.encode(torch.tensor([20.0, 71.0]).expand(1, 68, 2)))
    seen = {}
    monkeypatch.setattr(widgets.plotting, "heatmap_details", lambda image, heatmap, peak, point, title: seen.update(
        peak=peak, point=point, title=title) or widgets.Figure((1, 1)))
    widgets.heatmap_explorer(run, wild, 1)
    np.testing.assert_allclose(seen["peak"], [20, 71])
    np.testing.assert_allclose(seen["point"], [20, 71], atol=0.05)
    assert seen["title"].startswith("landmark 30 (nose 4): highest value")
