"""The runner on tiny notebooks, two of which fail on purpose; the page from records."""

import base64
import io
import json
import platform
import re
import subprocess
import sys
import threading
import time
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.request import urlopen

import nbformat
import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from toy import ToyFaces

from fkp_utils import processors
from fkp_utils.errors import DatasetError
from fkp_utils.folders import EMBEDDED, NOTEBOOKS
from fkp_utils.landmarks import IBUG_68
from fkp_utils.plotting.base import subplots
from fkp_utils.plotting.faces import show_face
from fkp_utils.website import demo, documents, progress, run_notebooks, serve
from fkp_utils.website.explorer import explorer
from fkp_utils.website.page import claim, commands, kind_of, labelled, numbering, panels, relative_errors, render, table
from fkp_utils.website.report import Report, read_report
from fkp_utils.website.run_notebooks import make_figures, publish, run_notebook

PROJECT = Path(__file__).parents[1]
WRITES = """
from pathlib import Path
import json
from PIL import Image
Image.new("RGB", (40, 30), "red").save(Path(OUT) / "nose_conv1.jpg")
"""
FINISHES = """
record = {"part": 1, "profile": PROFILE, "data": "embedded faces", "figures": {"nose_conv1": "A <red> picture."}, "models": {},
          "recipes": {}, "rows": [{"net": "mean", "mse": 0.5}]}
(Path(OUT) / "part1.json").write_text(json.dumps(record))
"""


def _notebook(path, *cells):
    first = nbformat.v4.new_code_cell("OUT = PROFILE = DATA = CHECKPOINTS = None")
    first.metadata["tags"] = ["parameters"]
    notebook = nbformat.v4.new_notebook(cells=[first, *map(nbformat.v4.new_code_cell, cells)])
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)
    return path


@pytest.fixture
def old_site(tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    Image.new("RGB", (40, 30), "blue").save(site / "nose_conv1.jpg")
    (site / "index.html").write_text("old page")
    return site


def _content(folder):
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(run_notebooks, "BUILD", tmp_path / "build")
    return tmp_path


@pytest.mark.training
def test_finished_notebook_reaches_the_site(project, old_site, embedded):
    notebook = _notebook(project / "1_good.ipynb", WRITES, FINISHES)
    make_figures("smoke", str(embedded), old_site, [notebook])
    assert Image.open(old_site / "nose_conv1.jpg").getpixel((5, 5))[0] > 200
    page = (old_site / "index.html").read_text()
    assert 'src="nose_conv1.jpg"' in page and "A &lt;red&gt; picture." in page and "0.500000" in page


@pytest.mark.training
@pytest.mark.parametrize("cells, cell, words", [
    ([WRITES, "1 / 0", FINISHES], 3, "division by zero"),
    ([WRITES, FINISHES, "raise ValueError('too late')"], 4, "too late")])
def test_failed_notebook_leaves_the_old_site_and_names_the_cell(project, old_site, embedded, cells, cell, words):
    before = _content(old_site)
    notebook = _notebook(project / "1_bad.ipynb", *cells)
    with pytest.raises(RuntimeError, match=rf"1_bad.ipynb, cell {cell}: .*{words}"):
        make_figures("smoke", str(embedded), old_site, [notebook])
    assert _content(old_site) == before


def _with_output(path, text, arithmetic):
    """Store what the notebook's second code cell is to have printed, and on what kind of machine."""
    notebook = nbformat.read(path, 4)
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
    notebook.metadata["arithmetic"] = arithmetic
    nbformat.write(notebook, path)


@pytest.mark.training
def test_processors_that_compute_in_other_ways_are_told_apart(tmp_path):
    def one(number, model):
        return (f"processor\t: {number}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: {model}\n"
                "model name\t: A Xeon\n\n")
    (tmp_path / "cpuinfo").write_text(one(0, 85) + one(1, 85))
    (tmp_path / "other").write_text(one(0, 143))
    (tmp_path / "arm").write_text("processor\t: 0\nBogoMIPS\t: 50.00\n")
    assert processors.kind(tmp_path / "cpuinfo") == "GenuineIntel 6 85" != processors.kind(tmp_path / "other")
    assert processors.kind(tmp_path / "arm") == processors.kind(tmp_path / "none") == platform.processor()


@pytest.mark.parametrize("stored, arithmetic, differences", [
    ("MSE 0.25\n<Figure size 640x480>\n", None, []), ("MSE 0.25\n<Figure size 640x480>\n", "another machine", []),
    ("MSE 0.24\n", "another machine", []),
    ("MSE 0.24\n", None, ["1_good.ipynb, cell 1: prints 'MSE 0.25', stored is 'MSE 0.24'"])])
def test_every_printed_number_is_compared_where_the_arithmetic_is_the_same(project, old_site, monkeypatch, capsys, stored,
                                                                           arithmetic, differences):
    monkeypatch.setattr(run_notebooks, "data_root", lambda data: project)
    notebook = _notebook(project / "1_good.ipynb", "print('MSE 0.25')\nprint('<Figure size 1x2>')", WRITES, f"{FINISHES}\nNone")
    _with_output(notebook, stored, arithmetic or run_notebooks.arithmetic())
    found = make_figures("quick", None, old_site, [notebook])
    assert found == differences + ([] if arithmetic else ["nose_conv1.jpg changed"])
    assert ("not compared: stored outputs are of another machine" in capsys.readouterr().out) == bool(arithmetic)


@pytest.mark.training
def test_a_run_begins_with_a_plan_and_ends_with_what_is_ready(project, old_site, monkeypatch, capfd):
    """No warning, a notebook's name while it runs, and no list of differences where there are none."""
    monkeypatch.setattr(run_notebooks, "data_root", lambda data: project)
    monkeypatch.setattr(progress, "SECONDS", {"1_good": 40, "2_good": 80, "3_larger_dataset": 40})
    monkeypatch.setattr(progress, "pace", lambda: 1.5 * progress.PACE)
    monkeypatch.setattr(progress, "AT_ONCE", 2)
    notebooks = [_notebook(project / f"{name}.ipynb", f"print('MSE 0.25')  # {k}", WRITES.replace("conv1", f"conv{k}"),
                           f"{FINISHES.replace('part1', f'part{k}')}\nNone")
                 for k, name in enumerate(("1_good", "2_good", "3_larger_dataset"), 1)]
    for path in notebooks:
        _with_output(path, "MSE 0.25\n", run_notebooks.arithmetic())
    (old_site / "nose_conv1.jpg").unlink()
    assert make_figures("quick", None, old_site, notebooks) == []
    said = capfd.readouterr()
    lines = said.out.splitlines()
    assert lines[:4] == ["the plan: 3 notebooks and the page that shows their figures, about 2 min on this machine",
                         "  1. 1_good, about 60 s", "  2. 2_good, about 2 min", "  3. 3_larger_dataset, about 60 s"]
    runs = [line for line in lines if " runs, " in line]
    assert {line.split(".")[0] for line in runs} == {"1_good", "2_good", "3_larger_dataset"} and said.err == ""
    assert [line[-7:] for line in runs] == [" 1 of 3", " 2 of 3", " 3 of 3"]
    for name in ("1_good", "2_good", "3_larger_dataset"):
        assert len([line for line in lines if re.fullmatch(rf"{name}.ipynb: 1 figure in \d+ s; as stored", line)]) == 1
    page = (old_site / "index.html").resolve().as_uri()
    assert lines[-2:] == ["all numbers and figures as stored", f"the page is ready: {page}"]


def test_where_no_time_is_known_the_plan_names_none(monkeypatch):
    monkeypatch.setattr(progress, "pace", lambda: pytest.fail("measured"))
    assert progress.plan(progress.expected(["1_a"], known=False)) == (
        "the plan: 1 notebook and the page that shows their figures\n  1. 1_a")


def test_the_plan_follows_the_machine_and_knows_every_notebook(monkeypatch):
    names = [path.stem for path in sorted((PROJECT / "notebooks").glob("[0-9]*.ipynb"))]
    assert list(progress.SECONDS) == names and 0 < progress.pace() < 60
    monkeypatch.setattr(progress, "pace", lambda: 3 * progress.PACE)
    assert progress.expected(names, known=True)[names[0]] == pytest.approx(3 * progress.SECONDS[names[0]])
    assert [progress.words(seconds) for seconds in (1, 44, 88, 91, 600)] == ["5 s", "45 s", "90 s", "2 min", "10 min"]


@pytest.mark.parametrize("terminal", [False, True])
def test_a_notebook_that_runs_is_told_of_in_lines_or_by_a_bar(monkeypatch, terminal):
    written = type("Stream", (io.StringIO,), {"isatty": lambda self: terminal})()
    monkeypatch.setattr(progress.sys, "stderr", written)
    monkeypatch.setattr(progress.sys, "stdout", written)
    clock = SimpleNamespace(now=0.0)                              # a machine that stands still changes nothing
    monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    with progress.Progress({"1_a": 45, "2_b": 30, "3_c": 15}, every=0.05) as told:
        told.at("1_a", 3, 12)
        told.at("2_b", 1, 10)
        time.sleep(1)
        clock.now = 1.0
        told.ended("1_a", "1_a is through")
        told.at("3_c", 1, 10)
        time.sleep(1)
    text = written.getvalue()
    assert "0 s of about 45 s, 1_a at cell 3 of 12, 2_b at cell 1 of 10" in text and ("|" in text) == terminal == ("\r" in text)
    assert "1 s of about 45 s, 2_b at cell 1 of 10, 3_c at cell 1 of 10" in text.split("1_a is through")[1]
    assert [line for line in re.split("[\r\n]", text) if " runs" in line or "through" in line] == [
        "1_a.ipynb runs, 1 of 3", "2_b.ipynb runs, 2 of 3", "1_a is through", "3_c.ipynb runs, 3 of 3"]


def test_notebooks_take_together_what_two_at_a_time_take(monkeypatch):
    monkeypatch.setattr(progress, "AT_ONCE", 2)
    assert progress.whole([10.0, 20.0, 90.0, 80.0, 40.0]) == 120 and progress.whole([10.0, 90.0]) == 90
    assert progress.whole([10.0, None]) is None


@pytest.mark.training
def test_a_kernel_that_dies_is_told_with_its_notebook(project, old_site, embedded):
    notebook = _notebook(project / "1_dies.ipynb", "import os\nos._exit(1)", FINISHES)
    with pytest.raises(RuntimeError, match=r"^1_dies.ipynb: Kernel died"):
        make_figures("smoke", str(embedded), old_site, [notebook])


@pytest.mark.training
def test_two_notebooks_run_at_a_time_and_the_failure_of_one_ends_the_other(project, old_site, embedded, monkeypatch, capfd):
    """Each waits until the other has begun; then one fails, and neither the other nor a third comes to the site."""
    monkeypatch.setattr(run_notebooks, "AT_ONCE", 2)
    meet = "import time\nfrom pathlib import Path\nhere = Path({here!r})\nPath(here, {mine!r}).touch()\n" \
           "for _ in range(2000):\n    Path(here, {other!r}).exists() or time.sleep(0.05)\n"
    begun = {k: meet.format(here=str(project), mine=f"begun{k}", other=f"begun{3 - k}") for k in (1, 2)}
    notebooks = [_notebook(project / "1_bad.ipynb", begun[1] + "1 / 0", FINISHES),
                 _notebook(project / "2_slow.ipynb", begun[2] + "time.sleep(600)\nPath(here, 'late').touch()", FINISHES),
                 _notebook(project / "3_third.ipynb", WRITES, FINISHES.replace("part1", "part3"))]
    before, start = _content(old_site), time.monotonic()
    with pytest.raises(RuntimeError, match=r"1_bad.ipynb, cell 2: .*division by zero"):
        make_figures("smoke", str(embedded), old_site, notebooks)
    assert time.monotonic() - start < 300                                # it did not wait for the one that sleeps
    assert _content(old_site) == before and {path.name for path in project.glob("begun*")} == {"begun1", "begun2"}
    assert not (project / "late").exists() and "runs, 3 of 3" not in (said := capfd.readouterr()).out and said.err == ""
    assert not [process for process in psutil.Process().children() if "ipykernel_launcher" in process.cmdline()]


def test_what_comes_next_says_how_the_demo_gets_what_it_lacks(tmp_path, monkeypatch):
    def no_network(folder):
        raise DatasetError("a cannot be had: no network")
    monkeypatch.setattr(demo, "vendor", lambda folder: None)
    monkeypatch.setattr(demo, "from_disk", lambda site: None)
    assert "`make serve` shows the page with its demo" in run_notebooks.what_next(tmp_path)
    monkeypatch.setattr(demo, "vendor", no_network)
    said = run_notebooks.what_next(tmp_path)
    assert "`make site` first, two minutes and a network (a cannot be had: no network)" in said and "course lab" in said


@pytest.mark.training
def test_stored_outputs_are_those_of_the_run(project, old_site, monkeypatch):
    monkeypatch.setattr(run_notebooks, "data_root", lambda data: project)
    notebook = _notebook(project / "1_good.ipynb", "print('MSE 0.25')", WRITES, FINISHES)
    make_figures("quick", None, old_site, [notebook], store=True)
    assert nbformat.read(notebook, 4).cells[1].outputs[0].text == "MSE 0.25\n"
    assert make_figures("quick", None, old_site, [notebook]) == []


@pytest.mark.training
def test_notebook_that_never_finishes_its_report_is_named(tmp_path):
    with pytest.raises(RuntimeError, match=r"report\.finish"):
        run_notebook(_notebook(tmp_path / "1_short.ipynb", WRITES), tmp_path / "work", {}, lambda cell, cells: None)


def test_a_figure_of_photos_is_an_svg_without_white_whose_pictures_have_the_pixels_of_good_screens(tmp_path):
    """An inch by an inch of photo has 165 pixels by 165, what lets the page through does so, titles follow the scheme."""
    fig, (left, right) = subplots(4, 2, 1, 2)
    left.set_position([0, 0, 0.25, 0.5])                                  # of 4 by 2 inches: one by one
    right.set_position([0.5, 0, 0.5, 1])
    fig.set_layout_engine("none")
    show_face(left, np.tile(np.arange(40, dtype=np.uint8) * 6, (40, 1)), title="3.4 %")
    right.imshow(np.ones((4, 4)), alpha=np.full((4, 4), 0.5))
    Report(1, tmp_path, "smoke", EMBEDDED).figure("pair", fig, "two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pair.jpg", "pair.svg"]
    text = (tmp_path / "pair.svg").read_text()
    assert not re.search(r"data:image/png|fill: (#ffffff|var\(--paper\))", text) and text.count(">3.4 %</text>") == 1
    pictures = [Image.open(io.BytesIO(base64.b64decode(code))) for code in re.findall(r"data:image/webp;base64,([^\"]+)", text)]
    assert {picture.mode for picture in pictures} == {"RGB", "RGBA"}
    assert pictures[0].size == pytest.approx((165, 165), abs=2)
    see_through = next(picture for picture in pictures if picture.mode == "RGBA")
    assert see_through.getextrema()[3] == pytest.approx((127, 127), abs=2)


def test_publish_writes_nothing_but_figures_and_record(tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    Image.new("RGB", (4, 4)).save(made / "a.jpg")
    (made / "part1.json").write_text("{}")
    (made / "notes.txt").write_text("no")
    assert publish(made, tmp_path / "site") == (1, [])
    assert publish(made, tmp_path / "site") == (1, [])
    Image.new("RGB", (4, 4), "red").save(made / "a.jpg")
    assert publish(made, tmp_path / "site") == (1, ["a.jpg changed"])
    assert sorted(_content(tmp_path / "site")) == ["a.jpg", "part1.json"]


@pytest.mark.training
def test_wrong_profile_is_a_usage_error():
    command = [sys.executable, "-m", "fkp_utils.website.run_notebooks", "--profile", "huge"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 2 and "quick" in done.stderr


def test_table_puts_numbers_side_by_side_and_marks_the_best():
    embedded = {"rows": [{"net": "mean", "nme": 20.0, "mae": 8.0},
                         {"net": "write-up", "nme": 10.0, "mae": 3.0, "epochs": 6.0, "last": 1.254}]}
    real = {"rows": [{"net": "mean", "nme": 15.0}, {"net": "improved", "nme": 4.5, "epochs": 30.0}]}
    made = table(embedded, real)
    assert made["groups"] == [("Real photos", ["NME, %", "change", "epochs"]),
                              ("Embedded faces", ["NME, %", "MAE, px", "change", "epochs", "last / best"])]
    texts = {row["net"]: [text for text, _ in row["cells"]] for row in made["rows"]}
    assert texts == {"mean": ["15.00", "", "", "20.00", "8.00", "", "", ""],
                     "write-up": ["", "", "", "10.00", "3.00", "\u221250 %", "6", "1.25"],
                     "improved": ["4.50", "\u221270 %", "30", "", "", "", "", ""]}
    assert [(row["net"], text) for row in made["rows"] for text, best in row["cells"] if best] == [
        ("write-up", "10.00"), ("write-up", "3.00"), ("improved", "4.50")]


def test_the_overview_is_in_percent_of_the_mean_shape():
    rows = [{"net": name, "nme": nme} for name, nme in (("Mean face", 40.0), ("Net, write-up", 20.0), ("Net, improved", 8.0))]
    found = relative_errors({2: {"rows": rows}, 3: {"rows": rows[:1]}})
    assert found == {"2 58 landmarks": {"write-up": 50.0, "improved": 20.0}}


def test_commands_are_those_of_the_nets_that_have_one():
    rows = [{"net": "a", "command": "train a"}, {"net": "b", "command": ""}, {"net": "c"}]
    assert commands({"rows": rows}) == [("a", "train a"), ("c", "make figures PROFILE=full DATA=DATA")] and commands(None) == []


def test_a_claim_is_of_real_photos_where_they_were_measured():
    def rows(*numbers):
        names = ("Mean face", "Net, write-up", "Net, improved")
        return {"rows": [{"net": name, "nme": nme} for name, nme in zip(names, numbers) if nme]}
    made = claim(rows(28, 26, 11), rows(40, 20, 7.44))
    assert made["faces"] == "real photos" and made["what"].startswith("Mean distance in percent")
    assert made["bars"] == [{"kind": "mean", "name": "mean shape", "text": "40.0 %", "percent": 100},
                            {"kind": "writeup", "name": "write-up's recipe", "text": "20.0 %", "percent": 50},
                            {"kind": "improved", "name": "improved", "text": "7.4 %", "percent": 18.6}]
    assert claim(rows(28, 26, 11), None)["faces"] == "embedded faces" and claim(rows(28, 26, 0), rows(40, 0, 0)) == {}
    shipped = {"rows": [{"net": "Mean shape", "nme": 10.0}, {"net": "Weights that come with the project", "nme": 3.0}]}
    assert [bar["name"] for bar in claim(None, shipped)["bars"]] == ["mean shape", "net that comes with the course"]
    assert [kind_of(net) for net in ("Mean face", "NoseNet, 1e-4 (write-up)", "NoseNet, improved", "NoseNet, 1e-5")] == [
        "mean", "writeup", "improved", ""]


def test_a_strips_pictures_are_found_between_its_white_margins(tmp_path):
    strip = np.full((60, 220), 255, np.uint8)
    strip[10:50, 20:100] = strip[10:50, 120:200] = 80
    Image.fromarray(strip).save(tmp_path / "strip.png")
    assert panels(tmp_path / "strip.png") == [{"ratio": "80/40", "width": 275.0, "left": -25.0, "top": -25.0},
                                              {"ratio": "80/40", "width": 275.0, "left": -150.0, "top": -25.0}]
    Image.fromarray(strip[10:50, 20:100]).save(tmp_path / "one.png")
    assert panels(tmp_path / "one.png") == [{"ratio": "80/40", "width": 100.0, "left": 0.0, "top": 0.0}]


def test_cells_know_their_columns_and_figures_their_numbers():
    cells = labelled([("Embedded faces", ["NME, %", "epochs"]), ("Real photos", ["NME, %"])],
                     [("9.00", False), ("6", False), ("4.50", True)])
    assert [(c["faces"], c["label"], c["first"]) for c in cells] == [
        ("embedded", "Embedded faces: NME, %", True), ("embedded", "epochs", False), ("real", "Real photos: NME, %", True)]
    number = numbering()
    assert [number(1), number(1), number(2), number(1)] == ["1.1", "1.2", "2.1", "1.3"]


def test_the_joined_heatmaps_say_how_long_their_net_was_trained():
    rows = {row["net"]: row for row in read_report(PROJECT / "website" / "results" / "part4.json")["rows"]}
    page = (PROJECT / "website" / "index.html").read_text(encoding="utf-8")
    assert f"by this part's U-Net after {rows['Part 4, improved']['epochs']:.0f} epochs on" in page


def test_the_explorers_numbers_are_the_nets():
    """A net that puts every landmark where it is, but number 5 of the second face, 8 px too far to the right."""
    class Large:
        images = np.zeros((3, 20, 20), np.uint8)

    faces = ToyFaces(3, size=(48, 48))
    faces.convention, faces.landmarks = IBUG_68, np.random.default_rng(0).uniform(5, 40, (3, 68, 2)).astype(np.float32)
    found = faces.landmarks.copy()
    found[1, 5] += [8, 0]

    class Run:
        heatmap_target = type("Target", (), {"heatmaps": staticmethod(lambda answers: torch.eye(48).expand(3, 68, 48, 48))})()
        predict = staticmethod(lambda dataset: found)
        logits = staticmethod(lambda images: images)

    sheet, pictures, numbers = explorer(Run, faces, Large)
    assert sheet.shape == (3 * 24, 68 * 24, 3) and pictures.shape == (20, 60)
    assert (sheet[:24, :24][np.eye(24, dtype=bool)] == sheet[0, 0]).all() and sheet[0, 0].sum() > sheet[0, 5].sum()
    worst = numbers["faces"][-1]
    between = np.linalg.norm(faces.landmarks[1, 36] - faces.landmarks[1, 45])
    assert worst["errors"][5] == pytest.approx(800 / between, abs=0.06)
    assert worst["nme"] == pytest.approx(800 / 68 / between, abs=0.006)
    assert worst["found"][5][0] - worst["truth"][5][0] == pytest.approx(1000 * 8 / 48, abs=1.01)
    assert [face["nme"] for face in numbers["faces"][:2]] == [0, 0] and len(numbers["names"]) == 68


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.images, self.links, self.values, self.ids, self.drawings = [], [], [], [], set()

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.values += [value for value in values.values() if value]
        self.ids += [values["id"]] if "id" in values else []
        if tag == "img":
            self.images.append(values)
        self.drawings |= {values[k] for k in ("src", "srcset") if k in values}
        self.links += [values[k] for k in ("href", "src") if values.get(k) and tag != "meta"]


def test_committed_page_has_every_file_it_names_and_no_other():
    site = PROJECT / "website"
    page = _Page()
    page.feed((site / "index.html").read_text())
    local = {link.partition("#")[0] for link in page.links if not link.startswith(("#", "data:"))}
    assert all((site / link).exists() for link in local)
    text = (site / "index.html").read_text()
    assert all(p.name in text for p in site.glob("*.jpg"))
    assert {p.name for p in site.glob("*.svg")} == {name for name in page.drawings if name.endswith(".svg")}
    described = {i["src"] for i in page.images if len(i["alt"] or "") > 20}      # a strip is one figure in several frames
    assert all(len(i["alt"]) > 20 or i.get("class") == "second" or i["src"] in described for i in page.images)
    eager = {image["src"] for image in page.images if image.get("loading") != "lazy"}
    assert len(text.encode()) + sum((site / name).stat().st_size for name in eager) < 600_000, "what loads before scrolling"
    assert len(page.images) - len(eager) > 20 and not [value for value in page.values if '"' in value or "&#34;" in value]
    assert all(int(image["width"]) > 0 and int(image["height"]) > 0 for image in page.images)
    assert len(set(page.ids)) == len(page.ids) and {f"part{k}" for k in range(1, 6)} | {"results", "sources"} <= set(page.ids)
    numbers = re.findall(r"<b>Figure (\d\.\d+)\.", text)
    assert numbers == [f"{part}.{k}" for part in range(1, 6) for k in range(1, 1 + sum(n[0] == str(part) for n in numbers))]
    assert not re.search(r"(src|href)=\"https?:", (site / "index.html").read_text())
    assert not re.search(r"\d (%|px)(?!\w)", text), "a line may end before the unit"
    assert "<h4" not in text, "a heading that skips a level"
    assert text.index("a student's solution") < text.index("<b>write-up's</b>")
    assert text.count(", on embedded faces.</b>") >= 15              # each figure of what a part's own trainings answer
    assert "# The code\n" in (PROJECT / "README.md").read_text() and "../README.md#the-code" in page.links


def test_committed_figures_show_embedded_faces_only():
    records = [json.loads(p.read_text()) for p in (PROJECT / "website/results").glob("part*.json")]
    assert records and all(r["data"] == "embedded faces" for r in records)


def test_writeups_figures_of_parts_1_and_2_are_there():
    names = {f"![](website/{p.name})" for p in (PROJECT / "website").glob("*.jpg")}
    for name in ("Nose_truths_dataloader", "epoch_vs_training_noses", "epoch_vs_training_noses2", "best_nose_detection",
                 "worst_nose_detection", "nose_conv1", "nose_conv2", "nose_conv3", "facial_ground_truth1",
                 "facial_ground_truth2", "facial_ground_truth3", "epoch_vs_training_facial_keypoints",
                 "best_facial_keypoints_detection", "worst_facial_keypoints_detection", "face_conv1", "face_conv2",
                 "face_conv3"):
        assert f"![](website/{name}.jpg)" in names


def test_a_record_that_goes_away_while_it_is_read_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda path: True)               # it was there a moment ago
    assert read_report(tmp_path / "part1.json") is None


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "part1.json").write_text('{"part": 1')
    with pytest.raises(ValueError, match=r"part1\.json: not JSON"):
        read_report(tmp_path / "part1.json")


def test_stored_outputs_keep_what_the_notebook_says_of_its_language(tmp_path):
    """Without it `nbconvert --to script` writes .txt."""
    notebook, executed = _notebook(tmp_path / "1_a.ipynb", "print(1)"), tmp_path / "executed.ipynb"
    about = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python", "nbconvert_exporter": "python"}
    for path, language in ((notebook, about), (executed, {"name": "python"})):
        content = nbformat.read(notebook, 4)
        content.metadata["language_info"] = language
        nbformat.write(content, path)
    run_notebooks.store_outputs(executed, notebook)
    assert nbformat.read(notebook, 4).metadata["language_info"] == about


def test_the_server_shows_notebooks_as_pages_and_code_as_text_and_nothing_else_of_the_project(tmp_path):
    (tmp_path / "index.html").write_text("page")
    with serve.server(0, tmp_path) as http:
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()

        def get(path):
            try:
                with urlopen(f"http://127.0.0.1:{http.server_port}/{path}", timeout=60) as answer:
                    return answer.headers["Content-Type"], answer.read().decode(errors="replace")
            except HTTPError as error:
                return error.code, ""
        kind, page = get("notebooks/1_nose_tip.ipynb")
        assert kind.startswith("text/html") and "jp-Notebook" in page and not re.search(r'<script[^>]*src="https?:', page)
        kind, page = get("README.md")
        assert kind.startswith("text/html") and 'id="landmarks-on-your-own-photo"' in page
        assert 'id="the-code"' in page and 'id="all-the-code"' in page and 'id="fkp_utils/morph.py"' in page
        assert "\nmorph → predict\n" in page and "flowchart" not in page[:page.index("id=\"all-the-code\">")]
        links = set(re.findall(r'(?:href|src)="([^"#:<]+)["#]', page))
        assert {"website/teaser.jpg", "notebooks/teachers.md", "data/weights/README.md"} < links
        assert [link for link in links if not isinstance(get(link)[0], str)] == []
        assert get("fkp_utils/morph.py")[0].startswith("text/plain") and get("")[1] == "page"
        for hidden in ("pyproject.toml", "../README.md/../pyproject.toml", "notebooks/../../pyproject.toml",
                       "data/weights/small68.safetensors"):
            assert get(hidden)[0] == 404, hidden
        http.shutdown()


def test_formulas_of_a_page_are_mathml_and_a_dollar_of_code_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "PROJECT", tmp_path)
    (tmp_path / "text.md").write_text(
        "Of $n > 3$ faces\n\n$$\\hat x = \\sum_{y} \\frac{x}{2}$$\n\nit costs `$5 and $6`, and\n\n```\necho $HOME $PATH\n```\n")
    page = documents.as_page(tmp_path / "text.md")
    body = page[page.index("<main>"):page.index('id="all-the-code"')]
    inline, block = re.findall(r"<math.*?</math>", body, re.DOTALL)
    assert 'display="inline"' in inline and "".join(re.findall(r">([^<>]+)<", inline)) in ("n&#x0003E;3", "n&gt;3")
    assert 'display="block"' in block and block.count("<mfrac>") == 1 and "<mover" in block
    assert "$5 and $6" in body and "$HOME" in re.sub("<[^>]*>", "", body) and "$$" not in body and "$n" not in body


@pytest.mark.parametrize("part", sorted(path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb")))
def test_each_formula_of_a_notebook_is_one_of_its_page(part):
    """Counted in the Markdown by another rule: pairs of dollars outside code."""
    cells = [cell.source for cell in nbformat.read(NOTEBOOKS / f"{part}.ipynb", 4).cells if cell.cell_type == "markdown"]
    text = re.sub(r"```.*?```|`[^`\n]*`|<code>.*?</code>", "", "\n\n".join(cells), flags=re.DOTALL)
    page = documents.as_page(NOTEBOOKS / f"{part}.ipynb")
    blocks = text.count("$$") // 2
    assert page.count('display="block"') == blocks > 0
    assert page.count('display="inline"') == text.replace("$$", "").count("$") // 2 > 0


@pytest.mark.parametrize("port", ["99999", "-1", "abc"])
def test_a_port_that_is_none_is_a_wrong_argument(monkeypatch, capsys, port):
    monkeypatch.setattr(sys, "argv", ["serve", port])
    with pytest.raises(SystemExit) as ended:
        serve.main()
    assert ended.value.code == 2 and "argument PORT: " in capsys.readouterr().err


def test_a_port_that_is_taken_is_one_line(monkeypatch, capsys):
    with serve.server(0) as taken:
        monkeypatch.setattr(sys, "argv", ["serve", str(taken.server_port)])
        assert serve.main() == 1
        assert capsys.readouterr().err == f"serve: port {taken.server_port}: Address already in use; name another one\n"


def test_ctrl_c_is_how_the_server_ends(monkeypatch, capsys):
    def interrupt(self):
        raise KeyboardInterrupt
    monkeypatch.setattr(serve.ThreadingHTTPServer, "serve_forever", interrupt)
    monkeypatch.setattr(sys, "argv", ["serve", "0"])
    assert serve.main() == 0 and re.fullmatch(r"http://localhost:[1-9]\d*/ until Ctrl-C\n", capsys.readouterr().out)


def test_a_notebook_that_is_not_there_is_said_before_the_others_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run_notebooks, "make_figures", lambda *arguments: pytest.fail("ran"))
    monkeypatch.setattr(sys, "argv", ["figures", str(_notebook(tmp_path / "1_a.ipynb")), str(tmp_path / "2_b.ipynb")])
    with pytest.raises(SystemExit) as ended:
        run_notebooks.main()
    assert ended.value.code == 2 and "2_b.ipynb" in capsys.readouterr().err


def test_page_renders_without_any_record(tmp_path):
    assert "Facial keypoint detection" in render(tmp_path).read_text()


def test_the_site_is_small():
    """Figures of photos are there twice: JPEG, by the write-up's names, and SVG, which follows the reader's scheme."""
    files = [p for p in (PROJECT / "website").rglob("*") if p.is_file() and not {"vendor", "pages"} & {*p.parts}]
    assert sum(p.stat().st_size for p in files) < 15_000_000
