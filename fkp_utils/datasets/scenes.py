"""Pictures of many faces, composed from a face dataset: what a finder learns from.

Faces are cut out of the dataset's photos, scaled, turned by any angle and put over pictures without faces: the generator's
backdrops and photos that come with scikit-image. Some are painted over and count as background, so that hair and
shoulders alone are no face. Other scenes are photos as they are, turned, with all the people in them.
"""

import copy
import json
from functools import cache, cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter
from tqdm.auto import tqdm

from ..folders import MEASURED
from ..landmarks import Convention, rotation, upright_boxes
from .backdrops import clutter
from .base import FaceDataset, register
from .crop import Crop
from .ibug import IBugFaces

FACES = 16                                   # at most in one scene
# Two points a face: the centre of its box, and the middle of the box's upper edge, which give its size and roll. The last
# point is known where all faces of the scene are.
SCENE = Convention("scene", flip=tuple(range(2 * FACES + 1)))
CUT = Crop(margin=2.4, shift=0.1, size=360)  # a face's box is 150 px wide there
SIDES = (9, 240)                             # of a face's box, pixels: at least; at most in a scene of 256
# Other people in the photos of iBUG 300-W; see bench/shipped_files/find_unlabelled.py.
UNLABELLED = MEASURED / "unlabelled.json"
# scikit-image's pictures without people: these to train, the others (moon, retina, cell, ...) to judge.
BACKDROPS = ("brick", "chelsea", "coffee", "coins", "grass", "motorcycle_left", "page", "rocket")


@cache
def _backdrops() -> list[np.ndarray]:
    from skimage import data as skimage_data

    folder = Path(skimage_data.__file__).parent
    return [np.asarray(Image.open(next(folder.glob(f"{name}.*"))).convert("L")) for name in BACKDROPS]


def points_of(boxes: np.ndarray, rolls: np.ndarray) -> np.ndarray:
    """Centre and upper middle (N, 2, 2) of boxes (N, 4) turned by `rolls` (N,) degrees about their centres."""
    return points_at(boxes[:, :2] + boxes[:, 2:] / 2 - 0.5, boxes[:, 3], rolls)


def points_at(centre: np.ndarray, sides: np.ndarray, rolls: np.ndarray) -> np.ndarray:
    """The same of boxes with a centre (N, 2) and a side (N,), as `UNLABELLED` has them."""
    angle = np.deg2rad(rolls)
    return np.stack([centre, centre + np.stack([np.sin(angle), -np.cos(angle)], 1) * sides[:, None] / 2], 1)


def faces_of(points: np.ndarray) -> np.ndarray:
    """The faces (k, 2, 2) among the points (33, 2) of one scene: each one's centre and the middle of its box's upper edge."""
    pairs = points[:-1].reshape(-1, 2, 2)
    return pairs[np.isfinite(pairs).all((1, 2))]


def _unlabelled(faces: IBugFaces) -> list[tuple[np.ndarray, bool]]:
    """For each face's crop the points (k, 2, 2) of further people in it, and whether there may be more."""
    table, answer = json.loads(UNLABELLED.read_text(encoding="utf-8")), []
    for name, box in zip(faces.names, faces.boxes):
        row = table.get(name, {"faces": [], "more": False})
        places = np.array(row["faces"], float).reshape(-1, 4)
        points = points_at(places[:, :2], places[:, 2], places[:, 3])
        answer.append((faces.crop.to_crop(points.reshape(1, -1, 2), box[None]).reshape(-1, 2, 2), row["more"]))
    return answer


@register("scenes")
class Scenes(FaceDataset):
    """Scenes of 0 to 16 faces. `landmarks` (N, 33, 2) are the points of `SCENE`, NaN where there is no further face.

    root, split : faces of iBUG's format, as `IBugFaces` takes them; size : (height, width) of the scenes; count : how many
    (default: eight for each face to train on, one for each of the others)
    """

    convention = SCENE

    def __init__(self, root, split="train", size=(256, 256), count: int | None = None, seed: int = 0):
        self.faces, self.scene_size, self.seed = IBugFaces(root, split, CUT), size, [seed, split == "train"]
        count = count or (8 * len(self.faces) if split == "train" else len(self.faces))
        self.names = [f"scene {k}" for k in range(count)]

    # uint8 (N, h, w) and float32 (N, 33, 2), composed when they are first asked for
    images = property(lambda self: self._composed[0])     # type: ignore[assignment]
    landmarks = property(lambda self: self._composed[1])  # type: ignore[assignment]

    @cached_property
    def _composed(self) -> tuple[np.ndarray, np.ndarray]:
        boxes, rolls = upright_boxes(self.faces.landmarks, self.faces.convention)
        composer = _Composer(self.faces.images, points_of(boxes, rolls), _unlabelled(self.faces), self.scene_size)
        images = np.empty((len(self), *self.scene_size), np.uint8)
        landmarks = np.full((len(self), SCENE.size, 2), np.nan, np.float32)
        for k in tqdm(range(len(self)), "composing scenes", unit="scene", mininterval=1):
            images[k], found, complete = composer.scene(np.random.default_rng([*self.seed, k]))
            landmarks[k, :2 * len(found)] = np.reshape(found, (-1, 2))
            if complete:
                landmarks[k, -1] = 0
        return images, landmarks

    def first(self, count):
        """The first `count` scenes; only these are composed."""
        part = copy.copy(self)
        part.__dict__.pop("_composed", None)
        part.names = self.names[:count]
        return part if count < len(self) else self           # a copy would compose them all again

    def scores(self, predicted: np.ndarray) -> dict[str, float]:
        """Faces found, in percent, and wrong ones in 100 faces, for points (N, 33, 2). `matched` says which is which.

        Wrong ones are counted in scenes whose faces are all labelled.
        """
        faces, hits, wrong, complete = 0, 0, 0, 0
        for found, true in zip(map(faces_of, predicted), self.landmarks):
            true_faces = faces_of(true)
            good = int((matched(found, true_faces) >= 0).sum())
            faces, hits = faces + len(true_faces), hits + good
            if np.isfinite(true[-1]).all():
                complete, wrong = complete + len(true_faces), wrong + len(found) - good
        return {"found": 100 * hits / max(faces, 1), "wrong": 100 * wrong / max(complete, 1)}


def matched(found: np.ndarray, true: np.ndarray, reach: float = 1 / 3, ratio: float = 1.6) -> np.ndarray:
    """For each true face (k, 2, 2) the index of the found one (n, 2, 2) that is it, or -1.

    Its centre is at most `reach` sides away and its size within a factor of `ratio`; each once, as many as possible, and of
    all ways to pair these the one with the least sum of distances in sides.
    """
    from scipy.optimize import linear_sum_assignment

    answer = np.full(len(true), -1)
    side = 2 * np.linalg.norm(true[:, 1] - true[:, 0], axis=-1)
    distance = np.linalg.norm(true[:, None, 0] - found[None, :, 0], axis=-1) / side[:, None]
    larger = 2 * np.linalg.norm(found[:, 1] - found[:, 0], axis=-1)[None] / side[:, None]
    far = ~((distance <= reach) & (larger <= ratio) & (larger >= 1 / ratio))
    rows, columns = linear_sum_assignment(np.where(far, len(true) * reach + 1, distance))     # more than all others together
    answer[rows] = np.where(far[rows, columns], -1, columns)
    return answer


class _Composer:
    """Puts faces together.

    crops : (N, s, s); points : (N, 2, 2), the two points of each one's face in its pixels; others : for each crop the points
    (k, 2, 2) of further people, and whether there may be more of them
    """

    def __init__(self, crops: np.ndarray, points: np.ndarray, others: list[tuple[np.ndarray, bool]], size: tuple[int, int]):
        self.crops, self.points, self.others, self.size = crops, points, others, size
        self.sides = 2 * np.linalg.norm(points[:, 1] - points[:, 0], axis=1)
        self.unit = min(size) / 256

    def scene(self, rng: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray], bool]:
        """A picture, the points (2, 2) of its faces, and whether they are all its faces."""
        picture, complete = self._backdrop(rng)
        found = list[np.ndarray]()
        kind = rng.choice(["collage", "photo", "sheet", "empty"], p=[.45, .25, .15, .15])
        if kind == "photo":                  # the whole crop, large, at any angle; more of it may be out of sight
            side = self.unit * np.exp(rng.uniform(np.log(40), np.log(SIDES[1])))
            complete &= self._paste(rng, picture, found, side, self._place(rng, side))
        elif kind == "sheet":                # several photos side by side
            n = int(rng.integers(2, 5))
            cell = np.array(self.size[::-1]) / n
            for i, j in np.ndindex(n, n):
                side = rng.uniform(.35, .55) * cell.min()
                place = (np.array([j, i]) + rng.uniform(.4, .6, 2)) * cell
                complete &= self._paste(rng, picture, found, side, place, cell=cell)
        else:
            many = int(rng.integers(1, 9)) if kind == "collage" else int(rng.integers(0, 4))
            most = self.unit * max(SIDES[1] / max(1, many) ** 0.5, 30)
            for _ in range(many):
                side = np.exp(rng.uniform(np.log(SIDES[0]), np.log(most)))
                self._paste(rng, picture, found, side, self._place(rng, side), alone=True,
                            painted=kind == "empty" or rng.random() < .08)
        return self._degrade(rng, picture), found, complete

    def _place(self, rng, side):
        reach = np.minimum(0.4 * side, np.array(self.size[::-1]) / 2 - 1)
        return rng.uniform(reach, np.array(self.size[::-1]) - 1 - reach)

    def _backdrop(self, rng) -> tuple[Image.Image, bool]:
        """A picture without labelled faces, and whether there are surely no others."""
        h, w = self.size
        source = rng.choice(["generated", "surroundings", "free"], p=[.4, .3, .3])
        if source == "generated":
            grey = clutter(rng, self.size).mean(0) ** (1 / 2.2)
            return Image.fromarray((grey.clip(0, 1) * 255).astype(np.uint8)), True
        complete = True
        if source == "free":
            whole = _backdrops()[rng.integers(len(_backdrops()))]
            side = int(min(whole.shape) * rng.uniform(.2, 1))
        else:                                # to the left or right of a face, or below
            k = rng.integers(len(self.crops))
            whole, complete = self.crops[k], not len(self.others[k][0]) and not self.others[k][1]
            side = int(len(whole) * rng.uniform(.16, .27))
            whole = [whole[:, :side], whole[:, -side:], whole[-side:]][rng.integers(3)]
        y, x = (int(rng.integers(0, length - side + 1)) for length in whole.shape)
        part = np.rot90(whole[y:y + side, x:x + side], rng.integers(4))
        return Image.fromarray(part.copy()).resize((w, h), Image.Resampling.BICUBIC), complete

    def _paste(self, rng, picture, found, side, place, alone=False, painted=False, cell=None) -> bool:
        """Put a random face with a box of `side` px at `place` (x, y), turned by any angle.

        Either what is around it in its photo comes along, cut off at a `cell` (width, height) of a sheet, or the face comes
        `alone`, unless it would cover another. The points of all faces go to `found`; whether these are all is returned.
        """
        if len(found) == FACES:
            return True
        if alone and any(np.linalg.norm(at - place) < 0.62 * (side + 2 * np.linalg.norm(top - at)) for at, top in found):
            return True
        k = int(rng.integers(len(self.crops)))
        roll = rng.normal(0, 12) if rng.random() < .4 else rng.uniform(-180, 180)
        factor, crop = side / self.sides[k], Image.fromarray(self.crops[k])
        small = max(8, round(crop.width * min(1.0, factor)))          # anti-aliased, then turned
        crop = crop.resize((small, small), Image.Resampling.BILINEAR, reducing_gap=2.0)
        shrunk = small / len(self.crops[k])
        centre = (self.points[k, 0] + 0.5) * shrunk - 0.5
        rest = factor / shrunk
        if painted:
            crop = self._painted_over(rng, crop, centre, side / rest)
        mask = self._around_the_face(rng, small, centre, side / rest) if alone else Image.new("L", crop.size, 255)
        back = rotation(-roll) / rest                                  # scene -> crop
        offset = centre + 0.5 - back @ (np.asarray(place) + 0.5)
        how = (picture.size, Image.Transform.AFFINE, (*back[0], offset[0], *back[1], offset[1]), Image.Resampling.BILINEAR)
        mask = mask.transform(*how)
        low, high = np.zeros(2), np.array(picture.size)
        if cell is not None:
            low = np.floor(np.asarray(place) / cell) * cell
            high, inside = low + cell, Image.new("L", picture.size)
            ImageDraw.Draw(inside).rectangle((*low, *(high - 1)), fill=255)
            mask = ImageChops.darker(mask, inside)
        picture.paste(crop.transform(*how), mask=mask)
        if painted:
            return True
        turn = rotation(roll) * factor
        found.append((self.points[k] - self.points[k, 0]) @ turn.T + place)
        if alone:
            return True
        others, more = self.others[k]
        for points in (others - self.points[k, 0]) @ turn.T + place:
            if (points[0] >= low).all() and (points[0] < high).all():
                if len(found) == FACES:
                    return False
                found.append(points)
        return not more

    @staticmethod
    def _around_the_face(rng, small, centre, side) -> Image.Image:
        """A mask of an oval or a rectangle around a face, in which other people are rare."""
        mask, reach = Image.new("L", (small, small)), side * rng.uniform([.6, .72], [.8, 1.0])
        draw = ImageDraw.Draw(mask)
        (draw.rectangle if rng.random() < .4 else draw.ellipse)((*(centre - reach), *(centre + reach)), fill=255)
        return mask.filter(ImageFilter.GaussianBlur(float(side * rng.uniform(0, .06))))

    @staticmethod
    def _painted_over(rng, crop, centre, side) -> Image.Image:
        """The crop without its face: an oval of the crop's own greys, smooth, or of a backdrop."""
        grey, oval = np.asarray(crop), Image.new("L", crop.size)
        reach = side * rng.uniform([.42, .5], [.52, .62])
        ImageDraw.Draw(oval).ellipse((*(centre - reach), *(centre + reach)), fill=255)
        if rng.random() < .5:
            source = _backdrops()[rng.integers(len(_backdrops()))]
            fill = Image.fromarray(source).resize(crop.size, Image.Resampling.BILINEAR)
        else:
            low, high = np.percentile(grey, [10, 90])
            coarse = rng.uniform(low, high + 1, (2, 2)) if rng.random() < .5 else np.full((2, 2), rng.uniform(low, high))
            fill = Image.fromarray(coarse.astype(np.uint8)).resize(crop.size, Image.Resampling.BICUBIC)
        crop.paste(fill, mask=oval.filter(ImageFilter.GaussianBlur(float(side * rng.uniform(0, .04)))))
        return crop

    def _degrade(self, rng, picture: Image.Image) -> np.ndarray:
        """Little detail, or JPEG's blocks, as photos from the web have them."""
        if rng.random() < .3:
            less = rng.uniform(.3, .9)
            picture = picture.resize([max(8, round(side * less)) for side in picture.size], Image.Resampling.BILINEAR).resize(
                picture.size, Image.Resampling.BICUBIC)
        if rng.random() < .3:
            file = BytesIO()
            picture.save(file, "JPEG", quality=int(rng.integers(25, 90)))
            picture = Image.open(file)
        return np.asarray(picture)
