"""Hair: what grows on a person's head, brows, lids and chin, as strands.

Strands are grown in the *chart's* scale: the head's frame divided by the head's size, with the eyes where the mean face has
them. So one style fits a child and an old man. A few hundred guides grow step by step along a style's directions, fall, and
are kept out of head, clothes and face; the strands between them follow the nearest guides.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import bpy
import landmarks
import numpy as np
import skin
from face import Face, part, places
from parts import Solid, Strands, hair
from people import Person
from scipy.interpolate import CubicSpline
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

_EYES = np.array([0, -1.18, 7.356])             # where the mean face has the middle of its eyes
_AXIS = -.47                                    # y of the upright axis that the hairline goes around
# The hairline: degrees around the head from the front, and how high it is there; the dip at 75 is the sideburn.
_AROUND = np.array([0, 20, 35, 45, 55, 63, 70, 75, 79, 84, 100, 110, 118, 130, 150, 180])
_HEIGHT = np.array([7.96, 7.99, 7.93, 7.75, 7.55, 7.43, 7.22, 7.10, 7.14, 7.45, 7.52, 7.4, 7.1, 6.86, 6.68, 6.62])
_WHORL = np.array([.05, -.12, 8.3])
_KNOT = np.array([0, .53, 7.75])                # where tied hair is held together
# Linear light.
_COLOURS = {"black": (.010, .0072, .0055), "dark brown": (.032, .0155, .0075), "brown": (.085, .039, .0165),
            "light brown": (.19, .092, .039), "dark blond": (.34, .20, .085), "blond": (.62, .41, .18),
            "red": (.40, .105, .022), "auburn": (.16, .042, .015), "grey": (.36, .36, .37), "white": (.74, .73, .70)}
_DYES = {"dyed blond": (.62, .47, .27), "dyed red": (.30, .02, .02), "dyed blue": (.03, .10, .32), "dyed pink": (.62, .13, .28),
         "dyed copper": (.42, .12, .03), "dyed violet": (.14, .03, .22)}


@dataclass(frozen=True)
class Hairdo:
    """What of the hair stays with a person. Colours are linear light, lengths in units of the chart."""

    style: str
    shade: str                      # the colour's name
    colour: tuple[float, ...]
    natural: tuple[float, ...]      # of brows, lashes and beard
    grey: float                     # share of white strands
    thickness: float                # a strand's radius
    curl: float                     # 0 straight, .3 wavy, .6 curly, 1 tight
    parting: float                  # x of the parting; 0 the middle
    fringe: float                   # 0 none; else how far down the forehead it comes, 1 to the brows
    length: float                   # 0 short .. 1 long, for its style
    recede: float                   # 0 full hairline .. 1 far back at the temples
    thin: float                     # 0 full .. 1 thin
    brow: float                     # the brows' height
    density: float                  # of the brows
    beard: str                      # none, stubble, moustache, goatee, full short, full long
    seed: int


def _tight(person: Person) -> bool:
    return np.random.default_rng([person.seed, 11]).random() < np.clip(2.2 * person.origins[0] - .25, 0, 1)


def _style(person: Person, tight: bool, rng: np.random.Generator) -> str:
    """A style that suits sex, age and origin."""
    man, age = person.sex == "male", person.age
    if man and rng.random() < np.interp(age, [20, 35, 50, 75], [0, .15, .38, .6]):
        return str(rng.choice(["receding", "bald", "buzz", "receding"] if age > 35 else ["receding", "buzz"]))
    if man:
        styles = {"buzz": .10, "short": .26, "side-parted": .18, "swept back": .12, "curly": .1, "fringe": .08,
                  "long wavy": .08, "bob": .05, "tied back": .03}
        if tight:
            styles = {"buzz": .35, "tight crop": .4, "afro": .25}
        elif age < 16:
            styles = {"short": .32, "side-parted": .22, "fringe": .24, "curly": .14, "buzz": .08}
        elif age > 60:
            styles = {"short": .35, "side-parted": .4, "swept back": .2, "buzz": .05}
    else:
        styles = {"bob": .2, "long straight": .22, "long wavy": .24, "tied back": .07, "ponytail": .06, "long with fringe": .12,
                  "curly": .05, "short": .04}
        if tight:
            styles = {"afro": .25, "tied back": .15, "tight crop": .08, "curly": .14, "long wavy": .16,
                      "long straight": .1, "bob": .12}
        elif age < 14:
            styles = {"long straight": .24, "long with fringe": .24, "ponytail": .2, "bob": .2, "long wavy": .12}
        elif age > 60:
            styles = {"bob": .36, "short": .16, "curly": .24, "tied back": .12, "long wavy": .1, "swept back": .02}
    return str(rng.choice(list(styles), p=np.array(list(styles.values())) / sum(styles.values())))


def _colours(person: Person, rng: np.random.Generator) -> tuple[str, np.ndarray, np.ndarray, float]:
    """The colour's name, the colour, the natural one of brows and beard, and the share of white strands."""
    dark = person.origins[0] + person.origins[1]
    names, odds = {"dark": (("black", "dark brown"), (.78, .22)),
                   "mixed": (("black", "dark brown", "brown"), (.3, .5, .2)),
                   "light": (("dark brown", "brown", "light brown", "dark blond", "blond", "red", "auburn"),
                             (.24, .26, .16, .13, .11, .05, .05))}["dark" if dark > .65 else "mixed" if dark > .4 else "light"]
    name = str(rng.choice(names, p=odds))
    if person.age < 10 and name in ("dark blond", "light brown") and rng.random() < .6:
        name = "blond"
    natural = np.array(_COLOURS[name]) * rng.uniform(.75, 1.3) * (1 + rng.normal(0, .04, 3))
    expected = np.interp(person.age, [32, 50, 65, 80], [0, .22, .65, .95])
    grey = float(np.clip(expected + rng.normal(0, .17), 0, 1)) * (person.age > 32)
    colour = natural
    woman = person.sex == "female" and person.age > 16
    if woman and rng.random() < (.5 if grey > .1 else .14):                 # dyed, over the grey or for fun
        if person.age < 45 and rng.random() < .35:
            name = str(rng.choice(list(_DYES)))
            colour = np.array(_DYES[name]) * rng.uniform(.8, 1.2)
        else:
            name = str(rng.choice(["brown", "dark brown", "auburn", "dark blond"] if dark < .5 else ["black", "dark brown"]))
            colour = np.array(_COLOURS[name]) * rng.uniform(.8, 1.25)
        grey_hair = 0.0
    else:
        grey_hair = grey
        if grey > .8:
            name = "white"
        elif grey > .4:
            name = "grey"
        elif grey > .12:
            name = f"greying {name}"
    return name, colour, natural, grey_hair


def hairdo(person: Person, looks: skin.Look) -> Hairdo:
    """The person's hair; the same seed gives the same."""
    rng = np.random.default_rng([person.seed, 12])
    u = rng.uniform
    man, grown = person.sex == "male", person.age > 17
    tight = _tight(person)
    style = _style(person, tight, rng)
    name, colour, natural, grey = _colours(person, rng)
    curl = u(.8, 1) if tight else float(rng.choice([u(0, .12), u(.2, .42)], p=[.6, .4]))
    if style == "curly":
        curl = max(curl, u(.5, .75))
    elif style in ("long wavy", "swept back"):
        curl = max(curl, u(.22, .45))
    elif style == "long straight":
        curl = min(curl, u(0, .1))
    back = (man and person.age > 28) * np.interp(person.age, [28, 70], [.3, 1])
    recede = u(.5, 1) if style == "receding" else u(0, .5) * back
    brow = u(.066, .104) if man and grown else u(.048, .08) if grown else u(.05, .07)
    beard = "none"
    if man and grown and rng.random() < np.interp(person.age, [18, 24, 40], [.25, .55, .6]):
        kinds = {"stubble": .34, "moustache": .1, "goatee": .14, "full short": .28,
                 "full long": .14 if person.age > 26 else .03}
        beard = str(rng.choice(list(kinds), p=np.array(list(kinds.values())) / sum(kinds.values())))
    return Hairdo(style, name, tuple(colour.tolist()), tuple(natural.tolist()), grey, u(.0034, .005), float(curl),
                  float(rng.choice([0, -1, 1], p=[.3, .35, .35]) * u(.18, .32)),
                  float(u(.6, 1) if "fringe" in style else 0), u(0, 1), float(recede),
                  float(np.clip(person.old * u(-.2, .9), 0, 1)), brow, u(.3, 1), beard, person.seed)


def facts(hairdo: Hairdo) -> dict[str, str]:
    """Words for a datasheet."""
    return {"hair": hairdo.style, "hair colour": hairdo.shade, "beard": hairdo.beard}


# -- places and growth ---------------------------------------------------------------------------------------------------------


def _smooth(value, low: float, high: float):
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def _chart(face: Face, points: np.ndarray) -> np.ndarray:
    return points / face.size + _EYES


def _head(face: Face, points: np.ndarray) -> np.ndarray:
    return (points - _EYES) * face.size


@cache
def _triangles() -> np.ndarray:
    f = part("body").faces
    return np.concatenate([f[:, [0, 1, 2]], f[:, [0, 2, 3]]])


def _roots(face: Face, mask: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`n` places on the skin, as often as `mask` (vertices,) says by area: corners (n, 3) and weights (n, 3)."""
    triangles = _triangles()
    triangles = triangles[mask[triangles].max(1) > 0]
    if not len(triangles):
        return np.zeros((0, 3), int), np.zeros((0, 3))
    p = face.points[triangles]
    share = np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1) * mask[triangles].mean(1)
    total = np.cumsum(share)
    corners = triangles[np.searchsorted(total, rng.random(n) * total[-1])]
    weights = rng.dirichlet([1, 1, 1], n)
    keep = rng.random(n) * mask[corners].max(1) < (mask[corners] * weights).sum(1)
    return corners[keep], weights[keep]


def _azimuth(rest: np.ndarray) -> np.ndarray:
    """Degrees around the head from the front, (n,), 0 to 180 on either side."""
    return np.degrees(np.arctan2(abs(rest[:, 0]), -(rest[:, 1] - _AXIS)))


def _scalp_mask(hairdo: Hairdo) -> np.ndarray:
    """How densely hair grows at the body's points: (n,) from 0 to 1."""
    rest = skin.rest()
    rng = np.random.default_rng([hairdo.seed, 13])
    a = _azimuth(rest)
    line = np.interp(a, _AROUND, _HEIGHT)
    for k in (3, 5, 9, 14):                                        # nobody's hairline is drawn with a ruler
        line = line + rng.normal(0, .012) * np.sin(np.radians(a) * k + rng.uniform(0, 6) + np.sign(rest[:, 0]))
    line = line + rng.normal(0, .025) * _smooth(a, 70, 20) - .05 * np.exp(-.5 * (a / 9) ** 2) * (rng.random() < .3)
    bare = hairdo.recede
    line = line + bare * (.26 * np.exp(-.5 * ((a - 30) / 16) ** 2) + .05)
    mask = _smooth(rest[:, 2] - line, -.005, .075)
    if hairdo.style == "bald":
        crown = _smooth(rest[:, 2], 7.98 + .02 * hairdo.length, 7.72) * _smooth(a, 42, 66)
        mask = mask * np.maximum(crown, .015)
    elif hairdo.style == "receding":
        top = np.exp(-.5 * (((rest - [0, -.2, 8.3]) / [.3, .3, .3]) ** 2).sum(1))
        mask = mask * (1 - .7 * bare * top) * (1 - .45 * bare * _smooth(rest[:, 2], 7.95, 8.2))
    ear = (abs(rest[:, 0]) > .715) & (rest[:, 2] < 7.46) & (rest[:, 1] < -.2)
    return mask * ~ear * (rest[:, 2] > 6.4)


class _Body:
    """What hair must stay out of: the head, its clothes, in the chart's scale."""

    def __init__(self, face: Face):
        rest = skin.rest()
        mouth = (abs(rest[:, 0]) < .45) & (rest[:, 2] < 7.45) & (rest[:, 1] > -1.3) & (rest[:, 1] < -.75)
        outside = (rest[:, 2] > 4.6) & ~mouth
        points, normals = _chart(face, face.points)[outside], face.normals[outside].copy()
        where = rest[outside]
        ears = (abs(where[:, 0]) > .71) & (where[:, 2] < 7.46) & (where[:, 2] > 6.8)
        normals[ears] = _unit(np.stack([np.sign(where[ears, 0]), 0 * where[ears, 0], .25 + 0 * where[ears, 0]], 1))
        low = where[:, 2] < 6.2
        points[low] += .09 * normals[low]                          # the clothes
        self.points, self.normals, self._tree = points, normals, cKDTree(points)

    def out(self, p: np.ndarray, gap, cling: float = 0) -> np.ndarray:
        """Points (n, 3) moved off the skin by at least `gap` and, with `cling`, back towards it."""
        _, near = self._tree.query(p)
        n = self.normals[near]
        away = ((p - self.points[near]) * n).sum(1)
        move = np.maximum(gap - away, 0) - cling * np.maximum(away - gap, 0)
        return p + move[:, None] * n


def _off_face(p: np.ndarray, side: np.ndarray, width: float) -> np.ndarray:
    """Points (n, 3) moved sideways out of the face, towards `side` (n,)."""
    inside = 1 - np.maximum((p[:, 1] + 1.05) / .6, 0) ** 2 - ((p[:, 2] - 7.0) / np.where(p[:, 2] > 7, 1.1, 1.4)) ** 2
    wide = width * np.sqrt(np.maximum(inside, 0))
    moved = p.copy()
    x = np.maximum(p[:, 0] * side, wide)
    moved[:, 0] = np.where((p[:, 1] < -.6) & (inside > 0), p[:, 0] + .6 * (x * side - p[:, 0]), p[:, 0])
    return moved


@dataclass
class _Cut:
    """How a style grows."""

    length: Callable                        # roots (n, 3) on the mean face -> lengths (n,)
    wish: Callable                          # the same -> directions (n, 3)
    lift: float = .4                        # how steeply strands leave the skin
    stiff: float = .1                       # along how much of its length a strand keeps its direction
    reach: float = .4                       # along how much of it it goes where it is combed
    fall: float = .3                        # how strongly it is drawn down
    cling: float = 0.0
    volume: float = .1                      # how far the outermost strands are off the skin
    rise: float = .15                       # after how much of their length they are that far off
    clump: float = .4
    frizz: float = .012
    count: int = 15000
    points: int = 10
    level: Callable | None = None           # roots -> how low strands may come (n,)
    face: float = 0.0                       # width of the face that stays free, 0: strands may fall into it
    tied: bool = False


def _topness(r: np.ndarray) -> np.ndarray:
    return _smooth(r[:, 2], 7.62, 8.08)


def _parted(r: np.ndarray, x: float, back: float) -> np.ndarray:
    """Directions (n, 3) away from a parting at `x` that ends at the whorl."""
    side = np.sign(r[:, 0] - x + 1e-6)
    front = np.stack([side, np.full(len(r), back), np.full(len(r), .1)], 1)
    around = r - [x, -.15, 8.2]
    around[:, 2] = np.minimum(around[:, 2], 0)
    t = _smooth(r[:, 1], -.45, .05)[:, None]
    down = np.array([0, back * .6, -1.0])
    low = _smooth(r[:, 2], 8.1, 7.6)[:, None]
    return _unit((1 - low) * ((1 - t) * front + t * _unit(around)) + low * down)


def _cut(h: Hairdo) -> _Cut:
    """The style's growth."""
    L = h.length

    def lengths(top, side):
        return lambda r: side + (top - side) * _topness(r)

    def radial(r):
        return _unit((r - _WHORL) * [1, 1, .9])

    def swept(r):
        low = _smooth(r[:, 2], 8.1, 7.5)[:, None]
        return _unit((1 - low) * np.stack([.25 * r[:, 0], np.ones(len(r)), .25 + 0 * r[:, 0]], 1) + low * [0, .7, -.6])

    def across(r):
        side = np.sign(r[:, 0] - h.parting + 1e-6)
        top = np.stack([side * 1.0, np.full(len(r), -.15), np.zeros(len(r))], 1)
        t = np.maximum(_smooth(r[:, 1], -.5, .0), _smooth(r[:, 2], 8.0, 7.7))[:, None]
        return _unit((1 - t) * top + t * radial(r))

    if h.style == "buzz":
        n = .035 + .05 * L
        return _Cut(lengths(n, .7 * n), radial, lift=1.1, stiff=1, fall=0, volume=0, clump=0, frizz=.004, count=24000, points=4)
    if h.style == "tight crop":
        n = .06 + .10 * L
        return _Cut(lengths(n, .6 * n), radial, lift=2.5, stiff=1, fall=0, volume=0, clump=.3, count=24000, points=8)
    if h.style == "afro":
        n = .24 + .42 * L
        return _Cut(lengths(n, .75 * n), radial, lift=4, stiff=2, fall=0, volume=0, clump=.35, frizz=.03, count=24000,
                    points=15)
    if h.style in ("bald", "receding"):
        n = .08 + .12 * L
        return _Cut(lengths(1.3 * n, n), radial, lift=.5, stiff=.1, fall=.3, volume=.03, clump=.25, count=19000, points=6)
    if h.style == "short":
        top = .22 + .25 * L
        return _Cut(lengths(top, .10 + .10 * L), radial, lift=.8, stiff=.12, fall=.3, volume=.10 * L + .04, clump=.5,
                    count=23000, points=8)
    if h.style == "side-parted":
        return _Cut(lengths(.42 + .2 * L, .10 + .10 * L), across, lift=.7, fall=.6, reach=.3, cling=.06,
                    clump=.55, count=23000)
    if h.style == "swept back":
        return _Cut(lengths(.6 + .3 * L, .2 + .2 * L), swept, lift=1.0, fall=.15, cling=.15, volume=.14, clump=.5, count=23000)
    if h.style == "fringe":
        low = 7.95 - .36 * h.fringe
        return _Cut(lengths(.6 + .15 * L, .2 + .15 * L), radial, lift=.5, fall=.8, volume=.10, clump=.5, count=23000,
                    level=lambda r: np.where(r[:, 1] < -.8, low, 0.0))
    if h.style == "curly":
        if h.seed % 2:
            return _Cut(lengths(1.2 + .5 * L, .95 + .5 * L), lambda r: _parted(r, h.parting, .3), lift=.4, fall=1.2, reach=.25,
                        volume=.24, rise=.4, clump=.85, frizz=.02, count=19000, points=16, face=.64)
        n = .32 + .2 * L
        return _Cut(lengths(n, .75 * n), radial, lift=1.3, fall=.5, volume=.16, clump=.85, frizz=.02, count=19000, points=16)
    if h.style == "bob":
        level = 6.45 + .35 * L
        return _Cut(lengths(2.4, 2.0), lambda r: _parted(r, h.parting, .25), lift=.3, fall=1.4, reach=.3, volume=.12,
                    rise=.4, clump=.45, count=22000, points=14, level=lambda r: np.full(len(r), level), face=.60 + .04 * L)
    if h.style in ("tied back", "ponytail"):
        return _Cut(lengths(1, 1), radial, volume=.05, clump=.35, frizz=.008, count=22000, points=12, tied=True)
    n = 2.4 + .9 * L
    low = 7.95 - .36 * h.fringe
    middle = 0 if h.fringe else h.parting
    return _Cut(lengths(n, n), lambda r: _parted(r, middle, .28), lift=.3, fall=1.4, reach=.3, volume=.14, rise=.4,
                clump=.5, count=22000, points=16, face=.61,
                level=(lambda r: np.where(_fringed(r), low, 0.0)) if h.fringe else None)


def _fringed(r: np.ndarray) -> np.ndarray:
    """Which roots (n, 3) belong to a fringe."""
    return (r[:, 1] < -.95) & (abs(r[:, 0]) < .50)


def _grow(body: _Body, cut: _Cut, h: Hairdo, roots, normals, rest, rng: np.random.Generator) -> np.ndarray:
    """Guides (n, k, 3) from their roots (n, 3), normals there, and the roots' places on the mean face."""
    n, steps = len(roots), cut.points * 2
    layer = cut.volume * rng.beta(1.4, 1.2, n)
    wish = cut.wish(rest) + rng.normal(0, .1, (n, 3))
    fringed = _fringed(rest) if h.fringe and h.style != "fringe" else np.zeros(n, bool)
    wish[fringed] = _unit(np.stack([.5 * rest[fringed, 0], np.full(fringed.sum(), -1.0), np.full(fringed.sum(), -.4)], 1))
    side = np.where(fringed, 0, np.sign(rest[:, 0] - h.parting + 1e-6))
    aside = np.sign(np.where(abs(rest[:, 0]) > .3, rest[:, 0], side))
    step = (cut.length(rest) * rng.uniform(.85, 1.1, n) / (steps - 1))[:, None]
    keep = np.exp(-step / cut.stiff)
    down = np.array([0, 0, -1.0])
    d = _unit(cut.lift * normals + _unit(wish) + rng.normal(0, .06, (n, 3)))
    p, path = roots, [roots]
    for s in range(1, steps):
        before = p
        if cut.tied:
            goal = _KNOT + .09 * _unit(roots - [0, -.4, 7.6])
            p = p + (goal - p) / (steps - s) * (1.25 if s < steps - 1 else 1)
        else:
            styled = np.exp(-s * step / cut.reach)                 # how much of the combing is left so far from the root
            d = _unit(keep * d + (1 - keep) * (styled * wish + cut.fall * (1.3 - styled) * down))
            p = p + d * step
            if cut.face:
                kept = _off_face(p, np.where(side == 0, np.sign(p[:, 0]), aside), cut.face)
                p = np.where(fringed[:, None], p, kept)
        p = body.out(p, (.012 + layer) * np.minimum(1, s * step[:, 0] / cut.rise) ** .7, cut.cling)
        d = _unit(p - before)
        path.append(p)
    path = np.stack(path, 1)
    low = cut.level(rest) + rng.normal(0, .025, n) if cut.level else np.full(n, -9.0)
    return _resampled(path, low, cut.points)


def _resampled(path: np.ndarray, low: np.ndarray, k: int) -> np.ndarray:
    """Paths (n, m, 3) cut where they come below `low` (n,), as k points evenly apart."""
    steps = np.linalg.norm(np.diff(path, axis=1), axis=2)
    length = np.concatenate([np.zeros((len(path), 1)), np.cumsum(steps, 1)], 1)
    below = path[:, :, 2] < low[:, None]
    below[:, :3] = False
    last = np.where(below.any(1), below.argmax(1), path.shape[1] - 1)
    goal = length[np.arange(len(path)), last][:, None] * np.linspace(0, 1, k)
    index = np.clip((length[:, None, :] <= goal[:, :, None]).sum(2) - 1, 0, path.shape[1] - 2)
    rows = np.arange(len(path))[:, None]
    share = (goal - length[rows, index]) / np.maximum(steps[rows, index], 1e-9)
    return path[rows, index] + share[..., None] * (path[rows, index + 1] - path[rows, index])


def _waves(strands: np.ndarray, amount: np.ndarray, turns: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """Strands (n, k, 3) wound as helices: radius (n,), turns (n,) and phase (n,)."""
    k = strands.shape[1]
    t = np.linspace(0, 1, k)
    along = _unit(strands[:, -1] - strands[:, 0] + 1e-6)
    u = _unit(np.cross(along, [.31, .83, .46]))
    v = np.cross(along, u)
    angle = 2 * np.pi * turns[:, None] * t + phase[:, None]
    grow = amount[:, None] * _smooth(t, 0, .35)
    return strands + (grow * np.cos(angle))[..., None] * u[:, None] + (grow * np.sin(angle))[..., None] * v[:, None]


def _between(guides, guide_rest, roots, rest, key, guide_key, cut: _Cut, h: Hairdo, rng) -> np.ndarray:
    """Strands (n, k, 3) that grow at `roots` as the nearest guides (g, k, 3) do, drawn together in clumps.

    key, guide_key : (n, 2) and (g, 2), far apart for strands that must not follow each other, as on both sides of a parting.
    """
    n, k = len(roots), guides.shape[1]
    t = np.linspace(0, 1, k)
    tree = cKDTree(np.c_[guide_rest, guide_key])
    distance, near = tree.query(np.c_[rest, key], 3)
    weight = 1 / (distance + .01) ** 2
    weight /= weight.sum(1, keepdims=True)
    offset = guides - guides[:, :1]
    strands = roots[:, None] + np.einsum("ij,ijkc->ikc", weight, offset[near])
    lock = guides[near[:, 0]]
    pull = np.clip(cut.clump * rng.beta(3, 1.5, n) * 1.3, 0, .92)[:, None] * t ** 1.1
    strands += pull[..., None] * (lock - strands)
    fly = np.where(rng.random(n) < .04, rng.uniform(2, 5, n), 1)
    length = np.linalg.norm(offset[near[:, 0], -1], axis=1)
    bend = rng.normal(0, 1, (n, 1, 3)) * t[:, None] ** 1.5 + rng.normal(0, .7, (n, 1, 3)) * np.sin(
        t[:, None] * rng.uniform(3, 9, (n, 1, 1)) + rng.uniform(0, 6, (n, 1, 1))) * t[:, None] ** .5
    strands += bend * (cut.frizz * fly * np.minimum(1, 2.2 * length + .2))[:, None, None]
    if h.curl > .15 and h.style not in ("buzz", "tied back", "ponytail"):
        phase = np.random.default_rng([h.seed, 14]).uniform(0, 2 * np.pi, len(guides))[near[:, 0]] + rng.normal(0, .45, n)
        wide = np.interp(h.curl, [.15, .4, .6, .8, 1], [.01, .05, .055, .028, .022]) * rng.uniform(.6, 1.3, n)
        each = np.interp(h.curl, [.15, .4, .6, .8, 1], [1.1, .62, .26, .13, .10])           # a turn's length
        turns = np.minimum(np.maximum(length, .05) / each, k / 3.2) * rng.uniform(.85, 1.15, n)
        strands = _waves(strands, wide * np.minimum(1, 2.5 * length), turns, phase)
    return strands


def _material(name: str, colour, grey: float = 0, spread: float = .45, rough: float = .3) -> bpy.types.Material:
    """Blender's hair shader, lighter and darker by strand, `grey` of the strands white, a little darker at the roots."""
    material = hair(name, colour, rough)
    tree = material.node_tree
    nodes, links = tree.nodes, tree.links
    shader = next(n for n in nodes if n.type == "BSDF_HAIR_PRINCIPLED")
    shader.inputs["IOR"].default_value = 1.42                      # less white shine, which greys brown hair
    info = nodes.new("ShaderNodeHairInfo")

    def math(operation, *values):
        node = nodes.new("ShaderNodeMath")
        node.operation = operation
        for value, socket in zip(values, node.inputs):
            if isinstance(value, bpy.types.NodeSocket):
                links.new(value, socket)
            else:
                socket.default_value = value
        return node.outputs[0]

    other = math("FRACT", math("MULTIPLY", info.outputs["Random"], 37.7))
    light = math("ADD", 1 - spread, math("MULTIPLY", math("POWER", other, 1.6), 2.2 * spread))
    light = math("MULTIPLY", light, math("ADD", .72, math("MULTIPLY", info.outputs["Intercept"], .45)))
    mix = nodes.new("ShaderNodeMix")
    mix.data_type = "RGBA"
    links.new(math("LESS_THAN", info.outputs["Random"], grey), mix.inputs[0])
    mix.inputs[6].default_value, mix.inputs[7].default_value = (*colour, 1), (.66, .65, .63, 1)
    scale = nodes.new("ShaderNodeVectorMath")
    scale.operation = "SCALE"
    links.new(mix.outputs[2], scale.inputs[0])
    links.new(light, scale.inputs["Scale"])
    links.new(scale.outputs[0], shader.inputs["Color"])
    return material


def _tapered(radius: np.ndarray, k: int, tip: float = .35) -> np.ndarray:
    """Radii (n, k) that fall towards the tips."""
    return radius[:, None] * (1 - (1 - tip) * np.linspace(0, 1, k) ** 2)


def _on_face(strands: np.ndarray, width: float) -> np.ndarray:
    """Which strands (n, k, 3) have strayed over the free part of the face: (n,)."""
    p = strands.reshape(-1, 3)
    free = _off_face(p, np.sign(p[:, 0]), .8 * width)
    return (abs(free - p).max(1) > 1e-6).reshape(strands.shape[:2]).any(1)


def _visible(strands: np.ndarray, under) -> np.ndarray:
    """Which strands (n, k, 3), in the head's frame, a hat leaves: (n,)."""
    if under is None or not len(strands):
        return np.ones(len(strands), bool)
    return ~under(strands.reshape(-1, 3)).reshape(strands.shape[:2]).any(1)


def scalp(face: Face, hairdo: Hairdo, rng: np.random.Generator, under: Callable | None = None) -> list[Strands]:
    """The hair of the head. `under`: points (n, 3) of the head's frame -> which of them a hat covers (n,)."""
    mask, cut = _scalp_mask(hairdo), _cut(hairdo)
    if under is not None:
        mask = mask * ~under(face.points)
    chart, body, rest = _chart(face, face.points), _Body(face), skin.rest()
    corners, weights = _roots(face, mask, int(cut.count * (1 - .45 * hairdo.thin)), rng)
    if not len(corners):
        return []
    n_guides = 700 if not cut.clump else 1100

    def places_of(c, w):
        return (chart[c] * w[..., None]).sum(1), (rest[c] * w[..., None]).sum(1)

    roots, where = places_of(corners, weights)
    g = rng.choice(len(roots), min(n_guides, len(roots)), replace=False)
    guides = _grow(body, cut, hairdo, roots[g], face.normal(corners[g], weights[g]), where[g], rng)
    centre = 0 if hairdo.fringe else hairdo.parting
    key = np.stack([.5 * np.sign(where[:, 0] - centre + 1e-6) * _smooth(where[:, 1], .1, -.4),
                    1.0 * (_fringed(where) if cut.level and hairdo.fringe else np.zeros(len(where)))], 1)
    strands = _between(guides, where[g], roots, where, key, key[g], cut, hairdo, rng)
    edge = (mask[corners] * weights).sum(1)
    short = np.where(edge < .6, rng.uniform(.25, 1, len(edge)), 1)[:, None, None]
    if not cut.tied:
        strands = strands[:, :1] + short * (strands - strands[:, :1])
    if cut.face:
        keep = ~_on_face(strands, cut.face) | (key[:, 1] > 0)
        strands, edge = strands[keep], edge[keep]
    radius = hairdo.thickness * rng.uniform(.75, 1.25, len(strands)) * (.55 + .45 * _smooth(edge, 0, .7))
    sets = [(strands, _tapered(radius, strands.shape[1], .8 if cut.tied else .35))]
    if cut.tied:
        sets.append(_tail(hairdo, rng) if hairdo.style == "ponytail" else _bun(hairdo, rng))
    material = _material("hair", hairdo.colour, hairdo.grey)
    out = []
    for points, radii in sets:
        points = _head(face, points)
        keep = _visible(points, under)
        out.append(Strands("hair", points[keep], radii[keep] * face.size, material))
    return out


def _bun(h: Hairdo, rng: np.random.Generator, n: int = 2600, k: int = 14) -> tuple[np.ndarray, np.ndarray]:
    """Hair wound to a knot at the back of the head: strands (n, k, 3) and radii (n, k)."""
    size = .20 + .10 * h.length
    t = np.linspace(0, 1, k)
    start, turn = rng.uniform(0, 2 * np.pi, (n, 1)), rng.uniform(2, 5, (n, 1))
    polar = np.clip(rng.uniform(.1, 2.2, (n, 1)) + (t - .5) * rng.uniform(-.5, .5, (n, 1)), .05, 2.4)
    angle = start + turn * t
    r = size * (1 - .25 * rng.random((n, 1)) ** 2 + .03 * np.sin(3 * angle + 4 * polar))
    points = np.stack([r * np.sin(polar) * np.cos(angle), .95 * r * np.cos(polar), r * np.sin(polar) * np.sin(angle)], 2)
    points += rng.normal(0, .01, (n, 1, 3)) + _KNOT + [0, .6 * size, 0]
    return points, np.repeat(h.thickness * rng.uniform(.8, 1.2, (n, 1)), k, 1)


def _tail(h: Hairdo, rng: np.random.Generator, n: int = 2600, k: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """A ponytail: strands (n, k, 3) and radii (n, k)."""
    t = np.linspace(0, 1, k)[:, None]
    length = 1.1 + .9 * h.length
    turn, r = rng.uniform(0, 2 * np.pi, n), np.sqrt(rng.random(n))
    across = np.stack([r * np.cos(turn), .6 * r * np.sin(turn), .3 * r * np.sin(turn)], 1)[:, None]
    swing = np.random.default_rng([h.seed, 15]).normal(0, .25)
    away = .34 * np.sin(np.minimum(t * 3.4, np.pi / 2 + .4 * t))
    line = np.concatenate([swing * t ** 2, away, .12 * t - length * t ** 1.5], 1)
    width = .07 + .13 * np.sin(np.pi * np.clip(t * 1.1, 0, 1)) ** .8 + .02
    points = _KNOT + line + across * width * rng.uniform(.8, 1.1, (n, 1, 1))
    points = points + rng.normal(0, .03, (n, 1, 3)) * t
    points = _waves(points, np.full(n, .05 * h.curl), np.full(n, 2.0), rng.normal(0, .6, n))
    return points, _tapered(h.thickness * rng.uniform(.8, 1.2, n), k)


# -- brows and lashes ----------------------------------------------------------------------------------------------------------


def brow_edge(person: Person) -> np.ndarray:
    """The brow's upper edge on the person's left from its inner end, (5, 2) as places of the mean face seen from the front."""
    rng = np.random.default_rng([person.seed, 10])
    edge = np.array(landmarks.BROW)
    woman = person.sex == "female" and person.age > 14
    arch = np.clip(rng.normal(.004 if woman else -.002, .006), -.012, .014)
    edge[:, 1] += np.clip(rng.normal(0, .007), -.014, .014) + arch * np.array([-.4, .3, 1, 1.1, -.2])
    edge[:, 0] += np.clip(rng.normal(0, .009), -.018, .018) * np.array([1, .5, 0, 0, 0])
    edge[:, 0] += np.clip(rng.normal(0, .012), -.022, .022) * np.array([0, 0, 0, .4, 1])
    edge[4, 1] += np.clip(rng.normal(0, .008), -.014, .014)
    return edge


def _brow_sheet(face: Face, height: float, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The skin under a brow: points and normals (32, 9, 3), along it from the inner end and from .3 below its lower edge up."""
    edge = brow_edge(face.person)
    curve = CubicSpline(np.r_[0, np.cumsum(np.linalg.norm(np.diff(edge, axis=0), axis=1))], edge)
    s, v = np.linspace(0, 1, 32), np.linspace(-.3, 1, 9)
    at = curve.x[-1] * s
    top, along = curve(at), _unit(curve(at, 1))
    down = np.stack([along[:, 1], -along[:, 0]], 1)
    thick = height * np.interp(s, [0, .1, .4, .75, 1], [.8, 1, 1, .8, .3])
    xz = top[:, None] + ((1 - v) * thick[:, None])[..., None] * down[:, None]
    corners, weights = places().surface.front(xz.reshape(-1, 2) * [side, 1])
    return face.on(corners, weights).reshape(32, 9, 3), face.normal(corners, weights).reshape(32, 9, 3)


def brows(face: Face, looks: skin.Look, hairdo: Hairdo, rng: np.random.Generator) -> Strands:
    """Both brows. No hair passes the curve of `brow_edge`."""
    out, k = [], 6
    n = int(480 * hairdo.density * (hairdo.brow / .055) ** .8)
    t = np.linspace(0, 1, k)
    for side in (1, -1):
        points, normals = _brow_sheet(face, hairdo.brow, side)
        s0 = rng.beta(1.25, 1.3, n) * .96
        v0 = np.where(rng.random(n) < .07, rng.uniform(-.25, .9, n), rng.beta(1.3, 1.15, n))      # a few stray below
        upright = np.interp(s0, [0, .12, .4, 1], [1, .75, .35, .1])
        goal = np.clip(.55 + .45 * rng.random(n) ** .6 - .25 * (1 - upright) * (v0 < .3), 0, 1) # hairs meet below the edge
        rise = (goal - v0) * np.clip(upright + rng.normal(.25, .15, n), 0, 1.1)
        ahead = rng.uniform(.10, .24, n) * (1.1 - .75 * upright) + rng.normal(0, .015, n)
        s = s0[:, None] + ahead[:, None] * t
        v = v0[:, None] + rise[:, None] * np.sin(t * np.pi / 2) ** .8
        at = [np.clip(s, 0, 1.0) * 31, np.clip((np.clip(v, -.3, 1) + .3) / 1.3, 0, 1) * 8]
        place, normal = (np.stack([map_coordinates(a[..., c], at, order=1) for c in range(3)], -1) for a in (points, normals))
        lift = face.size * (.003 + rng.uniform(.006, .018, (n, 1)) * np.sin(np.pi * t * .8))
        out.append(place + lift[..., None] * normal)
    strands = np.concatenate(out)
    radius = face.size * rng.uniform(.0012, .0022, len(strands)) * (1.2 if hairdo.brow > .074 else 1)
    colour = np.array(hairdo.natural) * 1.25 + .006
    return Strands("brows", strands, _tapered(radius, k, .25), _material("brow", colour, .6 * hairdo.grey, .45, .45))


def lashes(face: Face, looks: skin.Look, hairdo: Hairdo, rng: np.random.Generator) -> Strands:
    """The lashes of all four lids, on the lids' edges wherever they are."""
    index, k = {v: i for i, v in enumerate(part("body").used)}, 6
    woman = face.person.sex == "female"
    made_up = looks.liner > 0
    t, out, radii = np.linspace(0, 1, k), [], []
    for side, (centre, size) in zip((1, -1), face.eyes):
        for ring, up, n, length in ((landmarks._LID_UPPER, 1, 105, .052), (landmarks._LID_LOWER, -1, 55, .027)):
            order = [index[v] for v in ring]
            if side < 0:
                order = [places()._mirror[i] for i in order]
            edge = face.points[order]
            share = np.r_[0, np.cumsum(np.linalg.norm(np.diff(edge, axis=0), axis=1))]
            curve = CubicSpline(share / share[-1], edge)
            s = rng.uniform(.03, .86, n)
            root, along = curve(s), _unit(curve(s, 1))
            out_of = _unit(root - centre)
            rise = _unit(np.cross(along, out_of))
            rise *= np.sign((rise * [0, 0, up]).sum(1, keepdims=True))
            fan = (root - edge.mean(0)) * [1, 0, 0] / size
            size_of = length * (1.0 + .25 * woman + .35 * looks.liner) * face.size ** .6 * rng.uniform(.6, 1.1, n)
            size_of = (size_of * np.interp(s, [0, .15, .6, .9], [.95, 1.1, .9, .55]))[:, None, None]
            start = out_of + .15 * rise + .55 * fan + rng.normal(0, .10, (n, 3))
            bend = 1.0 * rise if up > 0 else .55 * rise
            out.append(root[:, None] + size_of * (t[:, None] * _unit(start)[:, None] + .62 * t[:, None] ** 2 * bend[:, None]))
            radii.append(np.full(n, (.0013 if up > 0 else .0009) * (1 + .5 * made_up + .15 * woman)))
    colour = np.array([.006, .005, .005]) if made_up else np.minimum(np.array(hairdo.natural) * .45, .05)
    radius = np.concatenate(radii) * face.size
    return Strands("lashes", np.concatenate(out), _tapered(radius, k, .2), _material("lash", colour, 0, .2, .4))


# -- beards --------------------------------------------------------------------------------------------------------------------


@cache
def _lips() -> np.ndarray:
    """The lips' outline (m, 2) on the mean face from the front."""
    index = {v: i for i, v in enumerate(part("body").used)}
    rest = skin.rest()
    upper, lower = (rest[[index[v] for v in ring]][:, [0, 2]] for ring in (landmarks._LIP_UPPER, landmarks._LIP_LOWER))
    half = np.concatenate([upper, lower[-2::-1]])
    return np.concatenate([half, half[::-1] * [-1, 1]])


def _off_lips(rest: np.ndarray) -> np.ndarray:
    """How far places (n, 3) of the mean face are from the lips, seen from the front; below 0 on them: (n,)."""
    a = _lips()
    b = np.roll(a, -1, 0)
    p = rest[:, None, [0, 2]]
    share = np.clip(((p - a) * (b - a)).sum(2) / np.maximum(((b - a) ** 2).sum(1), 1e-12), 0, 1)
    distance = np.linalg.norm(p - a - share[..., None] * (b - a), axis=2).min(1)
    x, z = p[..., 0], p[..., 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        crossed = ((a[:, 1] > z) != (b[:, 1] > z)) & (x < a[:, 0] + (z - a[:, 1]) * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1]))
    return np.where(crossed.sum(1) % 2, -distance, distance)


@cache
def _beard_masks() -> dict[str, np.ndarray]:
    """By kind of beard, how densely it grows at the body's points (n,)."""
    w, rest = skin.regions(), skin.rest()
    near = np.flatnonzero((abs(rest[:, 0]) < .5) & (rest[:, 2] > 6.2) & (rest[:, 2] < 7.1) & (rest[:, 1] < -.8))
    clear = np.ones(len(rest))
    clear[near] = _smooth(_off_lips(rest[near]), .012, .035)
    inside = (rest[:, 1] > -1.3) & (abs(rest[:, 0]) < .2) & (rest[:, 2] > 6.5)              # the mouth's
    clear[inside] = 0
    x, z = abs(rest[:, 0]), rest[:, 2]                             # from the nose to beyond the mouth's corners
    moustache = _smooth(x, .285, .235) * _smooth(z, 6.885, 6.865) * _smooth(z, 6.60, 6.68) * (rest[:, 1] < -1.1)
    kinds = {"stubble": w["beard"], "moustache": moustache, "goatee": np.maximum(w["goatee"], moustache),
             "full short": np.maximum(w["full"], moustache), "full long": np.maximum(w["full"], moustache)}
    return {kind: mask * clear for kind, mask in kinds.items()}


def beard(face: Face, looks: skin.Look, hairdo: Hairdo, rng: np.random.Generator) -> list[Strands]:
    """What grows on cheeks, chin and above the lip; it stays off the lips."""
    if hairdo.beard == "none":
        return []
    own = np.random.default_rng([hairdo.seed, 16])
    long = {"stubble": own.uniform(.012, .035), "moustache": own.uniform(.07, .11), "goatee": own.uniform(.07, .16),
            "full short": own.uniform(.06, .12), "full long": own.uniform(.2, .42)}[hairdo.beard]
    count, k = {"stubble": 5000, "moustache": 2400, "goatee": 3400, "full short": 8000, "full long": 9000}[hairdo.beard], 7
    mask = _beard_masks()[hairdo.beard]
    corners, weights = _roots(face, mask, count, rng)
    rest = (skin.rest()[corners] * weights[..., None]).sum(1)
    n, normal, root = len(rest), face.normal(corners, weights), face.on(corners, weights)
    chin = _smooth(rest[:, 2], 6.75, 6.35) * _smooth(abs(rest[:, 0]), .6, .2)
    upper = (rest[:, 2] > 6.74) & (abs(rest[:, 0]) < .3) & (rest[:, 1] < -1.2)
    length = long * (.45 + .55 * chin) * rng.uniform(.6, 1.1, n)
    edge = (mask[corners] * weights).sum(1)
    length = np.where(upper, np.minimum(length, .10), length) * (.45 + .55 * _smooth(edge, 0, .8))
    wish = np.stack([.25 * rest[:, 0], 0 * length, -np.ones(n)], 1)
    wish[upper, 0] = 1.5 * np.sign(rest[upper, 0]) * np.minimum(1, abs(rest[upper, 0]) / .06)
    wish -= (wish * normal).sum(1, keepdims=True) * normal
    lift = .9 if hairdo.beard == "stubble" else .55
    d = _unit(_unit(wish) + lift * normal + rng.normal(0, .22, (n, 3)))
    length = np.where(rest[:, 2] > 6.6, np.minimum(length, 1.1 * np.maximum(_off_lips(rest), .01) + .02 * ~upper), length)
    p, path = root, [root]
    for _ in range(k - 1):
        p = p + d * (face.size * length / (k - 1))[:, None]
        d = _unit(d + .16 * np.array([0, .05, -1]) * (long > .05) + rng.normal(0, .16 + .2 * hairdo.curl, (n, 3)))
        path.append(p)
    radius = face.size * hairdo.thickness * rng.uniform(.6, 1.0, n) * (.45 if hairdo.beard == "stubble" else .8)
    colour = np.array(hairdo.natural) * [.8, .72, .68]
    material = _material("beard", colour, min(1, 1.2 * hairdo.grey), .4, .4)
    return [Strands("beard", np.stack(path, 1), _tapered(radius, k), material)]


# -- skin under hair -----------------------------------------------------------------------------------------------------------


def tint(body: Solid, hairdo: Hairdo) -> None:
    """Darken the skin's material between the roots of hair and beard, where more hairs grow than are drawn here."""
    strength = .55 * _scalp_mask(hairdo) * (1 - .4 * hairdo.thin)
    if hairdo.beard != "none":
        strength = np.maximum(strength, (.3 if hairdo.beard == "stubble" else .5) * _beard_masks()[hairdo.beard])
    body.attributes["hair"] = strength
    tree = body.material.node_tree
    socket = tree.nodes["Principled BSDF"].inputs["Base Color"]
    mix, where = tree.nodes.new("ShaderNodeMix"), tree.nodes.new("ShaderNodeAttribute")
    mix.data_type, where.attribute_name = "RGBA", "hair"
    tree.links.new(where.outputs["Fac"], mix.inputs[0])
    if socket.is_linked:
        tree.links.new(socket.links[0].from_socket, mix.inputs[6])
    else:
        mix.inputs[6].default_value = socket.default_value
    mix.inputs[7].default_value = (*(np.array(hairdo.colour) * (1 - hairdo.grey) + .2 * hairdo.grey), 1)
    tree.links.new(mix.outputs[2], socket)
