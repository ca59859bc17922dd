"""The checks of notebook 4's pieces: right answers in several styles pass, each usual mistake is named, nothing raises."""

import ast
import re

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_project import PROJECT
from torch import nn
from toy import raises

from fkp_utils import exercises, pieces
from fkp_utils.nets.heatmaps import gaussian_heatmaps
from fkp_utils.nets.targets import Heatmaps

CHECKS = [pieces.check_cross_entropy, pieces.check_convolutions, pieces.check_level]


# ---------------------------------------------------------------- cross-entropy

def share(maps):
    return maps / maps.sum((2, 3), keepdim=True)


def by_hand(logits, maps):
    log = logits.flatten(2).log_softmax(-1)
    return -(share(maps).flatten(2) * log).sum(-1).mean()


def by_torch(logits, maps):
    """PyTorch's own, a map a row and a pixel a class."""
    return F.cross_entropy(logits.flatten(2).flatten(0, 1), share(maps).flatten(2).flatten(0, 1))


def of_target(logits, target):
    return -(target * logits.flatten(2).log_softmax(-1).view_as(logits)).sum((2, 3)).mean()


def in_place(logits, maps):
    maps /= maps.sum((2, 3), keepdim=True)
    logits -= logits.amax((2, 3), keepdim=True).detach()
    logits -= logits.exp().sum((2, 3), keepdim=True).log()
    return maps.mul_(logits).sum().neg() / len(maps.flatten(0, 1))


def in_double(logits, maps):
    return by_torch(logits.double(), maps.double())


def of_logs(maps, log):
    return -(share(maps) * log).sum((2, 3)).mean()


def less(logits, largest):
    return logits - largest - (logits - largest).exp().sum((2, 3), keepdim=True).log()


def overflowing(logits, maps):
    return -(share(maps) * (logits.exp() / logits.exp().sum((2, 3), keepdim=True)).log()).sum((2, 3)).mean()


@pytest.mark.parametrize("largest, said", [
    (lambda z: z.amax((2, 3), keepdim=True), "right"), (lambda z: z.max(), "far below"),
    (lambda z: z.amax((1, 2, 3), keepdim=True), "far below"), (lambda z: z.double().max(), "far below"),
    (lambda z: torch.zeros((), dtype=torch.float64), "overflows")])
def test_only_each_maps_own_largest_does_with_every_seed(largest, said):
    for seed in range(12):
        found = pieces.check_cross_entropy(lambda z, m: of_logs(m, less(z, largest(z))), seed)
        assert said in found and (said == "right" or found.startswith("wrong")), (seed, found)


@pytest.mark.parametrize("yours", [by_hand, by_torch, in_place, in_double])
def test_cross_entropies_that_are_right(yours):
    assert {pieces.check_cross_entropy(yours, seed) for seed in range(3)} == {"right"}


def test_maps_that_share_a_pictures_sum_are_wrong_with_every_seed():
    """Equal parts of it: as if no map of the picture had a landmark near the edge."""
    for seed in range(12):
        said = pieces.check_cross_entropy(lambda z, m: of_target(z, m * m.shape[1] / m.sum((1, 2, 3), keepdim=True)), seed)
        assert said.startswith("wrong"), seed


@pytest.mark.parametrize("yours, said", [
    (lambda z, m: None, "not yet"), (lambda z, m: ..., "not yet"),
    (lambda z, m: F.cross_entropy(z, share(m)), "wrong"),
    (lambda z, m: -(share(m) * z.log_softmax(1)).sum((2, 3)).mean(), "over the channels"),
    (lambda z, m: -(share(m) * z.log_softmax(-1)).sum((2, 3)).mean(), "each row alone"),
    (lambda z, m: -(share(m) * z).sum((2, 3)).mean(), "as they are"),
    (lambda z, m: -(share(m) * z.flatten(2).softmax(-1).view_as(z)).sum((2, 3)).mean(), "no logarithm"),
    (lambda z, m: len(z) * z.shape[1] * by_hand(z, m), "the sum over all maps"),
    (lambda z, m: by_hand(z, m) / (z.shape[2] * z.shape[3]), "mean over the pixels"),
    (of_target, "target's sum is not 1"),
    (lambda z, m: of_target(z, m / m.sum((1, 2, 3), keepdim=True)), "the sum of a picture's maps"),
    (lambda z, m: of_target(z, m / m.sum()), "the sum of all maps"),
    (lambda z, m: of_target(z, m / m.amax((2, 3), keepdim=True)), "its highest place"),
    (lambda z, m: of_target(z, m * m.shape[1] / m.sum((1, 2, 3), keepdim=True)), "the first loss is"),
    (lambda z, m: -by_hand(z, m), "the sign"), (lambda z, m: by_hand(z.detach(), m), "no gradient"),
    (lambda z, m: by_hand(z, m).item(), "no gradient"), (overflowing, "overflows"),
    (lambda z, m: of_logs(m, z.flatten(2).softmax(-1).log().view_as(z)), "far below the largest is 0"),
    (lambda z, m: of_logs(m, (z.flatten(2).softmax(-1) + 1e-9).log().view_as(z)), "something is cut off, or added"),
    (lambda z, m: of_logs(m, z.clamp(-50, 50) - z.clamp(-50, 50).logsumexp((2, 3), keepdim=True)), "something is cut off"),
    (lambda z, m: by_hand(z, m) + z.mean() - z.mean().detach(), "its gradient is not"),
    (lambda z, m: by_hand(z, m)[None], r"shape \(1,\)"), (lambda z, m: by_hand(z, m) + 1, "the first loss is"),
    (lambda z: 1, "raises TypeError")])
def test_cross_entropies_that_are_wrong(yours, said):
    assert re.search(said, pieces.check_cross_entropy(yours)), pieces.check_cross_entropy(yours)


def test_the_packages_cross_entropy_is_pytorchs():
    points = torch.tensor([[[5.2, 4.0], [7.5, 6.1]]])
    logits = torch.randn(1, 2, 12, 14, generator=torch.Generator().manual_seed(0))
    maps = gaussian_heatmaps(points, (12, 14), 1.5, 1.0)
    assert float(Heatmaps((12, 14), "cross_entropy", 1.5).loss(logits, points)) == pytest.approx(float(by_torch(logits, maps)))


# ---------------------------------------------------------------- convolutions and levels

def convolutions(channels, features, order="cnrcnr", bias=False, padding=1):
    inputs = iter((channels, features))
    make = {"c": lambda: nn.Conv2d(next(inputs), features, 3, padding=padding, bias=bias),
            "n": lambda: nn.BatchNorm2d(features),
            "r": nn.ReLU, "6": nn.ReLU6, "g": nn.GELU, "y": nn.LeakyReLU, "d": lambda: nn.Dropout2d(0.1),
            "i": lambda: nn.InstanceNorm2d(features, affine=True, track_running_stats=True),
            "l": lambda: nn.GroupNorm(1, features),
            "e": nn.CELU, "t": lambda: nn.BatchNorm2d(features, track_running_stats=False)}
    return nn.Sequential(*(make[kind]() for kind in order))


class InAList(nn.Module):
    def __init__(self, channels, features, *below):
        super().__init__()
        self.below, self.parts = nn.ModuleList(below), [convolutions(channels, features)]

    def forward(self, x):
        return self.parts[0](x)


class Backwards(nn.Module):
    """The layers written down in another order than that in which they run, ReLUs as functions."""

    def __init__(self, channels, features):
        super().__init__()
        self.last = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.first = nn.Conv2d(channels, features, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(features) for _ in range(2))

    def forward(self, x):
        return self.norms[1](self.last(self.norms[0](self.first(x)).relu())).relu()


class InParameterList(Backwards):
    """The convolutions' weights alone, in a list that is written down behind the norms."""

    def __init__(self, channels, features):
        super().__init__(channels, features)
        self.kernels = nn.ParameterList([self.last.weight, self.first.weight])
        del self.last, self.first

    def forward(self, x):
        for kernel, norm in zip(self.kernels[::-1], self.norms):
            x = norm(F.conv2d(x, kernel, padding=1)).relu()
        return x


class Returning(nn.Module):
    """Layers, and a `forward` that gives something that is none of theirs."""

    def __init__(self, *given, what=None):
        super().__init__()
        self.layers, self.what = convolutions(*given[:2]), what

    def forward(self, *given):
        return self.what


class Unwritten(nn.Module):
    def __init__(self, *given):
        super().__init__()
        self.layers = convolutions(*given[:2])


class WithBuffers(Backwards):
    """Batch normalisation as a function, of running numbers with names of their own."""

    def __init__(self, channels, features):
        super().__init__(channels, features)
        for k in (0, 1):
            self.register_buffer(f"mean{k}", torch.zeros(features))
            self.register_buffer(f"variance{k}", torch.ones(features))
            self.register_parameter(f"gamma{k}", nn.Parameter(torch.ones(features)))
            self.register_parameter(f"beta{k}", nn.Parameter(torch.zeros(features)))
        del self.norms

    def norm(self, k, x):
        numbers = (getattr(self, f"{name}{k}") for name in ("mean", "variance", "gamma", "beta"))
        return F.batch_norm(x, *numbers, training=self.training)

    def forward(self, x):
        return self.norm(1, self.last(self.norm(0, self.first(x)).relu())).relu()


def lazily(channels, features):
    return nn.Sequential(*(part for _ in range(2) for part in (
        nn.LazyConv2d(features, 3, padding=1, bias=False), nn.LazyBatchNorm2d(), nn.ReLU())))


@pytest.mark.parametrize("yours", [convolutions, Backwards, InParameterList, WithBuffers, lazily,
                                   lambda *given: convolutions(*given).train()])
def test_convolutions_that_are_right(yours):
    assert pieces.check_convolutions(yours) == "right"


@pytest.mark.parametrize("yours, said", [
    (lambda *given: None, "not yet"), (lambda *given: nn.Sequential(), "not yet"), (lambda *given: 3, "no torch.nn.Module"),
    (InAList, "in `parts`: make it an nn.ModuleList"),
    (lambda *given: nn.Sequential(nn.ReLU(inplace=True), *convolutions(*given)), "changes the picture"),
    (lambda *given: convolutions(*given, "crcr"), "no batch normalisation"),
    (lambda *given: convolutions(*given, bias=True), "bias"), (lambda *given: convolutions(*given, "cncnr"), "between"),
    (lambda *given: convolutions(*given, "cnrcn"), "after the second"),
    (lambda *given: convolutions(*given, "cncn"), "at all"), (lambda *given: convolutions(*given, "crncrn"), "before the ReLU"),
    (lambda *given: convolutions(*given, padding=0), r"\(3, 4, 4, 4\), not \(3, 4, 8, 8\)"),
    (lambda c, f: convolutions(1, f), "1 channels, but got 3.*3 channels to 6"), (Unwritten, "^not yet$"),
    (Returning, "returns nothing"),
    (lambda c, f: convolutions(c, 4), r"\(4, 3, 3, 3\), not \(6, 3, 3, 3\) \(3 channels to 6"),
    (lambda *given: convolutions(*given, "cnrdcnr"), "not in training"),
    (lambda *given: convolutions(*given, "cn6cn6"), "nn.ReLU6 stands"),
    (lambda *given: convolutions(*given, "cngcng"), "nn.GELU stands"),
    (lambda *given: convolutions(*given, "cnecne"), "nn.ELU or CELU stands"),
    (lambda *given: convolutions(*given, "clrclr"), "nn.GroupNorm is none of its layers"),
    (lambda *given: convolutions(*given, "circir"), "nn.InstanceNorm2d is none of its layers"),
    (lambda *given: convolutions(*given, "ctrctr"), "track_running_stats"),
    (lambda *given: nn.ModuleList(convolutions(*given)), "nn.Sequential runs them"),
    (lambda *given: Returning(*given, what=...), "returns nothing"),
    (lambda *given: convolutions(*given, "cnr"), "weights"), (lambda c, f: convolutions(f, c), "raises")])
def test_convolutions_that_are_wrong(yours, said):
    assert re.search(said, pieces.check_convolutions(yours)), pieces.check_convolutions(yours)


def level(join=lambda up, skip: torch.cat([up, skip], 1), inputs=2, skip=lambda picture, skip, pooled: skip, pool=F.max_pool2d,
          first=False, up=None):
    class Level(nn.Module):
        def __init__(self, channels, features, below):
            super().__init__()
            self.up = (up or nn.ConvTranspose2d)(2 * features, features, 2, stride=2)     # before what runs before it
            self.encoder, self.below = convolutions(channels, features), below
            self.decoder = convolutions(channels + features if inputs == 0 else inputs * features, features)

        def forward(self, x):
            before = self.encoder(pool(x, 2) if first else x)
            pooled = before if first else pool(before, 2)
            return self.decoder(join(self.up(self.below(pooled)), skip(x, before, pooled)))
    return Level


def activated(kind):
    """A level with another activation, by its letter in `convolutions`, in all four places."""
    class Activated(level()):
        def __init__(self, channels, features, below):
            super().__init__(channels, features, below)
            self.encoder, self.decoder = (convolutions(inputs, features, f"cn{kind}cn{kind}")
                                          for inputs in (channels, 2 * features))
    return Activated


class Unpooled(level()):
    def forward(self, x):
        skip = self.encoder(x)
        return self.decoder(torch.cat([self.up(self.below(skip)), F.interpolate(skip, scale_factor=2)], 1))


class Dropping(level()):
    def forward(self, x):
        return super().forward(F.dropout(x, 0.1, self.training))


class Silent(nn.Module):
    def __init__(self, channels, features, below):
        super().__init__()
        self.below = below


def test_a_right_level_is_right_where_no_gradient_arrives():
    """With seed 3 a layer of the right net is dead."""
    assert pieces.check_level(level(), seed=3) == "right"


def test_layers_that_are_registered_may_be_in_a_list_too():
    class Both(Backwards):
        def __init__(self, *given):
            super().__init__(*given)
            self.order = [self.first, self.last]
    assert pieces.check_convolutions(Both) == "right"


@pytest.mark.parametrize("yours", [level(), level(pool=lambda x, k: nn.MaxPool2d(k)(x))])
def test_levels_that_are_right(yours):
    assert pieces.check_level(yours) == "right"


@pytest.mark.parametrize("yours, said", [
    (lambda *given: None, "not yet"), (Silent, "not yet"), (level(lambda up, skip: up, 1), "there is no skip"),
    (Unwritten, "^not yet$"), (Returning, "returns nothing"), (Dropping, "not in training"),
    (activated("6"), "nn.ReLU6 stands"), (activated("g"), "nn.GELU stands"), (activated("y"), "nn.LeakyReLU stands"),
    (level(lambda up, skip: up * skip, 1), "not concatenated"),
    (lambda *given: Returning(*given, what=...), "returns nothing"),
    (level(lambda up, skip: up + skip, 1), "not concatenated"),
    (level(lambda up, skip: torch.cat([skip, up], 1)), "the skip comes first"),
    (level(skip=lambda picture, skip, pooled: pooled), "before pooling"), (level(first=True), "before pooling"),
    (level(inputs=0, skip=lambda picture, skip, pooled: picture), "own picture"), (Unpooled, r"\(4, 8, 8\)"),
    (level(lambda up, skip: torch.cat([up, up], 1)), "twice"), (level(lambda up, skip: torch.cat([skip, skip], 1)), "not used"),
    (level(pool=F.avg_pool2d), "means"), (level(lambda up, skip: torch.cat([up.relu(), skip], 1)), "the answers do not"),
    (InAList, "in `parts`: make it an nn.ModuleList"), (level(inputs=1), "does not run: .* 4 channels, but got 8"),
    (level(up=lambda a, b, k, stride: nn.ConvTranspose2d(a, b, 3, stride=2)), r"comes up is \(4, 9, 9\)"),
    (level(up=lambda a, b, k, stride: nn.ConvTranspose2d(a, b // 2, 2, stride=2)), r"comes up is \(2, 8, 8\)"),
    (level(up=lambda *how, stride: nn.ConvTranspose2d(*how, stride, bias=False)), "transposed convolution has no bias"),
    (level(up=lambda a, b, k, stride: nn.ConvTranspose2d(a, b, 2)), r"comes up is \(4, 5, 5\)"),
    (level(up=lambda a, b, k, stride: nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, padding=1))), "shape"),
    (lambda channels, features: None, "raises TypeError")])
def test_levels_that_are_wrong(yours, said):
    assert re.search(said, pieces.check_level(yours)), pieces.check_level(yours)


@pytest.mark.parametrize("check", CHECKS)
def test_nothing_that_a_student_writes_stops_the_notebook(check):
    exits, unwritten = raises(SystemExit("enough")), raises(NotImplementedError())
    assert check(exits).startswith("wrong: it raises SystemExit") and check(unwritten) == "not yet"
    assert check(lambda *given: "a word").startswith(("not yet", "wrong"))


# ---------------------------------------------------------------- the notebook

CELLS = nbformat.read(next((PROJECT / "notebooks").glob("4_*.ipynb")), 4).cells


def _asked():
    """Each exercise: its cell, its check's, and its answer."""
    for k, cell in enumerate(CELLS):
        if cell.cell_type == "code" and re.match(r"(exercises|pieces)\.check_\w+\(\w+\)$", cell.source):
            [answer] = re.findall(r"```python\n(.*?)```", CELLS[k + 1].source, flags=re.S)
            yield CELLS[k - 1].source, cell.source, answer


def test_each_answer_that_the_notebook_prints_is_right_in_its_cell():
    names = {"np": np, "torch": torch, "nn": nn, "exercises": exercises, "pieces": pieces, "__name__": "__main__"}
    asked = list(_asked())
    assert [re.search(r"check_\w+", check)[0] for _, check, _ in asked] == [
        "check_gaussians", "check_soft_argmax", "check_cross_entropy", "check_convolutions", "check_level"]
    for cell, check, answer in asked:
        first = ast.unparse(ast.parse(cell).body[0]).splitlines()[0]
        assert len(cell.splitlines()) <= 15 and first in ast.unparse(ast.parse(answer))
        exec(cell, names)
        assert eval(check, names).startswith("not yet")
        exec(answer, names)
        assert eval(check, names) == "right"


def test_nothing_is_trained_by_pieces_that_are_not_right(capsys):
    trained, asked = [], [(pieces.check_level, Silent), (pieces.check_cross_entropy, by_hand)]
    assert pieces.when_right(asked, lambda: trained.append(1)) is None and not trained
    assert "Silent: not yet" in capsys.readouterr().out
