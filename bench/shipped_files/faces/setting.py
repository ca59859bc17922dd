"""Settings to photograph a face in: panoramas, walls, rooms of simple solids, lamps, flash, backlight."""

import bpy
import numpy as np
import parts
import scene
from parts import Solid, plain
from skin import Nodes, linear

KINDS = {"outdoors": .32, "indoors": .18, "wall": .20, "room": .14, "night": .10, "backlight": .06}


def warm(rng: np.random.Generator, kelvin: float | None = None) -> np.ndarray:
    """The colour of a lamp's light, about 2,500 to 9,000 K, linear, mean 1."""
    k = (kelvin or np.exp(rng.uniform(np.log(2500), np.log(9000)))) / 6500
    colour = np.array([k ** -.75, 1, k ** .95])
    return colour / colour.mean()


def build(rng: np.random.Generator, target: np.ndarray, camera: scene.Camera) -> str:
    """Light and background around `target` (3,), where the face is; returns the kind of setting."""
    kinds = list(KINDS)
    kind = str(rng.choice(kinds, p=np.array(list(KINDS.values()))))
    u = rng.uniform
    yaw = camera.yaw
    if kind == "outdoors":
        scene.world(rng, str(rng.choice(["city", "courtyard", "forest", "sunrise", "sunset"])), 1.0, tint=u(.85, 1.15, 3))
        if rng.random() < .55:
            scene.lamp(target, 60, yaw + u(-100, 100), u(15, 70), np.exp(u(np.log(.8), np.log(5))), u(.005, .03),
                       warm(rng, u(4200, 6500)), "SUN")
    elif kind == "indoors":
        scene.world(rng, str(rng.choice(["interior", "studio", "courtyard"])), 1.0, tint=warm(rng, u(3200, 7500)))
        lamps(rng, target, yaw, 1, 1.0)
    elif kind == "wall":
        scene.world(rng, None, np.exp(u(np.log(.05), np.log(.8))), tint=warm(rng, u(4000, 8000)))
        wall(rng, target, camera, u(3, 20))
        lamps(rng, target, yaw, int(rng.integers(1, 4)), 1.0)
    elif kind == "room":
        scene.world(rng, None, np.exp(u(np.log(.04), np.log(.7))), tint=warm(rng, u(3000, 8000)))
        wall(rng, target, camera, u(12, 35))
        solids(rng, target, camera)
        lamps(rng, target, yaw, int(rng.integers(1, 3)), 1.0)
    elif kind == "night":
        scene.world(rng, str(rng.choice(["night", "interior"])), u(.15, .5))
        if rng.random() < .6:                                              # flash, beside the lens
            distance = float(np.linalg.norm(camera.place - target))
            above = np.degrees(np.arcsin(camera.back[2]))
            flash = scene.lamp(target, distance, yaw + u(-3, 3), above + u(1, 6), 60 * distance**2, u(.15, .6), warm(rng, 5600))
            flash.data.spread = 2.5
        else:
            lamps(rng, target, yaw, int(rng.integers(1, 3)), 1.0, spread=110)
    else:
        scene.world(rng, str(rng.choice(["sunset", "sunrise", "city", "courtyard"])), u(.6, 1.2))
        scene.lamp(target, 60, yaw + 180 + u(-50, 50), u(8, 50), u(2, 8), u(.005, .02), warm(rng, u(3500, 6000)), "SUN")
    return kind


def lamps(rng: np.random.Generator, target, yaw: float, count: int, strength: float, spread: float = 75) -> None:
    """Windows, softboxes and bulbs."""
    for k in range(count):
        distance = rng.uniform(8, 25)
        big = rng.choice([.5, 2.5, 8], p=[.25, .4, .35]) * rng.uniform(.7, 1.5)
        watts = strength * np.exp(rng.uniform(np.log(4), np.log(16))) * distance ** 2 * (1 if k == 0 else rng.uniform(.1, .7))
        colour = warm(rng)
        if rng.random() < .02:
            colour = rng.dirichlet([1, 1, 1]) * 3                          # coloured light
        aside = np.clip(rng.normal(0, spread * .6), -150, 150)
        scene.lamp(target, distance, yaw + aside, rng.uniform(-5, 60), watts, big, colour)


def behind(camera: scene.Camera, target, distance: float, across, up) -> np.ndarray:
    """Points behind the target, (across, up) in the camera's axes: (n, 3)."""
    level = np.array([camera.right[0], camera.right[1], 0])
    level /= np.linalg.norm(level)
    away = np.cross([0, 0, 1], level)
    return np.asarray(target) + distance * away + np.outer(across, level) + np.outer(up, [0, 0, 1])


def _cloth(rng: np.random.Generator, name: str) -> bpy.types.Material:
    """Plaster, paper, brick or wood in some colour."""
    u = rng.uniform
    colour = linear(np.clip(u(.2, .95) * (1 + rng.normal(0, .22, 3) * rng.choice([.3, 1])), .02, .97))
    material = plain(name, colour, u(.5, .95))
    n = Nodes(material)
    where = n.new("TexCoord").outputs["Object"]
    kind = rng.choice(["even", "plaster", "brick", "wood", "stripes"], p=[.3, .35, .13, .12, .1])
    other = np.clip(colour * u(.4, .85), 0, 1)
    if kind == "plaster":
        n.into(n.mix(colour, other, n.noise(where, u(.1, 1.2), 8, .3, .7)), n.shader.inputs["Base Color"])
    elif kind == "brick":
        brick = n.new("TexBrick", Vector=where, Scale=u(.3, .6))
        for k, c in ((1, colour), (2, other), (3, np.clip(colour * u(1.1, 1.6), 0, .9))):
            brick.inputs[k].default_value = (*c, 1)
        n.into(brick.outputs[0], n.shader.inputs["Base Color"])
    elif kind in ("wood", "stripes"):
        wave = n.new("TexWave", Vector=where, Scale=u(.05, .5), Distortion=u(4, 9) if kind == "wood" else 0.0, Detail=3.0)
        n.into(n.mix(colour, other, wave.outputs[0]), n.shader.inputs["Base Color"])
    return material


def wall(rng: np.random.Generator, target, camera: scene.Camera, distance: float) -> None:
    """A wall, not quite square to the camera, sometimes with a picture or a door."""
    tilt = rng.normal(0, .25)
    a = np.array([-80, 80, 80, -80])
    points = behind(camera, target, distance, a, [-60, -60, 60, 60])
    points += np.outer(a * tilt, np.cross([0, 0, 1], camera.right))
    parts.solid(Solid("wall", points, [[0, 1, 2, 3]], _cloth(rng, "wall"), smooth=False))
    for _ in range(rng.poisson(.6)):
        x, z = rng.uniform(-14, 14), rng.uniform(-6, 9)
        w, h = rng.uniform(2, 9, 2)
        corners = behind(camera, target, distance - .4, [x - w, x + w, x + w, x - w], [z - h, z - h, z + h, z + h])
        corners += np.outer(np.array([x - w, x + w, x + w, x - w]) * tilt, np.cross([0, 0, 1], camera.right))
        parts.solid(Solid("frame", corners, [[0, 1, 2, 3]], _cloth(rng, "frame"), smooth=False))


_BOX = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
_SIDES = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]


def solids(rng: np.random.Generator, target, camera: scene.Camera) -> None:
    """Furniture, shelves and lit windows out of boxes."""
    for _ in range(rng.integers(4, 12)):
        place = behind(camera, target, rng.uniform(7, 30), [rng.uniform(-22, 22)], [rng.uniform(-12, 12)])[0]
        size = np.exp(rng.uniform(np.log(.4), np.log(6), 3))
        a = rng.uniform(0, np.pi)
        turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        material = _cloth(rng, "box")
        if rng.random() < .12:                                             # a screen, a lamp, a window
            shader = material.node_tree.nodes["Principled BSDF"]
            shader.inputs["Emission Color"].default_value = (*warm(rng), 1)
            shader.inputs["Emission Strength"].default_value = rng.uniform(1, 6)
        parts.solid(Solid("box", _BOX * size @ turn.T + place, _SIDES, material, smooth=False))


def studio(target, camera: scene.Camera, spot: bool) -> None:
    """A studio that stays the same: a dark green curtain, a large light from the front left; or a spot from the right."""
    scene.world(np.random.default_rng(0), None, .05 if spot else .28, tint=(.9, 1, 1.02))
    curtain = plain("curtain", (.010, .050, .042), .9)
    n = Nodes(curtain)
    folds = n.new("TexWave", Vector=n.new("TexCoord").outputs["Object"], Scale=.09, Distortion=3.0, Detail=2.0)
    n.into(n.mix(np.array([.006, .034, .03]), np.array([.016, .066, .055]), folds.outputs[0]), n.shader.inputs["Base Color"])
    corners = behind(camera, target, 12.0, [-40, 40, 40, -40], [-30, -30, 30, 30])
    parts.solid(Solid("curtain", corners, [[0, 1, 2, 3]], curtain, smooth=False))
    if spot:
        scene.lamp(target, 14, 62, 18, 2600, 1.2, (1, .95, .88))
    else:
        scene.lamp(target, 16, -22, 34, 2600, 5, (1, .97, .93))
        scene.lamp(target, 16, 48, 12, 700, 5, (.95, .98, 1))
