"""Who a generated person is: everything that stays the same over that person's pictures."""

from dataclasses import dataclass

import numpy as np

from .shape_model import load_shape_model

# sRGB skin from light to dark; a person's tone is a point between two neighbours.
_SKIN = np.array([[245, 214, 198], [234, 192, 168], [222, 172, 140], [198, 144, 108],
                  [168, 115, 80], [128, 84, 58], [88, 57, 42], [62, 41, 33]]) / 255
_HAIR = np.array([[28, 24, 22], [46, 34, 27], [72, 50, 36], [104, 74, 48], [150, 112, 68],
                  [196, 160, 104], [128, 62, 34], [150, 148, 146], [205, 203, 200]]) / 255
_IRIS = np.array([[56, 36, 24], [84, 54, 30], [104, 82, 44], [92, 104, 84], [92, 122, 146], [70, 98, 134]]) / 255

# Principal modes that move mouth, lids and brows within one person; the others shape the person.
EXPRESSION_MODES = (0, 1, 3, 6)      # mouth opening against width, smile, lips and nose, brows


@dataclass(frozen=True)
class Person:
    """One identity. Colours are sRGB in [0, 1]; lengths in outer-eye-corner distances."""

    seed: int
    female: bool
    age: float                 # 0 young adult .. 1 old
    shape: np.ndarray          # (k,) coefficients of the shape modes
    scale: np.ndarray          # (3,) widening of the head along x, y, z
    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    brow_thickness: float
    brow_strength: float
    hair_style: str            # bald, cropped, short, fringe, bob, long, receding
    hair_thickness: float
    beard: str                 # none, stubble, moustache, goatee, full
    freckles: float
    ear_scale: float
    glasses: bool
    clothing: np.ndarray
    collar: float


def sample_person(seed: int, female: bool | None = None) -> Person:
    """Draw a person; the same seed gives the same person."""
    rng = np.random.default_rng([seed, 11])
    drawn = bool(rng.random() < 0.45)          # drawn either way, so that all else stays the same
    female = drawn if female is None else female
    age = float(rng.beta(1.2, 1.8))
    shape = rng.normal(0, 0.85, len(load_shape_model().modes))
    shape[list(EXPRESSION_MODES)] *= 0.5
    tone = float(rng.beta(0.9, 1.5)) * 6.99
    low = int(tone)                            # at most 6
    skin = _SKIN[low] + (tone - low) * (_SKIN[low + 1] - _SKIN[low])
    skin = np.clip(skin * (1 + rng.normal(0, 0.025, 3)), 0, 1)
    dark = tone > 3.2
    grey = rng.random() < max(0.0, age - 0.45) * 1.5
    hair_pick = rng.choice([7, 8]) if grey else rng.choice([0, 1]) if dark else rng.integers(0, 7)
    hair = np.clip(_HAIR[hair_pick] * rng.uniform(0.8, 1.2), 0, 1)
    iris = _IRIS[rng.integers(0, 2) if dark else rng.integers(0, 6)]
    styles = (["bob", "long", "fringe", "long", "bob", "short"] if female else
              ["short", "cropped", "short", "fringe", "receding", "bald", "long"])
    weights = [.22, .34, .14, .1, .1, .1] if female else [.3, .22, .14, .12, .12, .06, .04]
    beard = "none" if female else rng.choice(["none", "stubble", "moustache", "goatee", "full"], p=[.48, .22, .07, .09, .14])
    lip_base = skin * [0.86, 0.60, 0.60]
    lip_paint = rng.uniform([.55, .12, .18], [.8, .3, .35])
    lips = lip_base + (0.55 * (lip_paint - lip_base) if female and rng.random() < 0.45 else 0)
    clothing = np.clip(rng.uniform(0.05, 0.9) * (1 + rng.normal(0, 0.45, 3)), 0.02, 0.97)
    return Person(
        seed=seed, female=female, age=age, shape=shape,
        scale=rng.normal(1, [.025, .03, .05]),
        skin=skin, hair=hair, iris=iris, lips=np.clip(lips, 0, 1),
        brow_thickness=rng.uniform(.7, 1.0) if female else rng.uniform(.9, 1.5),
        brow_strength=rng.uniform(.55, .95), hair_style=str(rng.choice(styles, p=weights)),
        hair_thickness=rng.uniform(.05, .16), beard=str(beard), freckles=rng.random() ** 3 * (tone < 2.5),
        ear_scale=rng.uniform(.85, 1.15), glasses=bool(rng.random() < 0.14), clothing=clothing,
        collar=rng.uniform(-0.02, 0.03))
