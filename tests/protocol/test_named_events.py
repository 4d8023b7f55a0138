"""ticker/protocol/named_events.py: changes with names and decimal texts (PROTOCOL.md, section 9.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from ticker.market import Field, FieldKey, RecordValue
from ticker.protocol.messages import Error, Expiring, Goodbye, Heartbeat, Reply, ServerMessage, Source, Welcome
from ticker.protocol.named_events import NamedEvents

EVENTS = NamedEvents("epoch")
STEP = EVENTS.step(1, EVENTS.reached(2, 3))


class Record(NamedTuple):
    symbol: str
    number: int = 0
    price_scale: int = 5
    size_scale: int = 2


QUOTE = Record("EURUSD")


def content(record: Record, fields: Mapping[FieldKey, RecordValue], *, complete: bool = False) -> dict[str, Any]:
    event = EVENTS.entry_of(record, fields, complete=complete).decode()
    assert event.startswith("data: ")
    assert event.endswith("}\n\n")
    assert event.count("\n") == 2
    named: dict[str, Any] = json.loads(event.removeprefix("data: "))
    assert next(iter(named)) == "symbol"
    return named


def test_a_change_has_names_and_exact_texts() -> None:
    fields: dict[FieldKey, RecordValue] = {
        Field.BID: 108_587,
        Field.BID_SIZE: None,
        Field.ASK: "123456789012345678.5",
        Field.TIME: 1_695_877_737_738_516,
        Field.STATUS: "stale",
        "own": ("1.5",),
        "note": "id: 7",
        "rank": 7,
    }
    assert content(QUOTE, fields) == {
        "symbol": "EURUSD",
        "bid": "1.08587",
        "bid_size": None,
        "ask": "123456789012345678.5",
        "time": 1_695_877_737_738_516,
        "status": "stale",
        "own": "1.5",
        "note": "id: 7",
        "rank": 7,
    }


def test_a_complete_record_says_that_it_is_one_also_without_values() -> None:
    assert content(QUOTE, {Field.BID: 1}, complete=True) == {"symbol": "EURUSD", "complete": True, "bid": "0.00001"}
    assert content(QUOTE, {}, complete=True) == {"symbol": "EURUSD", "complete": True}


@pytest.mark.parametrize("name", ["symbol", "complete", "removed", "symbol_", "removed__"])
def test_a_field_of_a_feed_hides_nothing_and_is_not_hidden(name: str) -> None:
    own: dict[FieldKey, RecordValue] = {name: "own", f"{name}_": "other"}
    assert content(QUOTE, own, complete=True) == {
        "symbol": "EURUSD",
        "complete": True,
        f"{name}_": "own",
        f"{name}__": "other",
    }


@pytest.mark.parametrize("name", ["symbols", "a_symbol", "event", "bids", "trades"])
def test_other_fields_of_a_feed_have_their_own_names(name: str) -> None:
    assert content(QUOTE, {name: "x"}) == {"symbol": "EURUSD", name: "x"}


def test_levels_are_pairs_of_texts_the_best_first_and_null_is_gone() -> None:
    bids: RecordValue = [90_000, 5, 100_001, None, "999999999999999999.5", 7]
    asks: RecordValue = [100_100, 5, 100_002, 1, "1000000000000000000", None]
    book = Record("EURUSD book:10", -1)
    assert content(book, {Field.BIDS: bids, Field.ASKS: asks, Field.STATUS: "live"}) == {
        "symbol": "EURUSD book:10",
        "bids": [["999999999999999999.5", "0.07"], ["1.00001", None], ["0.90000", "0.05"]],
        "asks": [["1.00002", "0.01"], ["1.00100", "0.05"], ["1000000000000000000", None]],
        "status": "live",
    }


@pytest.mark.parametrize(
    ("table", "fields"), [("book:10", ["bids", "asks"]), ("trades:50", ["trades"]), ("candles:1m:10", ["candles"])]
)
def test_a_table_always_has_its_rows(table: str, fields: list[str]) -> None:
    rows: dict[str, Any] = {field: [] for field in fields}
    assert content(Record(f"X {table}"), {Field.STATUS: "stale"}) == {"symbol": f"X {table}", **rows, "status": "stale"}
    assert content(Record(f"X {table}"), {}, complete=True) == {"symbol": f"X {table}", "complete": True, **rows}


def test_prints_and_bars_have_the_names_of_their_columns() -> None:
    trades: RecordValue = [1, 108_500, 250, 1_695_877_737_738_516, 1, None, 2, 108_501, None, 7, None, "a1"]
    assert content(Record("X trades:50"), {Field.TRADES: trades})["trades"] == [
        {"number": 1, "price": "1.08500", "size": "2.50", "time": 1_695_877_737_738_516, "side": "buy"},
        {"number": 2, "price": "1.08501", "size": None, "time": 7, "side": None, "id": "a1"},
    ]
    candles: RecordValue = [1_795_877_700, 1, 3, 1, 2, None, 4]
    assert content(Record("X candles:1m:10"), {Field.CANDLES: candles})["candles"] == [
        {
            "start": 1_795_877_700,
            "open": "0.00001",
            "high": "0.00003",
            "low": "0.00001",
            "close": "0.00002",
            "volume": None,
            "count": 4,
        }
    ]


def test_of_the_events_of_a_moment_the_last_one_has_the_id() -> None:
    first, second, third = (EVENTS.entry_of(Record(symbol), {}, complete=False) for symbol in "ABC")
    assert EVENTS.delta(STEP, [first]) == b'id: epoch:2\ndata: {"symbol":"A"}\n\n'
    assert EVENTS.delta(STEP, [first, second]) == (b'data: {"symbol":"A"}\n\nid: epoch:2\ndata: {"symbol":"B"}\n\n')
    assert EVENTS.snapshot(STEP, [first], [second, third]) == (
        b'data: {"symbol":"A"}\n\ndata: {"symbol":"B"}\n\nid: epoch:2\ndata: {"symbol":"C"}\n\n'
    )
    assert EVENTS.snapshot(STEP, [], [third]) == b'id: epoch:2\ndata: {"symbol":"C"}\n\n'
    assert EVENTS.delta(STEP, []) == b"id: epoch:2\n\n"


def test_what_leaves_a_copy_is_named() -> None:
    assert EVENTS.removed(7, [Record("A"), Record("A book:10", -1)]) == (
        b'data: {"symbol":"A","removed":true}\n\nid: epoch:7\ndata: {"symbol":"A book:10","removed":true}\n\n'
    )


def test_definitions_are_not_needed() -> None:
    assert EVENTS.instruments([b"", b""]) == b""


MESSAGES: list[tuple[ServerMessage, dict[str, Any]]] = [
    (
        Welcome(1, "e", "s", 2, 3, 4, {"max_symbols": 5}, {"delay": 900}),
        {
            "event": "welcome",
            "protocol": 1,
            "epoch": "e",
            "session": "s",
            "cut": 2,
            "time": 3,
            "heartbeat_ms": 4,
            "limits": {"max_symbols": 5},
            "features": {"delay": 900},
        },
    ),
    (Reply(1, {"outcomes": [["A", 0]]}), {"event": "reply", "id": 1, "result": {"outcomes": [["A", 0]]}}),
    (Error(None, 10, "x", fatal=True), {"event": "error", "id": None, "code": 10, "text": "x", "fatal": True}),
    (Goodbye("x", 7, come_back=True), {"event": "goodbye", "reason": "x", "retry_ms": 7, "come_back": True}),
    (Expiring(9), {"event": "expiring", "time": 9}),
    (Source(None), {"event": "source", "since": None}),
]


@pytest.mark.parametrize(("message", "named"), MESSAGES)
def test_any_other_message_has_the_names_of_its_elements(message: ServerMessage, named: dict[str, Any]) -> None:
    event = EVENTS.frame(message)
    assert event.startswith(b"data: ")
    assert json.loads(event.removeprefix(b"data: ")) == named


def test_a_heartbeat_carries_the_cursor_as_id() -> None:
    assert EVENTS.frame(Heartbeat(5, 1000)) == b'id: epoch:5\ndata: {"event":"heartbeat","cut":5,"time":1000}\n\n'
