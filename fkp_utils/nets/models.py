"""The write-up's four networks, layer by layer as it prints them, and our own.

NoseNet and FaceNet are small plain CNNs; `keypoint_resnet18` is torchvision's ResNet-18 (He et al.,
2016) with one input channel; UNet follows Ronneberger et al. (2015) in the layout of
mateuszbuda/brain-segmentation-pytorch, with a 7x7 output layer. All take float images in [-0.5, 0.5].
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from .._torchvision import ResNet


class _PlainNet(nn.Module):
    """Convolutions with ReLU, some pooled after that, and two fully connected layers, for pictures of one size."""

    size: tuple[int, int]
    pooled: tuple[str, ...]

    def forward(self, x):
        if tuple(x.shape[-2:]) != self.size:
            raise ValueError("{} takes pictures of {}x{}, got {}x{}".format(type(self).__name__, *self.size, *x.shape[-2:]))
        for name, layer in self.named_children():
            if isinstance(layer, nn.Conv2d):
                x = F.relu(layer(x))
                x = F.max_pool2d(x, 2) if name in self.pooled else x
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class NoseNet(_PlainNet):
    """Nose tip from a 60x80 picture: (b, 1, 60, 80) -> (b, 2 * n_landmarks). ValueError for another size."""

    size = (60, 80)
    pooled = ("conv1", "conv2", "conv3")

    def __init__(self, n_landmarks: int = 1):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(1, 12, 5), nn.Conv2d(12, 12, 5), nn.Conv2d(12, 12, 5)
        self.fc1, self.fc2 = nn.Linear(288, 100), nn.Linear(100, 2 * n_landmarks)


class FaceNet(_PlainNet):
    """58 landmarks from a 180x240 picture: (b, 1, 180, 240) -> (b, 2 * n_landmarks). ValueError for another size."""

    size = (180, 240)
    pooled = ("conv2", "conv4", "conv5")

    def __init__(self, n_landmarks: int = 58):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 8)
        self.conv2, self.conv3 = nn.Conv2d(12, 12, 8), nn.Conv2d(12, 12, 8)
        self.conv4, self.conv5 = nn.Conv2d(12, 12, 8), nn.Conv2d(12, 12, 8)
        self.fc1, self.fc2 = nn.Linear(3276, 500), nn.Linear(500, 2 * n_landmarks)


def keypoint_resnet18(n_landmarks: int = 68, width: int = 64) -> "ResNet":
    """ResNet-18 with one input channel: (b, 1, h, w) -> (b, 2 * n_landmarks). width: features of its first layers."""
    # Here, since it takes longer to load than all else together.
    from .._torchvision import ResNet

    return ResNet(width, 2 * n_landmarks)


def _double_conv(name: str, in_channels: int, features: int) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for k, channels in ((1, in_channels), (2, features)):
        layers[f"{name}conv{k}"] = nn.Conv2d(channels, features, 3, padding=1, bias=False)
        layers[f"{name}norm{k}"] = nn.BatchNorm2d(features)
        layers[f"{name}relu{k}"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


class UNet(nn.Module):
    """One heatmap a landmark: (b, in_channels, h, w) -> (b, out_channels, h, w).

    h and w must be multiples of 16, else ValueError. A grayscale picture is repeated over the input
    channels, since the write-up's first layer takes three.
    """

    def __init__(self, in_channels: int = 3, out_channels: int = 68, init_features: int = 32):
        super().__init__()
        widths = [init_features * 2**k for k in range(4)]
        for k, (before, features) in enumerate(zip([in_channels, *widths], widths), 1):
            self.add_module(f"encoder{k}", _double_conv(f"enc{k}", before, features))
            self.add_module(f"pool{k}", nn.MaxPool2d(2, 2))
        self.bottleneck = _double_conv("bottleneck", widths[-1], 2 * widths[-1])
        for k in (4, 3, 2, 1):
            features = widths[k - 1]
            self.add_module(f"upconv{k}", nn.ConvTranspose2d(2 * features, features, 2, stride=2))
            self.add_module(f"decoder{k}", _double_conv(f"dec{k}", 2 * features, features))
        self.conv = nn.Conv2d(init_features, out_channels, 7, padding=3, bias=False)
        self.in_channels = in_channels

    def forward(self, x):
        _check_multiple("UNet", x, 16)
        if x.shape[1] == 1:
            x = x.expand(-1, self.in_channels, -1, -1)
        skips = []
        for k in (1, 2, 3, 4):
            skips.append(self.get_submodule(f"encoder{k}")(x))
            x = self.get_submodule(f"pool{k}")(skips[-1])
        x = self.bottleneck(x)
        for k in (4, 3, 2, 1):
            up = self.get_submodule(f"upconv{k}")(x)
            x = self.get_submodule(f"decoder{k}")(torch.cat([up, skips.pop()], 1))
        return self.conv(x)


def _conv_norm(in_channels: int, features: int, kernel: int, stride: int = 1, groups: int = 1,
               eps: float = 1e-5) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(in_channels, features, kernel, stride, kernel // 2, groups=groups, bias=False),
                         nn.BatchNorm2d(features, eps=eps))


def _conv_norm_relu(in_channels: int, features: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(*_conv_norm(in_channels, features, kernel, stride), nn.ReLU(inplace=True))


def _pyramid(x: torch.Tensor, levels: Iterable[nn.Module], sides: Iterable[nn.Module | None], smooth: nn.ModuleList,
             **how) -> torch.Tensor:
    """Down the levels of a net and up a feature pyramid: enlarge as F.interpolate does, add the next level's side, smooth."""
    across = []
    for level, side in zip(levels, sides):
        x = level(x)
        if side is not None:
            across.append(side(x))
    up = across.pop()
    for layer in smooth:
        beside = across.pop()
        up = layer(F.interpolate(up, size=beside.shape[-2:], **how) + beside)
    return up


def _check_multiple(name: str, x: torch.Tensor, factor: int) -> None:
    if x.shape[-2] % factor or x.shape[-1] % factor:
        raise ValueError(f"{name} takes pictures whose sides are multiples of {factor}, got {x.shape[-2]}x{x.shape[-1]}")


class HeatmapResNet(nn.Module):
    """ResNet-18 down, a feature pyramid up: (b, 1, h, w) -> heatmaps (b, n_landmarks, h / 4, w / 4).

    Most of a U-Net's work is done on its largest pictures. Maps of a quarter of the picture's side are enough, as soft-argmax
    reads points off between pixels (Sun et al., "Integral human pose regression", ECCV 2018), and make this net several times
    as fast. The way up adds each level of the residual network to the enlarged one above it (Lin et al., "Feature pyramid
    networks", CVPR 2017). The first layers of the way down have half as many features as the pyramid: with 128, ResNet-18's.
    h and w must be multiples of 32, else ValueError.
    """

    def __init__(self, n_landmarks: int = 68, features: int = 128):
        super().__init__()
        width = max(1, features // 2)
        net = keypoint_resnet18(width=width)
        self.stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
        self.layer1, self.layer2, self.layer3, self.layer4 = net.layer1, net.layer2, net.layer3, net.layer4
        self.sides = nn.ModuleList(_conv_norm_relu(width * 2**k, features, 1) for k in range(4))
        self.smooth = nn.ModuleList(_conv_norm_relu(features, features, 3) for _ in range(3))
        self.conv = nn.Conv2d(features, n_landmarks, 1)

    def forward(self, x):
        _check_multiple(type(self).__name__, x, 32)
        levels = (self.layer1, self.layer2, self.layer3, self.layer4)
        return self.conv(_pyramid(self.stem(x), levels, self.sides, self.smooth, mode="bilinear", align_corners=False))


class _Inverted(nn.Module):
    """Inverted residual (Sandler et al., "MobileNetV2", CVPR 2018): wider by 1x1, `kernel` a channel, narrower by 1x1."""

    def __init__(self, channels: int, features: int, kernel: int, stride: int = 1, expansion: int = 2,
                 activation: type[nn.Module] = nn.ReLU, eps: float = 1e-5):
        super().__init__()
        wide = expansion * channels
        widen = [] if expansion == 1 else [*_conv_norm(channels, wide, 1, eps=eps), activation(inplace=True)]
        self.layers = nn.Sequential(*widen, *_conv_norm(wide, wide, kernel, stride, wide, eps), activation(inplace=True),
                                    *_conv_norm(wide, features, 1, eps=eps))
        self.shortcut = stride == 1 and channels == features

    def forward(self, x):
        return x + self.layers(x) if self.shortcut else self.layers(x)


class HeatmapLite(nn.Module):
    """EfficientNet-Lite0 down, a feature pyramid up: (b, 1, h, w) -> heatmaps (b, n_landmarks, h / 4, w / 4).

    HeatmapResNet with a fifth of the weights. The way down is EfficientNet (Tan, Le, ICML 2019) in its form for phones
    (github.com/tensorflow/tpu, efficientnet/lite) without its last block, so that it can start from weights learned on
    ImageNet (`bench/shipped_files/imagenet.py`). h and w must be multiples of 32, else ValueError.
    """

    # (repeats, kernel, stride, expansion, features)
    BLOCKS = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192))
    LEVELS = (1, 2, 4, 5)                # of BLOCKS, those at whose end the pyramid takes the features
    EPS = 1e-3                           # of EfficientNet's batch normalisation

    def __init__(self, n_landmarks: int = 68, features: int = 64):
        super().__init__()
        channels = 32
        self.stem = nn.Sequential(*_conv_norm(1, channels, 3, stride=2, eps=self.EPS), nn.ReLU6(inplace=True))
        self.blocks = nn.ModuleList()
        for repeats, kernel, stride, expansion, out in self.BLOCKS:
            self.blocks.append(nn.Sequential(*(
                _Inverted(out if k else channels, out, kernel, 1 if k else stride, expansion, nn.ReLU6, self.EPS)
                for k in range(repeats))))
            channels = out
        self.sides = nn.ModuleList(_conv_norm_relu(self.BLOCKS[k][-1], features, 1) for k in self.LEVELS)
        self.smooth = nn.ModuleList(_conv_norm_relu(features, features, 3) for _ in range(3))
        self.conv = nn.Conv2d(features, n_landmarks, 1)

    def forward(self, x):
        _check_multiple("HeatmapLite", x, 32)
        side_of = dict(zip(self.LEVELS, self.sides))
        sides = [side_of.get(k) for k in range(len(self.blocks))]
        return self.conv(_pyramid(self.stem(x), self.blocks, sides, self.smooth, mode="bilinear", align_corners=False))


class HeatmapLite2(HeatmapLite):
    """HeatmapLite with the way down of EfficientNet-Lite2: a tenth wider, a fifth deeper, half again as much work."""

    BLOCKS = ((1, 3, 1, 1, 16), (3, 3, 2, 6, 24), (3, 5, 2, 6, 48), (4, 3, 2, 6, 88), (4, 5, 1, 6, 120), (5, 5, 2, 6, 208))


# One place in a hundred is a face, says a new net (Lin et al., "Focal loss", 2017).
_RARE = (-4.6, 0.0, 0.0, 0.0, 0.0, 0.0)


class FinderResNet(HeatmapResNet):
    """Where faces are in a photo: (b, 1, h, w) -> (b, 6, h / 4, w / 4), which `nets.finder.Faces` explains."""

    def __init__(self, features: int = 32):
        super().__init__(6, features)
        self.conv.bias = nn.Parameter(torch.tensor(_RARE))


class FinderLite(nn.Module):
    """The same answers for photos of any size in little time, most of which goes into layers with large maps: there are few.

    The first takes steps of 4 pixels. The way up, from a 64th of the picture's side, where a face as large is seen whole, ends
    at an eighth, with four answers a place (Shi et al., sub-pixel convolution, CVPR 2016). The others are separable: one a
    channel, then one of 1x1 (Howard et al., "MobileNets", 2017). h and w must be multiples of 64, else ValueError.
    """

    def __init__(self, width: int = 32):
        super().__init__()

        def separable(channels, features, stride=1):
            return nn.Sequential(*_conv_norm(channels, channels, 3, stride, channels), *_conv_norm_relu(channels, features, 1))

        def down(channels, features, kernel, blocks, expansion):
            return separable(channels, features, 2).extend(
                _Inverted(features, features, kernel, expansion=expansion) for _ in range(blocks))

        half, deep, up = 2 * width, 3 * width, 3 * width // 2
        self.stem = nn.Sequential(nn.Conv2d(1, width, 12, 4, 4, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.levels = nn.ModuleList([down(width, half, 3, 2, 1), down(half, deep, 5, 4, 1), down(deep, deep, 5, 4, 2),
                                     down(deep, deep, 5, 2, 2)])
        self.sides = nn.ModuleList([_conv_norm(half, up, 1), *(_conv_norm_relu(deep, up, 1) for _ in range(3))])
        self.smooth = nn.ModuleList([separable(up, up), separable(up, up), nn.Identity()])
        self.fine = nn.Sequential(nn.Conv2d(width, up, 2, 2, bias=False), nn.BatchNorm2d(up))
        self.last, self.conv = separable(up, up), nn.Conv2d(up, 24, 1)
        self.conv.bias = nn.Parameter(torch.tensor(_RARE).repeat_interleave(4))

    def forward(self, x):
        _check_multiple("FinderLite", x, 64)
        x = self.stem(x)
        up = _pyramid(x, self.levels, self.sides, self.smooth, mode="nearest") + self.fine(x)
        return F.pixel_shuffle(self.conv(self.last(up)), 2)


def he_init(model: nn.Module) -> nn.Module:
    """Draw all weights anew, in place, so that ReLU layers keep the signal's size (He et al., ICCV 2015).

    PyTorch's default shrinks it from layer to layer: after FaceNet's seven layers nearly nothing of
    the picture is left, and training spends its first epochs growing the weights.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    nn.init.normal_(layers[-1].weight, std=0.01)          # start close to an answer of zero
    return model


# Class: (width, landmarks) -> net; the width is the number of features of those that come in several widths (`recipe.WIDTH`).
NETS: dict[str, Callable[[int, int], nn.Module]] = {
    "NoseNet": lambda width, n: NoseNet(n), "FaceNet": lambda width, n: FaceNet(n),
    "ResNet": lambda width, n: keypoint_resnet18(n, width), "UNet": lambda width, n: UNet(out_channels=n, init_features=width),
    "HeatmapResNet": lambda width, n: HeatmapResNet(n, width), "HeatmapLite": lambda width, n: HeatmapLite(n, width),
    "HeatmapLite2": lambda width, n: HeatmapLite2(n, width), "FinderResNet": lambda width, n: FinderResNet(width),
    "FinderLite": lambda width, n: FinderLite(width)}


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
