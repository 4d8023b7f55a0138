"""The files of the dashboard and the JavaScript client, held in memory, compressed once."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from ticker.net.http1 import Response, accepts_gzip

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


class Files:
    """The files of a folder and of the folders in it, by path."""

    def __init__(self, folder: Path) -> None:
        self._plain: dict[str, Response] = {}
        self._compressed: dict[str, Response] = {}
        for file in sorted(folder.rglob("*")):
            if file.suffix in _TYPES:
                self._add(f"/{file.relative_to(folder).as_posix()}", file)
        if "/index.html" in self._plain:
            self._plain["/"], self._compressed["/"] = self._plain["/index.html"], self._compressed["/index.html"]

    def __repr__(self) -> str:
        return f"<Files: {len(self._plain)} of them>"

    def find(self, path: str, headers: Mapping[bytes, bytes]) -> Response | None:
        """The file at a path, in the form that suits the client; None if there is none."""
        return (self._compressed if accepts_gzip(headers) else self._plain).get(path)

    def _add(self, path: str, file: Path) -> None:
        body = file.read_bytes()
        tag = sha256(body).hexdigest()[:20]
        headers = {
            "Cache-Control": "no-cache",
            "Vary": "Accept-Encoding",
            "Content-Security-Policy": _POLICY,
            "Cross-Origin-Opener-Policy": "same-origin",
        }
        content_type = _TYPES[file.suffix]
        self._plain[path] = Response(body, content_type, headers={**headers, "ETag": f'"{tag}"'})
        packed = {**headers, "ETag": f'"{tag}-gzip"', "Content-Encoding": "gzip"}
        self._compressed[path] = Response(gzip.compress(body, mtime=0), content_type, headers=packed)
