"""Errors of predicted landmarks. Arrays are float, points (..., n, 2) in pixels."""

import numpy as np

from .landmarks import eye_corners, regions


def mean_shape(landmarks: np.ndarray) -> np.ndarray:
    """Average of (N, n, 2) landmarks, (n, 2): the best answer that looks at no picture."""
    return landmarks.mean(0)


def point_errors(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Distance of each landmark in pixels, (N, n)."""
    return np.linalg.norm(predicted - truth, axis=-1)


def normalised_mse(predicted: np.ndarray, truth: np.ndarray, size: tuple[int, int]) -> float:
    """Mean squared difference of coordinates as fractions of width and height (the write-up's loss)."""
    return float((((predicted - truth) / (size[1], size[0])) ** 2).mean())


def nme(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Normalised mean error of each face, (N,), in percent of its inter-ocular distance.

    The inter-ocular distance is that of the outer eye corners (Sagonas et al., 2013).
    """
    left, right = eye_corners(truth.shape[-2])
    ocular = np.linalg.norm(truth[:, left] - truth[:, right], axis=-1)
    return 100 * point_errors(predicted, truth).mean(1) / ocular


def mae(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute difference over all x and y in pixels (the Kaggle score)."""
    return float(np.abs(predicted - truth).mean())


def failure_rate(errors: np.ndarray, limit: float = 10.0) -> float:
    """Share of faces whose NME exceeds `limit` percent."""
    return float((np.asarray(errors) > limit).mean())


def error_curve(errors: np.ndarray, limit: float = 20.0, steps: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative error distribution: thresholds (steps,) and the share of faces below each (steps,)."""
    thresholds = np.linspace(0, limit, steps)
    return thresholds, (np.sort(errors)[None] <= thresholds[:, None]).mean(1)


def region_errors(predicted: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Mean distance of each region in percent of the inter-ocular distance."""
    left, right = eye_corners(truth.shape[-2])
    ocular = np.linalg.norm(truth[:, left] - truth[:, right], axis=-1)[:, None]
    relative = 100 * point_errors(predicted, truth) / ocular
    return {name: float(relative[:, index].mean()) for name, index in regions(truth.shape[-2]).items()}
