"""ticker/core/encode_cache.py: encoded parts, how often they are encoded, and the frames put together from them."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import cut, market, messages, update
from ticker.bounds import ENTRIES_PER_INSTRUMENT
from ticker.core.encode_cache import EncodeCache, Share, definition_of
from ticker.core.last_value import LastValueCache
from ticker.market import Instrument, Update, Value, Withdrawal
from ticker.protocol.messages import Definition, Delta, Instruments, ServerMessage, Snapshot
from ticker.protocol.wire import ENCODINGS, MSGPACK, Encoding

both = pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=["msgpack", "json"])


def sent(
    entries: EncodeCache, since: int, encoding: Encoding = MSGPACK, missing: list[int] | None = None
) -> list[ServerMessage]:
    """Return the messages for a copy of everything at `since`."""
    change_set = entries.change_set(since)
    return messages([entries.frame(since, [Share(change_set, sorted(change_set.changed), missing or [])])], encoding)


def quoted() -> LastValueCache:
    """A at cut 2, B at cut 3, A's ask at cut 4."""
    cache = market("A", "B")
    cut(cache, update("A", bid="1", status="live"))
    cut(cache, update("B", bid="2"))
    cut(cache, update("A", ask="3"))
    return cache


# Change sets


def test_a_change_set_has_the_changes_after_a_cut() -> None:
    entries = EncodeCache(quoted(), MSGPACK)
    assert [sorted(entries.change_set(since).changed) for since in range(5)] == [[0, 1], [0, 1], [0, 1], [0], []]


def test_all_clients_with_the_same_cursor_share_a_change_set() -> None:
    cache = quoted()
    entries = EncodeCache(cache, MSGPACK)
    change_set = entries.change_set(2)
    assert entries.change_set(2) is change_set
    cut(cache, update("B", bid="9"))
    assert entries.change_set(2) is not change_set


def test_an_entry_is_encoded_when_it_is_first_needed_and_once() -> None:
    entries = EncodeCache(quoted(), MSGPACK)
    change_set = entries.change_set(1)
    assert entries.encoded == 0
    for _ in range(1000):
        assert change_set[0] == MSGPACK.entry(0, {14: "live", 1: 100, 3: 300})
    assert entries.encoded == 1


def test_windows_that_select_the_same_fields_share_an_entry() -> None:
    cache = quoted()
    entries = EncodeCache(cache, MSGPACK)
    assert entries.change_set(2)[0] is entries.change_set(3)[0]
    assert entries.change_set(0)[0] is entries.change_set(1)[0]
    assert entries.change_set(1)[0] != entries.change_set(2)[0]
    assert entries.encoded == 2


def test_an_entry_lives_until_its_instrument_changes() -> None:
    cache = quoted()
    entries = EncodeCache(cache, MSGPACK)
    entry = entries.change_set(1)[0]
    cut(cache, update("B", bid="9"))
    assert entries.change_set(1)[0] is entry
    assert entries.encoded == 1
    cut(cache, update("A", bid="2"))
    assert entries.change_set(1)[0] == MSGPACK.entry(0, {14: "live", 1: 200, 3: 300})
    assert entries.encoded == 2


def test_only_so_many_entries_are_kept() -> None:
    cache = market("A")
    entries = EncodeCache(cache, MSGPACK)
    names = [f"own_{number}" for number in range(30)]
    for number, name in enumerate(names):
        cut(cache, update("A", **{name: number}))
    for since in range(cache.cut):
        assert entries.change_set(since)[0]
    assert len(entries._selections) == len(names)
    cut(cache, update("A", own_0=100))
    assert entries.change_set(cache.cut - 1)[0] == MSGPACK.entry(0, {"own_0": 100})
    assert len(entries._selections) <= ENTRIES_PER_INSTRUMENT


def test_the_garbage_collector_has_nothing_to_do_with_what_is_encoded() -> None:
    entries = EncodeCache(quoted(), MSGPACK)
    records = entries.cache.records
    for number, record in enumerate(records):
        assert entries.change_set(0)[number]
        assert entries.record(record, None)
        assert entries.definition(record)
    for encoded in (entries._selections, entries._records, entries._definitions):
        assert len(encoded) == len(records)
        assert not gc.is_tracked(encoded.parts)
        assert not gc.is_tracked(encoded.changed_at)


def test_parts_that_belong_to_a_cut_are_dropped_after_it() -> None:
    cache = quoted()
    entries = EncodeCache(cache, MSGPACK)
    assert entries.change_set(3)[0] == MSGPACK.entry(0, {3: 300})
    cut(cache, update("A", ask="4"))
    assert entries.change_set(3)[0] == MSGPACK.entry(0, {3: 400})
    assert entries.encoded == 2
    assert list(entries._change_sets) == [3]


# Frames


@both
def test_changes_of_known_instruments_are_a_delta(encoding: Encoding) -> None:
    entries = EncodeCache(quoted(), encoding)
    assert sent(entries, 2, encoding) == [Delta(2, 4, 4000, [0, {3: 300}, 1, {1: 200}])]
    assert sent(entries, 4, encoding) == [Delta(4, 4, 4000, [])]


@both
def test_a_withdrawn_field_is_nil_in_a_delta_and_missing_in_a_record(encoding: Encoding) -> None:
    cache = quoted()
    cut(cache, Withdrawal("B"))
    entries = EncodeCache(cache, encoding)
    assert sent(entries, 4, encoding) == [Delta(4, 5, 5000, [1, {1: None}])]
    frame = entries.frame(5, [Share(entries.change_set(5), [], [1])])
    assert messages([frame], encoding)[1] == Snapshot(5, 5, 5000, [], [1, {}])


@both
def test_an_instrument_declared_after_the_cursor_comes_complete_behind_its_definition(encoding: Encoding) -> None:
    cache = quoted()
    cut(cache, Instrument("C", 3, 1, {"name": "x"}), update("C", bid="1"), update("A", bid="7"))
    entries = EncodeCache(cache, encoding)
    assert sent(entries, 4, encoding) == [
        Instruments([Definition(2, "C", 3, 1, {"name": "x"})]),
        Snapshot(4, 5, 5000, [0, {1: 700}], [2, {1: 1000}]),
    ]
    cut(cache, update("A", bid="8"), update("C", bid="2"))
    assert sent(entries, 5, encoding) == [Delta(5, 6, 6000, [0, {1: 800}, 2, {1: 2000}])]
    cut(cache, Instrument("A", metadata={"name": "y"}))
    assert sent(entries, 5, encoding) == [
        Instruments([Definition(0, "A", 2, 0, {"name": "y"})]),
        Delta(5, 7, 7000, [0, {1: 800}, 2, {1: 2000}]),
    ]


@both
def test_an_instrument_new_to_a_client_comes_complete_however_old_it_is(encoding: Encoding) -> None:
    entries = EncodeCache(quoted(), encoding)
    frame = entries.frame(3, [Share(entries.change_set(3), [0], [1])])
    assert messages([frame], encoding) == [
        Instruments([Definition(1, "B", 2, 0, {})]),
        Snapshot(3, 4, 4000, [0, {3: 300}], [1, {1: 200}]),
    ]


@both
def test_a_raised_scale_brings_the_definition_and_every_field(encoding: Encoding) -> None:
    cache = quoted()
    cut(cache, update("A", bid="1.125"))
    entries = EncodeCache(cache, encoding)
    assert sent(entries, 4, encoding) == [
        Instruments([Definition(0, "A", 3, 0, {})]),
        Delta(4, 5, 5000, [0, {1: 1125, 14: "live", 3: 3000}]),
    ]


@both
def test_a_new_description_brings_the_definition_and_no_field(encoding: Encoding) -> None:
    cache = quoted()
    cut(cache, Instrument("A", metadata={"name": "x"}))
    entries = EncodeCache(cache, encoding)
    assert sent(entries, 4, encoding) == [
        Instruments([Definition(0, "A", 2, 0, {"name": "x"})]),
        Delta(4, 5, 5000, [0, {}]),
    ]


def test_a_definition_goes_only_to_copies_that_hold_its_instrument() -> None:
    cache = quoted()
    cut(cache, update("A", bid="1.125"), update("B", bid="5"))
    entries = EncodeCache(cache, MSGPACK)
    change_set = entries.change_set(4)
    assert change_set.redefined == {0}
    assert messages([entries.frame(4, [Share(change_set, [1])])], MSGPACK) == [Delta(4, 5, 5000, [1, {1: 500}])]


def test_a_frame_may_begin_before_its_window() -> None:
    """An audience that was last told cut 1, and for which nothing changed through cut 3."""
    entries = EncodeCache(quoted(), MSGPACK)
    frame = entries.frame(1, [Share(entries.change_set(3), [0])])
    assert messages([frame], MSGPACK) == [Delta(1, 4, 4000, [0, {3: 300}])]


# Complete records


def test_a_record_is_kept_until_its_instrument_changes() -> None:
    cache = quoted()
    entries = EncodeCache(cache, MSGPACK)
    for _ in range(1000):
        entries.frame(4, [Share(entries.change_set(4), [], [0, 1])])
    assert entries.encoded == 2
    cut(cache, update("A", bid="9"))
    frame = entries.frame(5, [Share(entries.change_set(5), [], [0, 1])])
    assert entries.encoded == 3
    assert messages([frame], MSGPACK)[1] == Snapshot(5, 5, 5000, [], [0, {1: 900, 14: "live", 3: 300}, 1, {1: 200}])


def test_a_definition_is_kept_until_its_instrument_is_declared_anew() -> None:
    cache = quoted()
    entries = EncodeCache(cache, MSGPACK)
    cut(cache, update("A", bid="9"))
    first = entries.frame(5, [Share(entries.change_set(5), [], [0])])
    cut(cache, Instrument("A", metadata={"name": "x"}))
    second = entries.frame(6, [Share(entries.change_set(6), [], [0])])
    assert messages([first], MSGPACK)[0] == Instruments([Definition(0, "A", 2, 0, {})])
    assert messages([second], MSGPACK)[0] == Instruments([Definition(0, "A", 2, 0, {"name": "x"})])


def test_a_definition_has_the_scales_of_the_values_not_of_the_declaration() -> None:
    cache = market(Instrument("A", 2, 0, {"name": "x"}))
    cut(cache, update("A", bid="1.2345", bid_size="0.5"))
    assert definition_of(cache.records[0]) == Definition(0, "A", 4, 1, {"name": "x"})


# Sharing changes nothing


updates = st.lists(
    st.tuples(
        st.sampled_from("AB"),
        st.dictionaries(
            st.sampled_from(["bid", "ask", "own"]), st.none() | st.integers(0, 2) | st.just("0.5"), max_size=3
        ),
    ),
    max_size=12,
)


@both
@given(updates=updates, cursors=st.lists(st.integers(0, 13), max_size=5))
def test_shared_entries_are_those_that_would_be_encoded_for_each(
    encoding: Encoding, updates: list[tuple[str, dict[str, Value]]], cursors: list[int]
) -> None:
    cache = market("A", "B")
    entries = EncodeCache(cache, encoding)
    for symbol, fields in updates:
        cut(cache, Update(symbol, fields))
        for since in cursors:
            change_set = entries.change_set(since)
            for number in change_set.changed:
                assert change_set[number] == encoding.entry(number, cache.records[number].changes_since(since)[0])
