"""Checks of what part 5 writes: a feature pyramid, and how sure a score is."""

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..exercises import NOT_YET, Verdict, said_of
from ..nets.models import HeatmapLite
from .nets import AsRun, check_net, misbuilt


class _Small(HeatmapLite):
    """The package's way up, over a way down that costs nothing: of its levels none is just half of the one before."""
    BLOCKS, LEVELS = ((1, 3, 1, 1, 5), (1, 3, 2, 1, 6), (1, 3, 2, 1, 7), (1, 3, 2, 1, 9)), (0, 1, 2, 3)  # type: ignore[assignment]

    def __init__(self):
        super().__init__(1, 4)
        self.stem, self.conv = nn.Conv2d(1, 32, 3, stride=3), nn.Identity()
        for weight in self.parameters():                  # those of batch normalisation show in the answers, too
            nn.init.kaiming_normal_(weight) if weight.dim() == 4 else nn.init.uniform_(weight, -0.5, 1.5)
        for weight in self.blocks.parameters():
            weight.data *= 3                              # so that levels go beyond the 6 of nn.ReLU6

    def levels(self, x: Tensor) -> list[Tensor]:
        return list(accumulate(self.blocks, lambda x, block: block(x), initial=self.stem(x)))[1:]


def _pyramid(net: _Small, x: Tensor, join: Callable = torch.add, side=3, last=3, apart=False, **how: Any) -> Tensor:
    """The pyramid's answer with a mistake; of a lateral's layers and of a smoothing's only the first `side` and `last`."""
    *across, up = [layer[:side](level) for layer, level in zip(net.sides, net.levels(x))]     # type: ignore[index]
    for layer, beside in zip(net.smooth, across[::-1]):
        up = join(F.interpolate(up, beside.shape[-2:], **{"mode": "bilinear"} | how), beside)
        answer = layer[:last](up)                         # type: ignore[index]
        up = up if apart else answer
    return answer


_PYRAMIDS: dict[str, dict[str, Any]] = {
    "each place takes the coarser map's nearest pixel; mode=\"bilinear\" is wanted": {"mode": "nearest"},
    "align_corners=True moves what is enlarged; leave it False": {"align_corners": True},
    "there is no ReLU at the laterals": {"side": 2}, "there is no ReLU after smoothing": {"last": 2},
    "there is no ReLU at all": {"side": 2, "last": 2}, "it multiplies; add": {"join": torch.mul},
    "it takes the mean of both; add": {"join": lambda up, beside: (up + beside) / 2},
    "the sum goes up before it is smoothed; smooth first": {"apart": True},
    "what comes up is not used": {"join": lambda up, beside: beside}, "laterals are not used": {"join": lambda up, beside: up}}


def check_pyramid(yours: Callable[[tuple[int, ...], int], nn.Module], seed: int = 0) -> Verdict:
    """YourPyramid(channels, features): levels (b, channels[k], h_k, w_k), finest first -> (b, features, h_0, w_0)."""
    def judge() -> str:
        with torch.random.fork_rng():
            torch.manual_seed(1 + seed)
            small, net = _Small().eval(), yours((5, 6, 7, 9), 4)
        if isinstance(net, nn.Module) and (said := misbuilt(net)):
            return said
        mine: Any = None                                  # laterals from fine to coarse, smoothings as they run
        failed: Any = None                                # told once the layers are right
        if isinstance(net, nn.Module):
            try:
                mine = AsRun(net, small.levels(torch.zeros(1, 1, 32, 64)), lambda shape: (shape[2], shape[1]))
            except Exception as error:                    # whatever a beginner's code can raise
                failed = error
        if net is None or net is ... or not (shapes := [tuple(p.shape) for p in net.parameters()]):
            return "not yet: there are no layers"
        convs = [shape for shape in shapes if len(shape) == 4]
        sides, sums = (sum(shape[2:] == (k, k) for shape in convs) for k in (1, 3))
        if any(shape[1:] == (8, 3, 3) for shape in convs):
            return "wrong: what comes up and the lateral are concatenated; they are added"
        if [sides, sums, len(convs)] != [4, 3, 7]:
            return f"wrong: {sides} laterals 1x1 and {sums} smoothings 3x3, of {len(convs)} convolutions; 4 and 3, of 7"
        if (inputs := sorted(shape[1] for shape in convs if shape[2:] == (1, 1))) != [5, 6, 7, 9]:
            return f"wrong: for levels of 5, 6, 7 and 9 channels the laterals take {inputs}"
        if failed:
            if type(failed) is not RuntimeError:
                raise failed
            told = {"must match the size": "what comes up has another size than the lateral: enlarge it to that size",
                    "4 channels, but got 8": "what comes up and the lateral are concatenated; they are added",
                    "channels": "a lateral gets another level's picture; levels and channels come finest first"}
            return f"wrong: {next((told[part] for part in told if part in str(failed)), failed)}"
        if 21 not in (len(shapes), len(shapes) - mine.unused):
            return "wrong: batch normalisation comes after each convolution, which then needs no bias"
        if isinstance(mine.answer, Tensor) and mine.answer.shape[-2:] == (2, 3):
            return "wrong: it ends as small as the coarsest level; it begins there, with the last one, and enlarges it"
        right = nn.ModuleList([small.sides, small.smooth])
        vars(mine)["forward"], vars(right)["forward"] = lambda x: net(small.levels(x)), lambda x: small(x)
        verdict = check_net(lambda: mine, right, (1, 32, 64), {
            what: lambda _, x, how=how: _pyramid(small, x, **how) for what, how in _PYRAMIDS.items()})     # type: ignore[misc]
        return verdict if verdict != "right" else _of_another_depth(yours)

    return said_of(judge)


def _of_another_depth(yours: Callable[[tuple[int, ...], int], nn.Module]) -> str:
    """Whether a pyramid of two levels, and other features, has their three convolutions, and runs."""
    levels = [torch.zeros(1, 5, 12, 20), torch.zeros(1, 6, 6, 10)]
    try:
        net = yours((5, 6), 3)
        shape = tuple(net.eval()(levels).shape)
        convs = sum(p.dim() == 4 for p in net.parameters())
    except Exception as error:                            # whatever a beginner's code can raise
        return f"wrong: right with four levels; with two it raises {type(error).__name__}: {error}"
    if convs != 3:
        return f"wrong: right with four levels; with two it has {convs} convolutions, not 3"
    return "right" if shape == (1, 3, 12, 20) else f"wrong: right with 4 features; with 3 it answers {shape}"


def bootstrap_interval(errors: np.ndarray, seed: int, draws: int = 2000, ends=(0.025, 0.975)) -> np.ndarray:
    """Ends (2,) between which 95 % of draws' mean errors lie, of as many photos each (Efron 1979); errors (photos, n)."""
    means = errors.mean(1)
    return np.quantile(means[np.random.default_rng(seed).integers(len(means), size=(draws, len(means)))].mean(1), ends)


def check_interval(yours: Callable[..., Any], seed: int = 0) -> Verdict:
    """your_interval(errors (photos, landmarks), seed, draws) -> (lower, upper): 95 % of the draws' means lie between."""
    rng, share = np.random.default_rng(seed), (np.arange(15) + 0.5) / 15
    errors = (2 + seed) * (1 + np.log(rng.permutation(share)[:, None]) ** 2 * rng.uniform(0.5, 1.5, 6))
    means, right = errors.mean(1), bootstrap_interval(errors, seed + 99, 50_000)
    middle, std = means.mean(), np.array([-1, 1]) * means.std()
    mean_std, scales = std / np.sqrt(15), [k * np.sqrt(15 / n) for k in (1, 1.96, 2) for n in (15, 14)]     # n - ddof
    near = 0.18 * mean_std[1]                             # four times what chance does to the ends of 8,000 draws
    wrong: dict[str, Callable[[], list[Any]]] = {
        "each draw has the same mean: draw with replacement": lambda: [middle],
        "this is the standard deviation of photos, not of their mean": lambda: [middle + k * std for k in scales],
        "it takes draws for bell-shaped; take quantiles of their means": lambda: [middle + k * mean_std for k in scales],
        "these are quantiles of the photos' errors; of the draws' means": lambda: [np.quantile(means, (0.025, 0.975))],
        "between 5 and 95 % lie nine tenths; 2.5 and 97.5": lambda: [bootstrap_interval(errors, 1, 50_000, (0.05, 0.95))],
        "landmarks are drawn; a photo's belong together: draw photos. Or is it 0.25 for 0.025?":
            lambda: [bootstrap_interval(x, 1, 20_000) for x in (errors.T, errors.reshape(-1, 1))],
        "the ends are mirrored at the mean": lambda: [2 * middle - right[::-1]], "upper end first": lambda: [right[::-1]]}

    def judge() -> str:
        given = yours(errors.copy(), seed, 8000)
        if given is None or given is ...:
            return NOT_YET
        if (found := np.array(given, float)).shape != (2,):
            return f"wrong: it returns the shape {found.shape}; two numbers are wanted, the lower and the upper end"
        if found[0] == found[1] and abs(found[0] - np.array(yours(errors.copy(), seed + 1, 1))[0]) > 1e-6 * middle:
            return "wrong: all draws are the same: make the generator once, before the first draw"
        if np.abs(found - right).max() > near:
            named = [what for what, ways in wrong.items() if min(np.abs(found - ends).max() for ends in ways()) <= near]
            named += ["too low: np.percentile takes 2.5 and 97.5"] * bool(means.min() <= found.min() < found.max() < right[0])
            return f"wrong: {[*named, f'it says {found.round(3).tolist()}, not about {right.round(3).tolist()}'][0]}"
        once, again, other, one = (np.array(yours(errors.copy(), *how)) for how in ((5, 50), (5, 50), (999, 50), (5, 1)))
        said = {"asked again it says something else: make its generator from the seed": (once != again).any(),
                "the seed is not used": (once == other).all(), "`draws` is not used": one[0] != one[1]}
        for name, place, face, what in (
                ("first", 0, [15] * 6, "a draw does not hold as many photos as there are"),     # 15: how often it is drawn
                ("last", -1, [1, 3, 5, 9, 27, 45], "landmarks are drawn, too; a photo's belong together")):
            alone = np.zeros((15, 6))
            alone[place] = face
            often = np.array([yours(alone.copy(), seed + k, 1) for k in range(20)], float)
            said |= {f"the {name} photo is never drawn": not often.any(), what: np.abs(often - often.round()).max() > 1e-3}
        said["the ends are rounded"] = (found == found.round(2)).all()
        return next((f"wrong: {what}" for what in said if said[what]), "right")

    return said_of(judge)
