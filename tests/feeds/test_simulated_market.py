"""ticker_feeds/simulation/market.py: an invented market that can be repeated."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from ticker.errors import ConfigError
from ticker.market import FeedItem, Instrument, Publication, Update, Value
from ticker.numbers import parse_decimal
from ticker_feeds.simulation import Simulated, faults
from ticker_feeds.simulation.market import publications

SYMBOLS = ["EURUSD", "BTCUSD", "QQQQ", "ZZZZ"]


def taken(count: int, seed: int = 1) -> list[Publication]:
    return list(islice(publications(SYMBOLS, seed), count))


def of(symbols: list[str], received: list[tuple[float, list[Publication]]]) -> list[tuple[float, Publication]]:
    """Return the received publications of these symbols, with their times."""
    return [(at, each) for at, batch in received for each in batch if each.symbol in symbols]


async def batches(
    clock: MockClock, feed: Simulated, seconds: float, pause: float = 0
) -> list[tuple[float, list[Publication]]]:
    """Return the batches of a feed within some seconds, with their times; `pause` is the reader's between two."""
    received: list[tuple[float, list[Publication]]] = []
    sending, receiving = trio.open_memory_channel[FeedItem](0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.run, sending)
        with trio.move_on_after(seconds):
            async for item in receiving:
                assert isinstance(item, list)
                received.append((clock.current_time(), item))
                await trio.sleep(pause)
        nursery.cancel_scope.cancel()
    sending.close()
    receiving.close()
    return received


def test_the_same_seed_gives_the_same_updates() -> None:
    assert taken(5_000) == taken(5_000)


def test_another_seed_gives_other_updates() -> None:
    assert taken(100, seed=1) != taken(100, seed=2)


def test_every_symbol_is_declared_and_opened_before_anything_else() -> None:
    opening = taken(2 * len(SYMBOLS))
    for symbol, instrument, update in zip(SYMBOLS, opening[::2], opening[1::2], strict=True):
        assert isinstance(instrument, Instrument)
        assert isinstance(update, Update)
        assert instrument.symbol == update.symbol == symbol
        assert set(instrument.metadata) == {"name", "venue", "currency"}
        assert update.fields["status"] == "live"
        assert update.fields.keys() == {
            *("bid", "bid_size", "ask", "ask_size", "last", "last_size", "open", "high", "low"),
            *("prev_close", "volume", "trade_count", "status"),
        }


def test_the_market_stays_a_market() -> None:
    instruments: dict[str, Instrument] = {}
    state: dict[str, dict[str, Value]] = {}
    for each in taken(50_000):
        if isinstance(each, Instrument):
            instruments[each.symbol] = each
            continue
        assert isinstance(each, Update)
        now = state.setdefault(each.symbol, {})
        before = dict(now)
        now |= each.fields
        number = {name: Decimal(value) for name, value in now.items() if value is not None and name != "status"}
        assert 0 < number["bid"] < number["ask"]
        assert number["low"] <= number["last"] <= number["high"]
        assert min(number["bid_size"], number["ask_size"], number["last_size"]) > 0
        if "last" in each.fields and before:
            assert now["last"] in {before["bid"], before["ask"]}
            assert number["volume"] == Decimal(str(before["volume"])) + number["last_size"]
            assert number["trade_count"] == Decimal(str(before["trade_count"])) + 1
    for symbol, fields in state.items():
        for name in ("bid", "ask", "last", "high", "low"):
            assert parse_decimal(str(fields[name]))[1] <= instruments[symbol].price_scale
        assert parse_decimal(str(fields["volume"]))[1] <= instruments[symbol].size_scale


def test_the_first_symbols_are_far_busier_than_the_last() -> None:
    busy = Counter(each.symbol for each in islice(publications(Simulated(symbols="50").symbols, 1), 20_000))
    assert busy["EURUSD"] > 10 * min(busy.values())


def test_a_number_of_symbols_gives_as_many_names_all_different() -> None:
    symbols = Simulated(symbols="100000").symbols
    assert len(set(symbols)) == len(symbols) == 100_000
    assert symbols[:3] == ["EURUSD", "BTCUSD", "AAPL"]
    assert Simulated().symbols == symbols[:20]


def test_symbols_can_be_named() -> None:
    assert Simulated(symbols="XAUUSD,MY.OWN").symbols == ["XAUUSD", "MY.OWN"]


@pytest.mark.parametrize("symbols", ["0", "100001", "9" * 5_000, "", "A,,B", "A[B", "A,*", "A,B,A"])
def test_symbols_that_cannot_be_are_refused(symbols: str) -> None:
    with pytest.raises(ConfigError, match="symbols"):
        Simulated(symbols=symbols)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_a_rate_that_cannot_be_is_refused(rate: float) -> None:
    with pytest.raises(ConfigError, match="rate"):
        Simulated(rate=rate)


@pytest.mark.parametrize(("rate", "seconds"), [(0.5, 20), (7.0, 20), (200.0, 20), (20_000.0, 2)])
async def test_updates_come_at_the_rate_asked_for(rate: float, seconds: int, autojump_clock: MockClock) -> None:
    received = (await batches(autojump_clock, Simulated(symbols="5", rate=rate), seconds))[1:]
    assert sum(len(batch) for _, batch in received) == pytest.approx(seconds * rate, rel=0.01, abs=2)
    assert len(received) <= seconds * 100 + 1


async def test_the_channel_gets_the_sequence_with_the_time_added(autojump_clock: MockClock) -> None:
    received = [
        each for _, batch in await batches(autojump_clock, Simulated(symbols=",".join(SYMBOLS)), 5) for each in batch
    ]
    bare: list[Publication] = []
    for each in received:
        if isinstance(each, Update):
            assert isinstance(each.fields["time"], int)
            fields = {name: value for name, value in each.fields.items() if name != "time"}
            bare.append(Update(each.symbol, fields))
        else:
            bare.append(each)
    assert bare == taken(len(received))


async def test_many_symbols_are_opened_in_several_batches(autojump_clock: MockClock) -> None:
    received = await batches(autojump_clock, Simulated(symbols="2500", rate=1.0), seconds=0.5)
    assert [len(batch) for _, batch in received] == [2_000, 2_000, 1_000]
    assert {at for at, _ in received} == {0.0}


async def test_what_could_not_be_sent_in_time_is_not_made_up_for(autojump_clock: MockClock) -> None:
    received = await batches(autojump_clock, Simulated(symbols="5", rate=1_000.0), seconds=60, pause=10)
    assert max(len(batch) for _, batch in received) <= 101


@pytest.mark.parametrize(
    ("options", "there"),
    [({}, True), ({"faults": False}, False), ({"symbols": "5"}, False), ({"symbols": "5", "faults": True}, True)],
)
async def test_fault_symbols_come_with_the_plain_market_and_where_they_are_asked_for(
    options: dict[str, Any], autojump_clock: MockClock, *, there: bool
) -> None:
    received = await batches(autojump_clock, Simulated(**options), 1)
    declared = [each.symbol for _, batch in received for each in batch if isinstance(each, Instrument)]
    assert len(declared) == len(set(declared))
    assert set(faults.SYMBOLS) <= set(declared) if there else not set(faults.SYMBOLS) & set(declared)


async def test_fault_symbols_keep_their_seconds(autojump_clock: MockClock) -> None:
    start = autojump_clock.current_time()
    received = await batches(autojump_clock, Simulated(), 45)
    halts = [
        (at - start, each.fields["status"])
        for at, each in of(["TEST.HALT"], received)
        if isinstance(each, Update) and "status" in each.fields
    ]
    assert halts == [(0, "live"), (10, "halted"), (20, "live"), (30, "halted"), (40, "live")]


async def test_fault_symbols_leave_nothing_out_for_a_service_that_is_behind(autojump_clock: MockClock) -> None:
    received = await batches(autojump_clock, Simulated(symbols="1", rate=0.1, faults=True), 600, pause=7)
    sent = [each for _, each in of(list(faults.SYMBOLS), received)]
    planned = [each for step in islice(faults.schedule(1), len(sent)) for each in step.batch]
    assert len(sent) > 50
    assert [(type(each), each.symbol) for each in sent] == [(type(each), each.symbol) for each in planned][: len(sent)]


def test_a_fault_symbol_is_no_symbol_of_the_market() -> None:
    with pytest.raises(ConfigError, match=r"TEST\.HALT is a fault symbol.*give faults=yes"):
        Simulated(symbols="EURUSD,TEST.HALT")
