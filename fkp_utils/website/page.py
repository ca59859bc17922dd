"""Renders website/index.html from its template, the notebooks' records and the measured results.

    python -m fkp_utils.website.page [website]
"""

import re
import sys
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from .. import command, palette
from ..files import write_text
from ..folders import MEASURED, PACKAGE, WEBSITE
from ..plotting import DPI, recipes_compared
from .report import read_report
from .svg import inline, themed

PARTS = {1: "nose tip", 2: "58 landmarks", 3: "ResNet-18", 4: "heatmaps", 5: "competition"}
_COLUMNS = {"mse": ("MSE", "{:.6f}"), "pixels": ("px of 640x480", "{:.1f}"), "nme": ("NME, %", "{:.2f}"),
            "mae": ("MAE, px", "{:.2f}")}
_VIEW = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_MAIN = ("nme", "pixels", "mae")         # of these, the first that a table has is the one that counts


def _main(rows: list[dict]) -> str:
    return next((key for key in _MAIN if any(key in row for row in rows)), "mse")


def table(embedded: dict | None, real: dict | None) -> dict:
    """A part's numbers, a row a net: {"groups": [(faces, column heads)], "rows": [{"net", "cells": [(text, is best)]}]}.

    Embedded faces and real photos side by side; last in each group, by how much the number that counts (`_MAIN`) is smaller
    than the first row's, which looks at no picture.
    """
    names = list(dict.fromkeys(row["net"] for report in (embedded, real) if report for row in report["rows"]))
    rows = {name: {"net": name, "cells": []} for name in names}
    groups = []
    for faces, report in (("Embedded faces", embedded), ("Real photos", real)):
        if not report:
            continue
        by_name = {row["net"]: row for row in report["rows"]}
        used = [key for key in _COLUMNS if any(key in row for row in report["rows"])]
        main, yardstick = _main(report["rows"]), report["rows"][0]
        best = {key: min(row[key] for row in report["rows"] if key in row) for key in used}
        groups.append((faces, [_COLUMNS[key][0] for key in used] + ["change", "epochs"]))
        for name, row in rows.items():
            numbers = by_name.get(name, {})
            row["cells"] += [(_COLUMNS[key][1].format(numbers[key]), numbers[key] == best[key]) if key in numbers
                             else ("", False) for key in used]
            change = 100 * (numbers[main] / yardstick[main] - 1) if main in numbers and main in yardstick else 0
            row["cells"] += [(f"{change:+.0f} %".replace("-", "\u2212") if change else "", False),
                             (f"{numbers['epochs']:.0f}" if "epochs" in numbers else "", False)]
    return {"groups": groups, "rows": list(rows.values())}


def commands(real: dict | None) -> list[tuple[str, str]]:
    """(net, command) of each number measured on real photos; without one of its own, a net comes from `make figures`."""
    rows = real["rows"] if real else []
    pairs = [(row["net"], row.get("command", "make figures PROFILE=full DATA=DATA")) for row in rows]
    return [(net, command) for net, command in pairs if command]


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


def headline(measured: dict[int, dict]) -> dict[str, float]:
    """NME on real photos of the mean shape, of the write-up's ResNet-18 as repeated here, and of the net that ships, twice."""
    rows = {row["net"]: row["nme"] for part in (3, 5) if part in measured for row in measured[part]["rows"] if "nme" in row}
    wanted = {"mean": "Mean shape in the box", "writeup": "Part 3, write-up", "shipped": "Weights that come with the project",
              "beside": "The same, on the side of 300-W's labels"}
    return {key: rows[name] for key, name in wanted.items()} if set(wanted.values()) <= rows.keys() else {}


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


def render(site: Path) -> Path:
    """Write index.html into `site` from the records there and those in data/measured; return its path."""
    reports = {part: report for part in PARTS if (report := read_report(site / "results" / f"part{part}.json"))}
    measured = {part: report for part in PARTS if (report := read_report(MEASURED / f"part{part}.json"))}
    overview = {faces: relative for faces, of in (("embedded faces, quick", reports), ("real photos, full length", measured))
                if (relative := relative_errors(of))}
    results = inline(themed(recipes_compared(overview), "results")) if len(overview) == 2 else ""
    environment = Environment(loader=FileSystemLoader(PACKAGE / "website" / "templates"), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals |= {"table": table, "commands": commands}
    numbers = ",".join(f"{name}:{line}" for report in reports.values() for name, line in report.get("numbers", {}).items())
    page = environment.get_template("index.html.j2").render(
        reports=reports, measured=measured, sizes=figure_sizes(site), results_chart=results,
        charts={path.stem for path in site.glob("*.svg")}, palette=palette,
        headline=headline(measured), first=next(iter(reports.values()), None),
        numbers=f"{{{numbers}}}")
    write_text(site / "index.html", page)
    return site / "index.html"


def main() -> int:
    """Command line; 0 when the page is written."""
    parser = command.parser("website.page", "Renders the page from the records of the notebooks.", "", "build/website")
    parser.add_argument("site", nargs="?", metavar="FOLDER", type=Path, default=WEBSITE, help="the site (default: website/)")
    site = parser.parse_args().site
    return command.run("page", lambda: print(render(site)))


if __name__ == "__main__":
    sys.exit(main())
