"""ticker_feeds/simulation/market.py: an invented market that can be repeated."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice, pairwise
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from ticker.core.last_value import LastValueCache
from ticker.errors import ConfigError
from ticker.market import Candle, FeedItem, Instrument, Levels, Publication, Trade, Update, Value
from ticker.numbers import parse_decimal
from ticker_feeds.rows import check_candle
from ticker_feeds.simulation import Simulated, faults
from ticker_feeds.simulation.market import MAX_BOOKS, MAX_PASTS, PAST_BATCH, SMALL_CHART_BARS, events, make_markets
from ticker_feeds.simulation.past import PERIODS

SYMBOLS = ["EURUSD", "BTCUSD", "QQQQ", "ZZZZ"]
NOW = 1_800_000_123


def market(seed: int = 1, symbols: list[str] = SYMBOLS, depth: int = 25) -> Iterator[list[Publication]]:
    """Everything that happens, without the past: the opening of each symbol, then event by event."""
    markets = make_markets(symbols, seed, depth)
    yield from (each.opening() for each in markets)
    yield from events(markets, seed)


def past(symbols: list[str], seed: int, count: int, now: int) -> list[Candle]:
    """The past of these symbols, in the order of time."""
    told = [market.past(count, seed, now, 50.0) for market in make_markets(symbols, seed, 25)]
    candles = [each for current, earlier in told for each in (*current, *earlier)]
    return sorted(candles, key=lambda each: each.start)


def taken(count: int, seed: int = 1, depth: int = 25) -> list[Publication]:
    """The publications of so many events, behind the opening."""
    return [each for event in islice(market(seed, depth=depth), count) for each in event]


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
    opening = taken(len(SYMBOLS))
    for symbol, instrument, update, book in zip(SYMBOLS, opening[::3], opening[1::3], opening[2::3], strict=True):
        assert isinstance(book, Levels)
        assert book.complete
        assert len(book.bids) == len(book.asks) == 25
        assert isinstance(instrument, Instrument)
        assert isinstance(update, Update)
        assert instrument.symbol == update.symbol == symbol
        assert set(instrument.metadata) == {"name", "venue", "currency"}
        assert update.fields["status"] == "live"
        assert update.fields.keys() == {
            *("bid", "bid_size", "ask", "ask_size", "last", "last_size", "open", "high", "low"),
            *("prev_close", "volume", "trade_count", "status"),
        }


@pytest.mark.untraced
def test_the_market_stays_a_market() -> None:
    instruments: dict[str, Instrument] = {}
    state: dict[str, dict[str, Value]] = {}
    for each in taken(50_000, depth=0):
        if isinstance(each, Instrument):
            instruments[each.symbol] = each
            continue
        now = state.setdefault(each.symbol, {})
        if isinstance(each, Trade):
            assert each.price == now["bid" if each.side == "sell" else "ask"]
            now |= {"last": each.price, "last_size": each.size}
            continue
        assert isinstance(each, Update)
        before = dict(now)
        now |= each.fields
        number = {name: Decimal(value) for name, value in now.items() if value is not None and name != "status"}
        assert 0 < number["bid"] < number["ask"]
        assert number["low"] <= number["last"] <= number["high"]
        assert min(number["bid_size"], number["ask_size"], number["last_size"]) > 0
        if "volume" in each.fields and before:
            assert number["volume"] == Decimal(str(before["volume"])) + number["last_size"]
            assert number["trade_count"] == Decimal(str(before["trade_count"])) + 1
    for symbol, fields in state.items():
        for name in ("bid", "ask", "last", "high", "low"):
            assert parse_decimal(str(fields[name]))[1] <= instruments[symbol].price_scale
        assert parse_decimal(str(fields["volume"]))[1] <= instruments[symbol].size_scale


def test_the_book_is_whole_after_every_event_and_trades_take_from_its_best_levels() -> None:
    books: dict[str, tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]] = {}
    quotes: dict[str, dict[str, Value]] = {}
    through = 0
    for event in islice(market(), 5_000):
        symbol = event[0].symbol
        sides = books.setdefault(symbol, ({}, {}))
        wanted: dict[Decimal, Decimal] = {}
        for each in event:
            if isinstance(each, Trade):
                side = sides[0] if each.side == "sell" else sides[1]
                best = next(price for price in sorted(side, reverse=side is sides[0]) if price not in wanted)
                assert Decimal(each.price) == best
                assert 0 < Decimal(each.size) <= side[best]
                wanted[best] = side[best] - Decimal(each.size)
            elif isinstance(each, Update):
                quotes.setdefault(symbol, {}).update(each.fields)
            elif isinstance(each, Levels):
                for side, levels in zip(sides, (each.bids, each.asks), strict=True):
                    for price, size in levels:
                        side[Decimal(price)] = Decimal(size)
                    for price in [price for price, size in side.items() if not size]:
                        del side[price]
        for price, left in wanted.items():
            assert left == (sides[0].get(price) or sides[1].get(price) or 0)
        through += len(wanted) > 1
        bids, asks = sides
        assert (len(bids), len(asks)) == (25, 25)
        assert min(bids) > 0
        assert max(bids) < min(asks)
        quote = {name: Decimal(str(quotes[symbol][name])) for name in ("bid", "bid_size", "ask", "ask_size")}
        assert (quote["bid"], quote["bid_size"]) == (max(bids), bids[max(bids)])
        assert (quote["ask"], quote["ask_size"]) == (min(asks), asks[min(asks)])
    assert through > 30


@pytest.mark.parametrize("now", [NOW, 1_799_971_200])
def test_the_past_ends_where_the_live_prices_begin_and_its_periods_agree(now: int) -> None:
    bars: dict[tuple[str, str], list[Candle]] = {}
    for each in past(SYMBOLS[1:3], 1, 1_000, now):
        check_candle(each)
        bars.setdefault((each.symbol, each.period), []).append(each)
    assert bars.keys() == {(symbol, period) for symbol in SYMBOLS[1:3] for period in PERIODS}
    for market in make_markets(SYMBOLS[1:3], 1, 25):
        update = market.opening()[1]
        assert isinstance(update, Update)
        for period, seconds in PERIODS.items():
            row = bars[update.symbol, period]
            starts = [bar.start for bar in row]
            assert starts == list(range(starts[-1] - 999 * seconds, starts[-1] + 1, seconds))
            assert starts[-1] <= now < starts[-1] + seconds
            assert row[-1].close == update.fields["last"]
            assert all(before.close == after.open for before, after in pairwise(row))
            for bar in row:
                low, high = Decimal(bar.low), Decimal(bar.high)
                assert 0 < low <= min(Decimal(bar.open), Decimal(bar.close))
                assert max(Decimal(bar.open), Decimal(bar.close)) <= high < 2 * Decimal(row[-1].close)
        for (shorter, _), (longer, seconds) in pairwise(PERIODS.items()):
            for bar in bars[update.symbol, longer][-10:]:
                parts = [each for each in bars[update.symbol, shorter] if bar.start <= each.start < bar.start + seconds]
                assert Decimal(str(bar.volume)) == sum(Decimal(str(each.volume)) for each in parts)
                assert (bar.open, bar.close) == (parts[0].open, parts[-1].close)
                assert Decimal(bar.high) == max(Decimal(each.high) for each in parts)


def test_the_seed_determines_the_past() -> None:
    def drawn(seed: int, now: int = NOW) -> list[Candle]:
        return [each for each in past(SYMBOLS[:1], seed, 100, now) if each.period == "1m"]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert [each.close for each in drawn(1)] == [each.close for each in drawn(1, NOW + 300)]


async def test_the_current_bars_come_before_the_first_trade_and_the_others_little_by_little(
    autojump_clock: MockClock,
) -> None:
    received = await batches(autojump_clock, Simulated(symbols="3", past=400, rate=50.0), 5)
    kinds = [type(each) for _, batch in received for each in batch]
    assert kinds[:21] == [Instrument, Update, Levels] * 3 + [Candle] * 12
    assert kinds.index(Trade) > 21
    assert kinds.count(Candle) == 3 * 4 * 400
    assert max(sum(isinstance(each, Candle) for each in batch) for _, batch in received) == PAST_BATCH
    current = [each for _, batch in received[:4] for each in batch if isinstance(each, Candle)]
    assert all(each.start > time.time() - 2 * PERIODS[each.period] for each in current)


async def test_the_latest_minutes_of_all_symbols_come_before_the_rest_of_any(autojump_clock: MockClock) -> None:
    received = await batches(autojump_clock, Simulated(symbols="9", past=1_000, rate=1.0), 30)
    candles = [each for _, batch in received for each in batch if isinstance(each, Candle)][9 * 4 :]
    first, rest = candles[: 9 * SMALL_CHART_BARS], candles[9 * SMALL_CHART_BARS :]
    assert len(rest) == 9 * (4 * 999 - SMALL_CHART_BARS)
    for symbol in {each.symbol for each in first}:
        latest = [each.start for each in first if each.symbol == symbol and each.period == "1m"]
        assert len(latest) == SMALL_CHART_BARS
        assert min(latest) > max(each.start for each in rest if (each.symbol, each.period) == (symbol, "1m"))


async def test_books_and_the_past_can_be_left_out(autojump_clock: MockClock) -> None:
    received = await batches(autojump_clock, Simulated(symbols="3", depth=0, past=0), 5)
    assert {type(each) for _, batch in received for each in batch} == {Instrument, Update, Trade}


async def test_only_the_busiest_symbols_have_a_book_and_a_past(autojump_clock: MockClock) -> None:
    received = await batches(autojump_clock, Simulated(symbols=str(MAX_BOOKS + 100), rate=1.0, depth=1, past=1), 0.5)
    of_kind = [
        {each.symbol for _, batch in received for each in batch if isinstance(each, kind)}
        for kind in (Instrument, Levels, Candle)
    ]
    assert [len(symbols) for symbols in of_kind] == [MAX_BOOKS + 100, MAX_BOOKS, MAX_PASTS]


@pytest.mark.parametrize("options", [{"depth": -1}, {"depth": 1_001}, {"past": -1}, {"past": 10_001}])
def test_a_depth_and_a_past_that_cannot_be_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="give 0 to"):
        Simulated(**options)  # type: ignore[arg-type]  # both are integers


async def test_trades_of_a_second_run_do_not_correct_those_of_the_first(autojump_clock: MockClock) -> None:
    feed = Simulated(symbols="1", rate=50.0, past=0)
    ids = [
        each.id
        for _ in range(2)
        for _, batch in await batches(autojump_clock, feed, 5)
        for each in batch
        if isinstance(each, Trade)
    ]
    assert len(ids) > 20
    assert len(set(ids)) == len(ids)


def test_nothing_is_refused_and_the_fields_are_those_of_the_trades() -> None:
    cache = LastValueCache("epoch")
    for each in taken(5_000):
        assert not cache.publish(each)
    cache.close_cut(1)
    for symbol in SYMBOLS:
        book, prints = cache.book_of(symbol), cache.trades_of(symbol)
        assert book is not None
        assert prints is not None
        assert book.status() == ("live", None)


@pytest.mark.untraced
def test_the_first_symbols_are_far_busier_than_the_last() -> None:
    busy = Counter(event[0].symbol for event in islice(market(symbols=Simulated(symbols="50").symbols), 20_000))
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


@pytest.mark.parametrize(
    ("rate", "seconds"), [(0.5, 20), (7.0, 20), (200.0, 20), pytest.param(20_000.0, 2, marks=pytest.mark.untraced)]
)
async def test_updates_come_at_the_rate_asked_for(rate: float, seconds: int, autojump_clock: MockClock) -> None:
    received = (await batches(autojump_clock, Simulated(symbols="5", rate=rate, past=0), seconds))[1:]
    updates = sum(isinstance(each, Update) for _, batch in received for each in batch)
    assert updates == pytest.approx(seconds * rate, rel=0.01, abs=2)
    assert len(received) <= seconds * 100 + 1


async def test_the_channel_gets_the_sequence_with_times_and_ids_added(autojump_clock: MockClock) -> None:
    feed = Simulated(symbols=",".join(SYMBOLS), past=0)
    received = [each for _, batch in await batches(autojump_clock, feed, 5) for each in batch]
    first: int | None = None
    bare: list[Publication] = []
    for each, planned in zip(received, taken(len(received)), strict=False):
        if isinstance(each, Update):
            assert isinstance(each.fields["time"], int)
            fields = {name: value for name, value in each.fields.items() if name != "time"}
            bare.append(Update(each.symbol, fields))
        elif isinstance(each, Trade):
            assert isinstance(planned, Trade)
            assert isinstance(each.id, int)
            assert isinstance(planned.id, int)
            assert isinstance(each.time, int)
            first = each.id - planned.id if first is None else first
            bare.append(each._replace(time=None, id=each.id - first))
        else:
            bare.append(each)
    assert bare == taken(len(received))[: len(bare)]


async def test_many_symbols_are_opened_in_several_batches(autojump_clock: MockClock) -> None:
    received = await batches(autojump_clock, Simulated(symbols="2500", rate=1.0, depth=0, past=0), seconds=0.5)
    assert [len(batch) for _, batch in received] == [2_000, 2_000, 1_000]
    assert {at for at, _ in received} == {0.0}


async def test_what_could_not_be_sent_in_time_is_not_made_up_for(autojump_clock: MockClock) -> None:
    received = await batches(autojump_clock, Simulated(symbols="5", rate=1_000.0, past=0), seconds=60, pause=10)
    assert max(sum(isinstance(each, Update) for each in batch) for _, batch in received) <= 101


@pytest.mark.parametrize(
    ("options", "there"),
    [({}, True), ({"faults": False}, False), ({"symbols": "5"}, False), ({"symbols": "5", "faults": True}, True)],
)
async def test_fault_symbols_come_with_the_plain_market_and_where_they_are_asked_for(
    options: dict[str, Any], autojump_clock: MockClock, *, there: bool
) -> None:
    received = await batches(autojump_clock, Simulated(past=0, **options), 1)
    declared = [each.symbol for _, batch in received for each in batch if isinstance(each, Instrument)]
    assert len(declared) == len(set(declared))
    assert set(faults.SYMBOLS) <= set(declared) if there else not set(faults.SYMBOLS) & set(declared)
    assert Simulated(past=0, **options).faulty_symbols == (set(faults.SYMBOLS) if there else set())


async def test_fault_symbols_keep_their_seconds(autojump_clock: MockClock) -> None:
    start = autojump_clock.current_time()
    received = await batches(autojump_clock, Simulated(past=0), 45)
    halts = [
        (at - start, each.fields["status"])
        for at, each in of(["TEST.HALT"], received)
        if isinstance(each, Update) and "status" in each.fields
    ]
    assert halts == [(0, "live"), (10, "halted"), (20, "live"), (30, "halted"), (40, "live")]


async def test_fault_symbols_leave_nothing_out_for_a_service_that_is_behind(autojump_clock: MockClock) -> None:
    received = await batches(autojump_clock, Simulated(symbols="1", rate=0.1, past=0, faults=True), 600, pause=7)
    sent = [each for _, each in of(list(faults.SYMBOLS), received)]
    planned = [each for step in islice(faults.schedule(1), len(sent)) for each in step.batch]
    assert len(sent) > 50
    assert [(type(each), each.symbol) for each in sent] == [(type(each), each.symbol) for each in planned][: len(sent)]


def test_a_fault_symbol_is_no_symbol_of_the_market() -> None:
    with pytest.raises(ConfigError, match=r"TEST\.HALT is a fault symbol.*give faults=yes"):
        Simulated(symbols="EURUSD,TEST.HALT")
