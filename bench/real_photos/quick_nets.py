"""How the nets that `make figures` trains, on generated faces, read real people.

    python bench/real_photos/quick_nets.py FOLDER_WITH_REAL_DATA

Trains the nets of Parts 3 to 5 as `make figures` does, which keeps none of them: with half as many threads as processors.
Scores them on the 221 validation photos, and writes bench/real_photos/quick_nets.md. What is finished is taken from
build/checkpoints. Fifteen minutes on two cores.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from embedded_to_real import REGIONS
from finder import table

from fkp_utils.datasets import IBugFaces
from fkp_utils.files import write_text
from fkp_utils.folders import BUILD, EMBEDDED
from fkp_utils.metrics import mean_shape, nme, region_errors
from fkp_utils.nets.trained import new_model
from fkp_utils.profiles import recipe
from fkp_utils.training.loop import fit
from fkp_utils.website.progress import THREADS

RESULTS = Path(__file__).with_suffix(".md")
ABOUT = """# The nets of `make figures` on real people

Made by `python bench/real_photos/quick_nets.py DATA`: nets trained by the profile `quick` on the embedded faces alone, each at
the epoch that was best on its embedded validation faces. NME in percent, one look, on these and on the 221 real validation
photos; median and regions are of the real ones. One seed.

{rows}

All three nets learn from the same 540 faces, for a few minutes. What longer trainings on more such faces come to is in
[embedded_to_real.md](embedded_to_real.md).
"""
NETS = ("resnet_improved", "unet_improved", "pyramid")


def row(name: str, found: np.ndarray, unseen: np.ndarray, val: IBugFaces, real: IBugFaces) -> list[str]:
    """A row of the table: landmarks found on embedded (N, 68, 2) and real faces (M, 68, 2), in pixels of their crops."""
    errors = [nme(points, faces.landmarks, faces.convention) for points, faces in ((found, val), (unseen, real))]
    regions = region_errors(unseen, real.landmarks, real.convention)
    return [name, *(f"{each.mean():.2f}" for each in errors), f"{np.median(errors[1]):.2f}",
            *(f"{regions[region]:.1f}" for region in REGIONS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    options = parser.parse_args()
    rows = []
    torch.set_num_threads(THREADS)
    for name in NETS:
        chosen = recipe("quick", name)
        train, val = (IBugFaces(EMBEDDED, split, crop=chosen.crop) for split in ("train", "val"))
        real = IBugFaces(options.real, "val", crop=chosen.crop)
        if not rows:
            shape = mean_shape(train.landmarks)[None]
            rows.append(row("Mean shape in the box", *(shape.repeat(len(faces), 0) for faces in (val, real)), val, real))
        run = fit(new_model(chosen), train, val, chosen, BUILD / "checkpoints")
        rows.append(row(chosen.title, run.predict(val), run.predict(real), val, real))
    write_text(RESULTS, ABOUT.format(rows=table(["net", "embedded", "real photos", "median", *REGIONS], rows)))
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
