"""Cloth: sheets laid over the mesh or cut out of it, their materials, and what is worn on the body.

Cuts and patterns are given on the mean face's points (`skin.rest`), so that they fit every person.
"""

import colorsys
from functools import cache

import bpy
import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.spatial import cKDTree

import landmarks
import mesh
import skin
from face import CLOTHES, Face, normals, part, places
from parts import Solid, plain
from skin import Nodes, linear

# --- Shapes


def grid(rows: int, columns: int, closed: bool = False) -> np.ndarray:
    """Quads (m, 4) of a grid of points; `closed` joins the last column to the first."""
    k = np.arange(rows * columns).reshape(rows, columns)
    k = np.concatenate([k, k[:, :1]], 1) if closed else k
    return np.stack([k[:-1, :-1], k[:-1, 1:], k[1:, 1:], k[1:, :-1]], -1).reshape(-1, 4)


def tube(path: np.ndarray, radius, closed: bool = False, sides: int = 10, flat: float = 1, up=(0, 0, 1)):
    """Points and quads of a tube along a path (n, 3); `radius` one number or (n,); `flat` times as wide along `up`."""
    n = len(path)
    ahead = np.roll(path, -1, 0) - np.roll(path, 1, 0) if closed else np.gradient(path, axis=0)
    ahead = ahead / np.linalg.norm(ahead, axis=1, keepdims=True)
    side = np.cross(ahead, up)
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    over = np.cross(side, ahead)
    a = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = np.cos(a)[:, None] * side[:, None] + flat * np.sin(a)[:, None] * over[:, None]
    points = path[:, None] + np.broadcast_to(radius, n)[:, None, None] * ring
    faces = grid(n + closed, sides, True) % (n * sides)
    ends = [] if closed else [list(range(sides))[::-1], list(range((n - 1) * sides, n * sides))]
    return points.reshape(-1, 3), [*faces.tolist(), *ends]


def ball(centre, radius: float, name: str, material, squash=(1, 1, 1)) -> Solid:
    """A ball, or an egg."""
    a = np.linspace(0, np.pi, 14)
    b = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    polar, turn = np.meshgrid(a, b, indexing="ij")
    points = np.stack([np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar)], -1).reshape(-1, 3)
    return Solid(name, points * radius * np.array(squash) + centre, grid(14, 20, True), material, None, {"rest": points})


def clip(faces: np.ndarray, value: np.ndarray, *arrays: np.ndarray):
    """The part of a mesh where `value` (n,) is below 0, cut along its zero: triangles, and the arrays (n, ...) on its points."""
    tri = np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]])
    inside = value[tri] < 0
    count = inside.sum(1)
    ends = {}                                                      # the edges that are cut, and their new points
    n, out = len(value), [tri[count == 3]]

    def between(a, b):
        return [ends.setdefault((min(i, j), max(i, j)), n + len(ends)) for i, j in zip(a.tolist(), b.tolist())]

    for wanted in (1, 2):                                          # one corner inside, or one outside
        some = tri[count == wanted]
        odd = (inside[count == wanted] == (wanted == 1)).argmax(1)
        a, b, c = (some[np.arange(len(some)), (odd + k) % 3] for k in range(3))
        ab, ac = between(a, b), between(a, c)
        out += [np.stack([a, ab, ac], 1)] if wanted == 1 else [np.stack([ab, b, c], 1), np.stack([ab, c, ac], 1)]
    pairs = np.array(list(ends), int).reshape(-1, 2)
    share = value[pairs[:, 0]] / (value[pairs[:, 0]] - value[pairs[:, 1]])
    triangles = np.concatenate(out).astype(int)
    used, triangles = np.unique(triangles, return_inverse=True)
    new = []
    for x in arrays:
        t = share.reshape(-1, *[1] * (x.ndim - 1))
        new.append(np.concatenate([x, (1 - t) * x[pairs[:, 0]] + t * x[pairs[:, 1]]])[used])
    return triangles.reshape(-1, 3), *new


def rims(triangles: np.ndarray) -> list[np.ndarray]:
    """The mesh's edges, as closed rings of points, longest first."""
    sides = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    _, where, count = np.unique(np.sort(sides, 1), axis=0, return_index=True, return_counts=True)
    after = dict(sides[where[count == 1]].tolist())
    rings = []
    while after:
        start, k = next(iter(after.items()))
        ring = [start]
        del after[start]
        while k != start and k in after:
            ring.append(k)
            k = after.pop(k)
        rings.append(np.array(ring))
    return sorted(rings, key=len, reverse=True)


def hem(points: np.ndarray, ring: np.ndarray, radius: float, name: str, material, rest: np.ndarray, flat: float = 1) -> Solid:
    """A seam along a ring of points."""
    p, where = points[ring], rest[ring]
    for _ in range(2):
        p, where = ((np.roll(a, 1, 0) + 2 * a + np.roll(a, -1, 0)) / 4 for a in (p, where))
    path, faces = tube(p, radius, True, 8, flat)
    return Solid(name, path, faces, material, None, {"rest": np.repeat(where, 8, 0)})


@cache
def _vertices() -> cKDTree:
    return cKDTree(skin.rest())


def near(face: Face, spots, lift=0) -> np.ndarray:
    """Points (n, 3) where the mean face has `spots` (n, 3), lifted off the skin."""
    distance, k = _vertices().query(np.asarray(spots, float).reshape(-1, 3), 4)
    w = 1 / (distance + .01)
    w /= w.sum(1, keepdims=True)
    n = (face.normals[k] * w[..., None]).sum(1)
    lift = np.reshape(lift, (-1, 1)) * face.size
    return (face.points[k] * w[..., None]).sum(1) + lift * n / np.linalg.norm(n, axis=1, keepdims=True)


def charted(face: Face):
    """Points (n, 3) of the head's frame -> where they would be on the mean face (n, 3), also off the skin."""
    tree, rest = cKDTree(face.points), skin.rest()

    def chart(points):
        _, k = tree.query(points)
        return rest[k] + (points - face.points[k]) / face.size
    return chart


def spline(points, n: int) -> np.ndarray:
    """`n` points along a smooth curve through `points` (k, 3)."""
    points = np.asarray(points, float)
    length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    return PchipInterpolator(length, points)(np.linspace(0, length[-1], n))


# --- Sheets round the head: `around` gives places by azimuth and height

_TOP = 7.5


def around(azimuth: np.ndarray, height: np.ndarray):
    """Places on the body all around: azimuth 0 in front, to the person's left; height 0 (the top of the head) to 1 (the brows'
    level) to 2 (the neck's foot) to 3 (on the shoulders). Corners and weights (n, 3), and directions outwards (n, 3)."""
    flat = np.stack([np.sin(azimuth), -np.cos(azimuth), np.zeros_like(azimuth)], -1)
    fall = np.clip(height - 2, 0, 1)                               # rays come from above where the shoulders are
    rise = np.clip(1 - height, 0, 1) * np.pi / 2 + fall * .6
    z = np.interp(height, [1, 2, 3], [_TOP, 6.0, 4.2])
    out = np.cos(rise)[:, None] * flat + np.sin(rise)[:, None] * [0, 0, 1]
    middle = np.stack([0 * z, np.interp(z, [6.0, 6.5, 7.2], [-.3, -.4, -.5]), z], -1)
    origin, way = middle + (2.2 + .8 * fall)[:, None] * out, -out
    lean = np.clip(height - 1.9, 0, 1)[:, None]
    out = out + lean * [0, 0, 1.5]
    corners, weights = places().surface.cast(origin, way)
    return corners, weights, out / np.linalg.norm(out, axis=1, keepdims=True)


def taut(points: np.ndarray, out: np.ndarray, reach: float, closed: bool = True, pole: bool = False) -> np.ndarray:
    """A sheet (rows, columns, 3) that spans hollows as stretched cloth does, everywhere outside of `points`; with `pole` its
    first row is one point, beyond which the columns of the other side go on."""
    ahead = int(4 * reach) if pole else 0
    if pole:
        half = points.shape[1] // 2
        points, out = (np.concatenate([np.roll(x[ahead:0:-1], half, 1), x]) for x in (points, out))
    modes = ("nearest", "wrap" if closed else "nearest")

    def soft(x, sigma):
        return gaussian_filter(x, (sigma, sigma, *[0] * (x.ndim - 2)), mode=(*modes, *["nearest"] * (x.ndim - 2)))
    smooth = soft(points, reach)
    short = np.maximum(((points - smooth) * out).sum(-1), 0)
    short = soft(maximum_filter(short, int(2 * reach) | 1, mode=modes), reach / 2)
    sheet = (smooth + short[..., None] * out)[ahead:]
    if pole:
        sheet[0] = sheet[0].mean(0)
    return sheet


def sheet(face: Face, azimuth: np.ndarray, height: np.ndarray, lift, reach: float = 1.5, closed: bool = True):
    """Cloth at azimuths and heights (rows, columns), `lift` (rows, columns) off the skin: points and places on the mean (rows,
    columns, 3)."""
    corners, weights, out = around(azimuth.ravel(), height.ravel())
    rest = mesh.at(skin.rest(), corners, weights).reshape(*azimuth.shape, 3)
    out = out.reshape(rest.shape)
    pole = closed and height[0].max() == 0
    points = taut(mesh.at(face.points, corners, weights).reshape(rest.shape), out, reach, closed, pole)
    return points + face.size * np.broadcast_to(lift, azimuth.shape)[..., None] * out, rest


# --- Materials


def colour(rng: np.random.Generator, strong: float | None = None) -> np.ndarray:
    """A cloth's colour, linear: black, white, grey, navy, muted or strong."""
    u = rng.uniform
    kind = rng.choice(["black", "white", "grey", "navy", "muted", "strong"], p=[.17, .16, .14, .12, .26, .15])
    if strong is not None and rng.random() < strong:
        kind = "strong"
    srgb = {"black": np.full(3, u(.06, .16)), "white": np.full(3, u(.8, .93)), "grey": np.full(3, u(.25, .7)),
            "navy": np.array([u(.06, .14), u(.09, .2), u(.2, .38)]),
            "muted": np.array(colorsys.hsv_to_rgb(u(), u(.15, .45), u(.25, .8))),
            "strong": np.array(colorsys.hsv_to_rgb(u(), u(.55, .9), u(.35, .85)))}[str(kind)]
    return linear(np.clip(srgb * (1 + rng.normal(0, .02, 3)), 0, 1))


def fabric(rng: np.random.Generator, name: str, base=None, pattern: str = "none", weave: str = "jersey", folds: float = .5,
           rough: float = .9) -> bpy.types.Material:
    """Cloth that reads where it is from "rest". pattern: none, stripes, pinstripes, checks, melange, flowers; weave: jersey,
    denim, knit (reads "rib", in ribs), smooth; folds: how strong."""
    base = colour(rng) if base is None else np.asarray(base, float)
    material = plain(name, np.clip(base, 0, 1), rough, Sheen_Weight=.15 if weave != "smooth" else 0.0, Sheen_Roughness=.5)
    n = Nodes(material)
    shift = n.new("VectorMath")
    n.into(n.attribute("rest", True), shift.inputs[0])
    shift.inputs[1].default_value = rng.uniform(-50, 50, 3)
    where = shift.outputs[0]
    other = colour(rng)
    if abs(other - base).max() < .1:
        other = np.where(base > .3, base * .25, np.clip(base * 3 + .1, 0, .8))

    def bands(axis: str, width: float, share: float):
        """1 in bands `width` apart that take up a share."""
        apart = n.new("SeparateXYZ", Vector=where).outputs[axis]
        return n.math("LESS_THAN", n.math("FRACT", n.math("DIVIDE", n.math("ADD", apart, 100.0), width)), share)

    col = base
    u = rng.uniform
    if pattern == "stripes":
        col = n.mix(base, other, bands("Z", u(.12, .5), u(.25, .6)))
    elif pattern == "pinstripes":
        col = n.mix(base, np.clip(base * .6 + .12, 0, 1), bands("X", u(.06, .16), .16))
    elif pattern == "checks":
        width, share = u(.12, .4), u(.3, .55)
        both = n.math("ADD", bands("X", width, share), bands("Z", width, share))
        col = n.mix(base, other, n.math("MULTIPLY", both, .5))
    elif pattern == "melange":
        col = n.mix(base * .7, np.clip(base * 1.3, 0, .9), n.noise(where, 60, 4, .35, .65))
    elif pattern == "flowers":
        cells = n.new("TexVoronoi", Vector=where, Scale=u(4, 9), Randomness=.9)
        away = n.math("ADD", cells.outputs["Distance"], n.math("MULTIPLY", n.noise(where, 12, 2), .25))
        dots = n.math("LESS_THAN", away, u(.35, .6))
        col = n.mix(base, n.mix(other, colour(rng, .8), n.noise(where, 3, 1, .45, .55)), dots)
    worn = n.noise(where, 7, 5, .3, .8)
    dim = n.new("Mix")
    dim.data_type, dim.blend_type = "RGBA", "MULTIPLY"
    dim.inputs[0].default_value = .22
    for value, socket in ((col, 6), (worn, 7)):
        if isinstance(value, np.ndarray):
            value = (*np.clip(value, 0, 1), 1)
        n.into(value, dim.inputs[socket])
    n.into(dim.outputs[2], n.shader.inputs["Base Color"])
    height = n.noise(where, {"jersey": 130, "denim": 90, "knit": 70, "smooth": 220}[weave], 3, .2, .8)
    last = n.new("Bump", Strength=.35 if weave != "smooth" else .1, Distance=.012, Height=height).outputs[0]
    if weave == "knit":
        rib = n.attribute("rib")
        wave = n.math("SINE", n.math("MULTIPLY", rib, 2 * np.pi))
        stitch = n.math("SINE", n.math("ADD", n.math("MULTIPLY", n.new("SeparateXYZ", Vector=where).outputs["Z"], 150.0),
                                       n.math("MULTIPLY", n.math("ABSOLUTE", wave), 2.0)))
        knit = n.math("ADD", wave, n.math("MULTIPLY", stitch, .45))
        last = n.new("Bump", Strength=.8, Distance=.02, Height=knit, Normal=last).outputs[0]
    if folds:
        stretch = n.new("VectorMath")
        stretch.operation = "MULTIPLY"
        n.into(where, stretch.inputs[0])
        stretch.inputs[1].default_value = (1.0, 1.0, .35)
        waves = n.new("TexNoise", Vector=stretch.outputs[0], Scale=2.4, Detail=1.0, Distortion=.4)
        last = n.new("Bump", Strength=folds, Distance=.14, Height=waves.outputs[0], Normal=last).outputs[0]
    n.into(last, n.shader.inputs["Normal"])
    return material


# --- Worn on the body

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
    """A shirt's collar: up the neck, folded, down and off the shirt by `stand`, open in front by `gap` radians to either side."""
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


def shirt(face: Face, rng: np.random.Generator, base=None) -> list[Solid]:
    """A shirt with a collar, its upper button open or not, and buttons; with `base` a plain one, under a jacket."""
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
    return [body, _collar(face, material, float(rng.uniform(.1, .32)), stand), placket, *buttons]


def suit(face: Face, rng: np.random.Generator) -> list[Solid]:
    """A jacket over a shirt, with a tie or without."""
    wools = np.array([[.09, .10, .16], [.1, .1, .11], [.28, .28, .3], [.24, .17, .12], [.35, .33, .3]])
    base = linear(wools[rng.integers(0, 5)] * rng.uniform(.8, 1.3))
    shirts = np.array([[.92, .92, .93], [.72, .8, .92], [.93, .86, .88]])
    out = shirt(face, rng, linear(shirts[rng.choice(3, p=[.65, .25, .1])]))
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
    if rng.random() < (.75 if face.person.sex == "male" else .05):
        silk = fabric(rng, "tie", colour(rng, .6), str(rng.choice(["none", "stripes", "checks", "flowers"])), "smooth", .2, .45)
        z = np.array([5.80, 5.74, 5.62, 5.58, 5.3, 4.9, 4.45])
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
    """A dress or top that leaves the shoulders bare, with or without straps."""
    material = fabric(rng, "shirt", colour(rng, .3), str(rng.choice(["none", "flowers", "stripes"], p=[.6, .3, .1])),
                      str(rng.choice(["smooth", "jersey"])), .4, .75)
    p = _tights()
    x = abs(p[:, 0])
    line = np.interp(x, [0, .35, .75, 1.15, 1.5], [5.0, 5.08, 5.2, 5.06, 4.6]) * (p[:, 1] < -.1) + 5.0 * (p[:, 1] >= -.1)
    arm = (x - 1.42) + .25 * (p[:, 2] - 4.8)
    body, _ = _garment(face, np.maximum(p[:, 2] - line, arm), .03, "shirt", material)
    out = [body]
    if rng.random() < .8:
        for side in (1, -1):
            spots = spline(np.array([(.72, -.95, 5.18), (.74, -.72, 5.5), (.76, -.35, 5.88), (.76, -.05, 5.85), (.7, .5, 5.4),
                                     (.65, .65, 5.0)]) * [side, 1, 1], 40)
            points, faces = tube(near(face, spots, .03), rng.uniform(.03, .09) * face.size, sides=8, flat=.2, up=(0, 0, 1))
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
