"""Landmarks a second with the shipped net, by batch size and by runtime.

    python bench/speed/predict.py

PyTorch as `fkp_utils.predict` uses it, plain float32 PyTorch, and ONNX Runtime with float32 and int8 weights, on crops that
are ready; then whole photos, detector included. About two minutes on 2 cores.
"""

import tempfile
import time
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
    photo = np.ascontiguousarray(free_portraits()["Eileen Collins"])
    predict.landmarks(photo)
    start = time.perf_counter()
    for _ in range(5):
        predict.landmarks(photo)
    whole = (time.perf_counter() - start) / 5
    note = (f"`predict.landmarks` looks at each face twice, each time at its mirror image, too; a whole photo of "
            f"{photo.shape[1]}x{photo.shape[0]}, its face found by the detector, takes {whole:.2f} s.")
    publish("predict", "One look at each face by the shipped net", rows, note)


if __name__ == "__main__":
    main()
