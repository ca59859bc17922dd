"""Errors of predicted landmarks. Arrays are float, points (..., n, 2) in pixels; a NaN in `truth` is a landmark nobody knows.

Unknown landmarks count nowhere: means are over the known ones, and NaN where there are none. A known landmark that was not
found, NaN in `predicted`, has the error inf. ValueError where `predicted` and `truth` are not numbers of one such shape, and
where a landmark in `truth` is infinite.
"""

import math

import numpy as np

from .landmarks import Convention


def mean_shape(landmarks: np.ndarray) -> np.ndarray:
    """Average of (N, n, 2) landmarks, (n, 2): the best answer that looks at no picture.

    ValueError for another shape, and for a landmark that is unknown in every face.
    """
    if np.ndim(landmarks) != 3:
        raise ValueError(f"a mean shape is that of landmarks (N, n, 2), not {np.shape(landmarks)}")
    known = np.isfinite(landmarks).all(-1)
    if not known.any(0).all():
        raise ValueError(f"landmark {int(np.argmin(known.any(0)))} is unknown in each of the {len(landmarks)} faces")
    return np.nanmean(np.where(known[..., None], landmarks, np.nan), 0)


def _difference(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    predicted, truth = np.asarray(predicted), np.asarray(truth)
    kinds = f"{predicted.shape} of {predicted.dtype} and {truth.shape} of {truth.dtype}"
    if predicted.shape != truth.shape or truth.shape[-1:] != (2,) or {predicted.dtype.kind, truth.dtype.kind} - set("fiu"):
        raise ValueError(f"predicted and true landmarks are numbers of one shape (..., n, 2), not {kinds}")
    if np.isinf(truth).any():
        raise ValueError("a true landmark is infinite")
    truth = np.where(np.isnan(truth).any(-1, keepdims=True), np.nan, truth)          # with an x alone it is not known either
    return np.where(np.isnan(predicted) & ~np.isnan(truth), np.inf, predicted) - truth


def point_errors(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Distance of each landmark in pixels, (N, n); NaN for an unknown one."""
    return np.linalg.norm(_difference(predicted, truth), axis=-1)


def normalised_mse(predicted: np.ndarray, truth: np.ndarray, size: tuple[int, int]) -> float:
    """Mean squared difference of coordinates as fractions of width and height (the write-up's loss)."""
    return _mean((_difference(predicted, truth) / (size[1], size[0])) ** 2)


def relative_errors(predicted: np.ndarray, truth: np.ndarray, convention: Convention) -> np.ndarray:
    """Distance of each landmark in percent of the face's inter-ocular distance, (N, n); ValueError as `nme`."""
    if convention.eye_corners is None:
        raise ValueError(f"convention {convention.name!r} has no eye corners, whose distance the NME is measured in")
    errors, (left, right) = point_errors(predicted, truth), convention.eye_corners
    if errors.ndim != 2 or max(left, right) >= errors.shape[1]:
        raise ValueError(f"landmarks (N, n, 2) with eye corners {left} and {right} are wanted, not {(*errors.shape, 2)}")
    ocular = np.linalg.norm(truth[:, left] - truth[:, right], axis=-1)[:, None]
    return 100 * errors / np.where(ocular > 0, ocular, np.nan)


def _mean_of_known(errors: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaN; NaN where nothing else is there."""
    known = ~np.isnan(errors)
    count = known.sum(-1)
    return np.where(count > 0, np.where(known, errors, 0).sum(-1) / np.maximum(count, 1), np.nan)


def _mean(errors: np.ndarray) -> float:
    return math.nan if np.isnan(errors).all() else float(np.nanmean(errors))


def nme(predicted: np.ndarray, truth: np.ndarray, convention: Convention) -> np.ndarray:
    """Normalised mean error of each face, (N,), in percent of its inter-ocular distance.

    The inter-ocular distance is that of the outer eye corners (Sagonas et al., 2013). A face of which one
    of them is unknown, or both are in one place, has no NME: NaN. ValueError where the convention has no eye corners or the
    landmarks do not reach to them.
    """
    return _mean_of_known(relative_errors(predicted, truth, convention))


def mean_nme(predicted: np.ndarray, truth: np.ndarray, convention: Convention) -> float:
    """Mean over the faces that have an NME, in percent."""
    return _mean(nme(predicted, truth, convention))


def mae(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute difference over all x and y in pixels (the Kaggle score)."""
    return _mean(np.abs(_difference(predicted, truth)))


def failure_rate(errors: np.ndarray, limit: float = 10.0) -> float:
    """Share of faces, of those that have an NME, whose NME exceeds `limit` percent; a face that was not found (inf) does."""
    return _mean(np.where(np.isnan(errors), np.nan, np.asarray(errors) > limit))


def error_curve(errors: np.ndarray, limit: float = 20.0, steps: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative error distribution: thresholds (steps,) and the share of faces, of those with an NME, at or below each."""
    thresholds, errors = np.linspace(0, limit, steps), np.asarray(errors).ravel()
    return thresholds, _mean_of_known(np.where(np.isnan(errors), np.nan, errors <= thresholds[:, None]))


def region_errors(predicted: np.ndarray, truth: np.ndarray, convention: Convention) -> dict[str, float]:
    """Mean distance of each region in percent of the inter-ocular distance; empty for a convention without regions.

    NaN for a region of which no landmark is known.
    """
    if not convention.regions:
        return {}
    relative = relative_errors(predicted, truth, convention)
    if relative.shape[1] != convention.size:
        raise ValueError(f"landmarks of {convention.name!r} are (N, {convention.size}, 2), not (N, {relative.shape[1]}, 2)")
    return {name: float(_mean_of_known(relative[:, list(index)].ravel())) for name, index in convention.regions.items()}
