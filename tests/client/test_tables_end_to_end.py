"""Books, trades and candles of the Python client from the real service: exact through cuts, stalls and restarts."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from tests.client.network import proxied, settle
from tests.conftest import Running, serving
from ticker import Book, Connected, Disconnected, Event, Print, Refused, connect, snapshot, watch
from ticker.errors import Code
from ticker.market import Candle, Instrument, Level, Levels, Publication, Stale, Trade, Update

D = Decimal
MINUTE = int(time.time()) // 60 * 60 - 600
"""The start of a minute that is over, in seconds."""

DECLARED: tuple[Publication, ...] = (Instrument("A", price_scale=2, size_scale=1), Update("A", {"bid": "1"}))


class Model:
    """The book that the feed has published, and the changes that it makes."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311  # no secret
        self.sides: dict[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}
        self.trades = 0

    def complete(self) -> Levels:
        for side, sign in (("bids", -1), ("asks", 1)):
            self.sides[side] = {D(100) + sign * D(number) / 10: D(number) for number in range(1, 40)}
        bids, asks = (list(self.sides[side].items()) for side in ("bids", "asks"))
        return Levels("A", bids, asks, complete=True)

    def change(self) -> Levels:
        changes: dict[str, list[Level]] = {"bids": [], "asks": []}
        for side, sign in (("bids", -1), ("asks", 1)):
            for _ in range(self.random.randint(0, 3)):
                price = D(100) + sign * D(self.random.randint(1, 50)) / 10
                size = D(self.random.choice([0, 0, 1, 2, 3]))
                changes[side].append((price, size))
                self.sides[side].pop(price, None)
                if size:
                    self.sides[side][price] = size
        return Levels("A", changes["bids"], changes["asks"])

    def trade(self) -> Trade:
        self.trades += 1
        return Trade(
            "A", D(100) + D(self.trades) / 100, D(self.trades), "buy", MINUTE * 1_000_000 + self.trades, self.trades
        )

    def best(self, depth: int) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
        bids = sorted(self.sides["bids"].items(), reverse=True)[:depth]
        return bids, sorted(self.sides["asks"].items())[:depth]


async def until(holds: Callable[[], bool]) -> None:
    with trio.fail_after(1000):
        while not holds():
            await trio.sleep(0.005)


async def shows(book: Book, model: Model, depth: int) -> None:
    await until(lambda: (book.bids, book.asks) == model.best(depth))


async def publish(service: Running, model: Model, count: int) -> None:
    for _ in range(count):
        await service.publish(model.change(), model.trade())


# Books


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_book_is_that_of_the_feed_through_cuts_and_stalls(fast_clock: MockClock, seed: int) -> None:
    model, events = Model(seed), list[Event]()
    async with (
        serving(*DECLARED, model.complete()) as service,
        proxied(service) as proxy,
        connect(proxy.url, on_event=events.append) as client,
        client.book("A", 10) as ten,
        client.book("A", 12) as twelve,
    ):
        assert (ten.bids, ten.asks) == model.best(10)
        assert (ten.status, twelve.name) == ("live", "A book:25")
        for number in range(3):
            await publish(service, model, 40)
            await shows(ten, model, 10)
            await shows(twelve, model, 12)
            proxy.open = False
            proxy.cut()
            await settle(fast_clock, events, Disconnected, number + 1)
            assert (ten.status, ten.reason, len(ten.bids)) == ("stale", "reconnecting", 10)
            await publish(service, model, 40)
            proxy.open = True
            await settle(fast_clock, events, Connected, number + 2)
            await shows(ten, model, 10)
            proxy.stall()
            await publish(service, model, 40)
            proxy.flow()
            await shows(twelve, model, 12)
        assert await client.verify()
    assert all(each.resumed for each in events[1:] if isinstance(each, Connected))


async def test_a_book_of_a_service_that_starts_anew_is_its_book(fast_clock: MockClock) -> None:
    model, other, events = Model(3), Model(4), list[Event]()
    async with (
        serving(*DECLARED, model.complete()) as service,
        proxied(service) as proxy,
        connect(proxy.url, on_event=events.append) as client,
        client.book("A", 10) as book,
        serving(Instrument("A", price_scale=4), other.complete(), other.change()) as successor,
    ):
        proxy.target = successor.port
        proxy.cut()
        await settle(fast_clock, events, Connected, 2)
        await shows(book, other, 10)
        assert await client.verify()


async def test_a_stale_book_says_why_while_its_quotes_go_on() -> None:
    model = Model(5)
    async with serving(*DECLARED, model.complete()) as service, connect(service.url) as client:
        subscription = client.subscribe("A")
        async with client.book("A") as book:
            await service.publish(Stale("A", "gap", book_only=True))
            async for _ in book:
                if book.status == "stale":
                    break
            assert book.reason == "gap"
            await service.publish(Update("A", {"bid": "2"}))
            async for change in subscription:
                if change.changes["A"].get("bid") == 2:
                    break
            await service.publish(model.complete())
            await until(lambda: book.status == "live")
            await shows(book, model, 10)


async def test_a_symbol_that_appears_later_brings_its_book() -> None:
    model = Model(6)
    async with serving(Instrument("B")) as service, connect(service.url) as client:
        book = client.book("A")
        await book.complete()
        assert (book.bids, book.status, book.reason) == ([], "stale", "no_data")
        await service.publish(*DECLARED, model.complete())
        await shows(book, model, 10)


async def test_a_book_closed_and_opened_again_is_the_present_one() -> None:
    model = Model(7)
    async with serving(*DECLARED, model.complete()) as service, connect(service.url) as client:
        for _ in range(5):
            async with client.book("A") as book:
                await publish(service, model, 3)
                await shows(book, model, 10)
        await until(lambda: "A book:10" not in client.names)


# Trades


async def test_each_print_comes_once_on_a_loop_that_keeps_up() -> None:
    model = Model(8)
    async with (
        serving(*DECLARED, model.complete(), *[model.trade() for _ in range(5)]) as service,
        connect(service.url) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(publish, service, model, 200)
        found: list[Print] = []
        async for each in client.trades("A", 1000):
            found.append(each)
            if each.id == 205:
                break
    assert [each.id for each in found] == list(range(1, 206))
    assert not any(each.missed or each.correction for each in found)
    assert (found[-1].price, found[-1].size, found[-1].side) == (D("102.05"), D(205), "buy")


async def test_a_reader_that_was_away_is_told_the_exact_number_of_prints_that_it_missed(fast_clock: MockClock) -> None:
    model, events = Model(9), list[Event]()
    async with (
        serving(*DECLARED, model.trade()) as service,
        proxied(service) as proxy,
        connect(proxy.url, on_event=events.append) as client,
        client.trades("A", 20) as trades,
    ):
        assert (await anext(trades)).id == 1
        proxy.open = False
        proxy.cut()
        await settle(fast_clock, events, Disconnected)
        for _ in range(50):
            await service.publish(model.trade())
        proxy.open = True
        await settle(fast_clock, events, Connected, 2)
        found = [await anext(trades) for _ in range(20)]
        assert [(each.id, each.missed) for each in found] == [(32, 30), *[(number, 0) for number in range(33, 52)]]
        await service.publish(model.trade())
        assert (await anext(trades)).missed == 0


async def test_a_corrected_trade_comes_again() -> None:
    model = Model(10)
    async with (
        serving(*DECLARED, model.trade(), model.trade()) as service,
        connect(service.url) as client,
        client.trades("A", 10) as trades,
    ):
        first, _ = await anext(trades), await anext(trades)
        await service.publish(Trade("A", "7", "0", id=1))
        corrected = await anext(trades)
        assert (corrected.number, corrected.size, corrected.correction) == (first.number, D(0), True)


# Candles


async def test_bars_are_those_of_the_prints_and_each_closed_one_comes_once() -> None:
    past = Candle("A", "1m", MINUTE - 60, "1", "2", "0.5", "1.5", "10", 3)
    prints = [
        Trade("A", price, "2", time=(MINUTE + second) * 1_000_000) for second, price in ((1, "5"), (2, "9"), (59, "7"))
    ]
    async with (
        serving(*DECLARED, past, *prints) as service,
        connect(service.url) as client,
        client.candles("A", "1m", 10) as candles,
    ):
        earlier, now = candles.bars
        assert (earlier.open, earlier.close, earlier.trades) == (D(1), D("1.5"), 3)
        assert [now.open, now.high, now.low, now.close, now.volume] == [D(5), D(9), D(5), D(7), D(6)]
        found = [await anext(candles) for _ in range(2)]  # both are over by the clock of the service
        assert [each.start.timestamp() for each in found] == [MINUTE - 60, MINUTE]
        await service.publish(Trade("A", "3", "1", time=(MINUTE + 30) * 1_000_000))
        late = await anext(candles)
        assert (late.start, late.low, late.trades, late.correction) == (found[1].start, D(3), 4, True)


async def test_one_minute_of_a_month_ago_is_filled_up_to_now() -> None:
    print_of_old = Trade("A", "5", "2", time=(MINUTE - 30 * 86_400) * 1_000_000)
    async with (
        serving(*DECLARED, print_of_old) as service,
        connect(service.url) as client,
        client.candles("A", "1m", 50, fill=True) as candles,
    ):
        bars = candles.bars
        assert len(bars) == 50
        assert {(each.close, each.volume) for each in bars} == {(D(5), D(0))}
        assert [(bar.start - bars[0].start).seconds for bar in bars] == list(range(0, 3000, 60))


# One call, and changes


async def test_one_call_returns_the_values_of_instruments_and_tables() -> None:
    model = Model(11)
    async with serving(*DECLARED, model.complete(), model.trade(), Instrument("B")) as service:

        def script() -> None:
            values = snapshot(service.url, ["A", "* book:10", "A trades:50", "A candles:1m:10", "NONE", "NONE book:10"])
            assert values["A"]["bid"] == D(1)
            assert (values["A book:10"]["bids"], values["A book:10"]["asks"]) == model.best(10)
            assert values["B book:10"] == {"bids": [], "asks": [], "status": "stale", "reason": "no_data"}
            (trade,) = values["A trades:50"]["trades"]
            assert (trade.price, trade.size, trade.side, trade.id) == (D("100.01"), D(1), "buy", 1)
            (bar,) = values["A candles:1m:10"]["candles"]
            assert (bar.start, bar.close, bar.trades) == (MINUTE, D("100.01"), 1)
            assert values.keys() == {"A", "A book:10", "B book:10", "A trades:50", "A candles:1m:10"}
            assert snapshot(service.url, ["NONE"]) == {}
            events: list[Event] = []
            assert snapshot(service.url, ["A book:11", "A book:10"], on_event=events.append).keys() == {"A book:10"}
            offer = "this service offers book:10, book:25, book:100"
            assert [each for each in events if isinstance(each, Refused)] == [
                Refused("A book:11", Code.UNKNOWN_TABLE, offer)
            ]

        await trio.to_thread.run_sync(script, abandon_on_cancel=True)


async def test_a_script_iterates_over_the_changes_of_tables_and_holds_them_exactly() -> None:
    model = Model(12)
    async with serving(*DECLARED, model.complete()) as service:

        def script() -> None:
            held: dict[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}
            numbers: list[int] = []
            for change in watch(service.url, ["A book:10", "A trades:100"]):
                fields = change.changes.get("A book:10", {})
                for side, rows in (("bids", fields.get("bids", [])), ("asks", fields.get("asks", []))):
                    for price, size in rows:
                        held[side].pop(price, None)
                        if size is not None:
                            held[side][price] = size
                numbers += [trade.number for trade in change.changes.get("A trades:100", {}).get("trades", [])]
                if model.trades < 50:
                    trio.from_thread.run(publish, service, model, 5)
                elif len(numbers) == 50:
                    break
            assert (sorted(held["bids"].items(), reverse=True), sorted(held["asks"].items())) == model.best(10)
            assert numbers == list(range(1, 51))

        await trio.to_thread.run_sync(script, abandon_on_cancel=True)
