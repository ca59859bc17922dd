"""The checks of the pieces that notebooks ask for: right answers in several styles pass, each usual mistake is named."""

import re
from collections import OrderedDict
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Subset
from toy import dataset_of, raises

from fkp_utils import pieces
from fkp_utils.datasets.base import FaceDataset
from fkp_utils.landmarks import NOSE
from fkp_utils.nets.models import NoseNet
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.targets import Coordinates
from fkp_utils.training.loop import Trainer


class Spelled(nn.Module):
    """NoseNet, layer by layer, with what a mistake changes."""

    def __init__(self, last=None, between=True, pool=2, padding=0, filters=12, inputs=288, transposed=False, silent=False):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, filters, 5, padding=padding), nn.Conv2d(filters, 12, 5)
        self.c = nn.Conv2d(12, 12, 5)
        self.d, self.e = nn.Linear(inputs, 100), nn.Linear(100, 2)
        self.last, self.between, self.pool, self.transposed, self.silent = last, between, pool, transposed, silent

    def forward(self, x):
        for layer in (self.a, self.b, self.c):
            x = F.max_pool2d(layer(x), self.pool).relu()                 # pooling and ReLU may change places
        x = self.d(x.transpose(2, 3).flatten(1) if self.transposed else x.flatten(1))
        x = self.e(x.relu() if self.between else x)
        return None if self.silent else self.last(x) if self.last else x


def sequential():
    layers = [nn.Conv2d(1, 12, 5), nn.ReLU(), nn.MaxPool2d(2)]
    for _ in range(2):
        layers += [nn.Conv2d(12, 12, 5), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(288, 100), nn.ReLU(), nn.Linear(100, 2))


class InParameterLists(nn.Module):
    """Weights and biases each in a list of their own, layers as functions."""

    def __init__(self):
        super().__init__()
        shapes = [layer.weight.shape for layer in sequential() if hasattr(layer, "weight")]
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(shape[0])) for shape in shapes)
        self.weights = nn.ParameterList(nn.Parameter(torch.randn(shape)) for shape in shapes)

    def forward(self, x):
        for weight, bias in zip(self.weights[:3], self.biases):
            x = F.max_pool2d(F.conv2d(x, weight, bias).relu(), 2)
        x = torch.addmm(self.biases[3], x.flatten(1), self.weights[3].T).relu()
        return x @ self.weights[4].T + self.biases[4]


class OfLazyLayers(nn.Sequential):
    """Layers that learn their inputs' sizes from the first picture; the picture's type is that of a weight."""

    def __init__(self):
        convs = [part for _ in range(3) for part in (nn.LazyConv2d(12, 5), nn.ReLU(), nn.MaxPool2d(2))]
        super().__init__(*convs, nn.Flatten(), nn.LazyLinear(100), nn.ReLU(), nn.Linear(100, 2))

    def forward(self, x):
        return super().forward(x.type_as(self[-1].weight).to(self[-1].bias))


class Leaky(NoseNet):
    """A LeakyReLU in the places given, else ReLU."""

    def __init__(self, *places, leak=F.leaky_relu):
        super().__init__()
        self.acts = [leak if k in places else F.relu for k in range(4)]

    def forward(self, x):
        for act, conv in zip(self.acts, (self.conv1, self.conv2, self.conv3)):
            x = F.max_pool2d(act(conv(x)), 2)
        return self.fc2(self.acts[3](self.fc1(x.flatten(1))))


class Frozen(NoseNet):
    def __init__(self):
        super().__init__()
        self.requires_grad_(False)


class InNestedLists(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = [[nn.Conv2d(1, 12, 5), nn.ReLU()], {"end": (nn.Linear(288, 100), nn.Linear(100, 2))}]

    def forward(self, x):
        return x


class Overwriting(NoseNet):
    """Whatever stands in the picture, the answer is that for black."""

    def forward(self, x):
        return super().forward(x.zero_())


class Unused(NoseNet):
    def __init__(self):
        super().__init__()
        self.more = nn.Linear(3, 3)


def with_layer(of, layer):
    """A net in whose ReLUs' places another layer stands."""
    return nn.Sequential(*(layer() if isinstance(part, nn.ReLU) else part for part in of))


@pytest.mark.parametrize("yours", [Spelled, sequential, NoseNet, lambda: sequential().train(), InParameterLists, OfLazyLayers,
                                   lambda: nn.Sequential(OrderedDict(sequential().named_children()))])
def test_nets_that_are_right(yours):
    assert pieces.check_nose_net(yours) == "right"


@pytest.mark.parametrize("yours, said", [
    (lambda: None, "not yet"), (lambda: 7, "a int"), (lambda: nn.Sequential(), "no weights"),
    (lambda: Spelled(last=F.relu), "ReLU on the answer"), (lambda: Spelled(between=False), "between fc1 and fc2"),
    (lambda: Spelled(last=torch.sigmoid), "sigmoid"), (lambda: Spelled(last=lambda y: y.softmax(1)), "softmax"),
    (lambda: Spelled(filters=8), r"weight 1 of 10 has the shape \(8, 1, 5, 5\), not \(12, 1, 5, 5\)"),
    (lambda: Spelled(padding=2, inputs=360), r"weight 7 of 10 has the shape \(100, 360\), not \(100, 288\)"),
    (lambda: Spelled(transposed=True), r"flattened as after permute\(0, 1, 3, 2\)"), (lambda: Spelled(silent=True), "return"),
    (lambda: with_layer(sequential(), nn.ReLU6), "nn.ReLU6 stands where nn.ReLU is wanted"),
    (lambda: with_layer(sequential(), nn.LeakyReLU), "nn.LeakyReLU stands"),
    (lambda: with_layer(sequential(), nn.Tanh), "nn.Tanh stands"),
    (lambda: with_layer(sequential(), lambda: nn.Hardtanh(0, 60)), "not for large ones: .* or something cut off"),
    (lambda: nn.Sequential(nn.InstanceNorm2d(1), *sequential()), "nn.InstanceNorm2d is none of its layers"),
    (lambda: with_layer(sequential(), lambda: nn.Sequential(nn.ReLU(), nn.Dropout(0.1))), "not in training"),
    (lambda: nn.ModuleList(sequential()), "ModuleList only holds"),
    (Overwriting, "changes the picture that it is given"),
    (lambda: nn.Sequential(nn.ReLU(inplace=True), *sequential()), "changes the picture"),
    (lambda: Spelled(last=torch.squeeze), r"for one picture it answers \(2,\), not \(1, 2\)"),
    (Frozen, "is something detached, frozen"), (InNestedLists, "in `parts`: make it an nn.ModuleList"),
    (lambda: Unused(), "of its 12 weights and biases, 2 are never used"),
    (lambda: sequential()[:-1], "8 weights and biases, not 10"), (lambda: Spelled(pool=3), "raises"),
    (lambda: nn.Sequential(sequential(), nn.Unflatten(1, (1, 2))), r"\(3, 1, 2\), not \(3, 2\)")])
def test_nets_that_are_wrong(yours, said):
    assert re.search(said, pieces.check_nose_net(yours)), pieces.check_nose_net(yours)


@pytest.mark.parametrize("places", [(0,), (1,), (2,), (3,), (0, 1, 2)])
def test_another_activation_in_some_places_is_wrong_and_nothing_untrue_is_said_of_it(places):
    for seed in range(12):
        said = pieces.check_nose_net(lambda: Leaky(*places), seed)
        assert said.startswith("wrong") and re.search("the answers do not|another activation than|not quite a ReLU", said), said
    for seed in range(12):
        said = pieces.check_nose_net(lambda: Leaky(*places, leak=F.relu6), seed)
        assert said.startswith("wrong"), (seed, said)


@pytest.mark.parametrize("last", [F.relu, torch.abs, lambda y: y.clamp(0, 1)])
def test_what_is_done_to_the_answer_is_seen_with_every_seed(last):
    for seed in range(12):
        assert pieces.check_nose_net(lambda: Spelled(last=last), seed).startswith("wrong"), seed


def test_layers_in_a_dictionary_are_named():
    class InADictionary(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = {"all": sequential()}

        def forward(self, x):
            return self.parts["all"](x)
    assert "in `parts`: make it an nn.ModuleList or nn.ModuleDict" in pieces.check_nose_net(InADictionary)


def faces_of(picture=lambda p: p / 255 - 0.5, target=lambda x, y, h, w: ((x + 0.5) / w, (y + 0.5) / h), length=len,
             dtype=torch.float32):
    def item(images, landmarks, k):
        x, y = landmarks[k, 0]
        h, w = images.shape[1:]
        return (torch.tensor(picture(images[k].astype(np.float32)), dtype=dtype)[None],
                torch.tensor(target(x, y, h, w), dtype=torch.float32))
    return dataset_of(item, length)


@pytest.mark.parametrize("yours, said", [
    (faces_of(), "right"), (lambda images, landmarks: None, "not yet"), (faces_of(length=lambda x: 3), "its length is 3"),
    (faces_of(lambda p: p / 255), "0 to 1"), (faces_of(lambda p: p), "0 to 255"),
    (faces_of(lambda p: p / 127.5 - 1), "-1 to 1"),
    (faces_of(lambda p: p - 0.5), "first divide"), (faces_of(lambda p: p.T / 255 - 0.5), r"\(1, 9, 6\), not \(1, 6, 9\)"),
    (faces_of(lambda p: p[::-1].copy() / 255 - 0.5), "rounded, or scaled"), (faces_of(dtype=torch.float64), "float32"),
    (faces_of(target=lambda x, y, h, w: ((y + 0.5) / h, (x + 0.5) / w)), "exchanged"),
    (faces_of(target=lambda x, y, h, w: ((x + 0.5) / h, (y + 0.5) / w)), "x goes with the width"),
    (faces_of(target=lambda x, y, h, w: (x / w, y / h)), "half a pixel off"),
    (faces_of(target=lambda x, y, h, w: (x, y)), "in pixels"),
    (faces_of(target=lambda x, y, h, w: (x / (w - 1), y / (h - 1))), "divide by width and height"),
    (faces_of(target=lambda x, y, h, w: (x / w,)), r"\(1,\), not \(2,\)"),
    (faces_of(target=lambda x, y, h, w: (0.0, 0.0)), r"not \(0.27"),
    (dataset_of(lambda images, landmarks, k: faces_of()(images, landmarks)[2]), "face 2 is right, face 0 is not")])
def test_datasets(yours, said):
    assert re.search(said, pieces.check_dataset(yours)), pieces.check_dataset(yours)


def by_hand(model, optimizer, images, targets):
    """The same in another style: gradients cleared first, the mean written out, a number returned."""
    optimizer.zero_grad(set_to_none=False)
    loss = ((model(images) - targets) ** 2).sum() / targets.numel()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def cleared_after(model, optimizer, images, targets):
    loss = nn.MSELoss()(model(images), targets)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss


def cleared_too_soon(model, optimizer, images, targets):
    loss = F.mse_loss(model(images), targets)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss


def never_cleared(model, optimizer, images, targets):
    error = model(images) - targets
    loss = (error * error).mean()
    loss.backward()
    optimizer.step()
    return loss.item()


def never_stepped(model, optimizer, images, targets):
    model.zero_grad()
    loss = torch.square(targets - model(images)).mean()
    loss.backward()
    return loss.item()


def stepped_too_soon(model, optimizer, images, targets):
    optimizer.step()                                      # moves by the gradients of the step before, at first by none
    for weight in model.parameters():
        weight.grad = None
    loss = torch.square(targets - model(images)).mean()
    loss.backward()
    return loss.item()


def twice(model, optimizer, images, targets):
    """The right loss, and double its gradient, which Adam would not feel."""
    loss = F.mse_loss(model(images), targets)
    optimizer.zero_grad()
    (2 * loss).backward()
    optimizer.step()
    return loss


def with_loss(measure):
    """The right order, and a loss of the differences (b, 2)."""
    def step(model, optimizer, images, targets):
        loss = measure(model(images) - targets)
        model.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()
    return step


@pytest.mark.parametrize("yours", [by_hand, cleared_after, with_loss(lambda error: (error ** 2).sum() / error.numel())])
def test_steps_that_are_right(yours):
    assert pieces.check_step(yours) == "right"


@pytest.mark.parametrize("yours, said", [
    (lambda *given: None, "not yet"), (never_cleared, "still there"), (cleared_too_soon, "do not move"),
    (never_stepped, "do not move"), (stepped_too_soon, "before its own"),
    (with_loss(lambda error: (error ** 2).sum()), "the sum of the squares"),
    (with_loss(lambda error: error.abs().mean()), "absolute"), (with_loss(lambda error: (error ** 2).mean() ** 0.5), "root"),
    (with_loss(lambda error: error.pow(4).mean()), "first loss"),
    (with_loss(lambda error: (error[:, 0] ** 2 + error[:, 1] ** 2).mean()), "half of that"),
    (lambda m, o, x, t: by_hand(m, torch.optim.AdamW(m.parameters(), 0.1), x, t), "weights after"),
    (lambda m, o, x, t: twice(m, o, x, t), "weights after"),
    (lambda m: 1, "raises TypeError")])
def test_steps_that_are_wrong(yours, said):
    assert said in pieces.check_step(yours)


def test_the_right_step_is_the_packages():
    """`Trainer.step` and one by hand, from the same weights on the same faces: the same losses, the same weights."""
    class Noses(FaceDataset):
        convention = NOSE

        def __init__(self):
            rng = np.random.default_rng(0)
            self.images = rng.integers(0, 256, (8, 60, 80), np.uint8)
            self.landmarks = rng.uniform(9, 50, (8, 1, 2)).astype(np.float32)
            self.names = list("abcdefgh")
    faces, losses, nets = Noses(), [], []
    recipe = Recipe("two steps", "NoseNet", (60, 80), epochs=1, batch=8, lr=1e-3)
    images, landmarks = faces.batch(range(8))
    images = images.float() / 255 - 0.5
    targets = Coordinates((60, 80)).encode(landmarks)
    for way in ("package", "exercise"):
        torch.manual_seed(0)
        net = NoseNet()
        trainer = Trainer(net, faces, faces, recipe, torch.device("cpu"))
        optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
        losses.append([float(trainer.step(images, landmarks) if way == "package" else
                             by_hand(net, optimizer, images, targets)) for _ in range(2)])
        nets.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    torch.testing.assert_close(nets[0], nets[1], atol=1e-6, rtol=1e-4)


def epoch_of(shuffle=True, drop=False, training=True, mean="faces", batch=None, step=by_hand, early=False):
    def epoch(model, optimizer, faces, size):
        if training:
            model.train()
        total, count, losses = 0.0, 0, []
        for images, targets in DataLoader(faces, batch or size, shuffle=shuffle, drop_last=drop):
            loss = float(step(model, optimizer, images, targets))
            if early:
                return loss
            total, count = total + loss * len(images), count + len(images)
            losses.append(loss)
        return {"faces": total / count, "batches": sum(losses) / len(losses), "last": losses[-1], "sum": sum(losses),
                "none": None}[mean]
    return epoch


@pytest.mark.parametrize("yours, said", [
    (epoch_of(), "right"), (lambda *given: None, "not yet"), (epoch_of(shuffle=False), "shuffle"),
    (epoch_of(drop=True), "left out"), (epoch_of(training=False), "training mode"), (epoch_of(mean="batches"), "small batch"),
    (epoch_of(mean="last"), "last batch"), (epoch_of(mean="sum"), "sum of the batches"),
    (epoch_of(step=never_cleared), "gradients of the batches before"), (epoch_of(step=twice), "not that of its batch"),
    (epoch_of(step=never_stepped), "no step(s) of the optimizer for 9 batches"), (epoch_of(early=True), "after the loop"),
    (lambda *given: [epoch_of()(*given)], "returns a list"),
    (epoch_of(mean="none"), "returns nothing"), (epoch_of(batch=5), "[5, 5] faces")])
def test_epochs(yours, said):
    assert said in pieces.check_epoch(yours)


def validation_of(evaluation=True, gradients=False, mean="faces", changed=False):
    def validation(model, faces, batch):
        model.train(not evaluation)
        with torch.set_grad_enabled(gradients):
            losses = [(float(F.mse_loss(model(x), t)), len(x)) for x, t in DataLoader(faces, batch)]
            if changed:
                model.weight.data += 1
        values, counts = np.array(losses).T
        return values.mean() if mean == "batches" else (values * counts).sum() / counts.sum()
    return validation


@pytest.mark.parametrize("yours, said", [
    (validation_of(), "right"), (lambda *given: ..., "not yet"), (validation_of(evaluation=False), "training mode"),
    (validation_of(gradients=True), "no_grad"), (validation_of(mean="batches"), "small batch"),
    (validation_of(changed=True), "changed"),
    (lambda model, faces, batch: validation_of()(model, Subset(faces, range(5)), batch), "5 faces")])
def test_validations(yours, said):
    assert said in pieces.check_validation(yours)


@pytest.mark.parametrize("check", [pieces.check_nose_net, pieces.check_dataset, pieces.check_step, pieces.check_epoch,
                                   pieces.check_validation])
def test_nothing_that_a_student_writes_stops_the_notebook(check):
    exits, unwritten = raises(SystemExit("enough")), raises(NotImplementedError())
    assert check(exits).startswith("wrong: it raises SystemExit") and check(unwritten) == "not yet"
    assert check(lambda *given: ...).startswith(("not yet", "wrong"))


def test_each_folded_answer_is_right_in_its_cell_and_the_empty_cell_is_not_yet():
    """With what is imported and answered before it; an answer stands below its check, the check below its exercise."""
    path = Path(__file__).parents[1] / "notebooks" / "1_nose_tip.ipynb"
    cells, names, said = nbformat.read(path, 4).cells, {}, []
    for cell in cells:
        if cell.cell_type == "code":
            known = [line for line in cell.source.splitlines() if line.startswith(("import ", "from ", "SEED = ", "FAULTS = "))]
            exec("\n".join(known) if "fkp_utils" in cell.source or "SEED" in cell.source else "", names)
    for exercise, check, answer in zip(cells, cells[1:], cells[2:]):
        if answer.source.startswith("<details><summary>Answer</summary>"):
            exec(exercise.source, names)
            assert eval(check.source, names).startswith(("not yet", "wrong")), exercise.source
            [block] = re.findall(r"```python\n(.*?)```", answer.source, flags=re.S)
            assert block.splitlines()[0] == exercise.source.splitlines()[0]
            exec(block, names)
            said.append(eval(check.source, names))
    assert said == ["right"] * len(said) and len(said) == 8


@pytest.mark.parametrize("losses, said", [
    ([9.0, 1.0, 2.0, 3.0], "right: in the last epochs your validation loss is 2, the course's 2, 1.00 times"),
    ([9.0, 3.0, 3.0, 3.0], "wrong: in the last epochs your validation loss is 3, the course's 2, 1.50 times; within 1.5 "
                           "is wanted"),
    ([2.0, 2.0, 2.0], "wrong: 3 epochs, not 4")])
def test_two_trainings_are_compared_by_the_mean_of_their_last_three_epochs(losses, said):
    history = pd.DataFrame({"val_loss": [7.0, 3.0, 2.0, 1.0]})
    assert pieces.matched([(0.0, loss) for loss in losses], history) == said


def test_nothing_is_compared_before_the_pieces_are_right(capsys):
    assert pieces.when_right([(pieces.check_step, lambda *given: None)], lambda: [(0.0, 1.0)]) is None
    assert "First make these right:" in capsys.readouterr().out
    assert pieces.matched(None, pd.DataFrame({"val_loss": [1.0]})).startswith("not yet")
