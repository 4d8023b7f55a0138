"""ticker/server/kept_state.py: after a clean stop, the next start goes on with the same epoch, cuts and tables."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.conftest import Logs, Peer, Running, alarms, serving
from tests.support import update
from ticker.bounds import STATE_SECONDS
from ticker.client.client import connect
from ticker.client.events import Connected, Event
from ticker.config import Config, History, Limits
from ticker.core.last_value import LastValueCache
from ticker.core.state import packed
from ticker.errors import HistoryFault
from ticker.history.reading import read_bars
from ticker.market import Field, Instrument, Levels, Publication, Trade
from ticker.protocol.messages import Delta, Goodbye, Heartbeat, Instruments, Removed, Reply, Snapshot
from ticker.protocol.tables import TableName
from ticker.server.kept_state import KeptState, release_later

STATUS, REASON, BID, ASK = int(Field.STATUS), int(Field.REASON), int(Field.BID), int(Field.ASK)
BOOK, TAPE, BARS = "A book:10", "A trades:10", "A candles:1m:10"

MARKET: tuple[Publication, ...] = (
    Instrument("A", 2, 0, {"venue": "X"}),
    Instrument("B"),
    update("A", bid="1.00", ask="1.01", note="n", rate="0.5"),
    update("B", bid="7.00"),
    Levels("A", [("1.00", 5), ("0.99", 2**70)], [("1.01", 3)], complete=True),
    Trade("A", "1.00", 3, "buy", None, "t1"),
    Trade("A", "1.01", 4, "sell", None, 7),
)


@pytest.fixture
def address(home: Path) -> str:
    """An address that is free, and named: a service on port 0 has none to come back to."""
    assert home.name
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


async def stopped(service: Running) -> None:
    """The service stops while its clients are connected."""
    service.stop.set()
    with trio.fail_after(HANG_SECONDS):
        await service.done.wait()


async def copy_of(peer: Peer, *names: str) -> tuple[int, dict[int, Any]]:
    """Subscribe; the cut, and all fields by id."""
    number = await peer.ask("subscribe", symbols=list(names))
    copy: dict[int, dict[Any, Any]] = {}
    cut = 0
    with trio.fail_after(HANG_SECONDS):
        while not isinstance(message := await peer.message(), Reply) or message.id != number:
            if isinstance(message, Snapshot | Delta):
                cut = apply(copy, message)
    return cut, copy


def apply(copy: dict[int, dict[Any, Any]], message: Snapshot | Delta) -> int:
    records = message.records if isinstance(message, Snapshot) else []
    copy |= dict(zip(records[::2], records[1::2], strict=True))
    for number, fields in zip(message.changes[::2], message.changes[1::2], strict=True):
        copy.setdefault(number, {}).update(fields)
    return message.cut


async def resumed(peer: Peer, epoch: str, cut: int, *names: str) -> list[Any]:
    """Resume; the messages with data that came before the reply."""
    number = await peer.ask("resume", epoch=epoch, cursor=cut, symbols=list(names))
    seen: list[Any] = []
    with trio.fail_after(HANG_SECONDS):
        while not isinstance(message := await peer.message(), Reply) or message.id != number:
            if not isinstance(message, Heartbeat):
                seen.append(message)
    return seen


async def test_clients_resume_after_a_restart_with_nothing_but_what_has_changed(address: str, home: Path) -> None:
    names = ["*", BOOK, TAPE, BARS]
    async with serving(*MARKET, listen=address, name="kept") as service:
        peer = await service.peer()
        cut, copy = await copy_of(peer, *names)
        assert peer.welcome is not None
        epoch = peer.welcome.epoch
        await service.publish(Levels("A", [("0.98", 1)], []))
        cut = apply(copy, await peer.until(Delta))
        await stopped(service)
        with trio.fail_after(HANG_SECONDS):
            assert isinstance(await peer.until(Goodbye), Goodbye)
    assert [path.name for path in kept(home)] == [f"state-{address.replace(':', '_')}"]
    async with serving(listen=address, name="kept") as service:
        peer = await service.peer()
        assert peer.welcome is not None
        assert peer.welcome.epoch == epoch
        seen = await resumed(peer, epoch, cut, *names)
        assert not any(isinstance(message, Snapshot | Removed) for message in seen), seen
        definitions, *deltas = seen
        assert isinstance(definitions, Instruments)
        assert all(each.id < 0 for each in definitions.definitions), "those of instruments are kept"
        for message in deltas:
            assert isinstance(message, Delta)
            assert all(fields.keys() <= {STATUS, REASON} for fields in message.changes[1::2])
            cut = apply(copy, message)
        assert all(fields[STATUS] == "stale" and fields[REASON] == "feed_down" for fields in copy.values())
        await service.publish(Instrument("A", 2, 0, {"venue": "X"}), update("A", bid="2.00"), MARKET[4])
        delta = await peer.until(Delta)
        changes = dict(zip(delta.changes[::2], delta.changes[1::2], strict=True))
        assert changes[0] == {BID: 200, ASK: None, "note": None, "rate": None, STATUS: "live", REASON: None} | {
            key: None for key in copy[0] if key in (5, 6)
        }
        book = next(fields for fields in changes.values() if int(Field.BIDS) in fields)
        assert book == {int(Field.BIDS): [98, None], STATUS: "live", REASON: None}
        await service.publish(Trade("A", "1.00", 1))
        trades = [fields[18] for fields in (await peer.until(Delta)).changes[1::2] if 18 in fields]
        assert trades[0][0] == 3, "the numbers go on"


async def test_the_python_client_resumes_over_a_restart(address: str) -> None:
    url, events = f"wss://{address}/v1/stream", list[Event]()
    async with (
        serving(*MARKET, listen=address, name="kept") as service,
        connect(url, on_event=events.append) as client,
    ):
        changes = aiter(client.subscribe("A", BOOK))
        await anext(changes)
        await stopped(service)
        async with serving(listen=address, name="kept") as again:
            await again.publish(update("A", bid="3.00"))
            with trio.fail_after(HANG_SECONDS):
                while client.values("A").get("bid") != 3:
                    await anext(changes)
    assert [event.resumed for event in events if isinstance(event, Connected)] == [False, True]


async def epoch_after(address: str, **settings: Any) -> str:  # noqa: ANN401  # keys of `Config`
    async with serving(listen=address, name="kept", **settings) as service:
        peer = await service.peer()
        assert peer.welcome is not None
        return peer.welcome.epoch


async def first_run(address: str) -> str:
    async with serving(*MARKET, listen=address, name="kept") as service:
        peer = await service.watcher()
        assert peer.welcome is not None
        await stopped(service)
        return peer.welcome.epoch


def kept(home: Path) -> list[Path]:
    return sorted(home.glob("state-*"))


def damage(change: Callable[[bytes], bytes], home: Path) -> None:
    (path,) = kept(home)
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda data: data[: len(data) // 2], "damaged"),
        (lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:], "damaged"),
        (lambda _: b"", "another version"),
        (lambda data: data.replace(b"ticker state 4", b"ticker state 9", 1), "another version"),
        (lambda _: b"ticker state 4\n", "damaged"),
    ],
)
async def test_a_file_that_cannot_be_used_costs_snapshots_and_is_said_once(
    address: str, home: Path, logs: Logs, change: Callable[[bytes], bytes], cause: str
) -> None:
    epoch = await first_run(address)
    damage(change, home)
    logs.clear()
    assert await epoch_after(address) != epoch
    (alarm,) = alarms(logs)
    assert cause in alarm["cause"]


def with_its_checksum(content: bytes) -> bytes:
    """A file with this content behind its beginning, as another version might write it."""
    return b"ticker state 4\n" + zlib.crc32(content).to_bytes(4, "big") + content


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[:-1],
        lambda content: content.replace(b"book:10", b"book:11"),
        lambda content: content + packed([1, 2]),
        lambda content: content.replace(b"venue", b"ven\xffe"),
        lambda content: content[: content.index(b"venue")],
    ],
)
async def test_a_whole_file_that_no_cache_can_go_on_from_is_said_once(
    address: str, home: Path, logs: Logs, change: Callable[[bytes], bytes]
) -> None:
    async with serving(*MARKET, listen=address, name="kept") as service:
        peer = await service.watcher("*", BOOK)
        assert peer.welcome is not None
        epoch = peer.welcome.epoch
        await stopped(service)
    damage(lambda data: with_its_checksum(change(data[19:])), home)
    logs.clear()
    assert await epoch_after(address) != epoch
    (alarm,) = alarms(logs)
    assert alarm["event"].startswith("the state of the earlier run is not used")


async def test_tables_are_given_up_when_their_clients_had_time_to_come_back(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticker.server.kept_state.RESUME_SECONDS", 0)
    config = Config(listen=address)
    state = KeptState(config)
    cache = LastValueCache("e", tables=config.tables)
    for publication in MARKET:
        cache.publish(publication)
    table = cache.open_table("A", TableName("book", 10))
    table.watch()
    cache.close_cut(1)
    monkeypatch.setattr("ticker.server.kept_state.STATE_PIECE_BYTES", 1)
    await state.save(cache)
    begun = KeptState(config).begin()
    assert [each.watchers for each in begun.held] == [1]
    await release_later(begun.held)
    assert [each.watchers for each in begun.held] == [0]


async def test_the_file_serves_one_start_and_one_market(address: str, home: Path) -> None:
    epoch = await first_run(address)
    (path,) = kept(home)
    content = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert await epoch_after(address, limits=Limits(max_instruments=7)) != epoch
    path.write_bytes(content)
    assert await epoch_after(address, keep_state=False) != epoch
    assert await epoch_after(address) == epoch
    path.unlink()
    assert await epoch_after(address) != epoch, "as after a crash"


def test_an_old_file_is_not_gone_on_from(address: str) -> None:
    now = 10**15
    config = Config(listen=address)
    state = KeptState(config, lambda: now)
    cache = LastValueCache("e", tables=config.tables)
    cache.publish(Instrument("A"))
    cache.close_cut(now)
    for later, epoch_kept in ((STATE_SECONDS, True), (STATE_SECONDS + 1, False), (-1, False)):
        trio.run(state.save, cache)
        begun = KeptState(config, lambda later=later: now + later * 1_000_000).begin()  # type: ignore[misc]
        assert (begun.cache.epoch == "e") == epoch_kept


async def test_a_folder_that_cannot_be_written_is_said_and_the_stop_is_clean(
    address: str, home: Path, logs: Logs
) -> None:
    async with serving(*MARKET, listen=address, name="kept") as service:
        await service.watcher()
        await trio.Path(home).chmod(0o777)
        await stopped(service)
    await trio.Path(home).chmod(0o700)
    (alarm,) = alarms(logs)
    assert "others may write" in alarm["cause"]
    assert not kept(home)


async def test_a_service_without_a_port_of_its_own_keeps_nothing(home: Path) -> None:
    async with serving(*MARKET) as service:
        await stopped(service)
    assert not kept(home)


async def test_bars_that_the_state_has_and_the_history_has_not_are_written_to_it(address: str, home: Path) -> None:
    path = home / "bars.sqlite"
    prints = [Trade("T", str(1 + each), 1, time=(1_699_999_980 + 60 * each) * 1_000_000) for each in range(5)]
    # As after a stop at which the disk was full.
    async with serving(Instrument("T"), *prints, listen=address, name="kept") as service:
        await stopped(service)
    settings = History(file=str(path), keep_bars=100_000_000)
    async with serving(listen=address, name="kept", history=settings) as service:
        with trio.fail_after(HANG_SECONDS):
            while not path.exists() or closes(path) != [100, 200, 300, 400, 500]:
                await trio.sleep(0.05)
        await stopped(service)


def closes(path: Path) -> list[int]:
    """Those of the bars of a minute in a file of the history."""
    with suppress(HistoryFault):
        return [int(str(row[4])) for row in read_bars(path, ("T", "1m", "UTC"), 2**40, 100).rows]
    return []
