"""Notebooks, texts and code as HTML, which nbconvert makes: for the server, and for who opens the site from a file."""

import functools
import os
import re
from pathlib import Path

from ..folders import NOTEBOOKS, PACKAGE, PROJECT

# What the site's page leads to, and that to.
PAGES = ("README.md", "notebooks/[0-9]*.ipynb", "notebooks/*.md", "bench/*.md", "bench/*/*.md", "data/README.md",
         "data/*/README.md")
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
