"""What people wear and hold before the face: glasses, headphones, earrings, masks, hands; and who wears what."""

from collections.abc import Callable
from functools import cache

import bpy
import cloth
import clothes
import hats
import mesh
import numpy as np
import people
import skin
from cloth import ball, fabric, grid, near, spline, tube
from face import Face, places
from hats import HATS
from parts import Solid, plain
from people import Person
from scipy.ndimage import gaussian_filter, minimum_filter
from scipy.spatial.transform import Rotation
from skin import Nodes, linear

# --- Glasses

# Of one lens: half its width and height, the power of its superellipse, how far the outer upper corner is pulled up.
_LENSES = {"round": (.235, .215, 2.0, 0), "oval": (.25, .17, 2.2, 0), "square": (.265, .19, 3.6, .01),
           "flat": (.265, .155, 3.6, 0), "cat-eye": (.265, .18, 2.6, .075), "aviator": (.275, .225, 2.4, -.02)}


def _lens(shape: str, n: int = 56) -> np.ndarray:
    """A lens's outline (n, 2): outwards and up from its middle."""
    w, h, power, pull = _LENSES[shape]
    a = np.linspace(0, 2 * np.pi, n, endpoint=False)
    x, z = (np.sign(f) * np.abs(f) ** (2 / power) for f in (np.cos(a), np.sin(a)))
    z = z * h + pull * np.clip(x, 0, 1) ** 2 * (1 + z)
    x = w * x * (1 + (.12 * np.clip(-z / h, 0, 1) * -np.sign(x) if shape == "aviator" else 0))
    if shape != "round":
        x = x * (1 - .05 * np.clip(-z / h, -1, 1))
    return np.stack([x, z], 1)


def _glass(tint, mirror: float) -> bpy.types.Material:
    """Thin glass: light passes straight through, tinted, or is reflected by Fresnel's share (`mirror` times)."""
    material = bpy.data.materials.new("lens")
    material.use_nodes = True
    n = Nodes(material)
    clear, gloss = n.new("BsdfTransparent"), n.new("BsdfGlossy", Roughness=.02)
    clear.inputs["Color"].default_value = (*tint, 1)
    share = n.math("MULTIPLY", n.new("Fresnel", IOR=1.45).outputs[0], mirror)
    mix = n.new("MixShader")
    n.into(share, mix.inputs[0])
    n.into(clear.outputs[0], mix.inputs[1])
    n.into(gloss.outputs[0], mix.inputs[2])
    n.into(mix.outputs[0], n.tree.nodes["Material Output"].inputs[0])
    return material


def _frame(rng: np.random.Generator, thick: bool) -> bpy.types.Material:
    u = rng.uniform
    if thick:
        colour = linear([(.03, .03, .035), (.09, .05, .035), (.24, .13, .07), (.06, .08, .16), (.36, .07, .1), (.75, .7, .62)][
            rng.choice(6, p=[.42, .2, .14, .1, .08, .06])])
        material = plain("frame", colour * u(.8, 1.3), .18, Coat_Weight=.5)
        if rng.random() < .3:                                               # horn
            n = Nodes(material)
            spots = n.noise(n.new("TexCoord").outputs["Object"], 7, 3, .45, .6)
            n.into(n.mix(linear([.34, .17, .06]), linear([.05, .025, .015]), spots), n.shader.inputs["Base Color"])
        return material
    colour = [(.82, .62, .32), (.7, .7, .72), (.16, .16, .17), (.75, .5, .42)][rng.choice(4, p=[.25, .33, .32, .1])]
    return plain("frame", linear(colour), u(.2, .4), Metallic=1.0)


def _skin_before(face: Face, xz: np.ndarray, reach: float = .05) -> np.ndarray:
    """How far to the front (the least y) the face reaches near (x, z) of the head's frame: (n,)."""
    p = face.points[(face.points[:, 1] < 0) & (face.normals[:, 1] < .3)]
    away = ((p[None, :, [0, 2]] - xz[:, None]) ** 2).sum(-1)
    return np.where(away < (reach * face.size) ** 2, p[None, :, 1], 9).min(1)


def glasses(face: Face, rng: np.random.Generator, dark: bool = False) -> list[Solid]:
    """Glasses or sunglasses on the person's nose and ears."""
    s, u = face.size, rng.uniform
    shapes = ["aviator", "square", "round", "cat-eye", "oval"] if dark else ["square", "flat", "oval", "round", "cat-eye"]
    woman = face.person.sex == "female"
    shape = str(rng.choice(shapes, p=[.3, .36, .14, .12, .08] if dark else [.32, .2, .16, .2, .12]))
    shape = "square" if shape == "cat-eye" and not woman else shape
    thick = shape != "aviator" and rng.random() < .55
    rimless = not thick and not dark and rng.random() < .2
    bridge = u(.085, .105) * s
    half = near(face, [(.66, -.85, 7.36), (-.66, -.85, 7.36)])[:, 0]
    outline = _lens(shape) * s
    fits = ((half[0] - half[1]) / 2 * u(.93, 1.0) - bridge) / np.ptp(outline[:, 0])
    outline = outline * np.clip(fits * (1.04 if dark else 1), .85, 1.2)
    cx, cz = outline[:, 0].max() + bridge, u(-.05, -.02) * s
    radius = (u(.024, .036) if thick else u(.010, .014)) * s
    back = max(c[1] - r for c, r in face.eyes) - .14 * s

    def bent(x, z, y=back):
        """On the glasses' curved and tilted front."""
        return np.stack([x, y + .17 * x ** 2 / s - .14 * z, z], -1)

    fronts = [bent(side * (cx + outline[:, 0]), cz + outline[:, 1]) for side in (1, -1)]
    every = np.concatenate(fronts)
    wanted = _skin_before(face, every[:, [0, 2]]) - .035 * s - radius - every[:, 1]
    back += float(np.clip(wanted.min(), -.16 * s, 0))
    metal = _frame(rng, thick)
    tint = np.full(3, .97) if not dark else np.array([.05, .05, .055]) * u(.4, 1.8) * (1 + rng.normal(0, .15, 3))
    glass = _glass(np.clip(tint, .01, 1), 1.0 if not dark else u(1, 2.2))
    out = []
    for side in (1, -1):
        x, z = side * (cx + outline[:, 0]), cz + outline[:, 1]
        ring = bent(x, z, back)
        rings = [np.stack([side * cx + k * (x - side * cx), 0 * x, cz + k * (z - cz)], 1) for k in (1, .75, .5, .25, .02)]
        points = np.concatenate([bent(r[:, 0], r[:, 2], back) - [0, .02 * s * (1 - k * k), 0]
                                 for r, k in zip(rings, (1, .75, .5, .25, 0))])
        out.append(Solid("sunglasses" if dark else "lens", points, grid(5, len(x), True), glass))
        if not rimless:
            bulk = radius * (1 + (.45 * np.clip(outline[:, 1] / outline[:, 1].max(), 0, 1) if thick else 0))
            points, faces = tube(ring, bulk, True, 10, 1.0, (0, 1, 0))
            out.append(Solid("frame", points, faces, metal))
        # The temple: from the hinge over the ear, and down behind it.
        top, behind = near(face, [(side * .72, -.42, 7.46), (side * .71, -.22, 7.2)])
        top, behind = top + np.array([side * .04, 0, .01]) * s, behind + np.array([side * .03, 0, 0]) * s
        k = int(np.argmax(outline[:, 0] + .9 * outline[:, 1]))
        hinge = ring[k]
        corner = hinge + np.array([side * (radius + .03 * s), .08 * s, 0])
        corner[0] = side * max(abs(corner[0]), abs(half).max())
        path = np.concatenate([[hinge, hinge * .4 + corner * .6 - [0, .03 * s, 0]], np.linspace(corner, top, 6), [behind]])
        path = spline(path, 40)
        points, faces = tube(path, max(radius * .75, .010 * s), sides=8, flat=1.6 if thick else 1.1)
        out.append(Solid("frame", points, faces, metal))
        if not thick:                                                       # a pad on the nose's side
            pad = near(face, [(side * .085, -1.46, 7.27)], .02)[0]
            inner = ring[np.argmin(outline[:, 0])]
            path = spline([inner + [0, .01, 0], (inner + pad) / 2 + [0, .03 * s, 0], pad], 8)
            points, faces = tube(path, .006 * s, sides=6, up=(0, 1, 0))
            out.append(Solid("frame", points, faces, metal))
    x = np.linspace(-1, 1, 15) * (cx - np.abs(outline[:, 0]).max() * .985)
    arch = .06 * s * (1 - (x / x.max()) ** 2)
    level = cz + .38 * outline[:, 1].max()
    path = bent(x, level + arch * .6, back)
    nose = _skin_before(face, path[:, [0, 2]], .04)
    path[:, 1] = np.minimum(path[:, 1] - .02 * s, nose.min() - radius - .01 * s) * .5 + .5 * (path[:, 1] - .02 * s)
    path[:, 1] = np.minimum(path[:, 1], nose - radius)
    points, faces = tube(path, radius * (1.2 if thick else .9), sides=10, up=(0, 1, 0))
    out.append(Solid("frame", points, faces, metal))
    if shape == "aviator":
        path = bent(np.linspace(-1, 1, 15) * cx * .75, np.full(15, cz + outline[:, 1].max()), back)
        points, faces = tube(path, radius, sides=8, up=(0, 1, 0))
        out.append(Solid("frame", points, faces, metal))
    return out


# --- At the ears, over the mouth


def headphones(face: Face, rng: np.random.Generator) -> list[Solid]:
    """Headphones with cups over the ears and a band over the head."""
    s = face.size
    colours = [(.06, .06, .06), (.9, .9, .9), (.75, .1, .12), (.1, .2, .5)]
    body = plain("headphones", linear(rng.choice(colours, p=[.55, .2, .15, .1])), .3)
    foam = plain("foam", (.012, .012, .013), .75)
    out, ends = [], []
    for side in (1, -1):
        ear = near(face, [(side * .82, -.40, 7.18)], 0)[0]
        ear[0] = side * (max(abs(ear[0]), .80 * s) + .02 * s)
        a = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        oval = np.stack([0 * a, .30 * s * np.cos(a), .37 * s * np.sin(a)], 1)
        points, faces = tube(ear + oval * .85 - [side * .02 * s, 0, 0], .095 * s, True, 12, 1, (1, 0, 0))
        out.append(Solid("foam", points, faces, foam))
        profile = [(.0, 1.02), (.10, 1.06), (.17, .96), (.21, .75), (.22, .3), (.22, .01)]
        cup = np.concatenate([ear + [side * (.05 + d) * s, 0, 0] + oval * k for d, k in profile])
        out.append(Solid("headphones", cup, grid(len(profile), 40, True), body))
        ends.append(ear + [side * .10 * s, 0, .3 * s])
    rise = np.linspace(.12, np.pi - .12, 30)
    top = near(face, [(0, -.42, 8.42)], .13)[0]
    middle = (ends[0] + ends[1]) / 2
    half, up = abs(ends[0][0] - middle[0]), top[2] - middle[2]
    flat = np.cos(rise), np.sin(rise)
    path = np.stack([middle[0] + half * np.sign(flat[0]) * np.abs(flat[0]) ** .75, np.full(30, middle[1] + .02),
                     middle[2] + up * flat[1] ** .8], 1)
    path = np.concatenate([ends[0][None], path, ends[1][None]])
    points, faces = tube(path, .05 * s, sides=12, flat=2.4, up=(0, 1, 0))
    out.append(Solid("headphones", points, faces, body))
    return out


def earrings(face: Face, rng: np.random.Generator) -> list[Solid]:
    """Studs, hoops or drops at both lobes."""
    s = face.size
    colour = [(.85, .65, .33), (.78, .78, .8), (.85, .83, .78)][rng.integers(0, 3)]
    metal = plain("earring", linear(colour), .15, Metallic=1.0)
    kind = str(rng.choice(["stud", "hoop", "drop"], p=[.45, .35, .2]))
    gem = plain("earring", cloth.colour(rng, .6), .1, Coat_Weight=1.0) if rng.random() < .5 else metal
    size = rng.uniform(.09, .26)
    out = []
    for side in (1, -1):
        lobe = near(face, [(side * .755, -.49, 6.935)], .02)[0]
        if kind == "stud":
            out.append(ball(lobe, rng.uniform(.028, .045) * s, "earring", gem))
        elif kind == "hoop":
            a = np.linspace(0, 2 * np.pi, 40, endpoint=False)
            ring = lobe + size * s * np.stack([.2 * side * np.cos(a), np.sin(a), np.cos(a) - 1], 1)
            points, faces = tube(ring, .014 * s, True, 8, 1, (1, 0, 0))
            out.append(Solid("earring", points, faces, metal))
        else:
            points, faces = tube(lobe - [[0, 0, -.02], [0, 0, size * .8 * s]], .008 * s, sides=6, up=(0, 1, 0))
            out += [Solid("earring", points, faces, metal),
                    ball(lobe - [0, 0, size * .8 * s + .05 * s], .06 * s, "earring", gem, (.7, .7, 1.2))]
    return out


def mask(face: Face, rng: np.random.Generator) -> list[Solid]:
    """A medical mask with pleats, or one of cloth, over nose and mouth, held by loops round the ears."""
    s = face.size
    medical = rng.random() < .65
    rows, columns = 40, 49
    x = np.linspace(-1, 1, columns)
    z = np.linspace(7.17, 6.29, rows)
    upper = 7.17 - .22 * np.abs(x) ** 1.3
    lower = 6.29 + .30 * np.abs(x) ** 2.2
    t = np.linspace(0, 1, rows)[:, None]
    z = upper + (lower - upper) * t
    wide = np.interp(t[:, 0], [0, .4, 1], [.57, .56, .47])[:, None]
    corners, weights = places().surface.front(np.stack([x * wide, z], -1).reshape(-1, 2))
    p = mesh.at(face.points, corners, weights).reshape(rows, columns, 3)
    y = gaussian_filter(minimum_filter(p[..., 1], 5), (2.2, 2.0), mode="nearest")
    free = np.clip(np.minimum(1 - np.abs(x), .12) / .12, 0, 1) * np.clip(np.minimum(t, .1) / .1, .25, 1)
    y = np.minimum(y, p[..., 1] - .012 * s) - s * (.045 + .03 * free)
    if medical:
        pleat = (t * 5 + .12) % 1
        y = y - s * .028 * pleat * free * ((t > .18) & (t < .85))
    even = gaussian_filter(p, (2.5, 2.0, 0), mode="nearest")
    p = np.stack([even[..., 0], y, even[..., 2]], -1)
    under = [p[-1] + s * np.stack([0 * x, k * .30 * (1 - .5 * x * x), 0 * x - .05 * k * (1 - k)], -1) for k in (.35, .7, 1)]
    p = np.concatenate([p, under])
    if medical:
        tint = linear([(.62, .8, .9), (.9, .93, .95), (.08, .08, .09), (.93, .72, .78)][rng.choice(4, p=[.5, .3, .14, .06])])
        material = fabric(rng, "mask", tint, "none", "jersey", .12, .85)
    else:
        pattern = str(rng.choice(["none", "flowers", "stripes", "checks"], p=[.55, .25, .1, .1]))
        material = fabric(rng, "mask", None, pattern, "jersey", .25)
    out = [Solid("mask", p.reshape(-1, 3), grid(len(p), columns), material, None, {"rest": p.reshape(-1, 3) / s})]
    cord = plain("loop", (.85, .85, .85) if rng.random() < .7 else (.03, .03, .03), .8)
    for side, k in ((1, -1), (-1, 0)):
        behind = near(face, [(side * .74, -.25, 7.3), (side * .76, -.2, 7.05)], .02)
        over, below = near(face, [(side * .72, -.47, 7.44), (side * .70, -.42, 6.9)], .03)
        path = spline([p[1, k], near(face, [(side * .66, -.8, 7.3)], .035)[0], over, behind[0], behind[1], below,
                       near(face, [(side * .6, -.8, 6.75)], .035)[0], p[rows - 3, k]], 60)
        points, faces = tube(path, .013 * s, sides=6, flat=1.6)
        out.append(Solid("loop", points, faces, cord))
    return out


# --- A hand

_FINGERS = range(1, 6)


@cache
def _hand_mesh() -> tuple[np.ndarray, list]:
    """The left lower arm and hand: indices into the base mesh's vertices, and faces of places in those indices."""
    base = mesh.base()
    inside = (base[:, 0] > 3.35) & (base[:, 2] < 4)
    faces = [[i for i, _ in f] for f in mesh._base()[2]["body"] if all(inside[i] for i, _ in f)]
    used = np.unique(np.concatenate(faces))
    place = {v: k for k, v in enumerate(used.tolist())}
    return used, [[place[i] for i in f] for f in faces]


def _joint(vertices: np.ndarray, name: str) -> np.ndarray:
    return vertices[mesh.vertices_of(f"joint-l-{name}")].mean(0)


def _curled(vertices: np.ndarray, bends: np.ndarray, close: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The hand's points (n, 3) with each finger bent by `bends` (5, 3) radians at its joints; `close` (5,): shares by which
    fingers are brought to the middle one's direction. And where the hand points."""
    used, _ = _hand_mesh()
    points = vertices[used].copy()
    joints = {f: np.array([_joint(vertices, f"finger-{f}-{k}") for k in range(1, 5)]) for f in _FINGERS}
    wrist = _joint(vertices, "hand")
    along = joints[3][0] - wrist
    across = joints[2][0] - joints[5][0]
    palm = np.cross(along, across)
    palm /= np.linalg.norm(palm)
    distance = []
    for f in _FINGERS:
        d = np.full(len(points), np.inf)
        for a, b in zip(joints[f], joints[f][1:]):
            t = np.clip(((points - a) @ (b - a)) / ((b - a) @ (b - a)), -.15, 1.3)
            d = np.minimum(d, np.linalg.norm(points - a - t[:, None] * (b - a), axis=1))
        distance.append(d)
    owner = np.argmin(distance, 0) + 1
    ways = np.array([joints[f][1] - joints[f][0] for f in _FINGERS])
    aside = np.arctan2(np.cross(ways, ways[2]) @ palm, ways @ ways[2])
    for f in _FINGERS:
        mine = owner == f
        chain = joints[f]
        for k in (2, 1, 0):
            a, b = chain[k], chain[k + 1]
            way = (b - a) / np.linalg.norm(b - a)
            axis = np.cross(way, palm) if f > 1 else np.cross(way, np.cross(palm, across / np.linalg.norm(across)) * .3 + palm)
            axis /= np.linalg.norm(axis)
            share = np.clip(((points - a) @ way) / .12 + .5, 0, 1) * mine
            turn = bends[f - 1, k] * axis + (close[f - 1] * aside[f - 1] * palm if k == 0 else 0)
            points = a + Rotation.from_rotvec(share[:, None] * turn).apply(points - a)
            later = Rotation.from_rotvec(turn)
            chain[k + 1:] = a + later.apply(chain[k + 1:] - a)
    return points, {"along": along / np.linalg.norm(along), "palm": palm, "tip": joints[3][3], "knuckle": joints[3][0]}


# For the left hand: where the middle fingertip goes, (x, z) on the mean face; how far the fingers lean inwards, in degrees; how
# far the palm looks inwards, how much the fingers are curled and how far their tips lead back.
_HOLDS = {"chin": ((-.22, 6.50), 58, (-.15, .3, .35)), "cheek": ((.56, 7.28), -4, (-.75, .05, .5)),
          "mouth": ((-.30, 6.85), 64, (-.15, .1, .3)), "eye": ((.12, 7.62), 22, (-.2, .05, .3))}


def hand(face: Face, rng: np.random.Generator) -> list[Solid]:
    """A hand before chin, cheek, mouth or an eye, and the arm that leads out of the picture."""
    person = face.person
    vertices = people.shape(person)
    u = rng.uniform
    what = str(rng.choice(list(_HOLDS), p=[.35, .3, .22, .13]))
    bend = np.array([[.05, .1, .1]] + [[u(.05, .3), u(.15, .4), u(.1, .3)] for _ in range(4)])
    (x, z), lean, (turned, curl, back) = _HOLDS[what]
    bend[1:] += curl
    points, frame = _curled(vertices, bend, np.r_[u(0, .4), np.full(4, u(.2, .9))])
    lean = np.radians(lean + u(-12, 12))
    goal = face.front(np.array([[x + u(-.05, .05), z + u(-.05, .05)]]))[0]
    # The hand's own axes: fingers, palm and thumb's side; the face wants fingers up and inwards, the palm to the face.
    fingers = frame["tip"] - frame["knuckle"]
    fingers /= np.linalg.norm(fingers)
    fingers = (fingers + frame["along"]) / np.linalg.norm(fingers + frame["along"])
    palm = frame["palm"] - fingers * (frame["palm"] @ fingers)
    palm /= np.linalg.norm(palm)
    have = np.stack([fingers, palm, np.cross(fingers, palm)], 1)
    up = np.array([-np.sin(lean), back, np.cos(lean)])
    up /= np.linalg.norm(up)
    inwards = np.array([turned, 1.0, .0])
    inwards -= up * (inwards @ up)
    inwards /= np.linalg.norm(inwards)
    want = np.stack([up, inwards, np.cross(up, inwards)], 1)
    turn = want @ have.T
    points = (points - frame["tip"]) @ turn.T + goal
    side = rng.choice([-1, 1])
    points[:, 0] *= side
    before = points[:, 2] > -1.3 * face.size                    # the arm may cross the chest
    short = _skin_before(face, points[before][:, [0, 2]], .06) - .015 - points[before, 1]
    points[:, 1] += min(0.0, short.min())
    material = _bare(person, rng)
    used, faces = _hand_mesh()
    return [Solid("hand", points, faces, material, None, {"rest": vertices[used]}, True, 1)]


def _bare(person: Person, rng: np.random.Generator) -> bpy.types.Material:
    """The skin of hands."""
    tone = skin.look(person).skin
    material = plain("hand", tone, .5, Subsurface_Weight=.2, Subsurface_Scale=.04)
    material.node_tree.nodes["Principled BSDF"].inputs["Subsurface Radius"].default_value = (1, .38, .19)
    n = Nodes(material)
    where = n.attribute("rest", True)
    col = n.mix(np.clip(tone, 0, .9), np.clip(tone * [.97, .84, .80], 0, .9), n.noise(where, 4, 4))
    n.into(n.mix(col, np.clip(tone * .8, 0, .9), n.math("MULTIPLY", n.noise(where, 30, 4), .4)), n.shader.inputs["Base Color"])
    fine = n.new("TexNoise", Vector=where, Scale=45.0, Detail=5.0, Distortion=1.0)
    n.into(n.new("Bump", Strength=.35, Distance=.03, Height=fine.outputs[0]).outputs[0], n.shader.inputs["Normal"])
    return material


# --- Who wears what


def draw(person: Person, rng: np.random.Generator, hats_allowed: bool = True) -> list[str]:
    """Names of what a person wears in a picture. Glasses and earrings stay the person's, without hats clothes too."""
    own = np.random.default_rng([person.seed, 20])
    woman, adult = person.sex == "female", person.age > 15
    has = {name: own.random() for name in ("glasses", "sunglasses", "earrings", "scarf", "headscarf")}
    pick = rng if hats_allowed else own
    kinds = {"T-shirt": .44, "shirt": .20, "turtleneck": .06, "suit": .13 * adult * (.35 if woman else 1),
             "hoodie": .13 * (person.age < 60), "top": .16 * woman * (person.age >= 18)}
    names = [str(pick.choice(list(kinds), p=np.array(list(kinds.values())) / sum(kinds.values())))]
    glasses_share = .18 * np.interp(person.age, [3, 12, 30, 60, 80], [.25, .6, .9, 1.7, 2.2])
    dark = hats_allowed and has["sunglasses"] < .02
    if dark:
        names.append("sunglasses")
    elif has["glasses"] < glasses_share:
        names.append("glasses")
    if has["earrings"] < (.3 if woman and person.age > 8 else .015):
        names.append("earrings")
    if not hats_allowed:
        return names
    if woman and adult and has["headscarf"] < .03:
        return [n for n in names if n != "earrings"] + ["headscarf"]
    draws = rng.random(5)
    if draws[0] < .08:
        names.append(str(rng.choice(list(HATS), p=np.array(list(HATS.values())) / sum(HATS.values()))))
        names[0] = "hoodie" if names[-1] == "hood" else names[0]
    elif draws[1] < .02:
        names.append("headphones")
    if draws[2] < .05 and names[0] not in ("turtleneck", "hoodie") and "hood" not in names:
        names.append("scarf")
    if draws[3] < .015:
        names.append("mask")
    elif draws[4] < .03:
        names.append("hand")
    return names


def wear(face: Face, names: list[str], rng: np.random.Generator) -> tuple[list[Solid], Callable | None]:
    """The solids of what `names` say, and which points of hair a hat covers (None: no hat)."""
    own = {name: np.random.default_rng([face.person.seed, 21, k]) for k, name in enumerate(
        ["glasses", "sunglasses", "earrings", "scarf", "clothes", "hat"])}
    solids, covers = [], None
    for name in names:
        if name in clothes.KINDS:
            solids += clothes.clothes(face, own["clothes"], name)
        elif name in ("glasses", "sunglasses"):
            solids += glasses(face, own[name], name == "sunglasses")
        elif name == "earrings":
            solids += earrings(face, own[name])
        elif name == "scarf":
            solids += clothes.scarf(face, own[name])
        elif name in ("headphones", "mask", "hand"):
            solids += {"headphones": headphones, "mask": mask, "hand": hand}[name](face, rng)
        else:
            made = hats.hat(face, own["hat"], name)
            solids += made.solids
            covers = made.covers
    return solids, covers


def facts(names: list[str]) -> dict[str, str]:
    """Words for a datasheet: clothes, glasses, hat, and what else is before or on the face."""
    on_head = [n for n in names if n in HATS or n == "headscarf"]
    eyes = [n for n in names if n in ("glasses", "sunglasses")]
    other = [n for n in names if n in ("headphones", "earrings", "scarf", "mask", "hand")]
    return {"clothes": next(n for n in names if n in clothes.KINDS), "glasses": (eyes or ["none"])[0],
            "hat": (on_head or ["none"])[0], "worn": ", ".join(other) or "none"}
