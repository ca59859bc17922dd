"""Packages of JavaScript as npm publishes them: fetched from the registry that npm is set up with, with a bar, and checked."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from tqdm import tqdm

from ..errors import DatasetError

PATIENCE = 30                                # seconds without a byte


def registry() -> str:
    """The address in NPM_CONFIG_REGISTRY, else what npm says; DatasetError where there is neither."""
    if named := os.environ.get("NPM_CONFIG_REGISTRY"):
        return named
    if npm := shutil.which("npm"):
        said = subprocess.run([npm, "config", "get", "registry"], check=True, capture_output=True, encoding="utf-8")
        return said.stdout.strip()
    raise DatasetError("the demo's library comes from a registry: install npm, or name one in NPM_CONFIG_REGISTRY")


def address(package: str) -> str:
    """Where the archive of `name@version` lies, by the registries' convention."""
    name, _, version = package.rpartition("@")
    return f"{registry().rstrip('/')}/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"


def fetch(package: str, integrity: str, path: Path) -> None:
    """Write the archive of `name@version` to `path`, with a bar in terminals.

    DatasetError where it cannot be had, or is not the one of this integrity (https://www.w3.org/TR/SRI/: sha512-BASE64).
    """
    try:
        with urlopen(Request(address(package), headers={"Accept-Encoding": "identity"}), timeout=PATIENCE) as answer, \
                path.open("wb") as file, \
                tqdm.wrapattr(answer, "read", total=int(answer.headers.get("Content-Length") or 0) or None, desc=package,
                              miniters=1, leave=False, disable=not sys.stderr.isatty()) as counted:
            shutil.copyfileobj(counted, file)
    except (URLError, OSError, HTTPException) as error:
        raise DatasetError(f"{package} cannot be had: {getattr(error, 'reason', error)}") from None
    found = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    if f"sha512-{found}" != integrity:
        raise DatasetError(f"{package}: what came is not the package that this project knows (its SHA-512 differs)")
