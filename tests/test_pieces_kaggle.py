"""The checks of notebook 5's pieces: right answers in several styles pass, each usual mistake is named, nothing raises."""

import re

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from test_project import PROJECT
from torch import nn
from toy import raises

from fkp_utils import pieces
from fkp_utils.nets.models import HeatmapResNet

CHECKS = [pieces.check_pyramid, pieces.check_interval]


# ---------------------------------------------------------------- the pyramid

def layer(inputs, features, size, bias=False, norm=True, relu=True):
    parts = [nn.Conv2d(inputs, features, size, padding=size // 2, bias=bias), *[nn.BatchNorm2d(features)] * norm]
    return nn.Sequential(*parts, *[nn.ReLU()] * relu)


class Pyramid(nn.Module):
    """From the coarsest level up, in a loop, with what a mistake changes."""

    def __init__(self, channels, features, join=torch.add, wide=1, size=lambda beside: beside.shape[-2:], side=None, sums=None,
                 order=-1, apart=False, count=4, **how):
        super().__init__()
        self.sides = nn.ModuleList(layer(inputs, features, 1, **(side or {})) for inputs in channels[:count])
        self.smooth = nn.ModuleList(layer(wide * features, features, 3, **(sums or {})) for _ in channels[1:])
        self.join, self.size, self.order, self.apart, self.how = join, size, order, apart, {"mode": "bilinear"} | how

    def forward(self, levels):
        first, *rest = [side(level) for side, level in zip(self.sides, levels)][::self.order]
        up = first
        for smooth, beside in zip(self.smooth, rest):
            size = self.size(beside)
            up = self.join(up if size is None else F.interpolate(up, **(
                size if isinstance(size, dict) else {"size": size}), **self.how), beside)
            answer = smooth(up)
            up = up if self.apart else answer
        return answer


class Lazy(nn.Module):
    """Each lateral only where it is needed, the smoothings numbered by level, ReLUs as functions, and the norms first."""

    def __init__(self, channels, features):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(features) for _ in range(2 * len(channels) - 1))
        self.smooth = nn.ModuleList(nn.Conv2d(features, features, 3, padding=1, bias=False) for _ in channels[1:])
        self.sides = nn.ModuleList(nn.Conv2d(inputs, features, 1, bias=False) for inputs in channels[::-1])[::-1]

    def side(self, levels, k):
        return self.norms[k](self.sides[k](levels[k])).relu()

    def forward(self, levels, k=0):
        if k == len(levels) - 1:
            return self.side(levels, k)
        up = nn.Upsample(levels[k].shape[-2:], mode="bilinear")(self.forward(levels, k + 1))
        return self.norms[-1 - k](self.smooth[k](up + self.side(levels, k))).relu()


class FromAStack(Pyramid):
    def forward(self, levels):
        levels = list(levels)
        for k, side in enumerate(self.sides):
            levels[k] = side(levels[k])
        while len(levels) > 1:
            up = levels.pop()
            levels[-1] = levels[-1] + F.interpolate(up, levels[-1].shape[2:], mode="bilinear", align_corners=False)
            levels[-1] = self.smooth[len(levels) - 1](levels[-1])
        return levels[0]


class ConvolutionsFirst(nn.Module):
    """All laterals' convolutions, then all their norms; also when it runs."""

    def __init__(self, channels, features):
        super().__init__()
        self.across = nn.ModuleList(nn.Conv2d(inputs, features, 1, bias=False) for inputs in channels)
        self.norms = nn.ModuleList(nn.BatchNorm2d(features) for _ in channels)
        self.smooth = nn.ModuleList(layer(features, features, 3) for _ in channels[1:])

    def forward(self, levels):
        sides = [conv(level) for conv, level in zip(self.across, levels)]
        *sides, up = [norm(side).relu() for norm, side in zip(self.norms, sides)]
        for smooth, side in zip(self.smooth[::-1], sides[::-1]):
            up = smooth(side + F.interpolate(up, side.shape[-2:], mode="bilinear"))
        return up


class Spare(Pyramid):
    def __init__(self, *given):
        super().__init__(*given)
        self.spare = nn.Linear(2, 2)


def pyramid(**mistake):
    return lambda *given: Pyramid(*given, **mistake)


def with_part(k, make):
    """Pyramids in which another layer stands in place k of each convolution, norm and ReLU."""
    def build(*given):
        net = Pyramid(*given)
        for part in (*net.sides, *net.smooth):
            part[k] = make()
        return net
    return build


relu6 = with_part(2, nn.ReLU6)


@pytest.mark.parametrize("yours", [relu6, pyramid(join=lambda up, beside: F.relu6(up + beside))])
def test_what_is_cut_off_at_six_is_wrong_with_every_seed(yours):
    for seed in range(12):
        said = pieces.check_pyramid(yours, seed=seed)
        assert said.startswith("wrong") and ("nn.ReLU6 stands" in said) == (yours is relu6), seed


class Without(nn.Module):
    """One convolution, and not the others."""

    def __init__(self, channels, features, count=3):
        super().__init__()
        self.smooth = nn.ModuleList(layer(features, features, 3) for _ in range(count))

    def forward(self, levels):
        return levels[0]


class InAList(Pyramid):
    def __init__(self, channels, features):
        super().__init__(channels, features)
        layers = list(self.smooth)
        del self.smooth
        self.smooth = layers


class Four(Pyramid):
    """Its levels are written down one by one."""

    def forward(self, levels):
        c0, c1, c2, c3 = levels
        up = self.sides[3](c3)
        for k, level in ((2, c2), (1, c1), (0, c0)):
            up = self.smooth[k](F.interpolate(up, level.shape[-2:], mode="bilinear") + self.sides[k](level))
        return up


class Shrinking(Pyramid):
    """The lateral is made as small as what comes up."""

    def forward(self, levels):
        up = self.sides[-1](levels[-1])
        for smooth, side, level in zip(self.smooth, self.sides[-2::-1], levels[-2::-1]):
            up = smooth(up + F.interpolate(side(level), up.shape[-2:], mode="bilinear"))
        return up


class SmoothedOnce(Pyramid):
    def forward(self, levels):
        up = self.sides[-1](levels[-1])
        for side, level in zip(self.sides[-2::-1], levels[-2::-1]):
            up = side(level) + F.interpolate(up, level.shape[-2:], mode="bilinear")
        return self.smooth[0](up)


class Wide(Pyramid):
    """Laterals of 3x3."""

    def __init__(self, channels, features):
        super().__init__(channels, features)
        self.sides = nn.ModuleList(layer(inputs, features, 3) for inputs in channels)


class Dropping(Pyramid):
    def forward(self, levels):
        return F.dropout(super().forward(levels), 0.1, self.training)


class OfDetached(Pyramid):
    def forward(self, levels):
        return super().forward([level.detach() for level in levels])


class Consuming(Pyramid):
    """Takes the levels out of the list that it is given, and puts laterals in their places."""

    def forward(self, levels):
        for k, side in enumerate(self.sides):
            levels[k] = side(levels[k])
        up = levels.pop()
        for k in reversed(range(len(levels))):
            up = self.smooth[k](F.interpolate(up, levels[-1].shape[-2:], mode="bilinear") + levels.pop())
        return up


class Transposed(Pyramid):
    def __init__(self, channels, features):
        super().__init__(channels, features)
        self.up = nn.ModuleList(nn.ConvTranspose2d(features, features, 2, stride=2) for _ in channels[1:])


class AlwaysFour(Pyramid):
    def __init__(self, channels, features):
        super().__init__((*channels, 7, 8)[:4], features)


@pytest.mark.parametrize("yours", [Pyramid, Lazy, FromAStack, ConvolutionsFirst, Consuming, with_part(1, nn.LazyBatchNorm2d),
                                   lambda *given: Pyramid(*given).train()])
def test_pyramids_that_are_right(yours):
    for seed in (0, 1, 2):
        assert pieces.check_pyramid(yours, seed=seed) == "right"


@pytest.mark.parametrize("yours, said", [
    (lambda *given: None, "not yet"), (lambda *given: nn.Module(), "not yet"), (lambda *given: ..., "not yet"),
    (InAList, "in `smooth`: make it an nn.ModuleList"), (AlwaysFour, "with two it has 7 convolutions, not 3"),
    (Four, "right with four levels; with two it raises ValueError"),
    (pyramid(join=lambda up, beside: torch.cat([up, beside], 1), wide=2), "concatenated; they are added"),
    (pyramid(join=lambda up, beside: torch.cat([up, beside], 1)), "concatenated; they are added"),
    (OfDetached, "the gradients are not"), (with_part(2, nn.PReLU), "nn.PReLU is none of its layers"),
    (pyramid(size=lambda beside: None), "another size than the lateral"),
    (pyramid(size=lambda beside: {"scale_factor": 2}), "another size than the lateral"),
    (pyramid(order=1), "begins there, with the last one"),
    (lambda channels, features: Pyramid(channels[::-1], features), "another level's picture"),
    (Without, "0 laterals 1x1 and 3 smoothings"), (pyramid(count=3), "3 laterals"),
    (lambda *given: nn.ModuleList(Pyramid(*given).sides), "0 smoothings"),
    (pyramid(mode="nearest"), "nearest"), (pyramid(align_corners=True), "align_corners"),
    (pyramid(join=torch.mul), "multiplies"), (pyramid(join=lambda up, beside: beside.add_(up)), "inplace operation"),
    (pyramid(join=lambda up, beside: beside), "what comes up is not used"),
    (pyramid(join=lambda up, beside: up), "laterals are not used"), (pyramid(apart=True), "before it is smoothed"),
    (pyramid(side={"relu": False}), "no ReLU at the laterals"), (pyramid(sums={"relu": False}), "no ReLU after smoothing"),
    (pyramid(side={"relu": False}, sums={"relu": False}), "no ReLU at all"), (pyramid(side={"bias": True}), "needs no bias"),
    (pyramid(side={"norm": False}), "batch normalisation comes after"),
    (pyramid(join=lambda up, beside: up + 2 * beside), "the answers do not"),
    (type("Silent", (Pyramid,), {"forward": lambda self, levels: None}), "wrong: `forward` returns nothing"),
    (type("Dots", (Pyramid,), {"forward": lambda self, levels: ...}), "wrong: `forward` returns nothing"),
    (lambda *given: nn.ModuleList(Pyramid(*given).children()), "nn.Sequential runs them"),
    (type("Unwritten", (Pyramid,), {"forward": nn.Module.forward}), "^not yet$"),
    (lambda channels, features: Pyramid(channels, 4), "right with 4 features; with 3 it answers"),
    (lambda channels, features: Pyramid((64, 128, 256, 512), features), r"laterals take \[64, 128, 256, 512\]"),
    (Shrinking, "as small as the coarsest level; .* enlarges it"), (SmoothedOnce, "6 are never used"),
    (Transposed, "4 laterals 1x1 and 3 smoothings 3x3, of 10 convolutions"),
    (Wide, "0 laterals 1x1 and 7 smoothings"),
    (Dropping, "not in training"), (Spare, "2 are never used"),
    (lambda channels: 1, "raises TypeError")])
def test_pyramids_that_are_wrong(yours, said):
    assert re.search(said, pieces.check_pyramid(yours)), pieces.check_pyramid(yours)


def test_a_right_pyramid_is_that_of_the_course_net():
    """With the weights of HeatmapResNet's own, between its way down and its last convolution, it gives that net's answers."""
    torch.manual_seed(0)
    net, mine = HeatmapResNet(5, 8).eval(), Pyramid((4, 8, 16, 32), 8).eval()
    mine.sides.load_state_dict(net.sides.state_dict())
    mine.smooth.load_state_dict(net.smooth.state_dict())
    images, levels = torch.rand(1, 1, 64, 96) - 0.5, []
    with torch.no_grad():
        x = net.stem(images)
        for down in (net.layer1, net.layer2, net.layer3, net.layer4):
            levels.append(x := down(x))
        torch.testing.assert_close(net.conv(mine(levels)), net(images))


# ---------------------------------------------------------------- the interval

def photo_by_photo(errors, seed, draws=2000):
    rng, means = np.random.default_rng(seed), errors.mean(1)
    drawn = sorted(float(rng.choice(means, len(means)).mean()) for _ in range(draws))
    return tuple(np.percentile(drawn, [2.5, 97.5]))


def by_torch(errors, seed, draws):
    rows = torch.randint(len(errors), (draws, len(errors)), generator=torch.Generator().manual_seed(seed))
    return torch.from_numpy(errors)[rows].mean((1, 2)).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))


def by_scipy(errors, seed, draws):
    found = stats.bootstrap((errors.mean(1),), np.mean, n_resamples=draws, method="percentile", rng=np.random.default_rng(seed))
    return list(found.confidence_interval)


def by_numpys_old_generator(errors, seed, draws):
    np.random.seed(seed)
    errors -= 1                                           # in place
    return np.quantile([errors[np.random.choice(len(errors), len(errors))].mean() for _ in range(draws)], [0.025, 0.975]) + 1


@pytest.mark.filterwarnings("ignore::RuntimeWarning")      # scipy's of a single draw
@pytest.mark.parametrize("yours", [pieces.bootstrap_interval, photo_by_photo, by_torch, by_scipy, by_numpys_old_generator])
def test_intervals_that_are_right(yours):
    for seed in (0, 1, 2):
        assert pieces.check_interval(yours, seed=seed) == "right"


def drawn(errors, seed, draws=2000, replace=True, ends=(0.025, 0.975), quantile=np.quantile):
    rng, means = np.random.default_rng(seed), errors.mean(1)
    return quantile([rng.choice(means, len(means), replace).mean() for _ in range(draws)], ends)


def by_rows(errors, seed, draws, first, end, count=None):
    rows = np.random.default_rng(seed).integers(first, end, (draws, count or len(errors)))
    return np.quantile(errors.mean(1)[rows].mean(1), (0.025, 0.975))


def test_draws_that_never_take_the_first_or_the_last_photo_are_wrong_with_every_seed():
    for seed in range(12):
        for first, end in ((0, 14), (1, 15)):
            said = pieces.check_interval(lambda e, s, d, first=first, end=end: by_rows(e, s, d, first, end), seed)
            assert re.search("never drawn|not about|takes draws", said), (seed, first, said)


def in_two_stages(errors, seed, draws):
    """Photos, and of each of them landmarks."""
    rng, (n, k) = np.random.default_rng(seed), errors.shape
    rows, columns = rng.integers(n, size=(draws, n, 1)), rng.integers(k, size=(draws, n, k))
    return np.quantile(errors[rows, columns].mean((1, 2)), (0.025, 0.975))


@pytest.mark.parametrize("yours, said", [
    (in_two_stages, "landmarks are drawn, too"),
    (lambda e, s, d: np.repeat(np.random.default_rng(s).choice(e.mean(1), len(e)).mean(), 2), "all draws are the same"),
    (lambda e, s, d: drawn(e, s, d, replace=False), "with replacement")])
def test_draws_that_are_no_photos_or_all_the_same_are_named_with_every_seed(yours, said):
    for seed in range(12):
        assert said in pieces.check_interval(yours, seed), (seed, pieces.check_interval(yours, seed))


def around(errors, k=1.0, ddof=0, root=0.0):
    means = errors.mean(1)
    return means.mean() + k * means.std(ddof=ddof) / len(means) ** root * np.array([-1, 1])


@pytest.mark.parametrize("yours, said", [
    (lambda e, s, d: None, "not yet"), (lambda e, s, d: ..., "not yet"),
    (lambda e, s, d: drawn(e, s, d, replace=False), "with replacement"),
    (lambda e, s, d: drawn(e.reshape(-1, 1), s, d), "landmarks are drawn"),
    (lambda e, s, d: drawn(e.T, s, d), "landmarks are drawn"),
    (lambda e, s, d: around(e), "standard deviation of photos"),
    (lambda e, s, d: around(e, 1.96, 1), "standard deviation of photos"),
    (lambda e, s, d: around(e, 1.96, 1, 0.5), "bell-shaped"), (lambda e, s, d: around(e, 1.96, 0, 0.5), "bell-shaped"),
    (lambda e, s, d: around(e, 1, 1, 0.5), "bell-shaped"), (lambda e, s, d: drawn(e, s, d, ends=(0.05, 0.95)), "nine tenths"),
    (lambda e, s, d: np.quantile(e.mean(1), [0.025, 0.975]), "of the draws' means"),
    (lambda e, s, d: drawn(e, s, d, quantile=np.percentile), "takes 2.5 and 97.5"),
    (lambda e, s, d: 2 * e.mean() - drawn(e, s, d)[::-1], "mirrored"),
    (lambda e, s, d: drawn(e, s, d)[::-1], "upper end first"),
    (lambda e, s, d: drawn(e, None, d), "asked again"), (lambda e, s, d: drawn(e, 3, d), "the seed is not used"),
    (lambda e, s, d: drawn(e, s, 4000), "`draws` is not used"),
    (lambda e, s, d: by_rows(e, s, d, 0, len(e), len(e) - 1), "as many photos as there are"),
    (lambda e, s, d: by_rows(e, s, d, 0, len(e), len(e) + 1), "as many photos as there are"),
    (lambda e, s, d: drawn(e, s, d).round(1), "rounded"),
    (lambda e, s, d: [round(float(x), 2) for x in drawn(e, s, d)], "rounded"),
    (lambda e, s, d: np.median(e) * np.ones(2), "not about"),
    (lambda e, s, d: by_rows(e, s, d, 0, len(e) - 1), "the last photo is never drawn|not about"),
    (lambda e, s, d: by_rows(e, s, d, 1, len(e)), "the first photo is never drawn|not about"),
    (lambda e, s, d: e.mean(), r"the shape \(\)"),
    (lambda e, s, d: drawn(e, s, d) / 100, "not about"), (lambda e, s: 1, "raises TypeError")])
def test_intervals_that_are_wrong(yours, said):
    assert re.search(said, pieces.check_interval(yours)), pieces.check_interval(yours)


def test_the_courses_interval_is_scipys_and_that_of_a_coin():
    """Of 100 photos, half with an error of 0 and half of 2, the mean's ends are those of a binomial number of heads."""
    errors = np.random.default_rng(0).lognormal(1, 0.5, (40, 3))
    ours, theirs = pieces.bootstrap_interval(errors, 1, 50_000), by_scipy(errors, 2, 50_000)
    np.testing.assert_allclose(ours, theirs, atol=0.05 * errors.mean(1).std() / np.sqrt(40))
    coin = np.repeat([[0.0], [2.0]], 50, 0)
    np.testing.assert_allclose(pieces.bootstrap_interval(coin, 0, 50_000), stats.binom(100, 0.5).ppf([0.025, 0.975]) / 50)


@pytest.mark.parametrize("check", CHECKS)
def test_nothing_that_a_student_writes_stops_the_notebook(check):
    assert check(raises(SystemExit("enough"))).startswith("wrong: it raises SystemExit")
    assert check(raises(NotImplementedError())) == "not yet"
    assert check(lambda *given: "a word").startswith(("not yet", "wrong"))


# ---------------------------------------------------------------- the notebook

CELLS = nbformat.read(next((PROJECT / "notebooks").glob("5_*.ipynb")), 4).cells


def test_nothing_is_trained_by_a_pyramid_that_is_not_right():
    [match] = [cell.source for cell in CELLS if "pieces.when_right(" in cell.source]
    assert "pieces.check_pyramid, YourPyramid" in match
