"""What is worn on the body: shirts, pullovers, suits, tops, scarves.

Cuts and patterns are given on the mean body's points, so that they fit every person.
"""

from functools import cache

import landmarks
import mesh
import numpy as np
from cloth import clip, colour, fabric, grid, hem, near, rims, sheet, spline, tube
from face import CLOTHES, Face, normals, part
from parts import Solid, plain
from scipy.ndimage import gaussian_filter1d
from skin import linear

_LOWEST = 4.65                                                     # the mesh ends a little below

@cache
def _tights() -> np.ndarray:
    """Where on the mean body the points (n, 3) of MakeHuman's tights are."""
    return part(CLOTHES).points(landmarks.mean_shape())


def _garment(face: Face, out: np.ndarray, lift: float, name: str, material):
    """The tights where `out` (n,) is below 0, lifted: the solid, its rims and points' places."""
    cloth, rest = part(CLOTHES), _tights()
    points = face.others[(CLOTHES,)]
    points = points + face.size * lift * normals(points, cloth.faces)
    triangles, points, rest = clip(cloth.faces, out, points, rest)
    return Solid(name, points, triangles, material, None, {"rest": rest}), rims(triangles)


def _neckline(kind: str, rng: np.random.Generator) -> np.ndarray:
    """How far the tights' points are above the neckline: (n,)."""
    p = _tights()
    x, y, z = abs(p[:, 0]), p[:, 1] + .28, p[:, 2]
    ahead = -y / np.hypot(x, y)                                   # 1 in front, -1 behind
    u = rng.uniform
    side, back = 5.98, 6.1
    depth = {"crew": u(.26, .36), "scoop": u(.5, .8), "vee": u(.6, .85), "shirt": .3, "high": -.1}[kind]
    front = np.clip(ahead, 0, 1)
    if kind == "vee":
        line = np.minimum(side, side - depth + u(1.5, 1.9) * x) * (ahead > 0) + (ahead <= 0) * side
    else:
        line = side - depth * front ** (1.6 if kind == "scoop" else 1.3)
    line = line + (back - side) * np.clip(-ahead, 0, 1)
    return z - line


def tshirt(face: Face, rng: np.random.Generator, kind: str | None = None) -> list[Solid]:
    """A T-shirt or pullover with a round or V-shaped neck."""
    kind = kind or str(rng.choice(["crew", "scoop", "vee"], p=[.6, .15, .25]))
    pattern = str(rng.choice(["none", "stripes", "melange", "checks", "flowers"], p=[.55, .15, .16, .06, .08]))
    material = fabric(rng, "shirt", None, pattern, str(rng.choice(["jersey", "denim"])), rng.uniform(.3, .8))
    body, edges = _garment(face, _neckline(kind, rng), .05, "shirt", material)
    ring = max(edges, key=lambda r: body.attributes["rest"][r, 2].mean())
    return [body, hem(body.points, ring, .035 * face.size, "shirt", material, body.attributes["rest"], 1.6)]


def turtleneck(face: Face, rng: np.random.Generator) -> list[Solid]:
    """A pullover with a collar up the neck, folded over."""
    base = colour(rng)
    knit = fabric(rng, "shirt", base, weave="knit", folds=.3)
    plain_knit = fabric(rng, "shirt", base, weave="jersey", folds=.6)
    body, _ = _garment(face, _neckline("crew", rng) - .12, .05, "shirt", plain_knit)
    t = np.linspace(0, 1, 14)
    roll = .07 + .07 * np.sin(np.pi * np.clip(t, 0, 1)) ** .6
    azimuth, height = np.meshgrid(np.linspace(0, 2 * np.pi, 96, endpoint=False), np.linspace(rng.uniform(1.66, 1.76), 2.25, 14))
    points, rest = sheet(face, azimuth, height, roll[:, None], 1.0)
    ribs = np.broadcast_to(np.linspace(0, 48, 96), (14, 96))
    attributes = {"rest": rest.reshape(-1, 3), "rib": ribs.ravel()}
    collar = Solid("shirt", points.reshape(-1, 3), grid(14, 96, True), knit, None, attributes)
    return [body, collar]


def _collar(face: Face, material, gap: float, stand: float) -> Solid:
    """A shirt's collar: up the neck, folded, off the shirt by `stand`, open in front by `gap` radians to either side."""
    columns, rows = 64, 9
    t = np.linspace(0, 1, rows)[:, None]
    a = np.linspace(gap, 2 * np.pi - gap, columns)
    ahead = np.clip(np.cos(a), 0, 1)[None]
    height = np.where(t < .45, 2.08 - .22 * (t / .45), 1.86 + (.26 + .20 * ahead ** 3) * (t - .45) / .55)
    height = height + .12 * ahead ** 2
    lift = .05 + stand * (.10 * np.clip((t - .3) / .3, 0, 1) + .05 * t)
    azimuth = a + np.sign(np.pi - a) * (.10 * np.clip((t - .45) / .55, 0, 1) * ahead ** 2)
    points, rest = sheet(face, np.broadcast_to(azimuth, (rows, columns)), height, lift, .5, False)
    return Solid("shirt", points.reshape(-1, 3), grid(rows, columns), material, None, {"rest": rest.reshape(-1, 3)})


@cache
def _chest() -> mesh.Surface:
    return mesh.Surface(part(CLOTHES), _tights())


def _down_front(face: Face, spots, lift) -> np.ndarray:
    """Points (n, 3) on the chest's clothes where the mean body has (x, z), lifted towards the front."""
    x, z = np.asarray(spots, float).T
    low = np.minimum(z - _LOWEST, 0)[:, None]
    corners, weights = _chest().front(np.stack([x, np.maximum(z, _LOWEST)], 1))
    moved = np.reshape(lift, (-1, 1)) * [0, -1, 0] + low * [0, 0, 1]
    return mesh.at(face.others[(CLOTHES,)], corners, weights) + face.size * moved


def shirt(face: Face, rng: np.random.Generator, base=None, tied: bool = False) -> list[Solid]:
    """A shirt with a collar, its upper button open or not, and buttons; with `base` a plain one, under a jacket, closed
    where a tie is worn."""
    stand = 1.0 if base is None else .35
    pattern = "none" if base is not None else str(rng.choice(["none", "pinstripes", "checks", "flowers"], p=[.5, .2, .22, .08]))
    if base is None:
        base = linear(np.array([.9, .9, .91])) if rng.random() < .35 else colour(rng)
    material = fabric(rng, "shirt", base, pattern, "denim" if rng.random() < .2 else "smooth", .45, .8)
    body, _ = _garment(face, _neckline("shirt", rng), .05, "shirt", material)
    z = np.linspace(5.62, 4.75, 12)
    strip = np.concatenate([_down_front(face, np.stack([0 * z + x, z], 1), .11 - abs(x) * .1) for x in (-.1, 0, .1)])
    placket = Solid("shirt", strip, grid(3, 12), material, None, {"rest": np.repeat([[0, 0, 0]], 36, 0) + strip / face.size})
    buttons = []
    for centre in _down_front(face, [(.0, s) for s in np.arange(5.5, 4.8, -.27)], .13):
        points, faces = tube(centre + np.array([[0, .01, 0], [0, -.015, 0]]), .045 * face.size, sides=14)
        buttons.append(Solid("button", points, faces, plain("button", linear([.85, .83, .78]), .3)))
    return [body, _collar(face, material, .07 if tied else float(rng.uniform(.1, .32)), stand), placket, *buttons]


def suit(face: Face, rng: np.random.Generator) -> list[Solid]:
    """A jacket over a shirt, with a tie or without."""
    wools = np.array([[.09, .10, .16], [.1, .1, .11], [.28, .28, .3], [.24, .17, .12], [.35, .33, .3]])
    base = linear(wools[rng.integers(0, 5)] * rng.uniform(.8, 1.3))
    shirts = np.array([[.92, .92, .93], [.72, .8, .92], [.93, .86, .88]])
    tied = rng.random() < (.75 if face.person.sex == "male" else .05)
    out = shirt(face, rng, linear(shirts[rng.choice(3, p=[.65, .25, .1])]), tied)
    wool = fabric(rng, "jacket", base, str(rng.choice(["none", "pinstripes", "melange"], p=[.55, .2, .25])), "jersey", .5)
    p = _tights()
    x, ahead = abs(p[:, 0]), p[:, 1] < -.28
    opening = np.where(ahead, np.minimum(5.95, 4.35 + 2.9 * x), 6.0)
    body, edges = _garment(face, p[:, 2] - opening, .10, "jacket", wool)
    ring = max(edges, key=lambda r: body.attributes["rest"][r, 2].mean())
    out += [body, hem(body.points, ring, .045 * face.size, "jacket", wool, body.attributes["rest"], 2.0)]
    for side in (1, -1):                                            # lapels, folded outwards along the opening
        z = np.r_[np.linspace(5.98, 5.60, 8), np.linspace(5.585, 4.5, 14)]
        inner = (z - 4.35) / 2.9
        wide = np.interp(z, [4.5, 5.0, 5.575, 5.59, 5.98], [.04, .24, .40, .24, .16])
        strip = [_down_front(face, np.stack([side * (inner + wide * t), z], 1), .14 + .06 * np.sin(2.6 * t))
                 for t in np.linspace(-.05, 1, 7)]
        strip.append(strip[-1] + [0, .05 * face.size, 0])           # the cloth's thickness
        points = np.concatenate(strip)
        out.append(Solid("jacket", points, grid(8, 22), wool, None, {"rest": points / face.size}))
    if tied:
        silk = fabric(rng, "tie", colour(rng, .6), str(rng.choice(["none", "stripes", "checks", "flowers"])), "smooth", .2, .45)
        z = np.array([5.92, 5.85, 5.70, 5.66, 5.35, 4.9, 4.45])
        half = np.array([.13, .145, .085, .08, .12, .17, .22])
        lifts = np.array([.19, .22, .2, .15, .16, .16, .16])
        across = np.linspace(-1, 1, 9)
        points = np.concatenate([_down_front(face, np.stack([0 * z + c * half, z], 1), 0) - np.array([0, 1, 0]) * face.size
                                 * (lifts * (1 - .45 * c ** 4))[:, None] for c in across])
        out.append(Solid("tie", points, grid(9, len(z)), silk, None, {"rest": points / face.size}, True, 1))
    return out


def hood_colour(face: Face) -> np.ndarray:
    """Of the person's hoodie."""
    return colour(np.random.default_rng([face.person.seed, 22]))


def hoodie(face: Face, rng: np.random.Generator) -> list[Solid]:
    """A hooded pullover, its hood down: a thick roll round the neck, with strings."""
    base = hood_colour(face)
    material = fabric(rng, "shirt", base, str(rng.choice(["none", "melange"])), "jersey", .8)
    body, _ = _garment(face, _neckline("crew", rng) - .1, .08, "shirt", material)
    a = np.linspace(0, 2 * np.pi, 80, endpoint=False)
    back = np.clip(-np.cos(a), -1, 1)
    rows = 16
    t = np.linspace(0, 1, rows)[:, None]
    low = 2.42 + .12 * back
    high = 2.02 - .16 * (back > 0) * back + .20 * np.clip(-back, 0, 1) ** 2
    height = high + (low - high) * t
    lift = .10 + (.12 + .16 * np.clip(back, 0, 1)) * np.sin(np.pi * np.clip(t * 1.02, 0, 1)) ** .7
    points, rest = sheet(face, np.broadcast_to(a, height.shape), height, lift, 1.2)
    out = [body, Solid("shirt", points.reshape(-1, 3), grid(rows, 80, True), material, None, {"rest": rest.reshape(-1, 3)})]
    string = plain("string", linear(rng.choice([np.full(3, .85), np.full(3, .1)])), .8)
    for side in (1, -1):
        z = np.linspace(5.66, rng.uniform(4.8, 5.1), 12)
        path = _down_front(face, np.stack([side * (.22 + .02 * np.sin(3 * z)), z], 1), .17)
        points, faces = tube(path, .022 * face.size, sides=8, up=(0, 1, 0))
        out.append(Solid("string", points, faces, string))
    return out


def top(face: Face, rng: np.random.Generator) -> list[Solid]:
    """A dress or top with straps, which leaves the shoulders bare."""
    material = fabric(rng, "shirt", colour(rng, .3), str(rng.choice(["none", "flowers", "stripes"], p=[.6, .3, .1])),
                      str(rng.choice(["smooth", "jersey"])), .4, .75)
    p = _tights()
    x = abs(p[:, 0])
    line = np.interp(x, [0, .35, .75, 1.15, 1.5], [5.14, 5.2, 5.3, 5.16, 4.7]) * (p[:, 1] < -.1) + 5.0 * (p[:, 1] >= -.1)
    arm = (x - 1.42) + .25 * (p[:, 2] - 4.8)
    body, _ = _garment(face, np.maximum(p[:, 2] - line, arm), .03, "shirt", material)
    out = [body]
    for side in (1, -1):
        spots = spline(np.array([(.72, -.95, 5.18), (.74, -.72, 5.5), (.76, -.35, 5.88), (.76, -.05, 5.85), (.7, .5, 5.4),
                                 (.65, .65, 5.0)]) * [side, 1, 1], 40)
        path = gaussian_filter1d(near(face, spots, .04), 2.5, axis=0, mode="nearest")
        points, faces = tube(path, rng.uniform(.05, .11) * face.size, sides=8, flat=.25, up=(0, 0, 1))
        out.append(Solid("shirt", points, faces, material, None, {"rest": np.repeat(spots, 8, 0)}))
    return out


def wound(face: Face, rng: np.random.Generator, name: str, material, turns: int = 2, off: float = 0) -> list[Solid]:
    """A scarf's turns round the neck, in folds, `off` the skin."""
    out, rows = [], 20
    a = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    for turn in range(turns):
        t = np.linspace(0, 1, rows)[:, None]
        phase = rng.uniform(0, 2 * np.pi)
        middle = 1.9 + .19 * turn + .05 * np.sin(a + phase) + .12 * np.clip(np.cos(a), 0, 1)
        height = middle + (t - .5) * (.36 + .08 * np.sin(2 * a + phase))
        waves = .035 * np.sin(2 * np.pi * (3 * t + .25 * np.sin(a * 2 + phase) + .1 * np.sin(5 * a)))
        lift = off + .06 + .06 * turn + (.16 + .05 * turn) * np.sin(np.pi * t) ** .6 + waves * np.sin(np.pi * t)
        points, rest = sheet(face, np.broadcast_to(a, height.shape), height, lift, 1.5)
        out.append(Solid(name, points.reshape(-1, 3), grid(rows, 96, True), material, None, {"rest": rest.reshape(-1, 3)}))
    return out


def scarf(face: Face, rng: np.random.Generator) -> list[Solid]:
    """A scarf round the neck in thick folds, perhaps with an end hanging down."""
    pattern = str(rng.choice(["none", "stripes", "checks", "melange", "flowers"]))
    material = fabric(rng, "scarf", colour(rng, .4), pattern, "jersey", .7)
    out = wound(face, rng, "scarf", material)
    if rng.random() < .6:
        side = rng.choice([-1, 1])
        z, across = np.linspace(5.75, 4.42, 16), np.linspace(-1, 1, 15)
        strip = [_down_front(face, np.stack([side * .25 + c * .26 + 0 * z, z], 1), .2 + .05 * np.cos(c * 7 + side))
                 for c in across]
        points = np.concatenate(strip)
        out.append(Solid("scarf", points, grid(15, 16), material, None, {"rest": points / face.size}))
    return out


KINDS = {"T-shirt": tshirt, "shirt": shirt, "turtleneck": turtleneck, "suit": suit, "hoodie": hoodie, "top": top}


def clothes(face: Face, rng: np.random.Generator, kind: str = "T-shirt") -> list[Solid]:
    """What the person wears on the body: one of `KINDS`."""
    return KINDS[kind](face, rng)
