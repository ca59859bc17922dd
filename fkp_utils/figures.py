"""Runs the notebooks with papermill and puts their figures on the website.

    python -m fkp_utils.figures [--profile quick|full] [--data FOLDER] [--site FOLDER] [NOTEBOOK...]

A notebook writes into a folder of its own; its figures move to the site only once it has run to the
end. A failure leaves the site as it was and names notebook and cell.
"""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from .datasets import data_root
from .files import locked, replacing, write_text
from .profiles import PROFILES
from .site import render

PROJECT = Path(__file__).resolve().parents[1]


def run_notebook(notebook: Path, work: Path, parameters: dict) -> Path:
    """Execute one notebook; return the folder with what it made.

    Raises
    ------
    RuntimeError
        With the notebook's name, the number of the failing code or text cell and its error.
    """
    out = work / notebook.stem
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    try:
        papermill.execute_notebook(notebook, work / notebook.name, {**parameters, "OUT": str(out)}, cwd=notebook.parent,
                                   kernel_name="python3", progress_bar=sys.stderr.isatty(),
                                   extra_arguments=["--IPKernelApp.log_level=50"])
    except PapermillExecutionError as error:
        # Papermill adds one cell, the injected parameters, before the one that failed.
        raise RuntimeError(f"{notebook.name}, cell {error.cell_index}: {error.ename}: {error.evalue}\n"
                           f"(the executed notebook is {work / notebook.name})") from None
    if not list(out.glob("part*.json")):
        raise RuntimeError(f"{notebook.name}: ended without report.finish()")
    return out


def store_outputs(executed: Path, notebook: Path) -> None:
    """Copy the outputs of an executed notebook into its source, cell by cell; progress bars stay out."""
    source = nbformat.read(notebook, 4)
    outputs = {cell.id: cell for cell in nbformat.read(executed, 4).cells if cell.cell_type == "code"}
    for cell in source.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in outputs[cell.id].outputs
                            if output.output_type != "display_data" and output.get("name") != "stderr"]
            for output in cell.outputs:                       # without its kernel a widget is a picture
                output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
            cell.execution_count = outputs[cell.id].execution_count
    write_text(notebook, nbformat.writes(source) + "\n")


def publish(made: Path, site: Path) -> int:
    """Move a finished notebook's files to the site, the record last; return how many figures."""
    figures = sorted(made.glob("*.jpg"))
    for source, target in [*((f, site / f.name) for f in figures),
                           *((r, site / "results" / r.name) for r in made.glob("part*.json"))]:
        with replacing(target) as beside:
            shutil.copyfile(source, beside)
    return len(figures)


def make_figures(profile: str, data: str | None, site: Path, notebooks: list[Path], store: bool = False) -> None:
    """Run notebooks, publish their figures, render the page. Raises RuntimeError at the first failure.

    With `store` the notebooks keep the outputs of this run.
    """
    work = PROJECT / "build" / f"{profile}-{'embedded' if not data else Path(data).resolve().name}"
    parameters = {"PROFILE": profile, "DATA": str(data_root(data)), "CHECKPOINTS": str(work / "checkpoints")}
    for notebook in notebooks:
        start = time.perf_counter()
        made = run_notebook(notebook, work, parameters)
        count = publish(made, site)
        if store:
            store_outputs(work / notebook.name, notebook)
        print(f"{notebook.name}: {count} figures in {time.perf_counter() - start:.0f} s", flush=True)
    shutil.rmtree(work / "checkpoints", ignore_errors=True)     # next time, train again
    print(f"{render(site)} is ready", flush=True)


def main() -> int:
    """Command line; 0 when the site is ready, 1 after a failure, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m fkp_utils.figures", description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted((PROJECT / "notebooks").glob("[0-9]*.ipynb")))
    parser.add_argument("--profile", choices=sorted(PROFILES), default="quick")
    parser.add_argument("--data", default=None, help="folder with real data (default: the embedded faces)")
    parser.add_argument("--site", type=Path, help="default: website/, or build/website for data of your own")
    parser.add_argument("--store", action="store_true", help="keep the outputs in the notebooks (embedded faces only)")
    arguments = parser.parse_args()
    data = arguments.data or os.environ.get("FKP_DATA") or None
    # Figures of other people's photos stay out of the folder that is published.
    site = arguments.site or PROJECT / ("build/website" if data else "website")
    if arguments.store and data:
        parser.error("--store is for the embedded faces: outputs in the notebooks show pictures")
    try:
        with locked(PROJECT / "build" / "figures"):
            make_figures(arguments.profile, data, site, arguments.notebooks, arguments.store)
    except (RuntimeError, OSError) as error:
        print(f"figures: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
