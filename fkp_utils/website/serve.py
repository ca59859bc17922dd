"""The website at http://localhost:8000, for the demo.

    python -m fkp_utils.website.serve [port]

Needs no package. Unlike `python -m http.server` it sends the two headers without which browsers give a page no threads
(https://web.dev/articles/coop-coep); the demo works without them, too, only slower.
"""

import contextlib
import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .. import command
from ..folders import WEBSITE


class _Isolated(SimpleHTTPRequestHandler):
    """Files of a folder, as pages that may share memory between threads."""

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
