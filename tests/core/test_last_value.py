"""ticker/core/last_value.py: the cache, rule by rule."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support import cut, market, update
from ticker.core.last_value import LastValueCache
from ticker.core.record import Record
from ticker.errors import BadPublication
from ticker.market import FIELDS, MAX_FIELDS, Field, Instrument, Publication, Stale, Update, Value, Withdrawal
from ticker.numbers import MAX_INTEGER

BID, BID_SIZE, ASK, LAST = int(Field.BID), int(Field.BID_SIZE), int(Field.ASK), int(Field.LAST)
STATUS, TIME = int(Field.STATUS), int(Field.TIME)


class Text(str):
    """A text as some libraries hand it over."""

    __slots__ = ()


class Weird:
    def __repr__(self) -> str:
        raise RuntimeError("no repr today")


def the(cache: LastValueCache, symbol: str = "A") -> Record:
    record = cache.instrument(symbol)
    assert record is not None
    return record


def state(cache: LastValueCache) -> object:
    """All that a publication may change."""
    records = [
        (
            *(record.instrument, record.price_scale, record.size_scale, record.whole_at, record.defined_at),
            *(record.last_change, dict(record.values), dict(record.changed_at)),
        )
        for record in cache.instruments
    ]
    return cache.cut, cache.time, cache.last_definition, records


def left_out(cache: LastValueCache, publication: Publication) -> str:
    """Publish; return the detail of the one part that was left out."""
    (unusable,) = cache.publish(publication)
    return unusable.detail


def refused(cache: LastValueCache, publication: Publication) -> str:
    """The text with which a publication is refused, having changed nothing."""
    before = state(cache)
    with pytest.raises(BadPublication) as caught:
        cache.publish(publication)
    assert state(cache) == before
    assert not cache.close_cut(cache.time + 1)
    return str(caught.value)


# Rule 1: cuts


def test_an_empty_cache_is_at_cut_0_and_knows_nothing() -> None:
    cache = LastValueCache("epoch")
    assert (cache.epoch, cache.cut, cache.time, cache.records) == ("epoch", 0, 0, [])
    assert cache.find("A") is None
    assert cache.changed_since(0) == set()


def test_changes_become_visible_all_at_once_when_their_cut_is_closed() -> None:
    cache = market("A", "B", "C")
    cache.publish(update("A", bid="1"))
    cache.publish(update("B", bid="2"))
    cache.publish(update("A", bid="3"))
    assert cache.changed_since(1) == set()
    assert cache.close_cut(7)
    assert (cache.cut, cache.time) == (2, 7)
    assert cache.changed_since(1) == {0, 1}
    assert the(cache).changes_since(1)[0] == {BID: 300}


def test_no_cut_is_closed_where_nothing_changed() -> None:
    cache = market("A")
    assert not cache.close_cut(99)
    assert (cache.cut, cache.time) == (1, 1000)


def test_instruments_are_numbered_in_the_order_of_their_declaration() -> None:
    cache = market("B", "A")
    assert [record.symbol for record in cache.instruments] == ["B", "A"]
    assert [record.id for record in cache.instruments] == [0, 1]
    assert the(cache, "A") is cache.records[1]


def test_a_declaration_is_a_change_even_without_a_value() -> None:
    cache = market()
    assert cut(cache, Instrument("A")) == 1
    assert cache.changed_since(0) == {0}
    assert the(cache).whole_at == the(cache).defined_at == the(cache).last_change == cache.last_definition == 1


# Rule 2: changes


@pytest.mark.parametrize("again", ["1.5", "1.50", "+01.5", "15E-1", Decimal("1.500")])
def test_the_same_number_in_another_spelling_is_no_change(again: Value) -> None:
    cache = market("A")
    cut(cache, update("A", bid="1.5"))
    assert cut(cache, update("A", bid=again)) == 2
    assert the(cache).changed_at == {BID: 2}


def test_fields_that_are_not_named_stay_as_they_were() -> None:
    cache = market("A")
    cut(cache, update("A", bid="1", ask="2"))
    cut(cache, update("A", bid="3"))
    assert the(cache).values == {BID: 300, ASK: 200}
    assert the(cache).changed_at == {BID: 3, ASK: 2}


def test_a_withdrawn_field_is_a_change_to_nothing() -> None:
    cache = market("A")
    cut(cache, update("A", bid="1", ask="2"))
    cut(cache, update("A", bid=None))
    assert the(cache).changes_since(2)[0] == {BID: None}
    assert the(cache).present() == {ASK: 200}


def test_withdrawing_a_field_without_a_value_is_no_change() -> None:
    cache = market("A")
    assert cut(cache, update("A", bid=None), Withdrawal("A")) == 1
    assert the(cache).values == {}


def test_a_withdrawal_takes_back_every_field() -> None:
    cache = market("A")
    cut(cache, update("A", bid="1", note="x"))
    assert cut(cache, Withdrawal("A")) == 3
    assert the(cache).changes_since(2)[0] == {BID: None, "note": None}
    assert the(cache).present() == {}
    assert cut(cache, Withdrawal("A")) == 3


def test_values_are_carried_as_their_kind_says() -> None:
    cache = market(Instrument("A", 2, 3))
    fields: dict[str, Value] = {
        "bid": "190.25",
        "bid_size": 7,
        "time": -5,
        "trade_count": MAX_INTEGER,
        "status": "halted",
        "own_count": -MAX_INTEGER,
        "own_text": "x",
        "own_decimal": Decimal("1E-7"),
    }
    cut(cache, Update("A", fields))
    assert the(cache).values == {
        Field.BID: 19025,
        Field.BID_SIZE: 7000,
        Field.TIME: -5,
        Field.TRADE_COUNT: MAX_INTEGER,
        Field.STATUS: "halted",
        "own_count": -MAX_INTEGER,
        "own_text": "x",
        "own_decimal": ("0.0000001",),
    }


def test_crossed_quotes_and_times_that_step_back_are_data() -> None:
    cache = market("A")
    cut(cache, update("A", bid="2", ask="1", time=9))
    cut(cache, update("A", time=3))
    assert the(cache).values == {BID: 200, ASK: 100, TIME: 3}


def test_a_text_that_is_more_than_a_str_is_refused_or_becomes_a_plain_one() -> None:
    """Both encodings must be able to carry the kept value: `msgspec` takes no subclass of str."""
    cache = LastValueCache("epoch")
    with suppress(BadPublication):
        cache.publish(Instrument(Text("T"), metadata={Text("name"): Text("x")}))
    cache.publish(Instrument("A"))
    for name in ("status", "own"):
        with suppress(BadPublication):
            cache.publish(Update("A", {name: Text("x")}))
    for record in cache.instruments:
        metadata = record.instrument.metadata
        for value in (record.symbol, *metadata, *metadata.values(), *record.values.values()):
            assert type(value) is str


# Rule 3: each part of an update by itself


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"bid": 1.5}, "A: bid: 1.5 is a float"),
        ({"bid": True}, "A: bid: True is a bool"),
        ({"bid": "oops"}, "A: bid: 'oops' is not a decimal number"),
        ({"bid": "NaN"}, "A: bid: 'NaN' is not a finite number"),
        ({"bid_size": Decimal("Infinity")}, "A: bid_size: .* is not a finite number"),
        ({"last": "1e41"}, "A: last: .* more than 40 digits"),
        ({"time": "noon"}, "A: time: 'noon' is not a decimal number"),
        ({"time": 1.5}, "A: time: 1.5 is a float"),
        ({"time": True}, "A: time: True is a bool"),
        ({"trade_count": 2**53}, "A: trade_count: 9007199254740992 is not a whole number of at most 53 bits"),
        ({"own": 10**5000}, "A: own: an integer of more than 40 digits"),
        ({"reason": "two\nlines"}, "A: reason: .* is a str: give a printable text"),
        ({"own": 1.5}, "A: own: 1.5 is a float: give an int, a Decimal, or a printable text"),
        ({"own": b"x"}, "A: own: b'x' is a bytes: give an int"),
        ({"own": Weird()}, "A: own: a Weird is a Weird: give an int"),
        ({"own": Decimal("1E+300")}, "A: own: .* more than 40 digits"),
    ],
)
def test_a_value_that_cannot_be_read_withdraws_its_field_and_no_other(fields: dict[str, Value], text: str) -> None:
    first: dict[str, Value] = {"bid": "1", "bid_size": 5, "ask": "2", "last": "3", "time": 7, "trade_count": 8}
    first |= {"reason": "why", "own": "x"}
    (name,) = fields
    for bad in (fields, {"ask": "9.99", **fields}, {**fields, "ask": "9.99"}):
        cache = market("A")
        cut(cache, update("A", **first))
        assert re.match(text, left_out(cache, Update("A", bad)))
        cache.close_cut(1)
        expected = market("A")
        cut(expected, update("A", **first), update("A", **{**bad, name: None}))
        assert the(cache).values == the(expected).values
        assert the(cache).values[FIELDS.get(name, name)] is None


@pytest.mark.parametrize("status", ["suspended", "Live", "", 5, True, Decimal(5), "x" * 257])
def test_a_status_that_cannot_be_read_shows_the_instrument_as_stale(status: Value) -> None:
    cache = market("A")
    assert left_out(cache, update("A", bid="1", status=status)).startswith("A: status: ")
    assert the(cache).values == {BID: 100, Field.STATUS: "stale", Field.REASON: "bad_data"}
    cut(cache, update("A", bid="2"))
    assert the(cache).values == {BID: 200, Field.STATUS: "stale", Field.REASON: "bad_data"}
    cut(cache, update("A", status="live", reason=None))
    assert the(cache).values == {BID: 200, Field.STATUS: "live", Field.REASON: None}


@pytest.mark.parametrize("name", ["Bid", 5, Weird(), "x" * 1000, "two\nlines", ("a",), [1]])
def test_a_field_that_cannot_be_is_left_out(name: str) -> None:
    class Pairs(Mapping[str, Value]):
        """Names that cannot be keys of a dict are possible, too."""

        def __getitem__(self, _: str) -> Value:
            raise AssertionError("a feed gives its items")

        def __iter__(self) -> Iterator[str]:
            return iter([name, "ask"])

        def __len__(self) -> int:
            return 2

        def items(self) -> Any:  # noqa: ANN401  # as a careless feed does it
            return [(name, 1), ("ask", "9.99")]

    cache = market("A")
    caught = left_out(cache, Update("A", Pairs()))
    assert re.match("A: .*field .*: a name is ", caught)
    assert caught.isprintable()
    assert len(caught) < 300
    assert the(cache).values == {Field.ASK: 999}


def test_the_parts_left_out_are_told_by_cause() -> None:
    cache = market("A")
    found = cache.publish(update("A", bid="oops", ask=1.5, last="1", Last="1"))  # type: ignore[arg-type]
    assert [each.cause for each in found] == ["unreadable bid", "unreadable ask", "unusable field name"]


@pytest.mark.parametrize("exponent", ["+", "-"])
def test_a_decimal_of_endless_digits_is_left_out_before_it_is_written_out(exponent: str) -> None:
    number = Decimal(f"1E{exponent}999999999999999999")
    assert left_out(market("A"), update("A", own=number)).startswith("A: own: ")
    assert left_out(market("A"), update("A", bid=number)).startswith("A: bid: ")


@pytest.mark.parametrize("fields", [None, 5, "bid", ["bid"], [("bid", "1")], {"bid"}, Weird()])
def test_fields_that_are_no_map_are_refused(fields: Mapping[str, Value]) -> None:
    text = "A: the fields of an Update are a mapping of names to values"
    assert refused(market("A"), Update("A", fields)) == text


def test_any_mapping_will_do() -> None:
    class Row(Mapping[str, Value]):
        def __getitem__(self, name: str) -> Value:
            return {"bid": "1.25"}[name]

        def __iter__(self) -> Iterator[str]:
            return iter(["bid"])

        def __len__(self) -> int:
            return 1

    cache = market("A")
    cut(cache, Update("A", Row()))
    assert the(cache).values == {BID: 125}


@pytest.mark.parametrize("symbol", ["B", "", None, 5, ["A"], Weird()])
def test_an_instrument_is_declared_before_anything_else_is_said_about_it(symbol: str) -> None:
    cache = market("A")
    text = "was not declared: publish its Instrument first"
    assert refused(cache, Update(symbol, {"bid": "1"})).endswith(text)
    assert refused(cache, Withdrawal(symbol)).endswith(text)


@pytest.mark.parametrize("publication", [None, 5, "A", ("A", {"bid": "1"}), {"A": {}}, [], Weird(), Instrument])
def test_anything_but_a_publication_is_refused(publication: Publication) -> None:
    wanted = "give one of Instrument, Update, Withdrawal, Stale, Levels, Trade or Candle"
    text = f"a feed published a {type(publication).__name__}: {wanted}"
    assert refused(market("A"), publication) == text


def test_a_refused_publication_leaves_the_rest_of_its_cut_alone() -> None:
    cache = market("A")
    cache.publish(update("A", bid="1"))
    with pytest.raises(BadPublication):
        cache.publish(update("B", bid="2"))
    assert cache.close_cut(5)
    assert the(cache).values == {BID: 100}


# Rule 4: pending changes


steps = st.lists(
    st.none()
    | st.tuples(
        st.sampled_from("ABC"),
        st.dictionaries(
            st.sampled_from(["bid", "ask", "bid_size", "x", "y"]), st.none() | st.integers(0, 2), max_size=3
        ),
    ),
    max_size=30,
)
"""Updates, and None where a cut is closed."""


@given(steps)
def test_pending_changes_equal_those_of_a_log_of_all_changes(steps: list[tuple[str, dict[str, Value]] | None]) -> None:
    cache = market("A", "B", "C")
    log: list[tuple[int, int, object]] = []
    values: dict[tuple[int, object], object] = {}
    for step in [*steps, None]:
        if step is None:
            cache.close_cut(0)
            continue
        record = the(cache, step[0])
        for name, value in step[1].items():
            key = Field[name.upper()] if name.upper() in Field.__members__ else name
            scaled = value * 100 if isinstance(value, int) and name in ("bid", "ask") else value
            if values.get((record.id, key)) != scaled:
                values[record.id, key] = scaled
                log.append((cache.cut + 1, record.id, key))
        cache.publish(Update(*step))
    for cursor in range(cache.cut + 1):
        pending = {(number, key) for at, number, key in log if at > cursor}
        assert cache.changed_since(cursor) == {number for number, _ in pending} | ({0, 1, 2} if cursor == 0 else set())
        for record in cache.instruments:
            expected = {key: values[record.id, key] for number, key in pending if number == record.id}
            assert record.changes_since(cursor)[0] == expected


moments = st.lists(
    st.tuples(
        st.dictionaries(
            st.sampled_from(["bid", "ask", "bid_size", "own"]), st.none() | st.decimals(-9, 9, places=2), max_size=3
        ),
        st.booleans(),
    ),
    max_size=15,
)


@given(moments)
def test_a_copy_of_any_age_becomes_the_present_by_its_pending_changes(
    moments: list[tuple[dict[str, Value], bool]],
) -> None:
    cache = market(Instrument("A", 0, 0))
    record = the(cache)
    copies = {1: record.present()}
    for fields, withdrawn in moments:
        cut(cache, Update("A", fields), *([Withdrawal("A")] if withdrawn else []))
        copies[cache.cut] = record.present()
    for cursor, copy in copies.items():
        merged = {**copy, **record.changes_since(cursor)[0]}
        assert {key: value for key, value in merged.items() if value is not None} == record.present()


def test_a_copy_at_the_present_cut_has_no_pending_changes() -> None:
    cache = market("A")
    now = cut(cache, update("A", bid="1"))
    assert cache.changed_since(now) == set()
    assert the(cache).changes_since(now)[0] == {}


# Limits


USUAL = st.dictionaries(
    st.sampled_from(
        ["bid", "ask", "bid_size", "last_size", "time", "trade_count", "own", "status", "reason", "Wrong!"]
    ),
    st.sampled_from(["1.10", "1.1", "1.125", "7", "-3", "0", "live", "stale", "x", "1e3", ""])
    | st.sampled_from([0, 5, -1, 2**53, True, None, Decimal("1.10"), Text("1.20")]),
    max_size=5,
)


PUBLISHED = USUAL.map(lambda fields: Update("A", fields)) | st.just(Stale("A", "gap"))


@given(st.lists(st.tuples(PUBLISHED, st.sampled_from("fg"), st.booleans()), max_size=12))
@example(
    [
        (Update("A", {"bid": "1.10", "ask": "1.20"}), "f", True),
        (Stale("A", "gap"), "f", True),
        (Update("A", {"bid": "1.10"}), "f", True),
    ]
)
def test_the_short_way_of_a_usual_update_ends_where_the_long_one_does(
    published: list[tuple[Publication, str, bool]],
) -> None:
    both = market("A", "B"), market("A", "B")
    both[1]._reader.read_usual = lambda _record, _fields: None  # type: ignore[assignment,method-assign]  # the long way only
    for publication, source, close in published:
        told = [cache.publish(publication, source) for cache in both]
        assert told[0] == told[1]
        if close:
            for cache in both:
                cut(cache)
        assert state(both[0]) == state(both[1])
        assert both[0].stale == both[1].stale


def test_an_instrument_has_at_most_64_fields() -> None:
    cache = market("A")
    full = {f"f{number}": number for number in range(MAX_FIELDS)}
    cut(cache, Update("A", full))
    assert left_out(cache, update("A", one_more=1)) == "A: one_more: more than 64 fields"
    assert left_out(cache, update("A", f0=7, bid="1")) == "A: bid: more than 64 fields"
    assert the(cache).values == {**full, "f0": 7}
    cut(cache, Update("A", dict.fromkeys(full, 99)))
    assert set(the(cache).values.values()) == {99}


def test_the_fields_of_an_update_beyond_64_are_left_out() -> None:
    cache = market("A")
    assert left_out(cache, Update("A", {f"f{number}": 1 for number in range(MAX_FIELDS + 1)})) == (
        "A: f64: more than 64 fields"
    )
    assert len(the(cache).values) == MAX_FIELDS


def test_the_cache_has_at_most_so_many_instruments() -> None:
    cache = LastValueCache("epoch", max_instruments=2)
    cut(cache, Instrument("A"), Instrument("B"))
    assert refused(cache, Instrument("C")) == "C: the limit of 2 instruments is reached"
    assert cut(cache, Instrument("A", 5), update("B", bid="1")) == 2


def test_feeds_may_have_any_number_of_field_names_between_them() -> None:
    symbols = [f"S{number}" for number in range(30)]
    cache = market(*symbols)
    for symbol in symbols:
        cut(cache, Update(symbol, {f"{symbol.lower()}_{number}": number for number in range(40)}))
    for symbol in symbols:
        assert the(cache, symbol).values == {f"{symbol.lower()}_{number}": number for number in range(40)}
    assert len(cache._reader._fields) == 1000
