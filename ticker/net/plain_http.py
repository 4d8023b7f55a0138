"""The answer to a request without TLS at a port that has TLS: the address with https. No I/O."""

from __future__ import annotations

import re

_HOST = re.compile(
    rb"\r?\nhost:[ \t]*((?:[a-z0-9._-]{1,255}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?)[ \t]*\r?\n", re.IGNORECASE
)
_TARGET = re.compile(rb"(?:GET|HEAD) (/[!-~]{0,2000}) HTTP/1\.[01]\r?\n")
_PAGE = re.compile(rb"\r?\naccept:[^\r\n]*text/html", re.IGNORECASE)
_SECRETS = re.compile(rb"\r?\n(?:authorization|cookie):", re.IGNORECASE)


def answer_without_tls(received: bytes) -> bytes:
    """Return the whole response to a request of which these bytes have come.

    A browser that opens a page is sent to the address with https. Anything else, and whatever carries a secret, is
    told: a program that was sent on would give its token away on each request, and nobody would notice.
    """
    host = _HOST.search(received)
    target = _TARGET.match(received)
    address = b"https://%b%b" % (host[1] if host else b"HOST:PORT", target[1] if target else b"/")
    text = b"This port speaks TLS: use %b\n" % address
    lines = [b"HTTP/1.1 400 Bad Request"]
    if host and target and _PAGE.search(received) and not _SECRETS.search(received):
        lines = [b"HTTP/1.1 307 Temporary Redirect", b"Location: " + address]
    lines += [
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Length: %d" % len(text),
        b"Cache-Control: no-store",
        b"X-Content-Type-Options: nosniff",
        b"Connection: close",
    ]
    return b"\r\n".join([*lines, b"", b"" if received.startswith(b"HEAD ") else text])
