"""Landmarks a second with the shipped nets, by batch size, by runtime, and by how often they look.

    python bench/speed/predict.py

PyTorch as `fkp_utils.predict` uses it, plain float32 PyTorch, and ONNX Runtime with float32 and int8 weights, on crops that
are ready; then faces in boxes that are somewhat off, as a detector's are. About two minutes on 2 cores.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from tables import publish, side_by_side

from fkp_utils import predict
from fkp_utils.datasets.personal import free_portraits
from fkp_utils.nets.weights import load_weights
from fkp_utils.website.demo import export


def main() -> None:
    run = load_weights(predict.WEIGHTS)
    plain = load_weights(predict.WEIGHTS)
    plain.recipe = replace(plain.recipe, bf16=False)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file, small = Path(folder) / "net.onnx", Path(folder) / "int8.onnx"
        export(load_weights(predict.WEIGHTS), file)
        quant_pre_process(file, small, skip_symbolic_shape=True)
        quantize_dynamic(small, small, weight_type=QuantType.QUInt8)
        sessions = {"ONNX Runtime, float32": onnxruntime.InferenceSession(str(file)),
                    "ONNX Runtime, int8": onnxruntime.InferenceSession(str(small))}
        for batch in (1, 8, 32):
            crops = np.random.default_rng(0).integers(0, 255, (batch, *run.recipe.size), np.uint8)
            images = torch.from_numpy(crops)[:, None]
            floats = (crops[:, None] / np.float32(255) - np.float32(0.5))

            def torch_way(run, images=images):
                with torch.inference_mode():
                    return run.landmarks(images)
            ways = {"PyTorch, as shipped": lambda: torch_way(run), "PyTorch, float32": lambda: torch_way(plain)}
            ways |= {name: lambda session=session, floats=floats: session.run(None, {"images": floats})
                     for name, session in sessions.items()}
            took = side_by_side(ways, 5)
            shipped = took["PyTorch, as shipped"]
            rows += [{"faces at once": batch, "runtime": name, "latency, ms": round(1000 * seconds, 1),
                      "faces a second": round(batch / seconds, 1), "against as shipped": f"{shipped / seconds:.2f}"}
                     for name, seconds in took.items()]
    publish("predict", "One look at each face by the shipped net", rows)
    publish("predict_boxes", "Faces in boxes, each look also at the mirror image", in_boxes())


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


if __name__ == "__main__":
    main()
