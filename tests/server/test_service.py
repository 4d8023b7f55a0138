"""ticker/server/service.py: the service put together, and its operator's mistakes."""

from __future__ import annotations

import socket
import stat
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from hypothesis import example, given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from tests.conftest import Logs, alarms, serving
from tests.support import update
from tests.tokens import key_file
from ticker.client.client import connect
from ticker.config import Config, Limits, TlsFiles, Tokens
from ticker.errors import ConfigError
from ticker.market import Instrument, Publication, Update
from ticker.net.addresses import parse_host_port
from ticker.protocol.messages import Delta, Snapshot
from ticker.server.exposure import warn_if_anonymous
from ticker.server.service import serve

DECLARED: tuple[Publication, ...] = (Instrument("A"), update("A", bid="1.00"))


async def refused(config: Config) -> str:
    """The text with which a configuration is refused."""
    with pytest.raises(ConfigError) as caught, trio.fail_after(HANG_SECONDS):
        await serve(config, trio.Event())
    text = str(caught.value)
    assert "\n" not in text
    return text


def config(
    listen: str = "127.0.0.1:0", cert: Path | None = None, key: Path | None = None, *, allow_anyone: bool = False
) -> Config:
    files = TlsFiles(str(cert) if cert else None, str(key) if key else None)
    return Config(listen=listen, feeds=["simulated?symbols=1"], tls=files, allow_anyone=allow_anyone)


# Addresses


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8443", ("127.0.0.1", 8443)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65_535)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),  # noqa: S104  # it is not listened on
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert parse_host_port(text, "listen") == address


@pytest.mark.parametrize(
    "text", ["", "localhost", ":8443", "localhost:", "::1:8443", "[::1]", "a:b", "a:-1", "a:65536", "a:8 ", "a:٣"]
)
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_host_port(text, "listen")
    assert repr(text) in str(caught.value)


@given(st.text(max_size=30))
@example("localhost:" + "9" * 5000)
def test_any_text_is_an_address_or_a_config_error(text: str) -> None:
    try:
        host, port = parse_host_port(text, "listen")
    except ConfigError:
        return
    assert host
    assert 0 <= port <= 65_535


# Listening


async def test_a_port_in_use_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "the port is in use; give another address with --listen" in await refused(config(f"127.0.0.1:{port}"))


async def test_a_host_that_is_not_this_machine_is_refused(tmp_path: Path) -> None:
    pair = issued(tmp_path, "elsewhere.invalid", "192.0.2.1")
    assert "elsewhere.invalid" in await refused(config("elsewhere.invalid:0", *pair, allow_anyone=True))
    assert "cannot listen on 192.0.2.1:0" in await refused(config("192.0.2.1:0", *pair, allow_anyone=True))


@pytest.mark.parametrize("host", ["x" * 64, "a..b", "a\0b", "\udcff"])
async def test_a_host_that_cannot_be_a_name_is_refused(host: str, tmp_path: Path) -> None:
    pair = issued(tmp_path, "localhost")
    assert "cannot listen" in await refused(config(f"{host}:0", *pair, allow_anyone=True))


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0", "localhost:0"])
async def test_the_url_says_where_the_service_listens(listen: str) -> None:
    if listen == "[::1]:0" and not ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    async with serving(*DECLARED, listen=listen) as service:
        assert service.url == f"wss://{'[::1]' if '::1' in service.url else '127.0.0.1'}:{service.port}/v1/stream"
        assert service.port > 0
        await service.proves_alive()


async def test_a_fixed_port_of_a_name_is_listened_on_at_all_its_addresses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with serving(*DECLARED, listen=f"localhost:{port}") as service:
        assert service.port == port
        await service.proves_alive()


def ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


# Certificates


def issued(folder: Path, *names: str) -> tuple[Path, Path]:
    """A certificate and its key in files, from an authority that nobody knows."""
    leaf = trustme.CA().issue_cert(*names)
    cert, key = folder / "cert.pem", folder / "key.pem"
    leaf.cert_chain_pems[0].write_to_path(cert)
    leaf.private_key_pem.write_to_path(key)
    return cert, key


async def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    cert, key = issued(tmp_path, "localhost")
    assert "give both --tls-cert and --tls-key" in await refused(config(cert=cert))
    assert "give both --tls-cert and --tls-key" in await refused(config(key=key))


async def test_files_that_are_no_pair_are_refused_by_name(tmp_path: Path) -> None:
    cert, key = issued(tmp_path, "localhost")
    (tmp_path / "other").mkdir()
    _, other = issued(tmp_path / "other", "localhost")
    assert str(other) in await refused(config(cert=cert, key=other))
    assert str(tmp_path / "nowhere") in await refused(config(cert=tmp_path / "nowhere", key=key))
    assert str(key) in await refused(config(cert=key, key=key))


CERTIFICATE = (
    "a certificate (--tls-cert FILE and --tls-key FILE; one for development covers only localhost, 127.0.0.1, ::1)"
)
AUTHENTICATION = "authentication ([tokens] in the config file or --token-key FILE; or --insecure-allow-anyone)"


async def test_beyond_this_machine_a_certificate_and_authentication_are_needed(tmp_path: Path) -> None:
    anywhere = "0.0.0.0:8443"  # it is not listened on
    need = "listening on 0.0.0.0 needs "
    pair = issued(tmp_path, "localhost")
    assert await refused(config(anywhere)) == need + CERTIFICATE + " and " + AUTHENTICATION
    assert await refused(config(anywhere, *pair)) == need + AUTHENTICATION
    assert await refused(config(anywhere, allow_anyone=True)) == need + CERTIFICATE
    tokens = replace(config(anywhere), tokens=Tokens(key=key_file(tmp_path)))
    assert await refused(tokens) == need + CERTIFICATE
    assert await refused(config("127.0.0.2:0")) == "listening on 127.0.0.2 needs " + CERTIFICATE


async def test_an_origin_that_is_none_is_refused_by_name() -> None:
    assert "origins 'none': give scheme and host" in await refused(replace(config(), origins=["none"]))


def test_serving_everybody_is_said_loudly(logs: Logs) -> None:
    warn_if_anonymous(config("127.0.0.1:1"), local=True)
    warn_if_anonymous(config("0.0.0.0:1", allow_anyone=True), local=False)
    assert [entry["log_level"] for entry in logs] == ["warning"] * 2
    assert "every program on this machine may see all prices" in logs[0]["event"]
    assert "EVERYBODY WHO CAN REACH IT may see all prices" in logs[1]["event"]


async def test_a_home_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TICKER_HOME", str(tmp_path / "file"))
    assert "TICKER_HOME" in await refused(config())


async def test_the_development_key_is_the_users_alone(ticker_home: Path) -> None:
    async with serving(*DECLARED):
        assert stat.S_IMODE((ticker_home / "server-key.pem").stat().st_mode) == 0o600


async def test_a_configured_certificate_is_served(tmp_path: Path) -> None:
    cert, key = issued(tmp_path, "127.0.0.1")
    async with serving(*DECLARED, tls=TlsFiles(str(cert), str(key))) as service:
        with pytest.raises(trio.BrokenResourceError):
            await service.dial()  # which trusts the development authority only


# Feeds


@pytest.mark.parametrize(
    "spec", ["nonesuch", "simulated?colour=red", "tests.feeds_for_tests:Picky?price=1", "tests.nowhere:Feed"]
)
async def test_a_feed_that_cannot_be_made_is_refused_by_its_spec(spec: str) -> None:
    assert f"feed {spec!r}" in await refused(Config(listen="127.0.0.1:0", feeds=[spec]))


@pytest.fixture
def longest_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The random waits before a feed is started again are as long as they may be."""
    monkeypatch.setattr("ticker.server.feed_runner.random.uniform", lambda _low, high: high)


@pytest.mark.usefixtures("longest_waits")
async def test_a_feed_that_raises_is_started_again_and_disturbs_nobody(fast_clock: MockClock, logs: Logs) -> None:
    async with serving(*DECLARED) as service:
        peer = await service.watcher("A")
        for number in range(2, 5):
            await service.script.send(RuntimeError("the venue hung up"))
            await wait_all_tasks_blocked()
            fast_clock.jump(30)
            await service.publish(update("A", bid=number))
            with trio.fail_after(HANG_SECONDS):
                while (await peer.until(Delta)).changes != [0, {1: number * 100, 14: "live", 15: None}]:
                    pass
    failures = [entry for entry in logs if entry["event"] == "feed failed"]
    assert [entry["retry_seconds"] for entry in failures] == [0.5, 1.0, 2.0]
    assert ["exc_info" in entry for entry in failures] == [True, False, False]


@pytest.mark.usefixtures("longest_waits")
async def test_a_feed_that_ran_well_for_long_is_started_again_soon(fast_clock: MockClock, logs: Logs) -> None:
    async with serving(*DECLARED) as service:
        for _ in range(3):
            await service.script.send(RuntimeError("the venue hung up"))
            await wait_all_tasks_blocked()
            fast_clock.jump(31)
            await service.publish(*DECLARED)
            fast_clock.jump(31)
            await wait_all_tasks_blocked()
    assert [entry["retry_seconds"] for entry in logs if entry["event"] == "feed failed"] == [0.5, 0.5, 0.5]


async def test_a_feed_that_ends_is_not_started_again_and_its_prices_stay_as_stale(logs: Logs) -> None:
    async with serving(*DECLARED) as service:
        await service.script.aclose()
        await wait_all_tasks_blocked()
        peer = await service.peer()
        with trio.fail_after(HANG_SECONDS):
            await peer.ask("subscribe", symbols=["A"])
            assert (await peer.until(Snapshot)).records == [0, {1: 100, 14: "stale", 15: "feed_ended"}]
    assert [entry["event"] for entry in logs if "feed" in entry] == ["feed ended"]


async def test_bad_publications_do_not_disturb_the_good_ones(logs: Logs) -> None:
    async with serving(*DECLARED) as service:
        peer = await service.watcher("A")
        for _ in range(5):
            await service.publish(update("A", bid=2.5), update("A", ask="9.00"))  # type: ignore[arg-type]
        with trio.fail_after(HANG_SECONDS):
            assert (await peer.until(Delta)).changes == [0, {1: None, 3: 900}]
    (warning,) = alarms(logs)
    assert "2.5 is a float" in warning["cause"]


async def test_two_feeds_share_the_market() -> None:
    feeds = ["simulated?symbols=1", "simulated?symbols=B1,B2&rate=1"]
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        url = await nursery.start(partial(serve, Config(listen="127.0.0.1:0", feeds=feeds), stop))
        assert url.startswith("wss://127.0.0.1:")
        stop.set()


# The end


async def test_after_a_stop_nobody_listens_and_the_port_is_free() -> None:
    async with serving(*DECLARED) as service:
        service.stop.set()
        with trio.fail_after(HANG_SECONDS):
            await service.done.wait()
        with pytest.raises(OSError, match="connect"):
            await trio.open_tcp_stream("127.0.0.1", service.port)
        socket.create_server(("127.0.0.1", service.port)).close()


async def test_a_feed_that_floods_is_slowed_down() -> None:
    async with serving(*DECLARED, limits=Limits(feed_queue=1, updates_per_cut=1)) as service:
        peer = await service.watcher("A")
        with trio.fail_after(HANG_SECONDS):
            for number in range(2, 502):
                await service.publish(update("A", bid=number))
            seen = await peer.until_cut(501)
        assert seen[-1].changes == [0, {1: 50_100}]


async def test_a_feed_that_closes_its_channel_closes_it_for_nobody_else() -> None:
    feeds = ["tests.feeds_for_tests:Closing", "tests.feeds_for_tests:Counting"]
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        url = await nursery.start(partial(serve, Config(listen="127.0.0.1:0", feeds=feeds), stop))
        with trio.fail_after(HANG_SECONDS):
            async with connect(url) as client, client.subscribe("ONCE", "COUNT") as subscription:
                counts: set[object] = set()
                ended = {"last": 1, "status": "stale", "reason": "feed_ended"}
                async for change in subscription:
                    counts.add(change.changes.get("COUNT", {}).get("last"))
                    if len(counts) > 3 and client.values("ONCE") == ended:
                        break
        stop.set()


class Treacherous(dict[str, str]):
    """Fields that fail when they are read."""

    def items(self) -> Any:  # noqa: ANN401  # never returns
        raise RuntimeError("gone")


async def test_a_publication_that_fails_while_it_is_read_is_refused_like_any_other(logs: Logs) -> None:
    async with serving(*DECLARED) as service:
        peer = await service.watcher("A")
        await service.publish(Update("A", Treacherous()), update("A", ask="9.00"))
        with trio.fail_after(HANG_SECONDS):
            assert (await peer.until(Delta)).changes == [0, {1: None, 3: 900, 14: "live", 15: None}]
    (warning,) = alarms(logs)
    assert "RuntimeError while it was read" in warning["cause"]
