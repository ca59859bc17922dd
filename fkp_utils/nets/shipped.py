"""The nets that come with the project, as files in data/weights: where they are, and that they are these."""

import hashlib
from pathlib import Path

from ..folders import WEIGHTS as FOLDER

# File name in data/weights: its SHA-256. `.onnx` are made of those of the same name, in 8-bit integers.
SHIPPED = {"finder.onnx": "f71c0c4fd23fa11a0a289dfc18d444824d5eed42a2575133daf792957cb387f1",
           "finder.safetensors": "9a4a551f2e35b1a107cbabd7e22d11461364318e974f664e37f020b0224c028c",
           "free68.safetensors": "ee221fcda3a9cdc81db5c027bc2eca216fd77f90bd95cc3bfa73a3220cffe26d",
           "ibug68.onnx": "31148dfb1aef9cc0bc2ed51210087aa0bc763b83f9be9414eb4305cbcd36967a",
           "ibug68.safetensors": "68d9064dfef067739fead6668e56148f777ced6397a26de857c143c11af09a14",
           "imm58.safetensors": "7080acab72f490f380ecc3a3c58239212eef26937355d995d3019517fa645d7b",
           "small68.onnx": "599a4126d01d16af4ed4c0eac5563603a7931b247e4210cddbd5a92f19062dda",
           "small68.safetensors": "6d98db51d1bd8b8997166f33abc08b0ab3ab969a7e269726dd35266d17767d32"}


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def find_weights(path: str | Path) -> Path:
    """The file itself, or the one of that name in data/weights; ValueError names what is there."""
    path = Path(path) if Path(path).exists() else FOLDER / path
    if not path.is_file():
        raise ValueError(f"{path}: no such weights; data/weights has {sorted(p.name for p in FOLDER.glob('*.safetensors'))}")
    return path


def known_sha256(path: Path) -> str | None:
    """What the SHA-256 of a file in data/weights must be, None for other files."""
    return SHIPPED.get(path.name) if path.resolve().parent == FOLDER.resolve() else None


def check_sha256(path: Path, expected: str | None) -> None:
    """ValueError for a file whose SHA-256 is another than `expected`, where that is known."""
    if expected and sha256(path) != expected:
        raise ValueError(f"{path}: its SHA-256 is not {expected}; get the file again")
