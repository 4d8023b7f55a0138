"""Export and replay of a recording are the same market: any publications, as CSV and as Parquet, value by value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import update
from ticker.commands.export import export_csv, export_parquet
from ticker.core.last_value import LastValueCache
from ticker.core.record import Record
from ticker.errors import BadPublication
from ticker.market import Instrument, Kind, Publication, Stale, Update, Withdrawal, field_kind, field_name
from ticker_feeds.recordings import Capture, CaptureWriter, Moment, Replay, declared

Values = Mapping[str, object]
Market = dict[str, Values]

EXPORTS: dict[str, Callable[[Capture, Path], int]] = {"csv": export_csv, "parquet": export_parquet}


def market(cache: LastValueCache) -> Market:
    """The values of all instruments that have any."""
    return {record.symbol: values for record in cache.instruments if (values := shown(record))}


def shown(record: Record) -> Values:
    """Its values with their types: exact, at whatever scale they are held."""
    values: dict[str, object] = {}
    for key, value in record.present().items():
        kind = field_kind(key)
        if kind is Kind.PRICE or kind is Kind.SIZE:
            places = record.price_scale if kind is Kind.PRICE else record.size_scale
            values[field_name(key)] = Decimal(value).scaleb(-places) if isinstance(value, int) else Decimal(str(value))
        else:
            values[field_name(key)] = type(value).__name__, value
    return values


def played(path: Path) -> dict[int, Market]:
    """The market after each moment of a file that `replay` plays."""
    cache, announced, markets = LastValueCache("test"), set[str](), dict[int, Market]()
    for tape in Replay(path=str(path), speed=0)._tapes:
        for moments in tape():
            for time, publications in moments:
                for publication in declared(publications, announced):
                    try:
                        cache.publish(publication)
                    except BadPublication as error:
                        assert path.suffix == "", error  # noqa: PT017  # what is exported is never refused
                cache.close_cut(time)
                markets[time] = market(cache)
    return markets


def check(moments: list[Moment], folder: Path) -> None:
    """Record, export and play these moments."""
    writer = CaptureWriter(folder / "day")
    writer.write(moments)
    writer.close()
    recorded = played(folder / "day")
    for name, export in EXPORTS.items():
        table = folder / f"day.{name}"
        export(Capture(str(folder / "day")), table)
        exported = played(table) if recorded else {}
        now: Market = {}
        for time, wanted in recorded.items():
            now = exported.get(time, now)
            assert now == wanted, (name, time, table.read_bytes()[:2_000])


SYMBOLS = ["A", "=1+1", "-B", "@C", "NA", "'D", "+", "x" * 64]
NAMES = ["own", "rate", "symbol", "withdrawn", "exchange_time", "symbol_field", "price", "timestamp", "a_"]
TEXTS = [
    "",
    "-",
    "NA",
    "nan",
    "None",
    "=1+1",
    "+1",
    "-1",
    "@x",
    "'",
    "'x",
    " x ",
    "1",
    "0.10",
    "a,b",
    'say "so"',
    "a b",
    "\ufffd",
    "x;y",
]

places = st.integers(0, 15)
numbers = st.decimals(-(10**6), 10**6, places=4) | st.sampled_from(
    [Decimal("0E+3"), Decimal("1E-7"), Decimal("12.500")]
)
prices = (
    st.none()
    | st.integers(-(10**9), 10**9)
    | numbers
    | numbers.map(str)
    | st.sampled_from(["oops", "5.000000000000001", "1" * 30])
)
counts = st.none() | st.integers(-(2**53) + 1, 2**53 - 1)
texts = st.sampled_from(TEXTS) | st.text(st.characters(categories=["L", "N", "S", "P"]), max_size=9)
own = counts | texts | numbers | st.just(Decimal("NaN"))
fields = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(["bid", "ask_size", "last", "volume"], prices),
        **dict.fromkeys(["time", "trade_count"], counts),
        "status": st.sampled_from(["live", "stale", "halted", "closed", None, "odd"]),
        "reason": st.none() | texts,
        **dict.fromkeys(NAMES, own),
    },
)
symbols = st.sampled_from(SYMBOLS)
publications = (
    st.builds(Update, symbols, fields)
    | st.builds(Withdrawal, symbols)
    | st.builds(Stale, symbols, st.just("gap"))
    | st.builds(Instrument, symbols, places, places, st.just({"name": "x"}))
)
batches = st.lists(publications, max_size=5)
gaps = st.integers(1, 10**12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(gaps, batches), min_size=1, max_size=12))
def test_an_exported_recording_is_played_as_the_market_that_was_recorded(
    days: list[tuple[int, list[Publication]]],
) -> None:
    time, moments = 0, []
    for gap, batch in days:
        time += gap
        moments.append(Moment(time, batch))
    with TemporaryDirectory() as folder:
        check(moments, Path(folder))


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_survives_a_spreadsheet_as_a_text(tmp_path: Path, text: str) -> None:
    check([Moment(1, [update("A", note=text, reason=text)])], tmp_path)
    cells = (tmp_path / "day.csv").read_text().splitlines()[1].replace('"', "").split(",")
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)


def test_a_symbol_survives_a_spreadsheet_as_a_text(tmp_path: Path) -> None:
    check([Moment(1, [update(symbol, bid="1.50") for symbol in SYMBOLS])], tmp_path)
    lines = (tmp_path / "day.csv").read_text().splitlines()[1:]
    assert not any(line.split(",")[1].startswith(("=", "+", "-", "@")) for line in lines)


def test_a_recording_with_many_fields_in_all_is_played_again(tmp_path: Path) -> None:
    moments = [Moment(at, [Update(f"S{at}", {f"own_{at}_{n}": n for n in range(30)})]) for at in range(10)]
    check(moments, tmp_path)
