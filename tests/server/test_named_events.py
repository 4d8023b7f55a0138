"""`/v1/events?format=named`: changes with names, for programs without a client, over real TLS."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any, TypeAlias

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.conftest import EndOfStream, Running, serving
from tests.server.test_event_stream import Event, Reader, events
from tests.server.test_pages import ask
from tests.support import update
from ticker.bounds import NAMED_TABLES
from ticker.config import Limits
from ticker.errors import Code
from ticker.market import Instrument, Levels, Publication, Stale, Trade, Withdrawal

MARKET: tuple[Publication, ...] = (Instrument("A"), Instrument("B"), update("A", bid="1.00"), update("B", bid="2.00"))
BOOK = Levels("A", [("9.99", "1.5"), ("9.98", 2)], [("10.01", "0.25")], complete=True)

Named: TypeAlias = tuple[str, dict[str, Any]]
"""The id of an event, and its object."""


async def named(service: Running, query: str, more: str = "") -> Reader:
    return await events(service, f"{query}&format=named", more)


async def until(reader: Reader, kind: str) -> list[Named]:
    """The events up to the one of this kind."""
    seen: list[Named] = []
    with trio.fail_after(HANG_SECONDS):
        while not seen or seen[-1][1].get("event") != kind:
            seen.append(_named(await reader.event()))
    return seen


async def change(reader: Reader) -> Named:
    """The next change."""
    with trio.fail_after(HANG_SECONDS):
        while True:
            event = _named(await reader.event())
            if "symbol" in event[1]:
                return event


def _named(event: Event) -> Named:
    content: Any = event.message
    assert ("symbol" in content) != ("event" in content)
    return event.id, content


async def test_a_change_names_what_has_changed_and_the_snapshot_is_made_of_complete_records() -> None:
    async with serving(*MARKET) as service:
        reader = await named(service, "symbols=A,NOPE,B*")
        (first, welcome), *data, (last, reply) = await until(reader, "reply")
        assert (first, welcome["event"], "book" in welcome["features"]) == ("", "welcome", True)
        assert data == [
            ("", {"symbol": "A", "complete": True, "bid": "1.00"}),
            ("", {"symbol": "B", "complete": True, "bid": "2.00"}),
        ]
        assert [outcome[:2] for outcome in reply["result"]["outcomes"]] == [["A", 0], ["NOPE", 6], ["B*", 0]]
        assert last == f"{welcome['epoch']}:1"
        await service.publish(update("B", bid="2.10", note="data: x"))
        assert await change(reader) == (f"{welcome['epoch']}:2", {"symbol": "B", "bid": "2.10", "note": "data: x"})
        await service.publish(Instrument("NOPE"))
        assert (await change(reader))[1] == {"symbol": "NOPE", "complete": True}


async def test_a_client_that_was_cut_off_within_a_moment_gets_all_of_it_again() -> None:
    async with serving(*MARKET) as service:
        reader = await named(service, "symbols=*")
        (before, _) = (await until(reader, "reply"))[-1]
        await service.publish(update("A", bid="1.10"), update("B", bid="2.10"))
        moment = [await change(reader), await change(reader)]
        assert [bool(id_) for id_, _ in moment] == [False, True]
        within = await named(service, "symbols=*", f"Last-Event-ID: {before}\r\n")
        assert [content for _, content in (await until(within, "reply"))[1:-1]] == [content for _, content in moment]
        behind = await named(service, "symbols=*", f"Last-Event-ID: {moment[-1][0]}\r\n")
        assert [content["event"] for _, content in await until(behind, "reply")] == ["welcome", "reply"]
        await service.publish(update("A", bid="1.20"))
        assert (await change(behind))[1] == {"symbol": "A", "bid": "1.20"}


async def test_an_id_of_either_format_resumes_the_other() -> None:
    async with serving(*MARKET) as service:
        reader = await named(service, "symbols=*")
        last = (await until(reader, "reply"))[-1][0]
        await service.publish(update("A", bid="1.10"))
        other = await events(service, "symbols=*", f"Last-Event-ID: {last}\r\n")
        seen = [await other.event() for _ in range(3)]
        assert seen[1].message[4] == [0, {"1": 110}]
        again = await named(service, "symbols=*", f"Last-Event-ID: {seen[2].id}\r\n")
        assert len(await until(again, "reply")) == 2


async def test_an_id_of_another_epoch_brings_everything_anew() -> None:
    async with serving(*MARKET) as service:
        reader = await named(service, "symbols=A", "Last-Event-ID: other:1\r\n")
        assert (await until(reader, "reply"))[1] == ("", {"symbol": "A", "complete": True, "bid": "1.00"})
        epoch = (await until(await named(service, "symbols=A"), "welcome"))[0][1]["epoch"]
        beyond = await named(service, "symbols=A", f"Last-Event-ID: {epoch}:99\r\n")
        seen = [content for _, content in await until(beyond, "reply")]
        assert [each.get("event") for each in seen] == ["welcome", "error", None, "reply"]
        assert (seen[1]["code"], seen[1]["fatal"], seen[2]["complete"]) == (10, False, True)


async def test_a_snapshot_in_parts_has_no_id_before_it_is_whole() -> None:
    declared = [Instrument(f"S{number:02}") for number in range(20)]
    async with serving(*declared, limits=Limits(snapshot_part=3)) as service:
        *before, last = await until(await named(service, "symbols=*"), "reply")
        assert [content["symbol"] for _, content in before[1:]] == [f"S{number:02}" for number in range(20)]
        assert not any(id_ for id_, _ in before)
        assert last[0]


async def test_what_is_stale_or_withdrawn_says_so() -> None:
    async with serving(*MARKET, update("A", status="live")) as service:
        reader = await named(service, "symbols=A")
        await until(reader, "reply")
        await service.publish(Stale("A", "feed_silent"))
        assert (await change(reader))[1] == {"symbol": "A", "status": "stale", "reason": "feed_silent"}
        await service.publish(update("A", bid="1.00", status="halted", reason="exchange_halt"))
        assert (await change(reader))[1] == {"symbol": "A", "status": "halted", "reason": "exchange_halt"}
        await service.publish(Withdrawal("A"))
        withdrawn = (await change(reader))[1]
        assert (withdrawn["symbol"], withdrawn["bid"]) == ("A", None)


async def test_a_finer_value_changes_no_text_but_those_of_its_scale() -> None:
    async with serving(*MARKET) as service:
        reader = await named(service, "symbols=A")
        await until(reader, "reply")
        await service.publish(update("A", ask="1.00005"))
        assert (await change(reader))[1] == {"symbol": "A", "bid": "1.00000", "ask": "1.00005"}
        await service.publish(update("A", ask="12345678901234567.5"))
        assert (await change(reader))[1] == {"symbol": "A", "ask": "12345678901234567.5"}


async def test_some_fields_are_sent_alone() -> None:
    async with serving(*MARKET, update("A", ask="1.01")) as service:
        reader = await named(service, "symbols=A&fields=ask,own,ask")
        assert (await until(reader, "reply"))[1][1] == {"symbol": "A", "complete": True, "ask": "1.01"}
        await service.publish(update("A", bid="1.10"))
        await service.publish(update("A", bid="1.20", own="x", status="stale"))
        assert (await change(reader))[1] == {"symbol": "A", "own": "x", "status": "stale"}


async def test_tables_have_their_names_and_the_rows_that_changed() -> None:
    first = Trade("A", "10.00", "0.5", "buy", 1_695_877_737_738_516, "t1")
    async with serving(Instrument("A", 2, 1), update("A", status="live"), BOOK, first) as service:
        reader = await named(service, "symbols=A%20book:10,A+trades:10,A%20candles:1m:10")
        data = {content["symbol"]: content for _, content in (await until(reader, "reply"))[1:-1]}
        assert data["A book:10"] == {
            "symbol": "A book:10",
            "complete": True,
            "bids": [["9.99", "1.50"], ["9.98", "2.00"]],
            "asks": [["10.01", "0.25"]],
            "status": "live",
        }
        page = (await ask(service, "/v1/snapshot?symbols=A+book:10,A+trades:10,A+candles:1m:10")).json["instruments"]
        for name, content in data.items():
            assert content.pop("symbol") == name
            assert content.pop("complete") is True
        assert data == page
        await service.publish(
            Levels("A", [("9.99", 0), ("9.97", 3)], []), Trade("A", "10.01", "2", None, 1_695_877_737_738_517)
        )
        changed = [await change(reader) for _ in range(3)]
        assert [bool(id_) for id_, _ in changed] == [False, False, True]
        by_name = {content["symbol"]: content for _, content in changed}
        assert by_name["A book:10"]["bids"] == [["9.99", None], ["9.97", "3.00"]]
        assert by_name["A book:10"]["asks"] == []
        assert by_name["A trades:10"]["trades"] == [
            {"number": 2, "price": "10.01", "size": "2.0", "time": 1_695_877_737_738_517, "side": None}
        ]
        (candle,) = by_name["A candles:1m:10"]["candles"]
        assert (candle["close"], candle["volume"], candle["count"]) == ("10.01", "2.5", 2)


async def test_a_table_beyond_the_limit_of_a_later_connection_is_removed() -> None:
    books = [Levels(symbol, [("9", 1)], [], complete=True) for symbol in "AB"]
    async with serving(*MARKET, *books, limits=Limits(max_tables=1)) as service:
        reader = await named(service, "symbols=A+book:10,B+book:10")
        *_, (last, reply) = await until(reader, "reply")
        assert [outcome[:2] for outcome in reply["result"]["outcomes"]] == [["A book:10", 0], ["B book:10", 13]]
        again = await named(service, "symbols=B+book:10,A+book:10", f"Last-Event-ID: {last}\r\n")
        seen = [content for _, content in await until(again, "reply")]
        assert {"symbol": "A book:10", "removed": True} in seen
        (book,) = [content for content in seen if content.get("complete")]
        assert book["symbol"] == "B book:10"


async def test_tables_are_few_because_their_texts_take_long_to_write() -> None:
    declared = [Instrument(f"S{number}") for number in range(NAMED_TABLES + 1)]
    async with serving(*declared) as service:
        names = ",".join(f"S{number}+trades:10" for number in range(NAMED_TABLES + 1))
        seen = await until(await named(service, f"symbols={names}"), "reply")
        assert seen[0][1]["limits"]["max_tables"] == NAMED_TABLES
        codes = [code for _, code, *_ in seen[-1][1]["result"]["outcomes"]]
        assert codes == [0] * NAMED_TABLES + [Code.TOO_MANY_TABLES]
        metrics = await service.refusal(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b'ticker_tables_not_opened_total{limit="connection"} 1.0' in metrics
        welcome = await (await events(service, "symbols=S1")).event()
        assert welcome.message[7]["max_tables"] == Limits().max_tables > NAMED_TABLES


@pytest.mark.parametrize(
    ("names", "most"),
    [
        ("S1,S2", 20),
        ("S1 trades:200", 20),
        ("S1 book:100,S2 trades:10", 20),
        ("S1,S2 trades:500", 8),
        ("* trades:1000", 4),
    ],
)
async def test_of_large_tables_there_are_fewer(names: str, most: int) -> None:
    async with serving(*(Instrument(f"S{number}") for number in range(30))) as service:
        welcome = (await until(await named(service, f"symbols={names.replace(' ', '+')}"), "welcome"))[0][1]
        assert welcome["limits"]["max_tables"] == most


async def test_a_stop_and_the_end_of_a_token_are_objects_too() -> None:
    async with serving(*MARKET, retry_ms=(700, 700)) as service:
        reader = await named(service, "symbols=A")
        await until(reader, "reply")
        service.stop.set()
        goodbye = (await until(reader, "goodbye"))[-1][1]
        assert goodbye == {"event": "goodbye", "reason": "the server is stopping", "retry_ms": 700, "come_back": True}
        with trio.fail_after(HANG_SECONDS), pytest.raises(EndOfStream):
            await reader.event()


@pytest.mark.parametrize("form", ["", "Named", "json", "named,", "named%20", "x" * 300, "%22%0a", "named&format=named"])
async def test_a_format_that_there_is_not_is_refused(form: str) -> None:
    async with serving(*MARKET) as service:
        peer = await service.dial()
        await peer.send(
            f"GET /v1/events?symbols=A&format={form} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        assert (await peer.head()).startswith(b"HTTP/1.1 400 ")
        message = json.loads(await peer.rest())["message"]
        assert len(message) < 250
        if "&" not in form:
            assert message.endswith("there is named; leave it out for the messages of the protocol")


# A copy made of these events by the rules of PROTOCOL.md, section 9.1, is what the service has


class Copy:
    """A program that knows the rules, and nothing of the market."""

    def __init__(self) -> None:
        self.cut = 0
        self.last = ""
        self.records: dict[str, dict[str, Any]] = {}

    def take(self, id_: str, content: dict[str, Any]) -> None:
        if "symbol" in content:
            self._change(dict(content))
        if id_:
            self.last = id_
            self.cut = int(id_.partition(":")[2])

    def _change(self, content: dict[str, Any]) -> None:
        symbol = content.pop("symbol")
        if content.pop("removed", False):
            del self.records[symbol]
            return
        if content.pop("complete", False):
            self.records[symbol] = {}
        held = self.records[symbol]
        for field, value in content.items():
            if field in {"bids", "asks"}:
                levels = {Decimal(price): [price, size] for price, size in (*held.get(field, ()), *value)}
                present = {price: level for price, level in levels.items() if level[1] is not None}
                held[field] = [present[price] for price in sorted(present, reverse=field == "bids")]
            elif field == "trades":
                rows = {row["number"]: row for row in (*held.get(field, ()), *value)}
                held[field] = [rows[number] for number in sorted(rows)[-10:]]
            elif value is None:
                held.pop(field, None)
            else:
                held[field] = value


def _some(rng: random.Random) -> Publication:
    symbol = rng.choice("AB")
    places = rng.choice([0, 1, 2, 2, 2, 3])
    price = f"{rng.uniform(9, 11):.{places}f}"
    publications: list[Publication] = [
        update(symbol, bid=price, own=rng.randint(0, 3)),
        update(symbol, ask=price if rng.random() < 0.7 else None),
        Stale(symbol, "feed_silent"),
        Withdrawal(symbol),
        update(symbol, status="live", reason=None),
        Trade(symbol, price, rng.randint(1, 9), "sell", 1_695_877_737_738_516),
        Levels(symbol, [(price, rng.randint(0, 3))], [], complete=rng.random() < 0.1),
        Levels(symbol, [], [(price, f"{rng.randint(0, 30) / 10}")]),
    ]
    return rng.choice(publications)


@pytest.mark.parametrize("seed", range(3))
async def test_a_copy_made_by_the_rules_is_the_market_through_lost_connections(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311  # a seeded test
    names = "A,B,A+book:10,B+book:10,A+trades:10"
    book = Levels("B", [("9", 1)], [("11", 1)], complete=True)
    async with serving(*MARKET, BOOK, book) as service:
        if seed % 2:  # the tables are watched while the client is away
            await service.watcher("A book:10", "B book:10", "A trades:10")
        copy, reader, cut = Copy(), await named(service, f"symbols={names}"), 1
        for each in await until(reader, "reply"):
            copy.take(*each)
        for _ in range(30):
            if rng.random() < 0.3:
                await reader.peer.close()
                for _ in range(rng.randint(0, 4)):
                    await service.publish(*(_some(rng) for _ in range(rng.randint(1, 4))))
                reader = await named(service, f"symbols={names}", f"Last-Event-ID: {copy.last}\r\n")
            await service.publish(*(_some(rng) for _ in range(rng.randint(1, 4))), update("A", step=cut))
            cut += 1
            while copy.records["A"].get("step") != cut - 1 or not copy.last:
                copy.take(*_named(await reader.event()))
        # A moment's events are taken up to the id that ends it.
        page = (await ask(service, f"/v1/snapshot?symbols={names}")).json
        while copy.cut < page["cut"]:
            copy.take(*_named(await reader.event()))
        assert copy.records == page["instruments"]
