"""ticker_feeds/lines/objects.py: publications from other programs' objects."""

from __future__ import annotations

import logging
from collections import Counter
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ticker_feeds.lines.objects as objects_module
from tests.support import update
from ticker.core.last_value import LastValueCache
from ticker.market import Instrument, Publication, Stale, Withdrawal
from ticker_feeds.lines.objects import MAX_ARRAY, ObjectReader, decode_json, decode_msgpack
from ticker_feeds.parsing import BadInput


def reader(counters: Counter[str] | None = None) -> ObjectReader:
    return ObjectReader("test", Counter() if counters is None else counters, logging.getLogger("tests.objects"))


def said(*lines: str, counters: Counter[str] | None = None) -> list[Publication]:
    """Return the publications of these lines of JSON, in one run."""
    run = reader(counters)
    return [each for at, line in enumerate(lines, 1) for each in run.take(decode_json(line.encode()), f"line {at}")]


def test_the_three_kinds_of_objects() -> None:
    assert said(
        '{"instrument": "A", "price_scale": 3, "size_scale": 1, "metadata": {"venue": "X"}}',
        '{"symbol": "A", "bid": "1.50", "ask_size": 7, "time": 1700000000000000, "note": "é", "own": 5, "last": null}',
        '{"withdraw": "A"}',
        '{"instrument": "B"}',
    ) == [
        Instrument("A", price_scale=3, size_scale=1, metadata={"venue": "X"}),
        update("A", bid="1.50", ask_size=7, time=1_700_000_000_000_000, note="é", own=5, last=None),
        Withdrawal("A"),
        Instrument("B"),
    ]


@pytest.mark.parametrize("number", ["0.00001306", "1.10", "0.1", "9007199254740991", "123456789.123456", "-0.5"])
def test_a_number_means_what_is_written_not_the_nearest_float(number: str) -> None:
    for written in (number, f'"{number}"'):
        *_, told = said(f'{{"symbol": "A", "bid": {written}}}')
        exact = int(number) if written.isdigit() else Decimal(number)
        assert told == update("A", bid=number if written.startswith('"') else exact)


def test_numbers_with_exponents_are_decimals_and_times_may_have_one() -> None:
    *_, told = said('{"symbol": "A", "bid": 1.5e2, "last": 1E-7, "time": 1.7e15, "own": 2.50}')
    assert told == update("A", bid=Decimal(150), last=Decimal("1E-7"), time=Decimal("1.7E15"), own=Decimal("2.50"))


def test_who_is_not_declared_is_at_the_first_update_and_only_then() -> None:
    assert said('[{"symbol": "A", "bid": 1.10}, {"symbol": "A", "bid": 2}]', '{"symbol": "A", "bid": "3"}') == [
        Instrument("A", price_scale=2),
        update("A", bid=Decimal("1.10")),
        update("A", bid=2),
        update("A", bid="3"),
    ]


def test_the_withdrawal_of_what_is_not_known_says_nothing() -> None:
    assert said('{"withdraw": "A"}', '{"instrument": "A"}') == [Instrument("A")]


def test_spaces_in_symbols_are_encoded_wherever_a_symbol_stands() -> None:
    option = '{"symbol": "SPX 5000 C", "bid": '
    assert said('{"instrument": "SPX 5000 C"}', option + "1}", f"[{option}1}}, 5]", '{"withdraw": "SPX 5000 C"}') == [
        Instrument("SPX%205000%20C"),
        update("SPX%205000%20C", bid=1),
        Stale("SPX%205000%20C", "bad_data"),
        Withdrawal("SPX%205000%20C"),
    ]


def test_an_empty_array_says_nothing() -> None:
    counters: Counter[str] = Counter()
    assert said("[]", counters=counters) == []
    assert not counters


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ('"A"', "neither an object nor an array"),
        ("[[]]", "no object in an array"),
        ('{"bid": 1}', "no symbol"),
        ('{"symbol": "a*b", "bid": 1}', "bad symbol"),
        ('{"symbol": "", "bid": 1}', "bad symbol"),
        ('{"symbol": 5, "bid": 1}', "bad symbol"),
        ('{"instrument": "A", "price_scale": 99}', "bad value"),
        ('{"instrument": "A", "bid": 1}', "unknown key"),
        ('{"withdraw": "A", "bid": 1}', "no symbol"),
        ('{"withdraw": []}', "bad symbol"),
        (f"[{','.join(['{}'] * (MAX_ARRAY + 1))}]", "too long an array"),
    ],
)
def test_what_cannot_be_used_is_counted_by_cause_and_skipped(line: str, cause: str) -> None:
    counters: Counter[str] = Counter()
    assert said(line, counters=counters) == []
    assert counters == {cause: 1}


def test_a_cause_is_logged_once_with_the_place(caplog: pytest.LogCaptureFixture) -> None:
    said('{"symbol": 4}', '{"symbol": 5}', "5")
    assert [record.getMessage().partition("(")[0] for record in caplog.records] == [
        "test, line 1: bad symbol ",
        "test, line 3: neither an object nor an array ",
    ]


def test_an_instrument_whose_update_cannot_be_used_is_stale_until_a_good_one() -> None:
    assert said(
        '[{"symbol": "A", "bid": 1}, {"symbol": "B", "bid": 1}]',
        '[{"symbol": "A", "bid": 2}, {"symbol": "B", "bid": 2}, {"symbol": "C", "bid": 1}, 5]',
        '{"symbol": "A", "bid": 3}',
    )[4:] == [
        Stale("A", "bad_data"),
        Stale("B", "bad_data"),
        update("A", bid=3),
    ]


@pytest.mark.parametrize("value", ['"one"', "true", "1e400", "{}", '"two\\nlines"', "9007199254740992", "[1]"])
def test_values_are_left_to_the_service(value: str) -> None:
    cache = LastValueCache("epoch")
    for each in said('{"symbol": "A", "ask": 1, "bid": 1}', f'{{"symbol": "A", "ask": 2, "bid": {value}}}'):
        cache.publish(each)
    assert cache.instruments[0].values[3] == 2
    assert cache.instruments[0].values[1] == (None if value != "9007199254740992" else value)


def test_what_is_not_json_or_msgpack_is_said_so() -> None:
    for data in (
        b"",
        b"{",
        b"nonsense",
        b"\xff",
        b"[" * 100_000,
        b'{"symbol": "A"} {}',
        b'{"symbol": "A", "bid": NaN}',
    ):
        with pytest.raises(BadInput, match="not JSON"):
            decode_json(data)
    for data in (b"", b"\x81", b"\xc1", b"\x91" * 100_000, b"\xa2\xff\xff"):
        with pytest.raises(BadInput, match="not msgpack"):
            decode_msgpack(data)


def test_a_float_in_msgpack_is_rounded_and_so_no_value() -> None:
    item = decode_msgpack(msgspec.msgpack.encode({"symbol": "A", "bid": 1.5, "ask": "1.5"}))
    cache = LastValueCache("epoch")
    unusable = [each.cause for publication in reader().take(item, "here") for each in cache.publish(publication)]
    assert unusable == ["unreadable bid"]
    assert cache.instruments[0].values == {3: 15}


def test_the_number_of_remembered_symbols_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects_module, "MAX_SYMBOLS", 2)
    counters: Counter[str] = Counter()
    run = reader(counters)
    for at in range(1_000):
        run.take({"symbol": f"S{at}", "bid": at}, "here")
        run.take({"instrument": f"S{at}"}, "here")
    assert counters == {"too many symbols": 2 * 998}
    assert run.take([{"symbol": "S0", "bid": 5}, {"symbol": "S2", "bid": 5}], "here") == [update("S0", bid=5)]
    assert [each.symbol for each in run.mark_all_stale("feed_silent")] == ["S0", "S1"]


def test_the_number_of_causes_is_bounded() -> None:
    counters: Counter[str] = Counter()
    run = reader(counters)
    for at in range(1_000):
        run.reject(BadInput(f"cause {at}", "x"), "here")
    assert counters.total() == 1_000
    assert len(counters) <= 51


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["symbol", "instrument", "bid", "time", "status"]), inner)
    ),
    max_leaves=10,
)
objects = st.dictionaries(
    st.sampled_from(
        ["symbol", "instrument", "withdraw", "price_scale", "metadata", "bid", "time", "status", "own", ""]
    ),
    json_values | st.sampled_from(["A", "B", 1, Decimal("1.5")]),
)


@pytest.mark.untraced
@given(st.lists(objects | st.lists(objects, max_size=4) | json_values, max_size=8))
def test_whatever_comes_what_is_said_of_it_is_taken_by_the_cache(items: list[object]) -> None:
    run, cache = reader(), LastValueCache("epoch")
    for item in items:
        for publication in run.take(item, "here"):
            cache.publish(publication)
