"""The files of the dashboard and the JavaScript client, held in memory, each compressed when it is first asked for.

`/` is the page with its modules as one file, and its style sheets too (`bundle`), made when the service starts.
`/index.html` is the page as it stands in the folder, whose modules come one by one: for work on them.
"""

from __future__ import annotations

import gzip
import posixpath
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from ticker.net.http1 import Response, accepts_gzip
from ticker.server.bundle import bundle

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Only files of these kinds are served."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' wss:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing from elsewhere, and no script or style within the page (Content Security Policy, level 3)."""

_MODULE = re.compile(r'<script type="module"[^>]* src="([^"]+)"></script>')
_SCRIPTS = re.compile(r'<script src="[^"]+"></script>(?:\s*<script src="[^"]+"></script>)*')
_SRC = re.compile(r'src="([^"]+)"')
_STYLES = re.compile(r'<link rel="stylesheet" href="[^"]+">(?:\s*<link rel="stylesheet" href="[^"]+">)*')
_HREF = re.compile(r'href="([^"]+)"')


class Files:
    """The files of a folder and of the folders in it, by path."""

    def __init__(self, folder: Path) -> None:
        """Raises `ConfigError` for a page whose modules cannot be bundled."""
        self._contents = {
            file.relative_to(folder).as_posix(): file.read_bytes()
            for file in sorted(folder.rglob("*"))
            if file.suffix in _TYPES
        }
        self._responses: dict[tuple[str, bool], Response] = {}
        """Those that were asked for, by path and whether they are compressed: most starts of a service ask for none."""
        if "index.html" in self._contents:
            self._contents |= _bundled(self._contents)

    def __repr__(self) -> str:
        return f"<Files: {len(self._contents)} of them>"

    def find(self, path: str, headers: Mapping[bytes, bytes]) -> Response | None:
        """The file at a path, in the form that suits the client; None if there is none."""
        body = self._contents.get(path[1:]) if path.startswith("/") else None
        if body is None:
            return None
        compressed = accepts_gzip(headers)
        response = self._responses.get((path, compressed))
        if response is None:
            response = self._responses[path, compressed] = _response(path, body, compressed=compressed)
        return response


def _response(path: str, body: bytes, *, compressed: bool) -> Response:
    tag = sha256(body).hexdigest()[:20]
    headers = {
        "Cache-Control": "no-cache",
        "Vary": "Accept-Encoding",
        "Content-Security-Policy": _POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    content_type = _TYPES[posixpath.splitext(path)[1] or ".html"]
    if not compressed:
        return Response(body, content_type, headers={**headers, "ETag": f'"{tag}"'})
    packed = {**headers, "ETag": f'"{tag}-gzip"', "Content-Encoding": "gzip"}
    return Response(gzip.compress(body, mtime=0), content_type, headers=packed)


def _bundled(contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the page, at the empty path, and the files that it has in place of those of index.html.

    The modules, the largest file, have to follow the page and the scripts of its head on the same connection: another
    one takes two round trips before its first request. So the style sheets, which are small, do not go first.
    """
    page = contents["index.html"].decode()
    made: dict[str, bytes] = {}
    if module := _MODULE.search(page):
        entry = module[1]
        sources = {path: content.decode() for path, content in contents.items() if path.endswith(".js")}
        path = f"{posixpath.dirname(entry)}/bundle.js"
        made[path] = bundle(entry, sources).encode()
        page = page.replace(entry, path)
    if scripts := _SCRIPTS.search(page):
        paths = _SRC.findall(scripts[0])
        path = f"{posixpath.dirname(paths[0])}/head.js"
        made[path] = b"\n".join(contents[each] for each in paths)
        page = page.replace(scripts[0], f'<script src="{path}"></script>')
    if styles := _STYLES.search(page):
        paths = _HREF.findall(styles[0])
        path = f"{posixpath.dirname(paths[0])}/bundle.css"
        made[path] = b"\n".join(contents[each] for each in paths)
        page = page.replace(styles[0], f'<link rel="stylesheet" fetchpriority="low" href="{path}">')
    return {"": page.encode(), **made}
