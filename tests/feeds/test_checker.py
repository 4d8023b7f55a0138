"""ticker_feeds/kit/checker.py: the conformance kit lets good feeds pass, and names the rule that a bad one breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.feeds.bad_feeds import (
    Attributed,
    Channel,
    DeclaringOnce,
    Failing,
    FailingAgain,
    FailingAtItsEnd,
    FailingWhileFull,
    FarewellShielded,
    Mute,
    Outliving,
    Queueing,
    Reusing,
    ReusingLevels,
    RunningOnce,
    Sending,
    Shielded,
    Steady,
    Swallowing,
    TaskForEach,
)
from ticker.config import Limits
from ticker.core.last_value import LastValueCache
from ticker.errors import BadPublication
from ticker.market import MAX_BATCH, Candle, Instrument, Levels, Publication, Side, Stale, Trade, Update, Withdrawal
from ticker_feeds.kit import Nonconformity, check_feed, conformance
from ticker_feeds.kit.rules import RULES, PublicationChecker
from ticker_feeds.simulation import Simulated


def quote(**fields: object) -> Update:
    return Update("A", cast("dict[str, Any]", fields))


BOOK = Levels("A", [(1, 5)], [(2, 5)], complete=True)

BAD: list[tuple[str, Callable[[], Steady], str]] = [
    ("attributes", lambda: Attributed(silence_seconds=0), "silence_seconds is 0"),
    ("attributes", lambda: Attributed(instrument_silence_seconds="5"), "instrument_silence_seconds is '5'"),
    ("attributes", lambda: Attributed(counters={"gaps": "1"}), "counters is {'gaps': '1'}"),
    ("attributes", lambda: Attributed(faulty_symbols="A"), "faulty_symbols is 'A'"),
    ("attributes", lambda: Attributed(faulty_symbols=[1]), "faulty_symbols is [1]"),
    ("no failure", Failing, "run raised OSError: the venue hung up"),
    ("something comes", Mute, "no update came within 5 s"),
    ("publications only", lambda: Sending(("A", {"last": 1})), "'A' was sent, a str"),
    ("publications only", lambda: Sending(SimpleNamespace()), "namespace() was sent"),
    ("declared first", lambda: Sending(Update("B", {"last": 1})), "'B' was sent before its Instrument"),
    ("declared first", lambda: Sending([Withdrawal("B")]), "'B' was sent before its Instrument"),
    ("no floats", lambda: Sending(quote(bid=1.1)), "A: 'bid' is the float 1.1"),
    ("values", lambda: Sending(quote(bid="1,1")), "A: '1,1' is not a decimal number"),
    ("values", lambda: Sending(quote(time="now")), "A: 'now' is not a decimal number"),
    ("values", lambda: Sending(Update("A", cast("dict[str, Any]", [("bid", 1)]))), "no mapping"),
    ("status", lambda: Sending(quote(status="OPEN")), "A: status is 'OPEN'"),
    ("declared first", lambda: Sending(Trade("B", 1, 1)), "'B' was sent before its Instrument"),
    ("no floats", lambda: Sending(Levels("A", [(1.1, 5)], (), complete=True)), "A: Levels with the float 1.1"),  # type: ignore[list-item]
    ("no floats", lambda: Sending(Trade("A", 1, 1, time=1.7e15)), "A: Trade with the float 1700000000000000.0"),  # type: ignore[arg-type]
    ("whole book first", lambda: Sending(Levels("A", [(1, 5)], ())), "A: levels changed in a book without any"),
    ("whole book first", lambda: Sending(BOOK, Stale("A", "gap"), Levels("A", [(1, 5)], ())), "in a book without any"),
    ("whole book first", lambda: Sending(BOOK, Withdrawal("A"), Levels("A", [(1, 5)], ())), "in a book without any"),
    ("tables", lambda: Sending(Levels("A", [(1,)], (), complete=True)), "A: bids[0] (1,): give [price, size]"),  # type: ignore[list-item]
    (
        "tables",
        lambda: Sending(Levels("A", (), [(1, -5)], complete=True)),
        "A: asks[0] size -5: a size is not",
    ),
    ("tables", lambda: Sending(Trade("A", 1, 1, "Buy")), "A: side 'Buy': give buy or sell"),
    ("tables", lambda: Sending(Trade("A", 1, 1, time="12:00")), "A: time '12:00': give whole microseconds"),  # type: ignore[arg-type]
    ("tables", lambda: Sending(Trade("A", 1, 1, id=b"7")), "A: id b'7': give the venue's"),  # type: ignore[arg-type]
    (
        "tables",
        lambda: Sending(Candle("A", "1m", 61, 1, 1, 1, 1)),
        "A: start 61: a bar of 1m begins at",
    ),
    ("tables", lambda: Sending(Candle("A", "1m", 60, 1, 2, "1.5", 2)), "A: high 2 and low 1.5: open 1 and close 2 lie"),
    ("bounded batches", lambda: Sending([quote(last=1)] * (MAX_BATCH + 1)), f"{MAX_BATCH + 1} publications"),
    ("hands off", Reusing, "was altered when it had been sent"),
    ("hands off", ReusingLevels, "was altered when it had been sent"),
    ("prompt cancellation", Shielded, "run went on for more than 1 s"),
    ("prompt cancellation", Swallowing, "run went on for more than 1 s"),
    ("prompt cancellation", FailingAtItsEnd, "run raised OSError: cannot say goodbye"),
    ("silence after the end", FarewellShielded, "1 more came"),
    ("bounded memory", TaskForEach, "sends waited at once"),
    ("bounded memory", Queueing, "bytes within 1 s"),
    ("bounded memory", FailingWhileFull, "with a full channel, run raised TooSlowError"),
    ("clean restart", DeclaringOnce, "when run was called again, 'A' was sent before its Instrument"),
    ("clean restart", RunningOnce, "when run was called again, no update came within 5 s"),
    ("clean restart", FailingAgain, "when run was called again, run raised OSError: the port is in use"),
]


def check(feed: Steady) -> None:
    """Check a feed that only sleeps, in no time."""
    trio.run(check_feed, feed, clock=MockClock(autojump_threshold=0))


def test_a_good_feed_passes() -> None:
    feed = Steady()
    check(feed)
    assert feed.runs == 3


@pytest.mark.parametrize(
    ("rule", "make", "finding"), BAD, ids=[f"{rule}-{number}" for number, (rule, *_) in enumerate(BAD)]
)
def test_a_bad_feed_is_told_the_rule_what_happened_and_what_to_do(
    rule: str, make: Callable[[], Steady], finding: str
) -> None:
    with pytest.raises(Nonconformity) as caught:
        check(make())
    assert caught.value.rule == rule
    assert finding in caught.value.finding
    assert str(caught.value) == f"{rule}: {caught.value.finding}. {RULES[rule]}."


def test_a_good_feed_with_a_book_trades_and_candles_passes() -> None:
    check(
        Sending(
            [BOOK, Candle("A", "1m", 60, 1, 2, 1, 2, 5, 3), Candle("A", "1d", 79_200, "1.5", 2, -1, 2)],
            Levels("A", [(1, 0)], [("2.5", Decimal(7))]),
            Trade("A", 1, 0, Side.SELL, 1_700_000_000_000_000, "x-1"),
            Stale("A", "gap", book_only=True),
            [Levels("A", (), (), complete=True, depth=25), Levels("A", (), (("3", "1"),))],
        )
    )


def test_a_feed_of_trades_alone_passes() -> None:
    class Printing(Steady):
        async def go_on(self, updates: Channel) -> None:
            while True:
                await updates.send(Trade("A", "1.25", 1))
                await trio.sleep(0.1)

    check(Printing())


async def test_a_task_that_outlives_run_is_found() -> None:
    async with trio.open_nursery() as nursery:
        with pytest.raises(Nonconformity, match="silence after the end: 1 more came"):
            await check_feed(Outliving(nursery), updates=3, full_seconds=0.1)
        nursery.cancel_scope.cancel()


def test_there_is_a_bad_feed_for_every_rule() -> None:
    assert {rule for rule, *_ in BAD} == RULES.keys()
    assert Limits().max_batch == MAX_BATCH


def test_a_feed_that_goes_on_is_told_so_before_it_ends(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Nonconformity):
        check(Shielded())
    assert "prompt cancellation: run went on for more than 1 s" in capfd.readouterr().err


class Ending:
    """A source that has an end."""

    async def run(self, updates: Channel) -> None:
        async with updates:
            await updates.send([Instrument("A"), Update("A", {"last": Decimal("1E-7"), "mine": "text"})])


test_a_feed_that_ends_and_closes_its_channel_passes_in_one_line = conformance(Ending, full_seconds=0.1)

test_the_simulated_feed_with_its_fault_symbols_passes = conformance(
    lambda: Simulated(rate=2_000.0), seconds=1.0, full_seconds=0.1
)


def test_the_one_line_test_fails_for_a_bad_feed() -> None:
    test = conformance(lambda: Sending(quote(bid=1.1)))
    with pytest.raises(Nonconformity, match=r"no floats: A: 'bid' is the float 1\.1"):
        test()


NAMES = st.sampled_from(
    ["bid", "ask", "last_size", "volume", "time", "trade_count", "reason", "own", "other", "Bad", ""]
)
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**54), 2**54),
    st.decimals(allow_nan=True, allow_infinity=True),
    st.decimals(-1_000, 1_000, places=6),
    st.sampled_from(
        ["", "1", "-1.50", "1.1234567", "1e-9", "0.000000000000001", "9007199254740993", "text", "a\nb", "x" * 257]
    ),
    st.binary(max_size=2),
)
SIDES: st.SearchStrategy[Any] = st.one_of(
    st.lists(st.tuples(VALUES, VALUES), max_size=2),
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from([0, 1, "2.5"])), max_size=3),
    st.sampled_from([None, [(1,)], "ab"]),
)
PUBLICATIONS = st.one_of(
    st.builds(Instrument, st.just("A"), st.integers(0, 15), st.integers(0, 15)),
    st.builds(Update, st.sampled_from("AAAB"), st.dictionaries(NAMES, VALUES, max_size=3)),
    st.builds(Withdrawal, st.sampled_from("AAAB")),
    st.builds(Stale, st.sampled_from("AAAB"), st.just("gap"), st.just(value=False)),
    st.builds(Levels, st.sampled_from("AAAB"), SIDES, SIDES, st.booleans(), st.sampled_from([None, None, 2, 0, "5"])),
    st.builds(
        Trade,
        st.sampled_from("AAAB"),
        VALUES,
        VALUES,
        st.sampled_from([None, "buy", "sell", "SELL", 1]),
        st.none() | VALUES,
        st.none() | VALUES,
    ),
    st.builds(
        Candle,
        st.sampled_from("AAAB"),
        st.sampled_from(["1m", "1d", "1w", 60]),
        st.sampled_from([0, 60, 61, 86_400, -60, "60"]),
        *[st.sampled_from(["1", 2, "1.5", Decimal(2), "x", 1.5])] * 4,
        VALUES,
        VALUES,
    ),
)


@given(st.lists(PUBLICATIONS, max_size=12))
def test_the_kit_accepts_what_the_cache_accepts_and_nothing_else(publications: Sequence[Publication]) -> None:
    cache, judge = LastValueCache("epoch"), PublicationChecker()
    for publication in publications:
        accepted = True
        try:
            accepted = not cache.publish(publication)
        except BadPublication:
            accepted = False
        if accepted:
            judge.take(publication)
        else:
            with pytest.raises(Nonconformity):
                judge.take(publication)
            return


@pytest.mark.parametrize(("count", "fits"), [(64, True), (65, False)])
def test_the_kit_counts_fields_as_the_cache_does(count: int, *, fits: bool) -> None:
    fields: dict[str, Any] = {f"field_{number}": number for number in range(count)} | {"status": "live", "reason": "r"}
    cache, judge = LastValueCache("epoch"), PublicationChecker()
    for take in (cache.publish, judge.take):
        cast("Callable[[object], None]", take)(Instrument("A"))
        if fits:
            cast("Callable[[object], None]", take)(Update("A", fields))
    if not fits:
        assert [each.cause for each in cache.publish(Update("A", fields))] == ["too many fields"]
        with pytest.raises(Nonconformity, match="more than 64 fields"):
            judge.take(Update("A", fields))
