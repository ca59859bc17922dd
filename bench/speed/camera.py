"""Frames a second of the demo's camera in Chromium: with the threads of `make serve` and with one, with a face and without.

    PYTHONPATH=. python bench/speed/camera.py

The camera is Chromium's own fake device, which films the astronaut, or a cup of coffee: without a face the finder looks at
each frame. `make site` must have fetched the demo's libraries. Two minutes.
"""

import functools
import re
import shutil
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import expect, sync_playwright
from skimage import data
from tables import publish

from fkp_utils.folders import WEBSITE
from fkp_utils.website.serve import server

SECONDS = 15


def fake_camera(folder: Path, picture: np.ndarray | None = None) -> list[str]:
    """Chromium's flags for a camera that shows a picture (default: the astronaut), 640x480: frame.jpg in `folder`."""
    frame, film = folder / "frame.jpg", folder / "film.mjpeg"
    Image.fromarray(data.astronaut()[:384] if picture is None else picture).resize((640, 480)).save(frame, quality=92)
    film.write_bytes(frame.read_bytes() * 5)
    return ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}"]


def frames_a_second(page, address: str, seen: str) -> float:
    """What the demo shows after some seconds of looking at what the camera sees: `seen`, as it says it."""
    page.goto(f"{address}/demo.html")
    expect(page.locator("#status")).to_contain_text("the example: 1 face in", timeout=60_000)
    page.locator("#camera").click()
    expect(page.locator("#status")).to_contain_text(f"{seen}, ", timeout=60_000)
    page.wait_for_timeout(1000 * SECONDS)
    found = re.fullmatch(rf"{seen}, ([\d.]+) frames a second", page.locator("#status").inner_text())
    if not found:
        raise RuntimeError(f"the demo does not see {seen}: {page.locator('#status').inner_text()}")
    return float(found[1])


def main() -> None:
    plain, rows = functools.partial(SimpleHTTPRequestHandler, directory=str(WEBSITE)), []
    servers = {"one thread": ThreadingHTTPServer(("127.0.0.1", 0), plain), "threads, as `make serve` allows": server()}
    for http in servers.values():
        threading.Thread(target=http.serve_forever, daemon=True).start()
    with sync_playwright() as driver:
        for seen, picture in (("1 face", data.astronaut()[:384]), ("0 faces", data.coffee())):
            with tempfile.TemporaryDirectory() as folder:
                chromium = driver.chromium.launch(executable_path=shutil.which("chromium"),
                                                  args=["--no-sandbox", "--disable-gpu", *fake_camera(Path(folder), picture)])
                for way, http in servers.items():
                    page = chromium.new_context(permissions=["camera"]).new_page()
                    rate = frames_a_second(page, f"http://127.0.0.1:{http.server_port}", seen)
                    rows.append({"the camera sees": seen, "way": way, "threads": page.evaluate("engine.threads"),
                                 "frames a second": rate})
                    page.close()
                chromium.close()
    for http in servers.values():
        http.shutdown()
    alone = {row["the camera sees"]: row["frames a second"] for row in rows if row["threads"] == 1}
    for row in rows:
        row["ratio"] = f"{row['frames a second'] / alone[row['the camera sees']]:.2f}"
    publish("camera", "The demo's camera", rows, f"Chromium, the last of {SECONDS} seconds.")


if __name__ == "__main__":
    main()
