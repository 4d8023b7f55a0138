"""Clients behind proxies: their addresses in limits and logs, and clients that claim an address of their own."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.conftest import Logs, Peer, alarms, serving, upgrade
from tests.net.test_proxy_protocol import version_2
from tests.server.test_service import DECLARED, refused
from ticker.config import Config, Limits, Proxies
from ticker.net.devcert import AUTHORITY_FILE, data_folder
from ticker.net.tls import client_context

CLIENT = "203.0.113.7"
_numbers = itertools.count()
INSTRUMENTS = b"GET /v1/instruments HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return f"{tmp_path}/t.sock"


def behind(path: str, **proxies: list[str]) -> dict[str, Any]:
    """Settings of a service that is reached directly over TLS, and through these proxies."""
    listen = ["127.0.0.1:0", f"http://unix:{path}"]
    return {"listen": listen, "proxies": Proxies(**proxies), "allow_anyone": True}


async def address_of(peer: Peer, logs: Logs, more: str = "", *, first: bytes = b"") -> str:
    """The address that the service has for this peer: a page of an unknown origin is refused, and named in the log."""
    origin = f"https://page{next(_numbers)}.example"
    with trio.fail_after(HANG_SECONDS):
        await peer.send(first + upgrade(more=f"Origin: {origin}\r\n{more}"))
        assert (await peer.head()).startswith(b"HTTP/1.1 403 ")
    (entry,) = [entry for entry in alarms(logs) if entry.get("origin") == origin]
    assert origin in entry["remedy"]
    return str(entry["peer"])


@pytest.mark.parametrize(
    ("mechanism", "more", "first"),
    [
        ("x_forwarded_for", f"X-Forwarded-For: 6.6.6.6, {CLIENT}\r\n", b""),
        ("x_forwarded_for", f"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: {CLIENT}\r\n", b""),
        ("forwarded", f'Forwarded: for=6.6.6.6, for="{CLIENT}:4711";proto=https\r\n', b""),
        ("proxy_protocol", "", f"PROXY TCP4 {CLIENT} 10.0.0.1 51234 443\r\n".encode()),
        ("proxy_protocol", "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n", version_2(CLIENT)),
    ],
    ids=["X-Forwarded-For", "two of them", "Forwarded", "PROXY 1", "PROXY 2"],
)
async def test_the_log_has_the_address_of_the_client(
    mechanism: str, more: str, first: bytes, path: str, logs: Logs
) -> None:
    async with serving(*DECLARED, **behind(path, **{mechanism: ["unix"]})) as service:
        assert await address_of(await service.dial_plain(path), logs, more, first=first) == CLIENT


async def test_a_proxy_in_front_of_tls_names_the_client_before_the_handshake(path: str, logs: Logs) -> None:
    settings = behind(path, proxy_protocol=["127.0.0.1"])
    async with serving(*DECLARED, **settings) as service:
        for header in (version_2(CLIENT), f"PROXY TCP4 {CLIENT} 10.0.0.1 1 2\r\n".encode()):
            peer = await service.dial_plain(service.port)
            await peer.send(header)
            assert isinstance(peer.stream, trio.SocketStream)
            context = client_context("127.0.0.1", data_folder() / AUTHORITY_FILE)
            peer.stream = trio.SSLStream(peer.stream, context, server_hostname="127.0.0.1")
            assert await address_of(peer, logs) == CLIENT


async def test_a_balancer_in_front_of_a_proxy_names_the_proxy(path: str, logs: Logs) -> None:
    settings = behind(path, proxy_protocol=["unix"], x_forwarded_for=["192.0.2.0/24"])
    async with serving(*DECLARED, **settings) as service:
        more = f"X-Forwarded-For: {CLIENT}\r\n"
        for first, address in ((version_2("192.0.2.1"), CLIENT), (version_2("198.51.100.1"), "198.51.100.1")):
            assert await address_of(await service.dial_plain(path), logs, more, first=first) == address


async def test_what_proxies_say_is_ignored_from_everybody_else(path: str, logs: Logs) -> None:
    words = "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n"
    networks = ["10.0.0.0/8", "unix"]
    async with serving(*DECLARED, **behind(path, x_forwarded_for=networks)) as service:
        assert await address_of(await service.dial(), logs, words) == "127.0.0.1"
        assert await service.refusal(b"PROXY TCP4 6.6.6.6 1.1.1.1 1 2\r\n" + upgrade()) != b""
        assert await address_of(await service.dial_plain(path), logs, "Forwarded: for=6.6.6.6\r\n") == "unix"


async def test_a_proxy_header_from_elsewhere_is_no_tls(path: str) -> None:
    async with serving(*DECLARED, **behind(path, proxy_protocol=["10.0.0.0/8", "unix"])) as service:
        peer = await service.dial_plain(service.port)
        await peer.send(version_2(CLIENT))
        assert b"HTTP" not in await peer.rest()
        await service.proves_alive()


async def test_each_client_behind_a_proxy_has_its_own_places(path: str) -> None:
    settings = behind(path, x_forwarded_for=["unix"])
    async with serving(*DECLARED, limits=Limits(max_per_address=1), **settings) as service:

        async def status(address: str) -> bytes:
            peer = await service.dial_plain(path)
            with trio.fail_after(HANG_SECONDS):
                await peer.send(upgrade(more=f"X-Forwarded-For: {address}\r\n"))
                return (await peer.head())[9:12]

        assert [await status(CLIENT), await status(CLIENT), await status("203.0.113.8")] == [b"101", b"429", b"101"]
        network = "2001:db8:7:7"
        assert [await status(f"{network}::1"), await status(f"{network}:ffff::2")] == [b"101", b"429"]
        await service.proves_alive()


async def test_a_client_that_goes_gives_its_place_back(path: str) -> None:
    settings = behind(path, proxy_protocol=["unix"])
    async with serving(*DECLARED, limits=Limits(max_per_address=1), **settings) as service:
        for _ in range(3):
            code = b""
            while code != b"101":  # until the service has noticed the end of the one before
                peer = await service.dial_plain(path)
                await peer.send(version_2(CLIENT) + upgrade())
                code = (await peer.head())[9:12]
                await peer.close()


async def test_the_rate_of_pages_is_each_clients_own(path: str) -> None:
    limits = Limits(requests_per_second=1, request_burst=1)
    async with serving(*DECLARED, limits=limits, **behind(path, forwarded=["unix"])) as service:

        async def statuses(address: str) -> set[bytes]:
            seen = set()
            for _ in range(20):
                peer = await service.dial_plain(path)
                with trio.fail_after(HANG_SECONDS):
                    await peer.send(INSTRUMENTS + b"Forwarded: for=%b\r\n\r\n" % address.encode())
                    seen.add((await peer.rest())[9:12])
            return seen

        assert b"429" in await statuses(CLIENT)
        peer = await service.dial_plain(path)
        await peer.send(INSTRUMENTS + b"Forwarded: for=203.0.113.8\r\n\r\n")
        assert (await peer.rest())[9:12] == b"200"


async def test_a_proxy_that_sends_no_header_is_closed_and_named(path: str, logs: Logs) -> None:
    async with serving(*DECLARED, **behind(path, proxy_protocol=["unix"])) as service:
        for _ in range(3):
            peer = await service.dial_plain(path)
            await peer.send(upgrade())
            assert await peer.rest() == b""
        await service.proves_alive()
    (line,) = alarms(logs)
    assert (line["event"], line["peer"]) == ("a proxy's connection was closed", "unix")
    assert line["cause"] == "the connection begins without a PROXY header"
    assert "take it out of proxies.proxy_protocol" in line["remedy"]


async def test_checks_of_a_proxy_itself_are_answered(path: str, logs: Logs) -> None:
    """A connection that says nothing, one of the proxy's own, and one without a client."""
    async with serving(*DECLARED, **behind(path, proxy_protocol=["unix"])) as service:
        await (await service.dial_plain(path)).close()
        for header in (version_2("10.0.0.1", command=0), b"PROXY UNKNOWN\r\n"):
            peer = await service.dial_plain(path)
            await peer.send(header + b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert (await peer.rest()).startswith(b"HTTP/1.1 200 ")
    assert alarms(logs) == []


async def test_networks_that_are_none_are_refused_at_the_start() -> None:
    config = Config(listen="127.0.0.1:0", proxies=Proxies(forwarded=["example.com"]), allow_anyone=True)
    assert (await refused(config)).startswith("proxies.forwarded 'example.com': ")
