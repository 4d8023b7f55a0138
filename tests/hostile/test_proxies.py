"""Hostile headers of proxies, and addresses that clients claim (see tests/hostile/test_list.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.bounds import HANG_SECONDS
from tests.conftest import Running, upgrade
from tests.hostile.support import attacked, dripped
from tests.net.test_proxy_protocol import SIGNATURE, version_2
from ticker.config import Limits, Proxies

CLIENT = "203.0.113.7"


@asynccontextmanager
async def behind(
    folder: Path, limits: Limits | None = None, **proxies: list[str]
) -> AsyncIterator[tuple[Running, str]]:
    """An attacked service, and the path of its Unix socket for proxies; the client that is served comes over TLS."""
    path = f"{folder}/t.sock"
    settings: dict[str, Any] = {"limits": limits} if limits is not None else {}
    listen = ["127.0.0.1:0", f"http://unix:{path}"]
    async with attacked(listen=listen, proxies=Proxies(**proxies), allow_anyone=True, **settings) as service:
        yield service, path


@pytest.mark.parametrize(
    "header",
    [
        upgrade(),
        b"\x16\x03\x01" * 50,
        b"PROXY " + b"x" * 100_000,
        b"PROXY TCP4 " + b"1.1.1.1 " * 40,
        b"PROXY TCP4 256.1.1.1 1.1.1.1 1 2\r\n",
        SIGNATURE + b"\x21\x11\xff\xff" + bytes(65_535),
        SIGNATURE + b"\x21\x11\x00\x01x",
        SIGNATURE + b"\xff" * 500,
        SIGNATURE * 100,
        b"\r\n\r\n" * 5_000,
    ],
    ids=[
        "none",
        "TLS",
        "endless line",
        "long line",
        "no address",
        "endless",
        "short",
        "unknown",
        "twice",
        "empty lines",
    ],
)
async def test_a_malformed_header_of_a_proxy_ends_its_connection_at_once(header: bytes, tmp_path: Path) -> None:
    async with behind(tmp_path, proxy_protocol=["unix"]) as (service, path):
        peer = await service.dial_plain(path)
        with trio.fail_after(HANG_SECONDS):
            try:
                await peer.send(header)
                assert await peer.rest() == b""
            except trio.BrokenResourceError:
                pass  # it was closed before it had taken everything


async def test_a_header_of_a_proxy_that_drips_in_is_cut_off_in_time(tmp_path: Path, fast_clock: MockClock) -> None:
    async with behind(tmp_path, Limits(handshake_seconds=10), proxy_protocol=["unix"]) as (service, path):
        peer = await service.dial_plain(path)
        assert await dripped(peer, version_2(CLIENT, more=bytes(200)), fast_clock) <= 12


async def test_headers_of_proxies_by_the_thousand_leave_nothing_behind(tmp_path: Path) -> None:
    async with behind(tmp_path, Limits(max_per_address=5), proxy_protocol=["unix"]) as (service, path):
        for number in range(1_000):
            peer = await service.dial_plain(path)
            await peer.send([version_2(CLIENT), version_2(CLIENT)[:20], b"PROXY", b""][number % 4])
            await peer.close()
            service.peers.remove(peer)
        code = b""
        with trio.fail_after(HANG_SECONDS):
            while code != b"101":
                peer = await service.dial_plain(path)
                await peer.send(version_2(CLIENT) + upgrade())
                code = (await peer.head())[9:12]
                await peer.close()


@pytest.mark.parametrize("mechanism", ["x_forwarded_for", "forwarded", "proxy_protocol"])
async def test_a_client_that_claims_addresses_has_no_more_places(mechanism: str, tmp_path: Path) -> None:
    """Behind no named proxy: `attacked` has a client of its own at the same address."""
    async with behind(tmp_path, Limits(max_per_address=3), **{mechanism: ["10.0.0.0/8", "unix"]}) as (service, _):
        codes = []
        for number in range(4):
            claim = f"X-Forwarded-For: 10.0.0.{number}\r\nForwarded: for=10.0.0.{number}\r\n"
            peer = await service.dial()
            with trio.fail_after(HANG_SECONDS):
                await peer.send(upgrade(more=claim))
                codes.append((await peer.head())[9:12])
        assert codes == [b"101", b"101", b"429", b"429"]
        for peer in service.peers[1:]:
            await peer.close()
        claimed = await service.dial_plain(service.port)
        await claimed.send(version_2("10.0.0.9"))
        assert b"HTTP" not in await claimed.rest()


@pytest.mark.parametrize(
    "claim",
    [
        "X-Forwarded-For: " + "10.0.0.1, " * 1_500,
        "X-Forwarded-For: " + "," * 15_000,
        "X-Forwarded-For: \xff\xfe, 1.1.1.1:x, [::1, ::1]",
        "X-Forwarded-For: 6.6.6.6\r\n" * 300,
    ],
    ids=["many proxies", "commas", "no addresses", "many headers"],
)
async def test_what_a_client_writes_before_its_proxy_does_not_move_its_address(claim: str, tmp_path: Path) -> None:
    limits = Limits(max_per_address=2)
    async with behind(tmp_path, limits, x_forwarded_for=["10.0.0.0/8", "unix"]) as (service, path):
        codes = []
        for _ in range(3):
            peer = await service.dial_plain(path)
            with trio.fail_after(HANG_SECONDS):
                await peer.send(upgrade(more=f"{claim.rstrip()}\r\nX-Forwarded-For: {CLIENT}, 10.0.0.2\r\n"))
                codes.append((await peer.head())[9:12])
        assert codes == [b"101", b"101", b"429"]
