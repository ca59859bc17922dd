"""Cloth: sheets laid over the mesh or cut out of it, seams and tubes, and their materials."""

import colorsys
from functools import cache

import bpy
import mesh
import numpy as np
import skin
from face import Face, places
from parts import Solid, plain
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.spatial import cKDTree
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
    """The part of a mesh where `value` (n,) is below 0, cut along its zero: triangles, and the arrays (n, ...) there."""
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
