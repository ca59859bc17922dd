"""Renders website/index.html from its template, the notebooks' records and the measured results.

    python -m fkp_utils.website.page [website]
"""

import sys
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from ..files import write_text
from ..plotting import DPI
from .report import MEASURED, read_report

PROJECT = Path(__file__).resolve().parents[2]
PARTS = range(1, 6)
TITLES = {1: "Part 1: nose tip", 2: "Part 2: 58 landmarks", 3: "Part 3: ResNet-18, 68 landmarks",
          4: "Part 4: heatmaps, 68 landmarks", 5: "Part 5: the competition"}
_SHORT = {"nme": "{:.2f} %", "mae": "{:.2f} px", "pixels": "{:.1f} px", "mse": "{:.6f}"}
_COLUMNS = {"epochs": ("Epochs", "{:.0f}"), "mse": ("MSE of coordinates", "{:.6f}"),
            "pixels": ("Error, px of 640x480", "{:.1f}"), "nme": ("NME, %", "{:.2f}"),
            "mae": ("MAE, px", "{:.2f}")}


def table(rows: list[dict]) -> dict:
    """Rows of numbers as a table of strings: {"head": [...], "body": [[...], ...]}; columns nobody fills are left out."""
    used = [key for key in _COLUMNS if any(key in row for row in rows)]
    body = [[row["net"], *(_COLUMNS[key][1].format(row[key]) if key in row else "" for key in used)] for row in rows]
    return {"head": ["Net and recipe", *(_COLUMNS[key][0] for key in used)], "body": body}


def _empty_row(net: str) -> dict:
    return {"net": net, "embedded": "", "real": "", "epochs": "", "command": ""}


def _short(row: dict) -> str:
    """A row's most telling numbers: NME and MAE, or what Part 1 has."""
    for keys in (("nme", "mae"), ("pixels",), ("mse",)):
        if known := [_SHORT[key].format(row[key]) for key in keys if key in row]:
            return ", ".join(known)
    return ""


def overview(reports: dict[int, dict], measured: dict[int, dict]) -> list[tuple[int, str, list[dict]]]:
    """(part, title, rows) of the page's first table: a row a net, its errors on embedded and on real faces side by side."""
    parts = []
    for part, title in TITLES.items():
        rows: dict[str, dict] = {}
        for kind, report in (("embedded", reports.get(part)), ("real", measured.get(part))):
            for row in report["rows"] if report else ():
                cells = rows.setdefault(row["net"], _empty_row(row["net"]))
                cells[kind] = _short(row)
                if kind == "real":
                    epochs = f"{row['epochs']:.0f}" if "epochs" in row else ""
                    cells |= {"epochs": epochs, "command": row.get("command", "make figures PROFILE=full DATA=DATA")}
        if part == 5:
            rows["write-up"] = _empty_row("The write-up's own report") | {"real": "20.77 px", "epochs": "16"}
        parts.append((part, title, list(rows.values())))
    return [row for row in parts if row[2]]


def figure_sizes(site: Path) -> dict[str, tuple[int, int]]:
    """Width and height in CSS pixels of each figure of a site, by name, so that the page does not jump while they load."""
    sizes = {}
    for path in site.glob("*.jpg"):
        with Image.open(path) as image:
            sharpness = image.info.get("dpi", (DPI, DPI))[0] / DPI
            sizes[path.stem] = (round(image.width / sharpness), round(image.height / sharpness))
    return sizes


def render(site: Path) -> Path:
    """Write index.html into `site` from the records there and those in data/measured; return its path."""
    reports = {part: report for part in PARTS if (report := read_report(site / "results" / f"part{part}.json"))}
    measured = {part: report for part in PARTS if (report := read_report(MEASURED / f"part{part}.json"))}
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals["table"] = table
    page = environment.get_template("index.html.j2").render(reports=reports, measured=measured, sizes=figure_sizes(site),
                                                            overview=overview(reports, measured))
    write_text(site / "index.html", page)
    return site / "index.html"


if __name__ == "__main__":
    print(render(Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "website"))
