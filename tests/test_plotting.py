"""Figures exist, open, have the right size and are not blank."""

import base64
import io
import re
from xml.etree import ElementTree

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure
from matplotlib.text import Text
from nbclient import NotebookClient
from PIL import Image

from fkp_utils import palette, plotting
from fkp_utils.landmarks import IMM_58
from fkp_utils.nets.models import HeatmapResNet, NoseNet
from fkp_utils.nets.stages import Stage, stages
from fkp_utils.plotting.base import described
from fkp_utils.website.svg import themed

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 255, (6, 60, 80), dtype=np.uint8)
POINTS = RNG.uniform(10, 50, (6, 58, 2))
ERRORS = np.array([3., 1., 5., 2., 9., 4.])
HISTORY = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [.1, .05, .02], "val_loss": [.12, .06, .04], "val_error": [9, 5, 4.]})

FIGURES = {
    "face_grid": lambda: plotting.face_grid(IMAGES, POINTS, POINTS + 1, list("abcdef"), heading="faces", convention=IMM_58),
    "numbered": lambda: plotting.numbered_landmarks(IMAGES[0], POINTS[0], IMM_58, marked=52),
    "loss_curves": lambda: plotting.loss_curves(HISTORY, 0.08, "title"),
    "compare": lambda: plotting.compare_recipes({"a": HISTORY, "b": HISTORY}, 8, "px"),
    "ranked": lambda: plotting.ranked_faces(IMAGES, POINTS, POINTS, ERRORS, worst=True, unit="px"),
    "filters one": lambda: plotting.filters(RNG.normal(size=(12, 1, 5, 5)), "conv1"),
    "filters many": lambda: plotting.filters(RNG.normal(size=(12, 12, 5, 5)), "conv2"),
    "options": lambda: plotting.face_with_options(IMAGES[0], POINTS[0], IMM_58, True, True, "a face"),
    "error details": lambda: plotting.error_details(IMAGES[0], POINTS[0], POINTS[1], {"jaw": 3.0, "eyes": 1.0}, "", IMM_58, 3),
    "heatmap details": lambda: plotting.heatmap_details(IMAGES[0], RNG.random((15, 20)), POINTS[0, 0], POINTS[0, 0], ""),
    "feature maps": lambda: plotting.feature_maps(IMAGES[0], RNG.random((12, 20, 30)), RNG.normal(size=(12, 1, 5, 5)), "conv1"),
    "ablation": lambda: plotting.ablation({"reference": {"nme": 5.0}, "worse": {"nme": 6.0}, "better": {"nme": 4.5}}, "all"),
    "transfer": lambda: plotting.transfer({"a net": {600: 8.0, 3000: 7.5}}, {"mean shape": 15.0, "real faces": 3.5}),
    "calibration": lambda: plotting.calibration(RNG.random(90), RNG.uniform(2, 20, 90)),
    "by view": lambda: plotting.error_by_view(ERRORS, list("aabbcc"), "px"),
}


def test_a_figure_in_a_notebook_says_in_words_what_it_shows():
    shell = DisplayFormatter()
    shell.formatters["image/jpeg"].for_type(Figure, lambda fig: b"pixels")
    _, told = shell.format(FIGURES["compare"]())
    assert told["image/jpeg"]["alt"].startswith("px") and {"a", "b"} < set(told["image/jpeg"]["alt"].split(", "))
    _, told = shell.format(plotting.face_grid(IMAGES[:2], titles=["35-6f", "34-2m"]))
    assert told["image/jpeg"]["alt"] == "2 pictures, 35-6f, 34-2m"


@pytest.mark.parametrize("fig, said", [
    (FIGURES["by view"], "mean error (px), a 2, b 3.5, c 6.5"),
    (lambda: plotting.region_bars({"net": {"jaw": 3.0, "eyes": 1.25}, "other": {"jaw": 4.0, "eyes": 12.345}}),
     "NME, %, net: jaw 3, eyes 1.25, other: jaw 4, eyes 12.3"),
    (FIGURES["ablation"], "all, points of validation NME from the reference's 5.00 %: left is better, worse 1, better -0.5"),
    (FIGURES["error details"],
     "1 picture, 58 landmarks known (dots), 58 landmarks found (crosses); NME, %, jaw 3, eyes 1"),
    (FIGURES["numbered"], "1 picture, 58 landmarks known (dots), circle at 52"),
    (lambda: plotting.face_grid(IMAGES[:4], predictions=POINTS), "4 pictures, 58 landmarks found (crosses)"),
    (lambda: plotting.face_grid(IMAGES[:2], POINTS[:, :1]), "2 pictures, 1 landmark known (dots)"),
    (lambda: plotting.found_in_scenes(IMAGES[:2], IMAGES[:2] / 255, [POINTS[:1, :2], POINTS[:3, :2]]),
     "2 scenes with boxes of 4 faces found, and below heatmaps of centres"),
    (FIGURES["heatmap details"], "2 pictures, enlarged; the two are 0.00 px apart, argmax, read off")])
def test_the_words_say_what_is_there(fig, said):
    assert described(fig()) == said


@pytest.mark.parametrize("name", FIGURES)
def test_no_figure_is_called_a_picture_and_no_more(name):
    assert not re.fullmatch(r"a drawing|\d+ pictures?", described(FIGURES[name]()))


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_a_picture_with_content(name):
    file = io.BytesIO()
    FIGURES[name]().savefig(file, format="jpg")
    picture = np.asarray(Image.open(file).convert("L"))
    assert min(picture.shape) > 100 and max(picture.shape) < 2000 and picture.std() > 5


@pytest.mark.parametrize("shape", [(3, 2, 4, 5), (4, 1, 3, 3)])
def test_filters_stand_in_a_row_for_each_output(shape):
    weight = np.arange(np.prod(shape)).reshape(shape)
    mosaic = np.asarray(plotting.filters(weight, "conv").axes[0].images[0].get_array().filled(np.nan))
    out, channels, high, wide = shape
    for row in range(out):
        for column in range(channels):
            y, x = (row, column) if channels > 1 else (0, row)
            kernel = mosaic[y * (high + 1):, x * (wide + 1):]
            np.testing.assert_array_equal(kernel[:high, :wide], weight[row, column])
            assert np.isnan(kernel[high:high + 1]).all() and np.isnan(kernel[:, wide:wide + 1]).all()


def test_extremes_are_chosen_by_error():
    assert list(plotting.extremes(ERRORS, 2, worst=True)) == [4, 2]
    assert list(plotting.extremes(ERRORS, 2, worst=False)) == [1, 3]


def test_truth_is_blue_and_prediction_orange():
    fig = plotting.face_grid(np.zeros((1, 40, 40), np.uint8), [np.array([[10., 20.]])], [np.array([[30., 20.]])])
    file = io.BytesIO()
    fig.savefig(file, format="png")
    rgb = np.asarray(Image.open(file).convert("RGB")).astype(int)
    blue = np.argwhere((rgb[..., 2] - rgb[..., 0]) > 100)[:, 1].mean()
    orange = np.argwhere((rgb[..., 0] - rgb[..., 2]) > 100)[:, 1].mean()
    assert blue < orange


def test_floats_and_bytes_of_one_picture_are_drawn_alike():
    """From black to white, by quarters: what nets take, -0.5 to 0.5, and what files hold."""
    grey = np.repeat(np.array([[0, 64, 191, 255]], np.uint8), 4, 0)
    drawn = []
    for image in (grey, grey.astype(np.float32) / 255 - 0.5):
        axes = plotting.heatmap_overlay([image], [np.zeros((1, 4, 4))]).axes[0]
        drawn.append(axes.images[0].to_rgba(axes.images[0].get_array())[..., 0])
    np.testing.assert_allclose(drawn[0], drawn[1], atol=0.01)
    np.testing.assert_allclose(drawn[0][0], [0, 0.25, 0.75, 1], atol=0.01)


def _linear(colour: str) -> np.ndarray:
    """A colour's red, green and blue as amounts of light, by sRGB's curve (IEC 61966-2-1)."""
    share = np.array([int(colour[k:k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("missing, matrix", [          # H. Brettel, F. Vienot, J. Mollon's simulation as of G. Machado (2009)
    ("none", np.eye(3)),
    ("red cones", [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    ("green cones", [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]])])
def test_colour_blind_readers_tell_truth_from_prediction(missing, matrix):
    truth, prediction = (np.clip(matrix @ _linear(colour), 0, 1) for colour in (palette.TRUTH, palette.PREDICTION))
    assert np.abs(truth - prediction).max() > 0.35, missing


@pytest.mark.parametrize("k", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["ink", "soft", "blue", "orange", "green", "purple"])
def test_charts_can_be_read_on_their_paper(name, k):
    """Contrast as WCAG 2.2 has it: 4.5 for text, 3 for lines."""
    weights = [0.2126, 0.7152, 0.0722]
    paper, ink = (float(np.dot(weights, _linear(palette.CHART[which][k]))) for which in ("paper", name))
    contrast = (max(paper, ink) + 0.05) / (min(paper, ink) + 0.05)
    assert contrast >= (4.5 if name in ("ink", "soft") else 3)


def test_recipes_have_the_pages_colours_and_ticks_are_plain_numbers():
    runs = {"write-up, 1e-5": HISTORY, "write-up, 1e-4": HISTORY, "batches of 16": HISTORY, "improved": HISTORY}
    [ax] = plotting.compare_recipes(runs, 0.5, "error").axes
    assert [line.get_color() for line in ax.lines] == [palette.WRITEUP] * 2 + [palette.BLUE, palette.IMPROVED, palette.SOFT]
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.lines}) == 5
    ax.set_ylim(0.02, 80)
    assert [ax.yaxis.get_major_formatter()(value, 0) for value in (0.1, 1, 10)] == ["0.1", "1", "10"]
    ax.set_ylim(30, 80)
    ax.yaxis.get_minor_formatter().set_locs([30, 40, 60])
    assert ax.yaxis.get_minor_formatter()(60, 0) == "60"


def test_error_curves_have_the_pages_colours_whatever_their_order():
    [ax] = plotting.error_curves({name: ERRORS for name in ("mean shape", "write-up", "a net", "improved", "another")}).axes
    colours = [line.get_color() for line in ax.lines]
    assert colours[:2] == [palette.MEAN, palette.WRITEUP] and colours[3] == palette.IMPROVED and len(set(colours)) == 5


def test_a_charts_colours_follow_the_readers_scheme():
    fig = plotting.loss_curves(HISTORY, 0.08, "title")
    text = themed(fig, "loss")
    assert text == themed(plotting.loss_curves(HISTORY, 0.08, "title"), "loss"), "the same figure, the same characters"
    ElementTree.fromstring(text)
    assert "var(--blue)" in text and "prefers-color-scheme:dark" in text and palette.BLUE not in text.split("</style>")[1]
    assert ">title</text>" in text
    assert not re.findall(r' id="([^"]+)"', text.split("</defs>")[-1]), "ids that nothing refers to meet their like in a page"


def test_a_nets_stages_are_what_it_computes():
    net, face = NoseNet().train(), torch.from_numpy(IMAGES[:1, None])
    found = stages(net, face)
    assert [(stage.name, stage.maps.shape) for stage in found] == [
        ("picture", (1, 60, 80)), ("conv1", (12, 56, 76)), ("conv2", (12, 24, 34)), ("conv3", (12, 8, 13)), ("fc1", (100,)),
        ("fc2", (2,))]
    picture = IMAGES[0] / 255 - 0.5
    np.testing.assert_allclose(found[0].maps[0], picture, atol=1e-6)
    by_hand = (picture[:5, :5] * net.conv1.weight[3, 0].detach().numpy()).sum() + net.conv1.bias[3].item()
    assert found[1].maps[3, 0, 0] == pytest.approx(by_hand, abs=1e-5)
    np.testing.assert_array_equal(found[-1].maps, net(face / 255 - 0.5)[0].detach())
    assert net.training and not net.conv1._forward_hooks
    net = HeatmapResNet(features=8)
    names = [stage.name for stage in stages(net, torch.zeros(1, 1, 64, 64, dtype=torch.uint8))]
    assert names == ["picture", "stem", "layer1", "layer2", "layer3", "layer4", "smooth 0", "smooth 1", "smooth 2", "conv"]
    with pytest.raises(ValueError, match="NoseNet takes pictures of 60x80"):
        stages(NoseNet(), torch.zeros(1, 1, 64, 64, dtype=torch.uint8))


def test_a_nets_drawing_shows_its_maps_and_names_their_sizes_once():
    low, high = np.zeros((3, 4), np.float32), np.arange(12, dtype=np.float32).reshape(3, 4)
    passed = [Stage("picture", high[None]), Stage("conv1", np.stack([low, high, low + 1])), Stage("fc", np.float32([1, 2, 3]))]
    fig = plotting.network(passed)
    picture, conv, fc = (image.get_array() for image in fig.axes[0].images)
    np.testing.assert_array_equal(picture, high)
    np.testing.assert_array_equal(conv, np.c_[high, [0, 0, 0]])            # the one that varies most, and the edge of a second
    assert fc.tolist() == [[1], [2], [3]]
    assert [text.get_text() for text in fig.axes[0].texts] == [
        "picture", "3 \u00d7 4", "conv1", "3 maps\n3 \u00d7 4", "fc", "3 numbers"]
    assert described(fig).startswith("picture: 3 \u00d7 4; conv1: 3 maps of 3 \u00d7 4")
    many = plotting.network([Stage("picture", high[None])] * 9, plotting.PHONE, 4)
    assert many.get_figwidth() == pytest.approx(plotting.PHONE)
    assert len({round(text.get_position()[1], 3) for text in many.axes[0].texts[::2]}) == 3, "rows"


def test_drawings_of_nets_are_small_and_their_letters_follow_the_readers_scheme():
    fig = plotting.network(stages(NoseNet(), torch.from_numpy(IMAGES[:1, None])))
    text = themed(fig, "net")
    pictures = re.findall(r'data:image/webp;base64,([^"]+)', text)
    assert len(pictures) == 6 and "image/png" not in text and len(text) < 40_000 and ">conv2</text>" in text
    assert Image.open(io.BytesIO(base64.b64decode(pictures[0]))).size == (80, 60)
    ElementTree.fromstring(text)


def test_charts_for_phones_are_narrow_and_have_all_their_letters_inside():
    """At the size of a phone's screen, letters as large as on others; nothing leaves the picture."""
    rows = {"reference": {"nme": 5.0}, "squared error in place of the distance": {"nme": 5.4}, "larger boxes": {"nme": 4.2}}
    for chart in (plotting.ablation(rows, "One change at a time, on real photos"), plotting.error_curves({"a net": ERRORS}),
                  plotting.compare_recipes({f"a recipe, {k}": HISTORY for k in range(3)}, 8, "validation error, px of 60x80")):
        before = tuple(chart.get_size_inches())
        narrow = plotting.for_phones(chart)
        assert narrow.get_figwidth() == plotting.PHONE and tuple(chart.get_size_inches()) == before
        narrow.savefig(io.BytesIO(), format="png")
        texts = [text for text in narrow.findobj(Text) if text.get_visible() and text.get_text().strip()]
        assert min(text.get_fontsize() for text in texts) >= 8
        box = narrow.get_tightbbox()
        assert box.x0 > -0.02 and box.y0 > -0.02 and box.x1 < plotting.PHONE + 0.02 and box.y1 < narrow.get_figheight() + 0.02


def test_a_legend_is_beside_the_data():
    for chart in (plotting.loss_curves(HISTORY, 0.08), plotting.calibration(RNG.random(90), RNG.uniform(2, 20, 90))):
        chart.savefig(io.BytesIO(), format="png")
        assert not chart.axes[0].get_legend() and chart.legends[0].get_window_extent().y0 >= chart.axes[0].bbox.y1


def test_a_lost_face_presses_no_other_to_the_bottom_of_the_calibration():
    errors = np.array([2.5, 3, 4, 5, 94])
    fig = plotting.calibration(np.array([0.9, 0.85, 0.8, 0.75, 0.1]), errors, groups=2)
    fig.savefig(io.BytesIO(), format="png")
    [ax] = fig.axes
    heights = (ax.transData.transform([(0.5, error) for error in errors])[:, 1] - ax.bbox.y0) / ax.bbox.height
    assert heights[0] > 0 and heights[3] - heights[0] > 0.15 and heights[4] < 1              # 0.03 of it on a plain scale
    assert "10" in [tick.get_text() for tick in ax.get_yticklabels()]


def test_thresholds_stand_over_plain_numbers():
    curve = {"threshold": [0.1, 0.2], "wrong": [30, 8], "lost": [0.1, 0.4]}
    fig = plotting.trade_off({"finder": curve}, {"finder": 0.2})
    fig.savefig(io.BytesIO(), format="png")
    assert {"1", "10"} <= {tick.get_text() for tick in fig.axes[0].get_xticklabels()}


def test_transfer_has_a_line_a_net_and_a_level_a_comparison():
    [ax] = plotting.transfer({"a": {600: 8.0, 3000: 7.5}, "b": {600: 7.0}}, {"mean shape": 15.0}).axes
    first, second, level = ax.lines
    assert first.get_xydata().tolist() == [[600, 8], [3000, 7.5]] and second.get_xydata().tolist() == [[600, 7]]
    assert set(level.get_ydata()) == {15} and [tick.get_text() for tick in ax.get_xticklabels()] == ["600", "3,000"]


def test_ablation_shows_differences_from_the_reference():
    fig = plotting.ablation({"reference": {"nme": 5.0}, "worse": {"nme": 6.25}, "better": {"nme": 4.5}, "same": {"nme": 4.999}},
                            "changes")
    assert [text.get_text() for text in fig.axes[0].texts] == ["+1.25", "-0.50", "+0.00"]


@pytest.mark.training
@pytest.mark.parametrize("first, kind", [
    ("", "image/png"), ("%matplotlib inline\n%config InlineBackend.figure_format = 'jpeg'\n", "image/jpeg")])
def test_a_notebook_shows_a_figure_once_with_or_without_matplotlibs_magic(first, kind):
    cell = f"{first}import numpy as np\nfrom fkp_utils import plotting\nplotting.photo_figure(np.zeros((40, 60, 3), np.uint8))"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    NotebookClient(book, kernel_name="python3").execute()
    [output] = book.cells[0].outputs
    assert [name for name in output.data if name.startswith("image/")] == [kind]
