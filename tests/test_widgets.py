"""Each widget is driven through its values without a browser, and has a picture where there is none."""

import asyncio
import base64
import io
import os
import signal
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
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
from fkp_utils.website import run_notebooks

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
    bundle, told = widgets.augmentation_playground(wild)._repr_mimebundle_()
    picture = Image.open(io.BytesIO(base64.b64decode(bundle["image/jpeg"])))
    assert picture.size[0] > 300 and bundle["text/plain"] == "interactive panel"
    assert told["image/jpeg"]["alt"].startswith("2 pictures, before, after, 68 landmarks") and "needs_background" not in told


def alt(panel):
    """What a notebook says in the place of a panel's picture, as IPython stores it."""
    shell = DisplayFormatter()
    shell.ipython_display_formatter.enabled = False              # a training shows itself
    data, told = shell.format(panel)
    assert data["text/plain"] == "interactive panel" and data["image/jpeg"]
    return told["image/jpeg"]["alt"]


def test_the_alt_text_is_that_of_what_is_shown_now(embedded, wild, tiny):
    """Faces' names, landmarks, bars and shares, as the controls choose them."""
    people = IMMFaces(embedded, "val")
    panel = widgets.dataset_browser(people, wild)
    assert alt(panel) == f"1 picture, {people.names[0]}, 58 landmarks known (dots)"
    panel.controls["landmarks"].value, panel.controls["person"].value = False, 2
    assert alt(panel) == f"1 picture, {people.names[6]}"
    worst = alt(widgets.error_explorer(wild, wild.landmarks + 20 * (np.arange(len(wild)) == 3)[:, None, None]))
    assert wild.names[3].rsplit("/", 1)[-1] in worst and "68 landmarks found (crosses)" in worst and "NME, %, jaw " in worst
    panel = widgets.morph_slider(*((np.zeros((64, 64, 3)), wild.landmarks[k]) for k in (0, 1)))
    panel.controls["share"].value = 0.25
    assert alt(panel) == "75% of the first face and 25% of the second"
    assert "landmark 30 (nose 4)" in alt(widgets.heatmap_explorer(tiny, IBugFaces(embedded, "val", crop=TINY.crop)))


def test_dataset_browser(embedded, wild):
    panel = widgets.dataset_browser(IMMFaces(embedded, "val"), wild)
    assert len(set(pictures(panel, "person", [1, 2, 8]))) == 3
    assert len(set(pictures(panel, "view", [1, 6]))) == 2
    assert len(set(pictures(panel, "convention", [58, 68]))) == 2
    assert len(set(pictures(panel, "numbers", [False, True]))) == 2
    panel.controls["numbers"].value = False
    assert len(set(pictures(panel, "landmarks", [True, False]))) == 2
    assert len(set(pictures(panel, "face", [1, 2, len(wild)]))) == 3 and panel.controls["face"].max == len(wild)
    for convention, shown in ((68, ["face"]), (58, ["person", "view"])):          # what the dataset does not have is not asked
        panel.controls["convention"].value = convention
        assert [name for name in ("person", "view", "face") if panel.controls[name].layout.display != "none"] == shown
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
def test_a_training_that_is_taken_up_finished_shows_its_curve(tmp_path):
    train, val = ToyFaces(8), ToyFaces(4, seed=1)
    fit(new_model(TOY), train, val, TOY, tmp_path, progress=False)
    live = widgets.LiveTraining(new_model(TOY), train, val, TOY, tmp_path)
    live.wait()
    assert live.picture.layout.display is None and not is_blank(live._repr_mimebundle_()[0]["image/jpeg"])


def is_blank(picture):
    """Whether a JPEG in base64 has one colour."""
    return np.ptp(np.asarray(Image.open(io.BytesIO(base64.b64decode(picture)))).astype(int)) < 3


@pytest.mark.training
def test_a_notebooks_file_keeps_the_last_picture_of_a_training(tmp_path):
    """Executed without a front end, and stored: the cell that shows the training holds its curve, not what was there first."""
    cells = [f"import sys; sys.path[:0] = {[str(Path(__file__).parents[1]), str(Path(__file__).parent)]}", """import time
from test_widgets import TOY, ToyFaces
from fkp_utils.nets.trained import new_model
from fkp_utils import widgets
class Slow(ToyFaces):
    def batch(self, indices):
        time.sleep(0.5)
        return super().batch(indices)
live = widgets.LiveTraining(new_model(TOY), Slow(8), Slow(4), TOY)
live""", "run = await live.finished()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, source := tmp_path / "live.ipynb")
    NotebookClient(notebook, timeout=120).execute()
    nbformat.write(notebook, tmp_path / "done.ipynb")
    run_notebooks.store_outputs(tmp_path / "done.ipynb", source)
    [], [shown], [] = [cell.outputs for cell in nbformat.read(source, 4).cells]
    assert not is_blank(shown.data["image/jpeg"]) and "widget" not in str(list(shown.data))
    assert shown.metadata["image/jpeg"]["alt"].startswith("toy, loss (log scale) over epoch, training")
    assert shown.metadata["needs_background"] == "light"


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
    monkeypatch.setattr(predict, "landmarks", partial(predict.landmarks, run=tiny, min_confidence=0.0))
    monkeypatch.setattr(predict, "face_heatmaps", partial(predict.face_heatmaps, run=tiny))
    portraits = free_portraits()
    panel = widgets.own_photo(portraits["Grace Hopper"])
    before = panel.picture.value
    file = io.BytesIO()
    Image.fromarray(portraits["Eileen Collins"][:260]).save(file, format="png")
    upload = {"name": "me.png", "type": "image/png", "size": 1, "content": memoryview(file.getvalue()), "last_modified": None}
    panel.controls["upload"].set_trait("value", ({**upload, "last_modified": pd.Timestamp(0).to_pydatetime()},))
    assert panel.picture.value != before and "1 face(s) found, confidence" in panel.note.value
    assert len(set(pictures(panel, "show", ["landmarks", "heatmaps"]))) == 2
    panel.controls["upload"].set_trait("value", ({**upload, "name": "notes.txt", "content": memoryview(b"no picture"),
                                                  "last_modified": pd.Timestamp(0).to_pydatetime()},))
    assert "notes.txt: not a picture" in panel.note.value
    assert panel.picture.layout.display == "none", "no white strip in the place of a picture"
    assert alt(panel) == "no picture yet"
    panel.controls["upload"].set_trait("value", ({**upload, "last_modified": pd.Timestamp(10**9).to_pydatetime()},))
    assert panel.picture.layout.display is None and "heatmaps" in alt(panel)
    panel.controls["show"].value = "landmarks"
    assert alt(panel) == "a photo with the boxes and landmarks of 1 face"


def test_pictures_are_twice_as_dense_as_they_are_shown(wild):
    panel = widgets.error_explorer(wild, wild.landmarks + 1)
    width = int(panel.picture.layout.width.removesuffix("px"))
    assert Image.open(io.BytesIO(panel.picture.value)).width == pytest.approx(2 * width, abs=2)
    kept = Image.open(io.BytesIO(base64.b64decode(panel._repr_mimebundle_()[0]["image/jpeg"])))
    assert kept.width == pytest.approx(width, abs=2)


def test_the_error_explorers_axis_is_the_same_for_all_faces(wild):
    predicted = wild.landmarks.copy()
    predicted[3] += 20
    panel, limits = widgets.error_explorer(wild, predicted), []
    panel.draw = lambda rank, draw=panel.draw: limits.append((fig := draw(rank)).axes[1].get_xlim()) or fig
    pictures(panel, "rank", [2, len(wild), 1])
    assert len(set(limits)) == 1 and limits[0][0] == 0


@pytest.mark.parametrize("seconds, said", [(0.5, ["working &hellip;", ""]), (0.0, [])])
def test_a_slow_panel_says_that_it_is_at_work(seconds, said):
    def draw(wait):
        time.sleep(wait)
        return widgets.Figure((1, 1))

    panel, heard = widgets.Panel(draw, wait=widgets._slider(0, 1, 0, "wait", 0.5)), []
    panel.busy.observe(lambda change: heard.append(change["new"]), "value")
    panel.controls["wait"].value = seconds
    assert heard == said


def test_submission_explorer_starts_with_the_least_sure():
    images, points = np.zeros((3, 40, 40), np.uint8), np.random.default_rng(0).uniform(5, 35, (3, 68, 2))
    panel, titles = widgets.submission_explorer(images, points, np.array([0.9, 0.4, 0.7]), IBUG_68), []
    panel.draw = lambda rank, draw=panel.draw: titles.append((fig := draw(rank)).axes[0].get_title()) or fig
    pictures(panel, "rank", [2, 3, 1])
    assert [title.split(":")[0] for title in titles] == ["face 2, confidence 0.70", "face 0, confidence 0.90",
                                                         "face 1, confidence 0.40"]


def test_morph_slider_goes_from_one_face_to_the_other():
    points = np.random.default_rng(0).uniform(8, 55, (68, 2))
    dark, bright = (np.full((64, 64, 3), grey) for grey in (0.2, 0.8))
    panel = widgets.morph_slider((dark, points), (bright, points))
    drawn = pictures(panel, "share", [0, 0.5, 1])
    greys = [np.asarray(Image.open(io.BytesIO(picture)).convert("L")).mean() for picture in drawn]
    np.testing.assert_allclose(greys, [51, 127.5, 204], atol=2)
    assert len(set(pictures(panel, "landmarks", [False, True]))) == 2


@pytest.mark.training
def test_finished_waits_for_the_training_and_lets_others_run():
    faces, recipe = ToyFaces(8), replace(TOY, epochs=30)

    async def both():
        live, turns = widgets.LiveTraining(new_model(recipe), faces, faces, recipe), []

        async def other():
            while live.result is None:
                turns.append(1)
                await asyncio.sleep(0.01)
        run, _ = await asyncio.gather(live.finished(), other())
        return run, turns
    run, turns = asyncio.run(both())
    assert len(run.history) == 30 and len(turns) > 1


@pytest.mark.training
def test_interrupting_finished_ends_the_training():
    faces, recipe = ToyFaces(8), replace(TOY, epochs=100_000)

    async def interrupted():
        live = widgets.LiveTraining(new_model(recipe), faces, faces, recipe)
        waiting = asyncio.create_task(live.finished())
        await asyncio.sleep(0.2)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError, match="ends after this epoch") as stopped:
            await waiting
        assert stopped.value._render_traceback_() == ["Interrupted: " + str(stopped.value)]
        return live.wait()
    assert len(asyncio.run(interrupted()).history) < 100_000


@pytest.mark.training
def test_an_interrupted_cell_has_no_traceback_and_those_below_do_not_run(tmp_path):
    """In a kernel, as JupyterLab interrupts it: the error is one line, and the result can be had afterwards."""
    cells = [f"import sys; sys.path[:0] = {[str(Path(__file__).parents[1]), str(Path(__file__).parent)]}", """
from test_widgets import TOY, ToyFaces, new_model, replace
from fkp_utils import widgets
live = widgets.LiveTraining(new_model(TOY), ToyFaces(8), ToyFaces(4), replace(TOY, epochs=100_000))""",
             "print('waiting', flush=True)\nrun = await live.finished()", "print('below')"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}

    class Interrupting(NotebookClient):
        def process_message(self, message, cell, index):
            if message["content"].get("text") == "waiting\n":
                threading.Timer(1, lambda: os.kill(self.km.provisioner.pid, signal.SIGINT)).start()
            return super().process_message(message, cell, index)

    with pytest.raises(CellExecutionError):
        Interrupting(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    *_, waiting, below = notebook.cells
    printed, error = waiting.outputs
    assert printed.text == "waiting\n" and not below.outputs and below.execution_count is None
    assert error.output_type == "error" and [line[:12] for line in error.traceback] == ["Interrupted:"]
    assert error.ename == "Interrupted" and "wait()" in error.evalue


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


def seen_by(monkeypatch, name):
    """What panels hand over to a function of `plotting`, the last arguments by position."""
    seen = []
    monkeypatch.setattr(widgets.plotting, name, lambda *given, **how: seen.append((given, how)) or widgets.Figure((1, 1)))
    return seen


class Spots(ToyFaces):
    """Two dark faces of 40x60, each with a bright spot under its landmark: at (16, 12) of the first, (33, 21) of the second."""

    def __init__(self):
        super().__init__(2)
        self.landmarks = np.array([[[16, 12]], [[33, 21]]], np.float32)
        y, x = np.mgrid[:40, :60]
        distance = (x - self.landmarks[:, :, :1]) ** 2 + (y - self.landmarks[:, :, 1:]) ** 2
        self.images = (255 * np.exp(-distance / 8)).astype(np.uint8)


@pytest.mark.parametrize("values, place", [
    ({"shift": 0.1}, (22, 12)), ({"shift": -0.05}, (13, 12)), ({"mirror": True}, (43, 12)),
    # From the centre (29.5, 19.5) the spot is (-13.5, -7.5) away: six tenths of that, or turned clockwise.
    ({"scale": 0.6}, (21.4, 15)), ({"rotation": 45}, (29.5 - 6 / 2**0.5, 19.5 - 21 / 2**0.5))])
def test_the_playground_moves_the_face_as_its_sliders_say(monkeypatch, values, place):
    seen = seen_by(monkeypatch, "face_grid")
    panel = widgets.augmentation_playground(Spots())
    for name, value in {"rotation": 0, "shift": 0.0, "scale": 1.0, "brightness": 0.0, "mirror": False, **values}.items():
        panel.controls[name].value = value
    [before, after], [truth, moved] = seen[-1][0]
    assert truth.tolist() == [[16, 12]] and before[12, 16] == 255
    np.testing.assert_allclose(moved[0], place, atol=0.01)
    y, x = np.mgrid[:40, :60]
    after = np.where(after > 8, after.astype(float), 0)
    centre = np.array([(after * x).sum(), (after * y).sum()]) / after.sum()
    np.testing.assert_allclose(centre, place, atol=0.06)


def test_the_playground_shows_the_face_it_is_asked_for_and_its_light(monkeypatch):
    seen = seen_by(monkeypatch, "face_grid")
    panel = widgets.augmentation_playground(Spots(), 1)
    for name, value in {"rotation": 0, "shift": 0.0, "scale": 1.0, "brightness": 0.2, "mirror": False}.items():
        panel.controls[name].value = value
    (before, after), _ = seen[-1][0]
    assert before[21, 33] == after[21, 33] == 255 and after[0, 0] in (50, 51)          # 0.2 of 255


def test_the_heatmap_explorers_peak_is_in_pixels_of_the_picture(monkeypatch):
    """Maps of 10x15 for pictures of 40x60: pixel (6, 5) of a map is seen at (6 + 0.5) * 4 - 0.5 = 25.5, and 21.5."""
    recipe = Recipe("quarter", "UNet", (40, 60), 1, 1, 1e-3, target="heatmaps", loss="cross_entropy", sigma=1.0, stride=4)
    run = Trained(NoseNet(), make_target(recipe, torch.zeros(1, 68, 2)), recipe, IBUG_68)
    maps = torch.zeros(2, 68, 10, 15)
    maps[0, :, 5, 6], maps[1, :, 4, 8] = 30, 30
    monkeypatch.setattr(Trained, "logits", lambda self, images: maps)
    seen, faces = seen_by(monkeypatch, "heatmap_details"), Spots()
    panel = widgets.heatmap_explorer(run, faces)
    for face, place in ((0, (25.5, 21.5)), (1, (33.5, 17.5))):
        panel.controls["face"].value = face
        image, _, peak, point, _ = seen[-1][0]
        np.testing.assert_allclose(peak, place, atol=1e-6)
        np.testing.assert_allclose(point, place, atol=1e-3)
        assert np.array_equal(image, faces.images[face])


def test_the_dataset_browser_shows_the_person_and_the_view_asked_for(embedded, wild, monkeypatch):
    seen, studio = seen_by(monkeypatch, "face_with_options"), IMMFaces(embedded, "val")
    panel = widgets.dataset_browser(studio, wild)
    panel.controls["person"].value, panel.controls["view"].value = 3, 5           # validation persons are 33 to 40
    assert seen[-1][0][-1].startswith("35-5")
    panel.controls["convention"].value = 68
    panel.controls["face"].value = 17
    assert seen[-1][0][-1] == wild.names[16] and seen[-1][0][2] is IBUG_68


def test_morph_slider_at_a_quarter_is_nearer_to_the_first_face(monkeypatch):
    seen = seen_by(monkeypatch, "photo_with_points")
    points = np.random.default_rng(0).uniform(8, 55, (68, 2))
    panel = widgets.morph_slider((np.zeros((64, 64, 3)), points), (np.ones((64, 64, 3)), points + 4))
    panel.controls["landmarks"].value, panel.controls["share"].value = True, 0.25
    photo, shown = seen[-1][0]
    assert photo[30, 30, 0] == 64 and np.allclose(shown, points + 1)


def test_own_photo_shows_the_heatmaps_of_the_largest_face(monkeypatch):
    faces = [predict.Face(np.array([10.0 * k, 5, side, side]), np.zeros((68, 2)), 0.9, 7.0 * k)
             for k, side in ((1, 90), (2, 40))]
    asked = []
    monkeypatch.setattr(predict, "landmarks", lambda photo: faces)
    monkeypatch.setattr(predict, "face_heatmaps", lambda photo, box, roll: asked.append((*box, roll)) or (
        np.zeros((1, 8, 8), np.uint8), np.zeros((1, 68, 8, 8))))
    widgets.own_photo(np.zeros((120, 160, 3), np.uint8)).controls["show"].value = "heatmaps"
    assert asked == [(10.0, 5.0, 90.0, 90.0, 7.0)]
