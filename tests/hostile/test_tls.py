"""Hostile TLS, beside a client that has to be served (see tests/hostile/test_list.py)."""

from __future__ import annotations

import re
import socket
import ssl
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

from benchmarks.tls13 import KEY_UPDATE, KEY_UPDATE_REQUESTED
from tests.bounds import HANG_SECONDS
from tests.conftest import Running
from tests.hostile.support import attacked, reset
from tests.net.pair import Contexts
from tests.net.tls13 import handshake
from ticker.config import Limits

ABORTED = 1_500
AT_ONCE = 50


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def client_hello(context: ssl.SSLContext) -> bytes:
    """Return the first bytes of a client's handshake."""
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def old_context(version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client of this TLS version, even one that OpenSSL disables by default."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match=version.name):
        context.minimum_version = version
    with pytest.warns(DeprecationWarning, match=version.name):
        context.maximum_version = version
    return context


@pytest.mark.parametrize(
    ("version", "number"), [(ssl.TLSVersion.TLSv1, b"\x03\x01"), (ssl.TLSVersion.TLSv1_1, b"\x03\x02")]
)
async def test_tls_before_1_2_is_refused_by_the_server(version: ssl.TLSVersion, number: bytes) -> None:
    """The alert comes from the server; and OpenSSL's own client did ask for that version."""
    context = old_context(version)
    hello = client_hello(context)
    assert hello[9:11] == number  # record (5 bytes), type and length (4), version (RFC 5246, section 7.4.1.2)
    async with attacked() as service:
        async with await trio.open_tcp_stream("127.0.0.1", service.port) as plain:
            tls = trio.SSLStream(plain, context, server_hostname="127.0.0.1")
            with trio.fail_after(HANG_SECONDS), pytest.raises(trio.BrokenResourceError) as refused:
                await tls.do_handshake()
        assert isinstance(refused.value.__cause__, ssl.SSLError)
        assert refused.value.__cause__.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


async def test_a_suite_without_forward_secrecy_is_refused_by_the_server() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("kRSA:ECDHE+AES+SHA1:@SECLEVEL=0")
    async with attacked() as service:
        async with await trio.open_tcp_stream("127.0.0.1", service.port) as plain:
            tls = trio.SSLStream(plain, context, server_hostname="127.0.0.1")
            with trio.fail_after(HANG_SECONDS), pytest.raises(trio.BrokenResourceError) as refused:
                await tls.do_handshake()
        assert isinstance(refused.value.__cause__, ssl.SSLError)
        assert "HANDSHAKE_FAILURE" in (refused.value.__cause__.reason or "")


class Way(NamedTuple):
    """How a handshake is aborted: after how much of the ClientHello, and how."""

    part: slice
    by_reset: bool
    heard: bool
    """Once the server has said something to it."""


WAYS = {
    "answered, then reset": Way(slice(None), by_reset=True, heard=True),
    "whole, then closed": Way(slice(None), by_reset=False, heard=False),
    "half, then closed": Way(slice(0, 100), by_reset=False, heard=False),
    "half, then reset": Way(slice(0, 100), by_reset=True, heard=False),
    "reset at once": Way(slice(0, 0), by_reset=True, heard=False),
}


async def abort_handshakes(service: Running, words: bytes, way: Way) -> None:
    places = trio.CapacityLimiter(AT_ONCE)

    async def abort() -> None:
        async with places:
            plain = await trio.open_tcp_stream("127.0.0.1", service.port)
            await plain.send_all(words)
            if way.heard:
                await plain.receive_some()
            sock = socket.socket(fileno=plain.socket.detach())
            reset(sock) if way.by_reset else sock.close()

    with trio.fail_after(HANG_SECONDS):
        async with trio.open_nursery() as nursery:
            for _ in range(ABORTED):
                nursery.start_soon(abort)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_handshakes_aborted_by_the_thousand_leave_nothing_behind(way: Way, contexts: Contexts) -> None:
    words = client_hello(contexts.client)[way.part]
    async with attacked(limits=Limits(handshake_seconds=30)) as service:
        await service.proves_alive()
        before = open_descriptors()
        await abort_handshakes(service, words, way)
        with trio.fail_after(HANG_SECONDS):
            while open_descriptors() > before:
                await trio.sleep(0.01)


async def test_handshakes_that_fail_by_the_hundred_leave_nothing_behind(contexts: Contexts) -> None:
    """Good in length and form, but changed on the way."""
    hello = client_hello(contexts.client)
    async with attacked() as service:
        before = open_descriptors()
        for position in range(0, len(hello), 2):
            async with await trio.open_tcp_stream("127.0.0.1", service.port) as plain:
                await plain.send_all(hello[:position] + bytes((hello[position] ^ 0xFF,)) + hello[position + 1 :])
        with trio.fail_after(HANG_SECONDS):
            while open_descriptors() > before:
                await trio.sleep(0.01)


@pytest.mark.parametrize("message", [KEY_UPDATE, KEY_UPDATE_REQUESTED], ids=["unanswered", "answered"])
async def test_key_updates_without_end_are_read_at_the_rate_that_is_allowed(message: bytes, tmp_path: Path) -> None:
    """So a request behind them is not read before the time for it is over."""
    request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    limits = Limits(requests_per_second=20, request_burst=100, handshake_seconds=3)
    async with attacked(limits=limits) as service, await trio.open_tcp_stream("127.0.0.1", service.port) as plain:
        client = await handshake(plain, tmp_path)
        await plain.send_all(client.records.key_updates(2_000, message) + client.records.record(request))
        with trio.fail_after(HANG_SECONDS):
            assert await client.receive() == b""


async def test_key_updates_among_requests_are_charged_like_requests(tmp_path: Path) -> None:
    """Others are served at once, and this client later."""
    request = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    limits = Limits(requests_per_second=2_000, request_burst=100)
    async with attacked(limits=limits) as service, await trio.open_tcp_stream("127.0.0.1", service.port) as plain:
        client = await handshake(plain, tmp_path)
        await plain.send_all(client.records.key_updates(1_000) + client.records.record(request))
        answer = b""
        with trio.fail_after(HANG_SECONDS):
            while data := await client.receive():
                answer += data
    delayed = re.search(rb"^ticker_records_delayed_total (\S+)$", answer, re.MULTILINE)
    assert delayed is not None
    assert float(delayed[1]) > 0
