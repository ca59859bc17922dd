"""Answers as beginners write them, beside those of the checks' own tests: mistakes are told, odd styles of right ones pass."""

import math
import re
from functools import partial, reduce

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, RandomSampler
from toy import dataset_of

from fkp_utils import exercises, pieces

# ---------------------------------------------------------------- Part 1: a dataset, a net, a step, an epoch, a validation


def grey(image):
    return torch.tensor(image / 255 - 0.5).float()[None]


def place(point, shape):
    return torch.tensor([(point[0] + 0.5) / shape[1], (point[1] + 0.5) / shape[0]]).float()


def in_place(images, landmarks, k, made=torch.tensor):
    point = landmarks[k, 0]
    point += 0.5
    point /= images.shape[:0:-1]
    return grey(images[k]), made(point)


class Nose(nn.Module):
    """NoseNet as a beginner might spell it."""

    def __init__(self, bias=True):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(inputs, 12, 5, bias=bias) for inputs in (1, 12, 12))
        self.fc1, self.fc2 = nn.Linear(288, 100), nn.Linear(100, 2)

    def features(self, x):
        for conv in self.convs:
            x = F.max_pool2d(F.relu(conv(x)), 2)
        return x

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(self.features(x).flatten(1))))


class Listed(Nose):
    def __init__(self):
        super().__init__()
        convs = list(self.convs)
        del self.convs
        self.convs = convs


class MadeInForward(nn.Module):
    def forward(self, x):
        return Nose()(x)


class Cut(Nose):
    def features(self, x):
        return super().features(x).detach()


class WithoutGradients(Nose):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


class LastReluForgotten(Nose):
    def features(self, x):
        for k, conv in enumerate(self.convs):
            x = F.max_pool2d(F.relu(conv(x)) if k < 2 else conv(x), 2)
        return x


class LayersFromTheEnd(Nose):
    """Right: written down from the last layer to the first."""

    def __init__(self):
        nn.Module.__init__(self)
        self.fc2, self.fc1 = nn.Linear(100, 2), nn.Linear(288, 100)
        self.convs = nn.ModuleList(nn.Conv2d(inputs, 12, 5) for inputs in (12, 12, 1))[::-1]


class ByEinsum(nn.Module):
    """Right: plain parameters, in double precision, unfolded and multiplied."""

    def __init__(self):
        super().__init__()
        shapes = [(12, 1, 5, 5), (12,), (12, 12, 5, 5), (12,), (12, 12, 5, 5), (12,), (100, 288), (100,), (2, 100), (2,)]
        self.numbers = nn.ParameterList(torch.zeros(shape, dtype=torch.float64) for shape in shapes)

    def forward(self, x):
        w = list(self.numbers)
        x = x.double()
        for k in (0, 2, 4):
            patches = x.unfold(2, 5, 1).unfold(3, 5, 1)
            x = torch.einsum("bkyxij,ckij->bcyx", patches, w[k]) + w[k + 1][:, None, None]
            x = x.clamp(min=0).unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5))
        return (x.flatten(1) @ w[6].T + w[7]).clamp(min=0) @ w[8].T + w[9]


def step_of(*lines, loss=F.mse_loss, returned=lambda loss, model, images, targets: loss.detach()):
    """A step of lines such as "optimizer.step()", run after the loss is there."""
    def step(model, optimizer, images, targets):
        names = {"model": model, "optimizer": optimizer, "loss": loss(model(images), targets)}
        for line in lines:
            exec(line, names)
        return returned(names["loss"], model, images, targets)
    return step


RIGHT_LINES = ("optimizer.zero_grad()", "loss.backward()", "optimizer.step()")


def by_autograd(model, optimizer, images, targets):
    """Right: gradients by `torch.autograd.grad`, in double precision."""
    loss = (model(images).double() - targets.double()).pow(2).mean()
    for weight, slope in zip(model.parameters(), torch.autograd.grad(loss, list(model.parameters()))):
        weight.grad = slope
    optimizer.step()
    return loss.item()


def by_closure(model, optimizer, images, targets):
    """Right: PyTorch calls the closure."""
    def closure():
        optimizer.zero_grad()
        loss = torch.einsum("bk,bk->", error := model(images) - targets, error) / targets.numel()
        loss.backward()
        return loss
    return optimizer.step(closure)


def epoch_of(batches=None, mean=lambda losses, counts: np.dot(losses, counts) / sum(counts), step=None, seed=None):
    def epoch(model, optimizer, faces, batch):
        model.train()
        if seed is not None:
            torch.manual_seed(seed)
        losses, counts = [], []
        for images, targets in (batches or (lambda faces, batch: DataLoader(faces, batch, shuffle=True)))(faces, batch):
            losses.append((step or learned)(model, optimizer, images, targets))
            counts.append(len(images))
        return mean(losses, counts)
    return epoch


def learned(model, optimizer, images, targets):
    optimizer.zero_grad()
    loss = F.mse_loss(model(images), targets)
    loss.backward()
    optimizer.step()
    return loss.item()


def only_looked(model, optimizer, images, targets):
    return F.mse_loss(model(images), targets).item()


def kept_graphs(model, optimizer, images, targets):
    optimizer.zero_grad()
    loss = F.mse_loss(model(images), targets)
    loss.backward()
    optimizer.step()
    return loss


def drawn(faces, batch):
    return DataLoader(faces, batch, sampler=RandomSampler(faces, replacement=True))


def batches_shuffled(faces, batch):
    """The first epoch's batches come as they stand, later ones in another order; who is with whom stays."""
    batches_shuffled.calls = getattr(batches_shuffled, "calls", 0) + 1
    groups = [torch.arange(start, min(start + batch, len(faces))) for start in range(0, len(faces), batch)]
    turn = (batches_shuffled.calls - 1) % 2
    for rows in groups[turn:-1] + groups[:turn] + groups[-1:]:
        yield tuple(torch.stack(part) for part in zip(*(faces[int(k)] for k in rows)))


def validation_of(mean, quiet=torch.no_grad):
    def validation(model, faces, batch):
        model.eval()
        losses, counts = [], []
        with quiet():
            for images, targets in DataLoader(faces, batch):
                losses.append(float(F.mse_loss(model(images), targets)))
                counts.append(len(images))
        return mean(losses, counts)
    return validation


PART_1 = [
    (pieces.check_dataset, dataset_of(in_place), "changes what it was given"),
    (pieces.check_dataset, dataset_of(partial(in_place, made=torch.from_numpy)), "changes what it was given"),
    (pieces.check_dataset, dataset_of(lambda i, p, k: (grey(i[k]), place(p[0, 0], (6, 9)))), "the target is face 0's"),
    (pieces.check_dataset, dataset_of(lambda i, p, k: (grey(i[k - 1]), place(p[k, 0], (6, 9)))), "the picture is face 1's"),
    (pieces.check_dataset, dataset_of(lambda i, p, k: (grey(i[k]), place(p[k, 0].astype(int), (6, 9)))), "whole numbers"),
    (pieces.check_dataset, dataset_of(lambda i, p, k: (grey(i[k] // 255 * 255), place(p[k, 0], (6, 9)))), "whole numbers"),
    (pieces.check_dataset, dataset_of(lambda i, p, k: (torch.tensor((i[k] - 128) / 255).float()[None], place(p[k, 0], (6, 9)))),
     "8 bits"),
    (pieces.check_dataset, dataset_of(lambda i, p, k: (-grey(i[k]), place(p[k, 0], (6, 9)))), "inverted"),
    (pieces.check_dataset, dataset_of(lambda i, p, k: (grey(i[k])[0, :, :, None], place(p[k, 0], (6, 9)))),
     r"\(6, 9, 1\), not"),
    (pieces.check_dataset, dataset_of(lambda i, p, k: (grey(i[k]), place(p[k, 0], (6, 9))[None])), r"\(1, 2\), not \(2,\)"),
    (pieces.check_nose_net, Listed, "nn.ModuleList"), (pieces.check_nose_net, MadeInForward, "`__init__`"),
    (pieces.check_nose_net, Cut, "gradient"), (pieces.check_nose_net, WithoutGradients, "gradient"),
    (pieces.check_nose_net, LastReluForgotten, "the answers do not"),
    (pieces.check_nose_net, partial(Nose, bias=False), r"weight 2 of 10 has the shape \(12, 12, 5, 5\), not \(12,\)"),
    (pieces.check_nose_net, lambda: Nose, "it is a type, not a torch.nn.Module"),
    (pieces.check_step, step_of("optimizer.zero_grad", *RIGHT_LINES[1:]), "still there"),
    (pieces.check_step, step_of(*RIGHT_LINES, "optimizer.step()"), "the first loss is right"),
    (pieces.check_step, step_of(*RIGHT_LINES, returned=lambda loss, model, x, t: F.mse_loss(model(x), t).item()),
     "times that"),
    (pieces.check_step, step_of(*RIGHT_LINES, returned=lambda loss, model, x, t: (loss, model(x))), "one number"),
    (pieces.check_step, step_of(*RIGHT_LINES, loss=lambda y, t: F.mse_loss(y[:, None], t)), "broadcast"),
    (pieces.check_step, step_of(*RIGHT_LINES, loss=lambda y, t: F.mse_loss(y, t) * len(t)), "5 times that"),
    (pieces.check_step, step_of(*RIGHT_LINES, loss=lambda y, t: F.mse_loss(y, t) / 2), "0.5 times that"),
    (pieces.check_step, step_of(*RIGHT_LINES, loss=lambda y, t: F.mse_loss(y, t).detach()), "raises RuntimeError"),
    (pieces.check_epoch, epoch_of(drawn), "with replacement"),
    (pieces.check_epoch, epoch_of(seed=0), "same order"), (pieces.check_epoch, epoch_of(batches_shuffled), "stay together"),
    (pieces.check_epoch, epoch_of(step=only_looked), "no step"),
    (pieces.check_epoch, epoch_of(step=kept_graphs, mean=lambda losses, counts: sum(
        loss * n for loss, n in zip(losses, counts)) / sum(counts)), "graph"),
    (pieces.check_epoch, epoch_of(mean=lambda losses, counts: sum(losses) / sum(counts)), "number of faces"),
    (pieces.check_epoch, epoch_of(mean=lambda losses, counts: np.dot(losses, counts) / len(counts)), "number of batches"),
    (pieces.check_validation, validation_of(lambda losses, counts: losses[-1]), "last batch"),
    (pieces.check_validation, validation_of(lambda losses, counts: sum(losses)), "sum of the batches"),
    (pieces.check_validation, validation_of(lambda losses, counts: sum(losses) / sum(counts)), "number of faces"),
    (pieces.check_validation, validation_of(lambda losses, counts: np.dot(losses, counts) / sum(counts), torch.enable_grad),
     "no_grad")]


# ---------------------------------------------------------------- Part 2: the warp, initial weights, an average

def warp_by(change=lambda at, given: at, centre=lambda w, h: (w - 1, h - 1), mode="bilinear", shift=lambda shift: shift,
            seen=True):
    def warp(images, landmarks, matrix, moved):
        h, w = images.shape[-2:]
        c, moved = torch.tensor(centre(w, h)) / 2, shift(moved)
        grid = torch.stack(torch.meshgrid(torch.arange(w), torch.arange(h), indexing="xy"), -1).reshape(-1, 2)
        source = (grid - c - moved[:, None]) @ torch.linalg.inv(matrix).mT + c
        source = ((2 * source + 1) / torch.tensor([w, h]) - 1).reshape(len(images), h, w, 2)
        answer = F.grid_sample(images, source, mode=mode, padding_mode="border", align_corners=False) if seen else images
        return answer, (landmarks - c) @ matrix.mT + c + moved[:, None]
    return warp


def he_by(std, kinds=(nn.Conv2d, nn.Linear), last=True):
    def he(model):
        layers = [layer for layer in model.modules() if isinstance(layer, kinds)]
        for layer in layers:
            nn.init.normal_(layer.weight, std=std(layer.weight[0].numel()))
            nn.init.zeros_(layer.bias)
        if last:
            nn.init.normal_(layers[-1].weight, std=0.01)
    return he


def by_apply(model):
    """Right: `Module.apply`, in double precision, and a truncation that hardly cuts."""
    def draw(layer):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            n = math.prod(layer.weight.shape[1:])
            std = 0.01 if getattr(layer, "out_features", 0) == 100 else math.sqrt(2 / n)
            new = std * torch.randn(layer.weight.shape, dtype=torch.float64)
            layer.weight, layer.bias = nn.Parameter(new.float()), nn.Parameter(torch.zeros_like(layer.bias))
    model.apply(draw)


def into_a_dictionary(average, model, decay):
    slow, live = average.state_dict(), model.state_dict()
    for name in slow:
        slow[name] = decay * slow[name] + (1 - decay) * live[name]


def by_numbers(average, model, decay):
    """Right: through NumPy, in double precision."""
    live = model.state_dict()
    for name, slow in average.state_dict().items():
        if "num" not in name:
            mixed = np.average([slow.numpy().astype(float), live[name].numpy().astype(float)], 0, [decay, 1 - decay])
            slow[...] = torch.from_numpy(mixed)


def turned_by(matrix):
    def build(degrees, factor):
        a = torch.deg2rad(degrees)
        return matrix(a.cos(), a.sin(), factor).reshape(-1, 2, 2)
    return build


PART_2 = [
    (pieces.check_matrix, turned_by(lambda c, s, f: torch.stack([f * c, -s, s, f * c], -1)), "in case 1 at"),
    (pieces.check_matrix, turned_by(lambda c, s, f: torch.stack([c, -s, s, c], -1) / f[:, None]), "right in 0|in case 1 at"),
    (pieces.check_matrix, turned_by(lambda c, s, f: f[:, None] * torch.stack([s, -c, c, s], -1)), "in case 1 at"),
    (pieces.check_matrix, lambda a, f: [[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]], "raises"),
    (pieces.check_warp, warp_by(mode="nearest"), "nearest"), (pieces.check_warp, warp_by(seen=False), "does not move"),
    (pieces.check_warp, warp_by(centre=lambda w, h: (h - 1, w - 1)), "height"),
    (pieces.check_warp, warp_by(shift=lambda shift: shift.flip(-1)), "shift's x and y"),
    (pieces.check_he, he_by(lambda n: math.sqrt(1 / (3 * n))), "PyTorch's own"),
    (pieces.check_he, he_by(lambda n: math.sqrt(2) / n), "for n = 100 it is 0.014., not 0.1414, in Conv2d"),
    (pieces.check_he, he_by(lambda n: math.sqrt(2 / n), kinds=(nn.Conv2d,), last=False), "Linear"),
    (pieces.check_he, he_by(lambda n: math.sqrt(2 / n), kinds=(nn.Linear,)), "Conv2d"),
    (pieces.check_average, into_a_dictionary, "not yet: the average stays"),
    (exercises.check_flip, lambda p, w, order: np.stack([p[list(order), 0], w - 1 - p[list(order), 1]], 1), "y was mirrored"),
    (exercises.check_nme, lambda p, t, c: 100 * np.linalg.norm(p - t, axis=-1).mean(1) / np.linalg.norm(
        t[:, c[0]] - t[:, c[1]], axis=-1).mean(), "of all faces"),
    (exercises.check_nme, lambda p, t, c: 100 * np.linalg.norm(p - t, axis=-1).sum(1) / np.linalg.norm(
        t[:, c[0]] - t[:, c[1]], axis=-1), "the sum over the landmarks"),
    (exercises.check_nme, lambda p, t, c: 100 * np.linalg.norm(p - t, axis=1).mean(1) / np.linalg.norm(
        t[:, c[0]] - t[:, c[1]], axis=-1), "in case 1 at"),
    (exercises.check_mean_baseline, lambda train, count: np.repeat((train.sum(0) // len(train))[None], count, 0),
     "whole numbers")]

# ---------------------------------------------------------------- Part 3: batch normalisation, a block, the crop, the schedule


class Norm(nn.Module):
    """Batch normalisation with functions for what a beginner may get wrong."""

    def __init__(self, channels, batch=None, join=None, keep=None):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.batch = batch or (lambda x: (x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)))
        self.join, self.keep = join or (lambda x, mean, var: (x - mean) / (var + 1e-5).sqrt()), keep or (lambda x: x.detach())

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            (mean, var), n = self.batch(x), x.numel() / x.shape[1]
            with torch.no_grad():
                self.running_mean.mul_(0.9).add_(0.1 * self.keep(mean))
                self.running_var.mul_(0.9).add_(0.1 * self.keep(var) * n / (n - 1))
        x = self.join(x, mean[:, None, None], var[:, None, None])
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class ByEinsumNorm(nn.Module):
    """Right: moments by einsum, in double precision, in a single pass over a table of channels."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("running_mean", torch.zeros(channels))

    def forward(self, x):
        table, n = x.double().transpose(0, 1).flatten(1), x.numel() // x.shape[1]
        if self.training:
            mean = torch.einsum("cn->c", table) / n
            var = torch.einsum("cn,cn->c", table - mean[:, None], table - mean[:, None]) / n
            self.running_mean = 0.9 * self.running_mean + 0.1 * mean.detach().float()
            self.running_var = 0.9 * self.running_var + 0.1 * (var * n / (n - 1)).detach().float()
        else:
            mean, var = self.running_mean.double(), self.running_var.double()
        table = (table - mean[:, None]) * (self.weight / torch.sqrt(var + 1e-5))[:, None] + self.bias[:, None]
        return table.reshape(x.shape[1], x.shape[0], *x.shape[2:]).transpose(0, 1).to(x.dtype)


def residual(order="cncns", same=lambda x: x, share=False, add=lambda y, side: F.relu(y + side), side_norm=True, padding=1):
    """A block whose parts are made in some order: c, n the two convolutions and norms, s the side's convolution, m its norm."""
    class Block(nn.Module):
        def __init__(self, channels, features, stride=1, norm=nn.BatchNorm2d):
            super().__init__()
            self.change, self.parts = stride != 1 or channels != features, nn.ModuleDict()
            makes = {"a": lambda: nn.Conv2d(channels, features, 3, stride, padding, bias=False), "p": lambda: norm(features),
                     "b": lambda: nn.Conv2d(features, features, 3, 1, padding, bias=False), "q": lambda: norm(features),
                     "s": lambda: nn.Conv2d(channels, features, 1, stride, bias=False), "m": lambda: norm(features)}
            for name in order:
                if (self.change or name not in "sm") and not (name == "m" and not side_norm):
                    self.parts[name] = makes[name]()

        def forward(self, x):
            part = self.parts
            y = F.relu(part["p"](part["a"](x)))
            y = part["p" if share else "q"](part["b"](y))
            side = same(x)
            if self.change:
                side = part["s"](x)
                side = part["m"](side) if side_norm else side
            return add(y, side)
    return Block


def as_square(x, y, side):
    return x - side / 2, y - side / 2, side


def square_by(side=max, down=lambda b: b[3], corner=as_square):
    def square(box, margin, shift):
        x, y = box[0] + box[2] / 2 - 0.5, box[1] + box[3] / 2 - 0.5 + shift * down(box)
        return corner(x, y, margin * side(box[2], box[3]))
    return square


def rate_by(rise=lambda k, w: k / w, done=lambda k, n, w: (k - w) / (n - w),
            fall=lambda done: (1 + math.cos(math.pi * done)) / 2):
    return lambda step, steps, peak, warmup: peak * (
        rise(step, warmup) if step < warmup else fall(done(step, steps, warmup)))


PART_3 = [
    (pieces.check_batch_norm, partial(Norm, batch=lambda x: (x.mean((0, 2, 3)), x.var((0, 2, 3))),
                                      join=lambda x, m, v: (x - m) / (v.sqrt() + 1e-5)), "unbiased"),
    (pieces.check_batch_norm, partial(Norm, join=lambda x, m, v: x / (v + 1e-5).sqrt()), "mean is not taken off"),
    (pieces.check_batch_norm, partial(Norm, join=lambda x, m, v: x - m), "not divided"),
    (pieces.check_batch_norm, partial(Norm, batch=lambda x: (x.mean(0).mean(), x.var())), "raises"),
    (pieces.check_batch_norm, lambda channels: nn.LayerNorm(channels), "running_mean"),
    (pieces.check_residual_block, residual("apbs", share=True), "weights"),
    (pieces.check_residual_block, residual("apbqs", side_norm=False), "7 weights and biases, not 9"),
    (pieces.check_residual_block, residual("apbqsm", padding=0), "padding"),
    (pieces.check_residual_block, residual("apbqsm", add=lambda y, side: F.relu(y + side.detach())), "gradient"),
    (pieces.check_residual_block, residual("apbqsm", add=lambda y, side: F.relu(y * side)), "the answers do not"),
    (pieces.check_square, square_by(min), "shorter side"),
    (pieces.check_square, square_by(down=lambda b: b[2]), "of the height"),
    (pieces.check_square, square_by(down=lambda b: max(b[2:])), "in case"),
    (pieces.check_square, square_by(corner=lambda x, y, side: (x, y, side)), "the centre"),
    (pieces.check_square, square_by(corner=lambda x, y, side: (x - side // 2, y - side // 2, side)), r"in case 1 at \(0,\)"),
    (pieces.check_square, lambda *given: np.round(square_by()(*given)), "rounded to whole pixels"),
    (pieces.check_square, square_by(corner=lambda x, y, side: (y - side / 2, x - side / 2, side)), "exchanged"),
    (pieces.check_to_crop, lambda p, q, s: (p - q[:2]) * (s // q[2]) - 0.5, "right in 0|in case 1 at"),
    (pieces.check_to_crop, lambda p, q, s: (p[:, ::-1] - q[:2]) * s / q[2] - 0.5, "exchanged"),
    (pieces.check_to_crop, lambda p, q, s: (p - q[:2]) / q[2], "shares"),
    (exercises.check_to_image, lambda p, q, s: (p + 0.5) * q[2] / s + [q[1], q[0]], "exchanged"),
    (exercises.check_to_image, lambda p, q, s: (p + 0.5) * (q[2] // s) + q[:2], "in case"),
    (exercises.check_schedule, rate_by(rise=lambda k, w: k // w), "//"),
    (exercises.check_schedule, rate_by(rise=lambda k, w: (k + 1) / w), "in case 1 it says 0.001, not 0"),
    (exercises.check_schedule, rate_by(done=lambda k, n, w: (k - w) / n), "does not end at zero"),
    (exercises.check_schedule, rate_by(fall=lambda done: 1 + math.cos(math.pi * done)), "right in . of 11 cases"),
    (exercises.check_schedule, rate_by(fall=lambda done: (1 - math.cos(math.pi * done)) / 2), "right in . of 11 cases")]


# ---------------------------------------------------------------- Part 4: heatmaps, their loss, a U-Net

def double(channels, features, norm=nn.BatchNorm2d, kernel=3):
    return nn.Sequential(*(layer for inputs in (channels, features) for layer in (
        nn.Conv2d(inputs, features, kernel, padding=kernel // 2, bias=False), norm(features), nn.ReLU())))


def level_by(skip=lambda skip: skip, up=lambda up: up, double=double):
    class Level(nn.Module):
        def __init__(self, channels, features, below):
            super().__init__()
            self.encoder, self.below = double(channels, features), below
            self.up, self.decoder = nn.ConvTranspose2d(2 * features, features, 2, 2), double(2 * features, features)

        def forward(self, x):
            x = self.encoder(x)
            return self.decoder(torch.cat([up(self.up(self.below(F.max_pool2d(x, 2)))), skip(x)], 1))
    return Level


def entropy_by(log=lambda z: z.flatten(2).log_softmax(-1).view_as(z), mean=lambda loss: loss.sum((2, 3)).mean()):
    return lambda z, m: -mean(m / m.sum((2, 3), keepdim=True) * log(z))


def bells_by(points, size, sigma, power=2, cut=lambda points: points, height=1.0):
    y, x = np.mgrid[:size[0], :size[1]]
    points = cut(points)
    return height * np.exp(-(np.abs(x - points[:, 0, None, None])**power + np.abs(y - points[:, 1, None, None])**power)
                           / (2 * sigma**2))


def soft_by(maps, axes=(1, 2), unit=lambda x, length: x):
    weights = np.exp(maps - maps.max(axes, keepdims=True))
    weights = weights / weights.sum(axes, keepdims=True)
    y, x = np.mgrid[:maps.shape[1], :maps.shape[2]]
    return np.stack([(weights * unit(x, maps.shape[2])).sum((1, 2)), (weights * unit(y, maps.shape[1])).sum((1, 2))], -1)


PART_4 = [
    (exercises.check_gaussians, partial(bells_by, cut=np.floor), "whole numbers, in `points`"),
    (exercises.check_gaussians, partial(bells_by, power=1), "in case 1 at"),
    (exercises.check_gaussians, lambda p, s, g: 1 / bells_by(p, s, g), "minus"),
    (exercises.check_gaussians, lambda p, s, g: bells_by(p, s, g) / (2 * math.pi * g**2), "2 pi"),
    (exercises.check_gaussians, lambda p, s, g: bells_by(p + 0.5, s, g), "half a pixel"),
    (exercises.check_gaussians, lambda p, s, g: np.stack([bells_by(q[None], s, g)[0] for q in p]), "loop"),
    (exercises.check_soft_argmax, partial(soft_by, axes=(2,)), "each row"),
    (exercises.check_soft_argmax, partial(soft_by, unit=lambda x, length: x / (length - 1)), "pixels"),
    (exercises.check_soft_argmax, partial(soft_by, unit=lambda x, length: 2 * x / (length - 1) - 1), "in case 1 at"),
    (pieces.check_cross_entropy, entropy_by(mean=lambda loss: loss.sum((1, 2, 3)).mean()), "3 times that"),
    (pieces.check_cross_entropy, entropy_by(lambda z: F.logsigmoid(z)), "the first loss is"),
    (pieces.check_cross_entropy, lambda z, m: F.binary_cross_entropy_with_logits(z, m), "each pixel alone"),
    (pieces.check_cross_entropy, lambda z, m: F.mse_loss(z, m), "the first loss is"),
    (pieces.check_cross_entropy, lambda z, m: F.kl_div(z.flatten(2).log_softmax(-1), (m / m.sum((2, 3), keepdim=True)).flatten(
        2), reduction="none").sum(-1).mean(), "the first loss is"),
    (pieces.check_cross_entropy, lambda z, m: entropy_by()(z.round().detach() + z - z.detach(), m), "wrong"),
    (pieces.check_convolutions, partial(double, norm=nn.InstanceNorm2d), "batch normalisation"),
    (pieces.check_convolutions, partial(double, kernel=5), r"\(4, 1, 5, 5\), not \(4, 1, 3, 3\)"),
    (pieces.check_level, level_by(skip=lambda skip: skip.detach()), "gradient"),
    (pieces.check_level, level_by(up=lambda up: up.detach()), "gradient"),
    (pieces.check_level, level_by(skip=lambda skip: skip.flip(-1)), "the answers do not")]

# ---------------------------------------------------------------- Part 5: the pyramid, the interval, the file, the score


class Spelled(nn.Module):
    """The pyramid, with a function for the sum."""

    def __init__(self, channels, features, add=lambda up, beside: up + beside):
        super().__init__()
        def layer(inputs, size):
            conv = nn.Conv2d(inputs, features, size, padding=size // 2, bias=False)
            return nn.Sequential(conv, nn.BatchNorm2d(features), nn.ReLU())
        self.across = nn.ModuleList(layer(inputs, 1) for inputs in channels)
        self.smooth, self.add = nn.ModuleList(layer(features, 3) for _ in channels[1:]), add

    def forward(self, levels):
        sides = [layer(level) for layer, level in zip(self.across, levels)]
        return reduce(lambda up, pair: pair[1](self.add(F.interpolate(up, pair[0].shape[2:], mode="bilinear"), pair[0])),
                      zip(sides[-2::-1], self.smooth), sides[-1])


def added_in_place(up, beside):
    beside += up
    return beside


def interval_by(errors, seed, draws, statistic=np.mean, count=None, ends=(0.025, 0.975)):
    rng, means = np.random.default_rng(seed), errors.mean(1)
    return np.quantile([statistic(rng.choice(means, count or len(means))) for _ in range(draws)], ends)


def sorted_ends(errors, seed, draws=2000):
    """Right: draws counted by a multinomial, ends by sorting, a list of tensors."""
    counts = np.random.default_rng(seed).multinomial(len(errors), np.full(len(errors), 1 / len(errors)), size=draws)
    means = np.sort(np.einsum("dp,pn->d", counts, errors) / errors.size)
    return [torch.tensor(means[int(share * (draws - 1))]) for share in (0.025, 0.975)]


PART_5 = [
    (pieces.check_pyramid, partial(Spelled, add=added_in_place), "inplace"),
    (pieces.check_pyramid, partial(Spelled, add=lambda up, beside: up.detach() + beside), "gradient"),
    (pieces.check_pyramid, partial(Spelled, add=lambda up, beside: (up + beside) / 2), "mean of both"),
    (pieces.check_pyramid, partial(Spelled, add=torch.maximum), "the answers do not"),
    (pieces.check_interval, partial(interval_by, statistic=np.median), "not about"),
    (pieces.check_interval, partial(interval_by, count=7), "not about"),
    (pieces.check_interval, partial(interval_by, ends=(0.25, 0.75)), "0.25 for 0.025"),
    (pieces.check_interval, lambda e, s, d: interval_by(e, s, d)[None], r"\(1, 2\); two numbers"),
    (exercises.check_submission_order, lambda p: p.reshape(len(p), -1).round().ravel(), "rounded"),
    (exercises.check_submission_order, lambda p: p.reshape(-1)[1:], r"\(271,\), not \(272,\)"),
    (exercises.check_mae, lambda p, t: np.abs(p - t).sum() / len(p), "in case 1 it says"),
    (exercises.check_mae, lambda p, t: np.abs(p - t).max(), "in case 1 it says"),
    (exercises.check_mae, lambda p, t: abs((p - t).mean(1)).mean(), "in case 1 it says")]


WRONG = PART_1 + PART_2 + PART_3 + PART_4 + PART_5


@pytest.mark.filterwarnings("ignore")                     # PyTorch's own, of shapes that do not fit
@pytest.mark.parametrize("k", range(len(WRONG)), ids=lambda k: f"{WRONG[k][0].__name__} {WRONG[k][2]}")
def test_a_beginners_mistake_is_named(k):
    check, answer, word = WRONG[k]
    said = check(answer)
    assert said.startswith(("wrong: ", "not yet: ")) and re.search(word, said), said


def odd_faces(images, landmarks):
    """Right: a dataset made by a function, pictures scaled all at once, keywords and tuples."""
    class Odd(list):
        def __getitem__(self, index):
            return tuple(torch.tensor(part, dtype=torch.float32) for part in list.__getitem__(self, index))
    pictures = np.divide(images[:, None], 255, dtype=np.float64) - 0.5
    h, w = images.shape[1:]
    return Odd([(picture, np.multiply(np.add(point[0], 0.5), [1 / w, 1 / h])) for picture, point in zip(pictures, landmarks)])


class HalfAndHalf(nn.Module):
    """Right: the level as plain functions of modules in a dictionary."""

    def __init__(self, channels, features, below):
        super().__init__()
        self.parts = nn.ModuleDict({"decoder": double(2 * features, features), "below": below,
                                    "up": nn.ConvTranspose2d(2 * features, features, kernel_size=2, stride=2),
                                    "encoder": double(channels, features)})

    def forward(self, x):
        skip = self.parts["encoder"](x)
        up = self.parts["up"](self.parts["below"](skip.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5))))
        return self.parts["decoder"](torch.hstack((up, skip)))


class OwnNorms(nn.Module):
    """Right: two convolutions with the batch normalisation that Part 3 has written."""

    def __init__(self, channels, features):
        super().__init__()
        self.net = double(channels, features, ByEinsumNorm)

    def forward(self, x):
        return self.net(x)


RIGHT = [
    (pieces.check_dataset, odd_faces), (pieces.check_nose_net, LayersFromTheEnd), (pieces.check_nose_net, ByEinsum),
    (pieces.check_step, by_autograd), (pieces.check_step, by_closure),
    (pieces.check_epoch, epoch_of()), (pieces.check_epoch, epoch_of(lambda faces, batch: (
        tuple(torch.stack(part) for part in zip(*(faces[int(k)] for k in rows)))
        for rows in torch.randperm(len(faces)).split(batch)))),
    (pieces.check_validation, validation_of(lambda losses, counts: torch.tensor(np.average(losses, weights=counts)),
                                            torch.inference_mode)),
    (pieces.check_matrix, lambda degrees, factor: np.einsum("b,bij->bij", factor, np.stack([
        [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]] for a in np.deg2rad(degrees.numpy())]))),
    (pieces.check_warp, warp_by()), (pieces.check_he, by_apply), (pieces.check_average, by_numbers),
    (pieces.check_batch_norm, Norm), (pieces.check_batch_norm, ByEinsumNorm),
    (pieces.check_residual_block, residual("mqpsba")), (pieces.check_residual_block, residual("apbqsm")),
    (pieces.check_square, lambda box, margin, shift: torch.tensor(square_by()(box.tolist(), margin, shift)).double()),
    (pieces.check_to_crop, lambda points, square, size: [tuple(
        (value - edge) * size / square[2] - 0.5 for value, edge in zip(point, square)) for point in points.tolist()]),
    (pieces.check_cross_entropy, lambda logits, maps: torch.einsum("bnp,bnp->", -(maps.flatten(2) / maps.flatten(2).sum(
        2, keepdim=True)).double(), logits.flatten(2).double().log_softmax(2)) / maps[:, :, 0, 0].numel()),
    (pieces.check_convolutions, OwnNorms), (pieces.check_level, HalfAndHalf), (pieces.check_pyramid, Spelled),
    (pieces.check_interval, sorted_ends)]


@pytest.mark.parametrize("k", range(len(RIGHT)), ids=lambda k: RIGHT[k][0].__name__)
def test_a_right_answer_in_an_unusual_style_is_right(k):
    check, answer = RIGHT[k]
    assert [check(answer) for _ in range(2)] == ["right", "right"]
