"""Sabotaged trainings of a net with crops and of one with heatmaps, as notebooks 3 and 4 have them: probes tell the faults."""

from dataclasses import replace

import pytest
from torch import nn

from fkp_utils import pieces
from fkp_utils.augment import Augment
from fkp_utils.datasets import Crop, IBugFaces
from fkp_utils.nets.models import NETS
from fkp_utils.profiles import recipe
from fkp_utils.sabotage import Patient


@pytest.fixture(scope="module")
def crops(embedded):
    """Notebook 3's small ResNet, by its recipe."""
    def small_resnet(width, n):
        blocks = [pieces.basic_block(*how) for how in ((16, 16, 1), (16, 32, 2), (32, 64, 2), (64, 64, 2))]
        return nn.Sequential(nn.Conv2d(1, 16, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(16), nn.ReLU(), *blocks,
                             nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(64 * 9, 136))
    NETS["small ResNet"] = small_resnet
    made = replace(recipe("quick", "resnet_improved"), net="small ResNet", size=(48, 48), epochs=12, batch=16, lr=7e-4,
                   limit=240, ema=0.0, bf16=False, augment=Augment())
    faces = [IBugFaces(embedded, split, crop=Crop(1.4, 0.1, 48)) for split in ("train", "val")]
    yield {fault: Patient(made, *faces, fault) for fault in (
        "", "targets in pixels", "clipped boxes", "batch norm left in train mode", "validation persons in training")}
    del NETS["small ResNet"]


@pytest.fixture(scope="module")
def maps(embedded):
    """Notebook 4's small U-Net, by its recipe."""
    made = replace(recipe("quick", "unet_trial"), size=(48, 48), epochs=16, loss="cross_entropy", sigma=2.0, batch=8, lr=3e-3,
                   limit=None, bf16=False)
    faces = IBugFaces(embedded, "train", crop=made.crop).first(48), IBugFaces(embedded, "val", crop=made.crop)
    return {fault: Patient(made, *faces, fault) for fault in (
        "", "heatmaps of sum one", "left and right not exchanged", "validation persons in training")}


def shares(patient):
    """Errors of training and of validation faces in units of the mean shape's."""
    found = patient.baseline()
    return found["training faces"] / found["mean shape, training"], found["validation faces"] / found["mean shape"]


@pytest.mark.training
def test_the_baseline_tells_faults_of_nets_with_crops_and_heatmaps(crops, maps):
    for patients in (crops, maps):
        (train, val), leaked = shares(patients[""]), shares(patients["validation persons in training"])
        assert train < 0.35 and val > 1.5 * train and leaked[1] < 1.3 * leaked[0]
    train, val = shares(crops["clipped boxes"])
    assert val > 1.5 * train
    assert min(shares(crops["targets in pixels"])) > 0.75
    assert 0.9 < min(shares(maps["left and right not exchanged"])) < max(shares(maps["left and right not exchanged"])) < 1.7
    assert min(shares(maps["heatmaps of sum one"])) > 3
    moved = {fault: patient.baseline()["moved, one at a time"] for fault, patient in crops.items()}
    assert moved.pop("batch norm left in train mode") > 1 > 0 == max(moved.values())


@pytest.mark.training
def test_learning_by_heart_tells_faults_of_nets_with_crops_and_heatmaps(crops, maps):
    left = {fault: crops[fault].overfit() for fault in ("", "targets in pixels", "clipped boxes")}
    assert left[""]["the net"] < 0.2
    assert left["targets in pixels"]["the net"] > 3 * left[""]["the net"]
    assert left["clipped boxes"]["its worst face"] < 0.3                # one crop of the 16 leaves its photo: `errors` tells
    assert left["targets in pixels"]["its worst face"] < 3 * left["targets in pixels"]["the net"]
    left = {fault: maps[fault].overfit() for fault in ("left and right not exchanged", "heatmaps of sum one")}
    share = {fault: found["the net"] / found["mean shape"] for fault, found in left.items()}
    assert share["left and right not exchanged"] < 0.2 and share["heatmaps of sum one"] > 1


@pytest.mark.training
def test_the_spread_tells_a_net_that_normalises_by_the_batch(crops):
    for fault, patient in crops.items():
        first, *_, last = patient.spread().values()
        assert last > first if fault == "batch norm left in train mode" else last < 0.1 * first


@pytest.mark.training
def test_errors_tell_faults_of_nets_with_crops_and_heatmaps(crops, maps):
    far = {fault: found["crop leaves the photo"] / found["crop inside"] for fault, found in (
        (fault, patient.errors()) for fault, patient in crops.items())}
    assert far.pop("clipped boxes") > 3.5 and max(far.values()) < 3.2
    found = {fault: patient.errors() for fault, patient in maps.items()}
    eyes = {fault: numbers["between the eyes, %"] for fault, numbers in found.items()}
    assert eyes.pop("left and right not exchanged") < 30 and min(eyes.values()) > 70
    there = {fault: numbers["a map at its landmark"] / numbers["a map's highest place"] for fault, numbers in found.items()}
    assert there.pop("heatmaps of sum one") < 0.1 and min(there.values()) > 0.4
