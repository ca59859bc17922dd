"""Sabotaged trainings: each probe shows what `FAULTS` says of it, and a diagnosis is answered."""

import ast
import re
from dataclasses import replace
from itertools import pairwise

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image
from test_project import PROJECT
from torch import nn
from toy import raises

from fkp_utils import sabotage
from fkp_utils.augment import Augment
from fkp_utils.datasets import Crop, FaceDataset, IBugFaces, IMMNoses
from fkp_utils.landmarks import IMM_58
from fkp_utils.nets.models import NoseNet
from fkp_utils.nets.targets import Heatmaps
from fkp_utils.profiles import recipe
from fkp_utils.sabotage import FAULTS, PROBES, Patient

NOSES = replace(recipe("quick", "nose_improved"), epochs=16, batch=4, lr=1e-3, ema=0.0, augment=Augment())


def test_two_faults_never_show_the_same():
    """Else a wrong diagnosis could not be told what speaks against it."""
    for name, fault in FAULTS.items():
        for other, its in FAULTS.items():
            differ = [probe for probe, a, b in zip(PROBES, fault.shows, its.shows) if a and b and a != b]
            assert differ or name == other, f"{name} and {other}"


@pytest.fixture
def few(toy):
    return replace(NOSES, epochs=1), toy(12), toy(8, seed=1)


def test_seeds_in_a_row_draw_all_faults_and_each_always_the_same(few):
    names = ("targets in pixels", "collapsed initial weights", "validation persons in training")
    assert {sabotage.drawn(names, seed) for seed in (4, 5, 6)} == set(names)
    patients = [sabotage.hand_over(*few, names, 5), Patient(*few, sabotage.drawn(names, 5))]
    assert patients[0].baseline() == patients[1].baseline()


@pytest.fixture
def said():
    """What `check_diagnosis` says of a name, or of what an answer returns or raises, for a training with one fault."""
    def of(fault, name):
        return sabotage.check_diagnosis(name if callable(name) else lambda seed: name, (fault, "targets in pixels"), seed=0)
    return of


def test_a_wrong_diagnosis_is_told_which_probe_speaks_against_it(said):
    assert sabotage.drawn(("a", "b"), 0) == "a"               # so that the first of two is asked for
    collapsed, leaked = "collapsed initial weights", "validation persons in training"
    assert said(collapsed, collapsed) == "right"
    assert said(collapsed, "targets in pixels") == (
        "no: look at `spread` again. With targets in pixels it would say: "
        "each layer keeps as much of the spread as in any fresh net of its kind. Does it?")
    assert "look at `spread`" in said(collapsed, leaked)
    assert said(leaked, "targets in pixels") == (
        "no: look at `baseline` again. With targets in pixels it would say: about as far off as the mean shape. Does it?")
    assert all(said(leaked, nothing).startswith("not yet") for nothing in (..., "...", "", None, raises(NotImplementedError)))
    assert said(leaked, "bad luck") == "no such fault; there are: validation persons in training, targets in pixels"
    assert said(leaked, " Targets in pixels") == said(leaked, "targets in pixels")
    assert said(leaked, raises(KeyError)).startswith("wrong: it raises KeyError")
    assert said(leaked, {1: leaked}.__getitem__).startswith("wrong: it raises KeyError")


def test_a_diagnosis_is_asked_for_by_its_seed():
    names = ("targets in pixels", "collapsed initial weights", "validation persons in training")
    for seed in range(6):
        said = [sabotage.check_diagnosis(lambda seed: names[k], names, seed) for k in range(3)]         # noqa: B023
        assert said.count("right") == 1 and said.index("right") == names.index(sabotage.drawn(names, seed))
    assert all(sabotage.check_diagnosis(lambda seed: sabotage.drawn(names, seed), names, seed) == "right" for seed in range(6))


def test_nothing_that_is_handed_over_is_changed(few):
    _, train, val = few
    before = [train.images.copy(), train.landmarks.copy(), val.images.copy(), val.landmarks.copy(), train.convention]
    for fault in FAULTS:
        if fault != "heatmaps of sum one":
            Patient(*few, fault)
    after = [train.images, train.landmarks, val.images, val.landmarks, train.convention]
    assert all(np.array_equal(a, b) for a, b in zip(before[:4], after[:4])) and after[4] is before[4]


def test_validation_faces_leak_into_training_and_into_nothing_else(few):
    recipe, train, val = few
    _, _, leaked, same = FAULTS["validation persons in training"].change(recipe, None, train, val)
    assert len(leaked) == 20 and leaked.names == train.names + val.names and same is val
    assert np.array_equal(leaked.images[12:], val.images) and np.array_equal(leaked.landmarks[:12], train.landmarks)
    assert len(Patient(*few, "validation persons in training").train) == 12


def test_a_mirror_image_that_exchanges_nothing_keeps_numbers_where_they_are():
    class Faces(FaceDataset):
        convention = IMM_58

    made, _, faces, _ = FAULTS["left and right not exchanged"].change(NOSES, None, Faces(), None)
    images, points = torch.zeros(1, 1, 6, 9), torch.arange(116.).reshape(1, 58, 2)
    _, mirrored = replace(made.augment, flip=1)(images, points, faces.convention)
    assert torch.equal(mirrored[0, :, 1], points[0, :, 1]) and torch.equal(mirrored[0, :, 0], 8 - points[0, :, 0])
    assert Faces.convention is IMM_58


def test_batch_norm_left_in_train_mode_answers_by_the_batch():
    """Of two numbers 1 and 3 it makes -1 and 1, whatever the running averages were: (1 - 2) / 1, (3 - 2) / 1."""
    net = nn.Sequential(nn.BatchNorm2d(1))
    FAULTS["batch norm left in train mode"].change(NOSES, net, None, None)
    answer = net.eval()(torch.tensor([1., 3.])[:, None, None, None])
    torch.testing.assert_close(answer.flatten(), torch.tensor([-1., 1.]), atol=1e-4, rtol=0)


def test_a_clipped_box_changes_only_faces_whose_crop_leaves_the_photo(embedded):
    """A crop's square has 1.4 times the box's longer side, and its centre a tenth of the box's height further down."""
    faces = IBugFaces(embedded, "train", crop=recipe("quick", "resnet_improved").crop)
    (left, top, w, h), (width, height) = faces.boxes.T, faces.sizes.T
    x, y, half = left + w / 2, top + 0.6 * h, 0.7 * np.maximum(w, h)
    leaves = (x - half < 0) | (y - half < 0) | (x + half > width) | (y + half > height)
    cut = sabotage.with_clipped_boxes(faces)
    assert (sabotage.outside(faces) == leaves).all() and 0 < leaves.sum() < len(faces)
    assert ((cut.images != faces.images).any((1, 2)) == leaves).all() and cut.landmarks is faces.landmarks


def test_a_clipped_crop_is_what_slicing_the_photo_gives_stretched(tmp_path):
    """A square of 8 pixels at (-4, 0) of a photo that grows brighter to the right: the right half of it, twice as wide."""
    Image.fromarray(np.tile(np.arange(0, 160, 10, np.uint8), (8, 1))).save(tmp_path / "a.png")
    faces = object.__new__(IBugFaces)
    faces.folder, faces.names, faces.crop = tmp_path, ["a.png"], Crop(1.0, 0.0, 8)
    faces.boxes, faces.sizes = np.array([[-4.0, 0, 8, 8]]), np.array([[16, 8]])
    faces.images, faces.landmarks = np.zeros((1, 8, 8), np.uint8), np.zeros((1, 68, 2), np.float32)
    expected = (np.arange(8) + 0.5) / 2 - 0.5             # where in the photo the centre of each column lies
    found = sabotage.with_clipped_boxes(faces).images[0]
    assert found[3].tolist() == pytest.approx(10 * expected.clip(0), abs=1)


def test_heights_of_heatmaps_by_hand():
    """A net that answers 1 at (2, 1), 3 at (5, 4), else 0, for a face whose landmark is at (2.2, 0.9)."""
    class Faces(FaceDataset):
        names, images, landmarks = ["a"], np.zeros((1, 6, 8), np.uint8), np.array([[[2.2, 0.9]]], np.float32)

    class Run:
        @staticmethod
        def logits(images):
            maps = torch.zeros(1, 1, 6, 8)
            maps[0, 0, 1, 2], maps[0, 0, 4, 5] = 1, 3
            return maps
    found = sabotage.heights(Run(), Heatmaps((6, 8), "mse", sigma=2.0, scale=10.0), Faces())
    assert list(found.values()) == pytest.approx([10 * np.exp(-(0.2**2 + 0.1**2) / 8), 3, 1])


def test_spread_is_the_deviation_over_faces_by_numpy(toy):
    net = nn.Sequential(nn.Conv2d(1, 2, 3))
    faces = toy(20, size=(8, 9))
    with torch.no_grad():
        answers = net(torch.from_numpy(faces.images[:16, None]).float() / 255 - 0.5).numpy()
    assert sabotage.layer_spread(net, faces) == {"0": pytest.approx(answers.std(0, ddof=1).mean(), rel=1e-4)}


@pytest.mark.parametrize("name, count", [("1_nose_tip", 3), ("2_full_face", 3), ("3_larger_dataset", 4), ("4_heatmaps", 3)])
def test_the_seeds_that_a_notebook_prints_draw_the_faults_beside_them(name, count):
    cells = nbformat.read(PROJECT / f"notebooks/{name}.ipynb", 4).cells
    [made] = [cell.source for cell in cells if "sabotage.hand_over(" in cell.source]
    faults = ast.literal_eval(re.search(r"^FAULTS = (\(.*?\))", made, re.M)[1])
    [told] = [cell.source for cell in cells if cell.source.startswith("<details>") and "(seed " in cell.source]
    seeds = {(fault.lower(), int(seed)) for fault, seed in re.findall(r"([A-Za-z][\w ]+)\** \(seed (\d)\)", told)}
    assert len(seeds) == count == len(faults)
    assert seeds == {(sabotage.drawn(faults, seed), seed) for _, seed in seeds}


@pytest.fixture(scope="module")
def noses(embedded):
    faces = [IMMNoses(embedded, split, size=NoseNet.size) for split in ("train", "val")]
    return {fault: Patient(NOSES, *faces, fault) for fault in
            ("", "targets in pixels", "collapsed initial weights", "validation persons in training")}


@pytest.mark.training
def test_the_baseline_shows_it(noses):
    shown = {fault: patient.baseline() for fault, patient in noses.items()}
    share = {fault: {what: number / found["mean shape"] for what, number in found.items()} for fault, found in shown.items()}
    assert share[""]["validation faces"] < 0.6 and shown[""]["training faces"] < shown[""]["validation faces"]
    assert share["targets in pixels"]["validation faces"] > 0.9 < share["collapsed initial weights"]["validation faces"]
    leaked = shown["validation persons in training"]
    assert leaked["validation faces"] <= leaked["training faces"]
    assert shown["collapsed initial weights"]["spread of the answers"] < 0.1 < 2 < shown[""]["spread of the answers"]
    assert all(found["moved, one at a time"] == 0 for found in shown.values())


@pytest.mark.training
def test_a_healthy_net_learns_16_faces_by_heart_and_one_with_targets_in_pixels_does_not(noses):
    share = {fault: patient.overfit() for fault, patient in noses.items() if fault != "collapsed initial weights"}
    share = {fault: found["the net"] / found["mean shape"] for fault, found in share.items()}
    assert share[""] < 0.1 > share["validation persons in training"] and share["targets in pixels"] > 0.3


@pytest.mark.training
def test_the_spread_shows_it(noses):
    def kept(fault):
        spread = list(noses[fault].spread().values())
        return [behind / before for before, behind in pairwise(spread)]

    assert min(kept("")) > 0.3 and kept("") == kept("targets in pixels") == kept("validation persons in training")
    assert max(kept("collapsed initial weights")) < 0.1


@pytest.mark.training
@pytest.mark.parametrize("fault", ["targets in pixels", "collapsed initial weights"])
def test_turned_faces_lie_far_from_the_mean_and_are_worst(noses, fault):
    found = noses[fault].errors()
    assert min(found["view 3"], found["view 4"]) > max(found[f"view {k}"] for k in (1, 2, 5, 6))
