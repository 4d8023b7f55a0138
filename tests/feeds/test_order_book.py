"""ticker_feeds/venues/order_book.py: levels that are known, the edge of a snapshot, and exact numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ticker.core.last_value import LastValueCache
from ticker.market import Instrument, Levels, Rows
from ticker_feeds.venues import BadMessage, OrderBook
from ticker_feeds.venues.order_book import ENOUGH, PLACES, checksum_text, scaled

ONE = 10**PLACES


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("61737.63000000", 6173763 * ONE // 100),
        ("0.00000000", 0),
        ("7", 7 * ONE),
        (7, 7 * ONE),
        (Decimal("5.1e-05"), 51 * ONE // 10**6),
        (Decimal("1E+3"), 1000 * ONE),
        ("1e-3", ONE // 1000),
        ("-0.5", -ONE // 2),
        ("0." + 18 * "0" + "1", 10),
    ],
)
def test_numbers_are_exact(value: object, number: int) -> None:
    assert scaled(value) == number


@pytest.mark.parametrize(
    "value", [None, True, 1.5, "", "x", "1_0", "٣", "1.2.3", "NaN", [], "0." + 20 * "0" + "1", 10**50]
)
def test_what_is_no_number_is_a_bad_message(value: object) -> None:
    with pytest.raises(BadMessage):
        scaled(value)


def test_digits_of_a_checksum_have_the_places_of_the_pair_and_no_zeros_in_front() -> None:
    assert checksum_text(scaled(Decimal("5.1e-05")), 8) == "5100"
    assert checksum_text(scaled(63298), 1) == "632980"
    with pytest.raises(BadMessage, match="more than 1 decimal"):
        checksum_text(scaled("0.25"), 1)


def sides(book: OrderBook) -> tuple[list[Any], list[Any]]:
    levels = book.complete("A")
    return list(levels.bids), list(levels.asks)


def test_changes_replace_add_and_remove_levels_in_their_order() -> None:
    book = OrderBook([("99", "1"), ("100", "2")], [("102", "3"), ("101", "4")])
    assert sides(book) == ([("100", "2"), ("99", "1")], [("101", "4"), ("102", "3")])
    changed = [("100", "5"), ("100", "0"), ("98.50", "7"), ("97", "0")]
    assert book.change(changed, [("101.00", "6")]) == (changed, [("101.00", "6")])
    assert sides(book) == ([("99", "1"), ("98.5", "7")], [("101", "6"), ("102", "3")])


def test_beyond_the_worst_level_of_a_snapshot_that_is_not_all_nothing_is_known() -> None:
    book = OrderBook([("99", "1"), ("98", "1"), ("97", "1")], [("101", "1")], depth=2)
    assert book.complete("A") == Levels("A", [("99", "1"), ("98", "1")], [("101", "1")], complete=True, depth=2)
    assert book.change([("97.5", "1"), ("98", "2"), ("100", "3")], [("500", "1")]) == (
        [("98", "2"), ("100", "3")],
        [("500", "1")],
    )
    # The worst level that is known goes: what lies beyond it is as unknown as before.
    book.change([("98", "0"), ("97.9", "1")], [])
    assert [price for price, _ in book.top(9)[0]] == [100 * ONE, 99 * ONE]
    book.change([("99", "0"), ("98.5", "1"), ("98.4", "1")], [])
    assert book.complete("A").depth == 3


def test_a_book_that_is_stated_again_ends_for_both_sides_where_the_service_has_its_end() -> None:
    book = OrderBook([("9", "1"), ("8", "1"), ("6", "1")], [("11", "1"), ("13", "1")], 3)
    cache = LastValueCache("epoch")
    cache.publish(Instrument("A", 0, 0))

    def served(levels: Levels) -> tuple[Rows, Rows]:
        cache.publish(levels)
        found = cache.book_of("A")
        assert found is not None
        return found.top(10)

    known = book.change([("6", "0")], [])
    assert served(book.complete("A")) == ([9, 1, 8, 1], [11, 1, 13, 1]), "two bids of three are known, and all asks"
    assert known == ([("6", "0")], [])
    known = book.change([("7", "1")], [("12", "2"), ("14", "1")])
    assert known == ([], [("12", "2")])
    assert served(Levels("A", *known)) == ([9, 1, 8, 1], [11, 1, 12, 2, 13, 1])


def test_a_side_that_the_venue_gave_whole_is_never_short_and_one_with_an_edge_is() -> None:
    levels = [(str(1000 - number), "1") for number in range(500)]
    whole, part = OrderBook(levels, []), OrderBook(levels, [], depth=500)
    gone = [(price, "0") for price, _ in levels[: 500 - ENOUGH]]
    for book in (whole, part):
        book.change(gone, [])
        assert not book.short
        book.change([(levels[-1][0], "0")], [])
    assert (whole.short, part.short) == (False, True)
    part.change([(price, "0") for price, _ in levels], [])
    assert part.exhausted
    whole.change([(price, "0") for price, _ in levels], [])
    assert not whole.exhausted


def test_a_book_is_cut_to_its_best_levels() -> None:
    book = OrderBook([(str(price), "1") for price in range(90, 100)], [(str(price), "1") for price in range(101, 105)])
    gone_bids, gone_asks = book.cut(3)
    assert [price for price, _ in gone_bids] == ["96", "95", "94", "93", "92", "91", "90"]
    assert gone_asks == [("104", 0)]
    assert [len(side) for side in sides(book)] == [3, 3]


@pytest.mark.parametrize(("bid", "crossed"), [("100.9", False), ("101", True), ("102", True)])
def test_a_book_whose_best_bid_is_not_below_the_best_ask_is_crossed(bid: str, *, crossed: bool) -> None:
    book = OrderBook([("99", "1")], [("101", "1")])
    book.change([(bid, "1")], [])
    assert book.crossed == crossed
    book.change([], [("101", "0")])
    assert not book.crossed


@pytest.mark.parametrize("level", [("1", "-1"), ("1", None), (None, "1"), ("x", "1")])
def test_a_level_that_cannot_be_one_is_a_bad_message(level: Any) -> None:  # noqa: ANN401  # anything a venue sends
    with pytest.raises(BadMessage):
        OrderBook([level], [])
    with pytest.raises(BadMessage):
        OrderBook([], []).change([], [level])
