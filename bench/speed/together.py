"""Several trainings, or several readings of photos, at once on one machine: how much longer each takes than one alone.

    python bench/speed/together.py

Each process loads its data, waits for the others and starts with them. With `threads.py` deciding how many threads each
takes, with as many threads as there are processors in each (`OMP_NUM_THREADS`), and with half of them, as `make figures` runs
two notebooks at a time. Minutes; needs an idle machine.
"""

import argparse
import os
import subprocess
import sys
import time
from dataclasses import replace

from tables import publish

CODE_READY, COUNTS, PATIENCE = "ready", (1, 2, 4), 150                   # processes at once; seconds before giving up


def job(what: str) -> None:
    """Say that everything is ready, wait for a line, do the work, say how long it took."""
    from fkp_utils import predict
    from fkp_utils.datasets import EMBEDDED
    from fkp_utils.datasets.personal import free_portraits
    from fkp_utils.nets.trained import new_model
    from fkp_utils.profiles import recipe
    from fkp_utils.train import faces_for
    from fkp_utils.training.loop import fit
    chosen = replace(recipe("quick", "resnet_improved"), width=64, epochs=2, limit=200)
    train, val = faces_for(chosen, EMBEDDED)
    model, photo = new_model(chosen), free_portraits()["Eileen Collins"]
    predict.landmarks(photo, [[170, 70, 100, 100]])

    def read():
        for _ in range(20):
            predict.landmarks(photo, [[170, 70, 100, 100]])
    print(CODE_READY, flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    read() if what == "reading" else fit(model, train, val.first(20), chosen, progress=False)
    print(time.perf_counter() - start, flush=True)


def together(what: str, count: int, environment: dict) -> float | None:
    """Seconds of the slowest of so many processes that do the same at once; None when they take longer than `PATIENCE`."""
    processes = [subprocess.Popen([sys.executable, __file__, "--job", what], env={**os.environ, **environment}, text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(count)]
    for process in processes:
        while CODE_READY not in process.stdout.readline():
            pass
    time.sleep(1)
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    try:
        return max(float(process.communicate(timeout=PATIENCE)[0]) for process in processes)
    except subprocess.TimeoutExpired:
        return None
    finally:
        for process in processes:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        return job(options.job)
    cores, half = str(os.cpu_count()), str(max(1, os.cpu_count() // 2))
    ways = {"decided by threads.py": {}, f"{cores} threads each": {"OMP_NUM_THREADS": cores},
            f"{half} each": {"OMP_NUM_THREADS": half}}
    rows = []
    for what in ("training", "reading"):
        alone = min(filter(None, (together(what, 1, ways[f"{cores} threads each"]) for _ in range(2))))
        for way, environment in ways.items():
            for count in COUNTS:
                took = together(what, count, environment)
                rows.append({"work": "200 faces, 2 epochs" if what == "training" else "20 photos", "threads": way,
                             "at once": count, "s": f"{took:.1f}" if took else f"over {PATIENCE}",
                             f"times one alone with {cores} threads": f"{took / alone:.2f}" if took else ""})
                print(rows[-1], flush=True)
    publish("together", "Several processes at once", rows)


if __name__ == "__main__":
    main()
