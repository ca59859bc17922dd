"""The README's two pictures, website/screens: the page's first screen, and a widget as notebook 3 keeps it. After make figures.

    PYTHONPATH=. python bench/shipped_files/screens.py
"""

import base64
import io
import shutil
from pathlib import Path

import nbformat
import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from fkp_utils.files import replacing
from fkp_utils.folders import NOTEBOOKS, WEBSITE

WIDTH = 576                                  # pixels of both pictures


def widget() -> Image.Image:
    """What the explorer of errors showed last time notebook 3 was stored: a real net's answers."""
    [notebook] = NOTEBOOKS.glob("3_*.ipynb")
    [cell] = [cell for cell in nbformat.read(notebook, 4).cells if "widgets.error_explorer(" in cell.source]
    return Image.open(io.BytesIO(base64.b64decode(cell.outputs[0].data["image/jpeg"]))).convert("RGB")


def page(browser: Browser, site: Path) -> Image.Image:
    """The first screen, 1280 pixels wide, in light colours."""
    shown = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
    shown.goto((site / "index.html").as_uri())
    return Image.open(io.BytesIO(shown.screenshot(animations="disabled"))).convert("RGB")


def small(picture: Image.Image) -> Image.Image:
    """As wide as the README shows it."""
    return picture.resize((WIDTH, round(WIDTH * picture.height / picture.width)), Image.Resampling.LANCZOS)


def apart(picture: Image.Image, name: str) -> float:
    """How far a picture is from the kept one of that name, in grey levels, in the mean."""
    kept = np.asarray(Image.open(WEBSITE / "screens" / f"{name}.jpg"), float)
    return float(np.abs(kept - np.asarray(picture, float)).mean())


if __name__ == "__main__":
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        pictures = {"page": small(page(chromium, WEBSITE)), "widget": small(widget())}
        chromium.close()
    for name, picture in pictures.items():
        with replacing(WEBSITE / "screens" / f"{name}.jpg") as beside:
            picture.save(beside, format="jpeg", quality=82)
