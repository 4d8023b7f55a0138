"""ticker/core/hub.py, session.py, table_index.py: tables are opened, watched, and leave a copy again."""

from __future__ import annotations

import pytest

from tests.core.harness import leftovers
from tests.core.talk import Talk
from tests.support import cut, market, update
from ticker.config import Limits, Tables
from ticker.core.last_value import LastValueCache
from ticker.core.session import NotUpToDate
from ticker.core.table_index import Opener
from ticker.core.tables.table_record import TableRecord
from ticker.core.work import at_once
from ticker.door.grants import Grant
from ticker.errors import Code
from ticker.market import Instrument, Levels, Publication
from ticker.protocol.digest import record_checksum, total
from ticker.protocol.messages import Delta, Instruments, Removed, Reply, Snapshot

BOOKS, CANDLES_OFFERED = "book:10, book:25, book:100", "candles:1m|5m|1h|1d:10|50|100|300|500|1000"
PRINTS = "trades:10, trades:20, trades:50, trades:100, trades:200, trades:500, trades:1000"
ALL = f"{BOOKS}, {PRINTS}, {CANDLES_OFFERED}"
OK, UNKNOWN, NO_TABLE, TOO_MANY = Code.OK, Code.UNKNOWN_SYMBOL, Code.UNKNOWN_TABLE, Code.TOO_MANY_TABLES


def books(*symbols: str, tables: Tables | None = None) -> LastValueCache:
    """A market of these instruments, each with one bid and one ask in its book."""
    cache = LastValueCache("epoch", tables=tables)
    cut(cache, *map(Instrument, symbols))
    cut(cache, *(Levels(symbol, [("1.00", 5)], [("1.01", 6)], complete=True) for symbol in symbols))
    return cache


def codes(talk: Talk, op: str, *names: str, **more: object) -> list[Code]:
    return [code for _, code, _ in talk.ask(op, symbols=list(names), **more)["outcomes"]]


def table(talk: Talk, name: str) -> TableRecord:
    record = talk.cache.find(name)
    assert isinstance(record, TableRecord)
    return record


def publish(talk: Talk, *publications: Publication) -> None:
    cut(talk.cache, *publications)
    for _ in talk.hub.publish(0):
        pass


def test_the_first_who_names_a_table_opens_it_and_gets_it_whole() -> None:
    talk = Talk(books("A"))
    assert codes(talk, "subscribe", "A book:10") == [OK]
    definitions, snapshot = talk.sink.take()
    assert isinstance(definitions, Instruments)
    assert isinstance(snapshot, Snapshot)
    assert [each.symbol for each in definitions.definitions] == ["A book:10"]
    assert snapshot.records == [-1, {16: [100, 5], 17: [101, 6], 14: "live"}]
    publish(talk, Levels("A", [("1.00", 0), ("0.99", 7)], []))
    (delta,) = talk.sink.take()
    assert isinstance(delta, Delta)
    assert delta.changes[0] == -1
    rows = delta.changes[1][16]
    assert sorted(zip(rows[::2], rows[1::2], strict=True)) == [(99, 7), (100, None)]


def test_a_table_is_watched_as_long_as_anybody_has_it() -> None:
    talk = Talk(books("A", "B"))
    codes(talk, "subscribe", "A book:10", "* book:25")
    assert table(talk, "A book:10").watchers == table(talk, "B book:25").watchers == 1
    codes(talk, "unsubscribe", "A book:10")
    assert table(talk, "A book:10").watchers == 0
    talk.hub.disconnect(talk.subscriber)
    assert table(talk, "B book:25").watchers == 0
    assert not any(talk.hub.index.leftovers().values())


def test_a_symbol_or_pattern_matches_no_table_and_a_table_no_instrument() -> None:
    talk = Talk(books("A", "B"))
    assert codes(talk, "subscribe", "A book:10", "B trades:50") == [OK, OK]
    talk.sink.take()
    assert codes(talk, "subscribe", "*", "A*") == [OK, OK]
    *_, snapshot = talk.sink.take()
    assert isinstance(snapshot, Snapshot)
    assert snapshot.records[::2] == [0, 1]
    found = talk.ask("instruments", match="*")["instruments"]
    assert [each[1] for each in found] == ["A", "B"]


def test_a_table_of_prints_without_any_has_no_part_in_the_changes_of_its_instrument() -> None:
    talk = Talk(books("A"))
    codes(talk, "subscribe", "A", "A trades:10", "A book:10")
    talk.sink.take()
    publish(talk, update("A", bid="1.00"), Levels("A", [("1.00", 9)], []))
    (delta,) = talk.sink.take()
    assert isinstance(delta, Delta)
    assert set(delta.changes[::2]) == {0, table(talk, "A book:10").number}


def test_a_pattern_with_a_table_opens_it_for_each_instrument_there_is_and_that_comes() -> None:
    talk = Talk(books("A-USD", "B-USD", "A-EUR"))
    assert codes(talk, "subscribe", "*-USD book:10") == [OK]
    *_, snapshot = talk.sink.take()
    assert isinstance(snapshot, Snapshot)
    by_number = {record.number: record.symbol for record in talk.cache.records}
    names = [by_number[number] for number in snapshot.records[::2]]
    assert names == ["A-USD book:10", "B-USD book:10"]
    publish(talk, Instrument("C-USD"), Instrument("C-EUR"), Levels("C-USD", [("2.00", 1)], [], complete=True))
    messages = [message for message in talk.sink.take() if isinstance(message, Snapshot)]
    assert [message.records for message in messages] == [
        [table(talk, "C-USD book:10").number, {16: [200, 1], 14: "live"}],
    ]
    assert talk.cache.find("C-EUR book:10") is None


def test_a_pattern_with_a_table_opens_it_for_an_instrument_that_no_pass_has_seen_yet() -> None:
    talk = Talk(books("A-USD"))
    talk.cache.publish(Instrument("B-USD"))
    talk.cache.close_cut(talk.cache.time + 1)
    assert codes(talk, "subscribe", "*-USD book:10") == [OK]
    held = {
        each.symbol for message in talk.sink.take() if isinstance(message, Instruments) for each in message.definitions
    }
    assert held == {"A-USD book:10", "B-USD book:10"}


@pytest.mark.parametrize("name", ["*-USD book:10", "B-USD book:10"])
def test_a_table_of_an_instrument_that_appears_during_the_request_is_opened_as_well(name: str) -> None:
    talk = Talk(books("A-USD"))
    request = talk.sink.encoding.encode_request({"op": "subscribe", "id": 1, "symbols": ["A-USD book:10", name]})
    steps = talk.session.steps(request, 0)
    next(steps)
    publish(talk, Instrument("B-USD"), Levels("B-USD", [("1.00", 5)], [], complete=True))
    reply, _ = talk.read(at_once(steps))
    assert isinstance(reply, Reply)
    assert [code for _, code, _ in reply.result["outcomes"]] == [OK, OK]
    publish(talk)
    held = {
        each.symbol for message in talk.sink.take() if isinstance(message, Instruments) for each in message.definitions
    }
    assert held == {"A-USD book:10", "B-USD book:10"}
    talk.hub.disconnect(talk.subscriber)
    assert not leftovers(talk.hub)


def test_a_table_of_an_unknown_symbol_joins_when_its_instrument_appears() -> None:
    talk = Talk(books("A"))
    assert codes(talk, "subscribe", "Z book:10") == [UNKNOWN]
    assert talk.sink.take() == []
    publish(talk, Instrument("Z"))
    *_, snapshot = talk.sink.take()
    assert isinstance(snapshot, Snapshot)
    assert snapshot.records == [table(talk, "Z book:10").number, {14: "stale", 15: "no_data"}]


@pytest.mark.parametrize(
    ("name", "offer"),
    [
        ("A book:11", BOOKS),
        ("A book:0", ALL),
        ("A books:10", ALL),
        ("A candles:2m:300", CANDLES_OFFERED),
        ("A candles:1m:3", CANDLES_OFFERED),
        ("A trades", ALL),
        ("* book:9", BOOKS),
    ],
)
def test_a_table_that_is_not_offered_has_an_outcome_that_says_which_are(name: str, offer: str) -> None:
    talk = Talk(books("A"))
    ((_, code, text),) = talk.ask("subscribe", symbols=[name])["outcomes"]
    assert code == NO_TABLE
    assert text == f"this service offers {offer}"
    assert talk.subscribed() == []


@pytest.mark.parametrize(
    ("tables", "kind", "rest"), [(Tables(depths=()), "book", ":10"), (Tables(periods=()), "candles", ":1m:10")]
)
def test_a_service_without_tables_of_a_kind_says_so(tables: Tables, kind: str, rest: str) -> None:
    ((_, code, text),) = Talk(books("A", tables=tables)).ask("subscribe", symbols=[f"A {kind}{rest}"])["outcomes"]
    assert (code, text) == (NO_TABLE, f"this service offers no tables {kind}:N")


@pytest.mark.parametrize("name", ["* book:*", "A book:*", "A  book:10", "A book:10 x", " book:10"])
def test_what_cannot_be_a_name_with_a_table_is_none(name: str) -> None:
    assert codes(Talk(books("A")), "subscribe", name)[0] in {NO_TABLE, Code.BAD_SYMBOL}


def test_a_connection_has_a_limited_number_of_tables() -> None:
    talk = Talk(books("A", "B", "C"), limits=Limits(max_tables=3))
    names = [f"A trades:{count}" for count in (10, 20, 50, 100)]
    assert codes(talk, "subscribe", *names) == [OK, OK, OK, TOO_MANY]
    assert codes(talk, "subscribe", "* book:10") == [TOO_MANY]
    assert talk.cache.find("B book:10") is None, "nothing was opened for it"
    codes(talk, "unsubscribe", *names[:3])
    assert codes(talk, "subscribe", "* book:10") == [OK]


def test_the_service_has_a_limited_number_of_open_tables() -> None:
    talk = Talk(books("A", tables=Tables(max_open=2)))
    assert codes(talk, "subscribe", "A book:10", "A book:25", "A book:100") == [OK, OK, TOO_MANY]
    assert codes(talk, "subscribe", "A book:25") == [OK]


def test_a_sender_has_a_limited_number_of_tables_opened_over_all_its_connections() -> None:
    talk = Talk(books("A", "B"), opener=Opener("one", 2), limits=Limits())
    assert codes(talk, "subscribe", "A book:10", "A book:25", "A book:100") == [OK, OK, TOO_MANY]
    talk.hub.disconnect(talk.subscriber)
    talk.reconnect()
    ((_, code, text),) = talk.ask("subscribe", symbols=["A trades:10"])["outcomes"]
    assert (code, text) == (TOO_MANY, "2 tables were opened for this subject or address; no more can be")
    assert codes(talk, "subscribe", "A book:10") == [OK], "those that are open are for all"
    talk.hub.disconnect(talk.subscriber)
    talk.reconnect(Opener("two", 2))
    assert codes(talk, "subscribe", "A trades:10", "B trades:10", "* book:100") == [OK] * 3
    assert talk.cache.find("A book:100") is None
    assert talk.hub.index.tables.refused == {"sender": 4}


def test_as_instruments_appear_tables_open_into_the_first_half_of_the_room() -> None:
    talk = Talk(books("A", tables=Tables(max_open=4)), limits=Limits())
    assert codes(talk, "subscribe", "* book:10", "C trades:10") == [OK, UNKNOWN]
    publish(talk, Instrument("B"), Instrument("C"))
    publish(talk, Instrument("D"))
    opened = [record.symbol for record in talk.cache.records if " " in record.symbol]
    assert opened == ["A book:10", "B book:10"]
    assert codes(talk, "subscribe", "C trades:20", "D trades:20", "A book:25") == [OK, OK, TOO_MANY]
    assert talk.hub.index.tables.refused == {"service": 4}


def test_somebody_who_asks_for_every_depth_opens_only_those_that_there_are() -> None:
    talk = Talk(books("A"), limits=Limits())
    outcomes = codes(talk, "subscribe", *(f"A book:{depth}" for depth in range(1, 1001)))
    assert [depth for depth, code in enumerate(outcomes, 1) if code == OK] == [10, 25, 100]
    assert set(outcomes) == {OK, NO_TABLE}
    assert len(talk.cache.records) == 4


@pytest.mark.parametrize(
    ("symbols", "seen"),
    [(["*"], []), (["* *"], ["A book:10", "B book:10"]), (["A book:*"], ["A book:10"]), (["B*", "B book:25"], [])],
)
def test_a_token_opens_only_the_tables_that_it_names(symbols: list[str], seen: list[str]) -> None:
    talk = Talk(books("A", "B"), grant=Grant(symbols=frozenset(symbols)))
    outcomes = codes(talk, "subscribe", "A book:10", "B book:10")
    assert outcomes == [OK if name in seen else UNKNOWN for name in ("A book:10", "B book:10")]
    codes(talk, "subscribe", "* book:10")
    held = [talk.cache.records[number].symbol for number in talk.subscriber.audience.numbers()]
    assert sorted(held) == seen
    assert {record.symbol for record in talk.cache.records} == {"A", "B", *seen}, "nothing else was opened"


def test_what_an_unsubscribe_takes_away_is_said_before_its_reply_also_to_a_full_socket() -> None:
    talk = Talk(books("A", "B"))
    codes(talk, "subscribe", "*", "A book:10")
    talk.sink.take()
    talk.sink.full = True
    publish(talk, update("A", bid="1"))
    codes(talk, "unsubscribe", "A book:10")
    talk.sink.full = False
    talk.sink.take()
    assert talk.hub.catch_up(talk.subscriber)
    (removed,) = [message for message in talk.sink.take() if isinstance(message, Removed)]
    assert removed.ids == [table(talk, "A book:10").number]


@pytest.mark.parametrize(("given_up", "left", "stays"), [("*", 0, -1), ("A book:10", -1, 0)])
def test_of_everything_and_a_table_either_can_be_given_up_alone(given_up: str, left: int, stays: int) -> None:
    talk = Talk(books("A"))
    codes(talk, "subscribe", "*", "A book:10")
    talk.sink.take()
    codes(talk, "unsubscribe", given_up)
    (removed,) = talk.sink.take()
    assert isinstance(removed, Removed)
    assert list(removed.ids) == [left]
    publish(talk, update("A", bid="1.00"), Levels("A", [("1.00", 8)], []))
    (delta,) = talk.sink.take()
    assert isinstance(delta, Delta)
    assert delta.changes[::2] == [stays]


def test_a_resume_says_what_only_forgotten_names_had() -> None:
    talk = Talk(books("A", "B"))
    cursor = talk.cache.cut
    cut(talk.cache, update("A", bid="1"), update("B", bid="2"))
    names = {"symbols": ["A"], "forget": ["*", "B book:10", "Z"]}
    talk.ask("resume", epoch="epoch", cursor=cursor, **names)
    removed, *data = talk.sink.take()
    assert removed == Removed(cursor, cursor, [1])
    (delta,) = data
    assert isinstance(delta, Delta)
    assert delta.changes == [0, {1: 100}]


def test_a_resume_says_what_names_had_that_are_declined_now() -> None:
    talk = Talk(books("A", "B", "C"), limits=Limits(max_symbols=1))
    names = ["A", "B", "*C"]
    outcomes = talk.ask("resume", epoch="epoch", cursor=talk.cache.cut, symbols=names)["outcomes"]
    assert [code for _, code, _ in outcomes] == [OK, Code.TOO_MANY_SYMBOLS, Code.TOO_MANY_SYMBOLS]
    (removed,) = talk.sink.take()
    assert isinstance(removed, Removed)
    assert removed.ids == [1, 2]


def test_a_resume_that_forgets_endless_patterns_is_refused() -> None:
    talk = Talk(books("A"), limits=Limits(max_patterns=2))
    forget = [f"{number}*" for number in range(5)]
    assert talk.fail("resume", epoch="epoch", cursor=1, symbols=[], forget=forget) == Code.BAD_REQUEST


def test_a_table_that_nobody_watched_for_a_while_comes_whole_to_one_who_resumes() -> None:
    talk = Talk(books("A"))
    codes(talk, "subscribe", "A book:10")
    cursor = talk.cache.cut
    talk.hub.disconnect(talk.subscriber)
    cut(talk.cache, Levels("A", [("1.00", 0), ("0.98", 3)], []))
    talk.reconnect()
    talk.ask("resume", epoch="epoch", cursor=cursor, symbols=["A book:10"])
    *_, snapshot = talk.sink.take()
    assert isinstance(snapshot, Snapshot)
    assert snapshot.records[1][16] == [98, 3]


# Checksums


def test_a_digest_is_that_of_the_records_at_its_cut_and_comes_behind_them() -> None:
    talk = Talk(books("A", "B"))
    codes(talk, "subscribe", "A", "B book:10", interval_ms=1000)
    publish(talk, update("A", bid="1.25"))
    publish(talk, update("A", bid="1.26"))
    talk.sink.take()
    answer = talk.ask("digest")
    (delta,) = talk.sink.take()
    assert isinstance(delta, Delta)
    assert (delta.cut, delta.changes) == (talk.cache.cut, [0, {1: 126}])
    number = table(talk, "B book:10").number
    wanted = [
        record_checksum(0, (2, 0), {1: 126}),
        record_checksum(number, (2, 0), {16: [100, 5], 17: [101, 6], 14: "live"}),
    ]
    assert answer == {"cut": talk.cache.cut, "digest": total(wanted), "records": 2}


def test_a_digest_waits_until_the_client_has_everything() -> None:
    talk = Talk(market("A"))
    codes(talk, "subscribe", "A")
    talk.sink.full = True
    publish(talk, update("A", bid="1"))
    request = talk.sink.encoding.encode_request({"op": "digest", "id": 9})
    with pytest.raises(NotUpToDate):
        talk.session.receive(request, 0)
    talk.sink.full = False
    talk.sink.take()
    assert talk.hub.catch_up(talk.subscriber)
    reply, _ = talk.send(request)
    assert isinstance(reply, Reply)
    assert reply.result["cut"] == talk.cache.cut


def test_the_checksums_of_many_records_are_made_in_steps_and_paid_for_once() -> None:
    cache = market(*(f"S{number}" for number in range(1200)))
    talk = Talk(cache)
    codes(talk, "subscribe", "*")
    while not talk.hub.catch_up(talk.subscriber):
        pass
    work = talk.hub.work
    steps = talk.session.steps(talk.sink.encoding.encode_request({"op": "digest", "id": 9}), 0)
    assert len(list(steps)) >= 2
    made = talk.hub.work - work
    assert made > 10
    work = talk.hub.work
    talk.ask("digest")
    assert talk.hub.work == work
