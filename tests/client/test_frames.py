"""DataFrames of pandas and polars: of a real service's values, trades and bars, and of nothing."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any

import pytest
import trio

import ticker
from tests.conftest import serving
from tests.support import update
from ticker.client.columns import Column, Kind, bar_columns, book_columns, trade_columns, value_columns
from ticker.client.frames import pandas_frame, polars_frame
from ticker.client.rows import LevelChange
from ticker.errors import ConfigError
from ticker.market import Instrument, Levels, Publication, Trade

D = Decimal
SECOND = 1_700_000_040
MARKET: tuple[Publication, ...] = (
    Instrument("A", price_scale=2),
    Instrument("B"),
    update("A", bid="1.10", ask="1.20", time=SECOND * 1_000_000 + 5, status="halted", reason="news", mine="x", odd=3),
    update("B", bid="20000.5", trade_count=7, status="live"),
    Trade("A", "1.15", "10", "buy", SECOND * 1_000_000, "t1"),
    Trade("A", "1.16", "0.5", None, SECOND * 1_000_000 + 1),
)


async def test_values_are_a_table_by_symbol_with_a_column_for_each_field() -> None:
    async with serving(*MARKET) as service, ticker.connect(service.url) as client:
        async with client.subscribe("*", "A book:10") as subscription:
            await subscription.complete()
            frame, exact = subscription.to_pandas(), subscription.to_pandas(exact=True)
            table, exactly = subscription.to_polars(), subscription.to_polars(exact=True)
            assert subscription.values["A"]["bid"] == D("1.10")
        async with client.subscribe("B", fields=["bid"]) as bids:
            await bids.complete()
            assert list(bids.to_pandas().columns) == ["bid", "status", "reason"]
    assert list(frame.index) == ["A", "B"]
    assert frame.index.name == "symbol"
    assert (frame.loc["A", "bid"], frame.loc["B", "bid"]) == (1.1, 20000.5)
    assert str(frame.dtypes["bid"]) == "float64"
    assert str(frame.dtypes["time"]) == "datetime64[us, UTC]"
    assert frame.loc["A", "time"].microsecond == 1  # of its latest trade
    assert list(frame["status"].cat.categories) == ["live", "stale", "halted", "closed"]
    assert (frame.loc["B", "trade_count"], frame.loc["A", "mine"], frame.loc["A", "odd"]) == (7, "x", 3)
    assert (exact.loc["A", "bid"], exact.loc["A", "bid"].as_tuple().exponent) == (D("1.10"), -2)
    assert table["bid"].to_list() == [1.1, 20000.5]
    assert exactly["bid"].to_list() == [D("1.10"), D("20000.5")]
    assert str(table.schema["time"]) == "Datetime(time_unit='us', time_zone='UTC')"


async def test_trades_are_a_table_with_sides_as_categories() -> None:
    async with serving(*MARKET) as service, ticker.connect(service.url) as client, client.trades("A") as trades:
        frame, table = trades.to_pandas(), trades.to_polars(exact=True)
    assert frame["price"].to_list() == [1.15, 1.16]
    assert frame["side"].cat.categories.to_list() == ["buy", "sell"]
    assert frame["side"].isna().to_list() == [False, True]
    assert str(frame.index.dtype) == "datetime64[us, UTC]"
    assert (frame["id"].iloc[0], table["side"].to_list()) == ("t1", ["buy", None])
    assert table["size"].to_list() == [D(10), D("0.5")]


async def test_a_book_is_a_table_of_levels_with_both_sides_beside_each_other() -> None:
    levels = Levels("A", [("1.10", 5), ("1.05", "2.5")], [("1.20", 3)], complete=True)
    async with serving(*MARKET, levels) as service, ticker.connect(service.url) as client, client.book("A") as book:
        frame, table = book.to_pandas(), book.to_polars(exact=True)
    assert frame.index.to_list() == [1, 2]
    assert frame.loc[1].to_list() == [5, 1.1, 1.2, 3]
    assert frame["ask"].isna().to_list() == [False, True]
    assert table["bid_size"].to_list() == [D(5), D("2.5")]
    assert table["ask"].to_list() == [D("1.20"), None]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    "columns",
    [bar_columns([]), book_columns([], []), trade_columns([]), value_columns({})],
    ids=["bars", "book", "trades", "values"],
)
def test_a_table_of_nothing_has_the_columns(columns: list[Column], *, exact: bool) -> None:
    frame, table = pandas_frame(columns, exact=exact), polars_frame(columns, exact=exact)
    names = [column.name for column in columns]
    assert (len(frame), len(table)) == (0, 0)
    assert [frame.index.name, *frame.columns] == names == table.columns
    kinds = {column.name: column.kind for column in columns}
    assert all("UTC" in str(table.schema[name]) for name, kind in kinds.items() if kind is Kind.TIME)


def test_the_table_of_a_snapshot_leaves_out_tables() -> None:
    values: dict[str, ticker.Fields] = {"A": {"bid": D(1)}, "A book:10": {"bids": []}}
    assert list(ticker.to_pandas(values).index) == ["A"]
    assert ticker.to_polars(values)["symbol"].to_list() == ["A"]


LEVELS = Levels("A", [("1.10", 5), ("1.05", "2.5")], [("1.20", 3)], complete=True)


async def test_the_table_of_a_snapshot_of_one_table_has_its_rows_as_its_reader_has() -> None:
    async with serving(*MARKET, LEVELS) as service, ticker.connect(service.url) as client:
        readers: dict[str, ticker.Book | ticker.Trades | ticker.Candles] = {
            "A book:10": client.book("A", 10),
            "A trades:10": client.trades("A", 10),
            "A candles:1m:10": client.candles("A", "1m", 10),
        }
        for name, reader in readers.items():
            values = await trio.to_thread.run_sync(ticker.snapshot, service.url, [name])
            async with reader:
                expected, table = reader.to_pandas(exact=True), reader.to_polars()
            frame = ticker.to_pandas(values, exact=True)
            assert len(frame) > 0
            assert frame.equals(expected)
            assert ticker.to_polars(values).equals(table)


def test_a_table_without_rows_has_the_columns_of_its_kind() -> None:
    assert list(ticker.to_pandas({"A book:10": {"status": "stale"}}).columns) == ["bid_size", "bid", "ask", "ask_size"]
    assert ticker.to_pandas({"A trades:10": {}}).index.name == "time"
    assert ticker.to_polars({"A candles:1m:10": {}}).columns[0] == "start"


def test_several_tables_are_not_one_frame() -> None:
    values: dict[str, ticker.Fields] = {"A book:10": {"bids": []}, "B book:10": {"bids": []}}
    with pytest.raises(ConfigError, match=r"'A book:10' is one of 2 tables.*ticker\.to_pandas\(\{name: values"):
        ticker.to_pandas(values)
    with pytest.raises(ConfigError, match="to_polars: 'A book:10' is one of 2 tables"):
        ticker.to_polars(values)


def test_the_levels_that_changed_are_no_book() -> None:
    values: Any = {"A book:10": {"bids": [LevelChange(Decimal("1.10"), None)], "status": "live"}}
    with pytest.raises(ConfigError, match="to_pandas: 'A book:10': these are levels that changed; the book is in"):
        ticker.to_pandas(values)


async def test_a_subscription_to_tables_alone_names_what_has_their_rows() -> None:
    async with serving(*MARKET) as service, ticker.connect(service.url) as client:
        for names in (["A book:10"], ["A book:10", "* trades:10"]):
            async with client.subscribe(*names) as subscription:
                await subscription.complete()
                with pytest.raises(ConfigError, match=r"to_pandas: the subscription to 'A book:10' .*client\.book\(\)"):
                    subscription.to_pandas()
                with pytest.raises(ConfigError, match="to_polars: the subscription to 'A book:10' has tables only"):
                    subscription.to_polars()
        async with client.subscribe() as empty:
            assert len(empty.to_pandas()) == 0


def test_a_library_that_is_not_there_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"to_pandas: pandas is not installed; pip install 'ticker-push\[frames\]'"):
        ticker.to_pandas({})
    with pytest.raises(ConfigError, match=r"to_polars: polars is not installed; pip install 'ticker-push\[frames\]'"):
        ticker.to_polars({})


def test_exact_numbers_that_polars_cannot_have_are_told() -> None:
    values: dict[str, ticker.Fields] = {"A": {"bid": D("1e30")}, "B": {"bid": D("1e-10")}}
    with pytest.raises(ConfigError, match="bid needs more than the 38 digits of polars"):
        ticker.to_polars(values, exact=True)
    assert ticker.to_polars(values)["bid"].to_list() == [1e30, 1e-10]
