"""Faces followed through a film: read where they were, new ones found, lost ones left out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fkp_utils import predict
from fkp_utils.datasets.personal import free_portraits
from fkp_utils.landmarks import IBUG_68
from fkp_utils.metrics import nme
from fkp_utils.nets.quantised import Quantised
from fkp_utils.predict import faces as one_photo
from fkp_utils.predict import film as following


def picture(*places, side=180):
    """A grey picture of 640x420 with the astronaut's face, so large, at some places."""
    face = Image.fromarray(free_portraits()["Eileen Collins"]).crop((130, 20, 310, 200)).resize((side, side))
    wall = Image.new("RGB", (640, 420), (120, 125, 130))
    for place in places:
        wall.paste(face, place)
    return np.asarray(wall)


@pytest.fixture
def searched(monkeypatch):
    """How many pictures were searched, as a list."""
    real, seen = following.find_faces, []
    for module in (following, one_photo):
        monkeypatch.setattr(module, "find_faces", lambda photo, **how: seen.append(1) or real(photo, **how))
    return seen


@pytest.fixture
def both(monkeypatch):
    """How many faces were looked at together with their mirror images, each time."""
    real, seen = Quantised.landmarks, []
    monkeypatch.setattr(Quantised, "landmarks", lambda run, images: seen.append(len(images) // 2) or real(run, images))
    return seen


def test_a_moving_face_is_read_where_it_goes_and_the_picture_searched_once_in_ten(searched):
    film = [picture((20 + 6 * k, 60 + 3 * k)) for k in range(13)]
    [first], *rest = list(predict.follow(film))
    assert len(searched) == 2
    for k, [face] in enumerate(rest, 1):
        moved = first.landmarks + [6 * k, 3 * k]
        assert nme(face.landmarks[None], moved[None], IBUG_68)[0] < 1.5
    alone = predict.landmarks(film[7], fast=True)[0]
    assert nme(rest[6][0].landmarks[None], alone.landmarks[None], IBUG_68)[0] < 1.5


def test_a_new_face_is_found_at_the_next_search_and_a_lost_one_left_out(searched):
    left, right = (30, 100), (400, 120)
    film = [picture(left)] * 3 + [picture(left, right)] * 9 + [picture(right)] * 2 + [picture()] * 2
    counts = [len(faces) for faces in predict.follow(film)]
    assert counts == [1] * 10 + [2, 2] + [1, 1] + [0, 0]
    assert len(searched) == 2 + 2                                        # pictures 0 and 10, and the last two, without any


def test_faces_keep_their_places():
    a, b = (30, 100), (400, 120)
    film = [picture(a), *[picture(a, b)] * 3]
    *_, last = predict.follow(film, search_every=2)
    assert [face.box[0] < 300 for face in last] == [True, False]


def test_pictures_of_another_size_are_searched_anew(searched):
    large = np.asarray(Image.fromarray(picture((200, 100))).resize((960, 630)))
    counts = [len(faces) for faces in predict.follow([picture((30, 100)), large, large, large[:1, :1]])]
    assert counts == [1, 1, 1, 0] and len(searched) == 3


def test_no_picture_searched_is_one_sentence():
    for number in (0, 1.5):
        with pytest.raises(ValueError, match=f"search_every is {number}: a whole number of pictures, at least 1"):
            next(predict.follow([picture()], search_every=number))


@pytest.mark.parametrize("given", ["film.mp4", Path("film.mp4"), b"film", picture(), torch.zeros(20, 30, 3)],
                         ids=lambda given: type(given).__name__)
def test_what_is_no_film_is_told_at_once(given):
    """A picture's rows would be taken for pictures, a name's letters for files; grey pictures in an array are a film."""
    with pytest.raises(TypeError, match="takes the pictures of a film one by one"):
        next(predict.follow(given))
    assert [*predict.follow(np.zeros((2, 40, 50), np.uint8))] == [[], []]


def test_what_is_no_picture_is_told():
    with pytest.raises(TypeError, match="a photo is a file"):
        list(predict.follow([None]))


def test_where_a_fast_net_is_sure_it_does_not_look_at_the_mirror_image(both):
    film = [picture((20 + 6 * k, 60)) for k in range(9)]
    followed = [face for face, in predict.follow(film)]
    assert both == [1]                                                    # of the first picture, which had to be searched
    assert {face.confidence for face in followed} == {followed[0].confidence}
    both.clear()
    exact = [face for face, in predict.follow(film, predict.default_net(fast=True), fast=False)]
    assert both == [1] * 9
    for face, other in zip(followed, exact):                              # no side: that of the labels would be 0.9 %
        aside = (face.landmarks - other.landmarks).mean(0) @ [1, 0] / np.linalg.norm(other.landmarks[36] - other.landmarks[45])
        assert abs(aside) < 0.004


def test_a_face_that_is_turned_away_between_two_pictures_is_looked_at_both_ways_and_left_out(both):
    turned = np.rot90(picture((200, 100)), 2)                             # upside down, where the face was
    film = [picture((260, 140)), turned]
    counts = [len(found) for found in predict.follow(film, search_every=99)]
    assert both[1] == 1 and counts[0] == 1


def test_two_boxes_that_end_at_the_same_face_are_one_face(monkeypatch):
    """Boxes 0.56 sides apart, which the finder takes for two faces."""
    film = [picture((200, 100))] * 3
    [face] = predict.landmarks(film[0], fast=True)
    beside = [np.r_[face.box + [0.28 * sign * face.box[2], 0, 0, 0], 0, 0.9] for sign in (-1, 1)]
    for module in (following, one_photo):
        monkeypatch.setattr(module, "find_faces", lambda photo, **how: np.array(beside))
    assert [len(faces) for faces in predict.follow(film, search_every=99)] == [1, 1, 1]


def test_two_followed_faces_that_come_to_one_are_the_earlier(monkeypatch):
    """Even where the later one was surer when it was found."""
    found = [predict.Face(np.array([x, 10.0, 40, 40]), np.zeros((68, 2)), sure) for x, sure in ((10, 0.7), (90, 0.9))]
    monkeypatch.setattr(following, "_new_faces", lambda *rest: found)
    monkeypatch.setattr(following, "_read_again", lambda array, faces, *rest: [
        replace(face, box=found[0].box) for face in faces])
    first, second = predict.follow([np.zeros((100, 200, 3), np.uint8)] * 2, search_every=99)
    assert first == found and [face.confidence for face in second] == [0.7]


def test_a_face_that_leaves_the_picture_is_lost_whatever_confidence_is_asked_for():
    """Down and out: what is left of it drags its box with it, and there is no answer that would be rejected."""
    *_, last = predict.follow([picture((230, 100 + 10 * k)) for k in range(34)], min_confidence=0.0, search_every=99)
    assert all(face.box[1] < 420 for face in last)


def test_who_asks_for_more_than_the_usual_confidence_gets_it_of_each_picture(both):
    film = [picture((20 + 6 * k, 60)) for k in range(4)]
    followed = [face for face, in predict.follow(film, min_confidence=0.75)]
    assert both == [1] * 4
    assert len({face.confidence for face in followed}) == 4


def test_a_face_twice_as_large_after_a_cut_is_read_as_in_a_photo():
    """In the box of before its heatmaps are narrow, too, and its landmarks 10 % off; in a third box, 2."""
    film = [picture((255, 165), side=90), picture((210, 120))]
    _, [again] = predict.follow(film, search_every=99)
    [alone] = predict.landmarks(film[1], fast=True)
    assert nme(again.landmarks[None], alone.landmarks[None], IBUG_68)[0] < 2.5


def test_what_the_caller_does_with_a_pictures_list_changes_no_later_one():
    counts = []
    for faces in predict.follow([picture((30, 100), (400, 120))] * 3, search_every=99):
        counts.append(len(faces))
        faces.pop()
    assert counts == [2] * 3


def test_heatmaps_that_are_no_numbers_are_not_sure(both, monkeypatch):
    real = Quantised.landmarks_and_spread
    monkeypatch.setattr(Quantised, "landmarks_and_spread", lambda run, images: (real(run, images)[0], np.full((1, 68), np.nan)))
    assert [len(faces) for faces in predict.follow([picture((200, 100))] * 2, search_every=99)] == [1, 1]
    assert both == [1, 1]
