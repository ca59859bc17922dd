"""Looks at a face or a photo by the shipped nets, by runtime and batch size, and what each look costs in exactness.

    python bench/speed/predict.py [FOLDER_WITH_REAL_DATA]

PyTorch with the recipe's number format (bfloat16 where the processor has units for it) and with float32; ONNX Runtime with
float32, and with 8-bit integers, which `fkp_utils.predict` asks; OpenVINO with the same files, where it is installed
(`pip install openvino`). With real data, the NME on the validation photos of each, one look averaged with that at the mirror
image, without the labels' side. Then faces in boxes that are somewhat off, as a detector's are. About three minutes on 2 cores.
"""

import argparse
import importlib.util
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from tables import publish, side_by_side

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shipped_files"))

import quantise

from fkp_utils import predict
from fkp_utils.datasets import IBugFaces
from fkp_utils.datasets.personal import free_portraits
from fkp_utils.metrics import nme
from fkp_utils.nets.quantised import Quantised
from fkp_utils.nets.weights import load_weights

SIZES = {"finder.onnx": [(1, 256, 256), (1, 512, 640)], "ibug68.onnx": [(1,), (2,), (8,)], "small68.onnx": [(1,), (2,), (8,)]}


class _Exported(Quantised):
    """A net of ours as ONNX Runtime computes it before it is quantised."""

    def __init__(self, name: str, folder: Path):
        super().__init__(name)
        self.path, self._sessions = folder / f"float.{name}", {}
        quantise.export(load_weights(quantise.NETS[name]), self.path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._sessions[torch.get_num_threads()] = onnxruntime.InferenceSession(self.path, options)


class _Compiled(Quantised):
    """A shipped net as OpenVINO computes it, compiled once for each size of pictures."""

    def __init__(self, name: str):
        super().__init__(name)
        import openvino
        self._core, self._compiled = openvino.Core(), {}

    def _run(self, images, *outputs):
        if images.shape not in self._compiled:
            net = self._core.read_model(self.path)
            net.reshape(images.shape)
            how = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                   "INFERENCE_PRECISION_HINT": "f32"}
            self._compiled[images.shape] = self._core.compile_model(net, "CPU", how)
        answer = self._compiled[images.shape](images / np.float32(255) - np.float32(0.5))
        return [answer[name] for name in outputs]


def looks(name: str, folder: Path, real: Path | None) -> list[dict]:
    """Rows for one net: each runtime at each size of a batch, all in turns."""
    usual = load_weights(quantise.NETS[name])
    ways = {"PyTorch, bfloat16" if usual.recipe.bf16 else "PyTorch": usual,
            "PyTorch, float32": replace(load_weights(quantise.NETS[name]), recipe=replace(usual.recipe, bf16=False)),
            "ONNX Runtime, float32": _Exported(name, folder), "ONNX Runtime, 8 bits, as shipped": Quantised(name)}
    if importlib.util.find_spec("openvino"):
        ways["OpenVINO, 8 bits"] = _Compiled(name)
    exact = {way: exactness(net, real) for way, net in ways.items()} if real and not usual.finds_faces else {}
    rows = []
    for count, *size in SIZES[name]:
        images = np.random.default_rng(0).integers(0, 256, (count, 1, *(size or usual.size))).astype(np.uint8)
        ask = {way: partial(net.faces, images, 0.5) if usual.finds_faces else partial(net.landmarks, images)
               for way, net in ways.items()}
        took = side_by_side(ask, 15)
        rows += [{"net": name.removesuffix(".onnx"), "pictures": f"{count} of {images.shape[3]}x{images.shape[2]}",
                  "runtime": way, "ms": round(1000 * seconds, 1),
                  "times as fast as PyTorch": f"{next(iter(took.values())) / seconds:.2f}", "NME, %": exact.get(way, "")}
                 for way, seconds in took.items()]
    return rows


def exactness(net, real: Path) -> str:
    """NME in percent on the validation photos, both ways."""
    faces = IBugFaces(real, "val", crop=net.crop)
    found, _ = predict.both_ways(net, np.array(faces.images))
    return f"{nme(found, faces.landmarks, faces.convention).mean():.3f}"


def in_boxes() -> list[dict]:
    """Rows: 64 faces of one photo whose boxes are off as the finder's are (a deviation of 4 % of their side)."""
    photo, rng = free_portraits()["Eileen Collins"], np.random.default_rng(0)
    [face] = predict.landmarks(photo)
    boxes = face.box + face.box[2] * rng.normal(0, 0.04, (64, 4))
    took = side_by_side({"two looks each": lambda: predict.landmarks(photo, boxes, second_look_shift=0),
                         "a second look where it pays": lambda: predict.landmarks(photo, boxes),
                         "the same, fast=True": lambda: predict.landmarks(photo, boxes, fast=True)}, 7)
    return [{"way": name, "faces a second": round(len(boxes) / seconds, 1),
             "against two looks": f"{took['two looks each'] / seconds:.2f}"} for name, seconds in took.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path, nargs="?")
    real = parser.parse_args().real
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for name in SIZES for row in looks(name, Path(folder), real)]
    publish("predict", "Looks by the shipped nets", rows)
    publish("predict_boxes", "Faces in boxes, each look also at the mirror image", in_boxes())


if __name__ == "__main__":
    main()
