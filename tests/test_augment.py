"""Augmentation moves image and landmarks together."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from fkp_utils.augment import Augment, flip, jpeg_artefacts, to_float, warp
from fkp_utils.landmarks import FLIP_58, FLIP_68, LINES_58, LINES_68, flip_order


def _spots(points, size):
    """Pictures with a small bright spot at each point, one a channel: (1, n, h, w)."""
    y, x = np.mgrid[:size[0], :size[1]]
    d2 = (x[None] - points[:, 0, None, None]) ** 2 + (y[None] - points[:, 1, None, None]) ** 2
    return torch.from_numpy(np.exp(-d2 / (2 * 1.5**2)).astype(np.float32))[None] - 0.5


def _find(picture):
    """Centre of brightness of each channel, (n, 2)."""
    weight = (picture + 0.5).clamp(min=0)
    y, x = torch.meshgrid(*(torch.arange(float(s)) for s in picture.shape[-2:]), indexing="ij")
    total = weight.sum((-1, -2))
    return torch.stack([(weight * x).sum((-1, -2)) / total, (weight * y).sum((-1, -2)) / total], -1)


@pytest.mark.parametrize("seed", range(20))
def test_a_marked_pixel_stays_under_its_landmark(seed):
    rng = np.random.default_rng(seed)
    size = (90, 120)
    points = rng.uniform([45, 35], [75, 55], (68, 2)).astype(np.float32)
    augment = Augment(rotate=15, shift=0.08, scale=0.1)
    image, moved = augment(_spots(points, size), torch.from_numpy(points)[None], torch.Generator().manual_seed(seed))
    assert (moved[0] - torch.from_numpy(points)).abs().max() > 1          # it did move
    assert (_find(image[0]) - moved[0]).norm(dim=-1).max() < 0.6


def test_warp_to_another_size_keeps_landmarks_on_their_pixels():
    points = np.array([[50, 40], [70, 52]], np.float32)
    half = torch.eye(2)[None] * 0.5
    image, moved = warp(_spots(points, (90, 120)), torch.from_numpy(points)[None], half, torch.zeros(1, 2), (45, 60))
    assert image.shape[-2:] == (45, 60)
    assert (_find(image[0]) - moved[0]).norm(dim=-1).max() < 0.3


@pytest.mark.parametrize("order, lines", [(FLIP_58, LINES_58), (FLIP_68, LINES_68)])
def test_flip_order_is_its_own_inverse_and_keeps_the_drawing(order, lines):
    n = len(order)
    assert sorted(order) == list(range(n)) and (order[order] == np.arange(n)).all()
    edges = {frozenset(e) for index, closed in lines for e in zip(index, index[1:] + (index[:1] if closed else []))}
    edges = {e for e in edges if len(e) == 2}
    assert {frozenset(int(order[k]) for k in e) for e in edges} == edges


@pytest.mark.parametrize("n", [1, 58, 68])
def test_flip_of_flip_is_identity(n):
    images, points = torch.rand(2, 1, 30, 40), torch.rand(2, n, 2) * 30
    yes = torch.tensor([True, True])
    again = flip(*flip(images, points, yes), yes)
    assert torch.equal(again[0], images) and torch.allclose(again[1], points, atol=1e-5)


def test_flip_puts_landmarks_on_mirrored_pixels():
    points = np.random.default_rng(0).uniform(10, 30, (68, 2)).astype(np.float32)
    image, moved = flip(_spots(points, (40, 50)), torch.from_numpy(points)[None], torch.tensor([True]))
    assert (_find(image[0])[flip_order(68)] - moved[0]).norm(dim=-1).max() < 0.01


def test_unknown_number_of_landmarks_is_refused():
    with pytest.raises(ValueError, match="5 points"):
        flip_order(5)


def test_nothing_changes_without_amounts():
    images, points = to_float(torch.randint(0, 256, (2, 1, 20, 30), dtype=torch.uint8)), torch.rand(2, 58, 2)
    same = Augment()(images, points)
    assert torch.equal(same[0], images) and torch.equal(same[1], points)


def test_same_generator_same_faces_and_values_stay_in_range():
    everything = Augment(15, .1, .1, .5, .3, .5, .5, .05, .5, .5, .5)
    images, points = to_float(torch.randint(0, 256, (4, 1, 40, 40), dtype=torch.uint8)), torch.rand(4, 68, 2) * 40
    a, b = (everything(images, points, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])
    assert a[0].abs().max() <= 0.5 and not torch.equal(a[0], images)


@pytest.mark.parametrize("quality", [10, 30, 70, 95])
def test_jpeg_artefacts_are_those_of_a_jpeg_file(quality):
    ramp = np.add.outer(np.arange(45), np.arange(60)) * 2.0
    grey = (ramp + np.random.default_rng(0).normal(0, 20, ramp.shape)).clip(0, 255).astype(np.uint8)
    Image.fromarray(grey).save(file := io.BytesIO(), "JPEG", quality=quality)
    real = np.asarray(Image.open(file)).astype(float)
    ours = jpeg_artefacts(to_float(torch.from_numpy(grey)[None, None]), torch.tensor([float(quality)]))
    ours = (ours[0, 0].clamp(-0.5, 0.5).numpy() + 0.5) * 255
    assert np.abs(ours - real).mean() < max(0.5, 0.15 * np.abs(real - grey).mean())


def test_a_part_of_a_batch_changes_as_within_the_whole():
    everything = Augment(15, .1, .1, .5, .3, .5, .5, .05, .5, .5, .5)
    images, points = to_float(torch.randint(0, 256, (5, 1, 40, 48), dtype=torch.uint8)), torch.rand(5, 68, 2) * 40
    draw = everything.draw(5, torch.Generator().manual_seed(3))
    whole = everything(images, points, draw)
    part = everything(images[1::2], points[1::2], draw[1::2])
    assert torch.equal(whole[0][1::2], part[0]) and torch.equal(whole[1][1::2], part[1])


def test_noise_has_the_deviation_asked_for_and_differs_from_face_to_face():
    grey = torch.zeros(64, 1, 48, 48)
    noisy, _ = Augment(noise=0.1)(grey, torch.zeros(64, 1, 2), torch.Generator().manual_seed(0))
    spread = noisy.flatten(1).std(1)
    assert 0.09 < spread.max() < 0.11 and spread.min() < 0.01       # anything from none to the amount
    a, b = noisy[spread.argsort()[-2:]].flatten(1)
    assert torch.corrcoef(torch.stack([a, b]))[0, 1].abs() < 0.1


def test_a_large_batch_changes_as_in_pieces():
    everything = Augment(15, .1, .1, .5, .3, .5, .5, .05, .5, .5, .5)
    images, points = torch.rand(40, 1, 32, 40) - 0.5, torch.rand(40, 68, 2) * 40
    draw = everything.draw(40, torch.Generator().manual_seed(5))
    whole = everything(images, points, draw)
    single = [everything(images[k:k + 1], points[k:k + 1], draw[k:k + 1]) for k in range(40)]
    torch.testing.assert_close(whole[0], torch.cat([image for image, _ in single]))
    torch.testing.assert_close(whole[1], torch.cat([moved for _, moved in single]))
