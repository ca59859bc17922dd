"""Makes data/weights/*.onnx of the .safetensors beside them: the nets that `predict` and the website's demo ask.

    python bench/shipped_files/quantise.py FOLDER_WITH_REAL_DATA [--out FOLDER]

A net and its decoder are exported as ONNX (https://onnx.ai) and turned into 8-bit integers: weights a channel, activations a
tensor, whose ranges are those that 200 training photos of iBUG give, or 200 scenes for the finder. The last layer and the
decoder stay in float32, and two more layers of the finder, whose faces would have other sizes. What that costs is in the table
of bench/speed/predict.py. About two minutes; prints the SHA-256 that belong into `fkp_utils/nets/shipped.py`.
"""

import argparse
import copy
import json
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnx.utils
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fkp_utils import detection, predict
from fkp_utils.datasets import IBugFaces, Scenes
from fkp_utils.files import replacing
from fkp_utils.folders import WEIGHTS
from fkp_utils.nets.shipped import sha256
from fkp_utils.nets.trained import Trained
from fkp_utils.nets.weights import load_weights

NETS = {detection.QUANTISED: detection.WEIGHTS, predict.QUANTISED: predict.WEIGHTS, predict.QUANTISED_SMALL: predict.SMALL}
PICTURES = 200                       # that tell the ranges of activations
TYPES = ["Conv", "Add", "Concat", "Resize", "Relu", "Clip"]      # the layers that are computed in integers


class _Points(nn.Module):
    """A net with its decoder: (b, 1, s, s) floats in [-0.5, 0.5] -> landmarks (b, 68, 2) in pixels of the crop; heatmaps."""

    def __init__(self, run: Trained):
        super().__init__()
        self.model, self.target = fused(run.model), run.target

    def forward(self, images):
        output = self.model(images)
        return self.target.decode(output), self.target.heatmaps(output)


def fused(model: nn.Module) -> nn.Module:
    """A copy of a net for answering only, whose batch normalisations are part of the convolutions before them.

    Those that are not would be computed in float32, between two conversions.
    """
    model = copy.deepcopy(model).eval().cpu()
    for part in model.modules():
        if isinstance(part, nn.Sequential):
            for k, (layer, norm) in enumerate(pairwise(list(part))):
                if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    part[k], part[k + 1] = fuse_conv_bn_eval(layer, norm), nn.Identity()
    return model


def about(run: Trained) -> str:
    """What `nets.quantised.Quantised` reads beside the net, as JSON."""
    return json.dumps({"title": run.title, "size": run.size, "crop": asdict(run.crop), "flip_offset": run.flip_offset,
                       "finds_faces": run.finds_faces, "convention": run.convention.to_dict()})


def export(run: Trained, path: Path) -> None:
    """Write a net as ONNX in float32.

    Input `images` (b, 1, s, s) floats in [-0.5, 0.5]. A landmark net comes with its decoder, outputs `landmarks` (b, 68, 2) and
    `heatmaps` (b, 68, g, g) to look at. A finder takes pictures of any size, multiples of 64: `maps` (b, 6, h / 4, w / 4).
    """
    batch = torch.export.Dim("batch")
    if run.finds_faces:
        model, example, outputs = fused(run.model), torch.zeros(2, 1, 192, 256), ["maps"]
        dynamic = {0: batch, 2: 64 * torch.export.Dim("rows"), 3: 64 * torch.export.Dim("columns")}
    else:
        model, example, outputs = _Points(run), torch.zeros(2, 1, *run.size), ["landmarks", "heatmaps"]
        dynamic = {0: batch}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model.eval(), (example,), path, input_names=["images"], output_names=outputs,
                          dynamic_shapes=(dynamic,), dynamo=True, external_data=False, verbose=False)


def with_scales(net: onnx.ModelProto) -> onnx.ModelProto:
    """The net with what is doubled doubled by that number, not enlarged to the size of another layer's answer.

    To know that size, ONNX Runtime would bring the answer, in 8 bits, into float32 and another layout. All our pyramids double.
    """
    net.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice"))
    for node in net.graph.node:
        if node.op_type == "Resize":
            del node.input[1:]
            node.input.extend(["", "twice"])
    # Without the layers that only told sizes, which ONNX Runtime would compute all the same.
    used = ([value.name for value in values] for values in (net.graph.input, net.graph.output))
    return onnx.utils.Extractor(net).extract_model(*used)


def in_blocks(net: onnx.ModelProto) -> onnx.ModelProto:
    """The net, in place; a first layer of one channel, about every n-th pixel only, reads blocks of nxn as channels instead.

    The same sums, with some zeros more; but a place's pixels lie together in memory, where single ones were gathered.
    """
    first = next(node for node in net.graph.node if node.op_type == "Conv")
    weight = next(value for value in net.graph.initializer if value.name == first.input[1])
    kernel = onnx.numpy_helper.to_array(weight)
    has = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in first.attribute}
    side, step, edge = kernel.shape[-1], has["strides"][0], has["pads"][0]
    usual = {"strides": [step] * 2, "pads": [edge] * 4, "dilations": [1, 1]}
    fits = step > 1 and kernel.shape[1:] == (1, side, side) and side - step <= 2 * edge < side
    if not fits or {name: has.get(name) for name in usual} != usual:
        return net
    # It sees whole blocks: so many before the one about which it looks, and so many in all.
    before = -(-edge // step)
    more = before * step - edge
    count = -(-(more + side) // step)
    blocks = np.pad(kernel, [(0, 0), (0, 0), *[(more, count * step - more - side)] * 2]).reshape(-1, count, step, count, step)
    channels = blocks.transpose(0, 2, 4, 1, 3).reshape(-1, step**2, count, count)
    weight.CopyFrom(onnx.numpy_helper.from_array(channels, weight.name))
    net.graph.node.insert(0, onnx.helper.make_node("SpaceToDepth", [first.input[0]], ["blocks"], "blocks", blocksize=step))
    first.input[0] = "blocks"
    del first.attribute[:]
    first.attribute.extend(onnx.helper.make_attribute(name, value) for name, value in {
        "kernel_shape": [count] * 2, "pads": [before] * 2 + [count - 1 - before] * 2}.items())
    del net.graph.value_info[:]                             # shapes, one of which is another now
    return net


class _Pictures(CalibrationDataReader):
    """One picture (h, w) after the other, uint8, as the net gets it."""

    def __init__(self, pictures: np.ndarray):
        self._left: Iterator[np.ndarray] = iter(pictures)

    def get_next(self):
        picture = next(self._left, None)
        return None if picture is None else {"images": picture[None, None].astype(np.float32) / 255 - 0.5}


def quantised(exported: Path, path: Path, pictures: np.ndarray, told: str, exact: int = 1) -> None:
    """An exported net in 8-bit integers, but for its last convolutions, `exact` of them; `told` is what `about` says."""
    with tempfile.TemporaryDirectory() as folder:
        changed, ready, small = (Path(folder) / f"{name}.onnx" for name in ("changed", "ready", "small"))
        onnx.save(in_blocks(with_scales(onnx.load(exported))), changed)
        quant_pre_process(changed, ready, skip_symbolic_shape=True)
        nodes = onnx.load(ready).graph.node
        exact_from = [k for k, node in enumerate(nodes) if node.op_type == "Conv"][-exact]
        quantize_static(ready, small, _Pictures(pictures), quant_format=QuantFormat.QDQ, op_types_to_quantize=TYPES,
                        per_channel=True, reduce_range=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                        nodes_to_exclude=[node.name for node in nodes[exact_from:]])
        net = onnx.load(small)
    for part in (net, net.graph, *net.graph.node, *net.graph.value_info, *net.graph.input, *net.graph.output,
                 *net.graph.initializer):
        part.ClearField("metadata_props")                   # names of files on the machine that wrote it
    used = {node.domain for node in net.graph.node}
    kept = [entry for entry in net.opset_import if entry.domain in used]
    del net.opset_import[:]
    net.opset_import.extend(kept)
    net.metadata_props.add(key="about", value=told)
    onnx.checker.check_model(net)
    with replacing(path) as beside:
        beside.write_bytes(net.SerializeToString())


def pictures_for(run: Trained, root: Path) -> np.ndarray:
    """Training pictures (k, h, w), uint8, half of them mirrored."""
    faces = Scenes(root, "train", count=PICTURES) if run.finds_faces else IBugFaces(root, "train", crop=run.crop)
    chosen = np.array(faces.images[:: max(1, len(faces) // PICTURES)])
    chosen[::2] = chosen[::2, :, ::-1]
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    for name, weights in NETS.items():
        run = load_weights(weights)
        with tempfile.TemporaryDirectory() as folder:
            export(run, Path(folder) / "net.onnx")
            quantised(Path(folder) / "net.onnx", options.out / name, pictures_for(run, options.real), about(run),
                      exact=3 if run.finds_faces else 1)
        print(f'"{name}": "{sha256(options.out / name)}",  # {(options.out / name).stat().st_size / 1e6:.2f} MB', flush=True)


if __name__ == "__main__":
    main()
