"""ticker/commands/feeds.py and ticker/commands/feed_report.py: the list of installed feeds, and the report on one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from tests.commands.conftest import RunTicker
from tests.support import update
from ticker.commands.feed_report import FeedReport
from ticker.commands.feeds import ENDED, run_for
from ticker.market import MAX_FIELDS, Candle, FeedItem, Instrument, Levels, Stale, Trade, Update, Withdrawal
from ticker_feeds import Feed
from ticker_feeds.catalogue import Option, describe
from ticker_feeds.loading import BUILT_IN, find_feed
from ticker_feeds.simulation import Simulated
from ticker_feeds.simulation.faults import SYMBOLS

NOW = 1_700_000_000_000_000


class Scripted:
    """Sends its items, then ends, fails, or is silent."""

    def __init__(self, *items: FeedItem, end: Exception | None = None, silent: bool = False) -> None:
        self._items = items
        self._end = end
        self._silent = silent

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        for item in self._items:
            await updates.send(item)
        if self._silent:
            await trio.sleep_forever()
        if self._end is not None:
            raise self._end


def found(*items: object, seconds: float = 1.0) -> FeedReport:
    """The report on a feed that sent these items, one at a time."""
    report = FeedReport()
    for item in items:
        report.add(item, 0.0, NOW)
    report.finish(seconds, None)
    return report


def rows(report: FeedReport, title: str, counters: dict[str, int] | None = None) -> list[str]:
    """The lines of the report under one title."""
    return [line[13:] for line in report.lines(10.0, counters or {}) if line[:12].rstrip() == title]


def test_no_text_of_a_feed_moves_the_cursor_of_a_terminal() -> None:
    fields = cast("Any", {"bid": "\x1b[2J", "\x1b[31m": 1, "status": "\u202elive"})
    report = found(Instrument("A"), Update("A", fields), Update("\x1b[2J", {}), "\x1b[2J\nforged", Withdrawal("\x9b2J"))
    lines = report.lines(10.0, {"\x1b]0;title\x07\nforged    1": 1})
    assert all(line.isprintable() for line in lines), lines


class Quoting(Scripted):
    """Quotes its source in the error of its options."""

    def __init__(self) -> None:
        raise ValueError("the venue said \x1b[2J\u202e")


def test_an_error_that_quotes_a_source_is_only_text(run_ticker: RunTicker) -> None:
    told = run_ticker("feeds", "check", "tests.commands.test_feeds:Quoting")
    assert told.code == 2
    assert told.stderr.endswith("the venue said \\x1b[2J\\u202e\n")


def odd(*updates: Update) -> dict[str, int]:
    return dict(found(Instrument("A"), *updates).odd.counts)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_option_of_every_feed_that_comes_with_ticker_is_explained(name: str) -> None:
    summary, options = describe(find_feed(name))
    assert summary.endswith(".")
    assert options
    assert all(re.search(rf"`{option.name}[`=]", option.text) for option in options)


def test_an_option_is_explained_from_the_clause_that_first_names_it_to_the_next_option_s() -> None:
    class Documented:
        """Prices.

        `one` is the first; it goes
        on. `two` is the second, and unlike `one` it has to be given. With `three` or `four`, more.

        Raises nothing.
        """

        def __init__(
            self, *, two: str, one: int = 5, three: bool = False, four: str | None = None, five: str = ""
        ) -> None:
            """Takes them."""

        async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
            """Nothing."""

    summary, options = describe(Documented)
    assert summary == "Prices."
    assert options == [
        Option("two", "str", None, "`two` is the second, and unlike `one` it has to be given."),
        Option("one", "int", "5", "`one` is the first; it goes on."),
        Option("three", "bool", "False", "With `three` or `four`, more."),
        Option("four", "str | None", "None", "With `three` or `four`, more."),
        Option("five", "str", "", ""),
    ]


def test_installed_feeds_are_listed_with_options_and_broken_ones_with_their_error(
    run_ticker: RunTicker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "mine-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[ticker.feeds]\nmine = venue:Venue\ngone = no_such_module:Feed\n")
    (tmp_path / "venue.py").write_text(
        'class Venue:\n    """A venue.\n\n    `depth` is how deep."""\n\n'
        "    def __init__(self, *, depth: int = 3): ...\n\n    async def run(self, updates): ...\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    listed = run_ticker("feeds")
    assert listed.code == 0, listed.stderr
    for name, target in BUILT_IN.items():
        assert f"\n{name}  (comes with Ticker, {target})\n" in f"\n{listed.stdout}"
    assert "mine  (mine 2.0, venue:Venue)\n    A venue.\n    depth: int (default: 3)\n        `depth` is how deep." in (
        listed.stdout
    )
    assert "gone  (mine 2.0, no_such_module:Feed)\n    cannot be used: cannot import the module" in listed.stdout


def test_some_feeds_can_be_listed_alone(run_ticker: RunTicker) -> None:
    listed = run_ticker("feeds", "udp", "ticker_feeds.kit.template:Template")
    assert [line.split()[0] for line in listed.stdout.splitlines() if line[:1].strip()] == [
        "udp",
        "ticker_feeds.kit.template:Template",
    ]
    assert "listen: str (must be given)" in listed.stdout
    refused = run_ticker("feeds", "udq")
    assert refused.code == 2
    assert refused.stderr.startswith("ticker: there is no feed 'udq'")


def test_a_check_reports_and_ends_well_for_a_feed_without_a_fault(run_ticker: RunTicker) -> None:
    checked = run_ticker("feeds", "check", "simulated?symbols=2&rate=50", "--seconds", "1")
    assert checked.code == 0, checked.stderr
    assert checked.stdout.splitlines()[:3] == [
        "feed         simulated?symbols=2&rate=50",
        "run          went on to the end of the check",
        "instruments  2",
    ]
    assert "refused      none" in checked.stdout


@pytest.mark.parametrize(
    ("feed", "said"),
    [
        ("tests.feeds_for_tests:Failing", "run          raised OSError: OSError('the venue\\nhung up')"),
        ("tests.commands.test_feeds:Refused", "refused      unreadable bid: 1, first A: bid: 1.5 is a float"),
        ("tests.commands.test_feeds:Mute", "updates      0 in"),
    ],
)
def test_a_check_of_a_faulty_feed_ends_with_1(feed: str, said: str, run_ticker: RunTicker) -> None:
    checked = run_ticker("feeds", "check", feed, "--seconds", "0.3")
    assert checked.code == 1, checked.stderr
    assert said in checked.stdout


class Refused(Scripted):
    """Sends a float."""

    def __init__(self) -> None:
        super().__init__([Instrument("A"), update("A", last=1), update("A", bid=cast("Any", 1.5))], silent=True)


class Mute(Scripted):
    """Declares an instrument, then is silent."""

    def __init__(self) -> None:
        super().__init__(Instrument("A"), silent=True)


class Uncounted(Mute):
    """Its counts are none."""

    counters = 5


def test_a_check_of_a_feed_with_an_attribute_that_cannot_be_used_names_it(run_ticker: RunTicker) -> None:
    refused = run_ticker("feeds", "check", "tests.commands.test_feeds:Uncounted", "--seconds", "0.3")
    assert (refused.code, refused.stdout) == (2, "")
    said = "feed tests.commands.test_feeds:Uncounted: its counters is 5: give a mapping of names to numbers"
    assert said in refused.stderr


def test_an_impossible_length_of_a_check_is_refused(run_ticker: RunTicker) -> None:
    for seconds in ("0", "nan", "inf", "-1"):
        refused = run_ticker("feeds", "check", "simulated", "--seconds", seconds)
        assert (refused.code, refused.stdout) == (2, "")
        assert f"--seconds {float(seconds)}: give a number above 0" in refused.stderr


@pytest.mark.untraced
async def test_the_fault_symbols_of_the_simulated_feed_are_odd(autojump_clock: MockClock) -> None:
    report = FeedReport()
    assert await run_for(Simulated(symbols="5", rate=100.0, faults=True), 20, report) is None
    assert autojump_clock.current_time() >= 20
    assert rows(report, "instruments") == [str(5 + len(SYMBOLS))]
    assert [line.partition(", first")[0] for line in rows(report, "odd")] == ["bid above ask: 5", "crossed book: 1"]
    assert all("first TEST.CROSSED" in line for line in rows(report, "odd"))
    assert [line.partition(":")[0] for line in rows(report, "refused")] == [
        *(f"unreadable {name}" for name in ("bid", "ask", "last", "bid_size", "last_size", "levels", "status"))
    ]


def test_books_trades_and_candles_are_counted() -> None:
    report = found(
        [Instrument("A"), Instrument("B"), Instrument("C")],
        Levels("A", [(1, 5), (2, 5)], [(3, 5)], complete=True),
        Levels("A", [(3, 5)], []),
        Levels("A", [(2, 6)], []),
        Levels("B", [], [], complete=True),
        Stale("A", "gap", book_only=True),
        Levels("A", [(2, 6)], []),
        [Trade("B", "1.25", 3, "buy", 1, 7), Trade("B", 1, 3)],
        Candle("B", "1m", 60, 1, 2, 1, 2),
        Candle("B", "1w", 60, 1, 2, 1, 2),
    )
    assert rows(report, "books") == ["2/3, 0 to 3 levels a side at the most, whole 2, changes 2, stale: gap 1"]
    assert rows(report, "trades") == ["2 of 1/3, with side 1, time 1, id 1"]
    assert rows(report, "candles") == ["1m 1, of 1/3"]
    assert rows(report, "instruments") == ["3, 1 without an update: C"]
    assert "crossed book: 1, first A" in rows(report, "odd")
    assert len(rows(report, "refused")) == 2
    assert "last 1/3" in rows(report, "fields")[0]
    assert report.tables.live == 6
    assert rows(found(Instrument("A"), update("A", bid=1)), "books") == []


@pytest.mark.parametrize(
    ("feed", "end"),
    [
        (Scripted(Instrument("A")), ENDED),
        (Scripted(end=OSError("gone")), "raised OSError: OSError('gone')"),
        (Scripted([update("A")] * 10_001), "raised BadPublication: BadPublication('a batch of more than 10000"),
        (Scripted(silent=True), None),
    ],
)
async def test_the_end_of_a_run_is_reported(feed: Feed, end: str | None, autojump_clock: MockClock) -> None:
    start = autojump_clock.current_time()
    told = await run_for(feed, 30, FeedReport())
    if end is None:
        assert told is None
    else:
        assert told is not None
        assert told.startswith(end)
    assert (autojump_clock.current_time() - start == 30) == (end is None)


def test_updates_batches_fields_and_counters_are_counted() -> None:
    report = found(
        [Instrument("A"), Instrument("B"), update("A", bid=1, mine="x")],
        [],
        update("A", bid=2, ask=3),
        Withdrawal("A"),
        update("A", time=NOW),
    )
    assert rows(report, "instruments") == ["2, 1 without an update: B"]
    assert rows(report, "updates") == ["3 in 10.0 s, 0.3 a second"]
    assert rows(report, "batches") == ["5 of 6 publications"]
    assert rows(report, "fields") == ["bid 1/2, ask 1/2, time 1/2, mine 1/2"]
    assert rows(report, "counters", {"gaps": 2, "errors": 1_000}) == ["errors 1,000, gaps 2"]
    assert rows(report, "counters") == ["none"]


def test_the_longest_silence_counts_to_the_end_and_is_odd_beyond_the_feed_s_own_limit() -> None:
    report = FeedReport()
    for second in (1.0, 2.0, 5.0):
        report.add([], second, NOW)
    assert report.longest_silence == 3.0
    report.finish(6.0, 3.5)
    assert not report.odd.counts
    report.finish(9.0, 3.5)
    assert rows(report, "silence") == ["4.0 s at the longest"]
    assert rows(report, "odd") == ["silent for longer than its silence_seconds: 1, first 4.0 s, not 3.5 s"]


@pytest.mark.parametrize(
    ("updates", "kinds"),
    [
        ([update("A", bid="1.01", ask="1.00")], {"bid above ask": 1}),
        ([update("A", bid=2), update("A", ask=1), update("A", last=1)], {"bid above ask": 1}),
        ([update("A", bid=2, ask=2)], {}),
        ([update("A", bid=2), update("A", bid=None, ask=1)], {}),
        ([update("A", last=-1), update("A", volume=-1)], {"negative": 2}),
        ([update("A", last="100.00"), update("A", last="110.00"), update("A", last="99.00")], {}),
        ([update("A", last="100.00"), update("A", last="110.01")], {"jump by more than 10%": 1}),
        ([update("A", bid="100"), update("A", bid="89.99999999")], {"jump by more than 10%": 1}),
        ([update("A", last="100"), update("A", last=None), update("A", last="1")], {}),
        ([update("A", high="100"), update("A", high="200")], {}),
        ([update("A", time=NOW), update("A", time=NOW), update("A", time=NOW - 1)], {"time backwards": 1}),
        ([update("A", time=NOW // 1_000)], {"time more than a day from now": 1}),
    ],
)
def test_odd_values_are_counted_by_kind(updates: Sequence[Update], kinds: dict[str, int]) -> None:
    assert odd(*updates) == kinds


def test_the_first_example_of_a_kind_is_shown() -> None:
    report = found(Instrument("A"), update("A", bid="100.0"), update("A", bid="50.5"), update("A", bid="100.0"))
    assert rows(report, "odd") == ["jump by more than 10%: 2, first A bid 100.00 to 50.50"]


class Explosive(dict[str, int]):
    """Fields that raise when they are read."""

    def items(self) -> Any:  # noqa: ANN401  # raises
        raise RuntimeError("no")


def test_what_the_service_leaves_out_or_refuses_is_counted_with_the_first_cause() -> None:
    fields = {f"own{number}": 1 for number in range(MAX_FIELDS)}
    report = found(
        Instrument("A"),
        update("B", bid=1),
        update("A", bid="x", ask="1"),
        update("A", bid="y"),
        update("A", status="OPEN"),
        update("A", **fields),
        {"A": 1},
        Update("C", {}),
        Update("A", Explosive()),
    )
    words = "give one of live, stale, halted, closed"
    wanted = "give one of Instrument, Update, Withdrawal, Stale, Levels, Trade or Candle"
    assert rows(report, "refused") == [
        "unreadable bid: 2, first A: bid: 'x' is not a decimal number",
        "Update of 'B': 1, first 'B' was not declared: publish its Instrument first",
        f"unreadable status: 1, first A: status: 'OPEN' is a str: {words}",
        f"too many fields: 1, first A: own{MAX_FIELDS - 1}: more than {MAX_FIELDS} fields",
        f"dict: 1, first a feed published a dict: {wanted}",
        "Update of 'C': 1, first 'C' was not declared: publish its Instrument first",
        "Update of 'A': 1, first RuntimeError while it was read: RuntimeError('no')",
    ]
    assert rows(found(Instrument("A"), Update("A", Explosive())), "refused") == [
        "Update of 'A': 1, first RuntimeError while it was read: RuntimeError('no')"
    ]
    many = found(*(update(f"S{number}", bid=1) for number in range(100)))
    assert len(rows(many, "refused")) == 13
    assert rows(many, "refused")[-1] == "and 88 kinds more"


def test_the_commands_are_documented(run_ticker: RunTicker) -> None:
    for arguments in (["--help"], ["check", "--help"]):
        shown = run_ticker("feeds", *arguments)
        assert shown.code == 0
        assert "Usage: ticker feeds" in shown.stdout


def test_a_report_shows_its_counts_in_a_debugger() -> None:
    report = found(Instrument("A"), update("A", last=-1), update("A", bid="x"))
    assert repr(report) == "<FeedReport: 2 updates, 1 odd, 1 refused>"


class Hyphenated(Scripted):
    __doc__ = f"""{"x" * 85} price-scale of a feed."""


def test_a_hyphenated_name_is_not_broken_across_lines(run_ticker: RunTicker) -> None:
    listed = run_ticker("feeds", "tests.commands.test_feeds:Hyphenated")
    assert listed.stdout.splitlines()[1:3] == [f"    {'x' * 85}", "    price-scale of a feed."]
