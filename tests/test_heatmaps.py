"""Heatmaps against SciPy's convolution, and back to points."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve

from fkp_utils.nets import heatmaps
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.targets import Heatmaps, adaptive_wing_loss, make_target


def kernel():
    steps = np.arange(-7, 8)
    weights = np.exp(-(steps[:, None] ** 2 + steps**2) / 50)
    return weights / weights.sum()


@pytest.mark.parametrize("x, y", [(100, 57), (0, 0), (3, 220), (223, 223)])
def test_integer_landmarks_equal_a_convolved_canvas(x, y):
    canvas = np.zeros((224, 224))
    canvas[y, x] = 1
    made = heatmaps.gaussian_heatmaps(torch.tensor([[[x, y]]], dtype=torch.float32), (224, 224))
    assert np.abs(made[0, 0].numpy() - convolve(canvas, kernel(), mode="constant")).max() < 1e-6


def points(seed=0):
    return 12 + 198 * torch.rand(2, 68, 2, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("decode, limit", [
    (heatmaps.argmax, 0.75), (heatmaps.weighted_mean, 0.05),
    (lambda maps: heatmaps.soft_argmax(30 * maps / maps.amax((-2, -1), keepdim=True)), 0.05)])
@pytest.mark.parametrize("scale", [None, 1.0, 100.0])
def test_round_trip(decode, limit, scale):
    truth = points()
    found = decode(heatmaps.gaussian_heatmaps(truth, (224, 224), scale=scale))
    assert (found - truth).norm(dim=-1).max() < limit


@pytest.mark.parametrize("x, y", [(-0.6, 50), (50, -3), (223.6, 50), (1000, 1000), (float("nan"), 5)])
def test_a_landmark_outside_gives_an_empty_map_and_the_centre(x, y):
    maps = heatmaps.gaussian_heatmaps(torch.tensor([[[x, y]]]), (224, 224))
    assert not maps.nan_to_num().any()
    for decode in (heatmaps.argmax, heatmaps.weighted_mean, heatmaps.soft_argmax):
        assert decode(maps.nan_to_num()).squeeze().tolist() == [111.5, 111.5]


def test_the_peak_has_the_height_asked_for():
    maps = heatmaps.gaussian_heatmaps(torch.tensor([[[20.0, 30.0]]]), (64, 64), scale=10)
    assert maps.max() == 10


def test_soft_argmax_is_differentiable():
    logits = torch.zeros(1, 1, 16, 16, requires_grad=True)
    heatmaps.soft_argmax(logits).sum().backward()
    assert logits.grad.abs().sum() > 0


def test_cross_entropy_is_smallest_at_the_truth_and_landmarks_outside_add_nothing():
    target = Heatmaps((64, 64), "cross_entropy", sigma=2.0, scale=1.0)
    inside = torch.tensor([[[20.3, 30.8]]])
    logits = (target.encode(inside) + 1e-9).log()
    right, wrong = target.loss(logits, inside), target.loss(logits.flip(-1), inside)
    assert right < wrong
    both = torch.cat([inside, torch.tensor([[[-50.0, 3.0]]])], 1)
    assert torch.isclose(target.loss(torch.cat([logits, torch.randn(1, 1, 64, 64)], 1), both), right / 2)


def test_decoding_the_encoded_landmarks_gives_them_back():
    truth = torch.tensor([[[20.3, 30.8], [44.1, 11.5]]])
    mse = make_target(Recipe("", "UNet", (64, 64), 1, 1, 1e-3, target="heatmaps"), truth)
    assert (mse.decode(mse.encode(truth)) - truth).abs().max() < 0.05
    entropy = make_target(Recipe("", "UNet", (64, 64), 1, 1, 1e-3, target="heatmaps", loss="cross_entropy", sigma=2.0), truth)
    assert (entropy.decode((entropy.encode(truth) + 1e-12).log()) - truth).abs().max() < 0.05


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_smaller_maps_give_landmarks_in_pixels_of_the_picture(stride):
    target = Heatmaps((128, 128), "cross_entropy", sigma=1.5, stride=stride)
    truth = 20 + 88 * torch.rand(2, 68, 2, generator=torch.Generator().manual_seed(1))
    maps = target.encode(truth)
    assert maps.shape == (2, 68, 128 // stride, 128 // stride)
    assert (target.decode((maps + 1e-12).log()) - truth).norm(dim=-1).max() < 0.05 * stride


def test_l1_adds_the_distance_in_percent_of_the_width():
    truth, plain = torch.tensor([[[20.0, 30.0]]]), Heatmaps((64, 64), "cross_entropy", sigma=1.0)
    weighted = Heatmaps((64, 64), "cross_entropy", sigma=1.0, l1_weight=0.5)
    logits = (plain.encode(truth + torch.tensor([3.2, 6.4])) + 1e-9).log()
    extra = weighted.loss(logits, truth) - plain.loss(logits, truth)
    assert extra.item() == pytest.approx(0.5 * 100 * (3.2 + 6.4) / 64, rel=0.02)


def test_adaptive_wing_is_smallest_at_the_truth_and_smooth_where_its_parts_meet():
    target = torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
    assert adaptive_wing_loss(target, target) < 1e-5 < adaptive_wing_loss(target + 0.1, target)
    for value in (0.0, 0.7):
        y = torch.tensor([value])
        below, at, above = (adaptive_wing_loss(y + 0.5 + step, y).item() for step in (-1e-3, 0.0, 1e-3))
        assert above - at == pytest.approx(at - below, rel=0.02)
