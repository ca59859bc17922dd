"""The checks of notebook 3's pieces: right answers in several styles pass, each usual mistake is named, nothing raises."""

import ast
import builtins
import re

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_project import PROJECT
from torch import nn
from toy import raises

from fkp_utils import pieces
from fkp_utils.datasets import Crop

CHECKS = [pieces.check_batch_norm, pieces.check_residual_block, pieces.check_square, pieces.check_to_crop]


class Norm(nn.Module):
    """Batch normalisation by hand, with what a mistake changes."""

    def __init__(self, channels, shape=None, dtype=torch.float32, buffers=True, **mistake):
        super().__init__()
        shape = shape or (channels,)
        self.weight, self.bias = (nn.Parameter(start(shape, dtype=dtype)) for start in (torch.ones, torch.zeros))
        for name, start in (("running_mean", torch.zeros(shape, dtype=dtype)), ("running_var", torch.ones(shape, dtype=dtype))):
            self.register_buffer(name, start) if buffers else setattr(self, name, start)
        self.mistake = mistake

    def forward(self, x):
        wide, how = (1, -1, 1, 1), self.mistake
        if how.get("update", self.training):
            self.update(x)
        mean, var = self.running_mean.view(wide), self.running_var.view(wide)
        if how.get("batch", self.training):
            axes = how.get("axes", (0, 2, 3))
            mean = x.mean(axes, keepdim=True)
            var = ((x - mean) ** 2).mean(axes, keepdim=True)
        if how.get("cut"):
            mean, var = mean.detach(), var.detach()
        return how.get("join", self.join)(x, mean, var, self.weight.view(wide), self.bias.view(wide))

    def update(self, x):
        with torch.set_grad_enabled(self.mistake.get("graph", False)):
            share, n = self.mistake.get("share", 0.1), x.numel() / x.shape[1]
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False) * n / (n - self.mistake.get("minus", 1))
            self.running_mean = (1 - share) * self.running_mean + share * mean.view_as(self.running_mean)
            self.running_var = (1 - share) * self.running_var + share * var.view_as(self.running_var)

    @staticmethod
    def join(x, mean, var, gamma, beta):
        return gamma * (x - mean) * torch.rsqrt(var + 1e-5) + beta


class InPlace(nn.BatchNorm2d):
    """By torch's function, which moves the running statistics itself."""

    def forward(self, x):
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.training, 0.1, 1e-5)


def changed(**mistake):
    return lambda channels: Norm(channels, **mistake)


@pytest.mark.parametrize("yours", [
    nn.BatchNorm2d, Norm, InPlace, lambda channels: Norm(channels, (1, channels, 1, 1)),
    lambda channels: Norm(channels).eval(), lambda channels: Norm(channels, dtype=torch.float64)])
def test_batch_norms_that_are_right(yours):
    assert pieces.check_batch_norm(yours) == "right"


def without(name):
    def build(channels):
        net = Norm(channels)
        delattr(net, name)
        return net
    return build


@pytest.mark.parametrize("yours, said", [
    (lambda channels: None, "not yet"), (lambda channels: nn.Module(), "not yet"), (lambda channels: 7, "no torch.nn.Module"),
    (changed(axes=(2, 3)), "of each picture"), (changed(axes=(0,)), "each pixel"),
    (changed(axes=(1, 2, 3)), "over its channels"),
    (changed(axes=(0, 1, 2, 3)), "one mean of all channels"), (changed(batch=False), "not the running ones"),
    (changed(batch=True), "in evaluation the running mean"), (changed(update=False), "are not updated"),
    (changed(update=True), "move in evaluation"), (changed(graph=True), "every step's graph"),
    (changed(share=0.9), "0.9 of the old"), (changed(share=1), "replaces"), (changed(minus=0), "unbiased one"),
    (changed(cut=True), "gradients flow"),
    (changed(buffers=False), "`running_mean` is missing, or not made by `register_buffer`"),
    (without("weight"), "`weight` is missing"), (without("running_var"), "`running_var` is missing"),
    (changed(join=lambda x, m, v, g, b: g * (x - m) / (v.sqrt() + 1e-5) + b), "inside of the root"),
    (changed(join=lambda x, m, v, g, b: g * (x - m) / (v * 120 / 119 + 1e-5).sqrt() + b), "biased one, divided by n"),
    (changed(join=lambda x, m, v, g, b: g * (x - m) / (v + 1e-5) + b), "not by its root"),
    (changed(join=lambda x, m, v, g, b: (x - m) / (v + 1e-5).sqrt()), "gamma and beta"),
    (changed(join=lambda x, m, v, g, b: (x - m) / (v + 1e-5).sqrt() + b), "gamma \\(`weight`\\)"),
    (changed(join=lambda x, m, v, g, b: g * (x - m) / (v + 1e-5).sqrt()), "beta \\(`bias`\\)"),
    (changed(join=lambda x, m, v, g, b: g * x + b), "as if the mean were 0"),
    (changed(join=lambda x, m, v, g, b: x), "answers in training"), (changed(join=lambda x, m, v, g, b: None), "not yet"),
    (lambda n: Norm(n, join=lambda x, m, v, w, b: (x - m) / (v + 1e-5).sqrt() * w.detach() + b.detach()), "gamma and beta"),
    (lambda n: Norm(n, join=lambda x, m, v, w, b: ((x - m) / (v + 1e-5).sqrt() * w + b).detach()), "its gradients"),
    (lambda channels: nn.InstanceNorm2d(channels, affine=True, track_running_stats=True), "of each picture"),
    (lambda channels: nn.BatchNorm2d(channels + 1), r"starts as \[1.0, 1.0, 1.0, 1.0\]"), (lambda: 1, "raises TypeError")])
def test_batch_norms_that_are_wrong(yours, said):
    assert re.search(said, pieces.check_batch_norm(yours)), pieces.check_batch_norm(yours)


class Block(nn.Module):
    """A residual block, its convolutions made before its norms, with what a mistake changes."""

    def __init__(self, channels, features, stride=1, join=lambda y, x: (y + x).relu(), inner=F.relu, second=1, side=None,
                 bias=False, norm=nn.BatchNorm2d, first=None):
        super().__init__()
        self.join, self.inner = join, inner
        self.conv1 = nn.Conv2d(channels, features, 3, stride if first is None else first, 1, bias=bias)
        self.conv2 = nn.Conv2d(features, features, 3, second if second == 1 else stride, padding=1, bias=bias)
        self.norm1, self.norm2, self.side = norm(features), norm(features), None
        if stride > 1 or channels != features:
            self.side = nn.Sequential(nn.Conv2d(channels, features, 1, side or stride, bias=False), norm(features))

    def forward(self, x):
        y = self.norm2(self.conv2(self.inner(self.norm1(self.conv1(x)))))
        return self.join(y, self.side(x) if self.side else x)


class ShortcutFirst(nn.Module):
    def __init__(self, channels, features, stride):
        super().__init__()
        same = stride == 1 and channels == features
        self.shortcut = nn.Identity() if same else nn.Sequential(
            nn.Conv2d(channels, features, 1, stride, bias=False), Norm(features))
        self.layers = nn.Sequential(nn.Conv2d(channels, features, 3, stride, 1, bias=False), Norm(features),
                                    nn.ReLU(inplace=True), nn.Conv2d(features, features, 3, 1, 1, bias=False), Norm(features))

    def forward(self, x):
        return torch.relu(self.shortcut(x) + self.layers(x))


class ShortcutBetween(Block):
    """Its norms stand first, and the shortcut runs between the second convolution and that one's norm."""

    def __init__(self, *how):
        super().__init__(*how)
        layers = dict(self.named_children())
        for name in sorted(layers, key=lambda name: "conv" in name):
            delattr(self, name)
            setattr(self, name, layers[name])

    def forward(self, x):
        y = self.conv2(self.norm1(self.conv1(x)).relu())
        x = self.side(x) if self.side else x
        return (self.norm2(y) + x).relu()


class PaddedByHand(Block):
    """In a picture that is made for it, and written into."""

    def __init__(self, *how):
        super().__init__(*how)
        for conv in (self.conv1, self.conv2):
            conv.padding = 0
            conv.register_forward_pre_hook(self.padded)

    @staticmethod
    def padded(conv, given):
        b, c, h, w = given[0].shape
        wide = torch.zeros(b, c, h + 2, w + 2)
        wide[:, :, 1:-1, 1:-1] = given[0]
        return wide


class LinearShortcut(Block):
    def __init__(self, channels, features, stride):
        super().__init__(channels, features, stride)
        if self.side:
            self.side = nn.ModuleList([nn.Linear(channels, features, bias=False), nn.BatchNorm2d(features)])
            self.stride, self.side.forward = stride, self.beside

    def beside(self, x):
        linear, norm = self.side
        return norm(linear(x[..., ::self.stride, ::self.stride].movedim(1, -1)).movedim(-1, 1))


class Dropping(Block):
    def forward(self, x):
        return F.dropout(super().forward(x), 0.1, self.training)


def block(**mistake):
    return lambda *how: Block(*how, **mistake)


@pytest.mark.parametrize("yours", [Block, ShortcutFirst, ShortcutBetween, PaddedByHand, pieces.basic_block, block(norm=Norm),
                                   lambda *how: Block(*how).train()])
def test_blocks_that_are_right(yours):
    assert pieces.check_residual_block(yours) == "right"


@pytest.mark.parametrize("yours, said", [
    (lambda *how: None, "not yet"), (lambda *how: nn.Module(), "not yet"), (lambda *how: 7, "a int"),
    (block(join=lambda y, x: y.relu() + x), "before the addition, and none after"),
    (block(join=lambda y, x: (y.relu() + x).relu()), "before the addition, too"),
    (block(join=lambda y, x: y.relu()), "no shortcut"),
    (block(join=lambda y, x: (y + x.relu()).relu()), "on the shortcut"), (block(join=lambda y, x: y + x), "after the addition"),
    (block(inner=lambda y: y), "between the convolutions"), (block(second=2), r"both convolutions.*6 channels to 9, stride 2"),
    (block(side=1), r"not on the shortcut\?"), (block(bias=True), "8 weights and biases, not 6"),
    (Dropping, "not in training"), (LinearShortcut, r"weight 7 of 9 has the shape \(9, 6\), not \(9, 6, 1, 1\)"),
    (block(norm=lambda n: nn.InstanceNorm2d(n, affine=True, track_running_stats=True)), "InstanceNorm2d is none of its layers"),
    (block(inner=F.relu6), "cut off"), (lambda c, *how: Block(6, *how), "4 channels to 9"),
    (block(norm=lambda n: nn.BatchNorm2d(n, track_running_stats=False)), "track_running_stats"),
    (lambda *how: nn.ModuleList([Block(*how)]), "only holds"), (block(join=lambda y, x: ...), "returns nothing"),
    (block(join=lambda y, x: (y + x.detach()).relu()), r"the gradients are not.*6 channels to 6, stride 1"),
    (block(join=lambda y, x: (x - y).relu()), "the answers do not"), (block(join=lambda y, x: None), "return"),
    (lambda a, b, s: pieces.basic_block(a, b, s if a != b else 1), "6 channels to 6, stride 2"),
    (lambda *how: pieces.basic_block(how[0], how[0]), "6 channels to 9"), (lambda channels: 1, "raises TypeError")])
def test_blocks_that_are_wrong(yours, said):
    assert re.search(said, pieces.check_residual_block(yours)), pieces.check_residual_block(yours)


def square_of(box, margin, shift):
    """In another style: from the four edges."""
    left, top, width, height = map(float, box)
    x, y, side = left - 0.5 + width / 2, top - 0.5 + height / 2 + shift * height, margin * max(width, height)
    return x - side / 2, y - side / 2, side


@pytest.mark.parametrize("yours", [
    square_of, lambda b, m, s: Crop(m, s).squares(np.array([b]))[0], lambda b, m, s: torch.tensor(square_of(b, m, s)),
    lambda b, m, s: list(np.array(square_of(b, m, s)).astype(np.float64))])
def test_squares_that_are_right(yours):
    assert pieces.check_square(yours) == "right"


@pytest.mark.parametrize("yours, said", [
    (lambda b, m, s: None, "not yet"), (lambda b, m, s: square_of(b, 1 / m, s), "wrong way"),
    (lambda b, m, s: square_of(b, 2 * m - 1, s), "whole side"),
    (lambda b, m, s: square_of((b[0], b[1] + (0.5 + s) * (b[3] - b[2]), b[2], b[2]), m, s), "the width is taken"),
    (lambda b, m, s: square_of((b[0] + b[2] / 2 - b[3] / 2, b[1], b[3], b[3]), m, s), "right in 3 of 5 cases"),
    (lambda b, m, s: np.add(square_of(b, m, s), (0.5, 0.5, 0)), "half a pixel"), (lambda b, m, s: square_of(b, m, -s), "is up"),
    (lambda b, m, s: square_of(b, m, 0), "the same for every `shift`"), (lambda b, m, s: b, r"shape \(4,\), not \(3,\)"),
    (lambda b, m, s: (0, 0, 1), "a constant"), (lambda b: 1, "raises TypeError")])
def test_squares_that_are_wrong(yours, said):
    assert re.search(said, pieces.check_square(yours)), pieces.check_square(yours)


def to_crop(points, square, size):
    points += 0.5                                         # in place, and edges first
    return (points - 0.5 - np.array(square[:2])) / (square[2] / size) - 0.5


def point_by_point(points, square, size):
    left, top, side = square
    return torch.tensor([[(x - left) * size / side - 0.5, (y - top) * size / side - 0.5] for x, y in points])


@pytest.mark.parametrize("yours", [to_crop, point_by_point])
def test_ways_into_the_crop_that_are_right(yours):
    assert pieces.check_to_crop(yours) == "right"


@pytest.mark.parametrize("yours, said", [
    (lambda p, q, s: None, "not yet"), (lambda p, q, s: to_crop(p, q, s) + 0.5, "half a pixel"),
    (lambda p, q, s: to_crop(p, (0, 0, q[2]), s), "were not taken off"),
    (lambda p, q, s: to_crop(p, (0, 0, q[2]), s) - q[:2], "before scaling"),
    (lambda p, q, s: (p - q[:2]) * q[2] / s - 0.5, "wrong way round"),
    (lambda p, q, s: (p + 0.5) * q[2] / s + q[:2], "way back"), (lambda p, q, s: to_crop(p, q, 100), "constant"),
    (lambda p: 1, "raises TypeError")])
def test_ways_into_the_crop_that_are_wrong(yours, said):
    assert said in pieces.check_to_crop(yours)


def test_the_right_crop_is_the_packages():
    """A box of 100x80 at (10, 20): margin 1.5, shift 0.1 -> side 150 about (59.5, 67.5), so that (59.5, 67.5) is the middle."""
    square = square_of((10, 20, 100, 80), 1.5, 0.1)
    assert square == (-15.5, -7.5, 150)
    np.testing.assert_allclose(to_crop(np.array([[59.5, 67.5]]), square, 50), [[24.5, 24.5]])
    crop = Crop(1.5, 0.1, 50).to_crop(np.array([[[59.5, 67.5]]]), np.array([[10.0, 20, 100, 80]]))
    np.testing.assert_allclose(crop, [[[24.5, 24.5]]])


@pytest.mark.parametrize("check, right", zip(CHECKS, (nn.BatchNorm2d, pieces.basic_block, square_of, to_crop)))
def test_other_seeds_ask_for_other_numbers(check, right):
    for seed in (1, 2, 3):
        assert check(right, seed=seed) == "right"
        assert check(lambda *given: None, seed=seed).startswith("not yet")


@pytest.mark.parametrize("check", CHECKS)
def test_nothing_that_a_student_writes_stops_the_notebook(check):
    exits, unwritten = raises(SystemExit("enough")), raises(NotImplementedError())
    assert "it raises SystemExit" in check(exits) and check(unwritten) == "not yet"
    assert check(lambda *given: ...).startswith(("not yet", "wrong"))


# ---------------------------------------------------------------- the answers that the notebook prints

CELLS = nbformat.read(PROJECT / "notebooks/3_larger_dataset.ipynb", 4).cells
ASKED = [k for k, cell in enumerate(CELLS) if re.match(r"(pieces|exercises)\.check_\w+\(\w+\)$", cell.source)]


def plain(source):
    return "\n".join(line for line in source.splitlines() if not line.startswith("%"))


def imported(cells):
    names = {"__name__": "__main__"}
    for cell in cells:
        body = [node for node in ast.parse(plain(cell.source)).body if isinstance(node, ast.Import | ast.ImportFrom)]
        exec(compile(ast.Module(body, []), "imports", "exec"), names)
    return names


@pytest.mark.parametrize("at", ASKED, ids=lambda at: CELLS[at].source)
def test_each_answer_that_the_notebook_prints_is_right_in_its_cell(at):
    """Cell, check, answer follow each other; the answer keeps what stands in the cell; nothing else of the notebook runs."""
    names, asked = imported(cell for cell in CELLS[:at] if cell.cell_type == "code"), CELLS[at - 1].source
    answer = CELLS[at + 1].source
    assert answer.startswith("<details><summary>Answer</summary>")
    [block] = re.findall(r"```python\n(.*?)```", answer, flags=re.S)
    written = iter(block.splitlines())
    assert all(line in written for line in asked.splitlines() if line.strip() != "..."), "the answer's cell, and more"
    assert len(block.splitlines()) <= 16 and max(map(len, block.splitlines())) <= 128
    for source, said in ((asked, "not yet"), (block, "right")):
        exec(source, names)
        assert eval(CELLS[at].source, names).startswith(said)


def test_every_piece_is_asked_once_and_none_is_filled_in():
    asked = [CELLS[at].source for at in ASKED]
    assert sorted(asked) == sorted(set(asked)) and len(asked) == 6
    assert {f"pieces.{check.__name__}" for check in CHECKS} < {source.partition("(")[0] for source in asked}
    assert all("nbval-ignore-output" in CELLS[k].metadata.tags for at in ASKED for k in (at - 1, at))
    assert not [name for name in dir(builtins) if name.startswith("Your")]
