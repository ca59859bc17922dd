"""Hats and scarves on the head, fitted to the person's own skull, and which hair they cover."""

from collections.abc import Callable
from dataclasses import dataclass

import cloth
import clothes
import numpy as np
from cloth import ball, charted, fabric, grid, near, sheet, spline, tube
from face import Face, normals
from parts import Solid, plain
from scipy.ndimage import gaussian_filter
from skin import Nodes, linear

HATS = {"baseball cap": .34, "beanie": .26, "brimmed hat": .15, "hood": .08, "turban": .04, "helmet": .06, "headband": .07}


@dataclass
class Hat:
    """A hat's solids, and what says which of points (n, 3) in the head's frame lie under it: (n,) bool."""

    solids: list[Solid]
    covers: Callable[[np.ndarray], np.ndarray]


def _azimuth_height(rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where `around` has points (n, 3) near the mean head."""
    d = rest - [0, -.5, 7.5]
    rise = np.arcsin(np.clip(d[:, 2] / np.maximum(np.linalg.norm(d, axis=1), 1e-9), -1, 1))
    return np.arctan2(d[:, 0], -d[:, 1]), np.where(d[:, 2] > 0, 1 - rise / (np.pi / 2), 1 - d[:, 2] / 1.5)


def _edge(azimuth, front: float, side: float, back: float):
    """A hat's edge as a height of `around`."""
    c = np.cos(azimuth)
    return side + (front - side) * np.clip(c, 0, 1) ** 1.3 + (back - side) * np.clip(-c, 0, 1) ** 1.3


def _under(face: Face, front: float, side: float, back: float) -> Callable[[np.ndarray], np.ndarray]:
    """What lies above a hat's edge."""
    chart = charted(face)

    def covers(points):
        azimuth, height = _azimuth_height(chart(points))
        return height < _edge(azimuth, front, side, back) - .01
    return covers


def _crown(face: Face, edge, lift, name: str, material, rows: int = 30, columns: int = 96, start: float = 0, reach: float = 1.5,
           ribs: int = 0):
    """A cap from the top to its edge (front, side, back), turned in there; with `start` below 0 a band that is so wide.
    `lift`: of share (0 top, 1 edge) and azimuth. `ribs`: of knit. Solid, its edge's points (columns, 3) and the azimuths."""
    a = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    t = np.linspace(0, 1, rows)[:, None]
    low = _edge(a, *edge)
    height = low + start * (1 - t) if start else low * t
    height = np.concatenate([height[:1] + .01 * (start != 0), height, height[-1:] + .004])
    share = np.r_[0, np.linspace(0, 1, rows), 1][:, None]
    up = np.broadcast_to(lift(share, a[None]), height.shape).copy()
    up[-1] = .0
    if start:
        up[0] = 0
    points, rest = sheet(face, np.broadcast_to(a, height.shape), np.maximum(height, 0), up, reach)
    attributes = {"rest": rest.reshape(-1, 3)}
    if ribs:
        attributes["rib"] = np.broadcast_to(a * ribs / (2 * np.pi), height.shape).ravel()
    return Solid(name, points.reshape(-1, 3), grid(rows + 2, columns, True), material, None, attributes), points[-2], a


def _brim(face: Face, edge: np.ndarray, out: np.ndarray, length: np.ndarray, drop: np.ndarray, material, closed: bool) -> Solid:
    """A brim with two sides: from edge points (n, 3) along directions (n, 3), `length` and `drop` at its end (n,)."""
    s = np.r_[np.linspace(-.06, 1, 12), np.linspace(1, -.06, 12)][:, None, None]
    thick = np.r_[np.zeros(12), np.full(12, -.022)][:, None, None]
    points = edge + face.size * (s * length[:, None] * out + [0, 0, 1] * (thick - np.clip(s, 0, 1) ** 1.4 * drop[:, None]))
    points = points.reshape(-1, 3)
    return Solid("hat", points, grid(24, len(edge), closed), material, None, {"rest": points / face.size})


def _baseball(face: Face, rng: np.random.Generator) -> Hat:
    back = rng.random() < .15
    base = cloth.colour(rng, .3)
    material = fabric(rng, "hat", base, "none", "denim", .15)
    other = fabric(rng, "hat", cloth.colour(rng, .5), "none", "denim", .1) if rng.random() < .35 else material
    edge = (.80, .93, 1.16) if not back else (.72, .95, 1.22)
    ahead = -1 if back else 1

    def lift(t, a):
        panel = np.clip(ahead * np.cos(a), 0, 1) ** 1.5
        seam = .008 * np.abs(np.sin(3 * a)) ** .3
        return .075 + .04 * (1 - t) + panel * .09 * np.sin(np.pi * np.clip(1 - t, 0, 1)) ** .8 + seam
    crown, rim, a = _crown(face, edge, lift, "hat", material)
    turn = (a + np.pi) % (2 * np.pi) - np.pi if not back else a - np.pi
    half = 1.02
    inside = np.flatnonzero(abs(turn) < half)
    inside = inside[np.argsort(turn[inside])]
    turn, p = turn[inside], rim[inside]
    length = .78 * np.sqrt(np.clip(1 - (turn / half) ** 2, 0, 1)) ** .8 * rng.uniform(.9, 1.1)
    out = ahead * np.stack([.25 * np.sin(turn), -np.ones_like(turn), 0 * turn], 1)
    drop = .06 + .30 * (turn / half) ** 2 + rng.uniform(-.03, .05)
    visor = _brim(face, p + [0, 0, .03 * face.size], out, length, drop, other, False)
    knob = near(face, [(0, -.5, 8.43)], .12)[0]
    sphere = ball(knob, .04 * face.size, "hat", other)
    return Hat([crown, visor, sphere], _under(face, *edge))


def _beanie(face: Face, rng: np.random.Generator) -> Hat:
    base = cloth.colour(rng, .3)
    material = fabric(rng, "hat", base, str(rng.choice(["none", "melange", "stripes"], p=[.6, .25, .15])), "knit", .25)
    edge = (rng.uniform(.72, .82), 1.04, 1.28)
    slouch, ribs = rng.uniform(.02, .35), int(rng.integers(50, 90))

    def lift(t, a):
        return .085 + slouch * np.clip(1 - 1.6 * t, 0, 1) ** 1.2 * (1 + .3 * np.sin(a * 2 + 1)) + .008 * np.sin(ribs * a)

    solids = [_crown(face, edge, lift, "hat", material, columns=160, ribs=ribs)[0]]
    if rng.random() < .75:                                                  # folded up
        cuff = fabric(rng, "hat", base if rng.random() < .7 else cloth.colour(rng), "none", "knit", .2)

        def roll(t, a):
            return .10 + .05 * np.sin(np.pi * (.15 + .7 * t)) + .006 * np.sin(ribs * a)
        solids.append(_crown(face, edge, roll, "hat", cuff, 14, 160, -rng.uniform(.28, .4), 1.2, ribs)[0])
    if rng.random() < (.5 if face.person.age < 13 else .15):
        centre = near(face, [(0, -.5, 8.43)], .2 + slouch)[0]
        solids.append(_pompom(centre, .3 * face.size, fabric(rng, "hat", cloth.colour(rng), "none", "knit", .2), rng))
    return Hat(solids, _under(face, *edge))


def _pompom(centre, radius: float, material, rng) -> Solid:
    n = 2500
    way = rng.normal(0, 1, (n, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    side = np.cross(way, rng.normal(0, 1, (n, 3)))
    side *= .045 * radius / np.linalg.norm(side, axis=1, keepdims=True)
    tip = way * radius * rng.uniform(.85, 1.05, (n, 1)) + rng.normal(0, .05 * radius, (n, 3))
    points = np.stack([.2 * tip - side, .2 * tip + side, tip + side, tip - side], 1).reshape(-1, 3) + centre
    return Solid("hat", points, np.arange(4 * n).reshape(n, 4), material, None, {"rest": points, "rib": points[:, 0]}, False)


def _brimmed(face: Face, rng: np.random.Generator) -> Hat:
    base = [cloth.colour(rng), linear([.78, .66, .45])][int(rng.random() < .45)]
    straw = rng.random() < .5
    material = fabric(rng, "hat", base, "melange" if straw else "none", "denim" if straw else "smooth", .15)
    edge = (.78, .92, 1.12)
    tall = rng.uniform(.12, .34)

    def lift(t, a):
        crease = .14 * np.exp(-((np.sin(a)) / .25) ** 2) * np.clip(1 - 2.2 * t, 0, 1)
        return .09 + tall * np.clip(1.15 * (1 - t), 0, 1) ** .5 * (1 - .35 * np.clip(1 - 3 * t, 0, 1)) - crease * .6
    crown, rim, a = _crown(face, edge, lift, "hat", material)
    width = rng.uniform(.55, .95)
    phase = rng.uniform(0, 7)
    out = np.stack([np.sin(a), -np.cos(a), 0 * a], 1)
    drop = .02 + .05 * np.sin(2 * a + phase) + .04 * np.sin(3 * a + 2 * phase) - rng.choice([0, .16]) * np.abs(np.sin(a)) ** 2
    brim = _brim(face, rim + [0, 0, .02 * face.size], out, np.full(len(a), width), drop, material, True)
    ribbon = fabric(rng, "hat", cloth.colour(rng), "none", "smooth", .1, .6)
    edge = tuple(e - .015 for e in edge)
    band = _crown(face, edge, lambda t, a: lift(1 - .22 * (1 - t), a) + .012, "hat", ribbon, 6, 96, -.17)[0]
    return Hat([crown, brim, band], _under(face, *edge))


def _wrapped(face: Face, lift, reach: float, opening, name: str, material, low: float, rim: float) -> Hat:
    """Cloth round head and neck down to height `low`. `lift`: of azimuths and heights, off the skin. It leaves the face
    free: an oval `opening` (highest and lowest height, radians to either side) with a rim of that radius."""
    top, bottom, wide = opening
    a, h = np.linspace(0, 2 * np.pi, 120, endpoint=False), np.linspace(0, low, 72)
    azimuth, height = np.meshgrid(a, h)

    def outside(azimuth, height):
        """Below 0 where the cloth is; about in units of `around`'s heights."""
        azimuth = (azimuth + np.pi) % (2 * np.pi) - np.pi
        middle, half = (top + bottom) / 2, (bottom - top) / 2
        return half * (1 - (np.abs(azimuth / wide) ** 2.3 + np.abs((height - middle) / half) ** 2.3) ** (1 / 2.3))
    loose, rest = sheet(face, azimuth, height, lift(azimuth, height), reach)
    close, _ = sheet(face, azimuth, height, lift(azimuth, height), 1.5)
    points = loose + (close - loose) * np.clip((height - 1.95) / .2, 0, 1)[..., None]     # on the shoulders it lies close
    points, rest = points.reshape(-1, 3), rest.reshape(-1, 3)
    triangles, points, rest = cloth.clip(grid(72, 120, True), outside(azimuth, height).ravel(), points, rest)
    rings = [r for r in cloth.rims(triangles) if rest[r, 1].mean() < -.8]      # the face's
    solids = [Solid(name, points, triangles, material, None, {"rest": rest})]
    solids += [cloth.hem(points, r, rim * face.size, name, material, rest) for r in rings[:1]]
    chart = charted(face)
    return Hat(solids, lambda p: outside(*_azimuth_height(chart(p))) < -.02)


def headscarf(face: Face, rng: np.random.Generator) -> Hat:
    """A scarf round head and neck that leaves the face free."""
    pattern = str(rng.choice(["none", "flowers", "stripes"], p=[.75, .2, .05]))
    material = fabric(rng, "headscarf", cloth.colour(rng, .35), pattern, "smooth", .8, .75)
    phase, turns = rng.uniform(0, 7), rng.integers(4, 8)

    def lift(a, h):
        folds = np.sin(turns * a + 7 * h + phase + 2 * np.sin(3 * h)) + .6 * np.sin((turns + 5) * a - 6 * h)
        folds = .03 * folds * np.clip((h - 1.2) / .6, .08, 1)
        return .08 + .04 * np.clip(-np.cos(a) + .5, 0, 1) + folds + .3 * np.clip(h - 1.8, 0, .3)
    made = _wrapped(face, lift, 4.5, (rng.uniform(.70, .8), 1.84, 1.02), "headscarf", material, 2.15, .022)
    made.solids += clothes.wound(face, rng, "headscarf", material, int(rng.integers(1, 3)), .05)
    return made


def _hood(face: Face, rng: np.random.Generator) -> Hat:
    material = fabric(rng, "hood", clothes.hood_colour(face), "none", "jersey", .7)

    def lift(a, h):
        return .16 + .12 * np.clip(-np.cos(a), 0, 1) + .03 * np.sin(7 * a + 4 * h) * np.clip(h - .8, 0, 1)
    return _wrapped(face, lift, 3.5, (.60, 2.05, 1.12), "hood", material, 2.4, .05)


def _turban(face: Face, rng: np.random.Generator) -> Hat:
    material = fabric(rng, "hat", cloth.colour(rng, .45), "none", "jersey", .3)
    edge = (.78, 1.0, 1.18)
    turns = rng.integers(6, 9)

    def lift(t, a):
        phase = turns * t * .5 + 1.4 * np.abs(np.sin(a / 2)) + .15 * np.sin(a * 3)
        fold = 1 - (phase % 1)
        return .10 + .22 * np.sin(np.pi * np.clip(.15 + .8 * t, 0, 1)) + .075 * fold
    return Hat([_crown(face, edge, lift, "hat", material, 64, 110, reach=1.2)[0]], _under(face, *edge))


def _helmet(face: Face, rng: np.random.Generator) -> Hat:
    base = cloth.colour(rng, .6)
    material = plain("hat", base, .25, Coat_Weight=.6)
    n = Nodes(material)
    n.into(n.mix(base, np.array([.008, .008, .009]), n.attribute("vent")), n.shader.inputs["Base Color"])
    edge = (.70, .84, 1.02)

    def slot(rest):
        """1 in the vents."""
        x, y, z = rest[:, 0], rest[:, 1], rest[:, 2]
        lane = np.abs((np.abs(x) + .09) % .26 - .13) < .055
        part = np.abs(((y + 1.4) % .62) - .31) < .2
        return (lane & part & (z > 7.95) & (np.abs(x) < .62)).astype(float)

    def lift(t, a):
        return .27 + .02 * np.cos(8 * a) * np.sin(np.pi * t)
    crown = _crown(face, edge, lift, "hat", material, 70, 160, reach=2.5)[0]
    crown.attributes["vent"] = gaussian_filter(slot(crown.attributes["rest"]).reshape(72, 160), .6).ravel()
    out = normals(crown.points, crown.faces)
    out *= np.sign((out * (crown.points - crown.points.mean(0))).sum(1).mean())
    crown.points = crown.points - face.size * .09 * crown.attributes["vent"][:, None] * out
    strap = plain("strap", (.012, .012, .013), .7)
    solids = [crown]
    for side in (1, -1):
        for start in ((side * .62, -.95, 7.78), (side * .70, -.15, 7.6)):
            spots = spline([start, (side * .74, -.62, 7.0), (side * .5, -.80, 6.42), (0, -1.08, 6.20)], 40)
            points, faces = tube(near(face, spots, .02), .045 * face.size, sides=6, flat=.25, up=(0, 1, 0))
            solids.append(Solid("strap", points, faces, strap))
    return Hat(solids, _under(face, edge[0] - .04, edge[1] - .03, edge[2] - .03))


def _headband(face: Face, rng: np.random.Generator) -> Hat:
    material = fabric(rng, "hat", cloth.colour(rng, .5), str(rng.choice(["none", "stripes", "flowers"])), "jersey", .2)
    edge, width = (.70, .88, 1.2), rng.uniform(.12, .3)
    solid = _crown(face, edge, lambda t, a: .12 + .03 * np.sin(np.pi * t), "hat", material, 8, 96, -width)[0]
    return Hat([solid], lambda points: np.zeros(len(points), bool))          # hair passes under it


def hat(face: Face, rng: np.random.Generator, kind: str | None = None) -> Hat:
    """A hat of the kind (of `HATS`, or headscarf), or any."""
    kind = kind or str(rng.choice(list(HATS), p=np.array(list(HATS.values())) / sum(HATS.values())))
    make = {"baseball cap": _baseball, "beanie": _beanie, "brimmed hat": _brimmed, "headscarf": headscarf, "turban": _turban,
            "hood": _hood, "helmet": _helmet, "headband": _headband}[kind]
    return make(face, rng)
