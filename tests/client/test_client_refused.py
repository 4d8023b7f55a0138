"""ticker/net/dialing.py: first connections that cannot be made, each with its reason in one line."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
import trio
import trustme

from tests.bounds import HANG_SECONDS
from tests.conftest import serving
from tests.net.pair import Contexts
from tests.support import update
from ticker import connect
from ticker.config import TlsFiles
from ticker.errors import ConfigError, ConnectionFailed, TickerError
from ticker.market import Instrument, Publication

DECLARED: tuple[Publication, ...] = (Instrument("A"), update("A", bid="1.00"))


async def failure(url: str, ca: Path | None = None) -> str:
    """The text with which the first connection fails."""
    with pytest.raises(ConnectionFailed) as caught:
        async with connect(url, ca=ca):
            pytest.fail("it connected")
    text = str(caught.value)
    assert "\n" not in text
    return text


async def test_nobody_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for host in ("127.0.0.1", "localhost"):
        text = await failure(f"wss://{host}:{port}")
        assert text.startswith(f"wss://{host}:{port}/v1/stream: nobody listens there (connection refused)")


async def test_there_is_no_such_host() -> None:
    assert "wss://nowhere.invalid/v1/stream: " in await failure("wss://nowhere.invalid")


@pytest.mark.parametrize("host", ["x" * 64, ".", "a..b", "%2e"])
async def test_what_cannot_be_a_host_is_no_traceback(host: str) -> None:
    with pytest.raises(TickerError, match=re.escape(host)):
        async with connect(f"wss://{host}:1"):
            pytest.fail("it connected")


async def test_the_authority_is_another(tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    async with serving(*DECLARED) as service:
        assert "its certificate is not trusted" in await failure(service.url, other)
        await service.proves_alive()


async def test_the_certificate_is_for_another_host(tmp_path: Path) -> None:
    authority = trustme.CA()
    ca, cert, key = tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem"
    authority.cert_pem.write_to_path(ca)
    leaf = authority.issue_cert("elsewhere.example")
    leaf.cert_chain_pems[0].write_to_path(cert)
    leaf.private_key_pem.write_to_path(key)
    async with serving(*DECLARED, tls=TlsFiles(str(cert), str(key))) as service:
        text = await failure(service.url, ca)
        assert "its certificate is not trusted (IP address mismatch" in text


async def test_it_speaks_no_tls() -> None:
    async def greet(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await stream.receive_some()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, greet, 0)
        port = listeners[0].socket.getsockname()[1]
        assert "TLS failed" in await failure(f"wss://127.0.0.1:{port}")
        nursery.cancel_scope.cancel()


async def test_it_hangs_up_before_tls() -> None:
    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, hang_up, 0)
        port = listeners[0].socket.getsockname()[1]
        assert "TLS failed" in await failure(f"wss://127.0.0.1:{port}")
        nursery.cancel_scope.cancel()


async def test_it_hangs_up_before_it_answers(contexts: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.client.connection._CONNECT_SECONDS", 2 * HANG_SECONDS)

    async def hang_up(stream: trio.SSLStream[trio.SocketStream]) -> None:
        await stream.receive_some()
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_ssl_over_tcp, hang_up, 0, contexts.server)
        port = listeners[0].transport_listener.socket.getsockname()[1]
        with trio.fail_after(HANG_SECONDS):  # half of the time for a silent server
            assert "the connection was not completed" in await failure(f"wss://127.0.0.1:{port}")
        nursery.cancel_scope.cancel()


async def test_there_is_nothing_at_that_path() -> None:
    async with serving(*DECLARED) as service:
        text = await failure(service.url + "/elsewhere")
        assert "HTTP status 404: there is nothing here" in text


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "ws://localhost:1",
        "https://localhost",
        "wss://",
        "wss://:1",
        "wss://h:99999",
        "wss://[::1",
        "wss://h:x",
    ],
)
async def test_what_is_no_url_of_a_service_is_refused_by_name(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        async with connect(url):
            pytest.fail("it connected")
    assert repr(url) in str(caught.value)


@pytest.mark.parametrize("path", ["", "/", "/v1/stream"])
async def test_the_path_may_be_left_out(path: str) -> None:
    async with serving(*DECLARED) as service, connect(service.url.removesuffix("/v1/stream") + path) as client:
        assert client.url == service.url


async def test_an_authority_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        async with connect("wss://localhost:1", ca=tmp_path / "nowhere.pem"):
            pytest.fail("it connected")
