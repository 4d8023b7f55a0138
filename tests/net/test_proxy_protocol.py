"""ticker/net/proxy_protocol.py: headers of both versions, in any pieces, and what is none."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address

import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st

from tests.bounds import HANG_SECONDS
from ticker.bounds import MAX_PROXY_HEADER_BYTES
from ticker.errors import BadProxyHeader
from ticker.net.fair_queue import FairQueue
from ticker.net.proxy_protocol import ProxyHeader, parse_proxy_header, receive_proxy_header

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def version_2(source: str, *, command: int = 1, family: int | None = None, more: bytes = b"") -> bytes:
    """A header of version 2 with this source; `more` are further values (TLVs)."""
    packed = ip_address(source).packed
    body = packed + bytes(len(packed)) + struct.pack("!HH", 51_234, 8443) + more
    kind = (0x11 if len(packed) == 4 else 0x21) if family is None else family
    return SIGNATURE + bytes((0x20 | command, kind)) + struct.pack("!H", len(body)) + body


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 51234 8443\r\n", "203.0.113.7"),
        (b"PROXY TCP6 2001:DB8::7 fd00::1 51234 8443\r\n", "2001:db8::7"),
        (b"PROXY TCP6 ::ffff:203.0.113.7 ::ffff:10.0.0.1 1 2\r\n", "203.0.113.7"),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
        (version_2("203.0.113.7"), "203.0.113.7"),
        (version_2("2001:db8::7"), "2001:db8::7"),
        (version_2("::ffff:203.0.113.7"), "203.0.113.7"),
        (version_2("203.0.113.7", more=b"\x04\x00\x03abc"), "203.0.113.7"),
        (version_2("203.0.113.7", more=bytes(MAX_PROXY_HEADER_BYTES - 28)), "203.0.113.7"),
        (version_2("203.0.113.7", command=0), None),
        (version_2("203.0.113.7", family=0x00), None),
        (version_2("203.0.113.7", family=0x12), None),
        (version_2("203.0.113.7", family=0x31), None),
        (SIGNATURE + b"\x20\x00\x00\x00", None),
    ],
)
def test_a_header_names_its_client(header: bytes, address: str | None) -> None:
    behind = b"\x16\x03\x01 and so on\r\n"
    assert parse_proxy_header(header) == ProxyHeader(address, b"")
    assert parse_proxy_header(header + behind) == ProxyHeader(address, behind)
    for size in range(len(header)):
        assert parse_proxy_header(header[:size]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/1.1\r\n",
        b"PROXY\r\n",
        b"PROXY \r\n",
        b"proxy TCP4 203.0.113.7 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 1\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 1 2 3\r\n",
        b"PROXY TCP4  203.0.113.7 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 2001:db8::7 fd00::1 1 2\r\n",
        b"PROXY TCP6 203.0.113.7 10.0.0.1 1 2\r\n",
        b"PROXY TCP6 fe80::1%eth0 fd00::1 1 2\r\n",
        b"PROXY TCP4 203.0.113.7 nowhere 1 2\r\n",
        b"PROXY TCP4 203.0.113.07 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 1 65536\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 -1 2\r\n",
        b"PROXY TCP4 \xff 10.0.0.1 1 2\r\n",
        b"PROXY UDP4 203.0.113.7 10.0.0.1 1 2\r\n",
        b"PROXY UNKNOWN" + b" " * 93 + b"\r\n",
        b"PROXY " + b"x" * 102,
        SIGNATURE + b"\x10\x11\x00\x0c",
        SIGNATURE + b"\x31\x11\x00\x0c",
        SIGNATURE + b"\x22\x11\x00\x0c",
        SIGNATURE + b"\x21\x41\x00\x0c",
        SIGNATURE + b"\x21\x13\x00\x0c",
        SIGNATURE + b"\x21\x11\xff\xff",
        SIGNATURE + b"\x21\x11\x0f\xf1",
        SIGNATURE + b"\x21\x11\x00\x0b" + bytes(11),
        SIGNATURE + b"\x21\x21\x00\x0c" + bytes(12),
        SIGNATURE[:-1] + b"\r",
    ],
)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(BadProxyHeader):
        parse_proxy_header(data)


@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=120).map(lambda junk: b"PROXY " + junk),
        st.binary(max_size=60).map(lambda junk: b"PROXY TCP4 " + junk + b"\r\n"),
        st.binary(max_size=60).map(lambda junk: SIGNATURE + junk),
    )
)
@example(b"PROXY TCP4\r\n")
@example(b"PROXY UNKNOWN\r")
def test_any_bytes_are_a_header_or_refused_or_too_few(data: bytes) -> None:
    try:
        header = parse_proxy_header(data)
    except BadProxyHeader:
        return
    if header is None:
        assert len(data) < MAX_PROXY_HEADER_BYTES
    else:
        assert header.address is None or str(ip_address(header.address)) == header.address
        assert data.endswith(header.rest)


async def received(data: bytes, piece: int) -> ProxyHeader:
    """What comes of these bytes, sent in pieces before the connection ends."""
    server, client = socket.socketpair()
    server.settimeout(0)
    fair_queue = FairQueue()
    with server, client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fair_queue.hand_out)

            async def send() -> None:
                for start in range(0, len(data), piece):
                    client.send(data[start : start + piece])
                    await trio.lowlevel.checkpoint()
                client.shutdown(socket.SHUT_WR)

            nursery.start_soon(send)
            with trio.fail_after(HANG_SECONDS):
                header = await receive_proxy_header(server, fair_queue)
            nursery.cancel_scope.cancel()
    return header


@pytest.mark.parametrize("piece", [1, 7, 5_000])
async def test_a_header_may_come_in_pieces(piece: int) -> None:
    whole = version_2("203.0.113.7") + b"x"
    header = await received(whole, piece)
    assert header.address == "203.0.113.7"
    assert b"x".startswith(header.rest)


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"", trio.BrokenResourceError), (b"PROXY TCP4 1", BadProxyHeader), (b"\x16", BadProxyHeader)],
)
async def test_a_connection_that_ends_before_its_header_is_broken(data: bytes, error: type[Exception]) -> None:
    with pytest.RaisesGroup(error):
        await received(data, 5)
