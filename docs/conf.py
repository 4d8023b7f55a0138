"""The documentation site: `make docs` builds it with Sphinx, from Markdown, the folders' READMEs and docstrings."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "feeds")]

project = "Ticker"
author = "the authors of Ticker"
copyright = author  # noqa: A001  # Sphinx's name
html_title = "Ticker"
html_theme = "furo"
html_show_sphinx = False
html_copy_source = False

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.intersphinx"]
exclude_patterns = ["_build"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
default_role = "literal"  # docstrings have code in single backticks, as Markdown has

# Without a network, the names of Trio that we mention are found in the copy: `trio_names.py` makes it.
intersphinx_mapping = {"trio": ("https://trio.readthedocs.io/en/stable", (None, "inventories/trio.inv"))}
intersphinx_timeout = 5

linkcheck_ignore = [r"https?://(localhost|127\.0\.0\.1)\b.*", r"https://[\w.]*example\.com\b.*"]
linkcheck_timeout = 10

PAGES = {
    "README.md": "index",
    "ticker/client/README.md": "python",
    "ticker/web/README.md": "javascript",
    "feeds/README.md": "adapters",
    "feeds/ticker_feeds/README.md": "feeds",
    "ticker/server/README.md": "operators",
    "ticker/supervisor/README.md": "workers",
    "ticker/bus/README.md": "buses",
    "ticker/door/README.md": "proxies",
    "deploy/README.md": "deployment",
    "examples/README.md": "examples",
    "PROTOCOL.md": "protocol",
    "SECURITY.md": "security",
    "benchmarks/README.md": "benchmarks",
    "benchmarks/SIZING.md": "sizing",
    "CONTRIBUTING.md": "contributing",
    "CHANGELOG.md": "changelog",
}
"""Files of the repository that are pages of the site, and the names that they have here."""

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:|mailto:|#)([^)\s]+)\)")


def rewritten(text: str, file: Path) -> str:
    """The text of a file of the repository with its links for the site: to pages here; a source file is only named."""

    def replace(found: re.Match[str]) -> str:
        picture, label, target = found.groups()
        name, _, heading = target.partition("#")
        path = (file.parent / name).resolve()
        if picture:
            return f"![{label}]({os.path.relpath(path, ROOT / 'docs')})"
        page = PAGES.get(path.relative_to(ROOT).as_posix())
        if page is None:
            return label
        if page == "index":  # it has not the README's headings
            heading = ""
        return f"[{label}]({page}.md{'#' if heading else ''}{heading})"

    return _LINK.sub(replace, text)


def _include(app: Sphinx, relative: Path, _parent: str, content: list[str]) -> None:
    content[0] = rewritten(content[0], (Path(app.srcdir) / relative).resolve())


def with_code(lines: list[str]) -> list[str]:
    """The lines of a docstring with `::` before each indented block, which is code as in Markdown."""
    found: list[str] = []
    paragraph = ""
    for line in lines:
        if line.startswith("    ") and found[-1:] == [""] and not paragraph.startswith((" ", "-")):
            found += ["::", ""]
        if line:
            paragraph = line
        found.append(line)
    return found


def _docstring(  # what Sphinx hands over
    _app: Sphinx, _kind: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    lines[:] = with_code(lines)


def _signature(
    _app: Sphinx, kind: str, _name: str, given: object, _options: object, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """The constructor of what users do not make themselves is not shown."""
    if kind == "class" and "Made by " in (given.__doc__ or ""):
        return "", None
    return signature, returned


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", _signature)
    app.connect("include-read", _include)
    app.connect("autodoc-process-docstring", _docstring)
    for language in ("caddyfile", "haproxy"):  # Pygments does not know them
        app.add_lexer(language, TextLexer)
