"""ticker_feeds/venues/books.py: chains of numbered changes, snapshots, and when one is asked for."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from ticker.market import Level, Levels, Publication, Stale
from ticker_feeds.venues import Books, Change, VenueState
from ticker_feeds.venues.books import CALM_SECONDS, CROSSED_SECONDS, FIRST_WAIT, LATE_CHANGES, LONGEST_WAIT, MAX_KEPT

BIDS: list[Level] = [("99", "1"), ("98", "1")]
ASKS: list[Level] = [("101", "1"), ("102", "1")]


def books(*, depth: int | None = None, asked: bool = False) -> tuple[Books, Counter[str]]:
    counters: Counter[str] = Counter()
    made = Books(VenueState({"A": "x:A", "B": "x:B"}, counters), depth, keeps=not asked)
    made.follow(["A"], asked=asked)
    return made, counters


def change(previous: int, last: int, size: str = "5") -> Change:
    """A change of the best bid, whose size tells changes apart."""
    return Change([("99", size)], [], previous, last)


def best(publications: list[Publication]) -> object:
    """The size of the best bid of the only publication."""
    [levels] = publications
    assert isinstance(levels, Levels)
    assert levels.symbol == "x:A"
    return levels.complete, levels.bids[0][1]


GAP = Stale("x:A", "gap", book_only=True)


def current(number: int = 10) -> tuple[Books, Counter[str]]:
    """Books of which A is current at this number."""
    made, counters = books()
    assert made.next_request(0) == "A"
    assert best(made.snapshot("A", BIDS, ASKS, number)) == (True, "1")
    return made, counters


@pytest.mark.parametrize(
    ("previous", "last", "outcome"),
    [
        (10, 11, (False, "5")),
        (10, 20, (False, "5")),
        (5, 11, (False, "5")),
        (9, 10, []),
        (5, 9, []),
        (11, 12, [GAP]),
        (12, 20, [GAP]),
    ],
)
def test_a_change_is_applied_if_it_covers_the_number_behind_the_book(previous: int, last: int, outcome: object) -> None:
    made, counters = current(10)
    told = made.change("A", change(previous, last))
    assert (best(told) if outcome and outcome != [GAP] else told) == outcome
    assert counters["book_gap"] == (outcome == [GAP])


def test_of_the_changes_during_a_request_those_newer_than_the_snapshot_follow_it() -> None:
    made, _ = books()
    assert made.change("A", change(0, 5)) == []
    assert made.next_request(0) == "A"
    for last in (6, 7, 8):
        assert made.change("A", change(last - 1, last, f"{last}")) == []
    assert best(made.snapshot("A", BIDS, ASKS, 6)) == (True, "8")
    assert best(made.change("A", change(8, 9, "9"))) == (False, "9")


@pytest.mark.parametrize("number", [3, 4])
def test_a_snapshot_that_ends_before_the_changes_begin_is_of_no_use_and_another_is_asked_for(number: int) -> None:
    made, counters = books()
    made.change("A", change(0, 5))
    assert made.next_request(0) == "A"
    assert made.change("A", change(5, 6)) == []
    assert made.snapshot("A", BIDS, ASKS, number) == []
    assert counters["failed_snapshots"] == 1
    assert made.next_request(FIRST_WAIT - 0.1) is None
    assert made.next_request(FIRST_WAIT) == "A"
    assert best(made.snapshot("A", BIDS, ASKS, 6)) == (True, "1")


def test_a_snapshot_ahead_of_the_changes_makes_them_old() -> None:
    made, _ = books()
    made.next_request(0)
    made.change("A", change(0, 5))
    assert best(made.snapshot("A", BIDS, ASKS, 100)) == (True, "1")
    assert made.change("A", change(5, 99)) == []
    assert best(made.change("A", change(99, 101))) == (False, "5")


def test_a_gap_between_the_kept_changes_makes_the_snapshot_useless_unless_it_is_newer() -> None:
    for number, complete in ((6, False), (8, True)):
        made, _ = books()
        made.next_request(0)
        made.change("A", change(4, 6))
        made.change("A", change(7, 9, "9"))
        told = made.snapshot("A", BIDS, ASKS, number)
        assert (best(told) if told else None) == ((True, "9") if complete else None)


def test_no_more_than_so_many_changes_are_kept_and_the_attempt_fails() -> None:
    made, counters = books()
    made.next_request(0)
    for last in range(1, MAX_KEPT + 2):
        made.change("A", change(last - 1, last))
    assert made.snapshot("A", BIDS, ASKS, 0) == []
    assert counters["failed_snapshots"] == 1


def test_after_a_gap_nothing_of_the_book_is_said_until_it_is_whole_again() -> None:
    made, counters = current(10)
    assert made.change("A", change(11, 12)) == [GAP]
    assert made.change("A", change(12, 13)) == []
    assert made.change("A", change(14, 15)) == []
    assert made.next_request(FIRST_WAIT) == "A"
    assert best(made.snapshot("A", BIDS, ASKS, 15)) == (True, "1")
    assert counters == {"book_gap": 1, "book_requests": 2}


def test_requests_for_a_book_that_breaks_again_and_again_come_at_longer_and_longer_distances() -> None:
    made, _ = books()
    now, asked = 0.0, list[float]()
    while len(asked) < 10:
        if made.next_request(now):
            asked.append(now)
            made.snapshot("A", BIDS, ASKS, 10)
            made.lose("A", "checksum")
        now += 1
    waits = [after - before for before, after in pairwise(asked)]
    assert waits == [5, 10, 20, 40, 80, 160, 320, 320, 320]
    assert LONGEST_WAIT == 320


def test_a_book_that_was_calm_for_long_is_asked_for_at_once_and_starts_with_the_first_wait_again() -> None:
    made, _ = books()
    for now in (0, 5, 15):
        assert made.next_request(now) == "A"
        made.failed("A")
    made.snapshot("A", BIDS, ASKS, 10)
    later = 15 + 4 * FIRST_WAIT + CALM_SECONDS + 1
    made.lose("A", "gap")
    assert made.next_request(later) == "A"
    made.failed("A")
    assert made.next_request(later + FIRST_WAIT) == "A"


def test_books_that_are_stale_are_asked_for_before_those_that_are_only_short() -> None:
    made, _ = books(depth=4)
    made.follow(["B"], asked=False)
    assert {made.next_request(0), made.next_request(0)} == {"A", "B"}
    assert made.next_request(0) is None
    deep: list[Level] = [(f"{price}", "1") for price in (99, 98, 97, 96)]
    made.snapshot("A", deep, ASKS, 10)
    made.snapshot("B", deep, ASKS, 10)
    assert made.next_request(100) is None
    made.change("A", Change([("99", "0"), ("98", "0"), ("97", "0")], [], 10, 11))
    made.lose("B", "gap")
    assert [made.next_request(100) for _ in range(3)] == ["B", "A", None]


def test_a_short_book_goes_on_until_the_next_snapshot_is_there() -> None:
    made, counters = books(depth=4)
    made.next_request(0)
    made.snapshot("A", [(f"{price}", "1") for price in (99, 98, 97, 96)], ASKS, 10)
    made.change("A", Change([("98", "0"), ("97", "0"), ("96", "0")], [], 10, 11))
    assert made.next_request(100) == "A"
    assert best(made.change("A", change(11, 12, "7"))) == (False, "7")
    [levels] = made.snapshot("A", [(f"{price}", "1") for price in (99, 95, 94, 93)], ASKS, 11)
    assert levels == Levels("x:A", [("99", "7"), ("95", "1"), ("94", "1"), ("93", "1")], ASKS, complete=True, depth=4)
    assert made.next_request(200) is None
    assert counters == {"book_requests": 2}


def test_a_side_of_which_nothing_is_known_any_more_makes_the_book_stale() -> None:
    made, _ = books(depth=2)
    made.next_request(0)
    made.snapshot("A", BIDS, ASKS[:1], 10)
    gone: list[Level] = [("99", "0"), ("98", "0")]
    assert made.change("A", Change(gone, [], 10, 11)) == [Stale("x:A", "no_data", book_only=True)]


def test_a_book_that_is_crossed_for_long_is_stale_and_asked_for() -> None:
    made, counters = current()
    made.change("A", Change([("101", "1")], [], 10, 11))
    assert made.tick(100) == made.tick(100 + CROSSED_SECONDS) == []
    made.change("A", Change([("101", "0")], [], 11, 12))
    assert made.tick(106) == []
    made.change("A", Change([("101.5", "1")], [], 12, 13))
    assert made.tick(107) == []
    assert made.tick(107 + CROSSED_SECONDS + 1) == [Stale("x:A", "crossed", book_only=True)]
    assert made.next_request(200) == "A"
    assert counters["book_crossed"] == 1


@pytest.mark.parametrize("changes", [True, False], ids=["with the next change", "without one"])
def test_after_a_stale_of_the_symbol_the_whole_book_is_said_again_when_the_quote_is(*, changes: bool) -> None:
    made, _ = current()
    made.state.mark_gap("A")
    assert made.change("A", change(10, 11, "6")) == made.tick(0) == []
    made.state.update("A", {"bid": "1"}, full_quote=True)
    told = made.change("A", change(11, 12, "7")) if changes else made.tick(0)
    assert best(told) == (True, "7" if changes else "6")
    assert made.tick(0) == []
    assert best(made.change("A", change(11, 13, "8"))) == (False, "8")


def test_a_message_that_cannot_be_read_breaks_its_book_alone() -> None:
    made, counters = current()
    assert made.change("A", Change([("x", "1")], [], 10, 11)) == [Stale("x:A", "bad_message", book_only=True)]
    assert made.snapshot("A", [("1", "x")], [], 11) == []
    assert counters == {"parse_errors": 2, "book_bad_message": 1, "book_requests": 1}


def test_a_venue_that_counts_anew_is_noticed() -> None:
    made, counters = current(1_000)
    told = [made.change("A", change(last - 1, last)) for last in range(1, LATE_CHANGES + 1)]
    assert told[-1] == [GAP]
    assert not any(told[:-1])
    assert made.next_request(100) == "A"
    made.change("A", change(LATE_CHANGES, LATE_CHANGES + 1, "6"))
    assert best(made.snapshot("A", BIDS, ASKS, LATE_CHANGES)) == (True, "6")
    assert counters["renumbered"] == 1


def test_a_snapshot_that_comes_by_itself_is_asked_for_only_when_it_does_not_come() -> None:
    made, _ = books(asked=True)
    assert made.next_request(0) is None
    assert made.next_request(FIRST_WAIT) == "A"
    assert best(made.snapshot("A", BIDS, ASKS)) == (True, "1")
    assert best(made.change("A", Change([("99", "4")], []))) == (False, "4")


def test_a_book_that_is_not_as_the_venue_says_is_lost() -> None:
    made, counters = books(asked=True)
    assert best(made.snapshot("A", BIDS, ASKS, check=lambda _: True)) == (True, "1")
    wrong = made.change("A", Change([("99", "4")], []), lambda _: False)
    assert wrong == [Stale("x:A", "checksum", book_only=True)]
    assert made.snapshot("A", BIDS, ASKS, check=lambda _: False) == wrong
    assert counters["book_checksum"] == 2


def test_books_that_are_refused_unknown_or_given_up_are_none() -> None:
    made, _ = current()
    assert made.change("B", change(1, 2)) == made.snapshot("B", BIDS, ASKS, 2) == made.lose("B", "gap") == []
    made.failed("B")
    made.forget(["A", "B"])
    assert made.change("A", change(10, 11)) == []
    made.follow(["A"], asked=False)
    made.state.mark_refused("A")
    assert made.next_request(0) is None
    assert made.unfollowed(["A", "B"]) == ["B"]
