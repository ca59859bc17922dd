"""What a slim net starts from: the answers of the net before."""

import sys

import pytest
import torch
from test_project import PROJECT

from fkp_utils.nets.models import HeatmapLite

sys.path.insert(0, str(PROJECT / "bench" / "real_photos"))

from slim import HeatmapSlim, slim


def warmed(net):
    """The net after some pictures went through it, so that its batch normalisation is not the identity."""
    net.train()
    with torch.no_grad():
        for _ in range(20):
            net(torch.rand(4, 1, 64, 32) - 0.5)
        for norm in (layers[1] for layers in net.smooth):
            norm.weight.uniform_(0.5, 2)
            norm.bias.uniform_(-1, 1)
    return net.eval()


@pytest.mark.training
def test_convolutions_that_are_separable_already_come_out_as_they_were():
    """Weights of each input channel: one kernel times a column. Pictures that the fit has not seen, of another shape."""
    torch.manual_seed(0)
    given = HeatmapLite(n_landmarks=3, features=8)
    with torch.no_grad():
        for layers in given.smooth:
            layers[0].weight.copy_(torch.einsum("oi,iyx->oiyx", torch.randn(8, 8), torch.randn(8, 3, 3)) / 5)
    given = warmed(given)
    net = slim(given, HeatmapSlim(n_landmarks=3, features=8), torch.rand(8, 1, 64, 64) - 0.5)
    others = torch.rand(2, 1, 64, 96) - 0.5
    with torch.no_grad():
        wanted, answer = given(others), net(others)
        assert (answer - wanted).abs().max() < 1e-3 * wanted.std()


@pytest.mark.training
def test_others_come_out_nearer_by_their_kernels_than_without():
    torch.manual_seed(1)
    given = warmed(HeatmapLite(n_landmarks=3, features=8))
    pictures, others = torch.rand(8, 1, 64, 64) - 0.5, torch.rand(4, 1, 64, 64) - 0.5
    with torch.no_grad():
        net = slim(given, HeatmapSlim(n_landmarks=3, features=8), pictures)
        apart = (net(others) - given(others)).std() / given(others).std()
        for layers in net.smooth:
            layers[0].weight.zero_()
            layers[0].weight[:, 0, 2, 2] = 1
        untouched = (net(others) - given(others)).std() / given(others).std()
    assert apart < 0.5 * untouched
