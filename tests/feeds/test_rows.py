"""ticker_feeds/rows.py: levels, trades and candles that the service cannot read are found, with field and remedy."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

import pytest

from ticker.errors import BadPublication
from ticker.market import Candle, Levels, Side, Trade
from ticker_feeds.rows import check_candle, check_levels, check_trade, start_step


def levels(bids: object = (), asks: object = (), **more: object) -> Levels:
    return Levels("A", *cast("Any", (bids, asks)), **cast("dict[str, Any]", more))


def bar(**columns: object) -> Candle:
    known = {"period": "1m", "start": 60, "open": 1, "high": 2, "low": 1, "close": 2}
    return Candle("A", **cast("dict[str, Any]", known | columns))


def trade(**columns: object) -> Trade:
    return Trade("A", **cast("dict[str, Any]", {"price": "1.5", "size": 3} | columns))


def test_what_the_service_reads_passes() -> None:
    check_levels(levels([("1.20", 5), [Decimal(-1), "0.0"]], [], complete=True, depth=25))
    check_levels(levels())
    check_trade(trade())
    check_trade(trade(size=0, side=Side.SELL, time=1_700_000_000_000_000, id="x-1"))
    check_trade(trade(side="buy", time=-1, id=2**60))
    check_candle(bar(volume="0.5", trades=0))
    check_candle(bar(period="1d", start=86_400 - 5 * 3_600 - 1_800))


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (levels("1.2"), "bids '1.2': give a list of levels, each [price, size]"),
        (levels([], {"1.2": 5}), "asks {'1.2': 5}: give a list"),
        (levels([["1.2", 5], ["1.1"]]), "bids[1] ['1.1']: give [price, size]"),
        (levels(["12"]), "bids[0] '12': give [price, size]"),
        (levels([], [["x", 5]]), "asks[0] price: 'x' is not a decimal number"),
        (levels([], [[1.5, 5]]), "asks[0] price: 1.5 is a float"),
        (levels([["1.2", None]]), "bids[0] size: None is a NoneType"),
        (levels([["1.2", "-5"]]), "bids[0] size '-5': a size is not negative; 0 says that the level is gone"),
        (levels(complete=1), "complete 1: give true for a whole book"),
        (levels(complete=True, depth=0), "depth 0: give the number of levels"),
        (
            levels(depth=25),
            "depth 25: give the number of levels that the source has of each side, and only with complete",
        ),
    ],
)
def test_bad_levels_are_named_with_their_place(bad: Levels, text: str) -> None:
    with pytest.raises(BadPublication) as caught:
        check_levels(bad)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (trade(price=None), "price: None is a NoneType"),
        (trade(size=-1), "size -1: a size is not negative; 0 says that the trade was busted"),
        (trade(side="BUY"), "side 'BUY': give buy or sell"),
        (trade(side=[1]), "side [1]: give buy or sell"),
        (trade(time="soon"), "time 'soon': give whole microseconds since 1970 UTC"),
        (trade(time=Decimal("1.7E15")), "time Decimal('1.7E+15'): give whole microseconds"),
        (trade(time=2**53), "time 9007199254740992: give whole microseconds"),
        (trade(id=True), "id True: give the venue's"),
        (trade(id="a\nb"), "id 'a\\nb': give the venue's"),
    ],
)
def test_bad_trades_are_named_with_their_field(bad: Trade, text: str) -> None:
    with pytest.raises(BadPublication) as caught:
        check_trade(bad)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (bar(period="1min"), "period '1min': give a number and s, m, h or d"),
        (bar(period=60), "period 60: give a number and s, m, h or d"),
        (bar(start="60"), "start '60': give whole seconds since 1970 UTC"),
        (bar(start=1_700_000_040_000), "start 1700000040000: give whole seconds since 1970 UTC"),
        (bar(start=61), "start 61: a bar of 1m begins at a multiple of 60 seconds"),
        (bar(period="5m"), "start 60: a bar of 5m begins at a multiple of 300 seconds"),
        (bar(period="1d", start=60), "start 60: a bar of 1d begins at a multiple of 900 seconds"),
        (bar(high=2.5), "high: 2.5 is a float"),
        (bar(high="1.99"), "high 1.99 and low 1: open 1 and close 2 lie between them"),
        (bar(volume=-1), "volume -1: a size is not negative"),
        (bar(trades="1"), "trades '1': give a whole number, 0 to 1000000000000000"),
        (bar(trades=10**15 + 1), "trades 1000000000000001: give a whole number"),
        (bar(trades=-1), "trades -1: give a whole number"),
    ],
)
def test_bad_candles_are_named_with_their_field(bad: Candle, text: str) -> None:
    with pytest.raises(BadPublication) as caught:
        check_candle(bad)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(("period", "step"), [("1s", 1), ("15m", 900), ("4h", 14_400), ("1d", 900), ("7d", 900)])
def test_bars_of_a_day_may_begin_at_the_midnight_of_any_zone(period: str, step: int) -> None:
    assert start_step(period) == step
