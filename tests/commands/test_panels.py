"""ticker/commands/panels.py and cells.py: ladders, tapes and bars on the screen, and their rows in a line of JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

import pytest

from tests.commands.test_screen import GREEN, RED, drawn, row
from ticker import Change, ChangedFields, Connected, Disconnected
from ticker.commands.panels import LEAST_LINES, shares
from ticker.commands.screen import Screen
from ticker.commands.watch import line_of

D = Decimal
BOOK, TAPE, BARS = "BTCUSDT book:10", "EURUSD trades:3", "EURUSD candles:1m:300"
HOSTILE = "\x1b[2J\x9b31m\u202eDSU\x07"


def of(changes: Mapping[str, object], cut: int = 1) -> Change:
    return Change(cut, datetime.now(UTC), cast("dict[str, ChangedFields]", changes))


def levels(*pairs: tuple[str, str | None]) -> list[tuple[Decimal, Decimal | None]]:
    return [(D(price), D(size) if size is not None else None) for price, size in pairs]


def trade(number: int, **columns: object) -> tuple[object, ...]:
    values = {"price": D("1.08514"), "size": D(300_000), "time": 1795877737738516, "side": "buy", "id": None, **columns}
    return (number, *values.values())


def bar(start: int, **columns: object) -> tuple[object, ...]:
    prices = {"open": D("1.1"), "high": D("1.30"), "low": D("1.0"), "close": D("1.2")}
    return (start, *{**prices, "volume": D(5), "count": 12, **columns}.values())


def present(tables: Mapping[str, Mapping[str, object]], now: float = 1.0, screen: Screen | None = None) -> Screen:
    """A screen of tables whose present fields are these."""
    screen = screen or Screen("u")
    screen.apply(of(tables), now, tables.__getitem__)
    return screen


def line(changes: Mapping[str, object]) -> object:
    return json.loads(line_of(of(changes)))["changes"]


# Lines of JSON


def test_a_line_has_the_changed_levels_best_first_and_null_for_those_that_are_gone() -> None:
    fields = {"bids": levels(("61650.10", None), ("61659.70", "1.486")), "status": "live"}
    assert line({BOOK: fields}) == {
        BOOK: {"bids": [["61659.70", "1.486"], ["61650.10", None]], "asks": [], "status": "live"}
    }
    asks = levels(("3", "1"), ("1E+1", None), ("2.50", "1E-7"))
    assert line({BOOK: {"asks": asks}}) == {
        BOOK: {"bids": [], "asks": [["2.50", "0.0000001"], ["3", "1"], ["10", None]]}
    }


def test_a_line_has_prints_by_number_and_an_id_only_if_there_is_one() -> None:
    fields = {"trades": [trade(8, side=None, id="a7"), trade(7)]}
    seventh = {"number": 7, "price": "1.08514", "size": "300000", "time": 1795877737738516, "side": "buy"}
    assert line({TAPE: fields}) == {TAPE: {"trades": [seventh, {**seventh, "number": 8, "side": None, "id": "a7"}]}}


def test_a_line_has_bars_and_null_for_a_volume_that_is_not_known() -> None:
    (found,) = cast("dict[str, dict[str, list[object]]]", line({BARS: {"candles": [bar(60, volume=None)]}}))[
        BARS
    ].values()
    assert found == [
        {"start": 60, "open": "1.1", "high": "1.30", "low": "1.0", "close": "1.2", "volume": None, "count": 12}
    ]


def test_a_line_with_a_status_alone_has_no_rows() -> None:
    assert line({TAPE: {"status": "stale", "reason": "gap"}}) == {
        TAPE: {"trades": [], "status": "stale", "reason": "gap"}
    }
    assert line({"EURUSD": {"bid": None, "note": "x"}}) == {"EURUSD": {"bid": None, "note": "x"}}


# The screen


def test_a_ladder_has_the_best_levels_of_both_sides_beside_each_other() -> None:
    fields = {"bids": levels(("10", "2"), ("9.5", "1")), "asks": levels(("10.5", "4"), ("11", "3")), "status": "live"}
    screen = present({BOOK: fields})
    lines = [each.split() for each in drawn(screen).splitlines()]
    assert [*BOOK.split(), "live"] in lines
    at = lines.index(["bid", "size", "bid", "ask", "ask", "size"])
    assert lines[at + 1 : at + 3] == [["2", "10", "10.5", "4"], ["1", "9.5", "11", "3"]]
    assert "symbol" not in drawn(screen), "an empty list of instruments takes no room"


def test_a_level_that_is_gone_leaves_the_ladder_and_a_changed_size_flashes() -> None:
    screen = present({BOOK: {"bids": levels(("10", "2"), ("9", "7")), "asks": levels(("11", "5"))}})
    present({BOOK: {"bids": levels(("9", "8")), "asks": levels(("11", "4"))}}, 2, screen)
    text = drawn(screen, 2, colours=True)
    assert re.search(rf"{re.escape(GREEN)} *8\x1b", text)
    assert re.search(rf"{re.escape(RED)} *4\x1b", text)
    later = drawn(screen, 3)
    assert ["8", "9", "11", "4"] in [each.split() for each in later.splitlines()]
    assert "10" not in later.replace("book:10", "")
    assert GREEN not in drawn(screen, 3, colours=True)


def test_an_empty_side_and_an_empty_book_are_shown_as_such() -> None:
    screen = present({BOOK: {"bids": [], "asks": [], "status": "stale", "reason": "no_data"}})
    assert row(drawn(screen), "BTCUSDT")[1:] == ["book:10", "stale", "no_data"]
    present({BOOK: {"bids": [], "asks": levels(("3", "1"))}}, 1, screen)
    assert ["3", "1"] in [each.split() for each in drawn(screen).splitlines()]


def test_a_table_that_has_left_the_copy_is_empty() -> None:
    screen = present({TAPE: {"trades": [trade(7)], "status": "live"}, BOOK: {"bids": levels(("5", "1"))}})
    screen.apply(of({TAPE: {"status": None}, BOOK: {"bids": levels(("5", None))}}), 2)
    assert "1.08514" not in drawn(screen)
    assert row(drawn(screen), "EURUSD") == ["EURUSD", "trades:3"]


def test_a_tape_has_the_latest_prints_first() -> None:
    rows = [trade(number, size=D(number)) for number in (6, 7, 8)]
    rows[1] = trade(7, size=D(0), side="sell")
    text = drawn(present({TAPE: {"trades": rows}}))
    shown_rows = [each.split() for each in text.splitlines() if "1.08514" in each]
    assert [each[-1] for each in shown_rows] == ["8", "7", "6"]
    assert shown_rows[1] == ["14:55:37.738", "sell", "1.08514", "0", "7"]


def test_bars_have_the_latest_first_with_their_start() -> None:
    screen = present({BARS: {"candles": [bar(1795877700), bar(1795877760, close=D("1.0"))]}})
    rows = [each.split() for each in drawn(screen).splitlines() if "1.30" in each]
    assert rows == [
        ["2026-11-28", "14:56:00", "1.1", "1.30", "1.0", "1.0", "5", "12"],
        ["2026-11-28", "14:55:00", "1.1", "1.30", "1.0", "1.2", "5", "12"],
    ]


@pytest.mark.parametrize("height", [10, 12, 16, 24, 40, 80])
def test_several_names_share_the_window_and_those_without_room_are_counted(height: int) -> None:
    screen = Screen("u")
    many = levels(*((str(number), "1") for number in range(30)))
    screen.apply(of({"AA": {"bid": D(1)}, "AB": {"bid": D(1)}}), 1)
    books = {"X book:10": {"bids": many}, "Y book:10": {"bids": many}, "Z book:10": {"asks": many}}
    present(books, 1, screen)
    text = drawn(screen, height=height)
    assert len(text.splitlines()) <= height
    assert row(text, "AA") == ["AA", "1"]
    assert ("make the window higher" in text) == (height < 24)
    for name in ("X", "Y", "Z") if height >= 24 else ("X",):
        assert row(text, name)


def test_room_that_a_small_panel_does_not_need_goes_to_the_others() -> None:
    assert shares([1, 50], 30) == [LEAST_LINES, 26]
    assert shares([50, 50, 50], 30) == [10, 10, 10]
    assert shares([50, 50, 50], 9) == [5, 4]
    assert shares([3], 100) == [5]
    assert shares([3], 1) == [LEAST_LINES]


def test_while_the_connection_is_lost_no_table_looks_live() -> None:
    screen = present({BOOK: {"bids": levels(("5", "1")), "status": "live"}})
    screen.apply_event(Disconnected("gone", 1.0))
    assert "live" not in drawn(screen)
    assert "connection lost" in drawn(screen)
    screen.apply_event(Connected("u", "s", resumed=True))
    assert "live" in drawn(screen)


@pytest.mark.parametrize("width", [20, 40, 80])
def test_whatever_a_server_sends_is_shown_as_text_only(width: int) -> None:
    hostile = f"{HOSTILE} book:10"
    screen = present({hostile: {"bids": levels(("5", "1")), "status": HOSTILE}})
    odd = {TAPE: {"trades": [trade(7, side=HOSTILE, time=2**53)]}, BARS: {"candles": [bar(-(2**53))]}}
    present(odd, 1, screen)
    assert all(each.isprintable() for each in drawn(screen, width=width).splitlines())
    text = line_of(of({hostile: {"bids": [], "status": HOSTILE}, TAPE: {"trades": [trade(7, side=HOSTILE)]}}))
    assert text.isprintable()
    assert json.loads(text)["changes"][hostile]["status"] == HOSTILE
