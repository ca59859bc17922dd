"""From traced light to a photo: exposure, white balance, blur, noise, tone and grain, as cameras and editors leave them."""

import io

import numpy as np
from PIL import Image
from scipy.ndimage import convolve, gaussian_filter, zoom

_GREY = np.array([.2126, .7152, .0722], np.float32)


def expose(light: np.ndarray, face: np.ndarray, rng: np.random.Generator, studio: bool = False) -> np.ndarray:
    """Linear light (h, w, 3) as a camera exposes and balances it; `face` (h, w) bool says where the face is."""
    grey = np.maximum(light @ _GREY, 0)
    on_face, over_all = np.median(grey[face]), np.exp(np.log(grey + 1e-4).mean())
    share = .85 if studio else rng.uniform(.45, .95)
    meter = max(on_face ** share * over_all ** (1 - share), 1e-5)
    light = light * (.17 / meter * np.exp(rng.normal(-.05, .06) if studio else rng.normal(.06, .24)))
    level = .1 + .9 * np.clip(on_face / meter, .05, 3) / 3                 # a face that stays dark is brightened a little
    light = light * level ** -.12
    cast = np.maximum(light.reshape(-1, 3).clip(0, 1).mean(0), 1e-4)
    gains = (cast.mean() / cast) ** rng.uniform(.2, .85) * np.exp(rng.normal(0, .012 if studio else .045, 3))
    return np.maximum(light * gains, 0).astype(np.float32)


def develop(light: np.ndarray, rng: np.random.Generator, face_size: float, studio: bool = False) -> tuple[np.ndarray, dict]:
    """Exposed light (h, w, 3) to a photo, uint8 (h, w, 3), and what was done to it; `face_size` in pixels."""
    h, w, _ = light.shape
    u, done = rng.uniform, {}
    if not studio and rng.random() < .25:
        y, x = np.mgrid[-1:1:h * 1j, -1:1:w * 1j]
        light = light * (1 - u(.1, .4) * (x * x + y * y) / 2)[..., None]
    if not studio and rng.random() < .10:
        light = _shake(light, rng, u(.01, .045) * face_size)
        done["motion"] = True
    soft = (u(.35, .6) if studio else abs(rng.normal(0, .55)) * face_size / 170)
    light = gaussian_filter(light, (soft, soft, 0))
    noise = .002 if studio else rng.choice([.001, .004, .009, .016], p=[.4, .33, .2, .07]) * u(.6, 1.4)
    light = light + rng.normal(0, 1, light.shape) * np.sqrt(noise ** 2 * .3 + noise ** 2 * 6 * np.maximum(light, 0))
    photo = _tone(np.maximum(light, 0), u(.0, .85) if not studio else .12)
    grey = (photo @ _GREY)[..., None]
    photo = grey + (photo - grey) * (1 if studio else np.clip(rng.normal(.9, .16), .4, 1.4))
    if not studio and rng.random() < .07:
        photo = np.repeat(photo @ _GREY, 3).reshape(h, w, 3) * [1, *(rng.choice([1, .95], 1).repeat(2) ** [1, 2.2])]
        done["grey"] = True
    if not studio and rng.random() < .12:                                  # small ones, enlarged
        part = u(.4, .75)
        photo = np.stack([zoom(zoom(photo[..., c], part, order=1), (h / round(h * part), w / round(w * part)), order=3)
                          for c in range(3)], -1)[:h, :w]
        photo = np.pad(photo, [(0, h - photo.shape[0]), (0, w - photo.shape[1]), (0, 0)], "edge")
        done["enlarged"] = True
    if rng.random() < (.0 if studio else .5):
        photo = photo + u(.2, .7) * (photo - gaussian_filter(photo, (1.2, 1.2, 0)))
    return (np.clip(photo, 0, 1) * 255 + .5).astype(np.uint8), done


def _tone(light: np.ndarray, contrast: float) -> np.ndarray:
    """A film's curve: soft highlights, sRGB, a little more contrast."""
    light = light * (1 + light / 9) / (1 + light * .55)
    photo = np.where(light <= .0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - .055)
    photo = np.clip(photo, 0, 1)
    return photo + contrast * (photo * photo * (3 - 2 * photo) - photo)


def _shake(light: np.ndarray, rng: np.random.Generator, length: float) -> np.ndarray:
    """Moved while the shutter was open: a short line in some direction."""
    size = int(np.ceil(length)) | 1
    angle = rng.uniform(0, np.pi)
    kernel = np.zeros((size + 2, size + 2))
    for t in np.linspace(-.5, .5, 8 * size):
        row, column = ((size + 1) / 2 + t * length * f(angle) for f in (np.sin, np.cos))
        kernel[round(row), round(column)] += 1
    kernel /= kernel.sum()
    return np.stack([convolve(light[..., c], kernel, mode="nearest") for c in range(3)], -1)


def jpeg(photo: np.ndarray, quality: int) -> bytes:
    """The photo as a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=quality, subsampling=0 if quality > 90 else 2, optimize=True)
    return file.getvalue()
