"""Metrics on numbers small enough to check by hand."""

import numpy as np
import pytest

from fkp_utils.metrics import error_curve, failure_rate, mae, mean_shape, nme, normalised_mse, point_errors, region_errors


@pytest.mark.parametrize("n, corners", [(58, (21, 13)), (68, (36, 45))])
def test_nme_is_distance_over_outer_eye_corners_in_percent(n, corners):
    truth = np.zeros((2, n, 2))
    truth[:, corners[1], 0] = 50
    np.testing.assert_allclose(nme(truth + [3, 4], truth), [10, 10])


def test_mse_is_a_fraction_of_width_and_height():
    truth = np.zeros((1, 1, 2))
    assert normalised_mse(truth + [8, 0], truth, (60, 80)) == pytest.approx(0.005)


def test_mae_is_over_all_coordinates():
    assert mae(np.array([[[1., -3.]]]), np.zeros((1, 1, 2))) == 2


def test_point_errors_and_mean_shape():
    assert point_errors(np.array([[3., 4.]]), np.zeros((1, 2))) == pytest.approx(5)
    np.testing.assert_allclose(mean_shape(np.array([[[0., 2.]], [[4., 4.]]])), [[2, 3]])


def test_error_curve_counts_faces_below_each_threshold():
    x, y = error_curve(np.array([1., 5., 30.]), limit=20, steps=21)
    assert (x[1], y[0], y[1], y[5], y[20]) == (1, 0, pytest.approx(1 / 3), pytest.approx(2 / 3), pytest.approx(2 / 3))


def test_failure_rate():
    assert failure_rate(np.array([1, 11, 12, 3])) == 0.5


def test_region_errors_see_only_their_region():
    truth = np.zeros((1, 68, 2))
    truth[0, 45, 0] = 100
    wrong = truth.copy()
    wrong[0, :17, 1] += 5
    errors = region_errors(wrong, truth)
    assert errors["jaw"] == pytest.approx(5) and errors["mouth"] == 0
