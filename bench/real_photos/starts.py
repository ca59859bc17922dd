"""What a landmark net gains that sees colours, or that begins with what generated faces have taught it.

    PYTHONPATH=.:PEERS python bench/real_photos/starts.py FOLDER_WITH_REAL_DATA [--net lite] [--epochs 6] [--seed 0]
                                                          [--colour] [--start WEIGHTS]

Trainings on real photos at 160 px with few changes of the pictures, as long as each other, from ImageNet (PEERS: see
`bench/shipped_files/imagenet.py`) or from a net of this project. In colour the first layer has ImageNet's three channels
instead of their sum. Each adds a row to bench/real_photos/starts.md; a quarter to half an hour on one core with bfloat16.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from finder import table
from PIL import Image
from rows import with_row
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shipped_files"))

from fkp_utils.datasets import IBugFaces
from fkp_utils.datasets.images import read_photo
from fkp_utils.files import write_json, write_text
from fkp_utils.folders import CHECKPOINTS, MEASURED
from fkp_utils.landmarks import IBUG_68, mirrored, moved_aside
from fkp_utils.metrics import mean_nme
from fkp_utils.nets.recipe import Recipe
from fkp_utils.nets.trained import Trained, new_model
from fkp_utils.nets.weights import load_weights
from fkp_utils.profiles import recipe
from fkp_utils.training.loop import fit

RESULTS, TABLE = MEASURED / "starts.json", Path(__file__).with_suffix(".md")
NETS = {"lite": "lite_fine", "lite2": "lite2_fine"}
KEY = ("net", "epochs", "start", "colour", "seed")
ABOUT = """# Colours, and a start from generated faces

Made by `bench/real_photos/starts.py`: the validation tenth of iBUG's photos, NME of one look, averaged with that at the mirror
image, and that without the labels' side; trainings at 160 px with few changes of the pictures, at 1e-3. Generated: from
`free68.safetensors`, which has seen no real photo.

"""


class InColour(IBugFaces):
    """Faces as pictures of three channels: uint8 (N, 3, h, w)."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        photos = (read_photo(self.folder / name) for name in self.names)
        self.images = np.array([[self.crop.cut(Image.fromarray(channel), box) for channel in np.moveaxis(photo, 2, 0)]
                                for photo, box in zip(photos, self.boxes)])

    def batch(self, indices):
        return torch.from_numpy(self.images[np.asarray(indices)]), torch.from_numpy(self.landmarks[np.asarray(indices)])


def begun(chosen: Recipe, start: Path | None, colour: bool) -> nn.Module:
    """The recipe's net with the weights of a file, or ImageNet's; in colour with a first layer of three channels."""
    model = new_model(chosen)
    if start:
        model.load_state_dict(load_weights(start).model.state_dict())
        return model
    import imagenet
    imagenet.start(model)
    if colour:
        theirs = torch.load(imagenet.FILES[chosen.net].get_model_file_path(), map_location="cpu", weights_only=True)
        first = model.stem[0]
        model.stem[0] = nn.Conv2d(3, first.out_channels, first.kernel_size, first.stride, first.padding, bias=False)
        model.stem[0].weight = nn.Parameter(next(iter(theirs.values())) * imagenet.SCALE)
    return model


def judged(run: Trained, faces: IBugFaces) -> dict[str, float]:
    """NME in percent: of one look, of the mean of two, and of that without the labels' side."""
    images, truth = faces.batch(np.arange(len(faces)))
    one, other = (np.concatenate([run.landmarks(some).numpy() for some in pictures.split(32)]).astype(float)
                  for pictures in (images, images.flip(-1)))
    back = moved_aside(mirrored(other, IBUG_68, images.shape[-1]), IBUG_68, 2 * run.flip_offset)
    both = (one + back) / 2
    ways = {"one look": one, "mirrored": both, "without a side": moved_aside(both, IBUG_68, -run.flip_offset)}
    return {way: round(mean_nme(points, truth.numpy(), IBUG_68), 3) for way, points in ways.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("--net", choices=NETS, default="lite")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--colour", action="store_true")
    parser.add_argument("--start", metavar="WEIGHTS", type=Path, help="a net's .safetensors (default: ImageNet's)")
    options = parser.parse_args()
    if options.colour and options.start:
        parser.error("our nets have seen grey pictures: --colour starts from ImageNet")
    chosen = replace(recipe("full", NETS[options.net]), size=(160, 160), epochs=options.epochs, seed=options.seed, lr=1e-3,
                     title=f"{options.start or 'ImageNet'}, {'colour' if options.colour else 'grey'}")
    kind = InColour if options.colour else IBugFaces
    train, val = (kind(options.real, split, crop=chosen.crop) for split in ("train", "val"))
    run = fit(begun(chosen, options.start, options.colour), train, val, chosen, CHECKPOINTS)
    row = {"net": chosen.net, "epochs": options.epochs, "start": options.start.name if options.start else "ImageNet",
           "colour": "yes" if options.colour else "no", "seed": options.seed, **judged(run, val)}
    known = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"] if RESULTS.exists() else []
    rows = with_row(known, row, KEY)
    write_json(RESULTS, {"rows": rows})
    write_text(TABLE, ABOUT + table([*row], [[str(value) for value in one.values()] for one in rows]) + "\n")
    print(row)


if __name__ == "__main__":
    main()
