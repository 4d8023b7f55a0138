"""ticker/commands/screen.py: the contents of the terminal, read back as text."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

import pytest
from rich.console import Console

from ticker import Change, ChangedFields, Connected, Disconnected, Refused, SourceBack, SourceSilent, Unmatched
from ticker.client.replica import Fields
from ticker.commands.cells import shown
from ticker.commands.panels import FLASH_SECONDS
from ticker.commands.screen import COLUMNS, Screen

GREEN, RED = "\x1b[30;42m", "\x1b[37;41m"


def drawn(screen: Screen, now: float = 10.0, height: int = 40, width: int = 160, *, colours: bool = False) -> str:
    """The screen as a terminal of that height gets it."""
    console = Console(
        file=io.StringIO(),
        width=width,
        height=height,
        force_terminal=colours,
        color_system="standard" if colours else None,
    )
    with console.capture() as capture:
        console.print(screen.render(now, height, width))
    return capture.get()


def changed(cut: int = 1, **changes: Fields) -> Change:
    return Change(cut, datetime.now(UTC), cast("dict[str, ChangedFields]", changes))


def many(changes: dict[str, Fields]) -> Change:
    return Change(1, datetime.now(UTC), cast("dict[str, ChangedFields]", changes))


def row(text: str, symbol: str) -> list[str]:
    """The cells of an instrument's row."""
    (found,) = [line.split() for line in text.splitlines() if line.split()[:1] == [symbol]]
    return found


def test_before_anything_came_the_screen_says_that_it_connects() -> None:
    text = drawn(Screen("wss://here"))
    assert "wss://here  connecting" in text
    assert all(name.replace("_", " ") in text for name in COLUMNS)


def test_every_instrument_has_a_row_in_the_order_of_the_symbols() -> None:
    screen = Screen("u")
    screen.apply(
        changed(B={"bid": Decimal("2.50"), "status": "live"}, A={"last": Decimal("1E+2"), "volume": Decimal(0)}), 1
    )
    text = drawn(screen)
    assert row(text, "B") == ["B", "2.50", "live"]
    assert row(text, "A") == ["A", "100", "0"]
    assert [line.split()[0] for line in text.splitlines()[2:4]] == ["A", "B"]
    assert "cut 1 " in text


def test_a_withdrawn_field_leaves_its_cell_empty() -> None:
    screen = Screen("u")
    screen.apply(changed(A={"bid": Decimal(1), "ask": Decimal(2)}), 1)
    screen.apply(changed(2, A={"bid": None}), 2)
    assert row(drawn(screen), "A") == ["A", "2"]


def test_the_status_is_shown_with_its_reason() -> None:
    screen = Screen("u")
    screen.apply(changed(A={"status": "stale", "reason": "feed_silent"}), 1)
    assert row(drawn(screen), "A") == ["A", "stale", "feed_silent"]


def test_a_price_that_moved_flashes_for_a_moment_green_upwards_and_red_downwards() -> None:
    screen = Screen("u")
    screen.apply(changed(A={"bid": Decimal(1), "ask": Decimal(5), "last": Decimal(3)}), 100)
    assert GREEN not in drawn(screen, 100, colours=True)
    assert RED not in drawn(screen, 100, colours=True)
    screen.apply(changed(2, A={"bid": Decimal(2), "last": Decimal(3)}), 101)
    text = drawn(screen, 101, colours=True)
    assert re.search(rf"{re.escape(GREEN)} *2\x1b", text)
    assert RED not in text
    screen.apply(changed(3, A={"ask": Decimal(4)}), 101.2)
    assert re.search(rf"{re.escape(RED)} *4\x1b", drawn(screen, 101.3, colours=True))
    later = drawn(screen, 101.2 + FLASH_SECONDS, colours=True)
    assert GREEN not in later
    assert RED not in later


def test_refused_names_are_shown_until_they_appear() -> None:
    screen = Screen("u")
    screen.apply_event(Refused("Z", 6, "no such instrument"))
    assert "Z: no such instrument" in drawn(screen)
    screen.apply(changed(Z={"bid": Decimal(1)}), 1)
    text = drawn(screen)
    assert "no such instrument" not in text
    assert row(text, "Z") == ["Z", "1"]


def test_the_state_of_the_connection_is_shown() -> None:
    screen = Screen("u")
    screen.apply_event(Connected("u", "s", resumed=False))
    assert "u  connected" in drawn(screen)
    screen.apply_event(Disconnected("the connection was lost", 1.26))
    assert "the connection was lost; trying again in 1.3 s" in drawn(screen)
    screen.apply_event(Disconnected("the connection was lost", 0.0))
    assert "the connection was lost; trying the next address" in drawn(screen)
    screen.apply_event(Connected("u", "s", resumed=True))
    assert "u  resumed" in drawn(screen)


def test_a_source_that_is_silent_has_a_line_until_it_is_heard_again_or_a_new_connection_begins() -> None:
    silent = SourceSilent(datetime(2026, 11, 29, 12, 0, 1, tzinfo=UTC))
    screen = Screen("u")
    screen.apply(many({f"S{number:02}": {"bid": Decimal(1)} for number in range(30)}), 1)
    for ending in (SourceBack(), Connected("u", "s", resumed=True)):
        screen.apply_event(silent)
        text = drawn(screen, height=16)
        assert text.splitlines()[1].strip() == "no data from the source since 12:00:01 UTC"
        assert len(text.splitlines()) <= 16
        screen.apply_event(ending)
        assert "no data" not in drawn(screen, height=16)


def test_rows_that_do_not_fit_are_counted() -> None:
    screen = Screen("u")
    screen.apply(many({f"S{number:02}": {"bid": Decimal(1)} for number in range(30)}), 1)
    text = drawn(screen, height=16)
    assert "… and 20 more; make the window higher" in text
    assert "S09" in text
    assert "S10" not in text
    assert len(text.splitlines()) <= 16
    assert "more; make" not in drawn(screen, height=40)
    assert "S00" in drawn(screen, height=1)


def test_the_rate_is_of_changed_values_per_second() -> None:
    screen = Screen("u")
    for second in range(10):
        screen.apply(changed(second, A={"bid": Decimal(second), "ask": Decimal(second)}), 100 + second)
    assert " 2 changes/s" in drawn(screen, 110)


@pytest.mark.parametrize("symbol", ["FX:o:1", "{x}", "A\\B", "1:20:30", "(/)"])
def test_a_symbol_is_shown_as_it_is(symbol: str) -> None:
    screen = Screen("u")
    screen.apply(many({symbol: {"bid": Decimal(7)}}), 1)
    assert row(drawn(screen), symbol) == [symbol, "7"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (Decimal("1E-7"), "0.0000001"), (Decimal("1.50"), "1.50"), (7, "7"), ("live", "live")],
)
def test_values_are_never_in_exponents(value: Decimal | int | str | None, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize("width", [50, 60, 80, 100, 140])
def test_a_price_is_shown_whole_or_not_at_all(width: int) -> None:
    screen = Screen("wss://127.0.0.1:1")
    fields: Fields = {name: Decimal("64982.74") for name in COLUMNS}
    screen.apply(changed(BTCUSD={**fields, "status": "live"}), 1.0)
    text = drawn(screen, width=width)
    assert text.count("64982.74") == text.replace("…", "").count("64982.7") > 0
    assert "bid" in text
    assert "ask" in text


def test_while_the_connection_is_lost_no_row_looks_live() -> None:
    screen = Screen("wss://127.0.0.1:1")
    screen.apply(changed(A={"bid": Decimal(1), "status": "live"}), 1.0)
    screen.apply_event(Disconnected("gone", 1.0))
    assert "live" not in drawn(screen)
    assert "connection lost" in drawn(screen)
    screen.apply_event(Connected("wss://127.0.0.1:1", "s", resumed=True))
    assert "live" in drawn(screen)


HOSTILE = "\x1b[2J\x9b31m\u202eDSU\x07"


def test_whatever_a_server_sends_is_shown_as_text_only() -> None:
    screen = Screen("u")
    screen.apply(many({HOSTILE: {"bid": Decimal("1.00"), "status": HOSTILE, "reason": HOSTILE}}), 1)
    screen.apply_event(Refused("a b", 7, HOSTILE))
    screen.apply_event(Unmatched(HOSTILE + "*", 5))
    text = drawn(screen)
    screen.apply_event(Disconnected(HOSTILE, 1))
    text += drawn(screen)
    assert all(line.isprintable() for line in text.splitlines())
    assert text.count("\\x1b[2J\\x9b31m\\u202eDSU\\x07") >= 4


def test_a_name_without_an_instrument_has_a_remark_until_one_matches() -> None:
    screen = Screen("u")
    screen.apply_event(Unmatched("Z*", 5))
    screen.apply_event(Unmatched("Y", 5))
    assert "Z*: no instrument for 5 s" in drawn(screen)
    screen.apply(changed(ZZ={"bid": Decimal(1)}), 1)
    text = drawn(screen)
    assert "Z*" not in text
    assert "Y: no instrument" in text


def test_remarks_leave_room_for_prices() -> None:
    screen = Screen("u")
    for number in range(100):
        screen.apply_event(Unmatched(f"N{number}", 5))
    screen.apply(changed(A={"bid": Decimal(1)}), 1)
    assert len(drawn(screen, height=24).splitlines()) < 24
    assert row(drawn(screen, height=24), "A")
