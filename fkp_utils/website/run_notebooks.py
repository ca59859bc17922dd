"""Runs the notebooks with papermill and puts their figures on the website.

    python -m fkp_utils.website.run_notebooks [--profile quick|full] [--data FOLDER] [--site FOLDER] [NOTEBOOK...]

It says first what it will do and about how long that takes here. Two notebooks run at a time, with half of the processors each:
while one imports, draws or takes steps too small for threads, the other computes. A notebook writes into a folder of its own,
and its figures move to the site only once it has run to the end. A failure ends both, and names the notebook, and its cell.

What the notebooks print is compared with the outputs stored in them, where these were made with the same profile, the
embedded faces and the same arithmetic: then every number must be the same.
"""

import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from pathlib import Path

import nbformat
import papermill
import psutil
import torch
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from .. import command
from ..datasets import data_root
from ..errors import DatasetError
from ..files import locked, replacing, write_text
from ..folders import BUILD, NOTEBOOKS, WEBSITE
from ..nets.trained import default_device, has_bf16
from ..processors import kind, usable
from ..profiles import PROFILES
from . import hero
from .documents import pages
from .page import render
from .progress import AT_ONCE, SECONDS, THREADS, Progress, expected, plan

STORED_PROFILE = "quick"             # of the outputs that the notebooks keep


class _Engine(NBClientEngine):
    """Papermill's, which says when a cell begins."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, at=None, **how):
        """As papermill calls it, with what is called with a cell's number, from 1, and how many there are."""
        start = nb_man.cell_start

        def told(cell, cell_index=None, **more):
            at(cell_index + 1, len(nb_man.nb.cells))
            return start(cell, cell_index, **more)
        nb_man.cell_start = told
        return super().execute_managed_notebook(nb_man, kernel_name, **how)


papermill_engines.register("told", _Engine)
for name in ("papermill", "traitlets"):                # of what they call an error they raise one, too
    logging.getLogger(name).setLevel(logging.CRITICAL)


def run_notebook(notebook: Path, work: Path, parameters: dict, at: Callable[[int, int], None]) -> tuple[Path, float]:
    """Execute one notebook; return the folder with what it made, and the seconds that took.

    `at` is called with each cell's number, from 1, and how many there are. RuntimeError names notebook, failing cell, error.
    """
    start, out = time.perf_counter(), work / notebook.stem
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    try:
        papermill.execute_notebook(notebook.absolute(), work / notebook.name, {**parameters, "OUT": str(out)},
                                   kernel_name="python3", progress_bar=False, coalesce_streams=True, engine_name="told", at=at,
                                   extra_arguments=["--IPKernelApp.log_level=50"])
    except PapermillExecutionError as error:
        # Papermill adds one cell, the injected parameters, before the one that failed.
        raise RuntimeError(f"{notebook.name}, cell {error.cell_index}: {error.ename}: {error.evalue}\n"
                           f"(the executed notebook is {work / notebook.name})") from None
    except RuntimeError as error:
        raise RuntimeError(f"{notebook.name}: {error}") from None
    if not list(out.glob("part*.json")):
        raise RuntimeError(f"{notebook.name}: ended without report.finish()")
    return out, time.perf_counter() - start


def _end(runs: Collection[Future]) -> None:
    """End notebooks: each hears that its kernel died. A second Ctrl-C changes nothing."""
    while not all(run.done() for run in runs):
        with suppress(psutil.Error, KeyboardInterrupt):
            time.sleep(0.1)
            for process in psutil.Process().children():
                if "ipykernel_launcher" in process.cmdline():
                    process.kill()


def arithmetic() -> str:
    """What the last digits of a training depend on besides the code: processor, number format, threads, PyTorch."""
    device = default_device()
    numbers = "bfloat16" if has_bf16(device) else "float32"
    cpu = f"{kind()}, {torch.backends.cpu.get_cpu_capability()}"
    processor = torch.cuda.get_device_name() if device.type == "cuda" else cpu
    return f"{processor}, {numbers}, {os.environ.get('OMP_NUM_THREADS', usable())} threads, PyTorch {torch.__version__}"


def _printed(cell) -> str:
    """A code cell's text outputs; figures have none that says anything, progress bars are another stream."""
    texts = [output.get("text", "") if output.output_type == "stream" and output.name == "stdout"
             else output.get("data", {}).get("text/plain", "")
             for output in cell.get("outputs", []) if output.output_type != "display_data"]
    return re.sub(r"<Figure size [^>]*>", "", "".join("".join(text) for text in texts))


def differences(executed: Path, notebook: Path) -> list[str]:
    """A line for each code cell that printed something else than what the notebook has stored."""
    found = {cell.id: _printed(cell) for cell in nbformat.read(executed, 4).cells if cell.cell_type == "code"}
    lines = []
    for number, cell in enumerate(nbformat.read(notebook, 4).cells):
        if cell.cell_type == "code" and found.get(cell.id) != (stored := _printed(cell)):
            pairs = zip(stored.splitlines() or [""], found.get(cell.id, "").splitlines() or [""])
            old, new = next(((a, b) for a, b in pairs if a != b), (stored, found.get(cell.id)))
            lines.append(f"{notebook.name}, cell {number}: prints {new!r}, stored is {old!r}")
    return lines


def compared(executed: Path, notebook: Path, changed: list[str]) -> tuple[list[str] | None, str]:
    """A line for each difference from what is stored, or None where that was made in another way; and the words for it."""
    stored = nbformat.read(notebook, 4).metadata.get("arithmetic")
    if stored != arithmetic():
        return None, f"; not compared: stored outputs are of {stored}, this is {arithmetic()}" if stored else ""
    lines = differences(executed, notebook) + changed
    return lines, f"; {command.counted(len(lines), 'difference')} from what is stored" if lines else "; as stored"


def store_outputs(executed: Path, notebook: Path) -> None:
    """Copy the outputs of an executed notebook into its source, cell by cell, and note the arithmetic; bars stay out."""
    source = nbformat.read(notebook, 4)
    source.metadata["arithmetic"] = arithmetic()
    outputs = {cell.id: cell for cell in nbformat.read(executed, 4).cells if cell.cell_type == "code"}
    for cell in source.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in outputs[cell.id].outputs if output.get("name") != "stderr"
                            and (output.output_type != "display_data" or "image/jpeg" in output.data)]
            for output in cell.outputs:                       # without its kernel a widget is a picture
                output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
            cell.execution_count = outputs[cell.id].execution_count
    write_text(notebook, nbformat.writes(source) + "\n")


def publish(made: Path, site: Path) -> tuple[int, list[str]]:
    """Move a finished notebook's files to the site, the record last; return how many figures, and the files that changed."""
    figures, changed = sorted(made.glob("*.jpg")), []
    for source in (*figures, *sorted(made.glob("*.svg")), *made.glob("part*.json")):
        target = (site / "results" if source.suffix == ".json" else site) / source.name
        if target.exists() and target.read_bytes() != source.read_bytes():
            changed.append(f"{target.name} changed")
        with replacing(target) as beside:
            shutil.copyfile(source, beside)
    return len(figures), changed


def make_figures(profile: str, data: str | None, site: Path, notebooks: list[Path], store: bool = False) -> list[str]:
    """Run notebooks, publish their figures, render the page. Raises RuntimeError at the first failure.

    With `store` the notebooks keep the outputs of this run. Returns a line for each cell that prints and each file that
    shows something else than before, where both were made in the same way and should be equal.
    """
    work = BUILD / f"{profile}-{'embedded' if not data else Path(data).resolve().name}"
    # Threads that follow what else is busy would change the last digits.
    if not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(THREADS)
        os.environ["OMP_NUM_THREADS"] = str(THREADS)
    # The kernels would say that a debugger may miss breakpoints in Python's own modules.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    unequal: dict[Path, list[str] | None] = {}              # None: not compared
    seconds = expected([notebook.stem for notebook in notebooks], profile == STORED_PROFILE and not data)
    print(plan(seconds), flush=True)
    parameters = {"PROFILE": profile, "DATA": str(data_root(data)), "CHECKPOINTS": str(work / "checkpoints")}
    left: dict[Future, Path] = {}
    with Progress(seconds) as progress, ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for notebook in sorted(notebooks, key=lambda notebook: -SECONDS.get(notebook.stem, 0)):        # the longest first
                left[pool.submit(run_notebook, notebook, work, parameters, partial(progress.at, notebook.stem))] = notebook
            while left:
                for run in wait(left, 1, FIRST_COMPLETED).done:            # without an end Windows would hear no Ctrl-C
                    (made, took), notebook = run.result(), left.pop(run)
                    count, changed = publish(made, site)
                    unequal[notebook], told = None, ""
                    if store:
                        store_outputs(work / notebook.name, notebook)
                    elif profile == STORED_PROFILE and not data:
                        unequal[notebook], told = compared(work / notebook.name, notebook, changed)
                    progress.ended(notebook.stem, f"{notebook.name}: {command.counted(count, 'figure')} in {took:.0f} s{told}")
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            _end(left)
    if not data:                                            # a face that everybody may see, read by the nets just trained
        hero.make(work / "checkpoints", profile, site)
    shutil.rmtree(work / "checkpoints", ignore_errors=True)     # next time, train again
    page = render(site).resolve()
    if all(lines == [] for lines in unequal.values()):
        print("all numbers and figures as stored")
    print(f"the page is ready: {page.as_uri()}", flush=True)
    return [line for notebook in notebooks for line in unequal[notebook] or []]


def what_next(site: Path) -> str:
    """What to open once the page is there; fetches what the browser demo lacks, or says how to get it."""
    from .demo import from_disk, vendor

    demo = "the page with its demo, in which you can try a photo of your own (a double click on website/index.html does, too)"
    try:
        vendor(site / "vendor")
        from_disk(site)
    except DatasetError as error:
        demo = f"the page; its demo needs `make site` first, two minutes and a network ({error})"
    return (f"next: `make lab` opens the notebooks, `make serve` shows {demo};\n"
            "      without make: python -m fkp_utils.course lab, python -m fkp_utils.course serve")


def main() -> int:
    """Command line; 0 when the site is ready, 1 after a failure or a difference with --check, 2 for wrong arguments."""
    parser = command.parser("website.run_notebooks", __doc__, "", "--profile smoke notebooks/1_nose_tip.ipynb",
                            "--profile full --data data")
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", type=Path, default=sorted(NOTEBOOKS.glob("[0-9]*.ipynb")),
                        help="those to run (default: all five)")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="quick", help="how long to train (default: %(default)s)")
    parser.add_argument("--data", metavar="FOLDER", help="folder with the real datasets (default: the embedded faces)")
    parser.add_argument("--site", metavar="FOLDER", type=Path,
                        help="where figures go (default: website/, or build/website for data of your own)")
    parser.add_argument("--store", action="store_true", help="keep the outputs in the notebooks (embedded faces only)")
    parser.add_argument("--check", action="store_true", help="fail when a number or a figure differs from what is stored")
    arguments = parser.parse_args()
    data = arguments.data or os.environ.get("FKP_DATA") or None
    # Figures of other people's photos stay out of the folder that is published.
    site = arguments.site or (BUILD / "website" if data else WEBSITE)
    if arguments.store and (data or arguments.profile != STORED_PROFILE):
        parser.error(f"--store is for the embedded faces and {STORED_PROFILE}: outputs in the notebooks show pictures")
    if absent := [str(path) for path in arguments.notebooks or [NOTEBOOKS] if not path.is_file()]:
        parser.error(f"no such notebook: {absent[0]}")
    if len({notebook.stem for notebook in arguments.notebooks}) < len(arguments.notebooks):
        parser.error("two notebooks have one name, and would write into one folder")

    def job() -> int:
        with locked(BUILD / "figures"):
            unequal = make_figures(arguments.profile, data, site, arguments.notebooks, arguments.store)
        print(*unequal, sep="\n", end="\n" if unequal else "")
        if site == WEBSITE:
            pages(site)
            print(what_next(site))
        return 1 if unequal and arguments.check else 0
    return command.run("figures", job, "interrupted; the same command goes on after the last whole epoch",
                       (*command.FAILURES, RuntimeError))


if __name__ == "__main__":
    sys.exit(main())
