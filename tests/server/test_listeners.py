"""Several addresses of one service: IPv4 and IPv6, Unix sockets, and addresses without TLS."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from tests.conftest import Logs, Peer, Running, client_frame, serving, the_last, upgrade
from tests.server.test_service import DECLARED, config, ipv6, refused
from tests.support import update
from ticker.config import Config, Limits, Proxies, TlsFiles
from ticker.net.devcert import data_folder, development_certificate
from ticker.net.tls import client_context
from ticker.protocol.messages import Delta, Snapshot, Welcome

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def free_port(host: str = "127.0.0.1") -> int:
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as free:
        port: int = free.getsockname()[1]
        return port


async def welcomed(service: Running, peer: Peer) -> Peer:
    """The same peer, once it is a client that has been welcomed."""
    with trio.fail_after(HANG_SECONDS):
        await peer.send(upgrade(path=f"{service.prefix}/v1/stream"))
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
        assert isinstance(await peer.message(), Welcome)
    return peer


async def test_clients_of_all_addresses_see_one_market(tmp_path: Path) -> None:
    tls, plain, port = f"{tmp_path}/tls.sock", f"{tmp_path}/plain.sock", free_port()
    listen = ["127.0.0.1:0", f"http://127.0.0.1:{port}", f"unix:{tls}", f"http://unix:{plain}"]
    made = development_certificate(data_folder())
    files = TlsFiles(str(made.cert), str(made.key))
    async with serving(*DECLARED, listen=listen, tls=files, allow_anyone=True) as service:
        peers = [await welcomed(service, await service.dial_plain(address)) for address in (port, plain)]
        over_tls = await service.dial_plain(tls)
        assert isinstance(over_tls.stream, trio.SocketStream)
        context = client_context("localhost", made.authority)
        over_tls.stream = trio.SSLStream(over_tls.stream, context, server_hostname="localhost")
        peers.append(await welcomed(service, over_tls))
        with trio.fail_after(HANG_SECONDS):
            for peer in peers:
                await peer.ask("subscribe", symbols=["A"])
                assert (await peer.until(Snapshot)).records[1][1] == 100
            await service.publish(update("A", bid="1.01"))
            for peer in peers:
                assert (await peer.until(Delta)).changes[1][1] == 101


async def test_ipv4_and_ipv6_together() -> None:
    if not ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    port = free_port("::1")
    async with serving(*DECLARED, listen=["127.0.0.1:0", f"[::1]:{port}"]) as service:
        await service.proves_alive()
        service.host, service.port = "::1", port
        await service.proves_alive()


async def test_one_limit_holds_for_an_address_over_all_listeners() -> None:
    port = free_port()
    limits = Limits(max_per_address=2)
    listen = ["127.0.0.1:0", f"http://127.0.0.1:{port}"]
    async with serving(*DECLARED, listen=listen, limits=limits, allow_anyone=True) as service:
        await service.peer()
        await welcomed(service, await service.dial_plain(port))
        third = await service.dial_plain(port)
        await third.send(upgrade())
        assert (await third.head()).startswith(b"HTTP/1.1 429 ")


async def test_a_service_without_tls_needs_no_certificate(home: Path, tmp_path: Path, logs: Logs) -> None:
    path = f"{tmp_path}/t.sock"
    async with serving(*DECLARED, listen=[f"http://unix:{path}"], allow_anyone=True) as service:
        assert service.url == f"ws+unix:{path}:/v1/stream"
        assert (await answer(service, path, HEALTH)).startswith(b"HTTP/1.1 200 ")
        assert mode_of(path) == 0o660
    assert mode_of(path) is None
    assert keys_in(home) == []
    assert f"http+unix:{path}:/" in [entry.get("url") for entry in logs]


def keys_in(folder: Path) -> list[Path]:
    return list(folder.glob("*.pem"))


def mode_of(path: str) -> int | None:
    file = Path(path)
    return stat.S_IMODE(file.stat().st_mode) if file.exists() else None


async def answer(service: Running, address: str | int, request: bytes) -> bytes:
    """All of the answer to a request without TLS."""
    peer = await service.dial_plain(address)
    with trio.fail_after(HANG_SECONDS):
        await peer.send(the_last(request))
        return await peer.rest()


@pytest.mark.parametrize("sent", [b"", b"GET /v1/str"])
async def test_without_tls_a_head_has_the_same_time(sent: bytes, tmp_path: Path, fast_clock: MockClock) -> None:
    path = f"{tmp_path}/t.sock"
    limits = Limits(handshake_seconds=5)
    async with serving(listen=["127.0.0.1:0", f"http://unix:{path}"], limits=limits, allow_anyone=True) as service:
        peer = await service.dial_plain(path)
        await peer.send(sent)
        await wait_all_tasks_blocked()
        fast_clock.jump(5.1)
        assert await peer.rest() == b""
        await service.proves_alive()


@pytest.mark.parametrize(
    "words",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n\r\n",
        b"\xff\r\n\r\n",
    ],
    ids=["TLS", "PROXY", "bytes"],
)
async def test_what_is_no_http_without_tls_is_a_bad_request(words: bytes, tmp_path: Path) -> None:
    path = f"{tmp_path}/t.sock"
    async with serving(listen=["127.0.0.1:0", f"http://unix:{path}"], allow_anyone=True) as service:
        assert (await answer(service, path, words)).startswith(b"HTTP/1.1 400 ")
        await service.proves_alive()


async def test_frames_that_break_the_protocol_end_a_connection_without_tls_too(tmp_path: Path) -> None:
    path = f"{tmp_path}/t.sock"
    async with serving(listen=["127.0.0.1:0", f"http://unix:{path}"], allow_anyone=True) as service:
        peer = await welcomed(service, await service.dial_plain(path))
        await peer.send(client_frame(0xF2, b"x"))
        assert (await peer.closed())[0] == 1002
        assert await peer.rest() == b""
        await service.proves_alive()


# What an address needs


async def test_without_tls_only_this_machine_is_listened_to() -> None:
    need = "without TLS there are only loopback addresses and Unix sockets"
    for listen in ("http://0.0.0.0:0", "http://192.0.2.1:80", "http://example.com:80", "http://[::]:80"):
        assert need in await refused(config(listen, allow_anyone=True))


AUTHENTICATION = " needs authentication ([tokens] in the config file or --token-key FILE; or --insecure-allow-anyone)"


async def test_where_a_proxy_may_let_anyone_in_authentication_is_needed(tmp_path: Path) -> None:
    path = f"http://unix:{tmp_path}/t.sock"
    assert await refused(config("http://127.0.0.1:0")) == "listening on 127.0.0.1 behind a proxy" + AUTHENTICATION
    assert await refused(config(path)) == f"listening on {path}" + AUTHENTICATION
    behind = Config(listen="127.0.0.1:0", proxies=Proxies(proxy_protocol=["127.0.0.1"]))
    assert await refused(behind) == "listening on 127.0.0.1 behind a proxy" + AUTHENTICATION
    several = Config(listen=["127.0.0.1:0", "http://127.0.0.1:0"])
    assert await refused(several) == "listening on 127.0.0.1 behind a proxy" + AUTHENTICATION


async def test_a_unix_socket_with_tls_needs_a_certificate(tmp_path: Path) -> None:
    path = f"unix:{tmp_path}/t.sock"
    assert f"listening on {path} needs a certificate" in await refused(config(path, allow_anyone=True))


async def test_an_address_that_cannot_be_had_leaves_none_behind(tmp_path: Path) -> None:
    path = f"{tmp_path}/t.sock"
    taken = f"http://unix:{tmp_path}/nowhere/t.sock"
    assert "cannot listen" in await refused(Config(listen=[f"http://unix:{path}", taken], allow_anyone=True))
    assert mode_of(path) is None


async def test_metrics_need_a_token_where_a_proxy_may_let_anyone_in(tmp_path: Path) -> None:
    path = f"{tmp_path}/t.sock"
    metrics = HEALTH.replace(b"healthz", b"metrics")
    async with serving(listen=["127.0.0.1:0", f"http://unix:{path}"], allow_anyone=True) as service:
        assert (await answer(service, path, metrics)).startswith(b"HTTP/1.1 403 ")
        assert (await service.refusal(metrics)).startswith(b"HTTP/1.1 403 ")
