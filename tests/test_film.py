"""Faces followed through a film: read where they were, new ones found, lost ones left out."""

import numpy as np
import pytest
from PIL import Image

from fkp_utils import predict
from fkp_utils.datasets.personal import free_portraits
from fkp_utils.landmarks import IBUG_68
from fkp_utils.metrics import nme
from fkp_utils.predict import faces as one_photo


def picture(*places):
    """A grey picture of 640x420 with the astronaut's face at some places."""
    face = Image.fromarray(free_portraits()["Eileen Collins"]).crop((130, 20, 310, 200))
    wall = Image.new("RGB", (640, 420), (120, 125, 130))
    for place in places:
        wall.paste(face, place)
    return np.asarray(wall)


@pytest.fixture
def searched(monkeypatch):
    """How many pictures were searched, as a list."""
    real, seen = one_photo.find_faces, []
    monkeypatch.setattr(one_photo, "find_faces", lambda grey, **how: seen.append(grey.size) or real(grey, **how))
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


def test_what_is_no_picture_is_told():
    with pytest.raises(TypeError, match="a photo is a file"):
        list(predict.follow([None]))
