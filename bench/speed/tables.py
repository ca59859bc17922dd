"""Where the benches put their numbers: a file each in bench/speed/results/, all of them as tables in bench/README.md."""

import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from fkp_utils.files import write_json, write_text

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "README.md"
START, END = "<!-- tables -->", "<!-- end of tables -->"


def machine() -> str:
    """Processor or GPU, cores and versions, in words."""
    if torch.cuda.is_available():
        processor = torch.cuda.get_device_name()
    else:
        known = Path("/proc/cpuinfo")
        names = [line.split(":")[1].strip() for line in known.read_text().splitlines() if line.startswith("model name")] \
            if known.exists() else []
        processor = f"{torch.get_num_threads()} cores of {names[0] if names else platform.processor()}"
    return f"{processor}; Python {platform.python_version()}, PyTorch {torch.__version__}"


def side_by_side(ways: dict[str, Callable[[], object]], rounds: int = 3) -> dict[str, float]:
    """Median seconds of each way; all take turns, after one round to warm up, so that all see the same machine."""
    times = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def publish(name: str, title: str, rows: list[dict], note: str = "") -> None:
    """Print a bench's table, keep it, and put all tables into bench/README.md."""
    write_json(HERE / "results" / f"{name}.json", {"title": title, "machine": machine(), "note": note, "rows": rows})
    text = PAGE.read_text()
    tables = "\n".join(_markdown(path) for path in sorted((HERE / "results").glob("*.json")))
    write_text(PAGE, text[:text.index(START)] + START + "\n" + tables + text[text.index(END):])
    print(_markdown(HERE / "results" / f"{name}.json"))


def _markdown(path: Path) -> str:
    table = json.loads(path.read_text())
    columns, script = list(table["rows"][0]), path.stem.split("_")[0]
    lines = [f"\n## {table['title']}\n", f"`python bench/speed/{script}.py` on {table['machine']}.",
             *filter(None, [table["note"]]), ""]
    cells = [columns, ["---"] * len(columns), *([str(row.get(column, "")) for column in columns] for row in table["rows"])]
    lines += [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([*lines, ""])
