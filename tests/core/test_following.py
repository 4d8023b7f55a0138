"""A cache that follows another one is that one after every cut, whenever it began to."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.invariant_market import ANY_DECIMAL, COARSE, LEVELS, PRICES, SIZES, TABLES, UNREADABLE
from ticker.config import Tables
from ticker.core.following import FollowingCache, digest
from ticker.core.journal import Journal, part_of
from ticker.core.last_value import LastValueCache
from ticker.core.state import State, packed, unpacked, unpacked_from
from ticker.errors import BadPublication
from ticker.market import Candle, Field, Instrument, Levels, Publication, Stale, Trade, Update, Withdrawal
from ticker.protocol.tables import TableName

Cut: TypeAlias = list[tuple[Publication, str]]

SECONDS = st.lists(st.sampled_from([0.1, 1, 6, 61]), min_size=12, max_size=12)
SYMBOLS = ["A", "B", "C"]
START = 1_700_000_000

VALUES = ANY_DECIMAL | COARSE | st.none() | UNREADABLE | st.sampled_from([1, 2, "1.5"])
SYMBOL = st.sampled_from(SYMBOLS)
TIMES = st.none() | st.integers(-200, 200).map(lambda seconds: (START + seconds) * 1_000_000)
NAMES = st.sampled_from(["bid", "last", "bid_size", "time", "own", "status"])
FIELDS = st.dictionaries(NAMES, VALUES | TIMES, max_size=3)
PUBLICATIONS: st.SearchStrategy[Publication] = st.one_of(
    st.builds(Instrument, SYMBOL, st.integers(0, 2), st.integers(0, 2), st.sampled_from([{}, {"venue": "X"}])),
    st.builds(Update, SYMBOL, FIELDS),
    st.builds(Update, SYMBOL, FIELDS),
    st.builds(Withdrawal, SYMBOL),
    st.builds(Stale, SYMBOL),
    st.builds(lambda symbol, bids, asks: Levels(symbol, bids, asks, complete=True), SYMBOL, LEVELS, LEVELS),
    st.builds(Levels, SYMBOL, LEVELS, LEVELS),
    st.builds(
        lambda symbol, price, size, time, number: Trade(symbol, price, size, time=time, id=number),
        SYMBOL, PRICES, SIZES, TIMES, st.none() | st.integers(1, 4),
    ),
    st.builds(
        lambda symbol, age, price, volume, estimate: Candle(
            symbol, "1m", START // 60 * 60 - 60 * age, price, price, price, price, volume, None, estimate=estimate
        ),
        SYMBOL, st.integers(-20, 5), PRICES, st.none() | SIZES, st.booleans(),
    ),
)  # fmt: skip
CUTS = st.lists(st.lists(st.tuples(PUBLICATIONS, st.sampled_from(["one", "two"])), max_size=6), min_size=1, max_size=12)


def carried(state: State) -> State:
    """What comes of plain data at the other end of a bus."""
    (data,) = unpacked(io.BytesIO(packed(state)))
    return data


class Source:
    """A cache that tells what happens in it."""

    def __init__(self, most: int = 3, tables: Tables = TABLES) -> None:
        self.cache = LastValueCache("epoch", max_instruments=100, tables=tables)
        self.journal = Journal(most)
        self.cache.tables.tell(self.journal)
        self.time = START * 1_000_000
        self.followers: list[FollowingCache] = []

    def follower(self) -> FollowingCache:
        tables = self.cache.tables.config
        follower = FollowingCache("epoch", max_instruments=100, tables=tables)
        self.followers.append(follower)
        return follower

    def cut(self, publications: Cut, seconds: float = 1) -> bool:
        for publication, feed in publications:
            with suppress(BadPublication):
                self.cache.publish(publication, feed)
        self.time += int(seconds * 1_000_000)
        return self.close()

    def close(self) -> bool:
        if not self.cache.close_cut(self.time):
            return False
        news = self.journal.news
        for follower in self.followers:
            follower.apply(self.cache.cut, self.time, carried(news))
        return True


def check_same(source: LastValueCache, follower: FollowingCache) -> None:
    assert follower.wire_cut(follower.cut) == source.cut
    assert len(follower.instruments) == len(source.instruments)
    for its, record in zip(source.instruments, follower.instruments, strict=True):
        *wanted, _ = part_of(its, source.tables)
        *found, _ = part_of(record, follower.tables, follower.per_cut)
        assert found == wanted, [(at, a, b) for at, (a, b) in enumerate(zip(found, wanted, strict=True)) if a != b]
        assert record.last_change == its.last_change * follower.per_cut
    count = len(source.instruments)
    assert digest(source, 0, count) == digest(follower, 0, count)
    assert {follower.records[each].symbol for each in follower.stale} == {
        source.records[each].symbol for each in source.stale
    }


def test_an_instrument_to_which_a_follower_was_late_is_owed_by_it_although_it_is_then_told_whole() -> None:
    source = Source()
    follower = source.follower()
    source.cut([(Instrument("A"), "one"), (Instrument("B"), "one")])
    record, other = follower.instrument("A"), source.cache.instrument("A")
    assert record is not None
    assert other is not None
    follower.redeclare([record])
    follower.close_cut(source.time)
    late = follower.cut
    source.journal.whole(other)
    source.cut([(Update("B", {"bid": "1"}), "one")])
    assert (record.whole_at, record.defined_at, record.last_change) == (late, late, late)
    assert record.id in follower.changed_since(late - 1)


@settings(max_examples=200, deadline=None)
@given(CUTS, st.integers(0, 12), st.integers(1, 3), SECONDS)
def test_a_follower_equals_its_source_after_every_cut(
    cuts: list[Cut], begun: int, piece: int, seconds: list[float]
) -> None:
    source = Source()
    check_same(source.cache, source.follower())
    parts: list[tuple[int, State]] = []
    began = last = 0
    entries: list[tuple[int, int, State]] = []
    for number, publications in enumerate(cuts):
        if source.cut(publications, seconds[number]):
            entries.append((source.cache.cut, source.time, carried(source.journal.news)))
            check_same(source.cache, source.followers[0])
        if number == begun:
            began, parts = source.cache.cut, []
        if number >= begun and len(parts) < len(source.cache.instruments):
            for record in source.cache.instruments[len(parts) : len(parts) + piece]:
                parts.append((source.cache.cut, carried(part_of(record, source.cache.tables))))
            last = source.cache.cut
    if number < begun or len(parts) < len(source.cache.instruments):
        return
    late = FollowingCache("epoch", max_instruments=100, tables=TABLES)
    for cut, part in parts:
        late.take_part(cut, part)
    late.begin_at(began, START)
    for cut, time, news in entries:
        if cut > began:
            late.apply(cut, time, news)
            assert late.is_whole == (cut >= last) or not parts
    check_same(source.cache, late)


PRINTS: st.SearchStrategy[Publication] = st.builds(
    lambda price, minute: Trade("A", price, 1, time=(START + 60 * minute) * 1_000_000),
    st.sampled_from(["1", "2", "2.5"]), st.integers(0, 3),
)  # fmt: skip
PRINT_CUTS = st.lists(st.tuples(st.lists(st.tuples(PRINTS, st.just("one")), max_size=3), st.booleans()), max_size=8)


@given(PRINT_CUTS)
def test_bars_do_not_depend_on_when_they_were_asked_for(cuts: list[tuple[Cut, bool]]) -> None:
    """Rows are written when somebody needs them, and are what they would be had they been written at once."""
    one, other = Source(), Source()
    for source in (one, other):
        source.cut([(Instrument("A", 1, 0), "one")])
    for publications, asked in cuts:
        one.cut(publications)
        other.cut(publications)
        if asked:
            part_of(one.cache.instruments[0], one.cache.tables)
    assert part_of(one.cache.instruments[0], one.cache.tables) == part_of(
        other.cache.instruments[0], other.cache.tables
    )


def test_values_of_a_quote_that_wait_are_in_the_bars_before_their_scale_rises() -> None:
    found: list[State] = []
    for asked in (False, True):
        source = Source()
        candle = Candle("A", "1m", START // 60 * 60, "2.25", "2.25", "2.25", "2.25")
        source.cut([(Instrument("A", 1, 0), "one"), (candle, "one")])
        source.cut([(Update("A", {"bid": "1"}), "one")])
        if asked:
            part_of(source.cache.instruments[0], source.cache.tables)
        source.cut([(Instrument("A", 2, 0), "one")])
        found.append(part_of(source.cache.instruments[0], source.cache.tables))
    assert found[0] == found[1]


def begun(source: Source, *, has_clients: bool = True) -> FollowingCache:
    """A follower that begins with a keyframe."""
    cache = source.cache
    late = FollowingCache("epoch", max_instruments=100, tables=TABLES, has_clients=has_clients)
    for record in cache.instruments:
        late.take_part(cache.cut, carried(part_of(record, cache.tables)))
    late.begin_at(cache.cut, source.time)
    source.followers.append(late)
    return late


def test_a_table_of_bars_that_had_none_before_a_restart_has_no_past() -> None:
    """A client has opened it at the source, and those that follow know nothing of it."""
    source = Source()
    source.follower()
    source.cut([(Instrument("A"), "")])
    source.cache.open_table("A", TableName("candles", 5, "1m"))
    source.close()
    source.cache.tables.change_source()
    source.followers[0].change_source()
    source.cut([(Candle("A", "1m", START // 60 * 60, 4, 9, 1, 5), "")])
    check_same(source.cache, source.followers[0])
    source.cut([(Candle("A", "1m", START // 60 * 60, 3, 8, 2, 6, estimate=True), "")])
    check_same(source.cache, source.followers[0])


def test_bars_of_quotes_that_wait_at_a_restart_are_of_the_run_before() -> None:
    """The source has written them, for its keyframe."""
    source = Source()
    source.cut([(Instrument("A"), ""), (Update("A", {"bid": 1}), "")])
    late = begun(source)
    source.cut([(Update("A", {"last": 2}), "")])
    part_of(source.cache.instruments[0], source.cache.tables)
    source.cache.tables.change_source()
    late.change_source()
    check_same(source.cache, late)


def test_what_came_to_a_book_while_nobody_followed_is_told_once_it_is_otherwise() -> None:
    """It may be again as it was when others were told last."""
    source = Source()
    source.cut([(Instrument("A"), ""), (Levels("A", [(1, 1)], [], complete=True), "one")])
    source.cut([(Stale("A", "gap", book_only=True), "one")])
    source.cache.tables.tell_nobody()
    source.cut([(Stale("A", "checksum", book_only=True), "one")])
    source.cache.tables.tell(source.journal)
    late = begun(source)
    source.cut([(Stale("A", "gap", book_only=True), "one")])
    check_same(source.cache, late)


def test_bars_that_a_print_amends_before_the_last_one_was_asked_for_are_those_of_the_source() -> None:
    """A follower is asked for less than its source."""
    source = Source()
    source.cut([(Instrument("A"), "")])
    late = begun(source)
    source.cut([(Trade("A", 1, 1, time=START * 1_000_000), "")])
    source.cut([(Trade("A", 1, 1, time=(START + 60) * 1_000_000), "")])
    part_of(source.cache.instruments[0], source.cache.tables)
    source.cut([(Trade("A", 1, 1, time=START * 1_000_000), "")])
    check_same(source.cache, late)


def test_bars_of_last_have_no_bids_while_there_is_no_last() -> None:
    """Nor have those of a follower that begins meanwhile."""
    source = Source()
    source.cut([(Instrument("A"), ""), (Update("A", {"bid": 1, "last": 3}), "")])
    source.cut([(Update("A", {"last": None}), "")], seconds=0)
    late = begun(source)
    source.cut([(Update("A", {"bid": 9}), "")], seconds=0)
    source.cut([(Update("A", {"bid": 8}), ""), (Update("A", {"last": 2}), "")], seconds=0)
    tables = source.cache.tables.find(source.cache.instruments[0])
    assert tables is not None
    assert tables.bars is not None
    tables.bars.flush()
    assert tables.bars.by_period["1m"].latest(1)[0][1:5] == [300, 300, 200, 200]
    check_same(source.cache, late)


def test_a_table_that_is_watched_again_tells_marks_that_came_and_went_meanwhile() -> None:
    """A copy that was at another follower in between has them."""
    source = Source()
    source.cut([(Instrument("A"), ""), (Update("A", {"bid": 1}), "")])
    late = begun(source)
    table = late.open_table("A", TableName("trades", 1))
    table.watch()
    late.close_cut(source.time)
    table.unwatch()
    source.cut([(Stale("A", "gap"), "")])
    elsewhere = late.cut
    source.cut([(Update("A", {"bid": 2}), "")])
    table.watch()
    late.close_cut(source.time)
    marks, _ = table.changes_since(elsewhere)
    assert {key: mark for key, mark in marks.items() if key != Field.TRADES} == {
        Field.STATUS: "live",
        Field.REASON: None,
    }


@pytest.mark.parametrize("data", [packed([1, 2]) + b"\0", packed([1, 2])[:-1], b""])
def test_plain_data_that_are_not_one_whole_value_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpacked_from(data)


def test_bars_that_a_follower_has_when_it_leads_are_not_added_to_those_that_it_wrote_before() -> None:
    source = Source()
    follower = FollowingCache("epoch", max_instruments=100, tables=TABLES, has_clients=False)
    source.followers.append(follower)
    minute = START // 60 * 60
    trades: Cut = [(Trade("A", "1", "5", time=(minute + 60 * each) * 1_000_000), "one") for each in range(3)]
    source.cut([(Instrument("A", 0, 0), "one"), *trades])
    before = source.cache.candles_of("A", "1m")
    assert before is not None
    follower.lead(source.time)
    # The file has the first two: it was written while another one led.
    follower.restore_bars("A", "1m", 0, 0, before.latest(2, minute + 120))
    follower.close_cut(source.time + 1, always=True)
    after = follower.candles_of("A", "1m")
    assert after is not None
    assert after.latest(10) == before.latest(10)
    # What the file does not have, or has only in part.
    unwritten = list(follower.bars_since({("A", "1m"): minute + 60}))
    assert ("A", "1m", 0, 0, before.latest(1)[0]) in unwritten[0]
    assert [bar[4][0] for bar in unwritten[0]] == [minute + 60, minute + 120]
    assert [period for (_, period, *_), *_ in unwritten] == [*TABLES.periods]
