"""Landmarks for any photo.

    from fkp_utils import predict
    faces = predict.landmarks("photo.jpg")
    predict.draw("photo.jpg", faces)
    for faces in predict.follow(pictures):       # of a film or a camera
        ...

    python -m fkp_utils.predict PHOTO... [--out DIR] [--json] [--csv] [--resume] [--fast] [--box L,T,W,H[,ROLL]]
"""

from .faces import (
    BATCH, MIN_CONFIDENCE, QUANTISED, QUANTISED_SMALL, SECOND_LOOK_SHIFT, SMALL, WEIGHTS, Face, both_ways, compared,
    default_net, draw, drawn, face_heatmaps, landmarks, landmarks_in_boxes)
from .film import follow
from .photos import in_photos, photos_named
