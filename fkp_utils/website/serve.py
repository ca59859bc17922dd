"""The website at http://localhost:8000, for the demo, and what its page links to: notebooks, code, README.

    python -m fkp_utils.website.serve [port]

Needs no package; where nbconvert is there, notebooks and texts are shown as pages. Unlike `python -m http.server` it sends
the two headers without which browsers give a page no threads (https://web.dev/articles/coop-coep); the demo works without
them, too, only slower.
"""

import contextlib
import functools
import importlib.util
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .. import command
from ..folders import PROJECT, WEBSITE
from .documents import PAGES, as_page

# What the pages lead to, as it is; text that browsers would offer to save.
SHOWN = ("notebooks", "fkp_utils", "website", "LICENSE", ".github")
TEXT = "text/plain; charset=utf-8"


class _Isolated(SimpleHTTPRequestHandler):
    """Files of a site, as pages that may share memory between threads, and `PAGES` and `SHOWN` of the project."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {             # Windows has its own ideas
        ".py": TEXT, ".md": TEXT, ".yml": TEXT, ".js": "text/javascript", ".mjs": "text/javascript"}

    def translate_path(self, path):
        found = Path(super().translate_path(path))
        parts = found.relative_to(self.directory).parts if found.is_relative_to(self.directory) else ()
        if not found.exists() and parts and (parts[0] in SHOWN or any(Path(*parts).match(pattern) for pattern in PAGES)):
            found = PROJECT.joinpath(*parts)
        return f"{found}/" if path.partition("?")[0].endswith("/") and found.is_dir() else str(found)

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if path.suffix not in (".ipynb", ".md") or not path.is_file() or importlib.util.find_spec("nbconvert") is None:
            return super().do_GET()
        page = as_page(path).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def end_headers(self):
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *arguments):
        pass


def server(port: int = 0, site: Path = WEBSITE) -> ThreadingHTTPServer:
    """A server for this machine only; port 0 is any that is free. OSError where the port is taken."""
    return ThreadingHTTPServer(("127.0.0.1", port), functools.partial(_Isolated, directory=str(site)))


def main() -> int:
    """Command line; serves until Ctrl-C."""
    parser = command.parser("website.serve", __doc__, "", "8080")
    parser.add_argument("port", nargs="?", type=command.whole(0, 65535), default=8000, metavar="PORT",
                        help="of this machine; 0 is any that is free (default: %(default)s)")
    port = parser.parse_args().port

    def job() -> None:
        try:
            http = server(port)
        except OSError as error:
            raise OSError(f"port {port}: {error.strerror}; name another one") from None
        print(f"http://localhost:{http.server_port}/ until Ctrl-C", flush=True)
        with http, contextlib.suppress(KeyboardInterrupt):
            http.serve_forever()
    return command.run("serve", job)


if __name__ == "__main__":
    sys.exit(main())
