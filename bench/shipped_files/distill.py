"""Teaches a small net to imitate the shipped one, for the demo in the browser.

    python bench/shipped_files/distill.py FOLDER_WITH_REAL_DATA [--start WEIGHTS] [--epochs 10]
                                           [--out data/weights/small68.safetensors]

The teacher labels the training photos (Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015,
in its simplest form: its answers take the place of the annotations); a U-Net of Part 4's improved recipe learns from them.
Resumable; about 45 seconds an epoch on 2 cores.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from fkp_utils.datasets import IBugFaces
from fkp_utils.nets.weights import FOLDER, load_weights, save_weights
from fkp_utils.predict import WEIGHTS, both_ways
from fkp_utils.profiles import recipe
from fkp_utils.train import CHECKPOINTS, faces_for, started
from fkp_utils.training.loop import fit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("--start", help="weights to start from (default: new ones)")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", type=Path, default=FOLDER / "small68.safetensors")
    options = parser.parse_args()
    chosen = replace(recipe("full", "unet_improved"), title="distilled", epochs=options.epochs, lr=5e-4)
    train, val = faces_for(chosen, options.real)
    teacher = load_weights(WEIGHTS)
    seen = IBugFaces(options.real, "train", crop=teacher.recipe.crop)
    answers = seen.to_image(both_ways(teacher, np.array(seen.images))[0])
    print(f"the teacher's answers differ from the annotations by {np.abs(answers - train.truth).mean():.2f} px")
    train.landmarks = train.crop.to_crop(answers, train.boxes).astype(np.float32)
    run = fit(started(chosen, options.start), train, val, chosen, CHECKPOINTS)
    print(val.scores(run.predict(val)))
    print(f"{options.out}: SHA-256 {save_weights(options.out, run)}")


if __name__ == "__main__":
    main()
