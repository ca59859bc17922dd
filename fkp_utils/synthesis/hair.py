"""Hair shell, ears and glasses: small sheets of coloured vertices around the head."""

import numpy as np

from .fields import column, noise, refine, smoothstep
from .head import _RINGS, ring_curve
from .person import Person
from .skin import linear

_V = np.linspace(0, 0.80, 400)
_PROFILE = {name: ring_curve(k, _V) for k, name in ((1, "y"), (2, "front"), (3, "width"), (4, "side"))}
_CROWN = float(_RINGS[0, 1])


def _skull(y: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Points on the bare skull at height y and angle around it: (h, w), (h, w) -> (3, h, w)."""
    level = np.clip(y, _CROWN, 0.3)
    front, width, side = (np.interp(level, _PROFILE["y"], _PROFILE[k]) for k in ("front", "width", "side"))
    cos = np.cos(angle)
    z = side + np.where(cos > 0, front - side, 1.15 * width) * cos
    return np.stack([width * np.sin(angle), y, z])


def _edge(person: Person, angle: np.ndarray, rng) -> np.ndarray:
    """Height at which the hair ends at each angle (radians, 0 is the face's middle)."""
    a = np.abs(np.degrees(angle))
    style = person.hair_style
    nape = {"short": .30, "cropped": .15, "receding": .2, "fringe": .45, "bald": .2}.get(style, 1.0)
    if style in ("bob", "long"):
        length = 0.75 if style == "bob" else 1.75
        knots = [(0, -1.13), (22, -1.10), (45, -.96), (58, -.72), (66, -.1), (74, length * .9), (90, length), (180, length)]
    elif style == "fringe":
        knots = [(0, -.80), (40, -.76), (55, -.62), (68, -.35), (80, -.15), (92, -.45), (110, -.35), (125, nape), (180, nape)]
    elif style == "bald":
        knots = [(0, -1.58), (50, -1.5), (75, -1.0), (84, -.55), (92, -.5), (110, -.4), (125, nape), (180, nape)]
    else:
        high = -1.42 if style == "receding" else -1.12
        knots = [(0, high), (25, high + .02), (42, high + (.0 if style == "receding" else .06)), (54, -.92), (64, -.74),
                 (71, -.42), (79, -.18), (85, -.30), (92, -.52), (108, -.40), (122, nape), (180, nape)]
    y = np.interp(a, *np.transpose(knots))
    # No hairline is level or smooth: raise or lower the forehead's, slant it, let locks stick out.
    forehead = np.exp(-(a / 40) ** 2)
    y = y + forehead * (rng.uniform(-.12, .06) + rng.normal(0, .22) * angle)
    wobble = sum(np.interp(angle, np.linspace(-np.pi, np.pi, k), rng.normal(0, 1, k)) for k in (24, 70, 160))
    return y + wobble * (0.035 if style in ("fringe", "bob", "long") else 0.022)


def hair_shell(person: Person) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (3, n, m), linear colour (3, n, m) and visibility mask (n, m) of the hair."""
    rng = np.random.default_rng([person.seed, 14])
    t = np.linspace(-1, 1, 320)
    angle = 2.75 * (0.85 * t + 0.15 * t**3)
    part = rng.uniform(-.5, .5)
    end = _edge(person, angle, rng)[None]
    rows, cols = int(np.clip((end.max() - _CROWN) / 0.014, 110, 300)), len(angle)
    s = np.linspace(0, 1, rows)[:, None]
    y = _CROWN + (end - _CROWN) * (0.5 * s**1.6 + 0.5 * s)
    sway = 0.10 * noise(rng, (rows, cols), (3, 9)) * s + part * 0.35 * s * np.exp(-(angle / 1.0) ** 2)
    theta = angle[None] + sway * (0.4 if person.hair_style != "cropped" else 0.1)
    p = _skull(y, theta)
    thickness = person.hair_thickness * {"cropped": .35, "bald": .12, "receding": .5, "long": 1.1, "bob": 1.25}.get(
        person.hair_style, 1.0)
    loose = person.hair_style in ("bob", "long", "fringe")
    lift = thickness * (0.35 + 0.65 * np.sin(np.pi * np.clip(s * 0.9 + 0.12, 0, 1)) ** 0.6)
    lift = lift * (1 - (0.35 if loose else 0.92) * smoothstep(0.72, 1.0, s)) + 0.012
    lift = lift * (1 + 0.18 * noise(rng, (rows, cols), (8, 26)) + 0.12 * noise(rng, (rows, cols), (10, 130)))
    if not loose:                                               # a quiff
        lift = lift + rng.uniform(0, .10) * np.exp(-((s - 0.75) / 0.2) ** 2 - (theta / 0.9) ** 2)
    out = p - column([0, -0.55, -0.80])
    out[1] = np.minimum(out[1], 0)
    p = p + out * (lift / (np.sqrt((out * out).sum(0)) + 1e-6))
    if person.hair_style in ("bob", "long"):
        drop = smoothstep(0.0, 1.2, p[1])
        wave = 0.05 * np.sin(p[1] * rng.uniform(4, 9) + theta * 5)
        p[0] *= 1 + 0.10 * drop * rng.uniform(-1, 1.2) + wave * drop
        p[2] += wave * drop - 0.05 * drop
    shape, s = (rows, cols), np.broadcast_to(s, (rows, cols))
    curl = rng.random() < 0.3
    streak = noise(rng, shape, (24 if curl else 5, 330)) + 0.8 * noise(rng, shape, (60 if curl else 10, 480))
    lock = noise(rng, shape, (14 if curl else 4, 60))
    tone = np.clip(0.62 + 0.24 * streak + 0.18 * lock, 0.06, 1.7)
    tone *= 0.60 + 0.40 * smoothstep(0.0, 0.35, s)
    colour = linear(person.hair) * tone
    # Strands end at different lengths: no helmet edge.
    strand = np.clip(0.5 + 0.30 * noise(rng, shape, (2, 240)) + 0.25 * noise(rng, shape, (2, 60)), 0, 1)
    keep = s + (0.10 if loose else 0.16) * strand < 1.0
    if person.hair_style == "bald":
        keep &= streak > 0.7
    return p.astype(np.float32), np.clip(colour, 0.002, 1).astype(np.float32), keep


def ears(person: Person) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both ears as one sheet (3, n, 2m), linear colour and mask."""
    rng = np.random.default_rng([person.seed, 15])
    n, m = 60, 44
    r, t = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 2 * np.pi, m), indexing="ij")
    height, width = 0.30 * person.ear_scale, 0.17 * person.ear_scale
    egg = 1 - 0.28 * np.sin(t)                                  # wider above, a lobe below
    u, w = width * r * np.cos(t) * egg, height * r * np.sin(t)
    rim = np.exp(-((r - 0.88) / 0.10) ** 2) * 0.05
    bowl = -0.05 * np.exp(-((u - 0.02) / 0.07) ** 2 - (w / 0.13) ** 2)
    antihelix = 0.03 * np.exp(-((r - 0.6) / 0.09) ** 2) * (np.cos(t) < 0.4)
    depth = rim + bowl + antihelix
    flare = np.radians(28 + 14 * rng.random())
    x = 0.80 + (0.10 - u) * np.sin(flare) + depth * np.cos(flare)
    z = -0.70 + (u - 0.08) * np.cos(flare) + depth * np.sin(flare) * 0.6
    sheets = [np.stack([side * x, -0.20 + w, z]) for side in (-1, 1)]
    shade = 0.80 + 4.2 * depth - 0.35 * np.exp(-((u - 0.02) / 0.05) ** 2 - (w / 0.10) ** 2)
    colour = linear(person.skin) * column([1.0, 0.84, 0.80]) * np.clip(shade, 0.2, 1.1)
    p = np.concatenate([refine(sheet) for sheet in sheets], 2)
    c = np.concatenate([refine(colour)] * 2, 2)
    return p, c, np.ones(p.shape[1:], bool)


def glasses(person: Person, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A frame around the eyes (3, n, m), linear colour and mask."""
    rng = np.random.default_rng([person.seed, 16])
    square = rng.uniform(2, 4)
    t = np.linspace(0, 2 * np.pi, 500)
    rim_w, half_w, half_h = rng.uniform(.008, .022), rng.uniform(.185, .215), rng.uniform(.13, .17)
    lines = []
    for eye in (landmarks[36:42], landmarks[42:48]):
        c = eye.mean(0) + [0, 0.03, 0.13]
        cos, sin = np.cos(t), np.sin(t)
        k = (np.abs(cos) ** square + np.abs(sin) ** square) ** (-1 / square)
        lines.append(c + np.c_[half_w * k * cos, half_h * k * sin, -0.10 * (k * cos) ** 2 * 0.6])
    a, b = landmarks[36:42].mean(0), landmarks[42:48].mean(0)
    s = np.linspace(0, 1, 250)[:, None]
    bridge = (a + [half_w, 0, .10]) * (1 - s) + (b + [-half_w, 0, .10]) * s + np.array([0, -.05, .06]) * (4 * s * (1 - s))
    arms = [np.array([side * (0.36 + half_w), e[1], 0.02]) * (1 - s) + np.array([side * 0.86, -0.40, -0.75]) * s
            for side, e in ((-1, a), (1, b))]
    path = np.concatenate([*lines, bridge, *arms])
    ring = np.linspace(0, 2 * np.pi, 7)
    p = path.T[:, :, None] + rim_w * np.stack([np.cos(ring), np.sin(ring), 0 * ring])[:, None]
    tone = np.array([.03, .03, .035]) if rng.random() < .6 else rng.uniform(.05, .4, 3)
    c = column(tone) * (0.7 + 0.9 * np.clip(-np.sin(ring), 0, 1)) * np.ones((1, len(path), 1))
    return p.astype(np.float32), c.astype(np.float32), np.ones(p.shape[1:], bool)
