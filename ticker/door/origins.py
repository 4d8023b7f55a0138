"""The Origin of a request: a page connects if it comes from this server or from an allowed origin.

Origins are compared as scheme, host and port (RFC 6454, section 5). Those of applications have schemes of their own,
such as `capacitor://localhost`. Programs send none: their token admits them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TypeAlias

Origin: TypeAlias = tuple[str, str, int | None]
"""Scheme, host and port; the port is None where the scheme has no usual one."""

_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@\s]+)", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(?::([0-9]{1,5}))?", re.IGNORECASE)

OPAQUE: Mapping[str, Origin] = {"null": ("null", "", None), "file://": ("file", "", None)}
"""Origins that many pages share: of a file, of a frame in a sandbox, and others that browsers keep to themselves.
Allowed only by name, and never with a token in a cookie."""


def parse_origin(text: str) -> Origin | None:
    """Parse an origin as browsers write it, `https://dash.example.com:8443`; None for other texts."""
    if text in OPAQUE:
        return OPAQUE[text]
    whole = _ORIGIN.fullmatch(text)
    return _parse_authority(whole[1].lower(), whole[2]) if whole is not None else None


def origin_allowed(headers: Mapping[bytes, bytes], allowed: Collection[Origin]) -> bool:
    """Return whether a request has no Origin, this server's own, or one in `allowed`."""
    if b"origin" not in headers:
        return True
    origin = parse_origin(headers[b"origin"].decode("latin-1"))
    own = _parse_authority("https", headers.get(b"host", b"").decode("latin-1"))
    return origin is not None and (origin == own or origin in allowed)


def _parse_authority(scheme: str, authority: str) -> Origin | None:
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        return None
    return scheme, parts[1].lower(), int(parts[2]) if parts[2] else _PORTS.get(scheme)
