"""ticker_feeds/recordings/capture.py: recorded moments are read back from files with any kind of end."""

from __future__ import annotations

import logging
import struct
import zlib
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import update
from ticker.errors import ConfigError
from ticker.market import Candle, Instrument, Level, Levels, Publication, Side, Stale, Trade, Update, Value, Withdrawal
from ticker_feeds.recordings.capture import CHUNK_MOMENTS, Capture, CaptureWriter, segments
from ticker_feeds.recordings.capture_format import BEFORE, MAGIC, MAX_BLOCK, Moment

GOLD = Instrument("GOLD", price_scale=2, size_scale=1, metadata={"venue": "X"})
DAY = [
    Moment(10, [GOLD, update("GOLD", bid="1.50", bid_size=7, time=9, note="é", ask=None)]),
    Moment(11, []),
    Moment(9, [update("GOLD", bid="0.00001306"), Withdrawal("GOLD")]),
]


def written(path: Path, *moments: Moment, rotate_bytes: int | None = None) -> Path:
    writer = CaptureWriter(path, rotate_bytes)
    writer.write(moments)
    writer.close()
    return path


def read(path: Path) -> list[Moment]:
    return [moment for chunk in Capture(str(path)).chunks() for moment in chunk]


def publications(moments: list[Moment]) -> list[Publication]:
    return [each for moment in moments for each in moment.publications]


def tick(number: int) -> Moment:
    return Moment(number, [update("GOLD", last=number)])


def test_what_was_written_is_read_back_the_same(tmp_path: Path) -> None:
    assert read(written(tmp_path / "day", *DAY)) == DAY


def test_a_decimal_is_read_back_as_its_digits(tmp_path: Path) -> None:
    moment = Moment(1, [Update("A", {"bid": Decimal("1.50"), "last": Decimal("1E-7"), "ask": Decimal("1E+2")})])
    path = written(tmp_path / "day", moment)
    assert publications(read(path)) == [update("A", bid="1.50", last="0.0000001", ask="100")]


@pytest.mark.parametrize("value", [2**53, 2**53 + 1, -(10**40) + 1])
def test_an_integer_of_any_size_is_read_back_exactly(tmp_path: Path, value: int) -> None:
    written(tmp_path / "x", Moment(1, [Update("A", {"bid": value})]))
    assert publications(read(tmp_path / "x")) == [Update("A", {"bid": str(value)})]


def test_own_decimals_and_stale_are_read_back(tmp_path: Path) -> None:
    fields: dict[str, Value] = {"funding": Decimal("0.0001"), "note": "0.0001", "count": 7, "large": 2**60}
    path = written(tmp_path / "day", Moment(1, [Update("A", fields), Stale("A", "gap")]))
    assert publications(read(path)) == [Update("A", {**fields, "large": Decimal(2**60)}), Stale("A", "gap")]


figures: st.SearchStrategy[str | int] = st.integers(0, 2**53 - 1) | st.sampled_from(["1.50", "0", "-0.00001306"])
sizes: st.SearchStrategy[str | int] = st.integers(0, 2**53 - 1) | st.sampled_from(["1.50", "0.0"])
sides: st.SearchStrategy[list[Level]] = st.lists(st.tuples(figures, sizes), max_size=3)
ROWS: st.SearchStrategy[Publication] = st.one_of(
    st.builds(Levels, st.just("A"), sides, sides, st.just(value=True), st.none() | st.integers(1, 100)),
    st.builds(Levels, st.just("A"), sides, sides, st.just(value=False), st.none()),
    st.builds(
        Trade,
        st.just("A"),
        figures,
        sizes,
        st.sampled_from([None, "buy", "sell"]),
        st.none() | st.integers(0, 2**53 - 1),
        st.none() | st.integers(0, 2**53 - 1) | st.sampled_from(["", "a-1"]),
    ),
    st.builds(
        lambda start, prices, *counts: Candle("A", "5m", 300 * start, *(prices[at] for at in (1, 3, 0, 2)), *counts),
        st.integers(-100, 10**8),
        st.lists(figures, min_size=4, max_size=4).map(lambda prices: sorted(prices, key=Decimal)),
        st.none() | sizes,
        st.none() | st.integers(0, 10),
    ),
    st.builds(Stale, st.just("A"), st.just("gap"), st.booleans()),
)


@given(day=st.lists(st.lists(ROWS, max_size=4), min_size=1, max_size=4))
def test_levels_trades_and_candles_are_read_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, day: list[list[Publication]]
) -> None:
    moments = [Moment(at, publications) for at, publications in enumerate(day, 1)]
    assert read(written(tmp_path_factory.mktemp("day") / "day", *moments)) == moments


def test_decimals_in_rows_are_read_back_as_their_digits(tmp_path: Path) -> None:
    moment = Moment(
        1,
        [
            Levels("A", [(Decimal("1.50"), 2**60)], (), complete=True),
            Trade("A", Decimal("1E+2"), "1E-3", Side.BUY, 1_700_000_000_000_000, 2**60),
        ],
    )
    assert publications(read(written(tmp_path / "day", moment))) == [
        Levels("A", [("1.50", str(2**60))], [], complete=True),
        Trade("A", "100", "0.001", "buy", 1_700_000_000_000_000, str(2**60)),
    ]


def test_rows_that_cannot_be_read_are_left_out_and_lost_levels_leave_a_book_that_is_not_known(tmp_path: Path) -> None:
    bad: list[Publication] = [
        Levels("A", [("1,5", 1)], []),
        Levels("B", [("1.5",)], []),  # type: ignore[list-item]  # as a bad feed does
        Trade("A", "oops", 1),
        Candle("A", "1m", 61, 1, 1, 1, 1),
        Trade("A", 1, 1),
    ]
    writer = CaptureWriter(tmp_path / "day")
    writer.write([Moment(1, bad)])
    writer.close()
    assert publications(read(tmp_path / "day")) == [
        Stale("A", "bad_data", book_only=True),
        Stale("B", "bad_data", book_only=True),
        Trade("A", 1, 1),
    ]
    assert writer.refused.total() == 4


def test_a_capture_of_version_1_is_read_and_continued_as_one_of_version_2(tmp_path: Path) -> None:
    path = written(tmp_path / "day", DAY[0], Moment(10, [Stale("GOLD", "gap")]))
    # Blocks of version 1: without `book_only`, the last element of a Stale.
    payload = b"\x92\x0a\x91\x93\x03\xa4GOLD\xa3gap"
    begin = path.read_bytes().replace(MAGIC, BEFORE)
    end = begin.rindex(b"\xa4GOLD\xa3gap") - 13
    path.write_bytes(begin[:end] + struct.pack(">II", len(payload), zlib.crc32(payload)) + payload)
    old = [DAY[0], Moment(10, [Stale("GOLD", "gap")])]
    assert read(path) == old
    more = Moment(12, [Trade("GOLD", 1, 2)])
    written(path, more)
    assert path.read_bytes().startswith(MAGIC)
    assert read(path) == [*old, more]


def test_a_capture_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = written(tmp_path / "day", DAY[0])
    written(path, *DAY[1:])
    assert read(path) == DAY


@pytest.mark.parametrize("lost", range(1, 40))
def test_a_torn_tail_costs_one_moment_and_is_cut_off_before_more_is_appended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, lost: int
) -> None:
    path = written(tmp_path / "day", *DAY)
    path.write_bytes(path.read_bytes()[:-lost])
    capture = Capture(str(path))
    assert [moment for chunk in capture.chunks() for moment in chunk] == DAY[:2]
    assert capture.skipped == {"torn tail": 1}
    written(path, *DAY[2:])
    assert read(path) == DAY
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "torn tail" in caplog.messages[0]


def test_a_file_torn_anywhere_holds_a_beginning_of_what_was_written(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole", *DAY).read_bytes()
    counts = []
    for size in range(len(whole)):
        path = tmp_path / "torn"
        path.write_bytes(whole[:size])
        if size >= len(MAGIC):
            counts.append(len(read(path)))
            assert read(path) == DAY[: counts[-1]]
        written(path, tick(99))
        capture = Capture(str(path))
        assert [moment for chunk in capture.chunks() for moment in chunk][-1] == tick(99), size
        assert not capture.skipped, "nothing of the tail is left"
    assert sorted(set(counts)) == [0, 1, 2]
    assert counts == sorted(counts)


def test_a_tail_of_zeros_as_a_loss_of_power_leaves_it_is_a_torn_one(tmp_path: Path) -> None:
    path = written(tmp_path / "day", *DAY)
    path.write_bytes(path.read_bytes() + bytes(5_000))
    assert read(path) == DAY
    written(path, tick(1))
    assert read(path) == [*DAY, tick(1)]


def test_a_block_damaged_in_the_middle_costs_itself_alone_and_what_follows_stays(tmp_path: Path) -> None:
    day = [Moment(at, [update("GOLD", note=f"moment {at:02}")]) for at in range(50)]
    path = written(tmp_path / "day", *day)
    path.write_bytes(path.read_bytes().replace(b"moment 25", b"moment 52"))
    written(path, tick(50))
    capture = Capture(str(path))
    assert [moment for chunk in capture.chunks() for moment in chunk] == [*day[:25], *day[26:], tick(50)]
    assert capture.skipped == {"damaged block": 1}


def test_a_well_formed_block_that_is_no_moment_is_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "day", tick(1))
    nonsense = (b"\x93\x01\x02\x03", b"\x92\x01\x91\x93\x01\xa1A\x81\xa3bid\xcb" + struct.pack(">d", 1.5))
    blocks = b"".join(struct.pack(">II", len(each), zlib.crc32(each)) + each for each in nonsense)
    path.write_bytes(path.read_bytes() + blocks)
    written(path, tick(2))
    capture = Capture(str(path))
    assert [moment for chunk in capture.chunks() for moment in chunk] == [tick(1), tick(2)]
    assert capture.skipped == {"damaged block": 2}


def test_what_is_damaged_beyond_finding_the_next_block_is_never_appended_to(tmp_path: Path) -> None:
    path = written(tmp_path / "day", tick(1))
    content = path.read_bytes() + struct.pack(">I", MAX_BLOCK + 1) + b"who knows what"
    path.write_bytes(content)
    assert read(path) == [tick(1)]
    with pytest.raises(ConfigError, match="damaged from byte"):
        CaptureWriter(path)
    assert path.read_bytes() == content


def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("precious")
    for act in (lambda: Capture(str(path)), lambda: CaptureWriter(path)):
        with pytest.raises(ConfigError, match=r"notes\.txt: is no capture"):
            act()
    assert path.read_text() == "precious"
    path.write_bytes(MAGIC[:-1] + b"\x03")
    with pytest.raises(ConfigError, match="version"):
        CaptureWriter(path)
    with pytest.raises(ConfigError, match="No such file"):
        Capture(str(tmp_path / "missing"))
    with pytest.raises(ConfigError, match="cannot be written"):
        CaptureWriter(tmp_path / "no folder" / "day")


def test_two_recorders_cannot_write_to_one_capture(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "day", 200)
    writer.write([tick(at) for at in range(100)])
    with pytest.raises(ConfigError, match="another process"):
        CaptureWriter(tmp_path / "day")
    writer.close()
    written(tmp_path / "day", tick(100))
    assert read(tmp_path / "day") == [tick(at) for at in range(101)]


def test_segments_are_bounded_and_together_hold_everything_once(tmp_path: Path) -> None:
    moments = [Moment(0, [GOLD]), *map(tick, range(1, 1_000))]
    path = written(tmp_path / "day", *moments, rotate_bytes=2_000)
    files = segments(path)
    assert len(files) > 5
    assert [file.name for file in files[:3]] == ["day", "day.0001", "day.0002"]
    assert max(file.stat().st_size for file in files) <= 2_000
    assert read(path) == moments
    written(path, tick(1_000), rotate_bytes=2_000)
    assert read(path) == [*moments, tick(1_000)]


def test_a_segment_can_be_read_alone_with_what_was_declared_before_it(tmp_path: Path) -> None:
    path = written(tmp_path / "day", Moment(0, [GOLD]), *map(tick, range(100)), rotate_bytes=500)
    alone = publications(read(segments(path)[2]))
    assert alone[0] == GOLD
    assert all(isinstance(each, Update) for each in alone[1:])


def test_declarations_outlive_a_restart_of_the_recorder(tmp_path: Path) -> None:
    path = written(tmp_path / "day", Moment(0, [GOLD]))
    written(path, *map(tick, range(100)), rotate_bytes=500)
    written(path, *map(tick, range(100)), rotate_bytes=500)
    assert publications(read(segments(path)[-1]))[0] == GOLD


def test_a_moment_larger_than_a_segment_gets_one_of_its_own(tmp_path: Path) -> None:
    large = Moment(5, [update("GOLD", note="x" * 200) for _ in range(20)])
    path = written(tmp_path / "day", large, large, tick(1), large, tick(2), rotate_bytes=300)
    assert read(path) == [large, large, tick(1), large, tick(2)]
    assert len(segments(path)) == 5


def test_what_is_no_market_data_is_left_out_counted_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad: list[object] = [Update("a b", {"bid": "1"}), Update("c d", {"bid": "1"}), None, True]
    writer = CaptureWriter(tmp_path / "day")
    writer.write([Moment(1, [*bad, update("A", bid="1")])])  # type: ignore[list-item]  # as a careless feed does
    writer.close()
    assert read(tmp_path / "day") == [Moment(1, [update("A", bid="1")])]
    assert writer.refused.total() == len(bad)
    assert len(caplog.records) == len(writer.refused)


class Fails(dict[str, Value]):
    """Fields of a feed that fail while they are read."""

    def items(self) -> NoReturn:
        raise RuntimeError("in the middle")


@pytest.mark.parametrize("fields", [Fails(bid="2"), None, [("bid", "2")]])
def test_an_update_that_cannot_be_read_is_stale_and_ends_no_recording(tmp_path: Path, fields: object) -> None:
    writer = CaptureWriter(tmp_path / "day")
    writer.write([Moment(1, [update("A", bid="1"), Update("A", fields), update("B", bid="1")])])  # type: ignore[arg-type]  # as a careless feed does
    writer.close()
    assert publications(read(tmp_path / "day")) == [update("A", bid="1"), Stale("A", "bad_data"), update("B", bid="1")]
    assert writer.refused.total() == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"bid": 1.5},
        {"bid": "oops"},
        {"bid": True},
        {"bid": Decimal("NaN")},
        {"bid": "1" * 41},
        {"trade_count": 1.5},
        {"note": "\ud800"},
        {"note": "x" * 257},
        {"own": 10**40},
        {"status": "weird"},
        {"own": Decimal("Infinity")},
    ],
)
def test_a_value_that_cannot_be_read_stays_unreadable_and_costs_the_others_nothing(
    tmp_path: Path, fields: dict[str, Value]
) -> None:
    writer = CaptureWriter(tmp_path / "day")
    writer.write([Moment(1, [Update("A", {"ask": "1", **fields, "last": "2"})])])
    writer.close()
    unreadable = dict.fromkeys(fields, Decimal("NaN"))
    held = [Moment(1, [Update("A", {"ask": "1", **unreadable, "last": "2"})])]
    assert repr(read(tmp_path / "day")) == repr(held), "NaN is not equal to itself"
    assert writer.refused.total() == 1


def test_a_field_without_a_usable_name_is_left_out(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "day")
    writer.write([Moment(1, [Update("A", {"Bid": "1", "ask": "2"})])])
    writer.close()
    assert read(tmp_path / "day") == [Moment(1, [update("A", ask="2")])]
    assert writer.refused.total() == 1


def test_a_moment_larger_than_a_block_is_written_as_several(tmp_path: Path) -> None:
    large = [Update(f"S{at}", {f"note_{n}": "x" * 256 for n in range(60)}) for at in range(2_500)]
    path = written(tmp_path / "day", Moment(5, large))
    held = read(path)
    assert {moment.time for moment in held} == {5}
    assert 1 < len(held) <= 8
    assert publications(held) == large


def test_a_capture_that_holds_nothing_is_not_left_behind(tmp_path: Path) -> None:
    CaptureWriter(tmp_path / "day").close()
    assert not (tmp_path / "day").exists()
    written(tmp_path / "day", tick(1))
    CaptureWriter(tmp_path / "day").close()
    assert read(tmp_path / "day") == [tick(1)]


def test_reading_holds_a_bounded_number_of_moments(tmp_path: Path) -> None:
    path = written(tmp_path / "day", *map(tick, range(3 * CHUNK_MOMENTS)))
    assert max(map(len, Capture(str(path)).chunks())) == CHUNK_MOMENTS
    large = written(tmp_path / "large", *(Moment(at, [update("A", note="x" * 256)] * 300) for at in range(50)))
    assert max(map(len, Capture(str(large)).chunks())) <= 5


numbers = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=9)
prices = st.none() | st.integers(-(2**53) + 1, 2**53 - 1) | numbers.map("{:f}".format)
own = prices | numbers | st.text(st.characters(categories=["L", "N", "S"]), max_size=256)
updates = st.builds(
    Update, st.just("A"), st.fixed_dictionaries({}, optional={"bid": prices, "last": prices, "own": own, "more": own})
)
days = st.lists(st.builds(Moment, st.integers(0, 2**53), st.lists(updates | st.just(GOLD) | st.just(Withdrawal("A")))))


@given(days, st.integers(100, 400) | st.none())
def test_any_day_is_read_back_the_same(tmp_path_factory: pytest.TempPathFactory, day: list[Moment], size: int) -> None:
    path = written(tmp_path_factory.mktemp("capture") / "day", *day, rotate_bytes=size)
    assert (read(path) if path.exists() else []) == day
