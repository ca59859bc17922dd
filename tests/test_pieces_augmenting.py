"""Checks of Part 2's pieces: right answers in several styles pass, usual mistakes are named, the notebook's answers pass."""

import ast
import copy
import math
import re

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import affine_transform
from test_project import PROJECT
from torch import nn
from toy import raises, shown

from fkp_utils import augment, pieces
from fkp_utils.nets.models import he_init
from fkp_utils.pieces import augmenting
from fkp_utils.training.loop import update_average

# ---------------------------------------------------------------- the matrix


def matrix_of(angle=np.deg2rad, way=1, scale=lambda m, f: m * f):
    def matrix(degrees, factor):
        found = []
        for a, f in zip(angle(degrees.numpy()), factor.numpy()):
            turn = np.array([[math.cos(a), -way * math.sin(a)], [way * math.sin(a), math.cos(a)]])
            found.append(scale(turn, f))
        return np.array(found)
    return matrix


def in_double(degrees, factor):
    a = degrees.double() * math.pi / 180
    return factor[:, None, None] * torch.stack([a.cos(), -a.sin(), a.sin(), a.cos()], -1).reshape(-1, 2, 2)


@pytest.mark.parametrize("yours", [matrix_of(), in_double, augment.turn_and_scale])
def test_matrices_that_are_right(yours):
    assert pieces.check_matrix(yours) == "right"


@pytest.mark.parametrize("yours, said", [
    (matrix_of(way=-1), "the other way"), (matrix_of(angle=lambda a: a), "radians"),
    (matrix_of(scale=lambda m, f: m), "factor is left out"), (lambda d, f: in_double(d, f).permute(1, 2, 0), "comes first"),
    (lambda d, f: ..., "not yet"), (lambda d, f: in_double(d, f)[0], r"the shape \(2, 2\), not \(3, 2, 2\)"),
    (lambda d: d, "raises TypeError")])
def test_matrices_that_are_wrong(yours, said):
    assert re.search(said, pieces.check_matrix(yours)), pieces.check_matrix(yours)


# ---------------------------------------------------------------- the warp


def by_scipy(images, landmarks, matrix, shift):
    """Face by face with scipy, whose points are (y, x)."""
    pictures, points = [], []
    for image, face, m, t in zip(images.numpy(), landmarks.numpy(), matrix.double().numpy(), shift.numpy()):
        h, w = image.shape[1:]
        c = np.array([w - 1, h - 1]) / 2
        back = np.linalg.inv(m)
        offset = c - back @ (c + t)
        pictures.append(affine_transform(image[0], back[::-1, ::-1], offset[::-1], order=1, mode="nearest")[None])
        points.append([m @ (p - c) + c + t for p in face])
    return np.array(pictures), np.array(points)


def by_affine_grid(images, landmarks, matrix, shift):
    """With PyTorch's own grid, in its units."""
    h, w = images.shape[-2:]
    centre, side = torch.tensor([w - 1, h - 1]) / 2, torch.tensor([w, h]) / 2
    back = torch.linalg.inv(matrix)
    turn = back * side / side[:, None]
    offset = -(back @ shift[:, :, None]) / side[:, None]
    grid = F.affine_grid(torch.cat([turn, offset], -1), images.shape, align_corners=False)
    found = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    landmarks -= centre
    return [found, torch.einsum("bij,bnj->bni", matrix, landmarks) + centre + shift[:, None]]


def from_corner_to_corner(images, landmarks, matrix, shift):
    """By a loop, and in the units of align_corners=True."""
    h, w = images.shape[-2:]
    centre = torch.tensor([(w - 1) / 2, (h - 1) / 2]).double()
    pictures, points = [], []
    for image, face, m, t in zip(images.double(), landmarks.double(), matrix.double(), shift.double()):
        y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        at = torch.stack([x, y], -1).double().reshape(-1, 2)
        source = torch.linalg.solve(m, (at - centre - t).T).T + centre
        source = 2 * source / torch.tensor([w - 1, h - 1]) - 1
        pictures.append(F.grid_sample(image[None], source.reshape(1, h, w, 2), padding_mode="border", align_corners=True)[0])
        points.append((m @ (face - centre).T).T + centre + t)
    return torch.stack(pictures), torch.stack(points)


@pytest.mark.parametrize("yours", [augment.warp, by_scipy, by_affine_grid, from_corner_to_corner])
def test_warps_that_are_right(yours):
    assert pieces.check_warp(yours) == "right"


def warp_of(back=np.linalg.inv, forward=lambda m: m, centre=lambda w, h: ((w - 1) / 2, (h - 1) / 2), unit=lambda t, w, h: t,
            seen=lambda t: t, swapped=False, mode="nearest"):
    """`by_scipy` with what a mistake changes."""
    def warp(images, landmarks, matrix, shift):
        pictures, points = [], []
        for image, face, m, t in zip(images.numpy(), landmarks.numpy(), matrix.double().numpy(), shift.numpy()):
            h, w = image.shape[1:]
            c, t = np.array(centre(w, h)), unit(t, w, h)
            b = back(m)
            b, offset = (b, c - b @ (c + seen(t))) if swapped else (b[::-1, ::-1], (c - b @ (c + seen(t)))[::-1])
            pictures.append(affine_transform(image[0], b, offset, order=1, mode=mode, cval=0)[None])
            points.append((face - c) @ forward(m).T + c + t)
        return np.array(pictures), np.array(points)
    return warp


@pytest.mark.parametrize("yours, said", [
    (warp_of(back=lambda m: m), "the inverse"), (warp_of(forward=np.linalg.inv), "the landmarks take the inverse"),
    (warp_of(forward=np.transpose, back=lambda m: np.linalg.inv(m).T), "it turns the other way"),
    (warp_of(back=lambda m: np.linalg.inv(m).T), "the picture turns the other way"),
    (warp_of(centre=lambda w, h: (0, 0)), r"at \(0, 0\)"), (warp_of(centre=lambda w, h: (w / 2, h / 2)), "half a pixel off"),
    (warp_of(unit=lambda t, w, h: t * [w, h]), "no share"), (warp_of(unit=lambda t, w, h: t / [w, h]), "stays so"),
    (warp_of(seen=lambda t: 0 * t), "the picture is not"), (warp_of(seen=lambda t: -t), "shifted the other way"),
    (warp_of(forward=lambda m: 2 * m), "in no usual way: the landmarks$"), (warp_of(mode="mirror"), "usual way: the picture$"),
    (lambda *given: None, "not yet"), (lambda images, *more: images, "two things"),
    (lambda i, p, *more: (p, i), r"\(3, 5, 2\) and \(3, 1, 9, 14\), not"), (lambda *given: given[9], "IndexError"),
    (lambda i, p, *more: (i, "text"), "raises AttributeError")])
def test_warps_that_are_wrong(yours, said):
    assert re.search(said, pieces.check_warp(yours)), pieces.check_warp(yours)


def in_torch(images, landmarks, matrix, shift, order=("x", "y"), less=1.0, align=False, plus=1.0, padding="border",
             first=False):
    """The answer with what a mistake in grid_sample's units changes."""
    h, w = images.shape[-2:]
    centre = torch.tensor([w - 1, h - 1]) / 2
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    grid = torch.stack([x, y], -1).reshape(-1, 2)
    moved = (landmarks - centre + shift[:, None]) @ matrix.mT + centre if first else (
        (landmarks - centre) @ matrix.mT + centre + shift[:, None])
    source = ((grid - centre) @ torch.linalg.inv(matrix).mT + centre - shift[:, None] if first else
              (grid - centre - shift[:, None]) @ torch.linalg.inv(matrix).mT + centre)
    source = source if order == ("x", "y") else source.flip(-1)
    source = (2 * source + plus) / (torch.tensor([w, h]) - 1 + less) - 1
    found = F.grid_sample(images, source.reshape(len(images), h, w, 2), padding_mode=padding, align_corners=align)
    return found, moved


@pytest.mark.parametrize("change, said", [
    ({"order": ("y", "x")}, "x and y of the picture's points are exchanged"), ({"plus": 0.0}, "picture is half a pixel off"),
    ({"plus": 0.0, "less": 0.0}, "goes with align_corners=True"), ({"align": True}, "goes with align_corners=False"),
    ({"padding": "zeros"}, "beyond its border"), ({"first": True}, "before the turn"), ({}, "^right$")])
def test_mistakes_in_the_units_of_grid_sample(change, said):
    assert re.search(said, pieces.check_warp(lambda *given: in_torch(*given, **change)))


def test_no_two_mistakes_of_a_warp_look_the_same_and_none_is_right():
    def all_of(yours):
        seen = []
        pieces.check_warp(lambda *given: seen.extend(given) or yours(*given))
        return seen
    given = all_of(augment.warp)
    answers = [augment.warp(*given), *(augmenting._warped(*given, **change) for change in augmenting.WARPS.values())]
    for k, a in enumerate(answers):
        for b in answers[:k]:
            assert max(float((x - y).abs().max()) for x, y in zip(a, b)) > 0.02


@pytest.mark.parametrize("change", [{}, {"factor": 0.5}, {"shift": 0.9}])
def test_right_shows_the_students_warp(change, monkeypatch):
    """Where all but what is far off is let through, a darker picture, or landmarks beside it, are seen."""
    data, words, right = shown(pieces.check_warp(augment.warp))
    assert data["text/plain"] == "right" and len(data["text/html"]) <= 6000 and "5 landmarks found (crosses)" in words
    monkeypatch.setattr(augmenting, "close", lambda a, b, tolerance=0: float((a - b).detach().abs().max()) < 0.95)

    def yours(*given):
        images, landmarks = augment.warp(*given)
        return images * change.get("factor", 1), landmarks + torch.tensor([0, change.get("shift", 0)])
    _, _, other = shown(pieces.check_warp(lambda *given: tuple(x.requires_grad_() for x in yours(*given))))
    assert ((np.abs(other - right).max(2) > 15).sum() > 60) == bool(change)


def test_a_wrong_warp_shows_text_alone():
    for yours in (lambda *given: None, lambda *given: augment.warp(*given[:3], -given[3])):
        data, _, _ = shown(pieces.check_warp(yours))
        assert list(data) == ["text/plain"] and not data["text/plain"].startswith("right")


# ---------------------------------------------------------------- He's initial weights


def drawn(std=lambda n, out, channels: math.sqrt(2 / n), last=0.01, bias=nn.init.zeros_, draw=nn.init.normal_):
    def he(model):
        layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
        for layer in layers:
            w = layer.weight
            draw(w, std=last if last and layer is layers[-1] else std(w[0].numel(), w[:, 0].numel(), w.shape[1]))
            bias(layer.bias)
    return he


def uniform(model):
    """As large, of another distribution."""
    *first, last = [layer for layer in model.children() if hasattr(layer, "bias") and layer.weight.ndim > 1]
    for layer in first:
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    last.weight.data.uniform_(-0.01 * 3**0.5, 0.01 * 3**0.5)
    for layer in (*first, last):
        layer.bias.data[:] = 0
    return model


def by_numpy(model):
    rng = np.random.default_rng(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                n = math.prod(parameter.shape[1:])
                parameter.copy_(torch.from_numpy(rng.normal(0, (2 / n) ** 0.5, parameter.shape)))
        list(model.children())[-1].weight.normal_(0, 0.01)
        for layer in model.children():
            layer.bias.zero_()


@pytest.mark.parametrize("yours", [drawn(), he_init, uniform, by_numpy])
def test_initial_weights_that_are_right(yours):
    assert pieces.check_he(yours) == "right"


@pytest.mark.parametrize("yours, said", [
    (drawn(lambda n, out, c: (1 / n) ** 0.5), "the 2 is left out"),
    (drawn(lambda n, out, c: (2 / out) ** 0.5), "not of outputs"),
    (drawn(lambda n, out, c: (2 / (n + out)) ** 0.5), "Glorot"),
    (drawn(lambda n, out, c: (2 / c) ** 0.5), "not channels alone"),
    (drawn(lambda n, out, c: 2 / n), "is the variance"), (drawn(last=None), "the last layer's standard deviation is 0.2"),
    (drawn(bias=lambda b: None), "biases"), (drawn(lambda *n: 0.3), "for n = 100 it is 0.3"),
    (drawn(draw=lambda w, std: nn.init.constant_(w, std)), "all its filters would learn the same"),
    (drawn(draw=lambda w, std: w.data.uniform_(0, std * 12**0.5)), "mean of a layer's weights"),
    (lambda model: None, "not yet"), (lambda model: he_init(copy.deepcopy(model)), "not yet"), (lambda: 1, "raises TypeError"),
    (lambda model: [nn.init.normal_(p, std=0.1) for p in model.parameters()], "batch normalisation")])
def test_initial_weights_that_are_wrong(yours, said):
    assert said in pieces.check_he(yours), pieces.check_he(yours)


def test_the_check_of_initial_weights_leaves_the_random_numbers_alone():
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    pieces.check_he(he_init)
    assert torch.equal(torch.rand(3), expected)


# ---------------------------------------------------------------- the moving average


def averaged(rule=lambda a, m, d: d * a + (1 - d) * m, names=lambda net: net.state_dict(), whole=lambda a, m: a):
    @torch.no_grad()
    def average(slow, model, decay):
        live = model.state_dict()
        for name, a in names(slow).items():
            a.copy_(rule(a, live[name], decay) if a.is_floating_point() else whole(a, live[name]))
    return average


def by_name(slow, model, decay):
    """Weights and buffers apart, gradients switched off by `.data`, counters copied."""
    for a, m in zip(slow.parameters(), model.parameters()):
        a.data = decay * a.data + (1 - decay) * m.data
    for a, m in zip(slow.buffers(), model.buffers()):
        a.data = m.data.clone() if a.dtype == torch.int64 else a.data * decay + m.data * (1 - decay)


def loaded(slow, model, decay):
    a, m = slow.state_dict(), model.state_dict()
    slow.load_state_dict({k: a[k].lerp(m[k], 1 - decay) if a[k].is_floating_point() else m[k] for k in a})


@pytest.mark.parametrize("yours", [averaged(), averaged(whole=lambda a, m: m), by_name, loaded, update_average])
def test_averages_that_are_right(yours):
    assert pieces.check_average(yours) == "right"


def live_changed(slow, model, decay):
    averaged()(model, slow, 1 - decay)


def shared(slow, model, decay):
    for a, m in zip(slow.parameters(), model.parameters()):
        m.data.copy_(m.data)
        a.data = m.data


def recorded(slow, model, decay):
    for a, m in zip(slow.parameters(), model.parameters()):
        a.mul_(decay).add_(m, alpha=1 - decay)


@pytest.mark.parametrize("yours, said", [
    (averaged(lambda a, m, d: d * m + (1 - d) * a), "exchanged"), (averaged(lambda a, m, d: d * a + m), "not in full"),
    (averaged(names=lambda net: dict(net.named_parameters())), "buffers such as running means"),
    (averaged(names=lambda net: {k: x for k, x in net.state_dict().items() if "var" not in k}), "`1.running_var` is left out"),
    (averaged(names=lambda net: {k: x for k, x in net.state_dict().items() if k != "1.weight"}), "`1.weight` is not averaged"),
    (averaged(whole=lambda a, m: 0.7 * a + 0.3 * m), "a counter"), (live_changed, "live weights have changed"),
    (recorded, "no_grad"), (averaged(lambda a, m, d: (a + m) / 2), "neither"), (shared, "neither"),
    (lambda slow, model, decay: None, "not yet"), (lambda slow, model: 1, "raises TypeError")])
def test_averages_that_are_wrong(yours, said):
    assert said in pieces.check_average(yours), pieces.check_average(yours)


def test_a_step_of_the_average_by_hand():
    slow, model = nn.Linear(1, 1), nn.Linear(1, 1)
    for net, w in ((slow, 2.0), (model, 12.0)):
        nn.init.constant_(net.weight, w)
    update_average(slow.requires_grad_(False), model, 0.9)
    assert slow.weight.item() == pytest.approx(3.0) and model.weight.item() == 12


# ---------------------------------------------------------------- all of them

CHECKS = [pieces.check_matrix, pieces.check_warp, pieces.check_he, pieces.check_average]


@pytest.mark.parametrize("check", CHECKS)
def test_nothing_that_a_student_writes_stops_the_notebook(check):
    exits, unwritten = raises(SystemExit("enough")), raises(NotImplementedError())
    assert check(exits).startswith("wrong: it raises SystemExit") and check(unwritten) == "not yet"
    assert check(lambda *given: ...).startswith("not yet")
    for odd in (5, None, lambda *given: 7, lambda *given: (1, 2), lambda *given: "text"):
        assert check(odd).startswith(("wrong", "not yet"))


CELLS = nbformat.read(PROJECT / "notebooks/2_full_face.ipynb", 4).cells
ASKED = [k for k, cell in enumerate(CELLS) if re.match(r"(pieces|exercises)\.check_\w+\(your_\w+\)$", cell.source)]


def test_the_notebook_asks_for_six_pieces():
    assert [re.search(r"check_(\w+)", CELLS[k].source)[1] for k in ASKED] == ["matrix", "warp", "flip", "nme", "he", "average"]


@pytest.mark.parametrize("at", ASKED, ids=lambda k: CELLS[k].source)
def test_the_answer_that_the_notebook_prints_is_right_in_its_cell(at):
    """With what is imported there; the cell as it stands is not yet right."""
    names = {"__name__": "__main__"}
    for cell in CELLS[:at]:
        if cell.cell_type == "code":
            code = "\n".join(line for line in cell.source.splitlines() if not line.startswith("%"))
            body = [node for node in ast.parse(code).body if isinstance(node, ast.Import | ast.ImportFrom)]
            exec(compile(ast.Module(body, []), "imports", "exec"), names)
    empty, [block] = CELLS[at - 1].source, re.findall(r"```python\n(.*?)```", CELLS[at + 1].source, flags=re.S)
    assert empty.endswith("    ...") and block.startswith(empty.removesuffix("    ..."))
    exec(empty, names)
    assert eval(CELLS[at].source, names).startswith("not yet")
    exec(block, names)
    assert eval(CELLS[at].source, names) == "right"
    assert CELLS[at].metadata.tags == CELLS[at - 1].metadata.tags == ["nbval-ignore-output"]
    assert len(block.splitlines()) <= 15
