"""Layers, sizes and parameter counts of the write-up's networks."""

import pytest
import torch
from torch import nn

from fkp_utils._torchvision import models as torchvision_models
from fkp_utils.nets import models
from fkp_utils.nets.models import (
    FaceNet,
    HeatmapLite,
    HeatmapLite2,
    HeatmapResNet,
    NoseNet,
    UNet,
    count_parameters,
    keypoint_resnet18,
)
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.trained import forward, laid_out, new_model


def test_nosenet_prints_as_in_the_writeup():
    assert repr(NoseNet()) == """NoseNet(
  (conv1): Conv2d(1, 12, kernel_size=(5, 5), stride=(1, 1))
  (conv2): Conv2d(12, 12, kernel_size=(5, 5), stride=(1, 1))
  (conv3): Conv2d(12, 12, kernel_size=(5, 5), stride=(1, 1))
  (fc1): Linear(in_features=288, out_features=100, bias=True)
  (fc2): Linear(in_features=100, out_features=2, bias=True)
)"""


def test_facenet_prints_as_in_the_writeup():
    assert repr(FaceNet()) == """FaceNet(
  (conv1): Conv2d(1, 12, kernel_size=(8, 8), stride=(1, 1))
  (conv2): Conv2d(12, 12, kernel_size=(8, 8), stride=(1, 1))
  (conv3): Conv2d(12, 12, kernel_size=(8, 8), stride=(1, 1))
  (conv4): Conv2d(12, 12, kernel_size=(8, 8), stride=(1, 1))
  (conv5): Conv2d(12, 12, kernel_size=(8, 8), stride=(1, 1))
  (fc1): Linear(in_features=3276, out_features=500, bias=True)
  (fc2): Linear(in_features=500, out_features=116, bias=True)
)"""


@pytest.mark.parametrize("net, size, outputs", [(NoseNet, (60, 80), 2), (FaceNet, (180, 240), 116)])
def test_small_nets_take_their_size_only(net, size, outputs):
    assert net()(torch.zeros(3, 1, *size)).shape == (3, outputs)
    with pytest.raises(ValueError, match=f"{size[0]}x{size[1]}.*64x64"):
        net()(torch.zeros(1, 1, 64, 64))


def test_resnet_has_the_writeups_first_and_last_layer():
    net = keypoint_resnet18()
    assert repr(net.conv1) == "Conv2d(1, 64, kernel_size=(7, 7), stride=(2, 2), padding=(2, 2), bias=False)"
    assert repr(net.fc) == "Linear(in_features=512, out_features=136, bias=True)"
    assert net(torch.zeros(2, 1, 224, 224)).shape == (2, 136)
    assert count_parameters(net) == 11_240_008


def test_a_resnet_of_the_usual_width_is_torchvisions_with_another_first_layer():
    """Weights and what chance brings next, so that a seed means what it meant before there were widths."""
    torch.manual_seed(0)
    net, after = keypoint_resnet18(), torch.rand(3)
    torch.manual_seed(0)
    theirs = torchvision_models.resnet18(num_classes=136)
    theirs.conv1 = nn.Conv2d(1, 64, 7, 2, 2, bias=False)
    assert torch.equal(torch.rand(3), after) and repr(net) == repr(theirs)
    for name, value in theirs.state_dict().items():
        assert torch.equal(net.state_dict()[name], value), name


def test_a_narrow_resnet_has_the_layers_of_the_whole_one_and_a_part_of_their_features():
    """Weights counted by hand for 16 features where ResNet-18 has 64: its layers, with a norm of two numbers a feature each."""
    def block(channels, features):
        side = channels * features + 2 * features if channels != features else 0
        return 9 * channels * features + 9 * features**2 + 4 * features + side
    widths = [16, 32, 64, 128]
    levels = sum(block(before, after) + block(after, after) for before, after in zip([16, *widths], widths))
    net = keypoint_resnet18(width=16)
    assert count_parameters(net) == 49 * 16 + 2 * 16 + levels + (128 + 1) * 136 == 718_072
    assert [name for name, _ in net.named_modules()] == [name for name, _ in keypoint_resnet18().named_modules()]
    assert net(torch.zeros(2, 1, 96, 64)).shape == (2, 136)
    assert net.layer4(net.layer3(net.layer2(net.layer1(torch.zeros(1, 16, 24, 40))))).shape == (1, 128, 3, 5)


@pytest.mark.parametrize("width, layout", [(4, torch.contiguous_format), (16, torch.channels_last)])
def test_a_resnet_has_the_gradients_of_the_usual_layout_and_a_narrow_one_also_its_layout(width, layout):
    """oneDNN's gradients of a strided 1x1 convolution of few channels would overwrite memory in channels_last."""
    images = torch.rand(8, 1, 64, 48, generator=torch.Generator().manual_seed(0)) - 0.5
    recipe = Recipe("narrow", "ResNet", (64, 48), 1, 8, 1e-3, width=width, channels_last=True)
    net, usual = laid_out(new_model(recipe), recipe), new_model(recipe)
    assert net.layer2[0].conv1.weight.is_contiguous(memory_format=layout)
    for _ in range(20):
        forward(net, images, recipe).square().mean().backward()
        usual(images).square().mean().backward()
    for (name, value), wanted in zip(net.named_parameters(), usual.parameters()):
        torch.testing.assert_close(value.grad, wanted.grad, atol=1e-3, rtol=1e-3, msg=name)


def test_unet_layers_are_named_and_sized_as_in_the_writeup():
    net = UNet()
    assert [name for name, _ in net.named_children()] == [
        "encoder1", "pool1", "encoder2", "pool2", "encoder3", "pool3", "encoder4", "pool4", "bottleneck",
        "upconv4", "decoder4", "upconv3", "decoder3", "upconv2", "decoder2", "upconv1", "decoder1", "conv"]
    assert repr(net.decoder4.dec4conv1) == "Conv2d(512, 256, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)"
    assert repr(net.conv) == "Conv2d(32, 68, kernel_size=(7, 7), stride=(1, 1), padding=(3, 3), bias=False)"
    assert UNet(init_features=4)(torch.zeros(1, 1, 64, 48)).shape == (1, 68, 64, 48)


def test_unet_names_sides_it_cannot_take():
    with pytest.raises(ValueError, match="100x96"):
        UNet(init_features=2)(torch.zeros(1, 1, 100, 96))


@pytest.mark.parametrize("size", [64, 128, 224])
def test_heatmap_resnet_answers_with_a_quarter_of_the_side(size):
    assert HeatmapResNet(features=1)(torch.zeros(1, 1, size, size)).shape == (1, 68, size // 4, size // 4)
    net = HeatmapResNet(features=8)
    assert net(torch.zeros(2, 1, size, size)).shape == (2, 68, size // 4, size // 4)
    assert [net.layer1[0].conv1.out_channels, net.layer4[1].conv2.out_channels, net.smooth[0][0].out_channels] == [4, 32, 8]
    with pytest.raises(ValueError, match=f"{size}x{size + 4}"):
        HeatmapResNet(features=8)(torch.zeros(1, 1, size, size + 4))


def test_heatmap_lite_goes_down_as_efficientnet_lite0():
    """4,652,008 weights are published, less the head, the last block, and two of the stem's three colours."""
    net = HeatmapLite(features=8)
    head, colours = 320 * 1280 + 2 * 1280 + 1281 * 1000, 2 * 9 * 32
    last = 192 * 1152 + 9 * 1152 + 1152 * 320 + 2 * (1152 + 1152 + 320)
    assert count_parameters(net.stem) + count_parameters(net.blocks) == 4_652_008 - head - last - colours
    assert HeatmapLite(features=8)(torch.zeros(2, 1, 64, 96)).shape == (2, 68, 16, 24)
    with pytest.raises(ValueError, match="64x100"):
        net(torch.zeros(1, 1, 64, 100))


def test_heatmap_lite2_goes_down_as_efficientnet_lite2():
    """6,092,072 weights are published; less the same parts."""
    net = HeatmapLite2(features=8)
    head, colours = 352 * 1280 + 2 * 1280 + 1281 * 1000, 2 * 9 * 32
    last = 208 * 1248 + 9 * 1248 + 1248 * 352 + 2 * (1248 + 1248 + 352)
    assert count_parameters(net.stem) + count_parameters(net.blocks) == 6_092_072 - head - last - colours


def test_nets_are_made_by_name():
    for name in models.NETS:
        assert type(models.NETS[name](8, 68)).__name__ == name
