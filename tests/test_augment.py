"""Augmentation moves image and landmarks together."""

import numpy as np
import pytest
import torch

from fkp_utils.augment import Augment, flip, to_float, warp
from fkp_utils.landmarks import IBUG_68, IMM_58, NOSE, Convention


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
    image, moved = augment(_spots(points, size), torch.from_numpy(points)[None], IBUG_68, torch.Generator().manual_seed(seed))
    assert (moved[0] - torch.from_numpy(points)).abs().max() > 1          # it did move
    assert (_find(image[0]) - moved[0]).norm(dim=-1).max() < 0.6


def test_warp_to_another_size_keeps_landmarks_on_their_pixels():
    points = np.array([[50, 40], [70, 52]], np.float32)
    half = torch.eye(2)[None] * 0.5
    image, moved = warp(_spots(points, (90, 120)), torch.from_numpy(points)[None], half, torch.zeros(1, 2), (45, 60))
    assert image.shape[-2:] == (45, 60)
    assert (_find(image[0]) - moved[0]).norm(dim=-1).max() < 0.3


@pytest.mark.parametrize("convention", [NOSE, IMM_58, IBUG_68], ids=lambda c: c.name)
def test_flip_of_flip_is_identity(convention):
    images, points = torch.rand(2, 1, 30, 40), torch.rand(2, convention.size, 2) * 30
    yes = torch.tensor([True, True])
    again = flip(*flip(images, points, yes, convention), yes, convention)
    assert torch.equal(again[0], images) and torch.allclose(again[1], points, atol=1e-5)


def test_flip_puts_landmarks_on_mirrored_pixels():
    points = np.random.default_rng(0).uniform(10, 30, (68, 2)).astype(np.float32)
    image, moved = flip(_spots(points, (40, 50)), torch.from_numpy(points)[None], torch.tensor([True]), IBUG_68)
    assert (_find(image[0])[list(IBUG_68.flip)] - moved[0]).norm(dim=-1).max() < 0.01


def _five(points):
    """A convention of five landmarks: two outer eye corners, nose tip, two corners of the mouth."""
    return Convention("five", flip=(1, 0, 2, 4, 3), eye_corners=(0, 1)), torch.tensor([points], dtype=torch.float32)


def test_labels_lie_to_the_same_side_in_the_mirror_image():
    convention, points = _five([[10, 20], [30, 20], [21, 30], [14, 40], [26, 40]])
    image, yes = torch.zeros(1, 1, 60, 50), torch.tensor([True])
    # Mirrored about x = 24.5; then two twentieths of the eyes' 20 pixels to the right.
    _, moved = flip(image, points, yes, convention, 0.05)
    assert moved[0].tolist() == [[21, 20], [41, 20], [30, 30], [25, 40], [37, 40]]
    # Features at the middle, labels 0.05 inter-ocular distances to their right: so it is in the mirror image of them, too.
    convention, true = _five([[14.5, 20], [34.5, 20], [24.5, 30], [18.5, 40], [30.5, 40]])
    _, moved = flip(image, true + torch.tensor([1.0, 0]), yes, convention, 0.05)
    torch.testing.assert_close(moved, true + torch.tensor([1.0, 0]))


def test_the_side_turns_with_the_face():
    # Eyes 20 apart, one above the other: the face's right is down in the picture, and up in the mirror image of it.
    convention, points = _five([[20, 10], [20, 30], [12, 20], [5, 15], [5, 25]])
    _, moved = flip(torch.zeros(1, 1, 40, 50), points, torch.tensor([True]), convention, 0.1)
    assert moved[0, :2].tolist() == [[29, 26], [29, 6]] and moved[0, 2].tolist() == [37, 16]


def test_only_mirrored_faces_move_aside():
    convention, points = _five([[10, 20], [30, 20], [21, 30], [14, 40], [26, 40]])
    two = points.repeat(2, 1, 1)
    _, moved = Augment(flip=0.5, flip_offset=0.05)(torch.zeros(2, 1, 60, 50), two, convention,
                                                   torch.tensor([[0.6], [0.4]]).repeat(1, len(Augment.columns)))
    assert torch.equal(moved[0], points[0]) and moved[1, 0].tolist() == [21, 20]


def test_an_offset_needs_eye_corners():
    with pytest.raises(ValueError, match="'nose tip' has no eye corners, of whose distance"):
        flip(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 2), torch.tensor([True]), NOSE, 0.01)


def test_another_number_of_landmarks_is_refused():
    with pytest.raises(ValueError, match="5 landmarks, but convention 'iBUG 300-W, 68 landmarks' has 68"):
        flip(torch.zeros(1, 1, 8, 8), torch.zeros(1, 5, 2), torch.tensor([True]), IBUG_68)


def test_nothing_changes_without_amounts():
    images, points = to_float(torch.randint(0, 256, (2, 1, 20, 30), dtype=torch.uint8)), torch.rand(2, 58, 2)
    same = Augment()(images, points, IMM_58)
    assert torch.equal(same[0], images) and torch.equal(same[1], points)


def test_same_generator_same_faces_and_values_stay_in_range():
    everything = Augment(15, .1, .1, .5, .3, .5, .5, .05, .5, .5)
    images, points = to_float(torch.randint(0, 256, (4, 1, 40, 40), dtype=torch.uint8)), torch.rand(4, 68, 2) * 40
    a, b = (everything(images, points, IBUG_68, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])
    assert a[0].abs().max() <= 0.5 and not torch.equal(a[0], images)


def test_a_part_of_a_batch_changes_as_within_the_whole():
    everything = Augment(15, .1, .1, .5, .3, .5, .5, .05, .5, .5)
    images, points = to_float(torch.randint(0, 256, (5, 1, 40, 48), dtype=torch.uint8)), torch.rand(5, 68, 2) * 40
    draw = everything.sample(5, torch.Generator().manual_seed(3))
    whole = everything(images, points, IBUG_68, draw)
    part = everything(images[1::2], points[1::2], IBUG_68, draw[1::2])
    assert torch.equal(whole[0][1::2], part[0]) and torch.equal(whole[1][1::2], part[1])


def test_noise_has_the_deviation_asked_for_and_differs_from_face_to_face():
    grey = torch.zeros(64, 1, 48, 48)
    noisy, _ = Augment(noise=0.1)(grey, torch.zeros(64, 1, 2), NOSE, torch.Generator().manual_seed(0))
    spread = noisy.flatten(1).std(1)
    assert 0.09 < spread.max() < 0.11 and spread.min() < 0.01       # anything from none to the amount
    a, b = noisy[spread.argsort()[-2:]].flatten(1)
    assert torch.corrcoef(torch.stack([a, b]))[0, 1].abs() < 0.1


def test_a_large_batch_changes_as_in_pieces():
    everything = Augment(15, .1, .1, .5, .3, .5, .5, .05, .5, .5)
    images, points = torch.rand(40, 1, 32, 40) - 0.5, torch.rand(40, 68, 2) * 40
    draw = everything.sample(40, torch.Generator().manual_seed(5))
    whole = everything(images, points, IBUG_68, draw)
    single = [everything(images[k:k + 1], points[k:k + 1], IBUG_68, draw[k:k + 1]) for k in range(40)]
    torch.testing.assert_close(whole[0], torch.cat([image for image, _ in single]))
    torch.testing.assert_close(whole[1], torch.cat([moved for _, moved in single]))


# ---------------------------------------------------------------- one change at a time, by hand


def rows(count=1, **values):
    """Random numbers of a batch, one half each but for those given."""
    return torch.stack([torch.full((count,), values.get(name, 0.5)) for name in Augment.columns], 1)


def one(augment, image, points=((10.0, 10.0),), **values):
    """The single change of a picture (h, w) and its points."""
    changed, moved = augment(image[None, None], torch.tensor([points]), NOSE, rows(**values))
    return changed[0, 0], moved[0]


def test_bright_faces_are_as_noisy_as_dark_ones():
    grey = torch.zeros(400, 1, 24, 24)
    changed, _ = Augment(gamma=1.0, noise=0.1)(grey, torch.zeros(400, 1, 2), NOSE, torch.Generator().manual_seed(0))
    brightness, noise = changed.mean((1, 2, 3)), changed.flatten(1).std(1)
    assert brightness.std() > 0.1 and torch.corrcoef(torch.stack([brightness, noise]))[0, 1].abs() < 0.15


@pytest.mark.parametrize("column", Augment.columns)
def test_each_column_has_a_use_of_its_own(column):
    everything = Augment(20, .1, .2, .5, .1, .3, .5, .05, .5, .5)
    image = torch.rand(32, 32, generator=torch.Generator().manual_seed(0)) - 0.5
    low, high = (one(everything, image, **{**dict.fromkeys(Augment.columns, 0.3), column: value}) for value in (0.3, 0.8))
    assert not torch.equal(low[0], high[0]) or not torch.equal(low[1], high[1])
    assert not torch.equal(low[1], high[1]) or column not in ("flip", "rotate", "scale", "shift_x", "shift_y")


def test_a_patch_covers_its_rectangle_with_its_grey():
    """Width 0.9 reaches 0.185 to both sides, height 0.1 reaches 0.065: columns 7 to 13 and rows 4 to 6 of 20."""
    changed, _ = one(Augment(occlude=0.6), torch.zeros(20, 20), patch_x=0.5, patch_y=0.25, patch_width=0.9, patch_height=0.1,
                     patch_grey=0.9)
    expected = torch.zeros(20, 20)
    expected[4:7, 7:14] = 0.4
    torch.testing.assert_close(changed, expected)
    assert not one(Augment(occlude=0.5), torch.zeros(20, 20), occlude=0.5)[0].any()          # 0.5 is not below 0.5


@pytest.mark.parametrize("uniform, factor", [(0.99, 2), (0.75, 4), (0.55, 8)])
def test_a_coarse_face_has_lost_its_detail(uniform, factor):
    """One column, as the blur: from 1 down to 1 - coarse, in thirds. Chequers are grey where pixels are merged."""
    rows = torch.full((1, len(Augment.columns)), 0.5)
    rows[0, Augment.columns.index("blur")] = uniform
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    board = (((x // (factor // 2) + y // (factor // 2)) % 2).float() - 0.5)[None, None]
    blocks = (((x // factor + y // factor) % 2).float() - 0.5)[None, None]
    points = torch.zeros(1, 68, 2)
    changed, _ = Augment(coarse=0.5)(board, points, IBUG_68, rows)
    torch.testing.assert_close(changed, torch.zeros_like(changed))
    kept, _ = Augment(coarse=0.5)(blocks, points, IBUG_68, rows)
    assert kept.std() > 0.1, "squares as large as what is merged stay"
    rows[0, Augment.columns.index("blur")] = 0.45                         # below 1 - coarse: as it was
    torch.testing.assert_close(Augment(coarse=0.5)(board, points, IBUG_68, rows)[0], board)


@pytest.mark.parametrize("size", [(61, 45), (40, 63), (57, 72)])
@pytest.mark.parametrize("uniform, factor", [(0.95, 2), (0.75, 4), (0.55, 8)])
def test_a_coarse_face_stays_in_its_place_in_a_picture_of_any_size(size, uniform, factor):
    """Away from the edges a slope is its own mean; and the last but one whole block has its centre where it had it."""
    rows = torch.full((1, len(Augment.columns)), 0.5)
    rows[0, Augment.columns.index("blur")] = uniform
    y, x = torch.meshgrid(*(torch.arange(float(side)) for side in size), indexing="ij")
    h, w = (side // factor * factor - factor for side in size)
    blob = torch.full(size, -0.5)
    blob[h - factor:h, w - factor:w] = 0.5
    pictures = torch.stack([x / 100 - 0.4, y / 100 - 0.4, blob])[:, None]
    changed, _ = Augment(coarse=0.5)(pictures, torch.zeros(3, 68, 2), IBUG_68, rows.expand(3, -1))
    inside = (..., slice(factor, h), slice(factor, w))
    torch.testing.assert_close(changed[:2][inside], pictures[:2][inside], rtol=0, atol=1e-5)
    assert (_find(changed[2])[0] - torch.tensor([w, h]) + factor / 2 + 0.5).abs().max() < 0.01
    tiny = torch.rand(1, 1, 3, 5) - 0.5
    assert Augment(coarse=0.5)(tiny, torch.zeros(1, 68, 2), IBUG_68, rows)[0].shape == tiny.shape


def test_blur_and_coarse_exclude_each_other():
    with pytest.raises(ValueError, match="more than 1"):
        Augment(blur=0.6, coarse=0.5)


def test_a_blur_spreads_a_pixel_over_five_by_five():
    dark = torch.full((20, 20), -0.5)
    dark[10, 10] = 0.5
    changed, _ = one(Augment(blur=0.6), dark)
    expected = torch.full((20, 20), -0.5)
    expected[8:13, 8:13] = -0.5 + 1 / 25
    torch.testing.assert_close(changed, expected)
    torch.testing.assert_close(one(Augment(blur=0.5), dark)[0], dark)                        # 0.5 is not below 0.5


@pytest.mark.parametrize("augment, values, expected", [
    (Augment(gamma=1.0), {"gamma": 1.0}, 0.25**2 - 0.5), (Augment(gamma=1.0), {"gamma": 0.0}, 0.25**0.5 - 0.5),
    (Augment(gamma=2.0), {"gamma": 0.75}, 0.25**2 - 0.5),
    (Augment(contrast=0.4), {"contrast": 1.0}, -0.35), (Augment(brightness=0.1), {"brightness": 0.0}, -0.35),
    (Augment(contrast=0.4, brightness=0.1), {"contrast": 0.75, "brightness": 1.0}, -0.2),
    (Augment(brightness=1.0), {"brightness": 0.0}, -0.5)])
def test_light_of_a_pixel_of_a_quarter(augment, values, expected):
    """A pixel of -0.25, which is a quarter of the way from black to white."""
    assert one(augment, torch.full((8, 8), -0.25), **values)[0][3, 3].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("augment, values, place", [
    (Augment(shift=0.1), {"shift_x": 1.0}, (14, 12)), (Augment(shift=0.1), {"shift_y": 0.0}, (10, 9)),
    (Augment(scale=0.5), {"scale": 1.0}, (5.25, 10.75)), (Augment(rotate=90), {"rotate": 1.0}, (22, 5)),
    (Augment(flip=0.6), {}, (29, 12))])
def test_places_of_a_landmark(augment, values, place):
    """In a picture 40 wide and 30 high, whose centre is (19.5, 14.5); turning is clockwise on the screen."""
    _, moved = one(augment, torch.zeros(30, 40), ((10.0, 12.0),), **values)
    np.testing.assert_allclose(moved[0], place, atol=1e-4)


def test_an_unknown_landmark_stays_unknown():
    points = torch.rand(3, 68, 2) * 40
    points[1, 5] = float("nan")
    _, moved = Augment(15, .1, .1, 1.0)(torch.rand(3, 1, 40, 40) - 0.5, points, IBUG_68, torch.Generator().manual_seed(0))
    assert torch.argwhere(moved.isnan().any(-1)).tolist() == [[1, 11]]                # the jaw's 5 and 11 change places


def test_a_warp_by_nothing_changes_no_pixel_and_one_by_two_reads_between_them():
    """Pictures of 7x11: centres of pixels are integers, so pixel u of the doubled one lies at (u + 0.5) / 2 - 0.5."""
    image = torch.rand(1, 1, 7, 11, generator=torch.Generator().manual_seed(0)) - 0.5
    points = torch.tensor([[[0.0, 0.0], [10.0, 6.0], [3.0, 5.0]]])
    same, still = warp(image, points, torch.eye(2)[None], torch.zeros(1, 2))
    torch.testing.assert_close(same, image, atol=1e-6, rtol=0)
    torch.testing.assert_close(still, points)
    ramp = (torch.arange(11.0) / 10 - 0.5).expand(1, 1, 7, 11)
    doubled, moved = warp(ramp, points, 2 * torch.eye(2)[None], torch.zeros(1, 2), (14, 22))
    expected = ((torch.arange(22.0) + 0.5) / 2 - 0.5).clamp(0, 10) / 10 - 0.5
    torch.testing.assert_close(doubled[0, 0, 3], expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(moved, (points + 0.5) * 2 - 0.5)


def test_a_warp_carries_pixels_to_where_its_landmarks_go():
    """A quarter turn clockwise on the screen about the centre (5, 3) of 11x7, then two to the right and one up."""
    image = torch.full((1, 1, 7, 11), -0.5)
    image[0, 0, 2, 7] = 0.5                                              # two right of the centre, one above
    turn = torch.tensor([[[0.0, -1.0], [1.0, 0.0]]])
    turned, moved = warp(image, torch.tensor([[[7.0, 2.0]]]), turn, torch.tensor([[2.0, -1.0]]))
    # (2, -1) from the centre becomes (1, 2) from it, at (6, 5); shifted (8, 4).
    assert moved.tolist() == [[[8.0, 4.0]]]
    assert torch.argwhere(turned[0, 0] > 0).tolist() == [[4, 8]]


@pytest.mark.parametrize("values, place", [({"shift_x": 1.0}, (16, 10)), ({"shift_y": 1.0}, (10, 14)),
                                           ({"shift_x": 0.0, "shift_y": 0.25}, (4, 8))])
def test_shifts_are_shares_of_width_and_height(values, place):
    """A tenth and a half of a picture of 60x40; the pixel goes along."""
    image = torch.full((40, 60), -0.5)
    image[10, 10] = 0.5
    changed, [moved] = one(Augment(shift=0.1), image, **values)
    assert moved.tolist() == pytest.approx(place, abs=1e-4)
    assert torch.argwhere(changed > 0.3).tolist() == [[place[1], place[0]]]
