"""Renders website/index.html from its template, the notebooks' records and the measured results.

    python -m fkp_utils.website.page [website]
"""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from .. import command, palette
from ..files import write_text
from ..folders import MEASURED, PACKAGE, WEBSITE
from ..plotting import DPI
from .documents import pages
from .hero import STAGES, dots, strokes
from .report import measured as measured_in
from .report import read_report

PARTS = {1: "nose tip", 2: "58 landmarks", 3: "ResNet-18", 4: "heatmaps", 5: "competition"}
_COLUMNS = {"mse": ("MSE", "{:.6f}"), "pixels": ("px of 640x480", "{:.1f}"), "nme": ("NME, %", "{:.2f}"),
            "mae": ("MAE, px", "{:.2f}")}
_VIEW = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_UNIT = re.compile(r"(?<=\d) (?=(?:%|px)(?!\w))")              # a line ends neither before % nor before px
_MAIN = ("nme", "pixels", "mae")         # of these, the first that a table has is the one that counts
_BARS = {"nme": ("%", "Mean distance in percent of that between the outer eye corners"),
         "pixels": ("px", "Mean distance in pixels of 640 by 480"), "mae": ("px", "Mean absolute error of x and y, in pixels")}
_SHIPPED = "Weights that come with the project"


def _main(rows: list[dict]) -> str:
    return next((key for key in _MAIN if any(key in row for row in rows)), "mse")


def table(embedded: dict | None, real: dict | None) -> dict:
    """A part's numbers, a row a net: {"groups": [(faces, column heads)], "rows": [{"net", "cells": [(text, is best)]}]}.

    Real photos and embedded faces side by side; last in each group, by how much the number that counts (`_MAIN`) is smaller
    than the first row's, which looks at no picture, and how many times the best epoch's error the last one had.
    """
    names = list(dict.fromkeys(row["net"] for report in (embedded, real) if report for row in report["rows"]))
    rows = {name: {"net": name, "cells": []} for name in names}
    groups = []
    for faces, report in (("Real photos", real), ("Embedded faces", embedded)):
        if not report:
            continue
        by_name = {row["net"]: row for row in report["rows"]}
        used = [key for key in _COLUMNS if any(key in row for row in report["rows"])]
        main, yardstick = _main(report["rows"]), report["rows"][0]
        best = {key: min(row[key] for row in report["rows"] if key in row) for key in used}
        ends = ["last / best"] * any("last" in row for row in report["rows"])
        groups.append((faces, [_COLUMNS[key][0] for key in used] + ["change", "epochs", *ends]))
        for name, row in rows.items():
            numbers = by_name.get(name, {})
            row["cells"] += [(_COLUMNS[key][1].format(numbers[key]), numbers[key] == best[key]) if key in numbers
                             else ("", False) for key in used]
            change = 100 * (numbers[main] / yardstick[main] - 1) if main in numbers and main in yardstick else 0
            row["cells"] += [(f"{change:+.0f} %".replace("-", "\u2212") if change else "", False),
                             (f"{numbers['epochs']:.0f}" if "epochs" in numbers else "", False),
                             *[(f"{numbers['last']:.2f}" if "last" in numbers else "", False) for _ in ends]]
    return {"groups": groups, "rows": list(rows.values())}


def commands(real: dict | None) -> list[tuple[str, str]]:
    """(net, command) of each number measured on real photos; without one of its own, a net comes from `make figures`."""
    rows = real["rows"] if real else []
    return [(row["net"], said) for row in rows if (said := row.get("command", "make figures PROFILE=full DATA=DATA"))]


def relative_errors(reports: dict[int, dict]) -> dict[str, dict[str, float]]:
    """{part: {"write-up": percent, "improved": percent}} of the mean shape's error, for the parts that have all three."""
    found = {}
    for part, report in reports.items():
        main = _main(report["rows"])
        numbers = {row["net"]: row[main] for row in report["rows"] if main in row}
        writeup, improved = (next((number for name, number in numbers.items() if word in name), None)
                             for word in ("write-up", "improved"))
        if part < 5 and writeup and improved:
            mean = next(iter(numbers.values()))
            found[f"{part} {PARTS[part]}"] = {"write-up": 100 * writeup / mean, "improved": 100 * improved / mean}
    return found


def kind_of(net: str) -> str:
    """Which of the page's three colours a net has: "mean", "writeup", "improved", or "" for another one."""
    if net.startswith("Mean"):
        return "mean"
    return "writeup" if "write-up" in net else "improved" if "improved" in net or net == _SHIPPED else ""


def claim(embedded: dict | None, real: dict | None) -> dict:
    """What a part's title and bars say, of real photos where they were measured: {"faces", "what", "bars"}, or {}.

    The bars, each {"kind", "name", "text", "percent"}: the row that looks at no picture, the write-up's, the improved one's,
    in percent of the largest.
    """
    for faces, report in (("real photos", real), ("embedded faces", embedded)):
        rows = report["rows"] if report else []
        main = _main(rows)
        numbers = {kind: next((row[main] for row in rows if kind_of(row["net"]) == kind and main in row), None)
                   for kind in ("mean", "writeup", "improved")}
        if main in _BARS and numbers["mean"] and numbers["improved"]:
            unit, what = _BARS[main]
            shipped = any(row["net"] == _SHIPPED for row in rows)
            names = {"mean": "mean shape", "writeup": "write-up's recipe",
                     "improved": "net that comes with the course" if shipped else "improved"}
            bars = [{"kind": kind, "name": names[kind], "text": f"{number:.1f} {unit}",
                     "percent": round(100 * number / max(filter(None, numbers.values())), 1)}
                    for kind, number in numbers.items() if number]
            return {"faces": faces, "what": what, "bars": bars}
    return {}


def labelled(groups: list[tuple[str, list[str]]], cells: list[tuple[str, bool]]) -> list[dict]:
    """A table row's cells, each with the head of its column, for screens that are too narrow for the columns."""
    heads = [(faces, head, k == 0) for faces, names in groups for k, head in enumerate(names)]
    return [{"faces": "real" if faces.startswith("Real") else "embedded", "first": first, "text": text, "best": best,
             "label": f"{faces}: {head}" if first else head} for (faces, head, first), (text, best) in zip(heads, cells)]


def numbering() -> Callable[[int], str]:
    """A function that gives a part's figures their numbers, one after the other: "2.1", "2.2"."""
    counts: defaultdict[int, Iterator[int]] = defaultdict(lambda: count(1))
    return lambda part: f"{part}.{next(counts[part])}"


def headline(measured: dict[int, dict]) -> dict[str, float]:
    """NME on real photos: mean shape, the write-up's ResNet-18 as repeated here, shipped net, twice; and how many photos."""
    rows = {row["net"]: row["nme"] for part in (3, 5) if part in measured for row in measured[part]["rows"] if "nme" in row}
    wanted = {"mean": "Mean shape in the box", "writeup": "Part 3, write-up", "shipped": _SHIPPED,
              "beside": "The same, on the side of 300-W's labels"}
    known = {key: rows[name] for key, name in wanted.items() if name in rows}
    return known | {"faces": measured_in("shipped")["faces"]} if len(known) == len(wanted) else {}


def figure_sizes(site: Path) -> dict[str, tuple[int, int]]:
    """Width and height in CSS pixels of a site's figures and drawings, by name: the page must not jump while they load."""
    sizes = {}
    for path in site.glob("*.jpg"):
        with Image.open(path) as image:
            sharpness = image.info.get("dpi", (DPI, DPI))[0] / DPI
            sizes[path.stem] = (round(image.width / sharpness), round(image.height / sharpness))
    for path in site.glob("*.svg"):
        width, height = _VIEW.search(path.read_text(encoding="utf-8")).groups()         # type: ignore[union-attr]
        sizes.setdefault(path.stem, (round(float(width) * DPI / 72), round(float(height) * DPI / 72)))
    return sizes


def panels(path: Path) -> list[dict]:
    """Where the pictures of a strip lie between white margins: {"ratio", "width", "left", "top"}, or the whole as one.

    A strip with titles is a whole: they would be cut off. As CSS shows the figure in a frame of one of them: the frame's width
    to height, and the figure's width and place in percent of the frame's sides.
    """
    with Image.open(path) as image:
        white = np.asarray(image.convert("L")) > 245

    def runs(blank: np.ndarray) -> list[tuple[int, int]]:
        edges = np.flatnonzero(np.diff(np.r_[True, blank, True]))
        return list(zip(edges[::2].tolist(), edges[1::2].tolist()))
    height, width = white.shape
    rows = runs(white.mean(1) > 0.995)
    columns = [run for run in runs(white.mean(0) > 0.9) if run[1] - run[0] > 0.3 * height]
    if len(rows) != 1 or not columns:
        rows, columns = [(0, height)], [(0, width)]
    [(top, bottom)] = rows
    return [{"ratio": f"{right - left}/{bottom - top}", "width": round(100 * width / (right - left), 2),
             "left": round(-100 * left / (right - left), 2), "top": round(-100 * top / (bottom - top), 2)}
            for left, right in columns]


def render(site: Path) -> Path:
    """Write index.html into `site` from the records there and those in data/measured; return its path."""
    reports = {part: report for part in PARTS if (report := read_report(site / "results" / f"part{part}.json"))}
    measured = {part: report for part in PARTS if (report := read_report(MEASURED / f"part{part}.json"))}
    overview = {faces: relative for faces, of in (("Real photos, full length", measured), ("Embedded faces, quick", reports))
                if (relative := relative_errors(of))}
    hero = read_report(site / "results" / "hero.json") if (site / "hero.jpg").exists() else None
    environment = Environment(loader=FileSystemLoader(PACKAGE / "website" / "templates"), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals |= {"table": table, "commands": commands, "claim": claim, "kind_of": kind_of, "labelled": labelled,
                            "strokes": strokes, "dots": dots, "number": numbering(),
                            "panels": lambda name: panels(site / f"{name}.jpg")}
    explorer = json.loads(reports.get(4, {}).get("numbers", {}).get("explorer", "{}"))
    numbers = ",".join(f"{name}:{line}" for report in reports.values() for name, line in report.get("numbers", {}).items())
    page = environment.get_template("index.html.j2").render(
        reports=reports, measured=measured, sizes=figure_sizes(site), overview=overview, hero=hero,
        stage_names=STAGES, explored=explorer.get("faces", []),
        drawings={path.stem for path in site.glob("*.svg")}, palette=palette,
        headline=headline(measured), first=next(iter(reports.values()), None), numbers=f"{{{numbers}}}")
    write_text(site / "index.html", _UNIT.sub("\u00a0", page))
    return site / "index.html"


def main() -> int:
    """Command line; 0 when the page is written."""
    parser = command.parser("website.page", "Renders the page from the records of the notebooks.", "", "build/website")
    parser.add_argument("site", nargs="?", metavar="FOLDER", type=Path, default=WEBSITE, help="the site (default: website/)")
    site = parser.parse_args().site
    return command.run("page", lambda: pages(render(site).parent))


if __name__ == "__main__":
    sys.exit(main())
