"""The files of the dashboard and the JavaScript client, held in memory, each compressed when it is first asked for.

`/` is the page with all that it needs in it (`whole_page`), made when the service starts. `/index.html` is the page as
it stands in the folder, whose scripts, modules and style sheets come one by one: for work on them.
"""

from __future__ import annotations

import gzip
import posixpath
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from ticker.net.http1 import Response, accepts_gzip
from ticker.server.whole_page import policy_of, whole_page

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Only files of these kinds are served."""

_POLICY = policy_of(["'self'"], ["'self'"])
"""Of each file but the page at `/`: nothing from elsewhere, and no script or style within it."""


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
        self._policies: dict[str, str] = {}
        """Those of pages that have one of their own, by path."""
        if "index.html" in self._contents:
            html, self._policies["/"] = whole_page(self._contents)
            self._contents[""] = html.encode()

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
            response = self._responses[path, compressed] = _response(
                path, body, self._policies.get(path, _POLICY), compressed=compressed
            )
        return response


def _response(path: str, body: bytes, policy: str, *, compressed: bool) -> Response:
    tag = sha256(body).hexdigest()[:20]
    headers = {
        "Cache-Control": "no-cache",
        "Vary": "Accept-Encoding",
        "Content-Security-Policy": policy,
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    content_type = _TYPES[posixpath.splitext(path)[1] or ".html"]
    if not compressed:
        return Response(body, content_type, headers={**headers, "ETag": f'"{tag}"'})
    packed = {**headers, "ETag": f'"{tag}-gzip"', "Content-Encoding": "gzip"}
    return Response(gzip.compress(body, mtime=0), content_type, headers=packed)
