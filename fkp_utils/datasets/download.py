"""Downloads the official datasets, for those who have a network and accept their terms.

    python -m fkp_utils.datasets.download [imm] [ibug] [--folder data]

An interrupted download goes on where it stopped. Archives are checked before and after they are
unpacked, and a folder gets its name only when it is whole.
"""

import hashlib
import json
import os
import shutil
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import requests
from tqdm.auto import tqdm

from .. import command
from ..errors import DatasetError
from ..files import locked, replace_folder, write_json
from ..folders import DATA, PACKAGE
from . import ibug, imm

HASHES = PACKAGE / "datasets" / "imm_face_db.sha256"
TRIES, PAUSE, BLOCK = 5, 2.0, 1 << 15            # attempts an address, seconds between them, bytes a read
MOST = 8 << 30                                   # bytes that an archive may unpack to; iBUG's has 1.7 GB
_ARCHIVED = "https://web.archive.org/web/{}id_/http://{}"


def check_imm(folder: Path) -> None:
    """Compare all 480 files with their known SHA-256; DatasetError names the first that differs."""
    for line in HASHES.read_text(encoding="utf-8").splitlines():
        expected, name = line.split()
        path = folder / name
        if not path.is_file():
            raise DatasetError(f"{path}: missing from the archive")
        if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise DatasetError(f"{path}: not the published file (its SHA-256 differs)")


def check_ibug(folder: Path) -> None:
    """Read the lists of training and test faces and look for each photo; DatasetError names what is wrong."""
    for name in ("train", "test_parsed"):
        for entry in ibug.read_xml(folder / f"labels_ibug_300W_{name}.xml"):
            if not (folder / entry.file).is_file():
                raise DatasetError(f"{folder / entry.file}: missing from the archive")


@dataclass(frozen=True)
class Source:
    """Where a dataset is published: addresses in the order to try, a file that marks its folder, a check, its terms."""

    folder: str
    urls: tuple[str, ...]
    marker: str
    check: Callable[[Path], None]
    terms: str


_IMM = "www2.imm.dtu.dk/~aam/datasets/imm_face_db.tar.gz"
_IBUG = "dlib.net/files/data/ibug_300W_large_face_landmark_dataset.tar.gz"
SOURCES = {
    "imm": Source(imm.FOLDER, (f"https://{_IMM}", _ARCHIVED.format("20210305", _IMM),
                                "http://datasets.openimaj.org/imm_face_db.zip"),
                  "01-1m.asf", check_imm,
                  "IMM Face Database: free for education and research with a reference to M. B. Stegmann, B. K. Ersboell, "
                  "R. Larsen, FAME - a flexible appearance modelling environment, IEEE Trans. Medical Imaging 22(10), 2003."),
    "ibug": Source(ibug.FOLDER, (f"https://{_IBUG}", _ARCHIVED.format("2021", _IBUG)), "labels_ibug_300W_train.xml", check_ibug,
                   "iBUG 300-W (1.7 GB): research only, no commercial use; also the terms of AFW, HELEN and LFPW. Reference: "
                   "C. Sagonas et al., 300 faces in-the-wild challenge, ICCV-W 2013."),
}


def fetch(url: str, path: Path) -> None:
    """Download `url` to `path`, going on from what is there; requests.RequestException after `TRIES` attempts, if they help."""
    for attempt in range(TRIES):
        try:
            return _fetch_rest(url, path)
        except requests.RequestException as error:
            answer = error.response if isinstance(error, requests.HTTPError) else None
            if attempt == TRIES - 1 or (answer is not None and answer.status_code < 500):
                raise
        time.sleep(PAUSE)


def _fetch_rest(url: str, path: Path) -> None:
    have = path.stat().st_size if path.exists() else 0
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    with requests.get(url, stream=True, timeout=30, headers=headers) as answer:
        if answer.status_code == 416:                           # nothing is left to send
            return
        answer.raise_for_status()
        have = have if answer.status_code == 206 else 0         # 200: the server sends all of it again
        length = answer.headers.get("Content-Length")
        total = int(length) + have if length else None
        with open(path, "ab" if have else "wb") as file, \
                tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=path.name, mininterval=1) as bar:
            for block in answer.iter_content(BLOCK):
                file.write(block)
                bar.update(len(block))
    if total is not None and path.stat().st_size < total:
        raise requests.ConnectionError(f"{url}: the connection was cut after {path.stat().st_size} of {total} bytes")


def _recorded(records: Path) -> dict[str, Any]:
    """What each address gave when its archive was installed for the first time. ValueError for a file that does not say."""
    try:
        return {**json.loads(records.read_text(encoding="utf-8"))}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError):
        raise ValueError(f"{records}: not what this program wrote; without it, archives are taken as they come") from None


def _refuse_changed(archive: Path, url: str, records: Path) -> dict[str, Any]:
    """Size and SHA-256 of an archive; DatasetError where this address gave another one before."""
    with open(archive, "rb") as file:
        found: dict[str, Any] = {"bytes": archive.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    known = _recorded(records).get(url, found)
    if known != found:
        raise DatasetError(f"{url}: gives another archive than the first time ({found['sha256'][:12]}..., "
                           f"recorded in {records}: {known['sha256'][:12]}...)")
    return found


def _refuse(name: str, size: int, archive: Path) -> None:
    """DatasetError for a file that would land outside, or with which the archive's files have too many bytes, `size`."""
    inside = PurePosixPath(name)
    if inside.is_absolute() or ".." in inside.parts or "\\" in name or ":" in name:
        raise DatasetError(f"{archive}: refused, since its file {name!r} would land outside of the folder")
    if size > MOST:
        raise DatasetError(f"{archive}: refused, since it unpacks to more than {MOST >> 30} GB, which no dataset here has")


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar or zip file of plain files and folders.

    Raises DatasetError for paths that lead outside, links, devices, more than `MOST` bytes, and archives that are damaged.
    """
    size = 0
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                for info in packed.infolist():
                    size += info.file_size
                    _refuse(info.filename, size, archive)
                packed.extractall(folder)            # takes no more of a file than the archive's list says
            return
        with tarfile.open(archive) as packed:
            for member in tqdm(packed, "unpacking", unit="file", mininterval=1):
                size += member.size
                _refuse(member.name, size, archive)
                if not (member.isfile() or member.isdir()):
                    raise DatasetError(f"{archive}: refused, since {member.name!r} is a link or a device")
                packed.extract(member, folder, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, UnicodeError, ValueError) as error:
        raise DatasetError(f"{archive}: not a whole archive ({error})") from None


def _install(archive: Path, url: str, source: Source, folder: Path) -> None:
    """Unpack beside the dataset's folder, check, remember the archive that proved to be the dataset, rename."""
    target, records = folder / source.folder, folder / "downloads.json"
    found = _refuse_changed(archive, url, records)
    beside = target.with_name(f".{target.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        unpack(archive, beside)
        marker = next(iter(sorted(beside.rglob(source.marker))), None)
        if marker is None:
            raise DatasetError(f"{archive}: has no {source.marker}")
        source.check(marker.parent)
        # Before the folder is there, with which all is done. Read now: the other dataset may have come meanwhile.
        write_json(records, {**_recorded(records), url: found})
        replace_folder(marker.parent, target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def get(source: Source, folder: Path) -> Path:
    """Download and install one dataset unless it is there; return its folder.

    DatasetError when no address gives it, or what they give is not the dataset. Nothing is left half-done but the archive's
    first part, from which the next call goes on.
    """
    target, downloads = folder / source.folder, folder / ".downloads"
    if target.exists():
        return target
    downloads.mkdir(parents=True, exist_ok=True)
    troubles = []
    for url in source.urls:
        archive = downloads / f"{zlib.crc32(url.encode()):08x}-{url.rsplit('/', 1)[-1]}"
        try:
            fetch(url, archive)
            _install(archive, url, source, folder)
            archive.unlink()
            return target
        except requests.RequestException as error:
            troubles.append(f"{url}: {error}")
        except DatasetError as error:
            troubles.append(str(error))
            archive.unlink(missing_ok=True)                     # a complete download of something else
    raise DatasetError(f"{source.folder} cannot be had:\n  " + "\n  ".join(troubles))


def accepted(terms: str) -> bool:
    """Show terms of use and ask; ACCEPT_TERMS=1 in the environment answers yes."""
    print(terms)
    if os.environ.get("ACCEPT_TERMS") == "1":
        return True
    if not sys.stdin or not sys.stdin.isatty():
        return False
    print("Do you accept these terms? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when all is there, 1 when something cannot be had, 2 for wrong arguments or refused terms."""
    parser = command.parser("datasets.download", __doc__, "imm", "--folder data")
    parser.add_argument("datasets", nargs="*", metavar="NAME", help=f"of {', '.join(SOURCES)} (default: all)")
    parser.add_argument("--folder", metavar="FOLDER", type=Path, default=DATA, help="where to (default: the project's data/)")
    options = parser.parse_args(arguments)
    names = options.datasets or list(SOURCES)
    if unknown := set(names) - set(SOURCES):
        parser.error(f"no dataset {sorted(unknown)[0]!r}; there are {', '.join(SOURCES)}")
    return command.run("download", lambda: _download(names, options.folder),
                       "interrupted; the same command goes on where it stopped")


def _download(names: Sequence[str], folder: Path) -> int:
    missing = [name for name in names if not (folder / SOURCES[name].folder).exists()]
    if not all([accepted(SOURCES[name].terms) for name in missing]):
        print("download: the terms were not accepted (ACCEPT_TERMS=1 accepts them)", file=sys.stderr)
        return 2
    for name in names:
        with locked(folder / SOURCES[name].folder):
            print(get(SOURCES[name], folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
