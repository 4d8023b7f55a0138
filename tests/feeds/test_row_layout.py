"""ticker_feeds/recordings/row_layout.py: from a line of a recording to an update."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticker.errors import ConfigError
from ticker.market import Update, is_symbol
from ticker.numbers import MAX_INTEGER
from ticker_feeds.parsing import BadInput
from ticker_feeds.recordings.row_layout import Layout, Row, TableOptions, find_layout

NOON = 1_399_550_400_000_000
"""2014-05-08T12:00:00Z in microseconds."""


def table(header: str, symbol: str | None = None) -> Layout:
    return find_layout(header, ["day.csv"], TableOptions(symbol))


def quotes(*names: str, symbol: str | None = None) -> Layout:
    return find_layout("8715,1.39101,1.39114\r\n", names, TableOptions(symbol))


def cause(layout: Layout, line: str) -> str:
    with pytest.raises(BadInput) as caught:
        layout.row(line)
    return caught.value.cause


def test_the_columns_of_a_table_can_be_in_any_order() -> None:
    row = table("ask, symbol,time,bid\n").row(f"1.0850,EURUSD,{NOON}, 1.0840\r\n")
    assert row == Row(NOON, Update("EURUSD", {"time": NOON, "ask": "1.0850", "bid": "1.0840"}))


def test_an_empty_cell_means_no_change() -> None:
    row = table("symbol,time,bid,ask").row("EURUSD,5,,1.5")
    assert row.update.fields == {"time": 5, "ask": "1.5"}


def test_each_field_is_read_as_its_kind() -> None:
    header = "symbol,time,last,volume,trade_count,status,yield_10y"
    row = table(header).row("X,0,1E-7,0.50,12,halted,04.5")
    assert row.update.fields == {
        "time": 0,
        "last": "1E-7",
        "volume": "0.50",
        "trade_count": 12,
        "status": "halted",
        "yield_10y": "04.5",
    }


def test_cells_can_be_quoted() -> None:
    row = table("symbol,time,note").row('"X",1,"a ""b"", c"\n')
    assert row.update.fields["note"] == 'a "b", c'


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1399550400000000", NOON),
        ("20140508", 20_140_508),
        ("2014-05-08T12:00:00Z", NOON),
        ("2014-05-08 12:00:00", NOON),
        ("2014-05-08T14:00:00.1234567+02:00", NOON + 123_456),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("2014-05-08", NOON - 43_200_000_000),
    ],
)
def test_a_time_is_microseconds_or_iso_8601(text: str, time: int) -> None:
    assert table("symbol,time,bid").row(f"X,{text},1").time == time


@pytest.mark.parametrize("text", ["", "-5", "noon", "1.5", "2014-13-01", "9" * 16, "1" * 17, "9999-01-01T00:00:00Z"])
def test_a_bad_time_is_not_guessed(text: str) -> None:
    assert cause(table("symbol,time,bid"), f"X,{text},1") == "bad time"


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "None", "null", "NULL", "-", "--", "NA", "n/a"])
@pytest.mark.parametrize("column", ["bid", "trade_count", "note", "own.decimal", "exchange_time"])
def test_a_cell_without_a_value_costs_only_itself(cell: str, column: str) -> None:
    row = table(f"symbol,time,{column},ask").row(f"X,1,{cell},2.5")
    assert row.update.fields.keys() - {"time"} == {"ask"}


@pytest.mark.parametrize("text", ["abc", "inf", "0x10", "1e-16", "9007199254740993", "12345678901234.5678"])
def test_a_price_is_handed_over_as_it_stands_for_the_publisher_to_read(text: str) -> None:
    assert table("symbol,time,bid").row(f"X,1,{text}").update.fields["bid"] == text


def test_own_fields_have_the_kind_that_stands_behind_the_dot() -> None:
    layout = table("symbol,time,rate.decimal,trades.integer,note")
    row = layout.row("X,1,0.00010,7,007")
    assert row.update.fields == {"time": 1, "rate": Decimal("0.00010"), "trades": 7, "note": "007"}
    bad: list[str] = []
    row = layout.row("X,1,1e5x,7.5,", lambda error: bad.append(error.cause))
    assert row.update.fields == {"time": 1, "rate": None, "trades": None}, "what cannot be read is not known any more"
    assert bad == ["bad number", "bad number"]


def test_times_of_the_exchange_have_a_column_of_their_own() -> None:
    layout = table("symbol,time,exchange_time,bid")
    assert layout.row("X,5,2014-05-08T12:00:00Z,1") == Row(5, Update("X", {"time": NOON, "bid": "1"}))
    assert layout.row("X,5,,1") == Row(5, Update("X", {"bid": "1"})), "the time when a row is due is not said to be it"
    assert layout.row("X,5,later,1") == Row(5, Update("X", {"time": None, "bid": "1"}))


def test_spaces_in_a_symbol_are_percent_encoded() -> None:
    assert table("symbol,time,bid").row("BRK B, 1, 2").update.symbol == "BRK%20B"
    assert table("time,bid", symbol="X" * 64).row("1,2").update.symbol == "X" * 64


def test_each_bad_row_has_its_cause() -> None:
    layout = table("symbol,time,bid,trade_count,reason")
    assert cause(layout, "X,1,1") == "wrong number of cells"
    assert cause(layout, "X?,1,1,1,") == "bad symbol"
    assert cause(layout, f"{'X' * 129},1,1,1,") == "bad symbol"
    assert cause(layout, ",1,1,1,") == "bad symbol"
    assert cause(layout, "X,1,1,1,\udcff") == "not UTF-8"
    assert cause(layout, 'X,1,1,1,"open\n') == "bad quoting"


def test_a_table_of_one_symbol_takes_it_from_beside_the_file() -> None:
    assert table("time,bid", symbol="EURUSD").row("7,1.5").update == Update("EURUSD", {"time": 7, "bid": "1.5"})


@pytest.mark.parametrize(
    ("header", "symbol", "text"),
    [
        ("symbol,time,24h", None, "'24h'"),
        ("symbol,time,bid,bid", None, "the columns 'bid, bid' could each be bid"),
        ("symbol,time,bid,withdrawn,rate.number", None, "'rate.number'"),
        ("symbol,time,bid,bid.decimal", None, "'bid.decimal'"),
        ("symbol,time,bid,withdrawn,bid", None, "'bid' stands there twice"),
        ("symbol,bid", None, "no column time"),
        ("time,bid", None, "no column symbol"),
        ("symbol,time,bid", "EURUSD", "leave out the option symbol"),
        ("symbol,time", None, "no field beside symbol and time"),
        ("symbol,time," + ",".join(f"f{n}" for n in range(2_000)), None, "2002 columns"),
    ],
)
def test_a_line_of_names_that_cannot_be_is_refused_by_name(header: str, symbol: str | None, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        table(header, symbol)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "names",
    [
        ("20140508_eurusd_tick_quote.csv", "some.zip"),
        ("quotes.csv", "oanda-EURUSD-20140508_quote.zip"),
        ("20140508_eurusd.csv",),
    ],
)
def test_quotes_have_date_and_symbol_in_the_name_of_their_file(names: tuple[str, ...]) -> None:
    row = quotes(*names).row("43200000,1.39101,1.39114\r\n")
    assert row == Row(NOON, Update("EURUSD", {"time": NOON, "bid": "1.39101", "ask": "1.39114"}))


def test_quotes_take_a_symbol_from_beside_the_file() -> None:
    layout = quotes("quotes-20140508.csv", symbol="EUR/USD")
    assert layout.row("0,1,2").update.symbol == "EUR/USD"


def test_fractions_of_milliseconds_are_cut_off_below_a_microsecond() -> None:
    layout = quotes("20140508_xauusd_tick_quote.csv")
    midnight = layout.row("0,1,2").time
    assert layout.row("42.4319,1,2").time - midnight == 42_431
    assert layout.row("42.4,1,2").time - midnight == 42_400
    assert layout.row("86400000,1,2").time - midnight == 86_400_000_000


def test_a_quote_outside_its_day_has_a_bad_time() -> None:
    layout = quotes("20140508_xauusd_tick_quote.csv")
    assert cause(layout, "86400000.001,1,2") == "bad time"
    assert cause(layout, "-1,1,2") == "bad time"
    assert cause(layout, "100000000,1,2") == "bad time"


@pytest.mark.parametrize("name", ["quotes.csv", "eurusd.csv", "quotes-20140508.csv", "120140508_eurusd_x.csv"])
def test_quotes_whose_name_says_too_little_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="the file's name says date and symbol"):
        quotes(name)


def test_a_date_that_is_not_in_the_calendar_is_refused() -> None:
    with pytest.raises(BadInput, match="20141399"):
        quotes("20141399_eurusd_tick_quote.csv")


@given(st.text(alphabet=st.sampled_from('0123456789-.,:"TZE+ abX\udcffé'), max_size=60))
def test_any_line_is_a_valid_row_or_one_error(line: str) -> None:
    try:
        time, update = table("symbol,time,bid,trade_count,note").row(line)
    except BadInput:
        return
    assert abs(time) <= MAX_INTEGER
    assert is_symbol(update.symbol)
    assert update.fields["time"] == time


@given(st.text(alphabet=st.sampled_from('0123456789-.,:;"TZE+ abX\udcffé\x00'), max_size=60), st.none() | st.just("X"))
def test_any_first_line_is_a_layout_or_one_error(line: str, symbol: str | None) -> None:
    try:
        layout = find_layout(line, ["20140508_eurusd_tick_quote.csv"], TableOptions(symbol))
    except (ConfigError, BadInput):
        return
    assert layout.first_line in {1, 2}
