"""ticker/core/tables/book.py and book_view.py, rule by rule."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.core.tables.books import (
    ASKS,
    BIDS,
    REASON,
    STATUS,
    Ladder,
    TableCopy,
    levels,
    number,
    opened,
    watched,
    whole,
)
from tests.support import cut, market, update
from ticker.bounds import MAX_LEVELS
from ticker.core.last_value import LastValueCache
from ticker.core.tables import book_side
from ticker.core.tables.book import Book
from ticker.errors import BadPublication
from ticker.market import Field, Instrument, Level, Levels, Stale, Withdrawal

FULL = whole([("9", 1), ("8", 2), ("7", 3), ("6", 4)], [("10", 1), ("11", 2), ("12", 3), ("13", 4)])
"""Four levels a side, at scales 0 and 0."""


def a_market() -> LastValueCache:
    return market(Instrument("A", 0, 0))


def ladder(*rows: tuple[int, int]) -> Ladder:
    """A side, the best level first."""
    return [(Decimal(price), Decimal(size)) for price, size in rows]


def the_book(cache: LastValueCache) -> Book:
    book = cache.book_of("A")
    assert book is not None
    return book


def refusal(cache: LastValueCache, publication: Levels, source: str = "") -> str:
    """The cause with which levels are refused, having changed nothing."""
    before = cache.cut
    with pytest.raises(BadPublication) as caught:
        cache.publish(publication, source)
    assert not cache.close_cut(cache.time + 1)
    assert cache.cut == before
    return caught.value.cause


def close(cache: LastValueCache, seconds: float) -> None:
    """Close a cut at this time."""
    cache.close_cut(int(seconds * 1_000_000))


# What a view shows


def test_a_view_shows_the_best_levels_of_both_sides_the_best_first() -> None:
    record = opened(a_market(), FULL)
    assert record.symbol == "A book:3"
    assert record.present() == {BIDS: [9, 1, 8, 2, 7, 3], ASKS: [10, 1, 11, 2, 12, 3], STATUS: "live"}


def test_a_book_that_no_feed_has_given_is_empty_and_stale() -> None:
    cache = a_market()
    record = watched(cache)
    assert cache.close_cut(5)
    assert record.present() == {STATUS: "stale", REASON: "no_data"}


def test_an_empty_side_and_fewer_levels_than_the_view_has_are_shown_as_they_are() -> None:
    record = opened(a_market(), whole([("9", 1)]))
    assert record.present() == {BIDS: [9, 1], STATUS: "live"}


def test_a_level_that_leaves_the_view_is_owed_as_gone_and_one_that_enters_has_changed() -> None:
    cache = a_market()
    record = opened(cache, FULL)
    now = cut(cache, levels([("9.0", 0)]))
    assert record.changes_since(now - 1) == ({BIDS: [6, 4, 9, None]}, 2)
    now = cut(cache, levels([("9", 5)]))
    assert record.changes_since(now - 1) == ({BIDS: [9, 5, 6, None]}, 2)


def test_a_level_that_was_pushed_out_and_died_outside_is_gone_from_a_copy_that_skipped_it_all() -> None:
    cache = a_market()
    record = opened(cache, FULL)
    copy = TableCopy()
    copy.update(record, cache.cut)
    cut(cache, levels([("9.5", 1)]))  # 7 leaves the view
    cut(cache, levels([("7", 0)]))  # and dies where nobody sees it
    cut(cache, levels([("9.5", 0), ("9", 0)]))
    copy.update(record, cache.cut)
    assert copy.ladder(record)[0] == ladder((8, 2), (6, 4))
    cut(cache, levels([("9", 1), ("7", 3)]))  # and back, with the size that it had
    copy.update(record, cache.cut)
    assert copy.ladder(record)[0] == ladder((9, 1), (8, 2), (7, 3))


def test_nothing_is_owed_of_changes_below_the_view() -> None:
    cache = a_market()
    record = opened(cache, FULL)
    before = cache.cut
    assert cut(cache, levels([("6", 9)], [("13", 0), ("14", 1)])) == before
    assert record.changes_since(before) == ({}, 0)


def test_a_size_of_0_for_an_unknown_level_is_no_change() -> None:
    cache = a_market()
    opened(cache, FULL)
    before = cache.cut
    assert cut(cache, levels([("9.5", 0)], [("9.75", "0.00")])) == before
    assert the_book(cache).price_scale == 0


def test_a_complete_book_costs_only_what_differs() -> None:
    cache = a_market()
    record = opened(cache, FULL)
    before = cache.cut
    assert cut(cache, FULL) == before
    now = cut(cache, whole([("9", 1), ("8", 7), ("6", 4)], FULL.asks))
    assert record.changes_since(before) == ({BIDS: [6, 4, 8, 7, 7, None]}, 3)
    assert now == before + 1


def test_changes_are_remembered_up_to_a_number_and_a_copy_older_than_that_is_owed_everything() -> None:
    cache = a_market()
    record = opened(cache, whole([("9", 1)]), "book:1")
    created = record.whole_at
    cuts = [cut(cache, levels([(str(price), 0), (str(price + 1), 1)])) for price in range(9, 20)]
    assert created < record.whole_at < cache.cut
    forgotten = record.whole_at
    assert cache.last_definition >= forgotten
    for cursor in cuts:
        if cursor < forgotten:
            continue
        copy = TableCopy()
        copy.cursor, copy.rows = cursor, {BIDS: {cursor - cuts[0] + 10: [cursor - cuts[0] + 10, 1]}}
        copy.update(record, cache.cut)
        assert copy.ladder(record) == (ladder((20, 1)), [])
    older = TableCopy()
    older.cursor, older.rows = forgotten - 1, {BIDS: {1: [1, 1]}}
    older.update(record, cache.cut)
    assert older.ladder(record) == (ladder((20, 1)), [])


def test_the_number_of_changes_identifies_the_selection() -> None:
    cache = a_market()
    record = opened(cache, FULL)
    start = cache.cut
    cut(cache, levels([("9", 2)]))
    cut(cache, levels([], [("10", 0)]))
    cut(cache, levels([("9", 3)]))
    found = [record.changes_since(cursor) for cursor in range(start, cache.cut + 1)]
    assert [count for _, count in found] == [3, 3, 1, 0]
    assert found[0] == found[1]


# A view and those who watch it


def test_a_view_is_kept_while_it_is_watched_and_whole_again_afterwards() -> None:
    cache = a_market()
    record = opened(cache, FULL)
    record.watch()
    record.unwatch()
    cut(cache, levels([("9", 5)]))
    assert record.last_change == cache.cut
    record.unwatch()
    last = record.last_change
    assert cut(cache, levels([("9", 6)])) == last
    assert not the_book(cache).views
    record.watch()
    now = cut(cache)
    assert record.whole_at == record.last_change == now == last + 1
    assert record.defined_at < now <= cache.last_definition
    assert record.present()[BIDS] == [9, 6, 8, 2, 7, 3]


def test_an_opened_table_is_the_same_record_for_all() -> None:
    cache = a_market()
    record = watched(cache)
    assert watched(cache) is record is cache.find("A book:3")
    assert cache.records == [cache.find("A"), record]
    assert cache.instrument_count == 1
    assert repr(record) == "<TableRecord 1 A book:3: 2 watchers, last change at cut 0>"


def test_updates_are_counted_while_somebody_watches() -> None:
    cache = a_market()
    cut(cache, FULL)
    record = watched(cache)
    cut(cache)
    assert record.updates == 0
    cut(cache, levels([("9", 5)]))
    cut(cache, levels([("1", 5)]), levels([("9", 1)]))
    assert record.updates == 3


# Numbers


def test_a_finer_level_raises_the_scale_and_the_whole_table_is_owed() -> None:
    cache = a_market()
    record = opened(cache, FULL)
    now = cut(cache, levels([("9.25", "0.5")]))
    assert (record.price_scale, record.size_scale) == (2, 1)
    assert record.whole_at == record.defined_at == cache.last_definition == now
    assert record.present()[BIDS] == [925, 5, 900, 10, 800, 20]
    assert the_book(cache).top(1) == ([925, 5], [1000, 10])


def test_a_level_without_an_integer_of_53_bits_is_a_plain_text_also_as_a_key() -> None:
    cache = a_market()
    fine = "9." + "0" * 19 + "1"
    record = opened(cache, whole([(fine, 10**17), ("9", 1)], [("1e20", 2)]))
    assert record.present()[BIDS] == [fine, "100000000000000000", 9, 1]
    assert record.present()[ASKS] == ["100000000000000000000", 2]
    assert record.price_scale == 0
    now = cut(cache, levels([(fine, 0)]))
    assert record.changes_since(now - 1)[0] == {BIDS: [fine, None]}


def test_a_level_keeps_its_key_when_numbers_are_held_at_more_places() -> None:
    cache = a_market()
    record = opened(cache, FULL)
    before = cache.cut
    cut(cache, levels([("0." + "0" * 25 + "1", 1)]))  # far below the view
    assert cache.cut == before
    now = cut(cache, levels([("8", 0), ("9.000", 0)]))
    fields, count = record.changes_since(before)
    copy = TableCopy()
    copy.rows = {BIDS: {9: [9, 1], 8: [8, 2], 7: [7, 3]}}
    copy.cursor = before
    copy.update(record, now)
    assert count == 4
    assert fields.keys() == {BIDS}
    assert copy.rows[BIDS].keys() == {7, 6, "0." + "0" * 25 + "1"}
    assert record.whole_at < now


def test_negative_prices_are_prices() -> None:
    record = opened(a_market(), whole([("-3", 1), ("-2", 2)], [("-1", 1)]))
    assert record.present() == {BIDS: [-2, 2, -3, 1], ASKS: [-1, 1], STATUS: "live"}


# What is unknown


def test_beyond_the_depth_that_a_feed_gives_nothing_is_shown_as_the_market_moves() -> None:
    cache = a_market()
    record = opened(cache, whole([("9", 1), ("8", 2)], [("10", 1)], depth=2))
    cut(cache, levels([("5", 5)], [("20", 1)]))  # bids were cut off at 8; asks were not cut off
    assert record.present() == {BIDS: [9, 1, 8, 2], ASKS: [10, 1, 20, 1], STATUS: "live"}
    cut(cache, levels([("9", 0), ("8", 0), ("7", 7), ("8", 3)]))
    assert record.present()[BIDS] == [8, 3]
    cut(cache, whole([("9", 1), ("8", 2), ("7", 1)], [("10", 1)]))
    cut(cache, levels([("5", 5), ("9", 0)]))
    assert record.present()[BIDS] == [8, 2, 7, 1, 5, 5]


def test_the_worst_levels_beyond_the_limit_are_dropped_and_not_known_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_side, "MAX_LEVELS", 3)
    cache = a_market()
    record = opened(cache, FULL, "book:10")
    assert record.present() == {BIDS: [9, 1, 8, 2, 7, 3], ASKS: [10, 1, 11, 2, 12, 3], STATUS: "live"}
    assert the_book(cache).bids.dropped == 1
    cut(cache, levels([("9", 0), ("6", 6), ("10", 0)]))
    assert record.present()[BIDS] == [8, 2, 7, 3]
    cut(cache, levels([], [("9.5", 1), ("9.75", 2)]))
    assert the_book(cache).asks.dropped == 3


@pytest.mark.parametrize("first", [None, Stale("A", "gap"), Stale("A", "gap", book_only=True), Withdrawal("A")])
def test_changes_of_a_book_that_is_not_known_have_no_effect(first: Stale | Withdrawal | None) -> None:
    cache = a_market()
    if first is not None:
        cut(cache, FULL, update("A", bid=9), first)
    assert refusal(cache, levels([("9", 7)])) == "levels of an unknown book"
    assert refusal(cache, levels([("oops", 7)])) == "levels of an unknown book"


def test_changes_by_another_feed_than_the_one_that_gave_the_book_have_no_effect() -> None:
    cache = a_market()
    record = opened(cache, FULL)
    assert refusal(cache, levels([("9", 7)]), "another") == "levels of another feed's book"
    cache.publish(FULL, "another")
    cache.publish(levels([("9", 7)]), "another")
    cache.close_cut(9)
    assert record.present()[BIDS] == [9, 7, 8, 2, 7, 3]
    assert refusal(cache, levels([("9", 1)])) == "levels of another feed's book"


# Stale


def test_a_stale_book_stays_to_be_seen_until_the_next_complete_one() -> None:
    cache = a_market()
    record = opened(cache, FULL)
    cut(cache, update("A", bid=9))
    now = cut(cache, Stale("A", "gap", book_only=True))
    assert record.changes_since(now - 1)[0] == {STATUS: "stale", REASON: "gap"}
    assert record.present()[BIDS] == [9, 1, 8, 2, 7, 3]
    instrument = cache.instrument("A")
    assert instrument is not None
    assert instrument.present() == {Field.BID: 9}
    now = cut(cache, whole([("9", 1), ("8", 2), ("7", 3)], FULL.asks))
    assert record.changes_since(now - 1)[0] == {STATUS: "live", REASON: None}
    assert cache.tables.resyncs == 2
    assert cache.tables.stale_causes == {"gap": 1}


def test_what_makes_the_feed_stale_makes_its_book_stale_and_no_other_feeds() -> None:
    cache = a_market()
    record = watched(cache)
    cache.publish(FULL, "depth")
    cache.publish(update("A", bid=9), "quotes")
    cache.close_cut(1)
    instrument = cache.instrument("A")
    assert instrument is not None
    cache.mark_stale(instrument, "quotes", "feed_down")
    cache.close_cut(2)
    assert record.present()[STATUS] == "live"
    assert instrument.present()[STATUS] == "stale"
    cache.mark_stale(instrument, "depth", "feed_silent")
    cache.close_cut(3)
    assert (record.present()[STATUS], record.present()[REASON]) == ("stale", "feed_silent")


def test_an_instrument_of_which_a_feed_gives_only_the_book_is_current_again_with_it() -> None:
    cache = a_market()
    instrument = cache.instrument("A")
    assert instrument is not None
    cut(cache, FULL)
    cut(cache, Stale("A", "gap"))
    assert instrument.present() == {STATUS: "stale", REASON: "gap"}
    assert cache.stale == {0}
    cut(cache, FULL)
    assert instrument.present() == {STATUS: "live"}
    assert cache.stale == set()
    cut(cache, update("A", bid=1))
    cut(cache, Stale("A", "gap"))
    cut(cache, FULL)  # its bid is not current yet
    assert instrument.present()[STATUS] == "stale"


@pytest.mark.parametrize("status", ["halted", "closed"])
def test_a_current_book_shows_that_its_instrument_is_halted_or_closed(status: str) -> None:
    cache = a_market()
    record = opened(cache, FULL)
    cut(cache, update("A", status=status, reason="exchange_halt"))
    assert (record.present()[STATUS], record.present()[REASON]) == (status, "exchange_halt")
    cut(cache, Stale("A", "gap", book_only=True))
    assert (record.present()[STATUS], record.present()[REASON]) == ("stale", "gap")
    cut(cache, FULL, update("A", status="live", reason=None))
    assert record.present()[STATUS] == "live"
    assert REASON not in record.present()


@pytest.mark.parametrize("by", ["a", "b"])
def test_a_book_that_was_only_silent_goes_on_with_its_next_levels(by: str) -> None:
    cache = a_market()
    record = watched(cache)
    cache.publish(whole([("1", 1)], [("2", 1)]), "a")
    close(cache, 1)
    instrument = cache.instrument("A")
    assert instrument is not None
    cache.mark_silent(instrument, by, "instrument_silent", book=True)
    close(cache, 2)
    silent = {STATUS: "stale", REASON: "instrument_silent"} if by == "a" else {STATUS: "live", REASON: None}
    assert {key: record.present().get(key) for key in (STATUS, REASON)} == silent
    cache.publish(levels([("1", 2)]), "a")
    close(cache, 3)
    assert record.present()[STATUS] == "live"
    cache.publish(Stale("A", "gap", book_only=True), "a")
    cache.mark_silent(instrument, "a", "instrument_silent", book=True)
    close(cache, 4)
    assert record.present()[REASON] == "gap", "a book that is not known has that reason"
    assert refusal(cache, levels([("1", 3)]), "a") == "levels of an unknown book"


def test_a_withdrawal_empties_the_book() -> None:
    cache = a_market()
    record = opened(cache, FULL)
    now = cut(cache, Withdrawal("A"))
    assert record.present() == {STATUS: "stale", REASON: "no_data"}
    fields, count = record.changes_since(now - 1)
    assert count == 8
    assert fields[BIDS] == [7, None, 8, None, 9, None]
    assert refusal(cache, levels([("9", 7)])) == "levels of an unknown book"


@pytest.mark.parametrize(
    "bad",
    [("oops", 1), ("9", "NaN"), ("9", -1), (9.5, 1), ("9", None), ("9",), "9", None, ("9", 1, 2), ("9", "1_0")],
)
@pytest.mark.parametrize("complete", [False, True])
def test_a_level_that_cannot_be_read_leaves_a_book_that_is_not_known(bad: Level, *, complete: bool) -> None:
    cache = a_market()
    record = opened(cache, FULL)
    (unusable,) = cache.publish(Levels("A", [("9", 5), bad], [("10", 5)], complete))
    cache.publish(update("A", bid=7))
    cache.close_cut(9)
    assert unusable.cause == "unreadable levels"
    assert unusable.detail.startswith("A: ")
    assert record.present() == {
        BIDS: [9, 1, 8, 2, 7, 3],
        ASKS: [10, 1, 11, 2, 12, 3],
        STATUS: "stale",
        REASON: "bad_data",
    }
    assert refusal(cache, levels([("9", 7)])) == "levels of an unknown book"
    assert cache.tables.stale_causes == {"bad_data": 1}


@pytest.mark.parametrize("depth", [0, -1, 1.5, True, "10"])
def test_a_depth_that_cannot_be_leaves_a_book_that_is_not_known(depth: int) -> None:
    cache = a_market()
    (unusable,) = cache.publish(whole([("9", 5)], depth=depth))
    assert "depth" in unusable.detail
    assert the_book(cache).status() == ("stale", "bad_data")


@pytest.mark.parametrize("side", [None, 5, "ab", {"9": 1}, [1]])
def test_sides_that_are_no_sequences_of_pairs_are_told_of(side: list[Level]) -> None:
    (unusable,) = a_market().publish(Levels("A", side, [], complete=True))
    assert "pairs, price and size" in unusable.detail or "not a decimal" in unusable.detail


def test_more_levels_than_a_side_may_have_are_not_even_read() -> None:
    cache = a_market()
    (unusable,) = cache.publish(whole([("9", 1)] * (MAX_LEVELS + 1)))
    assert unusable.detail.startswith(f"A: {MAX_LEVELS + 1} levels of a side: give the best {MAX_LEVELS}")
    assert the_book(cache).status() == ("stale", "bad_data")


def test_unreadable_levels_of_another_feed_do_nothing_to_a_book() -> None:
    cache = a_market()
    record = opened(cache, FULL)
    assert refusal(cache, whole([("oops", 1)]), "another") == "unreadable levels"
    assert record.present()[STATUS] == "live"


@pytest.mark.parametrize("reason", ["x" * 10_000_000, 5, None])
def test_a_reason_of_any_kind_is_counted_as_it_is_shown(reason: str) -> None:
    cache = a_market()
    opened(cache, FULL)
    cut(cache, Stale("A", reason))
    assert cache.tables.stale_causes == {"bad_data": 1}


def test_a_reason_that_is_no_text_is_bad_data() -> None:
    cache = a_market()
    record = opened(cache, FULL)
    cut(cache, Stale("A", "two\nlines", book_only=True))
    assert record.present()[REASON] == "bad_data"


# Crossed


@pytest.mark.parametrize("bid", ["10", "10.5"])
def test_a_book_that_is_crossed_for_too_long_is_stale_until_it_is_not(bid: str) -> None:
    cache = a_market()
    record = watched(cache)
    cache.publish(FULL)
    close(cache, 100)
    cache.publish(levels([(bid, 1)]))
    close(cache, 101)
    close(cache, 106)
    assert record.present()[STATUS] == "live"
    close(cache, 106.000001)
    assert (record.present()[STATUS], record.present()[REASON]) == ("stale", "crossed")
    cache.publish(levels([("9", 3)]))  # it is known, and goes on
    close(cache, 107)
    assert record.present()[STATUS] == "stale"
    cache.publish(levels([(bid, 0)]))
    close(cache, 108)
    assert record.present()[STATUS] == "live"
    assert number(record.present()[BIDS][0], record.price_scale) == 9  # type: ignore[index]  # rows are a list
    assert cache.tables.stale_causes == {"crossed": 1}


def test_a_book_that_is_crossed_for_a_moment_is_live() -> None:
    cache = a_market()
    record = watched(cache)
    cache.publish(FULL)
    cache.publish(levels([("10", 1)]))
    close(cache, 100)
    cache.publish(levels([("10", 0)]))
    close(cache, 104)
    cache.publish(levels([("10", 1)]))
    close(cache, 105)
    cache.publish(update("A", bid=1))
    close(cache, 109)
    assert record.present()[STATUS] == "live"


def test_quote_and_book_may_disagree_within_a_cut() -> None:
    cache = a_market()
    record = opened(cache, FULL)
    cut(cache, update("A", bid="9.5"), levels([("9", 0)]))
    assert record.present()[BIDS] == [8, 2, 7, 3, 6, 4]
