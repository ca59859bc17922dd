"""What it gains to keep freed memory (`fkp_utils/memory.py`): training steps with the C library's defaults and without.

    python bench/memory.py

Each in processes of its own, which take turns. About two minutes on 2 cores.
"""

import resource
import statistics
import subprocess
import sys

from step import stepper
from tables import publish, side_by_side

from fkp_utils.memory import keep_freed_memory
from fkp_utils.profiles import recipe

STEPS = {"face": (1, 58), "resnet": (128, 68), "unet": (16, 68), "pyramid": (16, 68)}


def main() -> None:
    if len(sys.argv) > 1:
        name, kept = sys.argv[1:]
        if kept == "kept":
            keep_freed_memory()
        seconds = side_by_side({name: stepper(recipe("full", name), False, *STEPS[name])}, 3)[name]
        print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    rows = []
    for name, (batch, _) in STEPS.items():
        found = {"default": [], "kept": []}
        for way in ("default", "kept") * 2:
            done = subprocess.run([sys.executable, __file__, name, way], check=True, capture_output=True, text=True)
            found[way].append([float(number) for number in done.stdout.split()])
        (default, before), (kept, after) = (map(statistics.median, zip(*found[way])) for way in ("default", "kept"))
        rows.append({"recipe": recipe("full", name).title, "batch": batch, "default, s a step": round(default, 3),
                     "kept, s a step": round(kept, 3), "times as fast": f"{default / kept:.2f}",
                     "default, MB": round(before), "kept, MB": round(after)})
    publish("memory", "Steps that keep freed memory", rows)


if __name__ == "__main__":
    main()
