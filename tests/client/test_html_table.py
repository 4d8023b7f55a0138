"""ticker/client/html_table.py and notebook.py: texts of a service never become HTML, and a table has an end."""

from __future__ import annotations

from decimal import Decimal

import pytest

import ticker
from ticker.client.columns import value_columns
from ticker.client.html_table import html_table, with_changes
from ticker.errors import ConfigError

D = Decimal


def test_names_and_texts_are_escaped_and_numbers_are_plain_decimals() -> None:
    values: dict[str, ticker.Fields] = {"<b>": {"bid": D("1E-8"), "reason": "<script>"}}
    html = html_table(value_columns(values))
    assert "<td>&lt;b&gt;</td>" in html
    assert "<td>&lt;script&gt;</td>" in html
    assert ">0.00000001</td>" in html
    assert "<th>ask</th>" not in html, "a column without values"


def test_a_large_table_says_how_many_rows_it_has_left_out() -> None:
    html = html_table(value_columns({f"S{number}": {"bid": D(number)} for number in range(130)}))
    assert html.count("<tr>") == 101
    assert html.endswith("<p>and 30 more</p>")
    assert html_table(value_columns({})) == "<table><thead><tr><th>symbol</th></tr></thead><tbody></tbody></table>"


def test_withdrawn_values_leave_the_table() -> None:
    values: dict[str, dict[str, object]] = {"A": {"bid": D(1), "ask": D(2)}}
    with_changes(values, {"A": {"bid": None}, "B": {"bid": D(3), "last": None}})
    assert values == {"A": {"ask": D(2)}, "B": {"bid": D(3)}}


def test_show_says_what_it_is_for() -> None:
    with pytest.raises(ConfigError, match="this is no notebook; in a terminal there is `ticker watch`"):
        ticker.show("wss://localhost", ["A"])
    with pytest.raises(ConfigError, match="'A book:10' is a table; give symbols and patterns"):
        ticker.show("wss://localhost", ["A book:10"])
    with pytest.raises(ConfigError, match="seconds: -1; give a number of seconds above 0"):
        ticker.show("wss://localhost", ["A"], seconds=-1)
