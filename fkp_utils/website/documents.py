"""Notebooks, texts and code as HTML, which nbconvert makes: for the server, and for who opens the site from a file."""

import functools
import html
import os
import re
from pathlib import Path
from textwrap import dedent

from ..folders import LAB_STYLE, NOTEBOOKS, PACKAGE, PROJECT

# What the site's page leads to, and that to.
PAGES = ("README.md", "notebooks/[0-9]*.ipynb", "notebooks/*.md", "bench/*.md", "bench/*/*.md", "data/README.md",
         "data/*/README.md")
_BOX = '<div class="jp-RenderedHTMLCommon" style="padding: .5rem 1rem">'
# Formulas as Markdown has them, and code, in which a dollar is one.
_FORMULA = re.compile(r"<(code|pre)\b.*?</\1>|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$]+)\$", re.DOTALL)
# What scrolls can be scrolled by keys, too.
_KEYS = """<script>addEventListener("load", () => {
  for (const one of document.querySelectorAll("pre, table, math, .highlight, .jp-InputArea-editor"))
    if (one.scrollWidth > one.clientWidth) one.tabIndex = 0; })</script></head>"""
_DARK = ":root { --jp-mirror-editor-comment-color: #7fb5b5; --jp-mirror-editor-operator-color: #cf8dff }"
_GRAPH = re.compile(r"```mermaid\n\w+ \w+(.*?)```", re.DOTALL)
_WORD = re.compile(r"(<mi>(?:cos|sin|log|max|exp|Var)</mi>)(?=<m[ins])")              # a function's name, and what follows it


def _mathml(found: re.Match) -> str:
    """A formula of a page as MathML, which browsers show without a script or a font from elsewhere."""
    from latex2mathml.converter import convert

    if found[1]:
        return found[0]
    text, display = (found["block"], "block") if found["block"] else (found["inline"], "inline")
    return _WORD.sub(r'\1<mspace width="0.17em"/>', convert(html.unescape(text), display=display))


@functools.cache
def _exporter():
    from jinja2 import pass_context
    from nbconvert.exporters import HTMLExporter

    class Exporter(HTMLExporter):
        @pass_context
        def markdown2html(self, context, source):
            return _FORMULA.sub(_mathml, super().markdown2html(context, source))

    return Exporter(mathjax_url="", require_js_url="", jquery_url="")           # nothing is fetched from elsewhere


@functools.cache
def _style() -> str:
    """JupyterLab's dark colours and `make lab`'s for pictures, where the reader's screen is dark; and what narrow ones need."""
    environment = _exporter().environment
    dark, _, _ = environment.loader.get_source(environment, "static/theme-dark.css")
    pictures = (LAB_STYLE / "custom.css").read_text(encoding="utf-8").replace('[data-jp-theme-light="false"] ', "")
    ours = (PACKAGE / "website" / "templates" / "page.css").read_text(encoding="utf-8")
    return f"<style>{ours}\n@media screen and (prefers-color-scheme: dark) {{ {dark}\n{pictures}\n{_DARK} }}</style>{_KEYS}"


@functools.cache
def _as_page(source: Path, changed: float) -> str:
    import nbformat

    if source.suffix == ".ipynb":
        notebook = nbformat.read(source, 4)
    else:
        text = _GRAPH.sub(lambda graph: f"```{dedent(graph[1]).replace('-->', '→').replace(' &', ',')}```",
                          source.read_text(encoding="utf-8"))                           # what draws it would have to be fetched
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    notebook.metadata.title = source.stem.replace("_", " ")
    page = _exporter().from_notebook_node(notebook)[0].replace("</head>", _style(), 1)
    page = re.sub(r'(<h\d id="|href="#)[^"]*', lambda found: found[0].lower(), page)       # as links in Markdown have them
    up = "../" * (len(source.relative_to(PROJECT).parts) - 1)
    beside = {"The website": "website/index.html", "README": "README.md", "Code": "README.md#all-the-code",
              **{path.stem.replace("_", " "): f"notebooks/{path.name}" for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))},
              "Words": "notebooks/words.md", "For teachers": "notebooks/teachers.md"}
    bar = _BOX + "&nbsp; ".join(f'<a href="{up}{place}">{name}</a>' for name, place in beside.items())
    return page.replace("<main>", f"<nav>{bar}</div></nav><main>", 1).replace("</main>", f"{'' if up else _code()}</main>", 1)


def _code() -> str:
    from nbconvert.filters import Highlight2HTML

    code = {path.relative_to(PACKAGE.parent).as_posix(): Highlight2HTML(pygments_lexer="python")(text)
            for path in sorted(PACKAGE.rglob("*.py")) if (text := path.read_text(encoding="utf-8"))}
    listed = "".join(f'<details><summary>{name}</summary><div id="{name}">{text}</div></details>'
                     for name, text in code.items())                    # a link to what is inside a closed one opens it
    return f'{_BOX}<h2 id="all-the-code">All the code</h2>{listed}</div>'


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
