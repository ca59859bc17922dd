"""The command line; see `fkp_utils.predict`."""

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tqdm.auto import tqdm

from .. import command
from ..marks import mark_of
from ..nets.net import Net
from ..nets.shipped import find_weights, sha256
from .faces import MIN_CONFIDENCE, QUANTISED, QUANTISED_SMALL, check_reads_faces, default_net
from .photos import PHOTOS_AT_ONCE, ahead, fault, in_photos, photos_named
from .results import Result, checksum, places, read_table, update_table

TABLE = "landmarks.csv"


def _box(text: str) -> list[float]:
    with contextlib.suppress(ValueError):
        values = [float(value) for value in text.split(",")]
        if len(values) in (4, 5) and min(values[2:4]) > 0:
            return values
    raise argparse.ArgumentTypeError(f"{text!r} is not left,top,width,height or left,top,width,height,roll: four or five "
                                     "numbers, width and height above 0")


def _share(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= float(text) <= 1:                            # also false for NaN, which JSON has not
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")


def _parser() -> argparse.ArgumentParser:
    parser = command.parser("predict", "Draws 68 landmarks on the faces of photos.", "photo.jpg",
                            "holiday/ --out found --json --csv --resume", "photo.jpg --box 120,80,200,200")
    parser._negative_number_matcher = re.compile(r"-[\d.]")       # `--box -24,7,...` has a value, not another option
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="files, folders or patterns")
    parser.add_argument("--out", metavar="FOLDER", type=partial(command.writable, folder=True),
                        help="folder for results (default: each photo's)")
    parser.add_argument("--json", action="store_true", help="write PHOTO.landmarks.json, too, or why there is none")
    parser.add_argument("--csv", action="store_true",
                        help="write all landmarks into landmarks.csv (in --out, or here); rows of other photos in it stay")
    parser.add_argument("--box", metavar="L,T,W,H[,ROLL]", type=_box,
                        help="left,top,width,height[,roll] of the face in pixels (and degrees), instead of looking for it")
    parser.add_argument("--min-confidence", metavar="SHARE", type=_share, default=MIN_CONFIDENCE,
                        help="from 0 to 1: leave out found faces, not a --box, that it is less sure of (default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="skip photos whose results are of what they show now")
    nets = parser.add_mutually_exclusive_group()
    nets.add_argument("--fast", action="store_true", help="the smaller net, and no search for small faces beside a large one")
    nets.add_argument("--weights", metavar="FILE", help="another .safetensors file of this project")
    return parser


def _net(weights: str) -> Net:
    from ..nets.weights import load_weights  # with PyTorch, which our own nets do without
    return load_weights(weights)


class _Work:
    """Reads photos and writes their results; what one photo's trouble is costs this one only."""

    def __init__(self, options: argparse.Namespace, photos: list[Path], run: Net):
        self.options, self.run = options, run
        weights = options.weights or (QUANTISED_SMALL if options.fast else QUANTISED)
        how = {"weights": sha256(find_weights(weights)), "box": options.box, "min_confidence": options.min_confidence}
        self.results = places(photos, options.out, how)
        self.table = (options.out or Path()) / TABLE
        self.names: dict[Path, str] = {}                     # of the photos in the table
        self.rows: dict[str, list[dict]] = {}                # by these names, of the photos that are done
        self.troubles: list[str] = []
        self.written: list[Result] = []
        self.faces = self.skipped = 0

    def resume(self) -> list[Result]:
        """The results that are still to be made."""
        known = read_table(self.table) if self.options.csv else {}
        same = {name if self.options.out else os.path.abspath(name): name for name in known}
        left = []
        for result in self.results:
            typed, full = str(result.photo), os.path.abspath(result.photo)
            name = same.get(full, full if typed in known and result.are_anothers(known[typed]) else typed)
            self.names[result.photo] = name
            said, rows = self.options.resume and result.said(self.options.json), known.get(name, [])
            if not said or (self.options.csv and checksum(rows) != said["rows"]):
                left.append(result)
            else:
                self.skipped += 1
                self._done(result, rows, said["faces"])
        return left

    def _done(self, result: Result, rows: list[dict], faces: int) -> None:
        self.rows[self.names[result.photo]], self.faces = rows, self.faces + faces
        if not faces:
            self.troubles.append(f"{result.photo}: no face found")

    def do(self, left: list[Result]) -> None:
        """Make results; those of the photos read so far are written when this is interrupted."""
        bar = tqdm(total=len(left), desc="photos", disable=len(left) < 2 or not sys.stderr.isatty())

        def read() -> Iterator[tuple]:
            boxes = self.options.box and [self.options.box]
            answers = in_photos([result.photo for result in left], boxes, self.run,
                                min_confidence=self.options.min_confidence, fast=self.options.fast)
            for result, (picture, faces, error) in zip(left, answers):
                bar.update()
                if error is None:
                    self._done(result, result.rows(faces), len(faces))
                    yield result, picture, faces
                else:
                    self._failed(result, error)

        with bar, ThreadPoolExecutor(1) as writer:
            try:
                for future in ahead(self._write, read(), writer, PHOTOS_AT_ONCE):
                    future.result()
            except KeyboardInterrupt:
                writer.shutdown(cancel_futures=True)
                raise

    def _write(self, job: tuple) -> None:
        result, picture, faces = job
        try:
            result.write(picture, faces, self.options.json)
            self.written.append(result)
        except Exception as error:                           # a full disk, say: the next photo's result may fit
            self._failed(result, error)

    def _failed(self, result: Result, error: Exception) -> None:
        self.troubles.append(fault(result.photo, error))
        if self.options.json:
            with contextlib.suppress(OSError):
                result.write_fault(self.troubles[-1])

    def _places(self) -> list[str]:
        """Where the results went: a photo's by their names, those of many by their folder."""
        kinds = ["jpg", "json"] if self.options.json else ["jpg"]
        if not self.written[1:]:
            return [str(result.file(kind)) for result in self.written for kind in kinds]
        folder = f"in {self.options.out}" if self.options.out else "beside each photo"
        return [f"{len(self.written)} files *.landmarks.{kind} {folder}" for kind in kinds]

    def finish(self) -> int:
        """Write the table, say what was done; the exit code."""
        tables = []
        if self.options.csv:
            try:
                update_table(self.table, self.rows)
                tables = [str(self.table)]
            except (OSError, ValueError) as error:
                self.troubles.append(str(error))
        skipped = f", {self.skipped} of them done before" if self.skipped else ""
        print(f"{command.counted(len(self.results), 'photo')}{skipped}, {command.counted(self.faces, 'face')}")
        if places := [*self._places(), *tables]:
            print(f"written: {', '.join(places)}")
        print(*self.troubles, sep="\n", file=sys.stderr, end="\n" if self.troubles else "")
        return 1 if self.troubles else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when every photo had a face, 1 when some had none or failed, 2 for wrong usage, 130 when interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    photos = photos_named(options.photos)
    if not photos:
        parser.error("no photos there; what this project made is none")
    if ours := sum(mark_of(Path(name)) is not None for name in options.photos):
        print(f"left out: {command.counted(ours, 'file')} that this project made")
    try:
        run = _net(options.weights) if options.weights else default_net(options.fast)
        check_reads_faces(run)
        if options.csv:
            command.writable(str((options.out or Path()) / TABLE))
    except (ValueError, argparse.ArgumentTypeError) as error:
        with contextlib.suppress(OSError):
            for result in places(photos, options.out, {}) if options.json else ():
                result.write_fault(str(error))
        parser.error(str(error))

    def job():
        work = _Work(options, photos, run)
        left = work.resume()
        try:
            work.do(left)
        except KeyboardInterrupt:
            work.finish()
            raise
        return work.finish()
    return command.run("predict", job, "interrupted; with --resume it goes on")


if __name__ == "__main__":
    sys.exit(main())
