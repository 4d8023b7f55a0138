"""The dashboard's page with all that it needs in it: scripts, modules, style sheets and icon.

Over a long way, each further file is a request after the page, on the page's connection or on one that first has to be
made. What is in the page comes right behind its head, which fits into the first window of a connection with the scripts
that open the stream. The policy allows what is in the page by its hash, and no other script or style.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from ticker.errors import ConfigError
from ticker.server.bundle import bundle

_SCRIPTS = re.compile(r'<script src="[^"]+"></script>(?:\s*<script src="[^"]+"></script>)*')
_MODULE = re.compile(r'\s*<script type="module" src="([^"]+)"></script>')
_STYLES = re.compile(r'<link rel="stylesheet" href="[^"]+">(?:\s*<link rel="stylesheet" href="[^"]+">)*')
_ADDRESS = re.compile(r'(?:src|href)="([^"]+)"')
_ICON = re.compile(r'\b(src|href)="([^"]+\.svg)"')

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
"""One of a style sheet."""

_ENDS_SCRIPT = re.compile(r"<!--|</?script", re.IGNORECASE)
"""After these, an HTML parser does not see the end of a script where it is (HTML, section 13.2.5.4)."""


class WholePage(NamedTuple):
    """A page and its policy."""

    html: str
    policy: str
    """Its Content-Security-Policy."""


def policy_of(scripts: Sequence[str], styles: Sequence[str]) -> str:
    """Return a Content-Security-Policy (level 3) that allows these sources, and nothing else from elsewhere."""
    return (
        f"default-src 'none'; script-src {' '.join(scripts)}; style-src {' '.join(styles)}; img-src 'self' data:;"
        " connect-src 'self' wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def whole_page(contents: Mapping[str, bytes]) -> WholePage:
    """Return the page of `index.html`, with the files of `contents` that it names in it.

    The modules stand at its end: what is seen without them is painted meanwhile. Raises `ConfigError` for modules that
    cannot be bundled, and for scripts that cannot stand in a page.
    """
    page = contents["index.html"].decode()
    scripts, styles = list[str](), list[str]()
    if found := _SCRIPTS.search(page):
        script = _script(contents, _ADDRESS.findall(found[0]))
        scripts.append(script)
        page = page.replace(found[0], f"<script>{script}</script>")
    if found := _STYLES.search(page):
        style = _style(contents, _ADDRESS.findall(found[0]))
        styles.append(style)
        page = page.replace(found[0], f"<style>{style}</style>")
    page = _ICON.sub(lambda icon: f'{icon[1]}="{_data_address(contents[icon[2]])}"', page)
    if found := _MODULE.search(page):
        sources = {path: content.decode() for path, content in contents.items() if path.endswith(".js")}
        module = _checked(bundle(found[1], sources), found[1])
        scripts.append(module)
        before, _, behind = page.replace(found[0], "").rpartition("</body>")
        page = f'{before}<script type="module">{module}</script>\n</body>{behind}'
    return WholePage(page, policy_of([_hash(text) for text in scripts], [_hash(text) for text in styles]))


def _script(contents: Mapping[str, bytes], paths: Sequence[str]) -> str:
    """Return classic scripts as one."""
    return "\n".join(_checked(contents[path].decode(), path) for path in paths)


def _checked(script: str, path: str) -> str:
    if found := _ENDS_SCRIPT.search(script):
        raise ConfigError(f"{path}: a script with {found[0]!r} cannot stand in a page")
    return script


def _style(contents: Mapping[str, bytes], paths: Sequence[str]) -> str:
    """Return style sheets as one, without comments, indents and empty lines.

    Raises `ConfigError` for one with addresses, which would be others in the page.
    """
    for path in paths:
        if b"url(" in contents[path]:
            raise ConfigError(f"{path}: a style sheet with url(…) cannot stand in the page")
    text = "\n".join(_COMMENT.sub("", contents[path].decode()) for path in paths)
    return "\n".join(stripped for line in text.split("\n") if (stripped := line.strip()))


def _data_address(icon: bytes) -> str:
    return f"data:image/svg+xml;base64,{b64encode(icon).decode()}"


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
