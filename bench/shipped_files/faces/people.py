"""Who the people are: age, sex, origins and the shape of their heads; and what their faces do."""

from dataclasses import dataclass
from functools import cache

import mesh
import numpy as np

ORIGINS = "african", "asian", "caucasian"
AGES = {"baby": 1, "child": 11, "young": 25, "old": 85}
# MakeHuman's local targets come in pairs, one each way.
_PAIRS = (("decr", "incr"), ("down", "up"), ("in", "out"), ("backward", "forward"), ("concave", "convex"),
          ("compress", "uncompress"))
# How far the sliders of a folder go, as standard deviations; 1 is as far as MakeHuman lets them.
_SPREAD = {"head": .22, "nose": .30, "eyes": .28, "mouth": .30, "cheek": .34, "chin": .30, "ears": .30, "forehead": .15,
           "eyebrows": .30, "neck": .25}
_UNUSED = ("head-trans", "head-age", "neck-trans", "measure-neck-height", "neck-scale-vert", "head-angle", "forehead-nubian",
           "eye-epicanthus", "ear-shape-pointed", "ear-shape-triangle", "nose-trans-in", "nose-trans-out", "mouth-trans-in",
           "mouth-trans-out", "ear-trans", "head-back")
_UNITS = "mouth-corner-puller",                  # actions of MakeHuman's own, one target an origin
_SHAPES = ("head-diamond", "head-invertedtriangular", "head-oval", "head-rectangular", "head-round", "head-square",
           "head-triangular", "chin-triangle", "l-ear-shape-round", "r-ear-shape-round")


@dataclass(frozen=True)
class Person:
    """What stays the same over a person's pictures."""

    seed: int
    sex: str                        # female, male
    age: float                      # years
    origins: tuple[float, ...]      # shares of `ORIGINS`
    weight: float                   # 0 thin .. 1 heavy

    @property
    def origin(self) -> str:
        """The largest of the origins."""
        return ORIGINS[int(np.argmax(self.origins))]

    @property
    def old(self) -> float:
        """0 up to 35 years, 1 from 75."""
        return float(np.clip((self.age - 35) / 40, 0, 1))

    @property
    def young(self) -> float:
        """1 for a child of up to 8 years, 0 from 17."""
        return float(np.clip((17 - self.age) / 9, 0, 1))


def draw(seed: int, sex: str | None = None, adult: bool = False) -> Person:
    """The person of this seed; `sex` and `adult` leave the rest of the draw as it is."""
    rng = np.random.default_rng([seed, 1])
    drawn = rng.choice(["female", "male"])
    age = float(rng.choice([rng.uniform(3, 12), rng.uniform(12, 18), rng.uniform(18, 40), rng.uniform(40, 60),
                            rng.uniform(60, 88)], p=[.08, .06, .46, .26, .14]))
    origins = rng.dirichlet([.35, .35, .45])
    weight = float(np.clip(rng.normal(.45, .22), 0, 1))
    if adult:
        age = max(age, 19 + .3 * age)
    return Person(seed, sex or drawn, age, tuple(origins.tolist()), weight)


def _age_weights(age: float) -> dict[str, float]:
    years = list(AGES.values())
    return {name: float(np.interp(age, years, np.eye(4)[k])) for k, name in enumerate(AGES)}


@cache
def _sliders(folder: str) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """Pairs of what a slider moves to either side: its targets, of both halves of the face where it has halves."""
    names = [n for n in mesh.targets(folder) if not any(word in n for word in _UNUSED + _SHAPES)]
    sliders = []
    for name in names:
        for low, high in _PAIRS:
            if "/r-" not in name and name.endswith(f"-{low}") and (other := f"{name[:-len(low)]}{high}") in names:
                halves = (name, name.replace("/l-", "/r-")) if "/l-" in name else (name,)
                others = (other, other.replace("/l-", "/r-")) if "/l-" in name else (other,)
                sliders.append((halves, others))
    return tuple(sliders)


def shape(person: Person) -> np.ndarray:
    """The person's neutral face: the base mesh's vertices (19158, 3)."""
    rng = np.random.default_rng([person.seed, 2])
    vertices = mesh.base().copy()
    for age, share in _age_weights(person.age).items():
        if share:
            for origin, part in zip(ORIGINS, person.origins):
                mesh.apply(vertices, f"macrodetails/{origin}-{person.sex}-{age}", share * part)
            body = f"macrodetails/universal-{person.sex}-{age}"
            for kind, part in (("min", max(0, 1 - 2 * person.weight)), ("average", 1 - abs(2 * person.weight - 1)),
                               ("max", max(0, 2 * person.weight - 1))):
                if part:
                    mesh.apply(vertices, f"{body}-averagemuscle-{kind}weight", share * part)
    keep = 1 - .4 * person.young                                   # children differ less
    for folder, spread in _SPREAD.items():
        for lows, highs in _sliders(folder):
            value = np.clip(rng.normal(0, spread * keep), -1, 1)
            for low, high in zip(lows, highs):
                side = np.clip(value + rng.normal(0, .12 * spread), -1, 1) if len(lows) > 1 else value
                mesh.apply(vertices, high if side > 0 else low, abs(side))
    for name in rng.choice(_SHAPES[:7], 2, replace=False):
        mesh.apply(vertices, f"head/{name}", abs(rng.normal(0, .28 * keep)))
    if person.origins[1] > .3:
        mesh.apply(vertices, "eyes/l-eye-epicanthus-in", w := rng.uniform(0, .8) * person.origins[1])
        mesh.apply(vertices, "eyes/r-eye-epicanthus-in", w)
    for name in mesh.targets("asym"):
        if "asymm" not in name:
            mesh.apply(vertices, name, abs(rng.normal(0, .22)))
    return vertices


def _pair(name: str, left: float, right: float) -> dict[str, float]:
    return {f"{name}Left": left, f"{name}Right": right}


def expression(rng: np.random.Generator, kind: str | None = None) -> tuple[str, dict[str, float], np.ndarray]:
    """Something that a face does: its name, the facial actions with their strengths, and where the eyes look.

    The gaze is (to the person's left, up) in radians. `kind` None draws one.
    """
    kinds = {"neutral": .22, "smile": .17, "grin": .30, "laugh": .08, "talk": .08, "surprise": .03, "frown": .03, "sad": .02,
             "kiss": .015, "disgust": .01, "sleep": .01, "wink": .01, "squint": .02, "shout": .025, "lopsided": .01}
    names = list(kinds)
    drawn = str(rng.choice(names, p=np.array(list(kinds.values())) / sum(kinds.values())))
    kind = kind or drawn
    u, n = rng.uniform, rng.normal
    tilt = n(0, .12)
    act: dict[str, float] = {}

    def both(name, strength, uneven=1.0):
        act.update(_pair(name, max(0, strength * (1 + tilt * uneven)), max(0, strength * (1 - tilt * uneven))))

    if kind in ("smile", "grin", "laugh"):
        strength = {"smile": u(.25, .9), "grin": u(.5, 1.1), "laugh": u(.7, 1.1)}[kind]
        share = u(0, .6)                                           # of MakeHuman's own smile
        both("mouthSmile", strength * (1 - .3 * share))
        act["mouth-corner-puller"] = strength * share
        both("cheekSquint", strength * u(.2, .7))
        both("eyeSquint", strength * u(.0, .8))
        both("mouthDimple", u(0, .4))
        if kind != "smile":
            both("mouthUpperUp", u(.7, 1.5))
            both("mouthLowerDown", u(.2, 1.1))
            act["jawOpen"] = u(.0, .10) if kind == "grin" else u(.12, .45)
    elif kind == "talk":
        act |= {"jawOpen": u(.04, .4), "mouthFunnel": max(0, n(.05, .3)), "mouthPucker": max(0, n(0, .2))}
        both("mouthUpperUp", max(0, n(.1, .25)))
        both("mouthLowerDown", max(0, n(.2, .3)))
        both("mouthStretch", max(0, n(0, .3)))
    elif kind == "surprise":
        act |= {"jawOpen": u(.1, .6), "browInnerUp": u(.4, 1)}
        both("browOuterUp", u(.4, 1))
        both("eyeWide", u(.3, 1))
    elif kind == "frown":
        both("browDown", u(.4, 1))
        both("eyeSquint", u(0, .6))
        both("mouthFrown", u(0, .6))
        both("mouthPress", u(0, .6))
        both("noseSneer", u(0, .4))
    elif kind == "sad":
        act |= {"browInnerUp": u(.4, 1), "mouthShrugLower": u(0, .6)}
        both("mouthFrown", u(.3, .9))
    elif kind == "kiss":
        act |= {"mouthPucker": u(.5, 1), "mouthFunnel": u(0, .3)}
    elif kind == "disgust":
        both("noseSneer", u(.4, 1))
        both("mouthUpperUp", u(.2, .8))
        both("browDown", u(.2, .7))
        both("eyeSquint", u(.2, .8))
    elif kind == "sleep":
        both("eyeBlink", 1.0, 0)
        act["jawOpen"] = max(0, n(0, .05))
    elif kind == "wink":
        side = rng.choice(["Left", "Right"])
        act |= {f"eyeBlink{side}": u(.8, 1), f"cheekSquint{side}": u(.3, .8), f"mouthSmile{side}": u(.2, .8)}
    elif kind == "squint":
        both("eyeSquint", u(.6, 1))
        both("browDown", u(.3, .8))
        both("cheekSquint", u(.2, .7))
    elif kind == "shout":
        act |= {"jawOpen": u(.55, .9)}
        both("mouthStretch", u(.1, .6))
        both("browDown", u(0, .8))
        both("mouthLowerDown", u(.2, .7))
        both("mouthUpperUp", u(.1, .6))
    elif kind == "lopsided":
        side = rng.choice(["Left", "Right"])
        act |= {f"mouthSmile{side}": u(.4, .9), f"mouth{side}": u(0, .5), f"browOuterUp{side}": u(0, .9)}
    # What faces do besides.
    for name, spread in (("browInnerUp", .18), ("mouthShrugLower", .12), ("jawForward", .15), ("mouthRollLower", .12),
                         ("mouthRollUpper", .12)):
        act[name] = act.get(name, 0) + max(0, n(-spread / 2, spread))
    for name, spread in (("browDown", .2), ("browOuterUp", .15), ("mouthPress", .15)):
        for side in ("Left", "Right"):
            act[f"{name}{side}"] = act.get(f"{name}{side}", 0) + max(0, n(-spread / 2, spread))
    act[f"jaw{rng.choice(['Left', 'Right'])}"] = abs(n(0, .1))
    if kind not in ("sleep", "wink", "squint", "surprise"):
        both("eyeWide", max(0, n(.1, .12)))
    gaze = np.array([n(0, .15), n(-.03, .07)]) if rng.random() < .8 else np.array([n(0, .32), n(-.12, .13)])
    lid = max(0, n(.02, .13)) if kind not in ("sleep", "wink") else 0
    if kind in ("neutral", "smile", "talk") and rng.random() < .04:
        lid = u(.3, 1.0)                                           # caught while blinking
    for side, sign in (("Left", 1), ("Right", -1)):
        act[f"eyeBlink{side}"] = min(1.0, act.get(f"eyeBlink{side}", 0) + lid)
        across = gaze[0] * sign
        act[f"eyeLook{'Out' if across > 0 else 'In'}{side}"] = min(1.0, abs(across) / .6)
        act[f"eyeLook{'Up' if gaze[1] > 0 else 'Down'}{side}"] = min(1.0, abs(gaze[1]) / .45)
    most = {name: 1.6 if name.startswith(("mouthUpperUp", "mouthLowerDown")) else 1.1 for name in act}
    actions = {name: float(np.clip(v, 0, most[name])) for name, v in act.items() if v > .005}
    return kind, actions, np.clip(gaze, [-.6, -.45], [.6, .2])


def act(vertices: np.ndarray, actions: dict[str, float], person: Person) -> np.ndarray:
    """The face (19158, 3) with its actions: ARKit's and MakeHuman's, as targets of the base mesh, in the size of the head."""
    moved = np.zeros_like(vertices)
    for name, strength in actions.items():
        if name in _UNITS:
            for origin, part in zip(ORIGINS, person.origins):
                mesh.apply(moved, f"expression/units/{origin}/{name}", strength * part)
        else:
            mesh.apply(moved, f"faceunits/{name}", strength)
    return vertices + moved * head_size(vertices)


def head_size(vertices: np.ndarray) -> float:
    """How large the head is, in heads of the base mesh, by the distance of the eyes."""
    def apart(points):
        left, right = (points[mesh.vertices_of(eye)].mean(0) for eye in mesh.EYES)
        return np.linalg.norm(left - right)
    return float(apart(vertices) / apart(mesh.base()))
