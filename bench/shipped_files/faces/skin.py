"""Skin: its tone, its colours over the face, what grows and is painted on it; and the eyes and teeth."""

from dataclasses import dataclass
from functools import cache

import bpy
import landmarks
import mesh
import numpy as np
from face import LOWER, TONGUE, UPPER, Face, part
from parts import Solid, plain
from people import Person

# sRGB, from the lightest to the darkest.
_TONES = np.array([[244, 212, 196], [236, 196, 172], [224, 176, 146], [203, 152, 118], [176, 124, 90], [142, 96, 68],
                   [104, 70, 52], [74, 50, 40], [52, 37, 32]]) / 255
_IRISES = np.array([[48, 30, 19], [66, 42, 25], [96, 68, 38], [110, 100, 62], [98, 112, 96], [96, 122, 142],
                    [72, 96, 128]]) / 255


def linear(srgb) -> np.ndarray:
    """sRGB in 0..1 as linear light."""
    srgb = np.asarray(srgb, float)
    return np.where(srgb <= .04045, srgb / 12.92, ((srgb + .055) / 1.055) ** 2.4)


@dataclass(frozen=True)
class Look:
    """A person's colours, and what is on the skin; strengths from 0 to 1. Colours are linear light."""

    tone: float                    # 0 lightest .. 8 darkest
    skin: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    red: float
    freckles: float
    blotches: float
    wrinkles: float
    stubble: float
    oily: float
    shadow: float                  # eye shadow
    liner: float
    rouge: float


def look(person: Person) -> Look:
    """The person's colours; the same seed gives the same."""
    rng = np.random.default_rng([person.seed, 3])
    u = rng.uniform
    tone = float(np.clip(np.dot(person.origins, [u(4.6, 8.0), u(.8, 4.4), u(0, 2.9)]) + rng.normal(0, .3), 0, 8))
    low = min(int(tone), 7)
    skin = linear(_TONES[low] + (tone - low) * (_TONES[low + 1] - _TONES[low])) * (1 + rng.normal(0, .03, 3))
    light = tone < 2.6
    iris = linear(_IRISES[rng.integers(0, 7) if light and person.origins[2] > .5 else rng.integers(0, 3)]) * u(.8, 1.25)
    woman = person.sex == "female" and person.age > 15
    made_up = woman and rng.random() < .5
    lips = skin * np.array([.80, .44, .43]) ** u(.6, 1.35)
    if tone > 5:
        lips = skin * [u(.8, 1.1), u(.55, .75), u(.55, .8)]
    if made_up and rng.random() < .75:
        lips = lips + u(.3, .95) * (linear(np.array([u(.45, .85), u(.08, .35), u(.12, .42)])) - lips)
    stubble = u(.15, 1) * (rng.random() < .6) if person.sex == "male" and person.age > 17 else 0.0
    return Look(tone, np.clip(skin, .01, .9), iris, np.clip(lips, .005, .9), red=u(.2, 1), blotches=u(.2, 1),
                freckles=float(u(.3, 1) if light and rng.random() < .22 else 0),
                wrinkles=float(np.clip(person.old * u(.6, 1.1), 0, 1)), stubble=float(stubble), oily=float(rng.beta(2, 2)),
                shadow=float(u(.1, .5) if made_up and rng.random() < .5 else 0),
                liner=float(u(.3, 1) if made_up and rng.random() < .7 else 0),
                rouge=float(u(.2, .8) if made_up and rng.random() < .5 else 0))


@cache
def rest() -> np.ndarray:
    """The mean face's points (n, 3), in the base mesh's coordinates: where on the skin a vertex is."""
    return part("body").points(landmarks.mean_shape())


def _around(*centres, mirror: bool = True) -> np.ndarray:
    """1 at the centres (x, y, z, radius), falling to 0 as normal curves do: (n,)."""
    p, total = rest(), 0
    for x, y, z, radius in centres:
        for side in ((1, -1) if mirror and x else (1,)):
            total = total + np.exp(-.5 * (((p - [side * x, y, z]) / radius) ** 2).sum(1))
    return np.clip(total, 0, 1)


def _along(*line, width: float) -> np.ndarray:
    """1 on a line of the face, (x, z) seen from the front on the mean face, and on its mirror image: (n,)."""
    p, best = rest(), np.inf
    spot = np.stack([abs(p[:, 0]), p[:, 2]], 1)
    for a, b in zip(np.array(line[:-1]), np.array(line[1:])):
        t = np.clip((spot - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)[:, None]
        best = np.minimum(best, ((spot - a - t * (b - a)) ** 2).sum(1))
    return np.exp(-.5 * best / width ** 2) * np.clip((-p[:, 1] - .95) / .15, 0, 1)


@cache
def creases() -> dict[str, np.ndarray]:
    """Where the skin of a face folds, each (n,) from 0 to 1."""
    return {"cheek": _along((.155, 6.96), (.21, 6.90), (.27, 6.80), (.30, 6.70), width=.024),
            "lid": _along((.165, 7.355), (.22, 7.405), (.29, 7.428), (.36, 7.415), (.42, 7.37), width=.013),
            "bag": _along((.17, 7.295), (.23, 7.255), (.31, 7.235), (.39, 7.262), (.43, 7.31), width=.014),
            "wing": _along((.125, 7.03), (.165, 6.98), (.16, 6.925), (.125, 6.905), width=.013),
            "nostril": _along((.045, 6.898), (.085, 6.902), width=.016),
            "chin": _along((0, 6.525), (.09, 6.52), (.14, 6.50), width=.026),
            "corner": _along((.222, 6.678), (.24, 6.674), width=.012),
            "frown": _along((.06, 7.47), (.055, 7.56), width=.013)}


@cache
def regions() -> dict[str, np.ndarray]:
    """Where on the body's points things are, each (n,) from 0 to 1."""
    p = rest()
    x, y, z = abs(p[:, 0]), p[:, 1], p[:, 2]
    front = np.clip((-y - .2) / .4, 0, 1)
    jaw = np.interp(x, [0, .3, .5, .65], [6.62, 6.66, 6.84, 7.0])
    beard = np.clip((jaw + .06 - z) / .12, 0, 1) * np.clip((z - 6.12) / .14, 0, 1) * np.clip((-y - .35) / .25, 0, 1)
    moustache = _around((.07, -1.53, 6.82, .055), (.16, -1.48, 6.77, .05), (.0, -1.55, 6.83, .05))
    side = (np.clip((7.3 - z) / .1, 0, 1) * np.clip((x - .58) / .06, 0, 1) * np.clip((-y - .45) / .1, 0, 1) * (y < -.3)
            * (z > 6.6))
    return {"cheeks": _around((.38, -1.22, 7.02, .17)), "cushions": _around((.33, -1.25, 6.98, .085)),
            "nose": _around((0, -1.6, 7.0, .11), (.13, -1.45, 6.98, .06)),
            "ears": np.clip((x - .71) / .05, 0, 1) * (z > 6.7), "chin": _around((0, -1.43, 6.4, .12)),
            "sockets": _around((.24, -1.32, 7.36, .09), (.36, -1.28, 7.38, .1)),
            "bags": _around((.27, -1.31, 7.23, .05), (.36, -1.28, 7.23, .05)),
            "lids": _around((.22, -1.35, 7.4, .05), (.31, -1.36, 7.405, .055), (.39, -1.32, 7.39, .05)),
            "mouth": _around((0, -1.5, 6.7, .2), mirror=False), "front": front,
            "beard": np.clip(beard + moustache + side, 0, 1), "full": np.clip(beard + side, 0, 1),
            "goatee": np.clip(_around((0, -1.45, 6.42, .13), (0, -1.46, 6.53, .07), (.1, -1.43, 6.36, .1)), 0, 1),
            "forehead": _around((0, -1.42, 7.75, .25), (.3, -1.3, 7.75, .2))}


class Nodes:
    """A few words for shader trees."""

    def __init__(self, material: bpy.types.Material):
        self.tree = material.node_tree
        self.shader = self.tree.nodes["Principled BSDF"]

    def new(self, kind: str, **inputs):
        node = self.tree.nodes.new(f"ShaderNode{kind}")
        for key, value in inputs.items():
            self.into(value, node.inputs[key.replace("_", " ")])
        return node

    def into(self, value, socket) -> None:
        """A socket's value: another node's output, a number or a colour."""
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value

    def attribute(self, name: str, vector: bool = False):
        node = self.tree.nodes.new("ShaderNodeAttribute")
        node.attribute_name = name
        return node.outputs["Vector" if vector else "Fac"]

    def math(self, operation: str, *values):
        node = self.tree.nodes.new("ShaderNodeMath")
        node.operation = operation
        for value, socket in zip(values, node.inputs):
            self.into(value, socket)
        return node.outputs[0]

    def mix(self, a, b, share):
        node = self.tree.nodes.new("ShaderNodeMix")
        node.data_type = "RGBA"
        self.into(share, node.inputs[0])
        for value, socket in ((a, node.inputs[6]), (b, node.inputs[7])):
            self.into((*value, 1) if isinstance(value, (tuple, np.ndarray)) else value, socket)
        return node.outputs[2]

    def noise(self, where, scale: float, detail: float = 4, low: float = .35, high: float = .65):
        noise = self.new("TexNoise", Vector=where, Scale=scale, Detail=detail)
        return self.between(noise.outputs[0], low, high)

    def between(self, value, low: float, high: float, to: tuple[float, float] = (0, 1)):
        node = self.new("MapRange", Value=value, From_Min=low, From_Max=high, To_Min=to[0], To_Max=to[1])
        return node.outputs[0]

    def image(self, file: str):
        node = self.tree.nodes.new("ShaderNodeTexImage")
        node.image = bpy.data.images.load(str(mesh.TEXTURES / file), check_existing=True)
        node.image.colorspace_settings.name = "Non-Color"
        return node.outputs[0]


def skin(face: Face, looks: Look, rng: np.random.Generator) -> Solid:
    """The body with its skin."""
    where = regions()
    material = bpy.data.materials.new("skin")
    material.use_nodes = True
    n = Nodes(material)
    tone = looks.skin
    shift = n.new("VectorMath")
    n.into(n.attribute("rest", True), shift.inputs[0])
    shift.inputs[1].default_value = rng.uniform(-50, 50, 3)
    spot = shift.outputs[0]

    def shade(*factors):
        return np.clip(tone * np.array(factors), .003, .92)

    col = n.mix(shade(1, 1, 1), shade(.88, .79, .75), n.math("MULTIPLY", n.noise(spot, 2.2), looks.blotches))
    col = n.mix(col, shade(.84, .76, .71), n.math("MULTIPLY", n.noise(spot, 14), .55 * looks.blotches))
    col = n.mix(col, shade(1.05, .66, .62), n.attribute("red"))
    col = n.mix(col, shade(.66, .56, .56), n.attribute("dark"))
    col = n.mix(col, shade(.76, .72, .69), n.math("MULTIPLY", n.noise(spot, 26, 5, .38, .7), .75))
    if looks.freckles:
        cells = n.new("TexVoronoi", Vector=spot, Scale=30.0, Randomness=1.0)
        dots = n.between(cells.outputs["Distance"], .26, .12)
        dots = n.math("MULTIPLY", dots, n.noise(spot, 5, 2, .45, .6))
        dots = n.math("MULTIPLY", dots, n.attribute("freckles"))
        col = n.mix(col, shade(.66, .52, .42), n.math("MULTIPLY", dots, .85 * looks.freckles))
    for _ in range(int(rng.poisson(1.2))):
        k = rng.choice(np.flatnonzero(where["front"] > .8))
        distance = n.new("VectorMath")
        distance.operation = "DISTANCE"
        n.into(n.attribute("rest", True), distance.inputs[0])
        distance.inputs[1].default_value = rest()[k] + rng.normal(0, .01, 3)
        size = float(rng.uniform(.008, .02))
        strength = float(rng.uniform(.5, .95))
        col = n.mix(col, shade(.45, .36, .32), n.between(distance.outputs["Value"], size * 1.3, size * .7, (0, strength)))
    col = n.mix(col, shade(.46, .45, .47), n.math("MULTIPLY", n.attribute("stubble"), n.noise(spot, 90, 2, .3, .6)))
    if looks.shadow:
        col = n.mix(col, linear(rng.uniform(.15, .5) * (1 + rng.normal(0, .2, 3)).clip(.6, 1.4)), n.attribute("shadow"))
    col = n.mix(col, shade(.34, .22, .20), n.attribute("crease"))
    lips = n.math("MULTIPLY", n.image("mpfb_lips.jpg"), n.between(n.noise(spot, 40, 2), 0, 1, (.75, .95)))
    col = n.mix(col, np.clip(looks.lips, .003, .9), lips)
    inside = n.image("mpfb_inside-mouth.jpg")
    col = n.mix(col, np.array([.22, .06, .055]), inside)
    n.into(col, n.shader.inputs["Base Color"])
    rough = .58 - .22 * looks.oily
    uneven = n.between(n.noise(spot, 30, 3), 0, 1, (rough - .06, rough + .1))
    glossy = n.math("SUBTRACT", uneven, n.math("MULTIPLY", n.attribute("oil"), .16))
    glossy = n.math("SUBTRACT", glossy, n.math("MULTIPLY", lips, .12 + .15 * looks.rouge))
    n.into(glossy, n.shader.inputs["Roughness"])
    n.shader.inputs["Specular IOR Level"].default_value = .38 + .27 * looks.oily
    n.shader.inputs["Subsurface Weight"].default_value = .22
    n.shader.inputs["Subsurface Radius"].default_value = (1, .38, .19)
    n.shader.inputs["Subsurface Scale"].default_value = .04
    pores = n.noise(spot, 140, 3, .2, .8)
    fine = n.new("Bump", Strength=.24, Distance=.014, Height=pores)
    folds = n.new("TexNoise", Vector=spot, Scale=26.0, Detail=5.0, Distortion=1.2)
    wrinkled = n.math("MULTIPLY", n.math("ABSOLUTE", n.math("SUBTRACT", folds.outputs[0], .5)), n.attribute("wrinkles"))
    lines = n.new("Bump", Strength=.55, Distance=.05, Height=wrinkled, Normal=fine.outputs[0])
    n.into(lines.outputs[0], n.shader.inputs["Normal"])
    w, folded = where, creases()
    strength = rng.uniform(.25, 1, 5)
    crease = sum(a * b for a, b in (
        (folded["cheek"], .08 * strength[0] + .18 * face.person.old + .17 * face.smile()), (folded["lid"], .55 * strength[1]),
        (folded["bag"], .25 * strength[2] + .3 * face.person.old), (folded["wing"], .45 * strength[0]), (folded["nostril"], .9),
        (folded["chin"], .30 * strength[3]), (folded["corner"], .75), (folded["frown"], .4 * face.person.old * strength[4]),
        (_rim(), .55)))
    attributes = {
        "rest": rest(),
        "red": np.clip(looks.red * (.35 * w["cheeks"] + .42 * w["nose"] + .35 * w["ears"] + .16 * w["chin"])
                       + .55 * looks.rouge * w["cheeks"], 0, .9),
        "dark": np.clip(.45 * w["sockets"] * strength[4] + (.18 + .3 * face.person.old) * w["bags"]
                        + .9 * looks.liner * _rim(), 0, .95),
        "crease": np.clip(crease, 0, .85), "freckles": np.clip(w["cheeks"] + w["nose"] + .5 * w["forehead"], 0, 1),
        "stubble": .75 * looks.stubble * w["beard"],
        "shadow": looks.shadow * w["lids"], "oil": np.clip(w["nose"] + w["forehead"] + .5 * w["chin"], 0, 1) * looks.oily,
        "wrinkles": looks.wrinkles * np.clip(.25 + w["forehead"] + w["bags"] + .4 * w["cheeks"] + .5 * w["mouth"], 0, 1)}
    fold = (.020 * w["cushions"] * face.smile() - folded["cheek"] * (.016 * face.smile() + .006 * face.person.old)
            - .010 * folded["bag"] * face.person.old - .006 * folded["chin"])
    points = face.points + (face.size * fold)[:, None] * face.normals
    return Solid("skin", points, part("body").faces, material, part("body").textures, attributes)


def even(face: Face, looks: Look) -> Solid:
    """The body with skin of one colour."""
    material = plain("skin", looks.skin, .55, Subsurface_Weight=.22, Subsurface_Scale=.04)
    return Solid("skin", face.points, part("body").faces, material, part("body").textures, {})


@cache
def _rim() -> np.ndarray:
    """1 along the lids' edges: (n,)."""
    p, total = rest(), 0
    body = part("body")
    index = {v: k for k, v in enumerate(body.used)}
    for v in landmarks.LIDS:
        for side in (1, -1):
            total = np.maximum(total, np.exp(-.5 * (((p - rest()[index[v]] * [side, 1, 1]) / .013) ** 2).sum(1)))
    return total


def eyes(face: Face, looks: Look, rng: np.random.Generator) -> list[Solid]:
    """Two eyeballs that look where the face does."""
    size = float(rng.uniform(.46, .5))                      # the iris's radius, of the ball's
    pupil = size * float(rng.uniform(.28, .5))
    polar, turn = np.meshgrid(np.r_[np.linspace(0, .62, 24), np.linspace(.66, np.pi, 20)],
                              np.linspace(0, 2 * np.pi, 48, endpoint=False), indexing="ij")
    ball = np.stack([np.sin(polar) * np.cos(turn), -np.cos(polar), np.sin(polar) * np.sin(turn)], -1).reshape(-1, 3)
    rows, cols = polar.shape
    k = np.arange(rows * cols).reshape(rows, cols)
    right = np.roll(k, -1, 1)
    faces = np.stack([k[:-1], right[:-1], right[1:], k[1:]], -1).reshape(-1, 4)
    material = bpy.data.materials.new("eye")
    material.use_nodes = True
    n = Nodes(material)
    radius, spot = n.attribute("radius"), n.attribute("spot", True)
    fibres = n.new("TexNoise", Vector=spot, Scale=22.0, Detail=4.0)
    colour = n.mix(looks.iris, np.clip(looks.iris * 1.9, 0, .9), n.between(fibres.outputs[0], .4, .65))
    colour = n.mix(colour, looks.iris * .5, n.between(radius, pupil * 1.7, pupil))
    colour = n.mix(colour, looks.iris * .22, n.between(radius, size * .86, size))
    white = np.array([.68, .62, .58]) * rng.uniform(.85, 1.1)
    veins = n.noise(spot, 9, 5, .5, .75)
    sclera = n.mix(white, white * [1, .72, .68], n.math("MULTIPLY", veins, n.between(radius, size, .95, (.1, .9))))
    colour = n.mix(colour, sclera, n.between(radius, size * .96, size * 1.07))
    colour = n.mix(colour, np.array([.002, .002, .002]), n.between(radius, pupil, pupil * .9))
    n.into(colour, n.shader.inputs["Base Color"])
    n.shader.inputs["Roughness"].default_value = .25
    n.shader.inputs["Coat Weight"].default_value = 1.0
    n.shader.inputs["Coat Roughness"].default_value = .02
    n.shader.inputs["Subsurface Weight"].default_value = .1
    n.shader.inputs["Subsurface Scale"].default_value = .02
    sine = np.sin(polar.ravel()) * (polar.ravel() < np.pi / 2) + 1.0 * (polar.ravel() >= np.pi / 2)
    bulge = 1 + .045 * np.clip(1 - (sine / (size * 1.12)) ** 2, 0, 1)
    angle = np.arctan2(ball[:, 2], ball[:, 0])
    spots = np.stack([np.cos(angle) * 1.5, np.sin(angle) * 1.5, sine * .4], 1)
    out = []
    for (centre, size_of), side in zip(face.eyes, (1, -1)):
        left, up = face.gaze * [1, 1] + [side * -.01, 0]
        a, b = np.sin([left, up]), np.cos([left, up])
        tilt = np.array([[1, 0, 0], [0, b[1], a[1]], [0, -a[1], b[1]]])
        swing = np.array([[b[0], -a[0], 0], [a[0], b[0], 0], [0, 0, 1]])
        points = (ball * bulge[:, None]) @ (swing @ tilt).T * size_of + centre
        out.append(Solid("eye", points, faces, material, None, {"radius": sine, "spot": spots + side}))
    return out


def mouth(face: Face, rng: np.random.Generator) -> list[Solid]:
    """Teeth, one beside the other, and tongue."""
    white = np.array([.86, .82, .74]) * rng.uniform(.78, 1.1) ** np.array([1, 1, 1.5])
    teeth = plain("teeth", np.clip(white, 0, .9), .18, Subsurface_Weight=.15, Subsurface_Scale=.02)
    n = Nodes(teeth)
    width = n.math("PINGPONG", n.attribute("across"), .5)
    n.into(n.mix(white * [.55, .42, .33], np.clip(white, 0, .9), n.between(width, .0, .07)), n.shader.inputs["Base Color"])
    tongue = plain("tongue", (.36, .12, .11), .35)
    out = [Solid("mouth", face.others[TONGUE], part(*TONGUE).faces, tongue)]
    for groups, size in ((UPPER, .082), (LOWER, .062)):
        points = face.others[groups]
        angle = np.arctan2(points[:, 0], -(points[:, 1] - points[:, 1].max() + .1 * face.size))
        out.append(Solid("mouth", points, part(*groups).faces, teeth, None, {"across": angle * .36 / size}))
    return out
