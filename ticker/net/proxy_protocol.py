"""The PROXY protocol, versions 1 and 2, as its receiver: the address of a client in front of its first byte.

The specification is HAProxy's `proxy-protocol.txt`. Its receiver never guesses whether a header is there: the
configuration says which peers send one.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

import trio

from ticker.bounds import MAX_PROXY_HEADER_BYTES
from ticker.errors import BadProxyHeader
from ticker.net.fair_queue import FairQueue

_V1 = b"PROXY "
_V1_BYTES = 107
"""The longest line of version 1, with its end (section 2.1)."""

_V2 = b"\r\n\r\n\0\r\nQUIT\n"
_V2_HEAD = 16
"""Bytes before the addresses: signature, version and command, family and transport, length (section 2.2)."""

_LOCAL, _PROXY = 0, 1
_TCP4, _TCP6 = 0x11, 0x21


class ProxyHeader(NamedTuple):
    """The header of a connection."""

    address: str | None
    """Of the client; None if the connection is the proxy's own, such as a check of health."""
    rest: bytes
    """Bytes received behind the header."""


async def receive_proxy_header(sock: socket.socket, fair_queue: FairQueue) -> ProxyHeader:
    """Receive the header of a connection, in its turns.

    Raises `BadProxyHeader`, `trio.BrokenResourceError` if nothing comes, and `OSError` of the socket.
    """
    data = b""
    while (header := parse_proxy_header(data)) is None:
        await trio.lowlevel.wait_readable(sock)
        await fair_queue.take()
        try:
            more = sock.recv(MAX_PROXY_HEADER_BYTES - len(data))
        except BlockingIOError:
            continue
        if not more and not data:
            raise trio.BrokenResourceError("the peer left before its first byte")
        if not more:
            raise BadProxyHeader("the connection ended before its PROXY header was complete")
        data += more
    return header


def parse_proxy_header(data: bytes) -> ProxyHeader | None:
    """Parse the first bytes of a connection; None if more are needed. Raises `BadProxyHeader`."""
    if data[: len(_V2)] == _V2[: len(data)]:
        return _parse_v2(data)
    if data[: len(_V1)] == _V1[: len(data)]:
        return _parse_v1(data)
    raise BadProxyHeader("the connection begins without a PROXY header")


def _parse_v1(data: bytes) -> ProxyHeader | None:
    line, end, rest = data.partition(b"\r\n")
    if len(line) + 2 > _V1_BYTES:
        raise BadProxyHeader(f"a PROXY line has at most {_V1_BYTES} bytes")
    if not end:
        return None
    words = line.split(b" ")
    if words[1] == b"UNKNOWN":
        return ProxyHeader(None, rest)
    if len(words) != 6 or words[1] not in {b"TCP4", b"TCP6"} or not all(_is_port(port) for port in words[4:]):
        raise BadProxyHeader("a PROXY line has TCP4 or TCP6, two addresses and two ports, or UNKNOWN")
    try:
        source, _ = (_parse_ip(word, words[1] == b"TCP4") for word in words[2:4])
    except ValueError:
        raise BadProxyHeader("an address in the PROXY line is none") from None
    return ProxyHeader(_text(source), rest)


def _parse_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < _V2_HEAD:
        return None
    version, command, family = data[12] >> 4, data[12] & 15, data[13]
    end = _V2_HEAD + int.from_bytes(data[14:16], "big")
    if version != 2 or command not in {_LOCAL, _PROXY} or family >> 4 > 3 or family & 15 > 2:
        raise BadProxyHeader(f"a PROXY header of version 2 with the bytes {data[12]:#04x} {family:#04x} is unknown")
    if end > MAX_PROXY_HEADER_BYTES:
        raise BadProxyHeader(f"a PROXY header of {end} bytes; {MAX_PROXY_HEADER_BYTES} are allowed")
    if len(data) < end:
        return None
    body, rest = data[_V2_HEAD:end], data[end:]
    if command == _LOCAL or family not in {_TCP4, _TCP6}:
        return ProxyHeader(None, rest)  # other families name no client that limits could count (section 2.2)
    if len(body) < (12 if family == _TCP4 else 36):
        raise BadProxyHeader("a PROXY header of version 2 that is too short for its addresses")
    return ProxyHeader(_text(IPv4Address(body[:4]) if family == _TCP4 else IPv6Address(body[:16])), rest)


def _parse_ip(word: bytes, is_v4: bool) -> IPv4Address | IPv6Address:  # noqa: FBT001  # the family's name
    text = word.decode("latin-1")
    if "%" in text or "/" in text:
        raise ValueError(text)
    return IPv4Address(text) if is_v4 else IPv6Address(text)


def _is_port(word: bytes) -> bool:
    return word.isdigit() and len(word) <= 5 and int(word) <= 65_535


def _text(address: IPv4Address | IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(address if mapped is None else mapped)
