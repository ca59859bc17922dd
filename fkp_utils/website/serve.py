"""The website at http://localhost:8000, for the demo, and what its page links to: notebooks, code, README.

    python -m fkp_utils.website.serve [port]

Needs no package; where nbconvert is there, notebooks and texts are shown as pages, and `pages` writes them for who opens the
site from a file. Unlike `python -m http.server` it sends the two headers without which browsers give a page no threads
(https://web.dev/articles/coop-coep); the demo works without them, too, only slower.
"""

import contextlib
import functools
import importlib.util
import os
import re
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .. import command
from ..folders import NOTEBOOKS, PACKAGE, PROJECT, WEBSITE

# What the site's page leads to, and that to: as pages, and as it is; text that browsers would offer to save.
PAGES = ("README.md", "notebooks/[0-9]*.ipynb", "notebooks/*.md", "bench/*.md", "bench/*/*.md", "data/README.md",
         "data/*/README.md")
SHOWN = ("notebooks", "fkp_utils", "website", "LICENSE", ".github")
TEXT = "text/plain; charset=utf-8"
_BOX = '<div class="jp-RenderedHTMLCommon" style="padding: .5rem 1rem">'


@functools.cache
def _exporter():
    from nbconvert.exporters import HTMLExporter

    # Nothing is fetched from elsewhere, so that formulas stay as they are typed.
    return HTMLExporter(mathjax_url="", require_js_url="", jquery_url="")


@functools.cache
def _as_page(source: Path, changed: float) -> str:
    import nbformat

    if source.suffix == ".ipynb":
        notebook = nbformat.read(source, 4)
    else:
        text = source.read_text(encoding="utf-8").replace("```mermaid", "```")       # what draws it would have to be fetched
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    notebook.metadata.title = source.stem
    page = _exporter().from_notebook_node(notebook)[0]
    page = re.sub(r'(<h\d id="|href="#)[^"]*', lambda found: found[0].lower(), page)       # as links in Markdown have them
    up = "../" * (len(source.relative_to(PROJECT).parts) - 1)
    beside = {"The website": "website/index.html", "README": "README.md", "Code": "README.md#the-code",
              **{path.stem: f"notebooks/{path.name}" for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))}}
    bar = "&nbsp; ".join(f'<a href="{up}{place}">{name}</a>' for name, place in beside.items())
    return page.replace("<main>", f"{_BOX}{bar}</div><main>", 1).replace("</main>", f"{'' if up else _code()}</main>", 1)


def _code() -> str:
    from nbconvert.filters import Highlight2HTML

    code = {path.relative_to(PACKAGE.parent).as_posix(): Highlight2HTML(pygments_lexer="python")(text)
            for path in sorted(PACKAGE.rglob("*.py")) if (text := path.read_text(encoding="utf-8"))}
    links = "&nbsp; ".join(f'<a href="#{name}">{name}</a>' for name in code)
    listed = "".join(f'<h3 id="{name}">{name}</h3>{text}' for name, text in code.items())
    return f'{_BOX}<h2 id="the-code">The code</h2><p>{links}</p>{listed}</div>'


def as_page(source: Path) -> str:
    """A notebook or a text of the project as HTML, as nbconvert makes it; below README.md is the package's code."""
    return _as_page(source, max(path.stat().st_mtime for path in (source, *PACKAGE.rglob("*.py"))))


def pages(site: Path) -> None:
    """Write `PAGES` into site/pages, for who opens the site from a file; last there.js, by which its page knows of them."""
    from ..files import write_text

    sources = [path for pattern in PAGES for path in sorted(PROJECT.glob(pattern))]
    made = {source: (site.resolve() / "pages" / source.relative_to(PROJECT)).with_suffix(".html") for source in sources}
    for source, target in made.items():
        def led(link, source=source, target=target):
            path = Path(os.path.normpath(source.parent / link[2]))
            to = Path(os.path.relpath(made.get(path, path), target.parent)).as_posix()
            return f'{link[1]}="{to}{link[3]}"' if path.exists() else link[0]
        write_text(target, re.sub(r'\b(href|src)="([^"#:]+)(#?[^"]*)"', led, as_page(source)))
    write_text(site / "pages" / "there.js", "")
    print(f"{site / 'pages'}: {len(made)} notebooks and texts as HTML")


class _Isolated(SimpleHTTPRequestHandler):
    """Files of a site, as pages that may share memory between threads, and `PAGES` and `SHOWN` of the project."""

    def guess_type(self, path):
        # Windows has its own ideas.
        kinds = {**dict.fromkeys((".py", ".md", ".yml"), TEXT), **dict.fromkeys((".js", ".mjs"), "text/javascript")}
        return kinds.get(Path(path).suffix) or super().guess_type(path)

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
