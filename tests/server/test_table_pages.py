"""ticker/server/table_pages.py: books and prints over HTTP, over real TLS."""

from __future__ import annotations

from pathlib import Path

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
    Trade("BTC-USD", "61659.70", "0.5", "buy", 1_795_877_737_738_516, "a1"),
    Trade("BTC-USD", "61659.75", "12345678901234567.125", None, 1_795_877_737_738_517),
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
            "time": 1_795_877_737_738_516,
            "side": "buy",
            "id": "a1",
        }
        second = {
            "number": 2,
            "price": "61659.75",
            "size": "12345678901234567.125",
            "time": 1_795_877_737_738_517,
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
