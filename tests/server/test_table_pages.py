"""ticker/server/table_pages.py: books and prints over HTTP, over real TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import serving
from tests.server.test_pages import ask
from tests.support import update
from tests.tokens import bearer, key_file, token
from ticker.config import Tables, Tokens
from ticker.market import Instrument, Levels, Publication, Stale, Trade

BOOK = Levels("BTC-USD", [("61659.70", "1.5"), ("61659.65", 2)], [("61660", "0.25")], complete=True)
MARKET: tuple[Publication, ...] = (
    Instrument("BTC-USD", 2, 3),
    Instrument("QUIET"),
    update("BTC-USD", bid="61659.70", status="live"),
    BOOK,
    Trade("BTC-USD", "61659.70", "0.5", "buy", 1_695_877_737_738_516, "a1"),
    Trade("BTC-USD", "61659.75", "12345678901234567.125", None, 1_695_877_737_738_517),
)


async def test_a_book_has_its_best_levels_as_exact_texts() -> None:
    async with serving(*MARKET) as service:
        got = await ask(service, "/v1/book?symbol=BTC-USD&depth=10")
        assert (got.status, got.headers["content-type"]) == (200, "application/json")
        content = got.json
        assert content.pop("epoch")
        assert content.pop("time")
        assert content == {
            "cut": 1,
            "symbol": "BTC-USD",
            "bids": [["61659.70", "1.500"], ["61659.65", "2.000"]],
            "asks": [["61660.00", "0.250"]],
            "status": "live",
        }
        again = await ask(service, "/v1/book?symbol=BTC-USD", f"If-None-Match: {got.headers['etag']}")
        assert again.status == 304, "the first depth is the default"


async def test_a_depth_is_that_of_the_table() -> None:
    levels = [(str(price), 1) for price in range(1, 101)]
    book = Levels("BTC-USD", levels, [], complete=True)
    async with serving(Instrument("BTC-USD"), book, tables=Tables(depths=(25, 50))) as service:
        content = (await ask(service, "/v1/book?symbol=BTC-USD&depth=50")).json
        assert content["bids"] == [[f"{price}.00", "1"] for price in range(100, 50, -1)]
        assert len((await ask(service, "/v1/book?symbol=BTC-USD")).json["bids"]) == 25


async def test_a_book_that_is_not_there_or_not_current_says_so() -> None:
    async with serving(*MARKET) as service:
        content = (await ask(service, "/v1/book?symbol=QUIET")).json
        assert (content["bids"], content["status"], content["reason"]) == ([], "stale", "no_data")
        watcher = await service.watcher("BTC-USD")
        await service.publish(Stale("BTC-USD", "checksum", book_only=True), update("BTC-USD", bid="61659.71"))
        await watcher.until_cut(2)
        content = (await ask(service, "/v1/book?symbol=BTC-USD")).json
        assert (len(content["bids"]), content["status"], content["reason"]) == (2, "stale", "checksum")
        assert (await ask(service, "/v1/trades?symbol=BTC-USD")).json["status"] == "live"


async def test_a_book_of_a_halted_instrument_is_halted() -> None:
    async with serving(*MARKET, update("BTC-USD", status="halted", reason="exchange_halt")) as service:
        for page in ("book", "trades"):
            content = (await ask(service, f"/v1/{page}?symbol=BTC-USD")).json
            assert (content["status"], content["reason"]) == ("halted", "exchange_halt")


async def test_prints_have_the_names_of_their_columns_the_latest_last() -> None:
    async with serving(*MARKET) as service:
        content = (await ask(service, "/v1/trades?symbol=BTC-USD&count=10")).json
        first = {
            "number": 1,
            "price": "61659.70",
            "size": "0.500",
            "time": 1_695_877_737_738_516,
            "side": "buy",
            "id": "a1",
        }
        second = {
            "number": 2,
            "price": "61659.75",
            "size": "12345678901234567.125",
            "time": 1_695_877_737_738_517,
            "side": None,
        }
        assert content["trades"] == [first, second]
        assert (content["symbol"], content["status"]) == ("BTC-USD", "live")
        assert (await ask(service, "/v1/trades?symbol=BTC-USD&count=1")).json["trades"] == [second]
        assert (await ask(service, "/v1/trades?symbol=QUIET")).json["trades"] == []


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("/v1/book", 400, "give symbol=A: one symbol of /v1/instruments"),
        ("/v1/book?symbol=BTC*", 400, "give symbol=A: one symbol of /v1/instruments"),
        ("/v1/book?symbol=BTC-USD&depth=11", 400, "depth=11: there are 10, 25, 100"),
        ("/v1/book?symbol=BTC-USD&depth=ten", 400, "depth=ten: give a number from 1 to 1000000"),
        ("/v1/book?symbol=NOPE", 404, "there is no such table of 'NOPE'; /v1/instruments has the symbols"),
        ("/v1/book?symbol=BTC-USD&count=3", 400, "unknown key 'count' in the query; there are depth, symbol"),
        ("/v1/trades?symbol=BTC-USD&count=0", 400, "count=0: give a number from 1 to 1000"),
        ("/v1/trades?symbol=BTC-USD&count=1001", 400, "count=1001: give a number from 1 to 1000"),
        ("/v1/trades?symbol=BTC-USD&count=%C2%B2", 400, "count=²: give a number from 1 to 1000"),
    ],
)
async def test_a_request_that_cannot_be_answered_says_what_there_is(target: str, status: int, text: str) -> None:
    async with serving(*MARKET) as service:
        got = await ask(service, target)
        assert (got.status, got.json) == (status, {"code": status, "message": text})
        assert (await ask(service, target, method="POST")).status == 405


async def test_a_token_opens_only_the_tables_that_it_names(tmp_path: Path) -> None:
    tokens = Tokens(key=key_file(tmp_path))
    async with serving(*MARKET, tokens=tokens) as service:

        async def status(target: str, *symbols: str) -> int:
            return (await ask(service, target, bearer(token(symbols=list(symbols))))).status

        book, trades = "/v1/book?symbol=BTC-USD&depth=25", "/v1/trades?symbol=BTC-USD&count=50"
        assert [await status(each, "*") for each in (book, trades)] == [404, 404]
        assert [await status(each, "* *") for each in (book, trades)] == [200, 200]
        assert [await status(each, "BTC-* book:25") for each in (book, trades)] == [200, 404]
        assert await status(book, "BTC-* book:10") == 404
        assert [await status(trades, f"* trades:{count}") for count in (20, 50, 100)] == [404, 200, 200]
        assert (await ask(service, book)).status == 401


# Tables in snapshots


def names_in(content: Any) -> list[str]:  # noqa: ANN401  # a page
    return list(content["instruments"])


async def test_a_snapshot_takes_tables_beside_instruments_at_one_cut() -> None:
    async with serving(*MARKET) as service:
        names = "BTC-USD,BTC-USD%20book:10,*%20trades:10,BTC-USD%20candles:1m:10,NOPE%20book:10,X*%20book:25"
        content = (await ask(service, f"/v1/snapshot?symbols={names}")).json
        assert names_in(content) == [
            "BTC-USD", "BTC-USD book:10", "BTC-USD candles:1m:10", "BTC-USD trades:10", "QUIET trades:10"
        ]  # fmt: skip
        found = content["instruments"]
        assert found["BTC-USD"]["last"] == "61659.75"
        assert found["BTC-USD book:10"] == {
            "bids": [["61659.70", "1.500"], ["61659.65", "2.000"]],
            "asks": [["61660.00", "0.250"]],
            "status": "live",
        }
        assert [row["number"] for row in found["BTC-USD trades:10"]["trades"]] == [1, 2]
        assert found["BTC-USD trades:10"]["status"] == "live"
        assert found["QUIET trades:10"] == {"trades": []}
        (candle,) = found["BTC-USD candles:1m:10"]["candles"]
        assert candle == {
            "start": 1_695_877_737 // 60 * 60,
            "open": "61659.70",
            "high": "61659.75",
            "low": "61659.70",
            "close": "61659.75",
            "volume": "12345678901234567.625",
            "count": 2,
        }
        assert content["unknown"] == ["NOPE book:10", "X* book:25"]
        peer = await service.peer()
        assert (await peer.answer("ping")) is not None
        assert (await ask(service, "/v1/instruments")).json["more"] is False


async def test_a_snapshot_with_tables_comes_in_pages() -> None:
    symbols = [f"S{number:03}" for number in range(200)]
    async with serving(*[Instrument(symbol) for symbol in symbols]) as service:
        for names, tables in (
            ("*,*%20book:10,*%20trades:10,S007%20trades:20", ("", " book:10", " trades:10")),
            ("*%20trades:1000", (" trades:1000",)),
        ):
            seen: list[str] = []
            more, after = True, ""
            while more:
                content = (await ask(service, f"/v1/snapshot?symbols={names}&after={after.replace(' ', '%20')}")).json
                page = names_in(content)
                assert page
                seen += page
                more, after = content["more"], page[-1]
            wanted = {symbol + table for symbol in symbols for table in tables}
            wanted |= {"S007 trades:20"} if len(tables) > 1 else set()
            assert seen == sorted(wanted)


async def test_a_snapshot_has_only_the_tables_that_the_token_names(tmp_path: Path) -> None:
    tokens = Tokens(key=key_file(tmp_path))
    async with serving(*MARKET, tokens=tokens) as service:

        async def seen(*symbols: str) -> tuple[list[str], list[str]]:
            names = "*,BTC-USD,*%20book:10,BTC-USD%20trades:10"
            content = (await ask(service, f"/v1/snapshot?symbols={names}", bearer(token(symbols=list(symbols))))).json
            return names_in(content), content["unknown"]

        assert await seen("*") == (["BTC-USD", "QUIET"], ["* book:10", "BTC-USD trades:10"])
        assert await seen("* book:*") == (
            ["BTC-USD book:10", "QUIET book:10"], ["*", "BTC-USD", "BTC-USD trades:10"]
        )  # fmt: skip
        assert await seen("QUIET", "BTC* *") == (
            ["BTC-USD book:10", "BTC-USD trades:10", "QUIET"], ["BTC-USD"]
        )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "offer"),
    [
        ("A%20book:11", "book:10, book:25, book:100"),
        ("*%20candles:2m:10", "candles:1m|5m|1h|1d:10|50|"),
        ("A%20nothing", "book:10, book:25, book:100, trades:10,"),
        ("A%20", "book:10, book:25, book:100, trades:10,"),
        ("A%20book:10%20x", "book:10, book:25, book:100, trades:10,"),
    ],
)
async def test_a_table_that_the_service_does_not_have_is_refused_with_those_that_it_has(name: str, offer: str) -> None:
    async with serving(*MARKET) as service:
        got = await ask(service, f"/v1/snapshot?symbols=BTC-USD,{name}")
        assert got.status == 400
        assert f"; this service offers {offer}" in got.json["message"]
