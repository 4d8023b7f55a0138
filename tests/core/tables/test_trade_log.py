"""ticker/core/tables/trade_log.py: prints and their corrections."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.tables.books import REASON, STATUS, TRADES, TableCopy, opened
from tests.support import cut, market, update
from ticker.config import Tables
from ticker.core.last_value import LastValueCache
from ticker.errors import BadPublication
from ticker.market import Field, Instrument, Stale, Trade

BID, LAST, LAST_SIZE, TIME = int(Field.BID), int(Field.LAST), int(Field.LAST_SIZE), int(Field.TIME)
MINUTE = 60_000_000


def a_market(kept: int = 1000) -> LastValueCache:
    cache = LastValueCache("epoch", tables=Tables(trades=(3, kept)))
    cut(cache, Instrument("A", 2, 0))
    return cache


def a_print(price: str = "1", size: str = "1", time: int | None = None, venue_id: int | str | None = None) -> Trade:
    return Trade("A", price, size, None, time, venue_id)


def fields(cache: LastValueCache) -> dict[Any, Any]:
    record = cache.instrument("A")
    assert record is not None
    return dict(record.present())


def test_prints_are_numbered_from_1_and_bring_the_fields() -> None:
    cache = a_market()
    record = opened(cache, Trade("A", "1.25", 3, "buy", 7, 99), "trades:3")
    assert record.present() == {TRADES: [1, 125, 3, 7, 1, 99]}
    now = cut(cache, Trade("A", "1.5", 2, "sell", 9, "x"), Trade("A", "1.6", 1))
    assert record.changes_since(now - 1) == (
        {TRADES: [2, 150, 2, 9, -1, "x", 3, 160, 1, now * 1000, None, None]},
        2,
    )
    assert fields(cache) == {LAST: 160, LAST_SIZE: 1, TIME: 9}


def test_two_prints_in_one_microsecond_are_two() -> None:
    cache = a_market()
    record = opened(cache, a_print("1", time=7), "trades:3")
    cut(cache, a_print("2", time=7), a_print("3", time=7))
    rows = record.present()[TRADES]
    assert isinstance(rows, list)
    assert rows[::6] == [1, 2, 3]
    assert rows[1::6] == [100, 200, 300]


def test_a_ring_that_is_lapped_within_an_interval_shows_how_many_were_missed() -> None:
    cache = a_market(8)
    record = opened(cache, a_print(), "trades:3")
    copy = TableCopy()
    copy.update(record, cache.cut, keep=3)
    cut(cache, *[a_print(str(number), time=number) for number in range(2, 31)])
    copy.update(record, cache.cut, keep=3)
    assert list(copy.rows[TRADES]) == [28, 29, 30]
    assert record.changes_since(2)[1] == 3
    log = cache.trades_of("A")
    assert log is not None
    assert [row[0] for row in log.latest(5)] == [26, 27, 28, 29, 30]
    assert (log.count, log.price_scale, log.size_scale) == (30, 2, 0)


def test_a_trade_with_a_known_id_corrects_its_row() -> None:
    cache = a_market()
    record = opened(cache, a_print("1", time=5, venue_id="a"), "trades:3")
    cut(cache, a_print("2", time=6, venue_id="b"))
    now = cut(cache, a_print("1.5", "4", venue_id="a"))
    assert record.changes_since(now - 1) == ({TRADES: [1, 150, 4, 5, None, "a"]}, 1)
    assert record.changes_since(now - 2)[1] == 2
    assert fields(cache)[LAST] == 200
    cut(cache, a_print("2.5", "4", 8, venue_id="b"))  # it is the last one: so is its price
    assert fields(cache) == {LAST: 250, LAST_SIZE: 4, TIME: 8}


def test_a_correction_outside_a_window_is_no_change_of_it() -> None:
    cache = a_market()
    record = opened(cache, a_print("1", time=5, venue_id="a"), "trades:3")
    cut(cache, *[a_print(str(number)) for number in range(2, 6)])
    before = cache.cut
    assert cut(cache, a_print("1.5", venue_id="a")) == before
    assert record.last_change == before


def test_a_size_of_0_busts_a_trade_and_changes_no_field() -> None:
    cache = a_market()
    record = opened(cache, a_print("1", time=5, venue_id="a"), "trades:3")
    cut(cache, a_print("1", "0", venue_id="a"))
    assert record.present() == {TRADES: [1, 100, 0, 5, None, "a"]}
    assert fields(cache) == {LAST: 100, LAST_SIZE: 1, TIME: 5}


def test_a_late_print_is_a_print_and_brings_no_field() -> None:
    cache = a_market()
    record = opened(cache, a_print("1", time=10 * MINUTE), "trades:3")
    cut(cache, a_print("2", time=10 * MINUTE - 1))
    assert fields(cache) == {LAST: 100, LAST_SIZE: 1, TIME: 10 * MINUTE}
    cut(cache, a_print("3", time=11 * MINUTE - 1), a_print("4", time=10 * MINUTE))
    assert fields(cache)[LAST] == 400
    rows = record.present()[TRADES]
    assert isinstance(rows, list)
    assert rows[1::6] == [200, 300, 400]


@pytest.mark.parametrize(
    ("bad", "cause"),
    [
        (Trade("A", "oops", 1), "price"),
        (Trade("A", 1.5, 1), "price"),  # type: ignore[arg-type]
        (Trade("A", "1", "NaN"), "size"),
        (Trade("A", "1", -1), "size"),
        (Trade("A", "1", 10**30), "size"),
        (Trade("A", "1", 1, "Buy"), "side"),
        (Trade("A", "1", 1, ["buy"]), "side"),  # type: ignore[arg-type]
        (Trade("A", "1", 1, None, 1.5), "time"),  # type: ignore[arg-type]
        (Trade("A", "1", 1, None, 2**53), "time"),
        (Trade("A", "1", 1, time=True), "time"),
        (Trade("A", "1", 1, None, None, "two\nlines"), "id"),
        (Trade("A", "1", 1, None, None, 1.5), "id"),  # type: ignore[arg-type]
    ],
)
def test_a_trade_that_cannot_be_read_is_refused_whole(bad: Trade, cause: str) -> None:
    cache = a_market()
    opened(cache, a_print(), "trades:3")
    before = cache.cut
    with pytest.raises(BadPublication, match=f"A: a trade's {cause}: ") as caught:
        cache.publish(bad)
    assert caught.value.cause == f"trade with an unusable {cause}"
    assert not cache.close_cut(9)
    assert cache.cut == before
    assert cache.tables.prints == 1


def test_a_bust_of_an_unknown_trade_is_refused() -> None:
    with pytest.raises(BadPublication) as caught:
        a_market().publish(a_print("1", "0", venue_id="a"))
    assert caught.value.cause == "bust of an unknown trade"


def test_an_id_beyond_53_bits_is_carried_as_its_text() -> None:
    record = opened(a_market(), a_print(venue_id=2**60), "trades:3")
    assert record.present()[TRADES] == [1, 100, 1, 2000, None, str(2**60)]


def test_a_finer_print_raises_the_scale_and_the_whole_table_is_owed() -> None:
    cache = a_market()
    record = opened(cache, a_print("1", time=1), "trades:3")
    now = cut(cache, a_print("1.125", "0.5", time=2))
    assert (record.price_scale, record.size_scale) == (3, 1)
    assert record.whole_at == record.defined_at == cache.last_definition == now
    assert record.present() == {TRADES: [1, 1000, 10, 1, None, None, 2, 1125, 5, 2, None, None]}


def test_numbers_without_an_integer_of_53_bits_are_plain_texts() -> None:
    cache = a_market()
    record = opened(cache, a_print("1", str(10**17), time=1), "trades:3")
    cut(cache, a_print("1." + "0" * 19 + "1", time=2))
    assert record.present()[TRADES] == [1, 100, str(10**17), 1, None, None, 2, "1." + "0" * 19 + "1", 1, 2, None, None]


def test_the_table_shows_the_status_of_its_instrument() -> None:
    cache = a_market()
    record = opened(cache, a_print(time=1), "trades:3")
    now = cut(cache, Stale("A", "gap"))
    assert record.changes_since(now - 1) == ({STATUS: "stale", REASON: "gap"}, 2)
    now = cut(cache, a_print("2", time=2))
    assert record.changes_since(now - 1)[0] == {
        TRADES: [2, 200, 1, 2, None, None],
        STATUS: "live",
        REASON: None,
    }


def test_a_table_that_is_watched_again_is_owed_only_what_changed() -> None:
    cache = a_market()
    record = opened(cache, a_print("1", time=1), "trades:3")
    seen = cache.cut
    record.unwatch()
    cut(cache, a_print("2", time=2))
    assert record.last_change == seen
    record.watch()
    now = cut(cache)
    assert record.last_change == now
    assert record.whole_at == seen
    assert record.changes_since(seen) == ({TRADES: [2, 200, 1, 2, None, None]}, 1)


def test_a_trade_withdraws_what_its_feed_had_said_before_it_became_stale() -> None:
    cache = a_market()
    cut(cache, update("A", bid="1"), Stale("A", "gap"))
    cut(cache, a_print("2", time=2))
    assert fields(cache) == {LAST: 200, LAST_SIZE: 1, TIME: 2, int(Field.STATUS): "live"}


@pytest.mark.parametrize("own", [61, 64])
def test_an_instrument_without_room_for_the_fields_has_its_prints(own: int) -> None:
    cache = a_market()
    cut(cache, update("A", **{f"own_{number}": 1 for number in range(own)}))
    found = cache.publish(a_print("2", time=2))
    cache.close_cut(9)
    assert len(found) == (0 if own == 61 else 3)
    log = cache.trades_of("A")
    assert log is not None
    assert log.latest(3) == [[1, 200, 1, 2, None, None]]


def test_a_market_without_prints_has_no_log() -> None:
    cache = market("A")
    assert cache.trades_of("A") is None
    assert cache.trades_of("B") is None
    assert cache.book_of("A") is None
    assert cache.candles_of("A", "1m") is None
