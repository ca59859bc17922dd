"""How fast the embedded faces are generated.

    python bench/speed/embedded.py

About two minutes on 2 cores.
"""

import tempfile
import time
from pathlib import Path

from tables import publish

from fkp_utils.datasets.embedded import Settings, ensure_embedded


def main() -> None:
    rows = []
    for words, settings, count in (("studio faces, 640x480", Settings(people=30, train=1, test=2), 182),
                                   ("wild faces", Settings(people=0, train=300, test=2), 301)):
        for processes in (1, 2):
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                ensure_embedded(Path(folder) / "faces", settings, processes)
                seconds = time.perf_counter() - start
            rows.append({"pictures": words, "processes": processes, "faces a second": round(count / seconds, 1)})
    publish("embedded", "Generated faces, start of the processes included", rows)


if __name__ == "__main__":
    main()
