"""ticker_feeds/lines/tables.py: levels, trades and candles of other programs; what a bad one costs."""

from __future__ import annotations

import logging
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ticker_feeds
from tests.feeds.test_objects import said
from tests.support import update
from ticker.market import Candle, Instrument, Levels, Publication, Stale, Trade, Update, Withdrawal
from ticker_feeds.lines.objects import ObjectReader, decode_msgpack
from ticker_feeds.lines.owners import Owners
from ticker_feeds.rows import check_candle, check_levels, check_trade

BOOK = '{"symbol": "A", "bids": [["1.20", "5"], [1.1, 7]], "asks": [["1.30", 2]], "complete": true}'
LOST = Stale("A", "bad_data", book_only=True)


def test_levels_trades_and_candles_are_read_as_they_are_written() -> None:
    assert said(
        BOOK,
        '{"symbol": "A", "bids": [["1.20", 0]]}',
        '{"symbol": "A", "trade": {"price": "1.25", "size": 3, "side": "sell", "time": 1.7e15, "id": "x1"}}',
        '{"symbol": "A", "trade": {"size": "0.5", "price": 1.250}}',
        '{"symbol": "A", "candle": {"period": "1m", "start": 120, "open": 1, "high": "2.5", "low": 1, "close": 2}}',
        '{"symbol": "A", "candle": {"period": "1h", "start": 3600.0, "open": 1, "high": 2, "low": 1, "close": 2,'
        ' "volume": "7.5", "trades": 4}}',
    ) == [
        Instrument("A", price_scale=2, size_scale=0),
        Levels("A", [["1.20", "5"], [Decimal("1.1"), 7]], [["1.30", 2]], complete=True),  # type: ignore[list-item]  # JSON's pairs are lists
        Levels("A", [["1.20", 0]], ()),  # type: ignore[list-item]  # as above
        Trade("A", "1.25", 3, "sell", 1_700_000_000_000_000, "x1"),
        Trade("A", Decimal("1.250"), "0.5"),
        Candle("A", "1m", 120, 1, "2.5", 1, 2),
        Candle("A", "1h", 3_600, 1, 2, 1, 2, "7.5", 4),
    ]


@pytest.mark.parametrize(
    ("line", "instrument"),
    [
        ('{"symbol": "A", "trade": {"price": "1.250", "size": "0.5"}}', Instrument("A", 3, 1)),
        ('{"symbol": "A", "bids": [["1", 2]], "asks": [["1.5", "0.25"]], "complete": true}', Instrument("A", 1, 2)),
        (
            '{"symbol": "A", "candle": {"period": "1m", "start": 0, "open": 1, "high": "2.5", "low": 1, "close": 2}}',
            Instrument("A", 1, 0),
        ),
    ],
)
def test_an_instrument_is_declared_with_the_places_of_the_first_numbers(line: str, instrument: Instrument) -> None:
    assert said(line)[0] == instrument


def test_a_book_of_a_limited_depth_says_so() -> None:
    assert said('{"symbol": "A", "bids": [], "asks": [], "complete": true, "depth": 50}')[1:] == [
        Levels("A", [], [], complete=True, depth=50)
    ]


@pytest.mark.parametrize(
    ("keys", "cause", "follows"),
    [
        ('"bids": [["1.2"]]', "bad levels", [LOST]),
        ('"asks": [["x", 1]], "complete": true', "bad levels", [LOST]),
        ('"bids": [], "bid": 1', "bad levels", [LOST]),
        ('"bids": 5', "bad levels", [LOST]),
        ('"trade": {"price": "1.2"}', "bad trade", [update("A", last=None, last_size=None)]),
        ('"trade": {"price": "1.2", "size": 1, "qty": 1}', "bad trade", [update("A", last=None, last_size=None)]),
        ('"trade": 5', "bad trade", [update("A", last=None, last_size=None)]),
        ('"candle": {"period": "1m", "start": 61, "open": 1, "high": 1, "low": 1, "close": 1}', "bad candle", []),
        ('"candle": []', "bad candle", []),
    ],
)
def test_a_bad_line_costs_only_what_is_unknown_after_it(keys: str, cause: str, follows: list[Publication]) -> None:
    counters: Counter[str] = Counter()
    good = '{"symbol": "A", "bid": "1.1"}'
    told = said(BOOK, f'{{"symbol": "A", {keys}}}', good, counters=counters)
    assert told[2:] == [*follows, update("A", bid="1.1")]
    assert counters == {cause: 1}
    assert said(f'{{"symbol": "A", {keys}}}') == [], "nothing was known"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            '{"symbol": "A", "bids": [["1.2", 5], ["1.1"]]}',
            "test, line 1: bad levels (A: bids[1] ['1.1']: give [price, size]); skipped",
        ),
        (
            '{"symbol": "A", "bids": [["1.2", 5]]}',
            'test, line 1: levels of an unknown book (A: begin with all its levels and "complete": true); skipped',
        ),
        (
            '{"symbol": "A", "trade": {"price": 1, "size": 1, "side": "B"}}',
            "test, line 1: bad trade (A: side 'B': give buy or sell, the side that took; or leave it out); skipped",
        ),
        (
            '{"symbol": "A", "trade": {"price": 1}}',
            "test, line 1: bad trade (A: trade: size is missing); skipped",
        ),
        (
            '{"symbol": "A", "bids": [], "bid": 1}',
            "test, line 1: bad levels (A: unknown key 'bid': levels have asks, bids, complete, depth, symbol; other",
        ),
        (
            '{"symbol": "A", "candle": {"period": "1m", "start": 17e11, "open": 1, "high": 1, "low": 1, "close": 1}}',
            "test, line 1: bad candle (A: start 1700000000000: give whole seconds since 1970 UTC); skipped",
        ),
    ],
)
def test_an_error_names_the_line_the_field_and_the_remedy(
    line: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    said(line)
    (message,) = caplog.messages
    assert message.startswith(text)


def test_changes_of_a_book_count_again_after_the_next_complete_one() -> None:
    counters: Counter[str] = Counter()
    change = '{"symbol": "A", "bids": [["1.10", 9]]}'
    told = said(BOOK, '{"symbol": "A", "asks": 1}', change, BOOK, change, counters=counters)
    assert [type(each) for each in told] == [Instrument, Levels, Stale, Levels, Levels]
    assert counters == {"bad levels": 1, "levels of an unknown book": 1}
    for unknown in ('{"withdraw": "A"}', '{"symbol": "A", "bid": 1, "asks": []}', '[{"symbol": "A", "bid": 1}, 5]'):
        assert [type(each) for each in said(BOOK, unknown, change)][2:] in [[Withdrawal], [Stale]]


def test_an_unusable_array_costs_each_of_its_objects_what_it_was_about() -> None:
    known = '[{"symbol": "A", "bid": 1}, {"symbol": "B", "bid": 1}, {"symbol": "C", "bid": 1}]'
    bad = (
        '[{"symbol": "A", "bids": []}, {"symbol": "B", "trade": {"price": 1, "size": 1}}, {"symbol": "A", "asks": []},'
        ' {"symbol": "C", "bid": 2}, 5]'
    )
    told = said(known, bad)[6:]
    assert told == [LOST, update("B", last=None, last_size=None), Stale("C", "bad_data")]


def test_a_float_in_msgpack_is_rounded_and_so_no_level() -> None:
    counters: Counter[str] = Counter()
    reader = ObjectReader("test", counters, logging.getLogger("tests.objects"))
    item = {"symbol": "A", "bids": [["1.5", 5]], "asks": [], "complete": True}
    assert len(reader.take(decode_msgpack(msgspec.msgpack.encode(item)), "here")) == 2
    item["bids"] = [[1.5, 5]]
    assert reader.take(decode_msgpack(msgspec.msgpack.encode(item)), "here") == [LOST]


def test_the_book_of_a_writer_that_has_gone_is_stale_and_its_last_price_withdrawn() -> None:
    owners = Owners()
    owners.note(1, [update("A", bid=1), Levels("A", [], [], complete=True), Candle("A", "1m", 0, 1, 1, 1, 1)])
    owners.note(2, [Trade("A", 1, 1)])
    assert list(owners.gone(2)) == [update("A", last=None, last_size=None, time=None)]
    owners.note(2, [Levels("A", [], [], complete=True)])
    assert list(owners.gone(2)) == [Stale("A", "writer_gone", book_only=True)]
    assert list(owners.gone(1)) == [Stale("A", "writer_gone")]


def test_the_lines_of_the_readme_are_read() -> None:
    page = (Path(ticker_feeds.__file__).parent / "README.md").read_text().partition("## Lines of JSON")[2]
    lines = re.findall(r"^    (\{.*\})$", page.partition("## CSV")[0], re.MULTILINE)
    counters: Counter[str] = Counter()
    told = said(*lines, counters=counters)
    assert [type(each) for each in told] == [Instrument, Update, Levels, Levels, Trade, Candle, Instrument, Withdrawal]
    assert not counters


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)
numbers = st.sampled_from(["1.5", 1, 0, "-1", Decimal("0.25"), "x"]) | json_values
level = st.lists(numbers, min_size=2, max_size=2) | json_values
columns = st.dictionaries(
    st.sampled_from(
        ["price", "size", "side", "time", "id", "period", "start", "open", "high", "low", "close", "volume", "trades"]
    ),
    numbers | st.sampled_from(["buy", "1m", 60]),
)
objects = st.fixed_dictionaries(
    {"symbol": st.sampled_from(["A", "B"])},
    optional={
        "bids": st.lists(level, max_size=3) | json_values,
        "asks": st.lists(level, max_size=3) | json_values,
        "complete": st.booleans() | json_values,
        "depth": st.integers(-1, 3) | json_values,
        "trade": columns | json_values,
        "candle": columns | json_values,
        "bid": json_values,
    },
)


@pytest.mark.untraced
@given(st.lists(objects | st.lists(objects, max_size=3), max_size=8))
def test_whatever_comes_only_rows_that_the_service_can_read_are_published(items: list[object]) -> None:
    reader = ObjectReader("test", Counter(), logging.getLogger("tests.objects"))
    known: set[str] = set()
    for item in items:
        for each in reader.take(item, "here"):
            if isinstance(each, Levels):
                check_levels(each)
                assert each.complete or each.symbol in known
                known.add(each.symbol)
            elif isinstance(each, Trade):
                check_trade(each)
            elif isinstance(each, Candle):
                check_candle(each)
            elif isinstance(each, Stale | Withdrawal):
                known.discard(each.symbol)
