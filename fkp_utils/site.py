"""Renders website/index.html from its template, the notebooks' records and the measured results.

    python -m fkp_utils.site [website]
"""

import sys
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .files import write_text
from .report import read_report

PROJECT = Path(__file__).resolve().parents[1]
PARTS = range(1, 6)
_COLUMNS = {"epochs": ("Epochs", "{:.0f}"), "mse": ("MSE of coordinates", "{:.6f}"),
            "pixels": ("Error, px of 640x480", "{:.1f}"), "nme": ("NME, %", "{:.2f}"),
            "mae": ("MAE, px", "{:.2f}"), "minutes": ("Minutes", "{:.1f}")}


def table(rows: list[dict]) -> dict:
    """Rows of numbers as a table of strings: {"head": [...], "body": [[...], ...]}; columns nobody fills are left out."""
    used = [key for key in _COLUMNS if any(key in row for row in rows)]
    body = [[row["net"], *(_COLUMNS[key][1].format(row[key]) if key in row else "" for key in used)] for row in rows]
    return {"head": ["Net and recipe", *(_COLUMNS[key][0] for key in used)], "body": body}


def render(site: Path) -> Path:
    """Write index.html into `site` from the records there and those in data/measured; return its path."""
    reports = {part: report for part in PARTS if (report := read_report(site / "results" / f"part{part}.json"))}
    measured = {part: report for part in PARTS if (report := read_report(PROJECT / "data/measured" / f"part{part}.json"))}
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals["table"] = table
    page = environment.get_template("index.html.j2").render(reports=reports, measured=measured)
    write_text(site / "index.html", page)
    return site / "index.html"


if __name__ == "__main__":
    print(render(Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "website"))
