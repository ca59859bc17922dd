"""What a finder should learn from: scenes of real people, of generated ones, or of both.

    python bench/real_photos/mixture.py FOLDER_WITH_REAL_DATA

Short trainings on as many scenes each, a share of them made of the embedded faces; two seeds. Scored on scenes made of the
validation photos, and on these photos as they are. Writes bench/real_photos/mixture.md. About ten minutes on 2 cores.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from finder import as_they_are, at_most, score, table

from fkp_utils.datasets import EMBEDDED, FaceDataset, IBugFaces
from fkp_utils.datasets.scenes import SCENE, Scenes
from fkp_utils.detection import find_faces
from fkp_utils.files import write_text
from fkp_utils.nets.trained import new_model
from fkp_utils.profiles import recipe
from fkp_utils.training.loop import fit

RESULTS = Path(__file__).with_suffix(".md")
SCENES, SHARES, SEEDS = 1800, (0, 0.25, 0.5, 1), (0, 1)
SMALL = replace(recipe("quick", "finder"), title="mixture", limit=None)


class Mixed(FaceDataset):
    """The scenes of several datasets, one after the other."""

    convention = SCENE

    def __init__(self, *parts: FaceDataset):
        self.images = np.concatenate([part.images for part in parts])
        self.landmarks = np.concatenate([part.landmarks for part in parts])
        self.names = [name for part in parts for name in part.names]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    root = parser.parse_args().real
    photos = [at_most(example, 640) for example in as_they_are(IBugFaces(root, "val"))]
    real, generated = (Scenes(where, "train", SMALL.size, SCENES) for where in (root, EMBEDDED))
    val, rows = Scenes(root, "val", SMALL.size), []
    for share in SHARES:
        number = round(share * SCENES)
        train = Mixed(*(part.first(count) for part, count in ((real, SCENES - number), (generated, number)) if count))
        for seed in SEEDS:
            chosen = replace(SMALL, seed=seed)
            run = fit(new_model(chosen), train, val, chosen)
            scenes, whole = val.scores(run.predict(val)), score(lambda picture, run=run: find_faces(picture, run), photos)
            numbers = (*scenes.values(), whole["found"], whole["wrong"])
            rows.append([f"{share:.0%}", str(seed), *(f"{number:.1f}" for number in numbers)])
            print(*rows[-1], sep="  ", flush=True)
    write_text(RESULTS, "\n".join([
        "# Real or generated people for the finder", "",
        f"Made by `python bench/real_photos/mixture.py DATA`: {SCENES} scenes of {SMALL.size[0]} px, {SMALL.epochs} epochs;",
        "found in percent of the faces, wrong in 100 faces (scenes) or 100 pictures (photos), on the validation photos.", "",
        table(["generated people", "seed", "scenes: found", "wrong", "photos: found", "wrong"], rows), ""]))


if __name__ == "__main__":
    main()
