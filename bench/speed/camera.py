"""Frames a second of the demo's camera in Chromium, with the threads that `make serve` allows and with one.

    PYTHONPATH=. python bench/speed/camera.py

The camera is Chromium's own fake device, which films the astronaut. `make site` must have fetched the demo's libraries. A
minute.
"""

import functools
import re
import shutil
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright
from skimage import data
from tables import publish

from fkp_utils.folders import WEBSITE
from fkp_utils.website.serve import server

SECONDS = 15


def fake_camera(folder: Path) -> list[str]:
    """Chromium's flags for a camera that shows the astronaut, 640x480: frame.jpg in `folder`, again and again."""
    frame, film = folder / "frame.jpg", folder / "film.mjpeg"
    Image.fromarray(data.astronaut()[:384]).resize((640, 480)).save(frame, quality=92)
    film.write_bytes(frame.read_bytes() * 5)
    return ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}"]


def frames_a_second(page, address: str) -> float:
    """What the demo shows after some seconds of following the face."""
    page.goto(f"{address}/demo.html")
    expect(page.locator("#status")).to_contain_text("the example: 1 face in", timeout=60_000)
    page.locator("#camera").click()
    expect(page.locator("#status")).to_contain_text("1 face, ", timeout=60_000)
    page.wait_for_timeout(1000 * SECONDS)
    return float(re.search(r"([\d.]+) frames a second", page.locator("#status").inner_text())[1])


def main() -> None:
    plain = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(SimpleHTTPRequestHandler, directory=str(WEBSITE)))
    rows = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"),
                                          args=["--no-sandbox", "--disable-gpu", *fake_camera(Path(folder))])
        for way, http in (("one thread", plain), ("threads, as `make serve` allows", server())):
            threading.Thread(target=http.serve_forever, daemon=True).start()
            context = chromium.new_context(permissions=["camera"])
            page = context.new_page()
            rate = frames_a_second(page, f"http://127.0.0.1:{http.server_port}")
            rows.append({"way": way, "threads": page.evaluate("engine.threads"), "frames a second": rate})
            context.close()
            http.shutdown()
    for row in rows:
        row["ratio"] = f"{row['frames a second'] / rows[0]['frames a second']:.2f}"
    publish("camera", "The demo's camera, one face", rows, f"Chromium, the last of {SECONDS} seconds.")


if __name__ == "__main__":
    main()
