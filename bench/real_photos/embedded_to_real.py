"""Synthetic-to-real transfer: a ResNet-18 trained on embedded faces, scored on real ones.

    python bench/real_photos/embedded_to_real.py FOLDER_WITH_REAL_DATA [--faces 3000] [--epochs 30]

Prints the NME on the real training photos, none of which was seen, beside that of the mean shape of
the embedded faces placed in each box, and of the real photos' own mean shape. About 15 minutes on 2 cores.
"""

import argparse
from pathlib import Path

import numpy as np

from fkp_utils.augment import Augment
from fkp_utils.datasets import Crop, IBugFaces
from fkp_utils.datasets.embedded import Settings, ensure_embedded
from fkp_utils.metrics import failure_rate, mean_nme, mean_shape, nme, region_errors
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.trained import new_model
from fkp_utils.training.loop import fit

BUILD = Path(__file__).resolve().parents[2] / "build"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("--faces", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=30)
    arguments = parser.parse_args()
    folder = ensure_embedded(BUILD / f"embedded-{arguments.faces}", Settings(people=1, train=arguments.faces, test=2, seed=1))
    augment = Augment(rotate=25, shift=0.08, scale=0.15, flip=0.5, brightness=0.25, contrast=0.5, gamma=0.8, noise=0.08,
                      blur=0.5, occlude=0.5)
    recipe = Recipe("ResNet-18 on embedded faces", "ResNet", (96, 96), arguments.epochs, 32, 1e-3, loss="smooth_l1",
                    target="centred", schedule="cosine", weight_decay=0.05, ema=0.995, augment=augment,
                    channels_last=True, bf16=True, margin=1.4, box_shift=0.1)
    train, val = IBugFaces(folder, "train", crop=recipe.crop), IBugFaces(folder, "val", crop=recipe.crop)
    run = fit(new_model(recipe), train, val, recipe, BUILD / "checkpoints")
    real = IBugFaces(arguments.real, "all", crop=Crop(1.4, 0.1, 96))
    found = run.predict(real)
    print(f"{len(train)} embedded faces, {arguments.epochs} epochs; {len(real)} real photos")
    for name, faces in (("embedded", train), ("real", real)):
        guess = np.repeat(mean_shape(faces.landmarks)[None], len(real), 0)
        print(f"mean shape of the {name} faces: NME {mean_nme(guess, real.landmarks, real.convention):.2f} %")
    errors = nme(found, real.landmarks, real.convention)
    print(f"ResNet-18: NME {errors.mean():.2f} % (median {np.median(errors):.2f}), "
          f"above 10 %: {100 * failure_rate(errors):.1f} %")
    print({region: round(error, 2) for region, error in region_errors(found, real.landmarks, real.convention).items()})


if __name__ == "__main__":
    main()
