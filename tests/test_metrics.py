"""Metrics on numbers small enough to check by hand."""


import numpy as np
import pytest

from fkp_utils.landmarks import IBUG_68, IMM_58, NOSE, Convention
from fkp_utils.metrics import (
    error_curve,
    failure_rate,
    mae,
    mean_nme,
    mean_shape,
    nme,
    normalised_mse,
    point_errors,
    region_errors,
    relative_errors,
)


@pytest.mark.parametrize("convention, corner", [(IMM_58, 13), (IBUG_68, 45)])
def test_nme_is_distance_over_outer_eye_corners_in_percent(convention, corner):
    truth = np.zeros((2, convention.size, 2))
    truth[:, corner, 0] = 50
    np.testing.assert_allclose(nme(truth + [3, 4], truth, convention), [10, 10])


def test_mse_is_a_fraction_of_width_and_height():
    truth = np.zeros((1, 1, 2))
    assert normalised_mse(truth + [8, 0], truth, (60, 80)) == pytest.approx(0.005)
    assert normalised_mse(truth + [0, 12], truth, (60, 80)) == pytest.approx(0.02)


def test_mae_is_over_all_coordinates():
    assert mae(np.array([[[1., -3.]]]), np.zeros((1, 1, 2))) == 2


def test_point_errors_and_mean_shape():
    assert point_errors(np.array([[3., 4.]]), np.zeros((1, 2))) == pytest.approx(5)
    np.testing.assert_allclose(mean_shape(np.array([[[0., 2.]], [[4., 4.]]])), [[2, 3]])


def test_error_curve_counts_faces_below_each_threshold():
    x, y = error_curve(np.array([1., 5., 30.]), steps=21)
    assert (x[1], y[0], y[1], y[5], y[20]) == (1, 0, pytest.approx(1 / 3), pytest.approx(2 / 3), pytest.approx(2 / 3))


def test_failure_rate():
    assert failure_rate(np.array([1, 11, 12, 3])) == 0.5


def test_region_errors_see_only_their_region():
    truth = np.zeros((1, 68, 2))
    truth[0, 45, 0] = 100
    wrong = truth.copy()
    wrong[0, :17, 1] += 5
    errors = region_errors(wrong, truth, IBUG_68)
    assert errors["jaw"] == pytest.approx(5) and errors["mouth"] == 0


def test_the_failure_limit_is_ten_percent():
    assert failure_rate(np.array([9.9, 10.1, 10.3, 3])) == 0.5


def test_unknown_landmarks_count_nowhere():
    """Four of 68 landmarks are known: both eye corners, 50 apart and right, and two that are 5 and 10 off."""
    truth = np.full((1, 68, 2), np.nan)
    truth[0, [36, 45, 0, 30]] = [[0, 0], [50, 0], [-10, 30], [25, 20]]
    predicted = np.nan_to_num(truth)
    predicted[0, 0] += [3, 4]
    predicted[0, 30] += [6, 8]
    np.testing.assert_allclose(nme(predicted, truth, IBUG_68), [100 * (5 + 10) / 4 / 50])
    assert mae(predicted, truth) == pytest.approx((3 + 4 + 6 + 8) / 8)
    assert normalised_mse(predicted, truth, (100, 100)) == pytest.approx((9 + 16 + 36 + 64) / 8 / 100**2)
    regions = region_errors(predicted, truth, IBUG_68)
    assert regions["jaw"] == pytest.approx(10) and regions["nose"] == pytest.approx(20) and regions["eyes"] == 0
    assert np.isnan(regions["brows"])                          # none of them is known


def test_a_face_without_an_eye_corner_has_no_nme_and_is_left_out_of_the_mean():
    truth = np.zeros((2, 68, 2))
    truth[:, 45, 0] = 50
    truth[1, 36] = np.nan
    errors = nme(truth + [3, 4], truth, IBUG_68)
    assert errors[0] == pytest.approx(10) and np.isnan(errors[1])
    assert mean_nme(truth + [3, 4], truth, IBUG_68) == pytest.approx(10)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_face_whose_eye_corners_are_in_one_place_has_no_nme_and_is_left_out_of_the_mean(kind):
    truth = np.zeros((3, 68, 2), kind)
    truth[:2, 45, 0] = 50
    predicted = truth + np.array([3, 4], kind)
    np.testing.assert_allclose(nme(predicted, truth, IBUG_68), [10, 10, np.nan], rtol=1e-6)
    assert mean_nme(predicted, truth, IBUG_68) == pytest.approx(10) and mean_nme(truth, truth, IBUG_68) == 0
    predicted[1] = np.nan                                      # not found
    assert failure_rate(nme(predicted, truth, IBUG_68)) == 0.5 and np.isnan(nme(truth, truth, IBUG_68)[2])
    regions = region_errors(predicted[[0, 2]], truth[[0, 2]], IBUG_68)
    assert len(regions) == 5 and list(regions.values()) == pytest.approx([10] * 5)


NAN, INF = np.nan, np.inf


@pytest.mark.parametrize("errors, failures, curve", [
    ([5, 15, 30], 2 / 3, [0, 1 / 3, 2 / 3]), ([5, NAN, 15, NAN, 30], 2 / 3, [0, 1 / 3, 2 / 3]),
    ([5, INF, 15, NAN], 2 / 3, [0, 1 / 3, 2 / 3]), ([INF, NAN], 1, [0] * 3), ([NAN], NAN, [NAN] * 3), ([], NAN, [NAN] * 3)])
@pytest.mark.filterwarnings("error")
def test_a_face_without_an_nme_counts_nowhere_and_one_that_was_not_found_is_a_failure(errors, failures, curve):
    """Of the faces with an NME 5 and 15 are below 20 at the curve's end, 5 alone at its middle."""
    np.testing.assert_allclose(failure_rate(np.array(errors, float)), failures)
    np.testing.assert_allclose(error_curve(np.array(errors, float), limit=20, steps=3)[1], curve)


@pytest.mark.filterwarnings("error")
def test_landmarks_that_were_not_found_are_no_perfect_answer():
    """Two faces of three landmarks, eye corners 50 apart. In the first one is 5 px off, in the second one was not found."""
    truth = np.array([[[0, 0], [50, 0], [25, 30]]] * 2, np.float32)
    three = Convention("three", flip=(1, 0, 2), eye_corners=(0, 1), regions={"eyes": (0, 1), "nose": (2,)})
    predicted = truth.copy()
    predicted[0, 2] += [3, 4]
    predicted[1, 2] = np.nan
    assert point_errors(predicted, truth).tolist() == [[0, 0, 5], [0, 0, INF]] and point_errors(predicted, truth).dtype == "f4"
    np.testing.assert_allclose(nme(predicted, truth, three), [100 * 5 / 3 / 50, INF], rtol=1e-6)
    assert failure_rate(nme(predicted, truth, three)) == 0.5
    assert mean_nme(predicted, truth, three) == mae(predicted, truth) == normalised_mse(predicted, truth, (60, 80)) == INF
    assert region_errors(predicted, truth, three) == {"eyes": 0, "nose": INF}
    truth[1, 2] = np.nan                                       # nobody knows it: not finding it is no mistake
    np.testing.assert_allclose(nme(predicted, truth, three), [100 * 5 / 3 / 50, 0], rtol=1e-6)
    assert mae(predicted, truth) == pytest.approx((3 + 4) / 10)


@pytest.mark.filterwarnings("error")
def test_where_nothing_is_known_there_is_no_mean():
    truth = np.full((2, 68, 2), np.nan)
    for found in (np.zeros_like(truth), truth):
        means = mean_nme(found, truth, IBUG_68), mae(found, truth), normalised_mse(found, truth, (10, 10))
        assert np.isnan(means).all() and np.isnan(list(region_errors(found, truth, IBUG_68).values())).all()


def test_a_mean_shape_is_that_of_the_known():
    shapes = np.array([[[0., 2.], [1., 1.]], [[4., 4.], [np.nan, np.nan]]])
    np.testing.assert_allclose(mean_shape(shapes), [[2, 3], [1, 1]])
    with pytest.raises(ValueError, match="landmark 1 is unknown in each of the 1 faces"):
        mean_shape(shapes[1:])


def test_no_eye_corners_no_nme():
    with pytest.raises(ValueError, match="'nose tip' has no eye corners"):
        nme(np.zeros((1, 1, 2)), np.zeros((1, 1, 2)), NOSE)
    assert region_errors(np.zeros((1, 1, 2)), np.zeros((1, 1, 2)), NOSE) == {}


FACES = np.random.default_rng(0).uniform(0, 99, (2, 68, 2))
MEASURES = {"mae": mae, "point_errors": point_errors, "mse": lambda a, b: normalised_mse(a, b, (10, 10)),
            "nme": lambda a, b: nme(a, b, IBUG_68), "mean_nme": lambda a, b: mean_nme(a, b, IBUG_68),
            "relative": lambda a, b: relative_errors(a, b, IBUG_68), "regions": lambda a, b: region_errors(a, b, IBUG_68)}


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.filterwarnings("error")
def test_landmarks_of_other_shapes_are_never_broadcast(measure):
    """One landmark or one face would do for all by numpy's rules."""
    for other in (FACES[:1], FACES[:, :1], FACES[0], FACES[..., :1], FACES[:0], FACES[None], np.float64(3)):
        for pair in ((FACES, other), (other, FACES)):
            with pytest.raises(ValueError, match="landmarks"):
                MEASURES[measure](*pair)
    for odd in (FACES.astype(object), FACES.astype(str), FACES > 9, FACES.astype(complex)):
        with pytest.raises(ValueError, match=r"landmarks are numbers .*, not \(2, 68, 2\) of"):
            MEASURES[measure](odd, FACES)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.filterwarnings("error")
def test_an_infinite_true_landmark_is_an_error_and_no_face_is_no_error(measure):
    truth = FACES.copy()
    truth[1, 3, 0] = INF
    with pytest.raises(ValueError, match="a true landmark is infinite"):
        MEASURES[measure](FACES, truth)
    found = MEASURES[measure](FACES[:0], FACES[:0])
    assert np.isnan(list(found.values()) if isinstance(found, dict) else found).all()


def test_a_landmark_whose_y_nobody_knows_is_unknown():
    truth = np.array([[[0., 0.], [10., NAN]]])
    predicted = np.array([[[3., 1.], [99., 5.]]])
    assert mae(predicted, truth) == 2 and np.isnan(point_errors(predicted, truth)[0, 1])
    np.testing.assert_array_equal(mean_shape(np.concatenate([truth, predicted])), [[1.5, 0.5], [99, 5]])


def test_a_mean_shape_is_that_of_faces():
    for wrong in (FACES[0], FACES[None], FACES[:0], FACES[..., 0]):
        with pytest.raises(ValueError):
            mean_shape(wrong)
