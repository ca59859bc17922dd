"""Losses and decoding, on numbers worked out by hand; landmarks nobody knows; names that do not exist."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fkp_utils.nets.heatmaps import gaussian_heatmaps, soft_argmax, unbiased
from fkp_utils.nets.recipe import LOSSES, Recipe
from fkp_utils.nets.targets import COORDINATE_LOSSES, MAP_LOSSES, Coordinates, Heatmaps, make_target, wing_loss
from fkp_utils.profiles import FULL, recipe

MAPS = Recipe("maps", "UNet", (32, 32), 1, 1, 1e-3, target="heatmaps", loss="cross_entropy", sigma=1.0, width=4)
NAN = float("nan")


@pytest.mark.parametrize("change, words", [
    ({"net": "VGG"}, "no net 'VGG'; there are NoseNet"), ({"target": "points"}, "no target 'points'"),
    ({"loss": "wing"}, "no loss of heatmaps 'wing'; there are mse, adaptive_wing, cross_entropy"),
    ({"target": "coordinates"}, "no loss of coordinates 'cross_entropy'; there are mse, smooth_l1, wing"),
    ({"schedule": "linear"}, "no schedule 'linear'; there are constant, cosine"),
    ({"loss": "mse", "l1_weight": 0.3}, "l1_weight needs the loss cross_entropy"),
    ({"loss": "adaptive_wing"}, "needs heatmaps of peak 1"), ({"epochs": 0}, "epochs 0"), ({"size": (32, 9999)}, "size"),
    ({"ema": 1.0}, "ema 1.0"), ({"stride": 0}, "stride 0")])
def test_a_recipe_that_does_not_fit_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        replace(MAPS, **change)


def test_every_loss_that_a_recipe_may_name_is_there():
    assert set(LOSSES["coordinates"]) == set(LOSSES["centred"]) == set(COORDINATE_LOSSES)
    assert set(LOSSES["heatmaps"]) == {*MAP_LOSSES, "cross_entropy"}


def test_coordinates_are_shares_of_the_picture():
    target = Coordinates((60, 80))
    landmarks = torch.tensor([[[-0.5, 59.5], [19.5, 14.5]]])
    torch.testing.assert_close(target.encode(landmarks), torch.tensor([[0.0, 1.0, 0.25, 0.25]]))
    torch.testing.assert_close(target.decode(torch.tensor([[0.0, 1.0, 0.25, 0.25]])), landmarks)


def test_centred_coordinates_are_ten_times_the_offset_from_the_mean_shape():
    faces = torch.tensor([[[10.0, 20.0]], [[30.0, 40.0]]])                           # their mean is (20, 30)
    target = make_target(replace(recipe("full", "nose_improved"), size=(60, 80)), faces)
    torch.testing.assert_close(target.encode(torch.tensor([[[28.0, 24.0]]])), torch.tensor([[1.0, -1.0]]))
    torch.testing.assert_close(target.decode(torch.tensor([[1.0, -1.0]])), torch.tensor([[[28.0, 24.0]]]))


@pytest.mark.parametrize("name, error, expected", [
    ("mse", 0.2, 0.04), ("smooth_l1", 0.2, 0.15), ("smooth_l1", 0.05, 0.0125),
    ("wing", 0.1, 0.5 * np.log(2)), ("wing", 1.0, 1.0 - (0.5 - 0.5 * np.log(6)))])
def test_losses_of_one_error(name, error, expected):
    """Smooth L1 with beta 0.1 is |e| - 0.05 above it and 5 e^2 below; Wing w ln(1 + |e| / c) below w = 0.5, with c = 0.1."""
    loss = COORDINATE_LOSSES[name](torch.full((3, 4), error), torch.zeros(3, 4))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert COORDINATE_LOSSES[name](torch.full((3, 4), -error), torch.zeros(3, 4)).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("stride, number", [(1, torch.float32), (4, torch.float32), (4, torch.float64)])
def test_cross_entropy_is_pytorchs_with_the_drawn_gaussian(stride, number):
    """Of a picture wider than high; landmarks inside, on an edge, outside by less than two sigmas, far outside, unknown."""
    target = Heatmaps((48, 80), "cross_entropy", sigma=1.5, stride=stride)
    landmarks = torch.tensor([[[30.2, 11.7], [-0.5, 20.0], [81.0, 47.9], [150.0, 20.0], [NAN, 3.0]]])
    logits = 3 * torch.randn(1, 5, 48 // stride, 80 // stride, generator=torch.Generator().manual_seed(0), dtype=number)
    y, x = np.mgrid[:48 // stride, :80 // stride]
    expected = 0
    for k, (u, v) in enumerate((landmarks[0, :3].numpy() + 0.5) / stride - 0.5):
        drawn = np.exp(-((x - u)**2 + (y - v)**2) / (2 * 1.5**2)) * (abs(x - u) < 7.5) * (abs(y - v) < 7.5)
        share = torch.from_numpy(drawn / drawn.sum()).flatten()[None].to(number)
        expected += torch.nn.functional.cross_entropy(logits[:, k].flatten(1), share).item()
    assert target.loss(logits, landmarks).item() == pytest.approx(expected / 5, rel=1e-5)


def test_the_mean_of_a_cut_off_gaussian():
    """Sigma 1, centre -0.5: pixels 0 to 4 weigh exp(-0.125), exp(-1.125), exp(-3.125), exp(-6.125), exp(-10.125)."""
    weights = np.exp([-0.125, -1.125, -3.125, -6.125, -10.125])
    mean = (weights * np.arange(5)).sum() / weights.sum()
    assert mean == pytest.approx(0.3345, abs=1e-4)
    found = unbiased(torch.tensor([[[mean, 31 - mean]]], dtype=torch.float64), (32, 32), 1.0)
    np.testing.assert_allclose(found[0, 0], [-0.5, 31.5], atol=3e-3)


def border(low, high, count=161, other=40.3):
    """Points along a line that leaves the picture on both sides, (1, count, 2), and the same turned by a right angle."""
    along = torch.linspace(low, high, count)
    points = torch.stack([along, torch.full_like(along, other)], -1)
    return torch.stack([points, points.flip(-1)])


@pytest.mark.parametrize("name", ["pyramid", "pyramid_large", "unet_improved"])
def test_perfect_heatmaps_give_their_landmarks_back_at_the_border_and_beyond(name):
    """Within a hundredth of a heatmap's pixel and a half for a wide Gaussian, whose kernel ends; it was 2.5 pixels off."""
    target = make_target(FULL[name], torch.zeros(1, 68, 2))
    size, reach = FULL[name].size[0], target.reach * target.stride
    truth = border(-0.5 - reach + 0.01, size - 0.5 + reach - 0.01)
    maps = target.encode(truth)
    logits = (maps / maps.sum((-2, -1), keepdim=True) + 1e-30).log()
    assert (soft_argmax(logits) - (truth + 0.5) / target.stride + 0.5).abs().max() > 2
    assert (target.decode(logits) - truth).abs().max() < 0.05 * target.stride + 0.15 * (name == "unet_improved")
    assert target.loss(logits, truth) < target.loss(logits, truth + 1.0) - 0.1


@pytest.mark.parametrize("sigma", [2.0, 5.0])
def test_heatmaps_of_the_writeup_give_their_landmarks_back_up_to_the_border(sigma):
    target = Heatmaps((96, 96), "mse", sigma)
    truth = border(-0.5, 95.4)
    assert (target.decode(target.encode(truth)) - truth).abs().max() < 0.05


@pytest.mark.parametrize("x", [-6.0, -3.0, 0.0, 130.0])
def test_a_net_learns_landmarks_a_few_pixels_outside_of_the_crop(x):
    """Maps that are free to take any value end where the landmark is, by the shipped recipe's loss."""
    target, truth = make_target(FULL["pyramid"], torch.zeros(1, 68, 2)), torch.tensor([[[x, 50.0]]])
    logits = torch.zeros(1, 1, 32, 32, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(300):
        optimizer.zero_grad()
        target.loss(logits, truth).backward()
        optimizer.step()
    assert (target.decode(logits) - truth).abs().max() < 0.3


def test_a_landmark_far_outside_adds_nothing():
    target = make_target(FULL["pyramid"], torch.zeros(1, 68, 2))
    logits, far = torch.randn(1, 1, 32, 32, requires_grad=True), torch.tensor([[[-20.0, 50.0]]])
    target.loss(logits, far).backward()
    assert not logits.grad.any() and target.loss(logits, far) == 0


@pytest.mark.parametrize("target", [
    Coordinates((32, 32)), Coordinates((32, 32), "wing", torch.full((3, 2), 16.0), 10.0), Heatmaps((32, 32), "mse", 2.0, 10.0),
    Heatmaps((32, 32), "adaptive_wing", 2.0, 1.0), Heatmaps((32, 32), "cross_entropy", 1.0, l1_weight=0.3)],
    ids=lambda t: f"{type(t).__name__} {t.loss_name}")
def test_an_unknown_landmark_adds_nothing_to_loss_and_gradient(target):
    truth = torch.tensor([[[10.0, 12.0], [NAN, NAN], [20.0, 5.0]]])
    output = torch.randn(target.encode(truth).shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = target.loss(output, truth)
    loss.backward()
    one = [target.loss(output.detach().unflatten(1, (3, -1))[:, k].flatten(1) if isinstance(target, Coordinates)
                       else output.detach()[:, k:k + 1], truth[:, k:k + 1])
           for k in (0, 2)] if not isinstance(target, Coordinates) or target.mean is None else None
    if one:
        assert loss.item() == pytest.approx(sum(one).item() / 3, rel=1e-5)
    gradient = output.grad.flatten(1).unflatten(1, (3, -1))
    assert gradient.isfinite().all() and not gradient[0, 1].any() and gradient[0, 0].any() and gradient[0, 2].any()


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_the_pixels():
    target = Heatmaps((32, 32), "cross_entropy", 1.0)
    loss = target.loss(torch.zeros(2, 3, 32, 32), torch.full((2, 3, 2), 15.0))
    assert loss.item() == pytest.approx(np.log(32 * 32), rel=1e-5)


def test_the_distance_in_the_loss_is_in_percent_of_the_width():
    """Maps of 24x40 for pictures of 48x80; equal logits are read as the middle, (39.5, 23.5): 4 and 2 pixels off,
    7.5 percent of 80."""
    plain, weighted = (Heatmaps((48, 80), "cross_entropy", 1.0, stride=2, l1_weight=weight) for weight in (0.0, 0.5))
    logits, truth = torch.zeros(1, 1, 24, 40), torch.tensor([[[43.5, 25.5]]])
    more = weighted.loss(logits, truth) - plain.loss(logits, truth)
    assert more.item() == pytest.approx(0.5 * 7.5, rel=1e-3)


def test_the_loss_of_a_batch_is_the_mean_of_its_faces():
    """Else processes that share a batch would not give the numbers of one."""
    target = Heatmaps((32, 32), "cross_entropy", 1.0, l1_weight=0.3)
    truth = torch.rand(4, 3, 2) * 30
    truth[1, 2] = NAN
    output = torch.randn(4, 3, 32, 32)
    alone = torch.stack([target.loss(output[k:k + 1], truth[k:k + 1]) for k in range(4)])
    torch.testing.assert_close(target.loss(output, truth), alone.mean())


def test_a_landmark_that_nobody_ever_knows_has_no_mean():
    faces = torch.rand(3, 2, 2)
    faces[:, 1] = NAN
    with pytest.raises(ValueError, match="landmark 1 is unknown in each of the 3 faces"):
        make_target(recipe("full", "nose_improved"), faces)


def test_wing_is_smooth_where_its_parts_meet():
    below, above = (wing_loss(torch.tensor([0.5 + step]), torch.zeros(1)).item() for step in (-1e-4, 1e-4))
    assert above - below == pytest.approx(0, abs=3e-4)


def test_maps_end_fifteen_pixels_wide():
    row = gaussian_heatmaps(torch.tensor([[[16.0, 16.0]]]), (32, 32), 5.0, 1.0)[0, 0, 16]
    assert row.nonzero().flatten().tolist() == list(range(9, 24)) and row[23].item() == pytest.approx(np.exp(-49 / 50))


@pytest.mark.parametrize("truth, error, expected", [
    (1.0, 0.2, 14 * np.log(1 + 0.2**1.1)), (0.0, 0.2, 14 * np.log(1 + 0.2**2.1)), (1.0, -0.2, 14 * np.log(1 + 0.2**1.1)),
    (1.0, 1.0, 14 * 1.1 * 0.5**0.1 / (1 + 0.5**1.1) * 0.5 + 14 * np.log(1 + 0.5**1.1))])
def test_adaptive_wing_of_one_error(truth, error, expected):
    """Wang et al. (2019), equations 3 and 4, with theta 0.5, alpha 2.1, omega 14, epsilon 1."""
    loss = MAP_LOSSES["adaptive_wing"](torch.full((2, 2), truth + error), torch.full((2, 2), truth))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
