"""Paints the face on the head's sheet: skin, brows, lips, beard, and (per picture) eyes and mouth.

Colours are linear light in [0, 1]. `detail` says how often the sheet is refined (`fields.refine`):
0 paints one colour a vertex of the geometry, 1 paints at twice that resolution.
"""

from functools import lru_cache
from types import SimpleNamespace

import numpy as np
from scipy.ndimage import find_objects

from .fields import Canvas, column, fractal, noise, refine, smoothstep, spline
from .head import COLLAR_V, NECK_V, template
from .person import Person


def linear(srgb: np.ndarray) -> np.ndarray:
    """An sRGB colour (3,) in linear light, float32 (3, 1, 1)."""
    return column(srgb) ** 2.2


@lru_cache(maxsize=2)
def layout(detail: int) -> SimpleNamespace:
    """Soft masks on the sheet refined `detail` times, all (R, C) float32 in [0, 1], drawn on the mean face.

    `x`, `y` (R, C) are the frontal position of each texel on the mean face; `eyes` holds a pair of
    (row slice, column slice) that contain the two eye apertures; `mouth` one such pair.
    """
    head = template()
    mean = head.model.mean[:, :2]
    v, angle = np.meshgrid(head.v, np.abs(head.angle), indexing="ij")
    x, y = head.deform(head.model.mean)[:2]
    for _ in range(detail):
        x, y, v, angle = (refine(grid) for grid in (x, y, v, angle))
    front = angle < np.radians(80)
    face = (v > 0.15) & (v < 0.84) & front

    def soft(canvas, blur):
        return canvas.sample(x, y, blur) * face

    outer_lip, inner_lip = spline(mean[48:60], True), spline(mean[60:68], True)
    apertures = [spline(mean[36:42], True), spline(mean[42:48], True)]
    upper_lids = [spline(mean[[36, 37, 38, 39]], False), spline(mean[[42, 43, 44, 45]], False)]
    lower_lids = [spline(mean[[39, 40, 41, 36]], False), spline(mean[[45, 46, 47, 42]], False)]
    both = lambda make, blur: soft(make[0], blur) + soft(make[1], blur)  # noqa: E731
    eye_masks = [soft(Canvas().polygon(a), 0.006) for a in apertures]

    def box(mask):
        return find_objects((mask > 0.01).astype(int))[0]

    inner = soft(Canvas().polygon(inner_lip), 0.004)
    brow_t = np.zeros(v.shape, np.float32)
    brow_d = np.full(v.shape, 9, np.float32)
    for points in (mean[17:22][::-1], mean[22:27]):          # inner end first
        curve = spline(points + [0, 0.025], False)
        for k, q in enumerate(curve):
            d = np.hypot(x - q[0], y - q[1])
            nearer = (d < brow_d) & face
            brow_d[nearer] = d[nearer]
            brow_t[nearer] = k / len(curve)
    fold = np.array([[0.235, 0.02], [0.30, 0.12], [0.37, 0.24], [0.40, 0.36]])
    bags = np.array([[0.22, -0.36], [0.34, -0.31], [0.46, -0.34]])
    sides = lambda p, width: Canvas().line(spline(p, False), width).line(spline(p * [-1, 1], False), width)  # noqa: E731
    nostrils = Canvas()
    for s in (-1, 1):
        t = np.linspace(0, 2 * np.pi, 24)
        nostrils.polygon(np.c_[s * 0.085 + 0.05 * np.cos(t), 0.075 + 0.022 * np.sin(t) - 0.01 * np.cos(t) * s])
    wrinkles = Canvas()
    for height, half in ((-0.84, .36), (-0.94, .42), (-1.03, .4)):
        t = np.linspace(-half, half, 30)
        wrinkles.line(np.c_[t, height - 0.03 * np.cos(t * 5) + 0.006 * np.sin(t * 37)], 0.012)
    crow = Canvas()
    for s in (-1, 1):
        for a in (-0.35, 0.0, 0.35):
            d = np.linspace(0.06, 0.17, 6)
            crow.line(np.c_[s * (0.5 + d * np.cos(a)), -0.42 + d * np.sin(a)], 0.007)
    beard_zone = soft(Canvas().polygon(np.array(
        [[-.86, -.3], [-.80, 0], [-.62, .12], [-.42, .20], [-.30, .17], [0, .16], [.30, .17], [.42, .20], [.62, .12],
         [.80, 0], [.86, -.3], [1.1, .2], [.9, 1.1], [-.9, 1.1], [-1.1, .2]])), 0.05) + ((v > 0.78) & (v < 0.86))
    return SimpleNamespace(
        x=x, y=y, v=v, face=face, shape=v.shape, apertures=eye_masks, eyes=[box(m) for m in eye_masks],
        lips=np.clip(soft(Canvas().polygon(outer_lip), 0.012) - inner, 0, 1), mouth_inside=inner, mouth=box(inner),
        lip_line=soft(Canvas().line(spline(mean[[48, 60, 61, 62, 63, 64, 54]], False), 0.010), 0.006),
        lashes=both([Canvas().line(c - [0, 0.004], 0.016) for c in upper_lids], 0.005),
        lower_lashes=both([Canvas().line(c + [0, 0.003], 0.008) for c in lower_lids], 0.004),
        crease=both([Canvas().line(c - [0, 0.052], 0.012) for c in upper_lids], 0.008),
        lid_shadow=both([Canvas().line(c + [0, 0.010], 0.030) for c in upper_lids], 0.012),
        socket=soft(sides(np.array([[0.17, -0.47], [0.24, -0.50], [0.36, -0.53], [0.48, -0.49]]), 0.07), 0.045),
        brow_d=brow_d, brow_t=brow_t,
        fold=soft(sides(fold, 0.016), 0.014), bags=soft(sides(bags, 0.014), 0.016),
        wrinkles=soft(wrinkles, 0.008), crow=soft(crow, 0.005), nostrils=soft(nostrils, 0.012),
        wing_edge=soft(sides(np.array([[0.15, -0.05], [0.205, 0.0], [0.20, 0.075], [0.14, 0.095]]), 0.014), 0.012),
        blush=soft(sides(np.array([[0.42, 0.0], [0.55, -0.1]]), 0.2), 0.11),
        nose_tip=soft(sides(np.array([[0.0, -0.02], [0.03, 0.02]]), 0.12), 0.06),
        moustache=soft(Canvas().polygon(np.array([[-.33, .33], [-.24, .22], [-.08, .145], [.08, .145], [.24, .22],
                                                  [.33, .33], [.12, .25], [-.12, .25]])), 0.02),
        goatee=soft(Canvas().polygon(np.array([[-.33, .30], [-.36, .5], [-.24, .80], [0, .9], [.24, .80], [.36, .5],
                                               [.33, .30], [.22, .5], [-.22, .5]])), 0.035),
        chin_patch=soft(Canvas().polygon(np.array([[-.16, .55], [-.2, .9], [.2, .9], [.16, .55]])), 0.03),
        beard_zone=np.clip(beard_zone, 0, 1))


def _strands(rng, shape, along: float = 60, across: float = 420) -> np.ndarray:
    """Hair-like streaks running down the sheet, float32 in [0, 1]."""
    streak = noise(rng, shape, (along, across)) + 0.6 * noise(rng, shape, (along * 2, across * 1.6))
    return smoothstep(-1.6, 1.6, streak)


def _beard_alpha(person: Person, on: SimpleNamespace, rng) -> np.ndarray:
    if person.beard == "none":
        return np.zeros(on.shape, np.float32)
    zone = {"stubble": on.beard_zone * 0.6 + on.moustache * 0.4, "moustache": on.moustache,
            "goatee": np.maximum(on.moustache, np.maximum(on.goatee, on.chin_patch)),
            "full": np.maximum(on.beard_zone, on.moustache)}[person.beard]
    zone = np.clip(zone, 0, 1) * (1 - np.clip(on.lips * 1.2 + on.mouth_inside, 0, 1))
    edge = zone + 0.12 * fractal(rng, on.shape, 30, 2) * (zone > 0.02)
    strength = {"stubble": 0.42, "moustache": 0.9, "goatee": 0.85, "full": 0.88}[person.beard]
    return strength * smoothstep(0.2, 0.8, edge) * (0.55 + 0.45 * _strands(rng, on.shape, 160, 330))


def paint_skin(person: Person, detail: int) -> tuple[np.ndarray, np.ndarray]:
    """Skin, brows, lips and beard of one person, without eyes and mouth, on the sheet refined `detail` times.

    Returns
    -------
    colour : float32 (3, R, C), linear light
    gloss : float32 (R, C), how strongly the skin shines
    """
    on, rng = layout(detail), np.random.default_rng([person.seed, 12])
    dark = 1 - float(person.skin.mean())
    mottle = fractal(rng, on.shape, 14, 5)
    pores = noise(rng, on.shape, on.shape)
    colour = linear(person.skin) * (1 + 0.055 * mottle + (0.030 + 0.03 * person.age) * pores)
    red = 0.55 * on.blush + 0.8 * on.nose_tip + 0.22 * np.clip(fractal(rng, on.shape, 9, 3), 0, 2)
    red *= (0.20 + 0.15 * person.age) * (1 - 0.6 * dark)
    colour *= 1 - red * column([0.10, 0.55, 0.50])
    if person.freckles > 0.03:
        spots = smoothstep(1.5, 2.1, noise(rng, on.shape, (on.shape[0] / 3.2, on.shape[1] / 3.2)))
        spots *= person.freckles * np.exp(-((on.y + 0.1) / 0.35) ** 2) * on.face
        colour *= 1 - spots * column([0.35, 0.55, 0.65])
    for _ in range(rng.poisson(1.3)):
        place = rng.uniform([-.6, -.9], [.6, .8])
        colour *= 1 - 0.7 * smoothstep(0.02, 0.008, np.hypot(on.x - place[0], on.y - place[1])) * on.face
    lines = (on.fold * (0.16 + 0.42 * person.age) + on.bags * (0.10 + 0.38 * person.age)
             + on.wrinkles * max(0.0, person.age - 0.3) * 0.75 + on.crow * max(0.0, person.age - 0.25) * 0.7
             + on.socket * (0.20 + 0.15 * rng.random()) + on.crease * 0.45 + on.wing_edge * 0.25)
    colour *= 1 - np.clip(lines, 0, 0.85) * column([0.62, 0.78, 0.80])
    makeup = 0.4 * person.female * rng.random()
    colour *= 1 - makeup * smoothstep(0.10, 0.0, np.abs(on.y + 0.505)) * on.socket
    lips = linear(person.lips) * (1 + 0.10 * noise(rng, on.shape, (24, 480)) + 0.05 * mottle)
    colour += 0.88 * on.lips * (lips - colour)
    colour *= 1 - 0.8 * on.nostrils
    hair = linear(person.hair)
    beard = _beard_alpha(person, on, rng)
    strands = _strands(rng, on.shape)
    if person.beard != "none":
        colour += beard * (hair * (0.35 + 0.9 * strands) - colour)
    taper = np.interp(on.brow_t, [0, .12, .6, 1], [.72, 1, .85, .28]).astype(np.float32) * (0.046 * person.brow_thickness)
    ragged = on.brow_d / taper + 0.28 * noise(rng, on.shape, (170, 200)) + 0.16 * pores
    brow = person.brow_strength * smoothstep(1.25, 0.55, ragged) * (0.62 + 0.38 * strands)
    colour += brow * (0.55 * hair - colour)
    cap = _scalp(person, on, rng)
    colour += cap * (hair * (0.5 + 0.7 * strands) - colour)
    cloth = smoothstep(COLLAR_V + person.collar - 0.004, COLLAR_V + person.collar, on.v)
    weave = 1 + 0.08 * fractal(rng, on.shape, 12, 4)
    if rng.random() < 0.4:
        weave += 0.12 * np.sin(on.v * rng.uniform(200, 900))
    colour += cloth * (linear(person.clothing) * weave - colour)
    gloss = (0.35 + 0.5 * on.nose_tip + 0.9 * on.lips + 0.25 * mottle) * (1 - beard) * (1 - cap) * (1 - cloth)
    return np.clip(colour, 0.001, 1), np.clip(gloss, 0, 2)


def _scalp(person: Person, on: SimpleNamespace, rng) -> np.ndarray:
    """Hair roots painted on the sheet under the hair shell; stubble for a bald head."""
    limit = -1.10 - 0.10 * (person.hair_style == "receding")
    ragged = on.y + 0.02 * fractal(rng, on.shape, 30, 2) + 0.16 * smoothstep(.45, .75, np.abs(on.x))*-1
    top = smoothstep(limit + 0.03, limit - 0.06, ragged) * (on.v < 0.4)
    return top * {"bald": 0.12, "receding": 0.5}.get(person.hair_style, 0.9)


def paint_eyes_and_mouth(colour: np.ndarray, gloss: np.ndarray, sheet: np.ndarray, person: Person,
                         landmarks: np.ndarray, gaze: np.ndarray, detail: int) -> None:
    """Paint eyes and the inside of the mouth in place, for one expression.

    Parameters
    ----------
    colour, gloss : (3, R, C), (R, C), from `paint_skin`
    sheet : (3, R, C), refined and deformed
    landmarks : (68, 3), those that the sheet was deformed to
    gaze : (2,), offset of the iris from the middle of the eye
    """
    on, rng = layout(detail), np.random.default_rng([person.seed, 13])
    for points, (rows, cols), mask in zip((landmarks[36:42], landmarks[42:48]), on.eyes, on.apertures):
        centre = points.mean(0)[:2] + gaze + [0, -0.012]
        dx, dy = (sheet[k, rows, cols] - float(centre[k]) for k in (0, 1))
        r = np.hypot(dx, dy)
        phi = np.arctan2(dy, dx)
        corner = smoothstep(0.09, 0.17, np.abs(dx + float(gaze[0])))
        eye = column([0.78, 0.72, 0.69]) * (1 - 0.10 * person.age) * (1 - corner * column([0.15, 0.42, 0.42]))
        fibre = 1 + 0.35 * np.sin(phi * 23 + 3 * np.sin(phi * 7)) * smoothstep(0.02, 0.05, r)
        iris = linear(person.iris) * (1.25 * fibre * (1 - 0.75 * smoothstep(0.048, 0.066, r)))
        eye += smoothstep(0.069, 0.062, r) * (iris - eye)
        eye *= 1 - 0.97 * smoothstep(0.028, 0.023, r)
        eye *= 1 - 0.55 * on.lid_shadow[rows, cols]
        eye += 0.9 * smoothstep(0.017, 0.008, np.hypot(dx - 0.022, dy + 0.024))     # the light's reflection
        a = mask[rows, cols]
        colour[:, rows, cols] += a * (eye - colour[:, rows, cols])
        gloss[rows, cols] *= 1 - a
    colour *= 1 - 0.92 * np.clip(on.lashes * (0.75 + 0.2 * person.female) + 0.35 * on.lower_lashes, 0, 0.95)
    rows, cols = on.mouth
    inside = on.mouth_inside[rows, cols]
    px, py = sheet[0, rows, cols], sheet[1, rows, cols]
    upper_lip, lower_lip = landmarks[60:65], landmarks[[60, 67, 66, 65, 64]]
    top, low = (np.interp(px, lip[:, 0], lip[:, 1]).astype(np.float32) for lip in (upper_lip, lower_lip))
    gap, below, above = np.maximum(low - top, 1e-3), py - top, low - py
    x = (px - float(landmarks[[60, 64], 0].mean())) / 0.068          # in widths of a tooth
    grooves = 0.5 + 0.5 * smoothstep(0.5, 0.36, np.abs(x - np.round(x)))
    ivory = column([0.74, 0.68, 0.58]) * grooves * np.exp(-((x / 4.2) ** 2))
    tongue = smoothstep(0.10, 0.02, above) * smoothstep(0.10, 0.16, gap) * np.exp(-((x / 3) ** 2))
    mouth = column([0.045, 0.012, 0.012]) + tongue * column([0.22, 0.06, 0.06])
    drop = rng.uniform(0.075, 0.11)
    teeth = smoothstep(drop + 0.012, drop - 0.012, below + 0.008 * np.cos(x * 2 * np.pi)) * smoothstep(0.02, 0.05, gap)
    if rng.random() < 0.6:
        teeth += 0.7 * smoothstep(0.05, 0.03, above) * smoothstep(0.12, 0.17, gap)
    mouth += np.clip(teeth, 0, 1) * (ivory - mouth)
    mouth *= 0.35 + 0.65 * smoothstep(0.0, 0.035, below)
    colour[:, rows, cols] += inside * (mouth - colour[:, rows, cols])
    gloss[rows, cols] *= 1 - inside
    colour *= 1 - 0.62 * on.lip_line


def neck_mask() -> np.ndarray:
    """How much each ring follows the head's pose (1) rather than the chest's (0); float32 (N_ROWS, 1)."""
    v = template().v
    return (1 - smoothstep(NECK_V - 0.005, COLLAR_V - 0.01, v)).astype(np.float32)[:, None]
