"""ticker_feeds/recordings/columns.py and the options of tables: the field of each column, and how it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from ticker.errors import ConfigError
from ticker.market import Update, Value
from ticker_feeds.loading import load_feed
from ticker_feeds.parsing import BadInput
from ticker_feeds.recordings import Recording
from ticker_feeds.recordings.columns import find_columns
from ticker_feeds.recordings.row_layout import Row, TableOptions, find_layout

NOON = 1_399_550_400_000_000
"""2014-05-08T12:00:00Z in microseconds."""


def row(header: str, line: str, **options: str) -> Row:
    return find_layout(header, ["day.csv"], TableOptions.of(**options)).row(line)


def fields(header: str, line: str, **options: str) -> dict[str, Value]:
    return {name: value for name, value in row(header, line, **options).update.fields.items() if name != "time"}


@pytest.mark.parametrize(
    ("header", "line", "found"),
    [
        ("symbol,time,bid_price,ask_price", "A,1,2,3", {"bid": "2", "ask": "3"}),
        ("Symbol,Timestamp,bidPrice,bidSize", "A,1,2,3", {"bid": "2", "bid_size": "3"}),
        ("ticker,ts,price,qty", "A,1,2,3", {"last": "2", "last_size": "3"}),
        ("instrument,datetime,Best Bid,Best Ask Price", "A,1,2,3", {"bid": "2", "ask": "3"}),
        ("<TICKER>,<DATE>,<LAST>,<VOL>", "A,1,2,3", {"last": "2", "volume": "3"}),
        ("symbol,ts_recv,bid_px_00,ask_sz_00", "A,1,2,3", {"bid": "2", "ask_size": "3"}),
        ("pair,time,Funding Rate,bid", "A,1,2,3", {"funding_rate": "2", "bid": "3"}),
        ("symbol,time,price,last", "A,1,2,3", {"price": "2", "last": "3"}),
        ("symbol,time,timestamp,bid", "A,1,2,3", {"timestamp": "2", "bid": "3"}),
        ("symbol,time,bid.price,bid.size", "A,1,2,3", {"bid": "2", "bid_size": "3"}),
    ],
)
def test_what_a_header_names_in_other_words_is_recognised(header: str, line: str, found: dict[str, str]) -> None:
    assert fields(header, line) == found
    assert row(header, line).time == 1
    assert row(header, line).update.symbol == "A"


@pytest.mark.parametrize(
    ("header", "both"),
    [
        ("symbol,ts,timestamp,bid", "'ts, timestamp' could each be time"),
        ("symbol,time,price,trade_price", "'price, trade_price' could each be last"),
        ("ticker,pair,time,bid", "'ticker, pair' could each be symbol"),
    ],
)
def test_what_could_be_meant_twice_is_not_guessed(header: str, both: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_columns(header.split(","))
    assert both in str(caught.value)
    assert "columns=FIELD:COLUMN" in str(caught.value)


DATABENTO = "ts_recv,ts_event,rtype,instrument_id,action,price,size,bid_px_00,ask_px_00,symbol"
LINE = "1399550400000000,1399550399000000,1,5482,A,1.25,3,1.24,1.26,ESM4"


def test_a_mapping_says_which_column_holds_what() -> None:
    mapped = row(DATABENTO, LINE, columns="time:ts_event,bid:bid_px_00,ask:ask_px_00,mid.decimal:price")
    assert mapped == Row(
        NOON - 1_000_000,
        Update("ESM4", {"time": NOON - 1_000_000, "bid": "1.24", "ask": "1.26", "mid": mapped.update.fields["mid"]}),
    )
    assert str(mapped.update.fields["mid"]) == "1.25"
    with_both = row(DATABENTO, LINE, columns="symbol:instrument_id,time:ts_recv,exchange_time:ts_event,last:price")
    assert with_both == Row(NOON, Update("5482", {"time": NOON - 1_000_000, "last": "1.25"}))


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ("time", "'time' is not FIELD:COLUMN"),
        ("time:ts_event,time:ts_recv", "time is given twice"),
        ("time:ts_event,bid:bid", "there is no column 'bid'"),
        ("bid:bid_px_00,Bid:ask_px_00", "field 'Bid'"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_by_name(columns: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        row(DATABENTO, LINE, columns=columns)
    assert why in str(caught.value)


@pytest.mark.parametrize("between", [";", "\t", "|"])
def test_a_delimiter_is_found_or_given(between: str) -> None:
    header, line = between.join(["symbol", "time", "bid", "note"]), between.join(["A", "1", "2", '"x,y"'])
    assert fields(header, line) == {"bid": "2", "note": "x,y"}
    assert fields(header + between + '"a, b"', line + between, delimiter=between) == {"bid": "2", "note": "x,y"}
    assert fields("symbol~time~bid", "A~1~2", delimiter="~") == {"bid": "2"}


def test_numbers_can_have_a_decimal_comma() -> None:
    found = fields("symbol;time;bid;ask;rate.decimal", "A;1;1,50;1.234.567,5;0,25", decimal="comma")
    assert {name: str(value) for name, value in found.items()} == {"bid": "1.50", "ask": "1234567.5", "rate": "0.25"}
    assert fields("symbol;time;bid;ask", "A;1;1.5;7", decimal="comma") == {"bid": None, "ask": "7"}, (
        "no price is guessed"
    )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"delimiter": "a"}, "delimiter 'a': give one of comma, semicolon, tab, pipe"),
        ({"delimiter": ";;"}, "delimiter ';;'"),
        ({"decimal": "dot"}, "decimal 'dot': give comma or point"),
        ({"time_unit": "minutes"}, "time_unit 'minutes': give one of s, ms, us, ns"),
        ({"time_zone": "Mars/Olympus"}, "time_zone 'Mars/Olympus': give a name such as America/New_York"),
        ({"time_zone": "+25:00"}, "time_zone '+25:00'"),
        ({"symbol": "EUR*"}, "symbol 'EUR*' cannot be a symbol"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(options: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TableOptions.of(**options)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("1399550400", {"time_unit": "s"}),
        ("1399550400.000000", {"time_unit": "s"}),
        ("1399550400000", {"time_unit": "ms"}),
        ("1399550400000000000", {"time_unit": "ns"}),
        ("2014-05-08T12:00:00", {"time_unit": "s"}),
        ("2014-05-08 08:00:00", {"time_zone": "America/New_York"}),
        ("2014-05-08 14:00:00", {"time_zone": "+02:00"}),
        ("2014-05-08 12:00:00Z", {"time_zone": "America/New_York"}),
    ],
)
def test_times_have_a_unit_and_a_zone(text: str, options: dict[str, str]) -> None:
    assert row("symbol,time,bid", f"A,{text},1", **options).time == NOON


@pytest.mark.parametrize(
    ("name", "text"), [("timestamp_ms", "1399550400000"), ("time_s", "1399550400"), ("ts_us", NOON)]
)
def test_a_unit_in_the_name_of_a_column_counts(name: str, text: str) -> None:
    assert row(f"symbol,{name},bid", f"A,{text},1").time == NOON


@pytest.mark.parametrize(
    ("time", "why"),
    [
        (
            "1399550400",
            "would be 1970-01-01T00:23:19+00:00 as microseconds since 1970; it looks like seconds: give time_unit=s",
        ),
        ("1399550400000", "it looks like milliseconds: give time_unit=ms"),
        ("1399550400000000000", "it looks like nanoseconds: give time_unit=ns"),
        ("20140508", "looks like a date, not like microseconds: write it as 2014-05-08"),
        ("99999999999999", "give time_unit=s, ms or ns"),
    ],
)
def test_seconds_taken_for_microseconds_are_an_error_that_says_so(tmp_path: Path, time: str, why: str) -> None:
    path = tmp_path / "day.csv"
    path.write_text(f"symbol,time,bid\n\nA,{time},1\n")
    with pytest.raises(ConfigError) as caught:
        load_feed(f"replay?path={path}")
    assert why in str(caught.value)
    load_feed(f"replay?path={path}&time_unit=us")


def test_a_decimal_comma_that_nobody_announced_is_an_error_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_text("symbol;time;bid\nA;1;1,5\n")
    with pytest.raises(ConfigError, match="bid '1,5': for numbers with a decimal comma give decimal=comma"):
        load_feed(f"replay?path={path}")
    load_feed(f"replay?path={path}&decimal=comma")


def test_a_first_row_that_cannot_be_used_is_no_reason_to_refuse_the_file(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_text("symbol,time,bid\nA,1\nA,2,1\n")
    rows = [each for chunk in Recording(str(path)).chunks() for each in chunk]
    assert [each.time for each in rows] == [2]


def test_an_option_of_tables_is_of_no_use_for_headerless_quotes() -> None:
    with pytest.raises(ConfigError, match="line 1 is numbers"):
        find_layout("0,1.5,1.6", ["20140508_eurusd_quote.csv"], TableOptions.of(columns="time:ts"))


def test_a_decimal_with_two_readings_costs_only_its_cell() -> None:
    layout = find_layout("symbol;time;bid;ask", ["day.csv"], TableOptions.of(decimal="comma"))
    bad: list[BadInput] = []
    assert layout.row("A;1;1.500;2,5", bad.append).update.fields == {"time": 1, "bid": None, "ask": "2.5"}
    assert [error.cause for error in bad] == ["bad number"]
