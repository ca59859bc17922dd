"""The demo's sample pictures, website/samples: small JPEGs of generated faces (data/embedded), and the astronaut's thumbnail.

    PYTHONPATH=. python bench/shipped_files/samples.py
"""

from pathlib import Path

from PIL import Image, ImageOps
from skimage import data

from fkp_utils.files import replacing
from fkp_utils.folders import EMBEDDED, WEBSITE

FACES = "ibug_300W_large_face_landmark_dataset/embedded/trainset"
SAMPLES, GROUP = {"face": 209, "turned": 423, "glasses": 144}, (149, 134, 15, 185, 106, 117)  # numbers of generated faces
SIDE = 220                                   # pixels of each face of the group


def samples(folder: Path) -> None:
    """Sample pictures as small JPEGs: generated faces (data/embedded), one turned, one with glasses, six beside each other."""
    def face(number: int) -> Image.Image:
        return Image.open(EMBEDDED / FACES / f"face_{number:04}.jpg").convert("RGB")

    pictures = {name: face(number) for name, number in SAMPLES.items()}
    group = pictures["group"] = Image.new("RGB", (3 * SIDE, 2 * SIDE))
    for k, number in enumerate(GROUP):
        group.paste(ImageOps.fit(face(number), (SIDE, SIDE), Image.Resampling.LANCZOS), (k % 3 * SIDE, k // 3 * SIDE))
    pictures["astronaut.thumb"] = Image.fromarray(data.astronaut()[0:250, 100:350]).resize((96, 96), Image.Resampling.LANCZOS)
    folder.mkdir(exist_ok=True)
    for name, picture in pictures.items():
        with replacing(folder / f"{name}.jpg") as beside:
            picture.save(beside, format="jpeg", quality=88)


if __name__ == "__main__":
    samples(WEBSITE / "samples")
