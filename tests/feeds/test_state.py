"""ticker_feeds/venues/state.py: numbers tell new from late; gaps and halts are said when the service has to know."""

from __future__ import annotations

from collections import Counter

import pytest

from ticker.market import Publication, Stale, Update, Value
from ticker_feeds.venues import VenueState
from ticker_feeds.venues.state import LATE_IN_A_ROW

SECOND = 1_000_000


def venue_state() -> tuple[VenueState, Counter[str]]:
    counters: Counter[str] = Counter()
    return VenueState({"A": "x:A", "B": "x:B"}, counters), counters


def status(publications: list[Publication]) -> list[tuple[object, object]]:
    updates = [each for each in publications if isinstance(each, Update)]
    return [(each.fields.get("status"), each.fields.get("reason")) for each in updates]


LIVE: dict[str, Value] = {"status": "live", "reason": None}


def test_the_first_data_says_that_the_symbol_is_traded_and_the_next_says_nothing_of_it() -> None:
    state, _ = venue_state()
    assert state.update("A", {}, full_quote=False) == []
    assert state.update("A", {"bid": "1"}, full_quote=True) == [Update("x:A", {"bid": "1"} | LIVE)]
    assert state.update("A", {"bid": "2"}, full_quote=True) == [Update("x:A", {"bid": "2"})]
    assert state.without_data == {"B"}


def test_after_a_stale_the_service_decides_that_the_symbol_is_live() -> None:
    state, _ = venue_state()
    state.mark_stale("A", "bad_message")
    assert state.update("A", {"bid": "1"}, full_quote=True) == [Update("x:A", {"bid": "1"})]


@pytest.mark.parametrize("full_quote", [True, False])
def test_only_a_full_quote_repairs_a_gap(*, full_quote: bool) -> None:
    state, counters = venue_state()
    state.update("A", {"bid": "1"}, full_quote=True)
    assert state.is_new_trade("A", 5)
    assert state.is_new_trade("A", 6)
    assert state.is_new_trade("A", 8)
    # The trade itself is good; the values before it may not be.
    assert state.update("A", {"last": "1"}, full_quote=False) == [Update("x:A", {"last": "1"}), Stale("x:A", "gap")]
    assert state.unrepaired(["A", "B"]) == {"A": 0}
    again = [] if full_quote else [Stale("x:A", "gap")]
    assert state.update("A", {"bid": "2"}, full_quote=full_quote) == [Update("x:A", {"bid": "2"}), *again]
    assert state.unrepaired(["A"]) == ({} if full_quote else {"A": 0})
    assert state.mark_gap("A") == [Stale("x:A", "gap")]
    assert state.unrepaired(["A"]) == {"A": 1 if full_quote else 0}
    assert counters == {"gaps": 2}


def test_a_full_quote_that_comes_with_the_gap_repairs_it_at_once() -> None:
    state, _ = venue_state()
    state.is_new_trade("A", 1)
    state.is_new_trade("A", 3)
    assert state.update("A", {"bid": "2"}, full_quote=True) == [Update("x:A", {"bid": "2"} | LIVE)]
    assert state.unrepaired(["A"]) == {}


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


def test_a_message_without_a_number_is_new_and_leaves_the_numbers_as_they_are() -> None:
    state, _ = venue_state()
    assert [state.is_new_quote("A", number) for number in (None, 7, None, 7, 8)] == [True, True, True, False, True]
    assert [state.is_new_trade("A", number) for number in (None, 7, None, 8)] == [True, True, True, True]
    assert state.update("A", {"last": "1"}, full_quote=False) == [Update("x:A", {"last": "1"} | LIVE)]


@pytest.mark.parametrize(
    ("numbers", "times"),
    [
        ((5_000, 17, 18), (None, None, None)),
        ((5_000, 17, 18), (9, 9, 10)),
        ((5_000, 4_000, 4_001), (SECOND, 3 * SECOND, 3 * SECOND)),
    ],
    ids=["to less than half", "to less than half at the same time", "at a later time"],
)
def test_numbers_that_fall_because_the_venue_has_started_again_are_new(
    numbers: tuple[int, ...], times: tuple[Value, ...]
) -> None:
    for is_new in ("is_new_quote", "is_new_trade"):
        state, counters = venue_state()
        assert all(getattr(state, is_new)("A", *each) for each in zip(numbers, times, strict=True))
        assert counters == {"renumbered": 1}


def test_numbers_that_fall_with_an_earlier_or_hardly_later_time_are_late() -> None:
    state, _ = venue_state()
    assert state.is_new_quote("A", 5_000, 10 * SECOND)
    assert not state.is_new_quote("A", 17, 10 * SECOND - 1)
    assert not state.is_new_quote("A", 4_999, 10 * SECOND + 1_000)
    assert not state.is_new_quote("A", 4_999, 10 * SECOND)


def test_late_numbers_without_times_are_new_in_the_end_unless_a_new_one_comes_between() -> None:
    state, counters = venue_state()
    for _ in range(2):
        assert state.is_new_quote("A", 5_000 + counters["duplicates"])
        assert not any(state.is_new_quote("A", 4_000 + number) for number in range(LATE_IN_A_ROW))
    assert [state.is_new_quote("A", 4_500 + number) for number in (0, 1)] == [True, True]
    assert counters["renumbered"] == 1


def test_a_trade_that_the_venue_names_and_never_sent_is_a_gap() -> None:
    state, counters = venue_state()
    state.is_new_trade("A", 1)
    assert state.mark_missed_trade("A", 3) == [Stale("x:A", "gap")]
    assert state.last_trade("A") == 3
    assert state.is_new_trade("A", 4)
    assert state.update("A", {}, full_quote=False) == []  # it would make the symbol live with nothing
    assert counters == {"gaps": 1}


def test_a_refused_symbol_is_neither_without_data_nor_unrepaired_until_it_has_data() -> None:
    state, counters = venue_state()
    assert state.mark_refused("A") == [Stale("x:A", "refused")]
    assert state.unrepaired(["A", "B"]) == {}
    assert state.mark_without_data(["A", "B"]) == [Stale("x:B", "no_data")]
    assert state.halt("A") == []
    state.update("A", {"bid": "1"}, full_quote=True)
    assert state.refused == set()
    assert counters == {"refused": 1}


def test_a_halt_is_said_once_and_again_after_a_stale_which_ends_it_for_the_service() -> None:
    state, _ = venue_state()
    assert status(state.halt("A")) == [("halted", "exchange_halt")]
    assert state.halt("A") == []
    assert status(state.update("A", {"bid": "1"}, full_quote=True)) == [(None, None)]
    state.mark_gap("A")
    assert status(state.update("A", {"bid": "1"}, full_quote=True)) == [("halted", "exchange_halt")]
    assert status(state.close("A")) == [("closed", "delisted")]
    assert state.mark_refused("A") == []  # closed says more
    assert state.mark_without_data(["A", "B"]) == [Stale("x:B", "no_data")]


def test_the_end_of_a_halt_is_said_with_the_next_update_unless_the_service_has_forgotten_the_halt() -> None:
    state, _ = venue_state()
    state.halt("A")
    state.resume("A")
    assert status(state.update("A", {}, full_quote=False)) == [("live", None)]
    state.halt("A")
    state.mark_gap("A")
    state.resume("A")
    assert state.update("A", {"bid": "1"}, full_quote=True) == [Update("x:A", {"bid": "1"})]


def test_what_a_lost_connection_had_said_is_forgotten_with_its_numbers_and_halts() -> None:
    state, _ = venue_state()
    state.is_new_trade("A", 5)
    state.is_new_quote("A", 5)
    state.halt("A")
    state.update("A", {"bid": "1"}, full_quote=True)
    assert state.reset(["A"], "reconnecting") == [Stale("x:A", "reconnecting")]
    assert state.is_new_trade("A", 1)
    assert state.is_new_quote("A", 1)
    assert (state.last_trade("A"), state.without_data, state.unrepaired(["A"])) == (1, {"A", "B"}, {})
    assert state.update("A", {"bid": "1"}, full_quote=True) == [Update("x:A", {"bid": "1"})]


def test_fields_of_a_symbol_are_withdrawn_only_while_others_of_it_are_current() -> None:
    state, _ = venue_state()
    assert state.withdraw("A", ["high"]) == []
    state.update("A", {"bid": "1"}, full_quote=True)
    assert state.withdraw("A", ["high", "low"]) == [Update("x:A", {"high": None, "low": None})]
    state.mark_gap("A")
    assert state.withdraw("A", ["high"]) == []
