"""What it gains to keep freed memory (`fkp_utils/memory.py`): training steps with the C library's defaults and without.

    python bench/speed/memory.py

Each in processes of its own, which take turns. About two minutes on 2 cores.
"""

import resource
import statistics
import subprocess
import sys

from step import STEPS, repeats, stepper
from tables import publish, side_by_side

from fkp_utils.profiles import recipe
from fkp_utils.training.allocator import keep_freed_memory

RECIPES = ("face", "resnet", "unet", "pyramid")               # of the profile `full`, with their own batches


def main() -> None:
    if len(sys.argv) > 1:
        name, kept = sys.argv[1:]
        if kept == "kept":
            keep_freed_memory()
        chosen = recipe("full", name)
        seconds = side_by_side({name: stepper(chosen, False, chosen.batch, STEPS[name][1])}, 3)[name]
        print(seconds / repeats(chosen.batch), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    rows = []
    for name in RECIPES:
        chosen = recipe("full", name)
        found = {"default": [], "kept": []}
        for way in ("default", "kept") * 2:
            done = subprocess.run([sys.executable, __file__, name, way], check=True, capture_output=True, text=True)
            found[way].append([float(number) for number in done.stdout.split()])
        (default, before), (kept, after) = (map(statistics.median, zip(*found[way])) for way in ("default", "kept"))
        rows.append({"recipe": chosen.title, "batch": chosen.batch, "default, ms a step": round(1000 * default, 1),
                     "kept, ms a step": round(1000 * kept, 1), "times as fast": f"{default / kept:.2f}",
                     "default, MB": round(before), "kept, MB": round(after)})
    publish("memory", "Steps that keep freed memory", rows)


if __name__ == "__main__":
    main()
