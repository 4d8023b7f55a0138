"""Addresses to listen on, as texts.

    HOST:PORT              TLS; an IPv6 host in brackets
    unix:PATH              TLS over a Unix socket
    http://HOST:PORT       without TLS, on this machine only
    http://unix:PATH       likewise

The file of a Unix socket may be used by its owner and group, or as `?mode=` says behind the path.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ticker.errors import ConfigError

_PLAIN = "http://"
_UNIX = "unix:"
_SOCKET_MODE = 0o660
_MAX_SOCKET_PATH = 107
"""Bytes of the path of a Unix socket (unix(7))."""

_HOST_EXAMPLES = "127.0.0.1:9443 or [::1]:9443"
_EXAMPLES = "127.0.0.1:8443, [::1]:8443 or unix:/run/ticker/ticker.sock; before it http:// for a proxy that ends TLS"


class Address(NamedTuple):
    """An address to listen on."""

    text: str
    """As it was given."""
    host: str = ""
    port: int = 0
    path: str = ""
    """Of a Unix socket; empty for others."""
    mode: int = _SOCKET_MODE
    """Permissions of that file."""
    plain: bool = False
    """Without TLS."""


def parse_address(text: str, key: str = "listen") -> Address:
    """Parse an address of the setting `key`. Raises `ConfigError`."""
    rest = text.removeprefix(_PLAIN)
    plain = rest != text
    if rest.startswith(_UNIX):
        path, mode = _parse_path(text, rest.removeprefix(_UNIX), key)
        return Address(text, path=path, mode=mode, plain=plain)
    host, port = parse_host_port(rest, key, text)
    return Address(text, host, port, plain=plain)


def parse_host_port(rest: str, key: str, text: str | None = None) -> tuple[str, int]:
    """Split HOST:PORT, with an IPv6 host in brackets. Raises `ConfigError`.

    That shows `text`, for which all forms of an address may stand; without it, only these.
    """
    examples = _HOST_EXAMPLES if text is None else _EXAMPLES
    text = rest if text is None else text
    host, colon, port = rest.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or (":" in host and not bracketed) or not (port.isascii() and port.isdigit()):
        raise ConfigError(f"{key} {text!r}: give HOST:PORT, such as {examples}")
    if len(port) > 5 or int(port) > 65_535:
        raise ConfigError(f"{key} {text!r}: a port is a number from 0 to 65535")
    return host.strip("[]"), int(port)


def _parse_path(text: str, rest: str, key: str) -> tuple[str, int]:
    path, question, option = rest.partition("?")
    if not path.startswith("/") or "\0" in path:
        raise ConfigError(f"{key} {text!r}: give the whole path of a Unix socket: unix:/run/ticker/ticker.sock")
    if len(path.encode("utf-8", "surrogateescape")) > _MAX_SOCKET_PATH:
        raise ConfigError(f"{key} {text!r}: the path of a Unix socket has at most {_MAX_SOCKET_PATH} bytes")
    mode = re.fullmatch("mode=([0-7]{3,4})", option)
    if question and mode is None:
        raise ConfigError(f"{key} {text!r}: behind the path stands ?mode=660, the permissions of the file, or nothing")
    return path, int(mode[1], 8) if mode is not None else _SOCKET_MODE
