"""Landmarks to heatmaps and back, in batches, on any device.

A heatmap is what a kernel of 15x15 pixels with a Gaussian of sigma 5 makes of a single bright pixel
(Tompson et al., "Joint training of a convolutional network and a graphical model for human pose
estimation", NIPS 2014); here the landmark may also lie between pixels.
"""

import math
from functools import cache

import numpy as np
import torch

KERNEL = 15


def gaussian_heatmaps(landmarks: torch.Tensor, size: tuple[int, int], sigma: float = 5.0,
                      scale: float | None = None, reach: float = 0.0) -> torch.Tensor:
    """One heatmap a landmark: float (b, n, 2), (x, y) pixels -> float (b, n, h, w) of `size` (h, w).

    sigma : of the Gaussian, in pixels; the kernel ends 7.5 pixels from the landmark
    scale : height of the peak; None for that of a kernel whose weights add up to one
    reach : how many pixels outside of the picture a landmark may lie; of one further outside: all zeros; of an unknown one
        (NaN): NaN
    """
    steps = torch.arange(-(KERNEL // 2), KERNEL // 2 + 1, device=landmarks.device, dtype=landmarks.dtype)
    peak = scale if scale is not None else 1 / torch.exp(-steps**2 / (2 * sigma**2)).sum()**2
    inside = inside_picture(landmarks, size, reach).to(landmarks.dtype) * peak
    column, row = gaussian_profiles(landmarks, size, sigma)
    return (column * inside[..., None])[..., :, None] * row[..., None, :]


def gaussian_profiles(landmarks: torch.Tensor, size: tuple[int, int], sigma: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The column (b, n, h) and the row (b, n, w) whose product is a heatmap with a peak of one: nothing is convolved."""
    def profile(centre, length):
        distance = torch.arange(length, device=landmarks.device, dtype=landmarks.dtype) - centre[..., None]
        return torch.exp(-distance**2 / (2 * sigma**2)) * (distance.abs() < KERNEL / 2)

    return profile(landmarks[..., 1], size[0]), profile(landmarks[..., 0], size[1])


def inside_picture(landmarks: torch.Tensor, size: tuple[int, int], reach: float = 0.0) -> torch.Tensor:
    """Which landmarks (..., 2) lie on the (height, width) picture or at most `reach` pixels outside, bool (...)."""
    limit = landmarks.new_tensor([size[1], size[0]]) - 0.5 + reach
    return ((landmarks >= -0.5 - reach) & (landmarks < limit)).all(-1)


def argmax(heatmaps: torch.Tensor) -> torch.Tensor:
    """Brightest pixel of each heatmap (b, n, h, w) -> (b, n, 2), whole pixels; the centre of an empty one."""
    h, w = heatmaps.shape[-2:]
    best, index = heatmaps.flatten(2).max(-1)
    points = torch.stack([index % w, index // w], -1).to(heatmaps.dtype)
    return torch.where(best[..., None] > 0, points, heatmaps.new_tensor([(w - 1) / 2, (h - 1) / 2]))


def weighted_mean(heatmaps: torch.Tensor, sharpness: float = 4.0) -> torch.Tensor:
    """Mean position of the 15x15 pixels around the peak: (b, n, h, w) -> (b, n, 2).

    Each pixel weighs its value to the power `sharpness`. With plain values the window's edge would cut off more on one side
    than on the other and pull the mean towards the central pixel. An empty heatmap gives the picture's centre.
    """
    h, w = heatmaps.shape[-2:]
    peak = argmax(heatmaps)
    steps = torch.arange(-(KERNEL // 2), KERNEL // 2 + 1, device=heatmaps.device)
    column, row = (peak[..., k, None].long() + steps for k in (0, 1))
    valid = ((row >= 0) & (row < h))[..., :, None] & ((column >= 0) & (column < w))[..., None, :]
    index = row.clamp(0, h - 1)[..., :, None] * w + column.clamp(0, w - 1)[..., None, :]
    window = heatmaps.flatten(2).gather(2, index.flatten(2)).unflatten(2, (KERNEL, KERNEL))
    highest = window.amax((-2, -1), keepdim=True)
    weight = (window / highest.clamp(min=1e-30)).clamp(min=0) ** sharpness * valid
    total = weight.sum((-2, -1)).clamp(min=1e-30)
    offset = torch.stack([(weight.sum(-2) * steps).sum(-1), (weight.sum(-1) * steps).sum(-1)], -1) / total[..., None]
    return torch.where(highest[..., 0] > 0, peak + offset, peak)


def soft_argmax(logits: torch.Tensor) -> torch.Tensor:
    """Mean position under the softmax of each map of logits: (b, n, h, w) -> (b, n, 2); differentiable.

    Equal logits everywhere give the picture's centre.
    """
    return mean_position(logits.flatten(2).softmax(-1).unflatten(2, logits.shape[-2:]))


def mean_position(probability: torch.Tensor) -> torch.Tensor:
    """Mean position under maps (b, n, h, w) whose pixels add up to one -> (b, n, 2)."""
    h, w = probability.shape[-2:]
    x = (probability.sum(-2) * torch.arange(w, device=probability.device)).sum(-1)
    y = (probability.sum(-1) * torch.arange(h, device=probability.device)).sum(-1)
    return torch.stack([x, y], -1)


def border(sigma: float) -> float:
    """How many pixels outside of a map the centre of a Gaussian may lie and still be read off the part of it inside."""
    return min(2 * sigma, KERNEL // 2 - 1)


@cache
def _bias_at_the_border(sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Means of Gaussians cut off at pixel 0, and how the slope of centre over mean changes at each, both (k,).

    The centres go from `border(sigma)` outside of the map's edge, where next to nothing of a Gaussian is left, to four
    sigmas inside, where nothing is missing.
    """
    centres = np.arange(-0.5 - border(sigma), 4.01 * sigma, sigma / 8)
    pixels = np.arange(math.ceil(8 * sigma) + 1)
    distance = pixels - centres[:, None]
    weight = np.exp(-distance**2 / (2 * sigma**2)) * (np.abs(distance) < KERNEL / 2)
    means = (weight * pixels).sum(1) / weight.sum(1)
    return means[1:], -np.diff(np.append(np.diff(centres) / np.diff(means), 1))


def unbiased(means: torch.Tensor, size: tuple[int, int], sigma: float) -> torch.Tensor:
    """Centres (b, n, 2) of Gaussians whose mean over the pixels of a (height, width) map is `means` (b, n, 2).

    At the map's border a part of the Gaussian is missing, so that its mean lies further inside than its centre: with sigma 1
    a Gaussian at -0.5 has its mean at 0.33. Mean and centre determine each other; the inverse is a piecewise linear
    function, written as a sum of ramps, so that it is differentiable and can be exported.
    """
    knots, bends = (torch.as_tensor(values, dtype=means.dtype, device=means.device) for values in _bias_at_the_border(sigma))
    far = means.new_tensor([size[1], size[0]]) - 1 - means
    low, high = (((knots - place[..., None]).relu() * bends).sum(-1) for place in (means, far))
    return means - low + high
