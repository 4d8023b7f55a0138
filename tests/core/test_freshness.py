"""ticker/core/freshness.py: no outdated value is shown as live."""

from __future__ import annotations

import pytest

from tests.core.test_last_value import the
from tests.support import market, update
from ticker.core.last_value import LastValueCache
from ticker.market import MAX_FIELDS, Publication, Reason, Stale, Update, Value, Withdrawal, field_name, shown_value

LIVE = {"status": "live"}


def shown(cache: LastValueCache) -> dict[str, Value]:
    record = the(cache)
    return {field_name(key): shown_value(key, value, 0, 0) for key, value in record.present().items()}


def said(cache: LastValueCache, *publications: Publication, source: str = "") -> dict[str, Value]:
    """The values of A that are shown after these publications of a feed."""
    for each in publications:
        assert not cache.publish(each, source)
    cache.close_cut(1)
    return shown(cache)


def stale(reason: str) -> dict[str, Value]:
    return {"status": "stale", "reason": reason}


def market_of_a() -> LastValueCache:
    cache = market("A")
    said(cache, update("A", bid=1, ask=2, bid_size=5))
    return cache


def test_outdated_values_stay_to_be_seen_and_are_marked() -> None:
    cache = market_of_a()
    before = shown(cache)
    assert said(cache, Stale("A", Reason.FEED_DOWN)) == {**before, **stale("feed_down")}
    assert cache.stale == {0}
    assert said(cache, Stale("A", "reconnecting")) == {**before, **stale("reconnecting")}


def test_the_next_update_withdraws_all_that_it_does_not_name() -> None:
    cache = market_of_a()
    assert said(cache, Stale("A", "feed_down"), update("A", last=3)) == {"last": "300", **LIVE}
    assert cache.stale == set()


def test_an_update_after_that_withdraws_nothing() -> None:
    cache = market_of_a()
    said(cache, Stale("A", "gap"), update("A", last=3))
    assert said(cache, update("A", bid=4)) == {"last": "300", "bid": "400", **LIVE}


@pytest.mark.parametrize("fields", [{}, {"bid": "oops"}, {"bid": "oops", "Bid": "1"}])
def test_an_update_without_a_value_that_can_be_read_makes_nothing_live(fields: dict[str, Value]) -> None:
    cache = market_of_a()
    said(cache, Stale("A", "gap"))
    cache.publish(update("A", **fields))
    assert the(cache).values.items() >= {(14, "stale"), (15, "gap")}
    assert cache.stale == {0}


def test_a_value_that_can_be_read_makes_an_instrument_live_that_has_no_room_for_another() -> None:
    cache = market("A")
    said(cache, update("A", **{f"f{number}": number for number in range(MAX_FIELDS)}), Stale("A", "gap"))
    (unusable,) = cache.publish(Update("A", {"f0": 7, "one_more": 1.5}))  # type: ignore[dict-item]
    assert unusable.cause == "unreadable one_more"
    assert said(cache) == {"f0": 7, **LIVE}


def test_a_feed_that_is_back_may_withdraw_all_by_name() -> None:
    cache = market_of_a()
    assert said(cache, Stale("A", "gap"), update("A", bid=None)) == LIVE


def test_a_status_is_a_fact_that_stays_until_the_feed_says_another() -> None:
    cache = market_of_a()
    before = shown(cache)
    assert said(cache, update("A", status="halted", reason="exchange_halt")) == {
        **before,
        "status": "halted",
        "reason": "exchange_halt",
    }
    assert said(cache, update("A", bid=7))["status"] == "halted"
    assert said(cache, update("A", status="live", reason=None))["status"] == "live"


def test_a_status_from_before_is_forgotten_like_every_value() -> None:
    cache = market_of_a()
    said(cache, update("A", status="halted", reason="exchange_halt"), Stale("A", "reconnecting"))
    assert said(cache, update("A", last=3)) == {"last": "300", **LIVE}


def test_the_first_update_after_it_may_say_the_status_again() -> None:
    cache = market_of_a()
    said(cache, Stale("A", "reconnecting"))
    assert said(cache, update("A", last=3, status="halted")) == {"last": "300", "status": "halted"}
    assert cache.stale == set()


def test_a_feed_that_says_stale_itself_is_taken_at_its_word() -> None:
    cache = market_of_a()
    before = shown(cache)
    assert said(cache, update("A", status="stale", reason="slow source")) == {**before, **stale("slow source")}
    assert cache.stale == {0}
    assert said(cache, update("A", bid=9))["status"] == "stale"
    assert said(cache, update("A", status="live", reason=None))["ask"] == "200"
    assert cache.stale == set()


def test_a_reason_that_cannot_be_read_is_bad_data() -> None:
    cache = market_of_a()
    assert said(cache, Stale("A", "two\nlines"))["reason"] == "bad_data"


def test_a_withdrawal_ends_staleness() -> None:
    cache = market_of_a()
    assert said(cache, Stale("A", "gap"), Withdrawal("A")) == LIVE
    assert cache.stale == set()
    assert said(market_of_a(), Withdrawal("A")) == {}


# Several feeds of one instrument


def test_a_value_that_another_live_feed_gave_stays() -> None:
    cache = market("A")
    said(cache, update("A", bid=1, ask=2, last=1), source="quotes")
    said(cache, update("A", last=3, status="halted"), source="trades")
    said(cache, Stale("A", "feed_down"), source="quotes")
    assert said(cache, update("A", bid=5), source="quotes") == {"bid": "500", "last": "300", "status": "halted"}


def test_the_update_of_another_feed_withdraws_what_is_outdated_too() -> None:
    cache = market("A")
    said(cache, update("A", bid=1, ask=2), source="quotes")
    said(cache, update("A", last=3), source="trades")
    assert said(cache, Stale("A", "feed_down"), source="quotes") == {
        "bid": "100",
        "ask": "200",
        "last": "300",
        **stale("feed_down"),
    }
    assert said(cache, update("A", last=4), source="trades") == {"last": "400", **LIVE}


def test_a_feed_of_which_nothing_is_shown_makes_nothing_stale() -> None:
    cache = market("A")
    said(cache, update("A", bid=1), source="quotes")
    said(cache, update("A", bid=3), source="trades")
    assert said(cache, Stale("A", "feed_down"), source="quotes") == {"bid": "300"}
    assert said(cache, Stale("A", "feed_down"), source="trades")["status"] == "stale"


def test_both_feeds_outdated_is_nothing_left() -> None:
    cache = market("A")
    said(cache, update("A", bid=1), source="quotes")
    said(cache, update("A", last=3), source="trades")
    said(cache, Stale("A", "feed_down"), source="quotes")
    said(cache, Stale("A", "gap"), source="trades")
    assert said(cache, update("A", ask=9), source="third") == {"ask": "900", **LIVE}
    assert said(cache, Stale("A", "gap"), source="trades") == {"ask": "900", **LIVE}


def test_an_instrument_without_values_is_stale_for_any_feed() -> None:
    cache = market("A")
    assert said(cache, Stale("A", "no_data")) == stale("no_data")
    assert said(cache, update("A", bid=1)) == {"bid": "100", **LIVE}
