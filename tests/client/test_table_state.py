"""ticker/client/table_state.py: a table of the copy, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.tables import ASKS, BIDS, CANDLES, REASON, STATUS, TRADES, bar, book, tape, trade
from ticker.client.bounds import MAX_ROWS
from ticker.client.replica import Replica
from ticker.client.table_state import TableState
from ticker.errors import ProtocolError
from ticker.market import Cell, FieldKey, RecordValue
from ticker.protocol.messages import Definition, Delta, Instruments, Removed, Snapshot, Welcome

A, BOOK, TAPE, BARS = 0, -7, -8, -9
Fields = dict[FieldKey, RecordValue]


def copy(records: dict[int, Fields] | None = None) -> Replica:
    """A copy at cut 5 that knows an instrument and its tables, of two levels, three trades and two bars."""
    replica = Replica()
    replica.welcome(Welcome(1, "e", "s", 5, 5000, 0, {}), resumable=False)
    tables = [book(), Definition(TAPE, "A trades:3", 2, 0, {}), Definition(BARS, "A candles:1m:2", 2, 0, {})]
    replica.define(Instruments([Definition(A, "A", 2, 0, {}), *tables]))
    replica.apply(Snapshot(5, 5, 5000, [], [each for pair in (records or {}).items() for each in pair]))
    return replica


def table(replica: Replica, name: str) -> TableState:
    found = replica.find_table(name)
    assert found is not None
    return found


def wire(replica: Replica, name: str = "A book:2") -> Fields:
    return table(replica, name).wire()


def change(replica: Replica, number: int, fields: Fields) -> None:
    replica.apply(Delta(replica.cursor, replica.cursor + 1, 6000, [number, fields]))


def refuses(replica: Replica, changes: list[Any], records: list[Any], text: str) -> None:
    before = [each.wire() for each in replica], replica.cursor
    with pytest.raises(ProtocolError, match=text):
        replica.apply(Snapshot(5, 6, 6000, changes, records))
    assert before == ([each.wire() for each in replica], replica.cursor)


# Merging


def test_levels_merge_by_their_price_and_one_without_a_size_is_gone() -> None:
    replica = copy({BOOK: {BIDS: [101, 5, 100, 6], ASKS: [103, 1], STATUS: "live"}})
    change(replica, BOOK, {BIDS: [100, None, 99, 7, 101, 8]})
    assert wire(replica) == {BIDS: [101, 8, 99, 7], ASKS: [103, 1], STATUS: "live"}


def test_a_level_that_is_not_there_can_be_gone() -> None:
    replica = copy({BOOK: {BIDS: [101, 5]}})
    change(replica, BOOK, {BIDS: [55, None], ASKS: [1, None]})
    assert wire(replica) == {BIDS: [101, 5], ASKS: []}


def test_a_book_is_not_trimmed_and_one_with_more_levels_than_its_name_says_is_refused() -> None:
    replica = copy({BOOK: {BIDS: [101, 5, 100, 6]}})
    refuses(replica, [BOOK, {BIDS: [102, 1]}], [], "3 levels on a side of a book of 2")
    refuses(replica, [], [BOOK, {ASKS: [1, 1, 2, 1, 3, 1]}], "3 levels")
    change(replica, BOOK, {BIDS: [102, 1, 100, None]})
    assert wire(replica)[BIDS] == [102, 1, 101, 5]


def test_a_record_replaces_all_rows() -> None:
    replica = copy({BOOK: {BIDS: [101, 5], STATUS: "stale", REASON: "gap"}})
    replica.apply(Snapshot(5, 6, 6000, [BOOK, {BIDS: [99, 1]}], [BOOK, {ASKS: [103, 1], STATUS: "live"}]))
    assert wire(replica) == {BIDS: [], ASKS: [103, 1], STATUS: "live"}


def test_rows_that_are_withdrawn_are_gone() -> None:
    replica = copy({BOOK: {BIDS: [101, 5], ASKS: [103, 1]}})
    change(replica, BOOK, {BIDS: None})
    assert wire(replica) == {BIDS: [], ASKS: [103, 1]}


def test_of_trades_and_bars_the_highest_keys_are_kept_in_their_order() -> None:
    replica = copy({TAPE: {TRADES: tape(4, 5, 6)}, BARS: {CANDLES: [*bar(60), *bar(120)]}})
    change(replica, TAPE, {TRADES: [*trade(8), *trade(5, 99), *trade(7), *trade(2)]})
    change(replica, BARS, {CANDLES: [*bar(180), *bar(0)]})
    assert wire(replica, "A trades:3") == {TRADES: tape(6, 7, 8)}
    assert wire(replica, "A candles:1m:2") == {CANDLES: [*bar(120), *bar(180)]}


def test_a_row_with_a_key_that_is_held_replaces_it() -> None:
    replica = copy({TAPE: {TRADES: tape(4, 5)}})
    change(replica, TAPE, {TRADES: trade(4, 99, side=-1, id="x")})
    assert wire(replica, "A trades:3") == {TRADES: [*trade(4, 99, side=-1, id="x"), *trade(5)]}


# Prices that are texts, and scales


def test_prices_of_either_form_are_in_the_order_of_their_values() -> None:
    long = "123456789012345678901234567890.5"
    replica = copy({BOOK: {BIDS: ["100.5", 1, 10060, 2], ASKS: ["0.005", 1, -3, 1]}})
    assert wire(replica) == {BIDS: [10060, 2, "100.5", 1], ASKS: [-3, 1, "0.005", 1]}
    change(replica, BOOK, {BIDS: [long, 3, "100.5", None]})
    assert wire(replica)[BIDS] == [long, 3, 10060, 2]


def test_a_higher_scale_changes_no_value() -> None:
    replica = copy(
        {
            BOOK: {BIDS: [101, 5, "100.5", 6]},
            TAPE: {TRADES: trade(1, 100, 7)},
            BARS: {CANDLES: [*bar(60, volume=None), *bar(120)]},
        }
    )
    names = {BOOK: "A book:2", TAPE: "A trades:3", BARS: "A candles:1m:2"}
    replica.define(Instruments([Definition(number, name, 4, 1, {}) for number, name in names.items()]))
    assert wire(replica)[BIDS] == ["100.5", 60, 10100, 50]
    assert wire(replica, "A trades:3")[TRADES] == trade(1, 10_000, 70)
    assert wire(replica, "A candles:1m:2")[CANDLES] == [*bar(60, 10_000, volume=None), *bar(120, 10_000, volume=30)]


# What is refused


@pytest.mark.parametrize(
    "fields",
    [
        {BIDS: 5},
        {BIDS: "x"},
        {BIDS: {}},
        {BIDS: [100]},
        {BIDS: [100, 1, 101]},
        {BIDS: [None, 1]},
        {BIDS: [1.5, 1]},
        {BIDS: [True, 1]},
        {BIDS: ["1e5", 1]},
        {BIDS: [100, "x"]},
        {BIDS: [2**53, 1]},
        {BIDS: [100, 1, 100, 2]},
        {BIDS: [[100, 1]]},
        {TRADES: []},
        {CANDLES: []},
        {1: 100},
        {"own": 1},
        {STATUS: 5},
    ],
)
def test_what_no_book_has_is_refused_whole(fields: Fields) -> None:
    replica = copy({BOOK: {BIDS: [101, 5], STATUS: "live"}})
    refuses(replica, [BOOK, fields], [], "A book:2|instrument -7")
    refuses(replica, [], [BOOK, fields], "A book:2|instrument -7")


def test_a_complete_book_has_no_level_without_a_size() -> None:
    refuses(copy({BOOK: {}}), [], [BOOK, {BIDS: [101, None]}], "without a size")


@pytest.mark.parametrize(
    "row",
    [
        [-1, 1, 1, 1, None, None],
        ["1", 1, 1, 1, None, None],
        [1, None, 1, 1, None, None],
        [1, 1, None, 1, None, None],
        [1, 1, 1, None, None, None],
        [1, 1, 1, 1, 2, None],
        [1, 1, 1, 1, "buy", None],
        [1, 1, 1, 1, True, None],
        [1, 1, 1, 1, None, "x" * 257],
        [1, 1, 1, 1, None, [1]],
        [1, 1, 1, 1, None],
    ],
)
def test_what_no_trade_has_is_refused(row: list[Cell]) -> None:
    refuses(copy({TAPE: {}}), [TAPE, {TRADES: row}], [], "A trades:3")


@pytest.mark.parametrize(
    "row",
    [
        bar(-(10**12)),
        bar(10**12),
        bar(60, open=None),
        bar(60, count=-1),
        bar(60, volume="x"),
        bar(60, count="1"),
        bar(60)[:6],
    ],
)
def test_what_no_bar_has_is_refused(row: list[Cell]) -> None:
    refuses(copy({BARS: {}}), [BARS, {CANDLES: row}], [], "A candles:1m:2")


def test_an_instrument_has_no_rows() -> None:
    refuses(copy({A: {}}), [A, {BIDS: [100, 1]}], [], "a value that it cannot have")


def test_tables_without_end_are_refused_and_those_that_left_make_room() -> None:
    replica, size = copy(), 400_000
    count = MAX_ROWS // size
    names = [Definition(-100 - number, f"S{number} trades:{size}", 0, 0, {}) for number in range(count + 1)]
    replica.define(Instruments(names))
    for name in names[:count]:
        replica.apply(Snapshot(5, 5, 5000, [], [name.id, {}]))
    refuses(replica, [], [names[count].id, {}], f"room for more than {MAX_ROWS} rows")
    replica.apply(Snapshot(5, 5, 5000, [], [names[0].id, {}]))  # it is there already
    replica.remove(Removed(5, 5, [names[0].id]))
    replica.apply(Snapshot(5, 5, 5000, [], [names[count].id, {}]))


# The checksum


def test_the_checksum_of_a_copy_is_that_of_the_protocols_example() -> None:
    replica = Replica()
    replica.welcome(Welcome(1, "e", "s", 0, 0, 0, {}), resumable=False)
    names = {0: "EURUSD", -1: "EURUSD book:10", -2: "EURUSD trades:50", 9: "XAUUSD"}
    replica.define(
        Instruments([Definition(number, name, 2 if number == 9 else 5, 0, {}) for number, name in names.items()])
    )
    own = {"depth": -1, "note": '15 € "fix"', "rate": ["0.0001"]}
    rows = [42, 139121, 250000, 1399507208716000, 1, "a7", 41, 139122, "0.5", 1399507208715000, -1, None]
    records: dict[int, dict[Any, Any]] = {
        9: {},
        -2: {18: rows, 14: "stale", 15: "gap"},
        0: {**own, 1: 139121, 2: 1000000, 14: "live"},
        -1: {16: [139120, 500000, 139121, 1000000], 14: "live"},
    }
    replica.apply(Snapshot(0, 0, 0, [], [each for pair in records.items() for each in pair]))
    assert replica.digest() == 1802351374
    replica.apply(Delta(0, 1, 1, [-1, {16: [139120, None]}, 0, {"own": 5}]))
    assert replica.digest() != 1802351374
    replica.apply(Delta(1, 2, 2, [-1, {16: [139120, 500000]}, 0, {"own": None, 99: [1]}]))
    assert replica.digest() == 1802351374
