"""What a net with separable convolutions starts from: the answers of the net with whole ones."""

import sys

import pytest
import torch
from test_project import PROJECT

from fkp_utils.nets.models import HeatmapLite

sys.path.insert(0, str(PROJECT / "bench" / "real_photos"))

from slim import HeatmapSlim, pairs, slim


def nets():
    return HeatmapLite(3, 8), HeatmapSlim(3, 8)


def warmed(net, layers):
    """The net after some pictures went through it, so that its batch normalisation is not the identity."""
    net.train()
    with torch.no_grad():
        for _ in range(20):
            net(torch.rand(4, 1, 128, 64) - 0.5)
        for parts, k in layers:
            parts[k + 1].weight.uniform_(0.5, 2)
            parts[k + 1].bias.uniform_(-1, 1)
    return net.eval()


def both(noise):
    """A net with whole convolutions, whose weights are a kernel times a column a channel, and some noise; and a slim one."""
    given, net = nets()
    layers = [(parts, k) for parts, _, k in pairs(given, net)]
    with torch.no_grad():
        for parts, k in layers:
            out, into = parts[k].weight.shape[:2]
            separable = torch.einsum("oi,iyx->oiyx", torch.randn(out, into), torch.randn(into, 3, 3))
            parts[k].weight.copy_((separable + noise * torch.randn(out, into, 3, 3)) / into)
    return warmed(given, layers), net


def test_the_pyramids_three_convolutions_are_two_each():
    found = pairs(*nets())
    assert len(found) == 3
    for layers, others, k in found:
        (alone, _), (mixing, _) = others[k], others[k + 1]
        assert layers[k].kernel_size == (3, 3) and mixing.kernel_size == (1, 1) and alone.groups == layers[k].in_channels
        assert alone.stride == layers[k].stride and mixing.weight.shape[:2] == layers[k].weight.shape[:2]


@pytest.mark.training
def test_convolutions_that_are_separable_already_come_out_as_they_were():
    """Pictures that the fit has not seen, of another shape."""
    torch.manual_seed(0)
    given, net = both(noise=0)
    slim(given, net, torch.rand(16, 1, 128, 64) - 0.5)
    others = torch.rand(2, 1, 64, 192) - 0.5
    with torch.no_grad():
        wanted, answer = given(others), net(others)
        assert (answer - wanted).abs().max() < 1e-3 * wanted.std()


@pytest.mark.training
def test_others_come_out_nearer_by_their_kernels_than_without():
    torch.manual_seed(1)
    given, net = both(noise=0.3)
    pictures, others = torch.rand(8, 1, 64, 64) - 0.5, torch.rand(4, 1, 64, 64) - 0.5
    with torch.no_grad():
        slim(given, net, pictures)
        apart = (net(others) - given(others)).std() / given(others).std()
        for _, layers, k in pairs(given, net):
            layers[k][0].weight.zero_()
            layers[k][0].weight[:, 0, 2, 2] = 1
        untouched = (net(others) - given(others)).std() / given(others).std()
    assert apart < 0.5 * untouched
