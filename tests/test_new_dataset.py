"""A new dataset is one class in one file: it trains, is scored, drawn and predicted with, and its weights know its landmarks.

The README shows the class; this test runs it.
"""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fkp_utils import plotting, predict, train
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.weights import load_weights

pytestmark = pytest.mark.training

README = (Path(__file__).parents[1] / "README.md").read_text()
CENTRES = np.array([[0.32, 0.4], [0.68, 0.4], [0.5, 0.6], [0.38, 0.78], [0.62, 0.78]])
RECIPE = Recipe("five", "ResNet", (64, 64), epochs=6, batch=8, lr=2e-3, width=64, data="five", target="centred",
                loss="smooth_l1", schedule="cosine", augment=train.recipe("full", "resnet_improved").augment)


def face(seed):
    """A picture with five discs, and their centres (5, 2)."""
    rng = np.random.default_rng(seed)
    points = (CENTRES * 40 + rng.uniform(-4, 4, 2) + rng.uniform(-1, 1, (5, 2)) + 12).astype(np.float32)
    y, x = np.mgrid[:64, :64]
    picture = np.full((64, 64), 200, np.uint8)
    for k, (px, py) in enumerate(points):
        picture[(x - px) ** 2 + (y - py) ** 2 < 12] = (10, 10, 60, 110, 110)[k]
    return picture, points


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder in the format that the README's class reads: PNG pictures and one .txt of landmarks each."""
    folder = tmp_path_factory.mktemp("data")
    for split, first, count in (("train", 0, 64), ("val", 1000, 8)):
        (folder / split).mkdir()
        for k in range(count):
            picture, points = face(first + k)
            Image.fromarray(picture).save(folder / split / f"{k:03d}.png")
            np.savetxt(folder / split / f"{k:03d}.txt", points)
    return folder


@pytest.fixture(scope="module", autouse=True)
def five():
    """The class as the README has it."""
    [block] = [block for block in re.findall(r"```python\n(.*?)```", README, flags=re.S) if "@register" in block]
    names = {}
    exec(block, names)
    return names["FiveFaces"]


@pytest.fixture(scope="module")
def run(root, tmp_path_factory):
    """Trained by the command line, whose table gets one row more; and its file."""
    out = tmp_path_factory.mktemp("out")
    patch = pytest.MonkeyPatch()
    patch.setitem(train.FULL, "five", RECIPE)
    arguments = ["five", "--data", str(root), "--checkpoints", str(out), "--out", str(out / "five.safetensors")]
    assert train.main(arguments) == 0
    patch.undo()
    return load_weights(out / "five.safetensors")


def test_it_trains_and_is_scored(run, root, five):
    val = five(root, "val")
    found = val.scores(run.predict(val))
    mean = val.scores(np.repeat(five(root, "train").landmarks.mean(0)[None], len(val), 0))
    assert set(found) == {"nme", "mae"} and found["nme"] < 0.8 * mean["nme"]
    eyes = np.linalg.norm(val.landmarks[:, 0] - val.landmarks[:, 1], axis=1)[:, None]
    expected = 100 * (np.linalg.norm(run.predict(val) - val.landmarks, axis=-1) / eyes).mean()
    assert found["nme"] == pytest.approx(expected, rel=1e-5)


def test_its_weights_know_its_landmarks(run, five):
    assert run.convention == five.convention and run.model.fc.out_features == 10


def test_it_is_drawn(run, root, five):
    val = five(root, "val")
    fig = plotting.face_grid(val.images[:4], val.landmarks[:4], run.predict(val)[:4], convention=val.convention)
    fig.savefig(io.BytesIO(), format="png")
    assert len(fig.axes[0].lines) == 2 * len(five.convention.lines) > 0


def test_it_predicts_in_a_photo(run):
    picture, points = face(2000)
    [found] = predict.landmarks(np.repeat(picture[..., None], 3, 2), [[0, 0, 64, 64]], run)
    assert found.landmarks.shape == (5, 2) and np.linalg.norm(found.landmarks - points, axis=1).mean() < 3
    assert predict.draw(np.repeat(picture[..., None], 3, 2), [found]).axes
