"""The four networks of the course, layer by layer as the write-up prints them.

NoseNet and FaceNet are small plain CNNs; `keypoint_resnet18` is torchvision's ResNet-18 (He et al.,
2016) with one input channel; UNet follows Ronneberger et al. (2015) in the layout of
mateuszbuda/brain-segmentation-pytorch, with a 7x7 output layer. All take float images in [-0.5, 0.5].
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

from ._torchvision import models


def _check_size(name: str, x: torch.Tensor, size: tuple[int, int]) -> None:
    if tuple(x.shape[-2:]) != size:
        raise ValueError(f"{name} takes pictures of {size[0]}x{size[1]}, got {x.shape[-2]}x{x.shape[-1]}")


class NoseNet(nn.Module):
    """Nose tip from a 60x80 picture: (b, 1, 60, 80) -> (b, 2). ValueError for another size."""

    size = (60, 80)

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 5)
        self.conv2 = nn.Conv2d(12, 12, 5)
        self.conv3 = nn.Conv2d(12, 12, 5)
        self.fc1 = nn.Linear(288, 100)
        self.fc2 = nn.Linear(100, 2)

    def forward(self, x):
        _check_size("NoseNet", x, self.size)
        for conv in (self.conv1, self.conv2, self.conv3):
            x = F.max_pool2d(F.relu(conv(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class FaceNet(nn.Module):
    """58 landmarks from a 180x240 picture: (b, 1, 180, 240) -> (b, 116). ValueError for another size."""

    size = (180, 240)

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 8)
        self.conv2 = nn.Conv2d(12, 12, 8)
        self.conv3 = nn.Conv2d(12, 12, 8)
        self.conv4 = nn.Conv2d(12, 12, 8)
        self.conv5 = nn.Conv2d(12, 12, 8)
        self.fc1 = nn.Linear(3276, 500)
        self.fc2 = nn.Linear(500, 116)

    def forward(self, x):
        _check_size("FaceNet", x, self.size)
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.conv3(x))
        x = F.max_pool2d(F.relu(self.conv4(x)), 2)
        x = F.max_pool2d(F.relu(self.conv5(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def keypoint_resnet18(n_landmarks: int = 68) -> nn.Module:
    """ResNet-18 with one input channel: (b, 1, h, w) -> (b, 2 * n_landmarks)."""
    net = models.resnet18(num_classes=2 * n_landmarks)
    net.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=2, bias=False)
    return net


def _double_conv(name: str, in_channels: int, features: int) -> nn.Sequential:
    layers = OrderedDict()
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
        f = init_features
        self.encoder1 = _double_conv("enc1", in_channels, f)
        self.pool1 = nn.MaxPool2d(2, 2)
        self.encoder2 = _double_conv("enc2", f, 2 * f)
        self.pool2 = nn.MaxPool2d(2, 2)
        self.encoder3 = _double_conv("enc3", 2 * f, 4 * f)
        self.pool3 = nn.MaxPool2d(2, 2)
        self.encoder4 = _double_conv("enc4", 4 * f, 8 * f)
        self.pool4 = nn.MaxPool2d(2, 2)
        self.bottleneck = _double_conv("bottleneck", 8 * f, 16 * f)
        self.upconv4 = nn.ConvTranspose2d(16 * f, 8 * f, 2, stride=2)
        self.decoder4 = _double_conv("dec4", 16 * f, 8 * f)
        self.upconv3 = nn.ConvTranspose2d(8 * f, 4 * f, 2, stride=2)
        self.decoder3 = _double_conv("dec3", 8 * f, 4 * f)
        self.upconv2 = nn.ConvTranspose2d(4 * f, 2 * f, 2, stride=2)
        self.decoder2 = _double_conv("dec2", 4 * f, 2 * f)
        self.upconv1 = nn.ConvTranspose2d(2 * f, f, 2, stride=2)
        self.decoder1 = _double_conv("dec1", 2 * f, f)
        self.conv = nn.Conv2d(f, out_channels, 7, padding=3, bias=False)
        self.in_channels = in_channels

    def forward(self, x):
        if x.shape[-2] % 16 or x.shape[-1] % 16:
            raise ValueError(f"UNet takes pictures whose sides are multiples of 16, got {x.shape[-2]}x{x.shape[-1]}")
        if x.shape[1] == 1:
            x = x.expand(-1, self.in_channels, -1, -1)
        skips = []
        for encoder, pool in ((self.encoder1, self.pool1), (self.encoder2, self.pool2),
                              (self.encoder3, self.pool3), (self.encoder4, self.pool4)):
            skips.append(encoder(x))
            x = pool(skips[-1])
        x = self.bottleneck(x)
        for upconv, decoder in ((self.upconv4, self.decoder4), (self.upconv3, self.decoder3),
                                (self.upconv2, self.decoder2), (self.upconv1, self.decoder1)):
            x = decoder(torch.cat([upconv(x), skips.pop()], 1))
        return self.conv(x)


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


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
