"""Conventions: partners in the mirror image, names, and what they refuse."""

import json

import numpy as np
import pytest

from fkp_utils.landmarks import (
    IBUG_68,
    IMM_58,
    NOSE,
    Convention,
    box_around,
    box_centres,
    box_corners,
    roll,
    rotation,
    square_boxes,
    turned,
    upright_boxes,
)

FIVE = Convention("five", (1, 0, 2, 4, 3), (0, 1), {"eyes": (0, 1), "nose": (2,)}, (((0, 2, 1), False),))


@pytest.mark.parametrize("convention", [IMM_58, IBUG_68], ids=lambda c: c.name)
def test_the_mirror_image_keeps_drawing_and_regions(convention):
    edges = {frozenset(e) for index, closed in convention.lines for e in zip(index, index[1:] + (index[:1] if closed else ()))}
    assert {frozenset(convention.flip[k] for k in e) for e in edges if len(e) == 2} == {e for e in edges if len(e) == 2}
    for indices in convention.regions.values():
        assert {convention.flip[k] for k in indices} == set(indices)
    assert sorted(k for part in convention.regions.values() for k in part) == list(range(convention.size))
    assert [convention.flip[k] for k in convention.eye_corners] == list(convention.eye_corners[::-1])


def test_names_are_region_and_place():
    assert FIVE.names == ["eyes 1", "eyes 2", "nose 1", "3", "4"]
    assert (IBUG_68.names[8], IBUG_68.names[30], IMM_58.names[52], NOSE.names) == ("jaw 9", "nose 4", "nose 6", ["0"])


@pytest.mark.parametrize("values, words", [
    ({"flip": (1, 2, 0)}, "flip must exchange pairs of its 3 landmarks"), ({"flip": (0, 0, 1)}, "flip must exchange"),
    ({"flip": (1, 0), "eye_corners": (0, 2)}, "has landmarks 0 to 1, but speaks of 2"),
    ({"flip": (1, 0), "regions": {"eyes": (0, 5)}}, "speaks of 5"), ({"flip": (1, 0), "lines": (((0, -1), False),)}, "-1")])
def test_what_does_not_fit_is_refused(values, words):
    with pytest.raises(ValueError, match=f"convention 'wrong': .*{words}"):
        Convention("wrong", **values)


@pytest.mark.parametrize("convention", [FIVE, NOSE, IMM_58, IBUG_68], ids=lambda c: c.name)
def test_a_convention_survives_json(convention):
    assert Convention.from_dict(json.loads(json.dumps(convention.to_dict()))) == convention


def test_a_box_lies_around_its_landmarks():
    """Landmarks 80 wide and 20 high: a side of 40 times 1.057, its centre 0.087 sides above theirs."""
    landmarks = np.zeros((1, 68, 2))
    landmarks[0, 1] = [80, 20]
    side = 40 * 1.057
    np.testing.assert_allclose(box_around(landmarks, IBUG_68), [[40.5 - side / 2, 10.5 - 0.087 * side - side / 2, side, side]])
    with pytest.raises(ValueError, match="'five' does not say"):
        box_around(landmarks, FIVE)


def test_roll_is_the_turn_of_the_line_between_partners():
    """A symmetrical face turned by known angles; one that looks aside, which narrows it, has none."""
    rng = np.random.default_rng(0)
    for convention in (IBUG_68, IMM_58):
        half = rng.uniform(5, 50, (convention.size, 2))
        flip, k = np.array(convention.flip), np.arange(convention.size)
        left, right = convention.eye_corners
        face = np.where((k < flip)[:, None] == (left < right), half * [-1, 1], half[flip])
        face[k == flip, 0] = 0
        for degrees in (0, 25, -70, 135, 180):
            angle = np.deg2rad(degrees)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            [found] = roll((face * [0.6, 1] @ turn.T + [100, 50])[None], convention)
            assert abs((found - degrees + 180) % 360 - 180) < 1e-9


def test_corners_of_a_box_turn_about_its_centre():
    boxes, rolls = np.array([[0.0, 0, 10, 20]] * 2), np.array([0.0, 90])
    upright, quarter = box_corners(boxes, rolls)
    np.testing.assert_allclose(upright, [[-0.5, -0.5], [9.5, -0.5], [9.5, 19.5], [-0.5, 19.5]])
    np.testing.assert_allclose(quarter, [[14.5, 4.5], [14.5, 14.5], [-5.5, 14.5], [-5.5, 4.5]])


def test_a_box_of_pixels_3_to_12_has_its_centre_between_7_and_8():
    np.testing.assert_allclose(box_centres(np.array([[3.0, 20, 10, 4]])), [[7.5, 21.5]])
    np.testing.assert_allclose(square_boxes(np.array([[7.5, 24.5]]), np.array([10.0])), [[3, 20, 10, 10]])


def test_a_quarter_clockwise_turns_right_into_down():
    np.testing.assert_allclose(rotation(90), [[0, -1], [1, 0]], atol=1e-12)
    np.testing.assert_allclose(rotation(np.array([30.0, -90])), [[[3**0.5 / 2, -0.5], [0.5, 3**0.5 / 2]], [[0, 1], [-1, 0]]],
                               atol=1e-12)
    points = turned(np.array([[[2.0, 0], [0, 3]], [[2, 0], [0, 3]]]), np.array([90.0, 180]))
    np.testing.assert_allclose(points, [[[0, 2], [-3, 0]], [[-2, 0], [0, -3]]], atol=1e-12)


def symmetrical_face():
    """Landmarks (68, 2) about x = 0."""
    rng = np.random.default_rng(2)
    half, flip = np.stack([rng.uniform(2, 50, 68), rng.uniform(0, 120, 68)], 1), np.array(IBUG_68.flip)
    face = np.where((np.arange(68) < flip)[:, None], half * [-1, 1], half[flip])
    face[np.arange(68) == flip, 0] = 0
    return face


@pytest.mark.parametrize("degrees", [0, 17, -100])
def test_the_box_of_the_mirror_image_is_the_mirrored_box(degrees):
    """In a picture 640 wide. A box covers pixels left to left + width - 1, its mirror image begins at 640 - left - width."""
    points = turned(symmetrical_face()[None] * [1, 0.8], np.array([degrees])) + [211.3, 97.9]
    points[0, 3] += [-9, 4]                                              # no face is symmetrical
    mirrored = (points * [-1, 1] + [639, 0])[:, list(IBUG_68.flip)]
    for (box, turn), (other, back) in ((upright_boxes(points, IBUG_68), upright_boxes(mirrored, IBUG_68)),
                                       ((box_around(points, IBUG_68), 0), (box_around(mirrored, IBUG_68), 0))):
        left, top, width, height = box[0]
        np.testing.assert_allclose(other[0], [640 - left - width, top, width, height], atol=1e-9)
        np.testing.assert_allclose(back, -np.array(turn), atol=1e-9)


def test_upright_boxes_turn_with_the_face():
    """The box of the turned face is the box of the upright one, turned about the same point."""
    face = symmetrical_face() + [50, 0]
    straight, none = upright_boxes(face[None], IBUG_68)
    np.testing.assert_allclose(straight, box_around(face[None], IBUG_68), atol=1e-9)
    assert abs(none[0]) < 1e-6
    quarter = face @ np.array([[0, 1], [-1, 0]])                                      # (x, y) -> (-y, x): 90 degrees clockwise
    boxes, rolls = upright_boxes(quarter[None], IBUG_68)
    assert rolls[0] == pytest.approx(90) and np.allclose(boxes[0, 2:], straight[0, 2:])
    x, y = straight[0, :2] + straight[0, 2:] / 2 - 0.5
    np.testing.assert_allclose(boxes[0, :2] + boxes[0, 2:] / 2 - 0.5, [-y, x])
