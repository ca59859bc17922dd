"""The nets that come with the project, as files in data/weights: where they are, and that they are these."""

import hashlib
from pathlib import Path

from ..folders import WEIGHTS as FOLDER

# File name in data/weights: its SHA-256. `.onnx` are made of those of the same name, in 8-bit integers.
SHIPPED = {"finder.onnx": "6652ee935054195389254d1168611e9effddeab2052fd9563a5ffa7d02a5433f",
           "finder.safetensors": "48551c45029d3333ad0ee3070126b62ed701dababf9b7e0e469bc6955b00f4fd",
           "free68.safetensors": "ee221fcda3a9cdc81db5c027bc2eca216fd77f90bd95cc3bfa73a3220cffe26d",
           "ibug68.onnx": "5ac93d38cdcbe4a0166127a9782247ef703ee77a1e4cc9cb2dbe86c509a78a5d",
           "ibug68.safetensors": "eac9d5593006a7a28f1a2dc546c473c27923123ddce242e5bb00529ed5e511ba",
           "imm58.safetensors": "7080acab72f490f380ecc3a3c58239212eef26937355d995d3019517fa645d7b",
           "small68.onnx": "2169f1dafd3ed643a8f91d358197fcd2e014e2180cf4e532570a1e80ad221672",
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
