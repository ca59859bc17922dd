"""The site, its demo and a notebook in a real browser (Chromium); skipped where none is installed."""

import csv
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import permutations
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import nbformat
import numpy as np
import pillow_heif
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect, sync_playwright
from skimage import data
from test_project import PROJECT

from fkp_utils import palette, predict
from fkp_utils.detection import search_levels
from fkp_utils.folders import EMBEDDED
from fkp_utils.landmarks import IBUG_68, turned, upright_boxes
from fkp_utils.marks import COLUMNS
from fkp_utils.metrics import nme
from fkp_utils.nets.weights import load_weights
from fkp_utils.website import documents
from fkp_utils.website.demo import LIBRARIES, from_disk
from fkp_utils.website.serve import server

sys.path.insert(0, str(PROJECT / "bench" / "speed"))
sys.path.insert(0, str(PROJECT / "bench" / "shipped_files"))

import screens
from camera import fake_camera

SITE = PROJECT / "website"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run"]
pytestmark = [pytest.mark.browser,
              pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt install chromium)")]


@pytest.fixture(scope="module")
def playwright():
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def browser(playwright):
    chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield chromium
    chromium.close()


@pytest.fixture
def page(browser, request):
    """A page that fails its test on script errors and on requests to another machine."""
    context = browser.new_context(**getattr(request, "param", {}))
    page = context.new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(f"script error: {error}"))
    page.on("request", lambda asked: page.faults.append(f"asked {asked.url}") if not asked.url.startswith(
        ("file:", "data:", "blob:", "http://127.0.0.1", "http://localhost")) else None)
    yield page
    context.close()
    assert not page.faults


@pytest.fixture(scope="module")
def served():
    """The address of a server for the site."""
    http = server()
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


# ---------------------------------------------------------------- the page


@pytest.mark.parametrize("page", [{"color_scheme": "light"}, {"color_scheme": "dark"},
                                  {"viewport": {"width": 390, "height": 800}}], indirect=True, ids=["light", "dark", "phone"])
@pytest.mark.parametrize("name", ["index.html", "demo.html"])
def test_no_serious_accessibility_finding(page, name):
    page.goto((SITE / name).as_uri())
    found = Axe().run(page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:120]) for v in found if v["impact"] in ("serious", "critical")] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the screen"


def test_nothing_moves_while_figures_load(page):
    page.goto((SITE / "index.html").as_uri())
    assert page.evaluate("""[...document.querySelectorAll('main img')]
        .every(image => image.getAttribute('width') > 0 && image.getAttribute('height') > 0)""")
    page.evaluate("""() => {
        window.moved = 0;
        new PerformanceObserver(list => list.getEntries().forEach(entry => { window.moved += entry.value; }))
            .observe({type: 'layout-shift', buffered: true});
    }""")
    for _ in range(12):
        page.mouse.wheel(0, 2000)
        page.wait_for_timeout(60)
    assert page.evaluate("window.moved") < 0.02


def test_a_figure_opens_large_and_closes(page):
    page.goto((SITE / "index.html").as_uri())
    page.locator("a.large:visible").first.click()
    shown = page.locator("dialog[open] img")
    assert shown.get_attribute("src").endswith(".svg")                      # in the reader's colours
    page.wait_for_function("document.querySelector('dialog img').clientWidth > 900")
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert page.locator("#figure-nose_recipes figcaption a").get_attribute("href") == "nose_recipes.jpg"


def test_pointing_at_a_landmark_shows_its_heatmap_name_and_error(page):
    page.goto((SITE / "index.html").as_uri())
    numbers = json.loads(json.loads((SITE / "results" / "part4.json").read_text())["numbers"]["explorer"])
    slider, stage = page.locator("#explorer input"), page.locator("#explorer svg")
    stage.scroll_into_view_if_needed()
    slider.fill("3")
    box, (x, y) = stage.bounding_box(), numbers["faces"][3]["found"][8]
    page.mouse.move(box["x"] + x * box["width"] / 1000, box["y"] + y * box["height"] / 1000)
    said = page.locator("#explorer output")
    expect(said.locator("strong")).to_have_text("jaw")
    expect(said).to_contain_text(f"landmark 8: {numbers['faces'][3]['errors'][8]:.1f} %")
    shown = page.locator("#explorer .map").evaluate(
        "({ style }) => [style.opacity, style.backgroundPositionX, style.backgroundPositionY]")
    assert shown[0] == "1" and float(shown[1][:-1]) == pytest.approx(100 * 8 / 67, abs=0.01)
    assert float(shown[2][:-1]) == pytest.approx(100 * 3 / (len(numbers["faces"]) - 1), abs=0.01)
    stage.focus()
    page.keyboard.press("ArrowRight")
    expect(said).to_contain_text("landmark 9:")


def test_the_morphs_slider_shows_another_step(page):
    page.goto((SITE / "index.html").as_uri())
    face = page.locator("#morph .face")
    before = face.evaluate("e => e.style.backgroundPosition")
    page.locator("#morph input").fill("12")
    assert face.evaluate("e => e.style.backgroundPosition") == "100% 0%" != before


@pytest.mark.parametrize("page", [{"viewport": {"width": 390, "height": 800}}], indirect=True, ids=["phone"])
def test_strips_of_four_are_two_by_two_on_a_phone(page):
    page.goto((SITE / "index.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    strip = page.locator("a.halves").first
    first, second = (strip.locator("img").nth(k).bounding_box() for k in (0, 1))
    outer = strip.bounding_box()
    assert first["width"] == pytest.approx(2 * outer["width"], abs=1) and second["y"] > first["y"] + first["height"] / 2
    assert second["x"] == pytest.approx(outer["x"] - outer["width"], abs=1)


def test_the_contents_mark_where_one_is(page):
    page.goto((SITE / "index.html").as_uri() + "#part4")
    expect(page.locator("nav a[aria-current]")).to_have_text("4 Heatmaps")
    page.locator("nav").get_by_text("Sources").click()                      # too short to come to the top
    expect(page.locator("nav a[aria-current]")).to_have_text("Sources")


@pytest.mark.parametrize("width", [1440, 390])
def test_bars_are_as_long_as_their_numbers_say(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((SITE / "index.html").as_uri())
    groups = page.evaluate("""[...document.querySelectorAll('.bars')].map(group => [...group.querySelectorAll('dd')].map(
        bar => [bar.querySelector('i').getBoundingClientRect().width, parseFloat(bar.textContent)]))""")
    assert len(groups) == 7
    for bars in groups:
        most, of = max(bars)
        assert [length for length, _ in bars] == pytest.approx([most * number / of for _, number in bars], rel=0.02, abs=1)
    assert page.evaluate("""[...document.querySelectorAll('.bars dd')].every(bar => {
        const range = document.createRange();
        range.selectNodeContents(bar);
        return range.getBoundingClientRect().right <= bar.getBoundingClientRect().right + 1;
    })""")


@pytest.mark.parametrize("width", [1440, 1024, 900, 768])
def test_tables_fit_or_show_that_they_scroll(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((SITE / "index.html").as_uri())
    assert page.locator(".scroll:visible").count() == 5
    assert page.evaluate("""[...document.querySelectorAll('.scroll')].every(place => {
        const { overflowX, backgroundImage } = getComputedStyle(place);
        return place.scrollWidth <= place.clientWidth || (overflowX === 'auto' && backgroundImage.includes('gradient'));
    })""")
    if width in (768, 1024):
        assert page.evaluate("[...document.querySelectorAll('.scroll')].every(place => place.scrollWidth <= place.clientWidth)")
    assert page.evaluate("document.querySelector('.stops').scrollWidth <= document.querySelector('.stops').clientWidth")


@pytest.mark.parametrize("width", [1440, 1024, 390, 360])
def test_the_slider_stays_where_it_is(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((SITE / "index.html").as_uri())
    slider, places = page.locator("#walk-slider"), set()
    for k in range(6):
        slider.fill(str(k))
        places.add(slider.bounding_box()["y"])
    assert len(places) == 1


def test_the_slider_walks_over_the_answers_of_all_nets(page):
    page.goto((SITE / "index.html").as_uri())
    hero = json.loads((SITE / "results" / "hero.json").read_text())
    slider, said = page.locator("#walk-slider"), page.locator("#walk output")
    for k, (name, stage) in enumerate(hero["stages"].items()):
        slider.fill(str(k))
        expect(said.locator("strong")).to_have_text(f"{stage['error']:.1f} % on this face")
        assert page.evaluate("[...document.querySelectorAll('#hero g[id].on')].map(group => group.id)") == [f"stage-{name}"]
        points = page.locator(f"#stage-{name} .crosses").get_attribute("d")
        assert points.count("M") == len(stage["points"])
    assert page.locator(".stills:visible").count() == 0


def test_what_loads_before_scrolling_is_small(page):
    asked = set()
    page.on("request", lambda request: asked.add(request.url))
    page.goto((SITE / "index.html").as_uri(), wait_until="load")
    page.wait_for_timeout(500)
    files = [Path(url2pathname(urlsplit(url).path)) for url in asked if url.startswith("file:")]
    assert SITE / "hero.jpg" in files
    assert sum(file.stat().st_size for file in files if file.exists()) < 600_000, [file.name for file in files]


def test_the_page_is_a_third_as_long_as_it_was(page):
    """26,280 px before anything was folded."""
    page.goto((SITE / "index.html").as_uri())
    assert page.evaluate("document.documentElement.scrollHeight") <= 26_280 / 3


def test_each_part_is_one_screen_with_one_figure_and_one_table(page):
    """1440 by 960: what a laptop's browser shows of a page."""
    page.set_viewport_size({"width": 1440, "height": 960})
    page.goto((SITE / "index.html").as_uri())
    for k in range(1, 6):
        part = page.locator(f"#part{k}")
        assert part.bounding_box()["height"] <= 960
        assert part.locator("table:visible").count() == 1
        assert part.locator("figure:visible, .explorer:visible").count() == 1
    page.locator("#part5 > details > summary").click()                   # its trainings on real photos are folded
    rows = page.locator("#part5 details table tbody tr")
    assert rows.count() == len(json.loads((PROJECT / "data" / "measured" / "part5.json").read_text())["rows"])


@pytest.mark.parametrize("page", [{"viewport": {"width": 390, "height": 800}}], indirect=True, ids=["phone"])
def test_on_a_phone_tables_are_stacked_and_the_contents_go_on(page):
    page.goto((SITE / "index.html").as_uri())
    expect(page.locator("nav")).to_have_class("more")
    page.locator("nav ul").evaluate("list => { list.scrollLeft = 1000; }")
    expect(page.locator("nav")).to_have_class("back")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.locator("nav a[aria-current]")).to_have_text("Sources")
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator("nav")).to_have_class("more")
    rows = page.locator("table.stack tbody tr")
    assert rows.count() > 15
    page.wait_for_function("""() => [...document.querySelectorAll('table.stack')].every(table => {
        const outer = table.parentElement.getBoundingClientRect();
        return table.scrollWidth <= outer.width + 1 && [...table.querySelectorAll('td')].every(
            cell => cell.getBoundingClientRect().right <= outer.right + 1);
    })""", timeout=10_000)
    first = page.locator("#part1 table.stack tbody tr").first
    assert first.locator("td.real").first.bounding_box()["y"] < first.locator("td.embedded").first.bounding_box()["y"]


@pytest.mark.parametrize("page", [{"java_script_enabled": False}], indirect=True, ids=["without script"])
def test_without_a_script_pictures_stand_for_sliders(page):
    page.goto((SITE / "index.html").as_uri())
    for name in ("#walk", "#explorer", "#morph"):
        expect(page.locator(name)).to_be_hidden()
    assert [page.locator(".stills").nth(k).locator(".tile:visible").count() for k in range(3)] == [6, 3, 5]


def test_print_is_short_and_has_pictures_of_what_moves(page, tmp_path):
    page.goto((SITE / "index.html").as_uri())
    page.emulate_media(media="print")
    assert [page.locator(".stills").nth(k).locator(".tile:visible").count() for k in range(3)] == [6, 3, 5]
    assert page.locator("input:visible").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.wait_for_function("""[...document.querySelectorAll('main img')].filter(image => !image.closest('details'))
        .every(image => image.complete && image.naturalWidth)""")
    content = page.pdf(format="A4")
    pictures = {"hero", "face_pair_writeup", "face_pair_improved", "resnet_pair_writeup", "resnet_pair_improved",
                "explorer_faces", "morph"}
    assert len(re.findall(rb"/Subtype\s*/Image", content)) >= len(pictures)
    assert 1 < len(re.findall(rb"/Type\s*/Page\b", content)) <= 12


# ---------------------------------------------------------------- the demo


def test_demo_from_a_file_says_what_makes_what_it_lacks(page, tmp_path):
    for path in (*SITE.glob("*.js"), *SITE.glob("*.css"), SITE / "demo.html", SITE / "example.jpeg"):
        shutil.copy(path, tmp_path)
    page.goto((tmp_path / "demo.html").as_uri())
    expect(page.locator("#status")).to_contain_text("give the command make site once")
    for name in ("photo", "camera", "example", "group", "png", "json", "csv"):
        assert page.locator(f"#{name}").is_disabled()
    page.wait_for_function("() => view.width === 512")                  # the example is there to be seen
    expect(page.locator("#cancel")).to_have_text("load the networks")


@pytest.mark.parametrize("page", [{"java_script_enabled": False}], indirect=True, ids=["without script"])
def test_without_a_script_the_demo_shows_what_it_would_do(page):
    page.goto((SITE / "demo.html").as_uri())
    expect(page.locator("noscript p")).to_contain_text("needs a browser that runs scripts")
    expect(page.locator("noscript img")).to_be_visible()
    assert page.locator("input:visible, button:visible, canvas:visible").count() == 0


@pytest.fixture(scope="module")
def libraries():
    """Skips where the demo's libraries are not."""
    if not all((SITE / "vendor" / Path(file).name).exists() for files in LIBRARIES.values() for file in files):
        pytest.skip("the demo's libraries are not here (make site fetches them)")


@pytest.fixture(scope="module")
def disk(libraries, tmp_path_factory):
    """The folder of a site that is opened from files, with what the demo needs for that."""
    site = tmp_path_factory.mktemp("disk") / "a site"
    shutil.copytree(SITE, site, ignore=shutil.ignore_patterns("pages", "from_disk.js", "*.jsep.*"))
    from_disk(site)
    return site


def test_from_a_file_the_demo_finds_what_python_finds(page, disk, tmp_path):
    Image.fromarray(data.astronaut()).save(tmp_path / "astronaut.png")
    page.goto((disk / "demo.html").as_uri())
    expect(page.locator("#status")).to_contain_text("the example: 1 face in", timeout=60_000)
    page.set_input_files("#photo", tmp_path / "astronaut.png")
    expect(page.locator("#status")).to_contain_text("astronaut.png: 1 face in", timeout=60_000)
    assert page.url.startswith("file:") and page.evaluate("engine.threads") == 1
    [found] = page.evaluate("window.faces")
    [expected] = predict.landmarks(data.astronaut(), run=load_weights("small68.safetensors"))
    assert len(found["landmarks"]) == 68
    assert nme(np.array([found["landmarks"]]), expected.landmarks[None], IBUG_68)[0] < 3
    with page.expect_download() as download:
        page.locator("#png").click()
    with Image.open(download.value.path()) as saved:
        assert saved.size == (512, 512)
    page.locator("#group").click()
    expect(page.locator("#status")).to_contain_text("group.jpg: 6 faces in", timeout=60_000)


def test_from_a_file_a_demo_of_before_an_update_says_so(page, disk, tmp_path):
    """Files that git keeps are newer than what was made of them: nothing is read by half of the one and half of the other."""
    site = tmp_path / "site"
    shutil.copytree(disk, site)
    made = (site / "vendor" / "from_disk.js").read_bytes()
    (site / "faces.js").write_text((site / "faces.js").read_text() + "// changed\n")
    from_disk(site)
    (site / "vendor" / "from_disk.js").write_bytes(made)
    page.goto((site / "demo.html").as_uri())
    expect(page.locator("#status")).to_contain_text("made before the last update: give the command make site", timeout=60_000)
    from_disk(site)
    page.get_by_role("button", name="load the networks").click()
    expect(page.locator("#status")).to_contain_text("the example: 1 face in", timeout=60_000)


@pytest.mark.parametrize("page", [{"viewport": {"width": 1280, "height": 800}}, {"viewport": {"width": 390, "height": 844}}],
                         indirect=True, ids=["desk", "phone"])
def test_the_first_page_reads_a_photo_in_place_of_its_face(page, disk):
    """All of the photo is seen; no sentence speaks of the face that was there, until the slider brings it back."""
    page.goto((disk / "index.html").as_uri())
    hero, demo, error = page.locator("#hero"), page.frame_locator("#hero iframe"), page.locator("#walk output")
    expect(error).to_contain_text("on this face")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("link", name="Your photo").click()
    chooser.value.set_files(SITE / "samples" / "group.jpg")              # while the networks load: the example is not read
    expect(demo.locator("#status")).to_contain_text("group.jpg: 6 faces in", timeout=60_000)
    outer, inner = hero.bounding_box(), demo.locator("#view").bounding_box()
    assert inner["height"] == pytest.approx(384 / 576 * inner["width"], rel=0.01) and inner["width"] > 0.8 * outer["width"]
    assert outer["y"] < inner["y"] and inner["y"] + inner["height"] < outer["y"] + outer["height"] + 1
    expect(error).to_be_hidden()
    expect(page.get_by_text("The face is generated, and")).to_be_hidden()
    assert not Axe().run(page).response["violations"]
    page.locator("#walk input").press("ArrowLeft")
    expect(hero.locator("iframe")).to_have_count(0)
    expect(error).to_contain_text("on this face")
    expect(hero.locator("img")).to_be_visible()


def test_a_photo_dropped_on_the_first_page_or_pasted_is_read_in_its_place(page, disk):
    page.goto((disk / "index.html").as_uri())
    demo = page.frame_locator("#hero iframe")
    hand = """(way, name) => {
        const files = new DataTransfer();
        files.items.add(new File(["no picture"], name, { type: "image/png" }));
        if (way === "paste") dispatchEvent(new ClipboardEvent("paste", { clipboardData: files }));
        else document.querySelector("h1").dispatchEvent(new DragEvent("drop",
            { dataTransfer: files, bubbles: true, cancelable: true }));
    }"""
    for way, name in (("drop", "dropped.png"), ("paste", "pasted.png")):               # anywhere on the page
        page.evaluate(f"([way, name]) => ({hand})(way, name)", [way, name])
        expect(demo.locator("#status")).to_have_text(f"{name} is not a picture that this browser can read", timeout=60_000)
    page.emulate_media(media="print")                                   # which has no frame, but the face that was there
    expect(page.locator("#hero img")).to_be_visible()
    expect(page.locator("#walk output")).to_contain_text("on this face")
    page.emulate_media(media="screen")
    page.get_by_role("button", name="Back to the generated face").click()
    expect(page.locator("#hero iframe")).to_have_count(0)
    expect(page.locator("#walk input")).to_be_focused()


def test_who_chooses_no_photo_sees_the_first_pages_face_as_before(page, disk):
    page.goto((disk / "index.html").as_uri())
    page.evaluate("HTMLInputElement.prototype.click = function () { window.chooser = this; }")
    page.get_by_role("link", name="Your photo").click()
    expect(page.locator("#hero iframe")).to_have_count(1)
    page.evaluate("chooser.dispatchEvent(new Event('cancel'))")
    expect(page.locator("#hero iframe")).to_have_count(0)
    page.get_by_role("link", name="Camera", exact=True).click()
    page.get_by_role("link", name="Your photo").click()
    page.evaluate("chooser.dispatchEvent(new Event('cancel'))")
    expect(page.locator("#hero iframe")).to_have_count(1)               # the camera was there before


def test_a_photo_that_is_chosen_after_loading_was_cancelled_is_read(page, disk):
    page.add_init_script("const start = Worker.prototype.postMessage;"
                         "Worker.prototype.postMessage = function (...all) { if (!window.held) start.apply(this, all); };"
                         "window.held = true;")                        # the first worker is told nothing
    page.goto((disk / "demo.html").as_uri())
    page.locator("#cancel").click()
    expect(page.locator("#status")).to_have_text("cancelled: the networks are not loaded")
    page.evaluate("""() => {
        window.held = false;
        const files = new DataTransfer();
        files.items.add(new File(["no picture"], "late.png", { type: "image/png" }));
        document.dispatchEvent(new DragEvent("drop", { dataTransfer: files, cancelable: true }));
    }""")
    expect(page.locator("#status")).to_have_text("late.png is not a picture that this browser can read", timeout=60_000)


@pytest.mark.parametrize("broken", ["constructor() { throw new Error('not from a file'); }",
                                    "constructor() { setTimeout(() => this.onerror({})); } postMessage() {} terminate() {}"])
def test_a_browser_that_starts_no_worker_from_a_file_is_told_of_the_server(page, disk, broken):
    page.add_init_script(f"window.Worker = class {{ {broken} }}")
    page.goto((disk / "demo.html").as_uri())
    expect(page.locator("#status")).to_have_text("the networks cannot be loaded: this browser starts no worker from a file. "
                                                 "Give the command make serve, then open http://localhost:8000/demo.html")


def test_from_a_file_notebooks_and_code_are_pages_once_these_are_made(page, tmp_path, monkeypatch):
    """All that they lead to and show is there, on this machine."""
    monkeypatch.setattr(documents, "PAGES", ("README.md", "notebooks/1_*.ipynb", "notebooks/words.md"))
    address, buttons, listed = (tmp_path / "index.html").as_uri(), page.locator(".buttons a"), page.locator("#notebooks a")
    shutil.copy(SITE / "index.html", tmp_path)
    page.goto(address)
    assert listed.count() == 5 and listed.nth(0).get_attribute("href") == "../notebooks/1_nose_tip.ipynb"
    buttons.nth(2).click()
    expect(page.locator("#notebooks")).to_be_in_viewport()
    expect(page.locator("#notebooks")).to_contain_text("python -m fkp_utils.course figures")
    assert "make figures" in buttons.nth(3).get_attribute("title")
    documents.pages(tmp_path)
    page.goto(address)
    expect(page.locator("#notebooks")).not_to_contain_text("make figures")
    listed.nth(0).click()
    expect(page.locator("h1").first).to_contain_text("Part 1")
    page.locator("main").get_by_role("link", name="list of words").first.click()
    assert page.url == (tmp_path / "pages" / "notebooks" / "words.html").as_uri()
    page.goto(address)
    buttons.nth(3).click()
    expect(page.locator("#the-code")).to_be_in_viewport(timeout=30_000)
    page.locator("nav").get_by_role("link", name="Code").click()
    expect(page.locator("#all-the-code")).to_be_in_viewport(timeout=30_000)    # megabytes below
    code = page.locator("[id='fkp_utils/morph.py'] .highlight .k").first
    expect(code).not_to_be_visible()
    assert page.evaluate("document.documentElement.scrollHeight") < 20_000                 # 200,000 where all code is shown
    page.locator("summary", has_text="fkp_utils/morph.py").click()
    expect(code).to_be_in_viewport()
    page.goto(f"{tmp_path.as_uri()}/pages/README.html#fkp_utils/kaggle.py")                # a link to it opens it
    expect(page.locator("[id='fkp_utils/kaggle.py'] .highlight .k").first).to_be_in_viewport()
    page.get_by_role("link", name="three lines").click()
    expect(page.locator("#landmarks-on-your-own-photo")).to_be_in_viewport()
    assert page.evaluate("[...document.images].filter(image => !image.naturalWidth).length") == 0
    links = page.evaluate("[...document.links].map(link => link.href).filter(href => href.startsWith('file:'))")
    assert len(links) > 20 and [link for link in links if not Path(url2pathname(urlsplit(link).path)).exists()] == []


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    """README, the words, and part 5, as pages."""
    site = tmp_path_factory.mktemp("papers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "PAGES", ("README.md", "notebooks/5_*.ipynb", "notebooks/words.md"))
        documents.pages(site)
    return site / "pages"


@pytest.mark.parametrize("name", ["README", "notebooks/5_kaggle", "notebooks/words"])
@pytest.mark.parametrize("page", [{"viewport": {"width": 390, "height": 800}}], indirect=True)
def test_notebooks_and_texts_as_pages_fit_a_phone(page, papers, name):
    page.goto((papers / f"{name}.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    cut_off = page.evaluate("""[...document.querySelectorAll('pre')].filter(place => {
        for (; place !== document.body; place = place.parentElement) {
            const way = getComputedStyle(place).overflowX, long = place.scrollWidth > place.clientWidth + 1;
            if (long && way !== 'visible') return way === 'hidden';          // what does not scroll cuts the line off
        }
    }).map(place => place.textContent.slice(0, 80))""")
    assert cut_off == []


@pytest.mark.parametrize("page, dark", [({"color_scheme": "light"}, False), ({"color_scheme": "dark"}, True)],
                         indirect=["page"])
def test_notebooks_as_pages_have_the_readers_colours(page, papers, dark):
    page.goto((papers / "notebooks" / "5_kaggle.html").as_uri())
    shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L"))
    assert (np.median(shot) < 60) == dark and (np.median(shot) > 200) != dark
    chart, photo = page.locator("img.jp-needs-light-background").first, page.locator(
        ".jp-RenderedImage img:not(.jp-needs-light-background)").first
    corner = np.asarray(Image.open(io.BytesIO(chart.screenshot())).convert("L"))[3, 3]
    assert corner < 60 if dark else corner > 240                            # its white ground
    assert photo.evaluate("image => getComputedStyle(image).filter") == ("brightness(0.88)" if dark else "none")


@pytest.mark.parametrize("page", [{}, {"color_scheme": "dark", "viewport": {"width": 390, "height": 800}}], indirect=True,
                         ids=["light", "dark phone"])
@pytest.mark.parametrize("name", ["README", "notebooks/5_kaggle", "notebooks/words"])
def test_no_serious_accessibility_finding_in_a_paper(page, papers, name):
    page.goto((papers / f"{name}.html").as_uri())
    # Twenty of README's folded files of code do for all: with its 100,000 coloured words a look takes half a minute.
    page.evaluate("[...document.querySelectorAll('details:not([open]) pre')].slice(20).forEach(code => code.remove())")
    found = Axe().run(page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:120]) for v in found if v["impact"] in ("serious", "critical")] == []


@pytest.fixture
def demo(page, libraries, served):
    page.goto(f"{served}/demo.html")
    expect(page.locator("#status")).to_contain_text("the example: 1 face in", timeout=60_000)
    return page


@pytest.fixture
def functions(page):
    """A page with what finds and reads faces in the demo, and no networks."""
    page.goto("about:blank")
    page.add_script_tag(path=SITE / "faces.js")
    page.evaluate("described => { about = described; }", json.loads((SITE / "landmarks.json").read_text()))
    return page


def _in_the_worker(demo, script):
    """What `script` says there: the worker that the page started, not the threads that it starts itself."""
    return next(worker for worker in demo.workers if worker.url.startswith("blob:")).evaluate(script)


def test_demo_finds_what_python_finds(demo, tmp_path):
    Image.fromarray(data.astronaut()).save(tmp_path / "astronaut.png")
    demo.set_input_files("#photo", tmp_path / "astronaut.png")
    expect(demo.locator("#status")).to_contain_text("astronaut.png: 1 face in", timeout=60_000)
    assert demo.evaluate("engine.threads") == _in_the_worker(demo, "ort.env.wasm.numThreads") == min(4, os.cpu_count())
    [found] = demo.evaluate("window.faces")
    [expected] = predict.landmarks(data.astronaut(), run=load_weights("small68.safetensors"))
    assert nme(np.array([found["landmarks"]]), expected.landmarks[None], IBUG_68)[0] < 3
    assert abs(found["confidence"] - expected.confidence) < 0.05 and abs(found["roll"] - expected.roll) < 3


def test_demo_reads_turned_faces_and_several(demo, tmp_path):
    """Two faces, one on its head: both are read as Python reads them."""
    face = Image.fromarray(data.astronaut()).crop((100, 0, 356, 256))
    two = Image.new("RGB", (620, 300), (120, 120, 120))
    two.paste(face, (10, 20))
    two.paste(face.rotate(155, Image.Resampling.BICUBIC, fillcolor=(120, 120, 120)), (330, 20))
    two.save(tmp_path / "two.png")
    demo.set_input_files("#photo", tmp_path / "two.png")
    expect(demo.locator("#status")).to_contain_text("2 faces in", timeout=60_000)
    found = sorted(demo.evaluate("window.faces"), key=lambda face: face["box"][0])
    expected = sorted(predict.landmarks(np.asarray(two), run=load_weights("small68.safetensors")), key=lambda face: face.box[0])
    assert len(expected) == 2
    for one, other in zip(found, expected):
        assert nme(np.array([one["landmarks"]]), other.landmarks[None], IBUG_68)[0] < 4


def test_demo_shows_a_phones_photo_upright_and_saves_what_it_found(demo, tmp_path):
    """The camera was held sideways, as the file's EXIF orientation says."""
    upright = Image.fromarray(data.astronaut()).crop((60, 0, 400, 300))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "phone.jpg", exif=exif, quality=95)
    demo.set_input_files("#photo", tmp_path / "phone.jpg")
    expect(demo.locator("#status")).to_contain_text("phone.jpg: 1 face in", timeout=60_000)
    assert demo.evaluate("[view.width, view.height]") == [340, 300]
    with demo.expect_download() as download:
        demo.locator("#json").click()
    about = json.loads(Path(download.value.path()).read_text())
    assert download.value.suggested_filename == "phone.landmarks.json" and about["photo"] == "phone.jpg"
    [expected] = predict.landmarks(np.asarray(upright), run=load_weights("small68.safetensors"))
    assert nme(np.array([about["faces"][0]["landmarks"]]), expected.landmarks[None], IBUG_68)[0] < 4
    with demo.expect_download() as download:
        demo.locator("#png").click()
    with Image.open(download.value.path()) as saved:
        assert saved.size == (340, 300) and saved.format == "PNG"


DROP = """([name, bytes]) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
    const event = KIND === "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
                                  : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
    document.body.dispatchEvent(event);
}"""


@pytest.mark.parametrize("off, second, further", [
    (0.1, 0.9, 0), (0.17, 0.66, 0.26), (0.17, 0.66, 0.34), (1, 0.64, 0.01), (1, 0.66, 0.01), (1, 0.25, 0.3), (1, 0.64, None)])
def test_the_demo_looks_again_where_predict_does(functions, monkeypatch, off, second, further):
    """A face `off` sides from its box; the second and the third answer lie `further` sides aside, or are a point."""
    [face] = predict.landmarks(data.astronaut(), fast=True)
    [[left, top, side, _]], [turn] = upright_boxes(face.landmarks[None], IBUG_68)
    aside = np.full((68, 2), 40.0) if further is None else face.landmarks + [further * side, 0]
    answers, sure, seen = [face.landmarks, aside, aside], [0.6, second, 0.9], []

    def look(pictures, boxes, rolls, run):
        seen.append([*boxes[0], rolls[0]])
        return answers[len(seen) - 1][None].copy(), np.array([sure[len(seen) - 1]])
    monkeypatch.setattr(predict.faces, "look", look)
    [found] = predict.landmarks_in_boxes([None], np.array([[left + off * side, top, side, side]]), predict.default_net(True),
                                         np.array([turn]), predict.faces.MIN_FIRST_CONFIDENCE)
    answer = functions.evaluate("""async ([place, answers, sure]) => {
        const seen = [];
        look = async (grey, { box, roll }) => {
            seen.push([...box, roll]);
            return { landmarks: answers[seen.length - 1], confidence: sure[seen.length - 1] };
        };
        return { ...await read(null, place), seen };
    }""", [{"box": [left + off * side, top, side, side], "roll": turn}, [points.tolist() for points in answers], sure])
    np.testing.assert_allclose(answer["seen"], seen, atol=1e-6)
    np.testing.assert_allclose(answer["landmarks"], found.landmarks, atol=1e-6)
    assert answer["confidence"] == found.confidence


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_photo_can_be_dropped_or_pasted(demo, kind):
    file = io.BytesIO()
    Image.fromarray(data.astronaut()[:300, 60:400]).save(file, "PNG")
    demo.evaluate(DROP.replace("KIND", f'"{kind}"'), ["mine.png", list(file.getvalue())])
    expect(demo.locator("#status")).to_contain_text("mine.png: 1 face in", timeout=60_000)


def test_demo_names_what_is_no_picture(demo, tmp_path):
    (tmp_path / "notes.jpg").write_text("no picture")
    demo.set_input_files("#photo", tmp_path / "notes.jpg")
    expect(demo.locator("#status")).to_contain_text("notes.jpg is not a picture", timeout=30_000)
    assert demo.evaluate("window.faces.length") == 0 and demo.locator("#png").is_disabled()
    drawn = demo.evaluate("[...pen.getImageData(0, 0, view.width, view.height).data].some(value => value)")
    assert not drawn, "the old face is gone"


@pytest.mark.parametrize("page", [{"viewport": {"width": 1280, "height": 700}}], indirect=True, ids=["wide"])
def test_a_portrait_fits_the_window(demo, tmp_path):
    Image.new("RGB", (600, 1500), (90, 90, 90)).save(tmp_path / "tall.png")
    demo.set_input_files("#photo", tmp_path / "tall.png")
    expect(demo.locator("#status")).to_contain_text("tall.png: no face found", timeout=60_000)
    box = demo.locator("#view").bounding_box()
    assert box["height"] <= 0.8 * 700 + 1 and box["width"] == pytest.approx(0.4 * box["height"], rel=0.02)


@pytest.fixture
def webcam(playwright, tmp_path):
    """A page of a browser whose camera shows the astronaut."""
    chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *fake_camera(tmp_path)])
    yield chromium.new_context(permissions=["camera"]).new_page()
    chromium.close()


@pytest.fixture
def filming(webcam, served):
    """The demo with its camera on, and the astronaut's face found."""
    if not (SITE / "vendor" / "ort.wasm.min.js").exists():
        pytest.skip("the demo's libraries are not here (make site fetches them)")
    webcam.goto(f"{served}/demo.html")
    expect(webcam.locator("#status")).to_contain_text("the example: 1 face in", timeout=60_000)
    webcam.locator("#camera").click()
    expect(webcam.locator("#status")).to_contain_text("1 face, ", timeout=60_000)
    return webcam


def test_an_address_that_ends_with_camera_films_at_once(webcam, served, libraries):
    webcam.goto(f"{served}/demo.html#camera")
    expect(webcam.locator("#status")).to_contain_text("1 face, ", timeout=60_000)
    expect(webcam.locator("#camera")).to_have_text("stop the camera")


def test_the_camera_films_on_a_page_from_a_file(webcam, disk):
    webcam.goto((disk / "demo.html").as_uri() + "#camera")
    expect(webcam.locator("#status")).to_contain_text("1 face, ", timeout=60_000)
    webcam.locator("#camera").click()
    expect(webcam.locator("#status")).to_have_text("the camera is off")
    with webcam.expect_download() as download:
        webcam.locator("#png").click()
    with Image.open(download.value.path()) as saved:
        assert saved.size == (640, 480)


@pytest.mark.parametrize("where", ["file", "server"])
def test_the_first_page_films_in_place_of_its_face(webcam, disk, served, where):
    webcam.goto((disk / "index.html").as_uri() if where == "file" else f"{served}/index.html")
    webcam.get_by_role("link", name="Camera", exact=True).click()
    demo = webcam.frame_locator("#hero iframe")
    expect(demo.locator("#status")).to_contain_text("1 face, ", timeout=60_000)
    [frame] = [frame for frame in webcam.frames if frame.url.endswith("demo.html?within")]
    assert frame.evaluate("crossOriginIsolated") == (where == "server")      # threads, as in a window of its own
    webcam.evaluate("document.querySelector('#hero iframe').contentWindow.postMessage({ camera: true }, '*')")
    webcam.wait_for_timeout(1000)                                            # what films goes on
    expect(demo.locator("#status")).to_contain_text("1 face, ")
    webcam.locator("#walk input").press("ArrowLeft")
    expect(webcam.locator("#hero iframe")).to_have_count(0)


def test_demo_follows_the_face_before_the_camera(filming, tmp_path):
    [found] = filming.evaluate("window.faces")
    mirrored = np.asarray(Image.open(tmp_path / "frame.jpg"))[:, ::-1]
    [expected] = predict.landmarks(mirrored, run=load_weights("small68.safetensors"))
    assert nme(np.array([found["landmarks"]]), expected.landmarks[None], IBUG_68)[0] < 5
    expect(filming.locator("#status")).to_contain_text("frames a second")
    button = filming.locator("#camera")
    expect(button).to_have_text("stop the camera")
    button.click()
    filming.wait_for_function("() => camera === null")
    expect(button).to_have_text("camera")


def test_what_the_camera_showed_last_stays_as_it_was_seen(filming, tmp_path):
    """Mirrored, with no count of frames that no longer come; what is saved is what is seen."""
    expected = np.asarray(Image.open(tmp_path / "frame.jpg").convert("L").resize((64, 48)), float)[:, ::-1]
    filming.locator("#camera").click()
    expect(filming.locator("#status")).to_have_text("the camera is off")
    filming.wait_for_timeout(1500)                                     # a frame that was under way is through by now
    expect(filming.locator("#status")).to_have_text("the camera is off")
    with filming.expect_download() as download:
        filming.locator("#png").click()
    for picture in (download.value.path(), io.BytesIO(filming.locator("#view").screenshot())):
        seen = np.asarray(Image.open(picture).convert("L").resize((64, 48)), float)
        assert np.abs(seen - expected).mean() < 12 < np.abs(seen[:, ::-1] - expected).mean()
    with filming.expect_download() as download:
        filming.locator("#json").click()
    assert json.loads(Path(download.value.path()).read_text())["mirrored"] is True


def test_the_cameras_last_frame_is_not_drawn_over_a_new_photo(filming, tmp_path):
    Image.new("RGB", (300, 200), (90, 90, 90)).save(tmp_path / "wall.png")
    filming.set_input_files("#photo", tmp_path / "wall.png")
    expect(filming.locator("#status")).to_have_text("wall.png: no face found", timeout=60_000)
    filming.wait_for_timeout(1500)                                     # a frame that was under way is through by now
    expect(filming.locator("#status")).to_have_text("wall.png: no face found")
    pixels = "[...pen.getImageData(0, 0, view.width, view.height).data]"
    assert filming.evaluate(f"{pixels}.filter((value, k) => k % 4 < 3 && value != 90).length") == 0


CAMERA = """() => {
    window.asked = [];
    navigator.mediaDevices.getUserMedia = () => new Promise((give, refuse) => window.asked.push({ give: () => {
        const stream = Object.assign(document.createElement("canvas"), { width: 64, height: 48 });
        stream.getContext("2d").fillRect(0, 0, 64, 48);
        window.stream = stream.captureStream(10);
        give(window.stream);
    }, refuse }));
}"""                                                                  # a browser that asks until the test answers for its user
LIVE = "window.stream.getTracks().filter(track => track.readyState === 'live').length"


def test_a_second_click_while_the_browser_asks_leaves_no_camera_on(demo):
    demo.evaluate(CAMERA)
    button, status = demo.locator("#camera"), demo.locator("#status")
    button.click()
    expect(status).to_have_text("waiting for the camera")
    expect(button).to_have_text("stop the camera")
    button.click()
    expect(status).to_have_text("the camera was not started")
    demo.evaluate("window.asked[0].give()")
    demo.wait_for_function(f"() => {LIVE} === 0")
    expect(button).to_have_text("camera")
    button.click()                                                     # and a third one asks anew
    demo.evaluate("window.asked[1].give()")
    expect(status).to_contain_text("0 faces, ", timeout=30_000)
    assert demo.evaluate("window.asked.length") == 2 and demo.evaluate(LIVE) == 1


def test_a_photo_chosen_while_the_browser_asks_stays(demo, tmp_path):
    Image.new("RGB", (300, 200), (90, 90, 90)).save(tmp_path / "wall.png")
    demo.evaluate(CAMERA)
    demo.locator("#camera").click()
    demo.set_input_files("#photo", tmp_path / "wall.png")
    expect(demo.locator("#status")).to_have_text("wall.png: no face found", timeout=60_000)
    demo.evaluate("window.asked[0].give()")
    demo.wait_for_function(f"() => {LIVE} === 0")
    expect(demo.locator("#status")).to_have_text("wall.png: no face found")
    assert demo.evaluate("[view.width, view.height, camera]") == [300, 200, None]


def test_a_camera_that_is_refused_or_taken_away_is_told(demo):
    demo.evaluate(CAMERA)
    button, status = demo.locator("#camera"), demo.locator("#status")
    button.click()
    demo.evaluate("window.asked[0].refuse(new Error('permission denied'))")
    expect(status).to_have_text("no camera: permission denied")
    expect(button).to_have_text("camera")
    button.click()
    demo.evaluate("window.asked[1].give()")
    expect(status).to_contain_text("0 faces, ", timeout=30_000)
    demo.evaluate("window.film = camera.video; window.stream.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    expect(status).to_have_text("the camera was switched off")
    expect(button).to_have_text("camera")
    assert demo.evaluate("window.film.paused && window.film.srcObject === null") and demo.evaluate(LIVE) == 0


def test_addresses_of_files_are_given_back(demo, tmp_path):
    Image.fromarray(data.astronaut()[:300, 60:400]).save(tmp_path / "mine.png")
    (tmp_path / "notes.jpg").write_text("no picture")
    demo.evaluate("""() => {
        window.given = [];
        const [create, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
        URL.createObjectURL = what => { const url = create.call(URL, what); window.given.push(url); return url; };
        URL.revokeObjectURL = url => { window.given = window.given.filter(other => other !== url); revoke.call(URL, url); };
    }""")
    demo.set_input_files("#photo", tmp_path / "notes.jpg")
    expect(demo.locator("#status")).to_contain_text("notes.jpg is not a picture")
    demo.set_input_files("#photo", tmp_path / "mine.png")
    expect(demo.locator("#status")).to_contain_text("mine.png: 1 face in", timeout=60_000)
    assert demo.evaluate("window.given.length") == 0
    with demo.expect_download() as download:
        demo.locator("#json").click()
    assert json.loads(Path(download.value.path()).read_text())["photo"] == "mine.png"
    demo.wait_for_function("() => window.given.length === 0", timeout=5000)


def test_the_same_file_can_be_chosen_again(demo, tmp_path):
    for width in (300, 200):
        Image.new("RGB", (width, 150), (90, 90, 90)).save(tmp_path / "wall.png")
        demo.set_input_files("#photo", tmp_path / "wall.png")
        demo.wait_for_function("width => view.width === width", arg=width)
        assert demo.evaluate("document.getElementById('photo').value") == ""


def test_a_photo_that_takes_long_to_decode_does_not_replace_a_later_one(demo, tmp_path):
    for name, width in (("slow", 300), ("fast", 200)):
        Image.new("RGB", (width, 150), (90, 90, 90)).save(tmp_path / f"{name}.png")
    _in_the_worker(demo, """() => {
        const decode = self.createImageBitmap;
        let first = true;
        self.createImageBitmap = async (...what) => {
            const wait = first ? 1500 : 0;
            first = false;
            await new Promise(done => setTimeout(done, wait));
            return decode(...what);
        };
    }""")
    demo.set_input_files("#photo", tmp_path / "slow.png")
    demo.set_input_files("#photo", tmp_path / "fast.png")
    expect(demo.locator("#status")).to_have_text("fast.png: no face found", timeout=60_000)
    demo.wait_for_timeout(2000)
    expect(demo.locator("#status")).to_have_text("fast.png: no face found")
    assert demo.evaluate("view.width") == 200


def test_a_search_that_fails_is_told(demo, tmp_path):
    Image.new("RGB", (300, 150), (90, 90, 90)).save(tmp_path / "wall.png")
    _in_the_worker(demo, "() => { finder = { run: async () => { throw new Error('out of memory'); } }; }")
    demo.set_input_files("#photo", tmp_path / "wall.png")
    expect(demo.locator("#status")).to_have_text("wall.png: the search failed (out of memory)", timeout=30_000)


def test_demo_computes_boxes_and_sizes_as_python_does(functions):
    face = upright_face()
    for degrees in (0, 20, -110):
        points = turned(face[None], np.array([degrees])) + [123.4, 77]
        found = functions.evaluate("points => boxAround(points)", points[0].tolist())
        [box], [roll] = upright_boxes(points, IBUG_68)
        np.testing.assert_allclose([*found["box"], found["roll"]], [*box, roll], atol=1e-6)
    for size in ((100, 80), (257, 200), (300, 400), (640, 480), (700, 500), (853, 1), (854, 854), (900, 1281), (1600, 1200)):
        found = functions.evaluate("size => searchLevels(...size)", size)
        assert found == search_levels(*size)


@pytest.mark.parametrize("roll", [0, 30])
def test_demo_averages_both_looks_as_python_does(functions, roll):
    """A net whose labels lie beside their features says so of the picture and of its mirror image: the answers have no side."""
    points = np.random.default_rng(0).uniform(30, 130, (68, 2))
    points[36], points[45] = [50, 60], [110, 70]
    mirrored = (points - 2 * 0.009 * (points[45] - points[36]))[list(IBUG_68.flip)] * [-1, 1] + [159, 0]
    place = {"box": [200, 120, 90, 110], "roll": roll}
    found = functions.evaluate("""async ([answers, place]) => {
        window.ort = { Tensor: class {} };
        net = { run: async () => ({ landmarks: { data: answers.flat(2) } }) };
        return look({ values: new Float32Array(400 * 300), width: 400, height: 300 }, place);
    }""", [[points.tolist(), mirrored.tolist()], place])
    crop = load_weights("small68.safetensors").recipe.crop
    features = points - 0.009 * (points[45] - points[36])
    [expected] = crop.to_image(features[None], np.array([place["box"]]), np.array([roll]))
    np.testing.assert_allclose(found["landmarks"], expected, atol=1e-3)
    assert found["confidence"] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("size", [(300, 200), (800, 500)])
def test_demo_finds_small_faces(demo, tmp_path, size):
    """A jaw of 15 px, in photos that were looked at shrunk to 256, or to 640."""
    photo = Image.new("RGB", size, (120, 130, 140))
    face = Image.fromarray(data.astronaut()).crop((130, 20, 310, 200))
    photo.paste(face.resize((30, 30), Image.Resampling.LANCZOS), (200, 90))
    photo.save(tmp_path / "small.png")
    demo.set_input_files("#photo", tmp_path / "small.png")
    expect(demo.locator("#status")).to_contain_text("small.png: 1 face in", timeout=60_000)
    [face], [expected] = demo.evaluate("window.faces"), predict.landmarks(np.asarray(photo), fast=True)
    np.testing.assert_allclose(face["box"], expected.box, atol=1)


# ---------------------------------------------------------------- the demo's worker


def _group(path, names):
    """Generated faces beside each other, 260 px each, three a row."""
    sheet = Image.new("RGB", (3 * 260, 260 * -(-len(names) // 3)), (120, 120, 120))
    for k, name in enumerate(names):
        face = Image.open(EMBEDDED / "ibug_300W_large_face_landmark_dataset/embedded/trainset" / name).convert("RGB")
        sheet.paste(face.resize((260, 260)), (k % 3 * 260, k // 3 * 260))
    sheet.save(path)


def test_the_page_answers_while_a_photo_of_many_faces_is_read(demo, browser, tmp_path):
    """Its own thread has no task of a twentieth of the worker's, in processor time: what else is busy does not change that."""
    _group(tmp_path / "many.png", [f"face_{k:04}.jpg" for k in (8, 14, 51, 63, 72, 74, 77, 93, 102, 146, 234)])
    browser.start_tracing(page=demo, categories=["toplevel"])
    demo.set_input_files("#photo", tmp_path / "many.png")
    expect(demo.locator("#status")).to_contain_text("many.png: 11 faces in", timeout=120_000)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    threads = {(event["pid"], event["tid"]): event["args"]["name"] for event in events if event["name"] == "thread_name"}
    tasks = {"CrRendererMain": [], "DedicatedWorker thread": []}                      # microseconds
    for event in events:
        if event["name"] == "ThreadControllerImpl::RunTask":
            tasks.setdefault(threads.get((event["pid"], event["tid"])), []).append(event.get("tdur", 0))
    assert 0 < max(tasks["CrRendererMain"]) < sum(tasks["DedicatedWorker thread"]) / 20


SAID = """() => {
    window.said = [];
    document.addEventListener("DOMContentLoaded", () => new MutationObserver(() => window.said.push(
        document.getElementById("status").textContent)).observe(document.getElementById("status"), { childList: true }));
    let first = true;
    window.Worker = class extends Worker {
        postMessage(...what) {
            setTimeout(() => super.postMessage(...what), first ? 10_000 : 0);
            first = false;
        }
    };
}"""                                                                  # the first job is late: the test can end it before


def test_loading_tells_how_far_it_is_and_can_be_cancelled(page, served):
    if not (SITE / "vendor" / "ort.wasm.min.js").exists():
        pytest.skip("the demo's libraries are not here (make site fetches them)")
    page.add_init_script(f"({SAID})()")
    page.goto(f"{served}/demo.html")
    status, cancel = page.locator("#status"), page.locator("#cancel")
    expect(cancel).to_have_text("cancel")
    cancel.click()
    expect(status).to_have_text("cancelled: the networks are not loaded")
    assert page.locator("#photo").is_disabled()
    expect(cancel).to_have_text("load the networks")
    cancel.click()
    expect(status).to_contain_text("the example: 1 face in", timeout=60_000)
    expect(cancel).to_be_hidden()
    shares = [int(text.split()[1]) for text in page.evaluate("window.said") if text.startswith("networks ")]
    assert shares == sorted(shares) and shares[-1] == 100 and any(0 < share < 100 for share in shares)


def test_reading_can_be_cancelled(demo, tmp_path):
    Image.fromarray(data.astronaut()).save(tmp_path / "astronaut.png")
    _in_the_worker(demo, """() => {
        self.kept = net;
        net = { run: async (...what) => {
            await new Promise(done => setTimeout(done, 1500));
            return kept.run(...what);
        } };
    }""")
    demo.set_input_files("#photo", tmp_path / "astronaut.png")
    expect(demo.locator("#status")).to_contain_text("reading face 1 of", timeout=60_000)
    demo.locator("#cancel").click()
    expect(demo.locator("#status")).to_have_text("astronaut.png: cancelled")
    _in_the_worker(demo, "() => { net = kept; }")
    demo.set_input_files("#photo", tmp_path / "astronaut.png")
    expect(demo.locator("#status")).to_contain_text("astronaut.png: 1 face in", timeout=60_000)


def test_the_worker_may_not_ask_another_machine_either(demo):
    asked = []

    class Listening(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
    with ThreadingHTTPServer(("127.0.0.1", 0), Listening) as other:
        threading.Thread(target=other.serve_forever, args=(0.05,), daemon=True).start()
        address = f"http://127.0.0.1:{other.server_port}/"
        said = _in_the_worker(demo, f"fetch('{address}', {{ mode: 'no-cors' }}).catch(error => error.message)")
        other.shutdown()
    assert said == "Failed to fetch" and not asked


CHOICE = """async ([times, known]) => {
    hasGpu = async () => true;
    window.made = [];
    Engine = class {
        constructor(backend) { this.backend = backend; window.made.push(backend); }
        async ask(job) {
            if (times[this.backend] === null) throw new Error("no such files");
            return job === "probe" ? times[this.backend] : { threads: 1 };
        }
        stop() { window.made.push(`no ${this.backend}`); }
    };
    localStorage.removeItem("landmarks.backend");
    if (known) remembered.set(known);
    return [(await loaded()).backend, window.made, remembered.get()];
}"""


CHOICES = [
    ({"wasm": 40, "webgpu": 12}, None, "webgpu", ["wasm", "webgpu", "no wasm"], "webgpu"),
    ({"wasm": 12, "webgpu": 40}, None, "wasm", ["wasm", "webgpu", "no webgpu"], "wasm"),
    ({"wasm": 40, "webgpu": 12}, "wasm", "wasm", ["wasm"], "wasm"),
    ({"wasm": 40, "webgpu": 12}, "webgpu", "webgpu", ["webgpu"], "webgpu"),
    ({"wasm": 40, "webgpu": None}, None, "wasm", ["wasm", "webgpu", "no webgpu"], None),
    ({"wasm": 40, "webgpu": None}, "webgpu", "wasm", ["webgpu", "no webgpu", "wasm"], "webgpu")]


def test_the_faster_backend_is_taken_and_remembered(demo):
    for times, known, chosen, made, kept in CHOICES:
        assert demo.evaluate(CHOICE, [times, known]) == [chosen, made, kept], (times, known)


def test_a_film_without_a_face_looks_everywhere_at_a_part_of_the_cost(functions):
    """In 24 frames of 640x480: upright at 256 px each time, all four quarters, and small faces three times."""
    frames = functions.evaluate("""() => {
        const follower = new Follower();
        return [...Array(24)].map((_, k) => { follower.frame = k; return follower.searches({ width: 640, height: 480 }); });
    }""")
    assert all([256, 0] in frame for frame in frames)
    assert {quarters for frame in frames for level, quarters in frame if level == 256} == {0, 1, 2, 3}
    assert sum([640, 0] in frame for frame in frames) == 3
    pixels = np.mean([sum(level**2 * 3 / 4 for level, _ in frame) for frame in frames])
    assert pixels <= 2.5 * 256 * 192, "less than the four quarters at each frame"


@pytest.mark.parametrize("sure, read", [(0.4, [0, 10, 20]), (0.6, [*range(25)])])
def test_where_no_face_was_read_an_unsure_finder_has_none_read_for_ten_frames(functions, sure, read):
    """A finder that sees one place in every view, and a landmark net whose answers to a crop and its mirror image disagree."""
    asked = functions.evaluate("""async sure => {
        window.ort = { Tensor: class { constructor(type, data, dims) { Object.assign(this, { data, dims }); } } };
        finder = { run: async ({ images: { dims: [, , H, W] } }) => {
            const [rows, columns] = [H / 4, W / 4], data = new Float32Array(6 * rows * columns).fill(-9);
            for (let c = 1; c < 6; c++) data.fill(c === 4 ? 1 : 0, c * rows * columns, (c + 1) * rows * columns);
            data[(rows >> 1) * columns + (columns >> 1)] = logit(sure);
            return { maps: { data, dims: [1, 6, rows, columns] } };
        } };
        const follower = new Follower(), frames = new Set();
        const nowhere = { landmarks: { data: new Float32Array(4 * about.flip.length) } };
        net = { run: async () => { frames.add(follower.frame); return nowhere; } };
        const picture = pictureOf(Object.assign(document.createElement("canvas"), { width: 640, height: 480 }));
        follower.searches = () => [[256, 0]];
        for (let k = 0; k < 25; k++) await follower.next(picture, k / 10);
        return [...frames];
    }""", sure)
    assert asked == read


@pytest.mark.parametrize("order", permutations(range(4)))
def test_places_that_end_at_one_face_show_it_once_as_the_surest_answer_has_it(functions, order):
    """Two of 20 px, 8 px to the left and to the right of a third, are that one, but not each other; 10 px apart of 20 and 30
    px are one, too."""
    places = [[100, 20, 0.8], [92, 20, 0.9], [108, 20, 0.7], [92, 30, 0.5]]                  # x of the centre, side, confidence
    shown = functions.evaluate("""places => {
        const face = ([x, side, confidence]) => ({ box: [x - side / 2, 10 - side / 2, side, side], roll: 0, confidence });
        return once(places.map(face)).map(({ confidence }) => confidence);
    }""", [places[k] for k in order])
    assert shown == [places[k][2] for k in order if places[k][2] in (0.9, 0.7)]


def test_the_one_euro_filter_by_hand(functions):
    """At a step of 1 / (2 pi) s a cutoff of 1 Hz halves what is new: 0, 1, 1 becomes 0, 0.5, 0.75."""
    run = """([minCutoff, beta, values, step, unit]) => {
        const filter = new OneEuro(minCutoff, beta);
        return values.map((value, k) => filter.next([value], 1 + k * step, unit)[0]);
    }"""
    step = 1 / (2 * np.pi)
    np.testing.assert_allclose(functions.evaluate(run, [1, 0, [0, 1, 1], step, 1]), [0, 0.5, 0.75])
    # The speed is 2 pi a second, low-passed pi; the cutoff 1 + pi, and so the weight 1 / (1 + 1 / (1 + pi)).
    np.testing.assert_allclose(functions.evaluate(run, [1, 1, [0, 1], step, 1]), [0, 1 / (1 + 1 / (1 + np.pi))])
    np.testing.assert_allclose(functions.evaluate(run, [1, 1, [0, 100], step, 100]), [0, 100 / (1 + 1 / (1 + np.pi))])
    resting = np.random.default_rng(0).normal(100, 1, 200)
    steady = np.array(functions.evaluate(run, [1, 5, resting.tolist(), 0.05, 200]))
    assert steady[50:].std() < 0.5 * resting[50:].std()
    moving = np.arange(100) * 10.0                                     # 200 px a second, a face's width
    assert abs(functions.evaluate(run, [1, 5, moving.tolist(), 0.05, 200])[-1] - moving[-1]) < 10


def test_steadied_faces_have_the_box_of_their_landmarks(functions):
    """Two equal frames but for a jump of 10 px: the box moves by as much as the landmarks."""
    face = upright_face() + 200
    found = functions.evaluate("""([face, jumped]) => {
        const filter = new OneEuro(1, 0), place = points => ({ ...boxAround(points), landmarks: points });
        return [steadied(place(face), filter, 0), steadied(place(jumped), filter, 1 / (2 * Math.PI)), boxAround(face)];
    }""", [face.tolist(), (face + [10, 0]).tolist()])
    np.testing.assert_allclose(found[0]["landmarks"], face)
    np.testing.assert_allclose(found[1]["landmarks"], face + [5, 0])
    np.testing.assert_allclose(np.subtract(found[1]["box"], found[2]["box"]), [5, 0, 0, 0], atol=1e-9)


# ---------------------------------------------------------------- what the demo shows and saves


def upright_face():
    """68 landmarks of a face that equals its mirror image."""
    half, flip = np.random.default_rng(0).uniform([2, 0], [50, 120], (68, 2)), np.array(IBUG_68.flip)
    return np.where((np.arange(68) < flip)[:, None], half * [-1, 1], half[flip])


def test_a_large_photos_landmarks_are_in_its_own_pixels(demo, tmp_path):
    """5000 px long; the face of 512 px in it is the astronaut's."""
    large, place = Image.new("RGB", (5000, 3000), (120, 130, 140)), np.array([3000, 1500])
    large.paste(Image.fromarray(data.astronaut()).resize((1024, 1024), Image.Resampling.LANCZOS), tuple(place.tolist()))
    large.save(tmp_path / "large.jpg", quality=92)
    demo.set_input_files("#photo", tmp_path / "large.jpg")
    expect(demo.locator("#status")).to_contain_text("large.jpg: 1 face in", timeout=120_000)
    with demo.expect_download() as download:
        demo.locator("#json").click()
    about = json.loads(Path(download.value.path()).read_text())
    [expected] = predict.landmarks(data.astronaut(), fast=True)
    assert (about["width"], about["height"]) == (5000, 3000) and demo.evaluate("view.width") == 1600
    truth = 2 * (expected.landmarks + 0.5) - 0.5 + place
    assert nme(np.array([about["faces"][0]["landmarks"]]), truth[None], IBUG_68)[0] < 4
    np.testing.assert_allclose(about["faces"][0]["box"], [*(2 * expected.box[:2] + place), *2 * expected.box[2:]], atol=20)
    with demo.expect_download() as download:
        demo.locator("#csv").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert list(rows[0]) == COLUMNS and len(rows) == 68 and rows[8]["point"] == "8" and rows[8]["photo"] == "large.jpg"
    np.testing.assert_allclose([[float(row["x"]), float(row["y"])] for row in rows], about["faces"][0]["landmarks"])
    with demo.expect_download() as download:
        demo.locator("#png").click()
    with Image.open(download.value.path()) as saved:
        assert saved.size == (5000, 3000)


def test_a_name_with_commas_and_quotes_is_one_field_of_the_table(demo):
    text = demo.evaluate("""csvOf({ name: 'a, "b".jpg',
        faces: [{ landmarks: [[1.234, 2], [3, 4.5]], confidence: 0.98765 }] })""")
    assert list(csv.reader(io.StringIO(text)))[1:] == [['a, "b".jpg', "0", "0", "1.23", "2", "0.9877"],
                                                       ['a, "b".jpg', "0", "1", "3", "4.5", "0.9877"]]


def test_a_heic_gets_advice(demo, tmp_path):
    pillow_heif.from_pillow(Image.fromarray(data.astronaut()[:64, :64])).save(tmp_path / "IMG_1.HEIC")
    (tmp_path / "IMG_1.HEIC").rename(tmp_path / "phone.jpg")           # told by its bytes
    for name in ("phone.jpg", "empty.heic"):
        (tmp_path / "empty.heic").write_bytes(b"")
        demo.set_input_files("#photo", tmp_path / name)
        expect(demo.locator("#status")).to_contain_text(f"{name} is a HEIC photo, which this browser cannot read. Save it as")


def test_what_is_drawn_can_be_chosen(demo):
    drawn = lambda: demo.evaluate("marks.toDataURL()")                 # noqa: E731
    seen = {drawn()}
    for name in ("points", "lines", "box", "labels", "numbers", "heatmaps"):
        demo.locator(f"[name={name}]").click()
        if name == "heatmaps":
            demo.wait_for_function("() => result.maps.length === 1", timeout=60_000)
        seen.add(drawn())
    assert len(seen) == 7, "each of them changes the drawing"
    demo.locator("[name=numbers]").click()
    demo.locator("[name=heatmaps]").click()
    assert not demo.evaluate("[...marks.getContext('2d').getImageData(0, 0, marks.width, marks.height).data].some(v => v)")


def test_a_heatmaps_peak_lies_at_its_landmark(demo):
    demo.locator("[name=heatmaps]").click()
    demo.wait_for_function("() => result.maps.length === 1", timeout=60_000)
    maps, [face] = demo.evaluate("({ ...result.maps[0], values: [...result.maps[0].values] })"), demo.evaluate("window.faces")
    grid = np.reshape(maps["values"], (68, maps["rows"], maps["columns"]))
    peaks = np.array([np.unravel_index(one.argmax(), one.shape)[::-1] for one in grid]) + 0.5
    side = maps["box"][2]
    local = (peaks / maps["columns"] - 0.5) * side
    points = turned(local[None], np.array([maps["roll"]]))[0] + np.array(maps["box"][:2]) + side / 2 - 0.5
    assert np.median(np.linalg.norm(points - face["landmarks"], axis=1)) < 1.5 * side / maps["columns"] and grid.max() == 255


def test_a_film_has_heatmaps_too_and_so_has_its_last_frame(filming):
    filming.locator("[name=heatmaps]").click()
    filming.wait_for_function("() => result.maps[0]?.values.length === 68 * 40 * 40", timeout=60_000)
    filming.locator("[name=heatmaps]").click()
    filming.wait_for_function("() => result.maps.length === 1 && !result.maps[0]", timeout=60_000)
    filming.locator("#camera").click()
    filming.locator("[name=heatmaps]").click()
    filming.wait_for_function("() => result.maps[0]?.values.length === 68 * 40 * 40", timeout=60_000)


def test_a_drawing_is_read_that_only_the_page_can_decode(demo, tmp_path):
    (tmp_path / "wall.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200"></svg>')
    demo.set_input_files("#photo", tmp_path / "wall.svg")
    expect(demo.locator("#status")).to_have_text("wall.svg: no face found", timeout=60_000)
    assert demo.evaluate("[view.width, view.height]") == [300, 200]


def test_no_serious_accessibility_finding_beside_a_face(demo):
    found = Axe().run(demo).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:120]) for v in found if v["impact"] in ("serious", "critical")] == []


def test_a_landmark_is_named_at_the_pointer_and_by_keys(demo):
    stage, tip = demo.locator("#stage"), demo.locator("#tip")
    stage.scroll_into_view_if_needed()
    box, [face] = stage.bounding_box(), demo.evaluate("window.faces")
    x, y = ((value + 0.5) * box["width"] / 512 for value in face["landmarks"][30])
    demo.mouse.move(box["x"] + x, box["y"] + y)
    expect(tip).to_have_text(f"nose, landmark 30: {face['landmarks'][30][0]:.1f}, {face['landmarks'][30][1]:.1f}")
    demo.mouse.move(box["x"] + 3, box["y"] + 3)
    expect(tip).to_be_hidden()
    stage.focus()
    demo.keyboard.press("ArrowRight")
    demo.keyboard.press("ArrowRight")
    expect(tip).to_contain_text("jaw, landmark 1:")


def test_a_face_is_enlarged_and_the_whole_picture_comes_back(demo):
    button, [face] = demo.locator("#found button"), demo.evaluate("window.faces")
    expect(button).to_contain_text(f"1: confidence {face['confidence']:.2f}")
    before = demo.evaluate("placed()")
    button.click()
    times, right, down = demo.evaluate("placed()")
    width = demo.evaluate("marks.width")
    assert times > 2 * before[0]
    at = (np.array(face["landmarks"]) + 0.5) * times + [right, down]
    assert ((at > 0) & (at < width)).all(), "all of the face is seen"
    assert np.ptp(at[:, 0]) > 0.3 * width
    demo.locator("#whole").click()
    assert demo.evaluate("placed()") == before


def test_strokes_have_the_width_that_is_seen(demo):
    """A face of the same size on the screen, in a small photo and in one eight times as large: the same strokes, outlined."""
    widths = demo.evaluate("""face => [1, 8].map(times => {
        const pen = document.createElement("canvas").getContext("2d"), seen = [];
        pen.stroke = () => seen.push([pen.lineWidth, pen.strokeStyle]);
        const photo = enlarged({ ...boxAround(face), landmarks: face }, [times, times]);
        drawFaces(pen, [photo], { at: [1 / times, 0, 0], unit: 1, show: { lines: true }, colours: about.colours });
        return seen;
    })""", upright_face().tolist())
    np.testing.assert_allclose([w for w, _ in widths[0]], [w for w, _ in widths[1]], rtol=1e-4)
    (outline, dark), (line, colour) = widths[0][:2]
    assert outline > line + 1 and dark == "rgba(0, 0, 0, 0.7)" and colour == palette.LINE


def test_what_is_dragged_over_the_page_is_awaited(demo):
    stage = demo.locator("#stage")
    demo.evaluate("document.body.dispatchEvent(new DragEvent('dragover', { bubbles: true, cancelable: true }))")
    expect(stage).to_have_class("stage dragged")
    demo.evaluate("document.body.dispatchEvent(new DragEvent('dragleave', { bubbles: true }))")
    expect(stage).to_have_class("stage")


@pytest.mark.parametrize("name, faces", [("face", "1 face"), ("group", "6 faces"), ("turned", "1 face"), ("glasses", "1 face")])
def test_the_samples_are_read(demo, name, faces):
    demo.locator(f"#{name}").click()
    expect(demo.locator("#status")).to_contain_text(f"{name}.jpg: {faces} in", timeout=60_000)


# ---------------------------------------------------------------- JupyterLab


STOP = """
import time
from toy import ToyFaces
from fkp_utils import widgets
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.trained import new_model

class Slow(ToyFaces):
    def batch(self, indices):
        time.sleep(0.05)
        return super().batch(indices)

recipe = Recipe("long", "NoseNet", (60, 80), epochs=3000, batch=4, lr=1e-3, data="imm_nose")
live = widgets.LiveTraining(new_model(recipe), Slow(4), ToyFaces(4), recipe)
live"""
PLAYGROUND = """
import numpy as np
from fkp_utils import widgets
def draw(grey):
    return widgets.plotting.face_grid([np.full((60, 80), grey, np.uint8)])
widgets.Panel(draw, grey=widgets._slider(0, 255, 9, "grey"))"""
FIGURES = """
%config InlineBackend.figure_format = "jpeg"
import numpy as np
from fkp_utils import plotting
plotting.region_bars({"a net": {"jaw": 10.0, "eyes": 4.0}})
!!!
plotting.face_grid(np.full((1, 60, 80), 200, np.uint8))"""
UPLOAD = """
from skimage import data
from fkp_utils import widgets
widgets.own_photo(data.astronaut()[:256, 100:356])"""


@pytest.fixture
def lab(tmp_path, embedded):
    """The address of a JupyterLab as `make lab` starts it, over a copy of the notebooks, with the shortest profile."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name in ("notebooks", "fkp_utils", "data/weights"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    for name, cells in (("stop", [STOP, "print('epochs:', len((await live.finished()).history))"]), ("saved", [PLAYGROUND]),
                        ("upload", [UPLOAD]), ("figures", FIGURES.split("!!!"))):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}})
        nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")
    settings = tmp_path / "settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"windowingMode": "none"}')                  # else cells out of sight are not drawn
    environment = {**os.environ, "FKP_PROFILE": "smoke", "FKP_DATA": str(embedded), "HOME": str(tmp_path),
                   "PYTHONPATH": f"{tmp_path}:{PROJECT / 'tests'}", "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
                   "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
                   "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings")}
    command = [sys.executable, "-m", "fkp_utils.course.lab", "--no-browser", "--allow-root", f"--port={port}",
               "--ServerApp.ip=127.0.0.1", "--IdentityProvider.token=", "--ServerApp.password="]
    with open(tmp_path / "lab.log", "w") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            urllib.request.urlopen(f"{address}/api", timeout=2)
            break
        except OSError:
            time.sleep(0.5)
    yield address
    server.terminate()
    server.wait(60)                                                       # its kernels end first, one may be training


def _opened(page, lab, notebook):
    page.set_default_timeout(120_000)
    page.goto(f"{lab}/lab/tree/notebooks/{notebook}")
    page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for()
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()         # who runs cells sooner is asked for a kernel


def _run_all(page, lab, notebook):
    _opened(page, lab, notebook)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def test_a_slider_in_jupyterlab_changes_the_picture(lab, page):
    _run_all(page, lab, "1_nose_tip.ipynb")
    picture = page.locator(".widget-image").first
    picture.wait_for(state="attached")
    picture.scroll_into_view_if_needed()
    before = picture.get_attribute("src")
    page.locator(".widget-slider").first.locator(".noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("before => document.querySelector('.widget-image').src !== before", arg=before)
    assert not any("Traceback" in text for text in page.locator(".jp-OutputArea-output").all_inner_texts())


def test_charts_are_dark_in_jupyterlabs_dark_theme_and_photos_are_as_they_were(lab, page):
    def seen():
        """Lightness of a chart's corner and of a photo's middle, which is 200 in the file."""
        corner, middle = (np.array(Image.open(io.BytesIO(image.screenshot())).convert("L")) for image in images)
        return corner[5:15, 5:15].mean(), middle[middle.shape[0] // 2, middle.shape[1] // 2]

    _run_all(page, lab, "figures.ipynb")
    images = [page.locator(".jp-RenderedImage img").nth(k) for k in (0, 1)]
    images[1].wait_for()
    light = seen()
    assert light[0] > 250 and abs(light[1] - 200) < 4
    assert not page.get_by_text("Jupyter news").count()       # nobody is asked about something else
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    for words in ("Theme", "JupyterLab Dark"):
        page.locator(".lm-Menu-item", has_text=words).first.click()
    page.locator("body[data-jp-theme-light=false]").wait_for(state="attached")
    page.wait_for_timeout(1000)
    dark = seen()
    assert dark[0] < 40 and 165 < dark[1] < 185               # photos only a little dimmed


def test_live_training_stops_under_run_all(lab, page):
    _run_all(page, lab, "stop.ipynb")
    page.get_by_role("button", name="stop after this epoch").click()
    ended = page.locator(".jp-OutputArea-output", has_text="epochs: ")
    ended.wait_for(timeout=30_000)                                     # all of them would take two and a half minutes
    assert 1 <= int(ended.inner_text().split()[-1]) < 1000


def _saved_outputs(notebook):
    """How many outputs the first cell has in a notebook's file; none while it is being written."""
    with suppress(ValueError):
        return len(json.loads(notebook.read_text())["cells"][0]["outputs"])
    return 0


def test_a_saved_notebook_shows_its_widgets_pictures_when_it_is_opened_again(lab, page, tmp_path):
    _run_all(page, lab, "saved.ipynb")
    page.locator(".widget-image").wait_for()
    page.keyboard.press("Control+s")
    # From the file: who asks Jupyter for it in the middle of its saving makes it put back what there was before.
    until = time.monotonic() + 120
    while not _saved_outputs(tmp_path / "notebooks" / "saved.ipynb"):
        assert time.monotonic() < until
        page.wait_for_timeout(100)
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name="Shut Down Kernel", exact=True).click()
    page.get_by_text("No Kernel | Unknown").or_(page.get_by_text("No Kernel", exact=True)).first.wait_for()
    _opened(page, lab, "saved.ipynb?reset")
    output = page.locator(".jp-OutputArea-output").first
    expect(output.locator("img")).to_be_visible()
    assert "model not found" not in output.inner_text()


def test_a_photo_above_10_mb_is_read_and_the_next_one_too(lab, page, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (2100, 2100, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    assert (tmp_path / "noise.png").stat().st_size > 12e6
    Image.fromarray(data.astronaut()).save(tmp_path / "astronaut.png")
    _run_all(page, lab, "upload.ipynb")
    note = page.locator(".widget-html-content").nth(1)
    page.locator(".widget-image").wait_for()
    for name, said in (("noise.png", "0 face(s) found"), ("astronaut.png", "1 face(s) found")):
        with page.expect_file_chooser() as chosen:
            page.locator(".widget-upload").click()
        chosen.value.set_files(tmp_path / name)
        expect(note).to_contain_text(said)


def test_the_readmes_picture_of_the_page_is_of_this_page(browser):
    assert screens.apart(screens.small(screens.page(browser, SITE)), "page") < 3         # another face: 10 and more
