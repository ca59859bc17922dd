"""`make data` against a server on this machine: cut connections, wrong archives, mirrors, hostile tar files."""

import hashlib
import io
import json
import tarfile
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from fkp_utils.datasets import download
from fkp_utils.datasets.download import SOURCES, Source, check_ibug, check_imm, get, unpack
from fkp_utils.errors import DatasetError

_NOISE = np.random.default_rng(0).bytes(9000)                # does not shrink when packed
CONTENT = {"some_db/marker.txt": _NOISE[:4000], "some_db/sub/face.jpg": _NOISE}


def _tar(entries, mode="w:gz"):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        for name, content in entries.items():
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def _zip(entries):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.fixture
def server(monkeypatch):
    """files: what it serves by path; cuts: after how many bytes the next answers break off; asked: (path, Range header)."""
    monkeypatch.setattr(download, "PAUSE", 0)
    monkeypatch.setattr(download, "BLOCK", 100)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            http.asked.append((self.path, self.headers.get("Range")))
            content = http.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = int(self.headers["Range"][6:-1]) if self.headers.get("Range") and http.ranges else 0
            if start >= len(content) and start:
                self.send_error(416)
                return
            rest = content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[: http.cuts.pop(0)] if http.cuts else rest)

        def log_message(self, *arguments):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.files, http.cuts, http.asked, http.ranges = {"/a.tar.gz": _tar(CONTENT)}, [], [], True
    http.url = f"http://127.0.0.1:{http.server_port}"
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    yield http
    http.shutdown()
    http.server_close()


@pytest.fixture
def source(server):
    return Source("faces", (f"{server.url}/a.tar.gz",), "marker.txt", lambda folder: None, "Terms of use.")


def _installed(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


WANTED = {name.removeprefix("some_db/"): content for name, content in CONTENT.items()}


def test_a_whole_download(source, tmp_path):
    assert _installed(get(source, tmp_path)) == WANTED
    assert sorted(p.name for p in tmp_path.iterdir()) == [".downloads", "downloads.json", "faces"]
    assert not list((tmp_path / ".downloads").iterdir())


def test_what_is_there_is_not_downloaded_again(source, server, tmp_path):
    get(source, tmp_path)
    get(source, tmp_path)
    assert len(server.asked) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_connection_goes_on_where_it_stopped(source, server, tmp_path, ranges):
    server.cuts, server.ranges = [1000, 500], ranges
    assert _installed(get(source, tmp_path)) == WANTED
    assert [r for _, r in server.asked] == [None, "bytes=1000-", "bytes=1500-" if ranges else "bytes=500-"]


def test_a_later_call_goes_on_from_the_first_part(source, server, tmp_path):
    server.cuts = [100] * download.TRIES
    with pytest.raises(DatasetError, match="faces cannot be had"):
        get(source, tmp_path)
    assert not (tmp_path / "faces").exists()
    get(source, tmp_path)
    assert server.asked[-1][1] == f"bytes={100 * download.TRIES}-"
    assert _installed(tmp_path / "faces") == WANTED


def test_a_mirror_serves_when_the_first_address_is_gone(source, server, tmp_path):
    server.files["/mirror.zip"] = _zip(CONTENT)
    source = replace(source, urls=(f"{server.url}/gone.tar.gz", f"{server.url}/mirror.zip"))
    assert _installed(get(source, tmp_path)) == WANTED


def test_no_address_works_and_each_is_named(source, server, tmp_path):
    source = replace(source, urls=(f"{server.url}/gone.tar.gz", "http://127.0.0.1:9/refused.tar.gz"))
    with pytest.raises(DatasetError, match=r"(?s)gone.tar.gz.*404.*refused.tar.gz"):
        get(source, tmp_path)


def test_another_archive_than_the_first_time_is_refused(source, server, tmp_path):
    get(source, tmp_path)
    (tmp_path / "faces").rename(tmp_path / "kept")
    server.files["/a.tar.gz"] = _tar({**CONTENT, "some_db/more": b"x"})
    with pytest.raises(DatasetError, match="another archive than the first time"):
        get(source, tmp_path)
    assert not (tmp_path / "faces").exists()


def test_a_failed_check_leaves_nothing_behind(source, tmp_path):
    def check(folder):
        raise DatasetError(f"{folder}: not the published file")
    with pytest.raises(DatasetError, match="not the published file"):
        get(replace(source, check=check), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".downloads"]


def test_a_captive_portals_page_is_not_remembered(source, server, tmp_path):
    """A page that came once in place of the archive must not make the right one wrong."""
    right, server.files["/a.tar.gz"] = server.files["/a.tar.gz"], b"<html>Welcome to our hotel</html>"
    with pytest.raises(DatasetError, match="faces cannot be had"):
        get(source, tmp_path)
    server.files["/a.tar.gz"] = right
    assert _installed(get(source, tmp_path)) == WANTED


@pytest.mark.parametrize("pack", [_tar, _zip])
def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(download, "MOST", 12_999)                    # the files have 13,000 bytes
    (tmp_path / "a").write_bytes(pack(CONTENT))
    with pytest.raises(DatasetError, match="refused, since it unpacks to more than"):
        unpack(tmp_path / "a", tmp_path / "inside")
    monkeypatch.setattr(download, "MOST", 13_000)
    unpack(tmp_path / "a", tmp_path / "whole")
    assert len(_installed(tmp_path / "whole")) == 2


def test_servers_that_have_https_are_asked_by_it():
    assert [url for source in SOURCES.values() for url in source.urls if not url.startswith("https://")] == [
        "http://datasets.openimaj.org/imm_face_db.zip"]              # its files are checked one by one


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", _tar(CONTENT)[:3000], _zip(CONTENT)[:3000]])
def test_rubbish_is_no_archive(source, server, tmp_path, content):
    server.files["/a.tar.gz"] = content
    with pytest.raises(DatasetError, match="faces cannot be had"):
        get(source, tmp_path)
    assert not (tmp_path / "faces").exists()


def _special(kind, target=""):
    info = tarfile.TarInfo("some_db/trap")
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("trap", [
    "../evil.txt", "/tmp/evil.txt", "some_db/../../evil.txt", "C:\\evil.txt", _special(tarfile.SYMTYPE, "/etc/passwd"),
    _special(tarfile.SYMTYPE, "marker.txt"), _special(tarfile.LNKTYPE, "some_db/marker.txt"), _special(tarfile.CHRTYPE),
    _special(tarfile.FIFOTYPE)],
    ids=lambda trap: trap if isinstance(trap, str) else f"type {trap.type.decode()} {trap.linkname}")
def test_hostile_tar(tmp_path, trap):
    (tmp_path / "a.tar").write_bytes(_tar({**CONTENT, trap: b""}, "w"))
    with pytest.raises(DatasetError, match="refused"):
        unpack(tmp_path / "a.tar", tmp_path / "inside" / "deep")
    assert not list(tmp_path.rglob("evil*")) and not list(tmp_path.rglob("trap"))


def test_hostile_zip(tmp_path):
    (tmp_path / "a.zip").write_bytes(_zip({"../evil.txt": b"x"}))
    with pytest.raises(DatasetError, match="outside"):
        unpack(tmp_path / "a.zip", tmp_path / "inside")
    assert not list(tmp_path.rglob("evil*"))


def test_known_hashes_find_a_changed_or_missing_photo(tmp_path, monkeypatch):
    (tmp_path / "01-1m.asf").write_bytes(b"points")
    (tmp_path / "hashes").write_text(hashlib.sha256(b"points").hexdigest() + " 01-1m.asf\n")
    monkeypatch.setattr(download, "HASHES", tmp_path / "hashes")
    check_imm(tmp_path)
    (tmp_path / "01-1m.asf").write_bytes(b"Points")
    with pytest.raises(DatasetError, match=r"01-1m\.asf: not the published file"):
        check_imm(tmp_path)
    (tmp_path / "01-1m.asf").unlink()
    with pytest.raises(DatasetError, match=r"01-1m\.asf: missing"):
        check_imm(tmp_path)


def test_hashes_of_all_published_files_are_known():
    names = [line.split()[1] for line in download.HASHES.read_text().splitlines()]
    assert len(set(names)) == 480 and sum(name.endswith(".asf") for name in names) == 240


def test_real_photos_have_the_published_hashes(real):
    check_imm(real / "imm_face_db")


def test_a_list_that_names_a_missing_photo_fails_the_check(embedded, tmp_path):
    check_ibug(embedded / SOURCES["ibug"].folder)
    for name in ("train", "test_parsed"):
        file = f"labels_ibug_300W_{name}.xml"
        (tmp_path / file).write_bytes((embedded / SOURCES["ibug"].folder / file).read_bytes())
    with pytest.raises(DatasetError, match=r"face_0000\.jpg: missing"):
        check_ibug(tmp_path)


def test_terms_come_first(source, server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(download, "SOURCES", {"faces": source})
    monkeypatch.delenv("ACCEPT_TERMS", raising=False)
    assert download.main(["--folder", str(tmp_path)]) == 2
    assert "Terms of use." in capsys.readouterr().out and not server.asked
    monkeypatch.setenv("ACCEPT_TERMS", "1")
    assert download.main(["--folder", str(tmp_path)]) == 0
    assert (tmp_path / "faces" / "marker.txt").exists()
    with pytest.raises(SystemExit):
        download.main(["nothing"])


def test_a_record_that_goes_away_while_it_is_read_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda path: True)               # it was there a moment ago
    assert download._recorded(tmp_path / "downloads.json") == {}


@pytest.mark.parametrize("content", ["{", "[1]", "3"])
def test_a_damaged_record_is_named_and_costs_no_download(source, tmp_path, content):
    (tmp_path / "downloads.json").write_text(content)
    with pytest.raises(ValueError, match=r"downloads\.json: not what this program wrote"):
        get(source, tmp_path)
    assert len(list((tmp_path / ".downloads").iterdir())) == 1           # the archive, from which the next call goes on
    (tmp_path / "downloads.json").unlink()
    assert _installed(get(source, tmp_path)) == WANTED


def test_two_downloads_at_once_both_remember_their_archives(source, server, tmp_path):
    """The second ends while the first one is being checked."""
    server.files["/b.tar.gz"] = _tar(CONTENT)
    other = replace(source, folder="others", urls=(f"{server.url}/b.tar.gz",))
    get(replace(source, check=lambda folder: get(other, tmp_path)), tmp_path)
    assert set(json.loads((tmp_path / "downloads.json").read_text())) == {*source.urls, *other.urls}


@pytest.mark.parametrize("answer, code", [("yes\n", 0), ("", 2), ("n\n", 2)])
def test_the_terms_are_asked_for_and_no_answer_is_none(source, tmp_path, monkeypatch, answer, code):
    monkeypatch.setattr(download, "SOURCES", {"faces": source})
    monkeypatch.delenv("ACCEPT_TERMS", raising=False)
    terminal = io.StringIO(answer)
    terminal.isatty = lambda: True
    monkeypatch.setattr(download.sys, "stdin", terminal)
    assert download.main(["--folder", str(tmp_path)]) == code and (tmp_path / "faces").exists() == (code == 0)


def test_an_interrupted_download_says_how_to_go_on(source, tmp_path, monkeypatch, capsys):
    def interrupt(*arguments):
        raise KeyboardInterrupt
    monkeypatch.setattr(download, "SOURCES", {"faces": source})
    monkeypatch.setattr(download, "accepted", interrupt)                # at the question, too
    assert download.main(["--folder", str(tmp_path)]) == 130 and "goes on where it stopped" in capsys.readouterr().err
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr(download, "accepted", lambda terms: True)
    assert download.main(["--folder", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.startswith("download: ")
