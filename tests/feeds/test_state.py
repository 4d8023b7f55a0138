"""ticker_feeds/venues/state.py: statuses are sent once, the gravest first; gaps, repairs, duplicates are told apart."""

from __future__ import annotations

from collections import Counter

import pytest

from ticker.market import Publication, Update
from ticker_feeds.venues import StatusTracker, VenueState


def venue_state() -> tuple[VenueState, Counter[str]]:
    counters: Counter[str] = Counter()
    return VenueState({"A": "x:A", "B": "x:B"}, counters), counters


def status(publications: list[Publication]) -> list[tuple[object, object]]:
    updates = [each for each in publications if isinstance(each, Update)]
    return [(each.fields.get("status"), each.fields.get("reason")) for each in updates]


def test_the_first_data_of_a_symbol_is_live_and_the_next_says_nothing_of_it() -> None:
    state, _ = venue_state()
    assert state.update("A", {"bid": "1"}, full_quote=True) == [
        Update("x:A", {"bid": "1", "status": "live", "reason": None})
    ]
    assert state.update("A", {"bid": "2"}, full_quote=True) == [Update("x:A", {"bid": "2"})]
    assert state.without_data == {"B"}


def test_of_several_problems_clients_see_the_gravest_and_each_change_once() -> None:
    tracker = StatusTracker()
    for reason, seen in [
        ("no_data", [("stale", "no_data")]),
        ("bad_message", [("stale", "bad_message")]),
        ("gap", [("stale", "gap")]),
        ("refused", [("stale", "refused")]),
        ("exchange_halt", [("halted", "exchange_halt")]),
        ("delisted", [("closed", "delisted")]),
        ("gap", []),
    ]:
        tracker.add("A", reason)
        assert status([*tracker.changes("A")]) == seen
    tracker.remove("A", "delisted", "exchange_halt")
    assert status([*tracker.changes("A")]) == [("stale", "refused")]
    assert tracker.has("A", "delisted", "gap")
    assert not tracker.has("A", "delisted", "exchange_halt")
    assert not tracker.has("B", "gap")
    tracker.remove("B", "gap")
    assert tracker.with_changes(Update("B", {"bid": 1})).fields == {"bid": 1, "status": "live", "reason": None}


@pytest.mark.parametrize(("full_quote", "reason"), [(True, None), (False, "gap")])
def test_only_a_full_quote_repairs_a_gap(*, full_quote: bool, reason: str | None) -> None:
    state, counters = venue_state()
    state.update("A", {"bid": "1"}, full_quote=True)
    assert state.is_new_trade("A", 5)
    assert state.is_new_trade("A", 6)
    assert state.is_new_trade("A", 8)
    assert status(state.update("A", {"last": "1"}, full_quote=False)) == [("stale", "gap")]
    assert state.unrepaired(["A", "B"]) == {"A": 0}
    [update] = state.update("A", {"bid": "2"}, full_quote=full_quote)
    assert isinstance(update, Update)
    assert update.fields.get("status") == (None if reason else "live")
    assert state.unrepaired(["A"]) == ({"A": 0} if reason else {})
    state.mark_gap("A")
    assert state.unrepaired(["A"]) == {"A": 0 if reason else 1}
    assert counters == {"gaps": 2}


def test_repeated_and_older_numbers_are_duplicates_of_their_symbol_alone() -> None:
    state, counters = venue_state()
    assert [state.is_new_trade("A", number) for number in (7, 7, 6, 8)] == [True, False, False, True]
    assert [state.is_new_quote("A", number) for number in (7, 7, 6, 100)] == [True, False, False, True]
    assert state.is_new_trade("B", 1)
    assert state.is_new_quote("B", 1)
    assert (state.last_trade("A"), state.last_trade("B")) == (8, 1)
    assert counters == {"duplicates": 4}
    state.reset_quote("A")
    assert state.is_new_quote("A", 100)
    assert not state.is_new_quote("A", 100)


def test_a_trade_that_the_venue_names_and_never_sent_is_a_gap() -> None:
    state, counters = venue_state()
    state.is_new_trade("A", 1)
    assert status(state.mark_missed_trade("A", 3)) == [("stale", "gap")]
    assert state.last_trade("A") == 3
    assert state.is_new_trade("A", 4)
    assert counters == {"gaps": 1}


def test_a_refused_symbol_is_stale_and_neither_without_data_nor_unrepaired() -> None:
    state, counters = venue_state()
    assert status(state.mark_refused("A")) == [("stale", "refused")]
    state.mark_gap("A")
    assert state.unrepaired(["A", "B"]) == {}
    assert status(state.mark_without_data(["A", "B"])) == [("stale", "no_data")]
    assert counters == {"refused": 1, "gaps": 1}


def test_a_cleared_problem_ends_with_the_next_update() -> None:
    state, _ = venue_state()
    assert status(state.mark("A", "exchange_halt")) == [("halted", "exchange_halt")]
    assert state.mark("A", "exchange_halt") == []
    state.clear("A", "exchange_halt")
    assert status(state.update("A", {}, full_quote=False)) == [("live", None)]
