"""`ticker usage`: the usage log of a service, summed by month and subject, also while the service runs."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ticker.commands.usage_report import CsvReport, JsonReport, TextReport
from ticker.errors import ConfigError
from ticker.texts import excerpt, printable
from ticker.usage.counting import UsageCounter
from ticker.usage.reading import LoggedLine, Problem, merged, parts_by_run, relevant

SHOWN_PROBLEMS = 20
"""Problems that are printed; of further ones only the number."""

_BEFORE, _AFTER = "0", "~"
"""Before and after all times in names of files."""


def usage(
    folder: Path,
    *,
    month: str | None = None,
    subject: str | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
    csv: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Sum up a usage log (`[usage] folder` of `ticker serve`): which subject saw how much in which month.

    It counts as exchanges do. A subject is the `sub` of a token, or without one the address; it counts once a month,
    however often it connects, and as real-time if it had any real-time data. `most` is the largest number of its
    connections at any one moment, `hours` the sum of the hours of all of them. An instrument counts once a month:
    `instruments` are those of which the subject saw anything, `quotes` those whose fields it saw, `book`, `trades` and
    `candles` those of which it saw such a table. Months are of UTC; a connection counts in each that it was open in,
    while it saw anything.

    The files of several services lie in one folder, or are copied into one. They may be in use. A service that was
    killed counts until its last line, ten seconds before its end at most. The exit code is 1 if the log is damaged or
    incomplete, with a line for each cause on stderr.

    Parameters
    ----------
    folder
        The folder with the files.
    month
        Only this month, such as 2026-11. [default: all]
    subject
        Only this subject: a token's `sub`, or an address without one. [default: all]
    json
        One line of JSON for each month.
    csv
        A table with a row for each month, subject, and real-time or delayed.
    """
    if json and csv:
        raise ConfigError("usage: give --json or --csv, not both")
    begin, end = _span(month)
    runs = [relevant(parts, begin, end) for parts in parts_by_run(folder).values()]
    problems = _Problems()
    counter = UsageCounter(problems.wrong)
    report = (JsonReport if json else CsvReport if csv else TextReport)(counter.names, subject)
    progress = _Progress(sum(map(len, runs)))
    for each in counter.count(merged(runs, problems.report, progress.next_file)):
        if month is None or str(each) == month:
            progress.clear()
            report.write(each)
    progress.clear()
    for lost in counter.lost:
        span = f"between {lost.since:%F %T} and {lost.until:%F %T} UTC"
        text = f"{lost.events} events {span} are in no file; connections that changed meanwhile are not exact"
        problems.add(f"{folder}: run {printable(lost.run)}: {text}")
    return problems.finish()


def _span(month: str | None) -> tuple[str, str]:
    """Return the times, as in names of files, between which a month is. Raises `ConfigError`."""
    if month is None:
        return _BEFORE, _AFTER
    if re.fullmatch("[0-9]{4}-(0[1-9]|1[0-2])", month) is None:
        raise ConfigError(f"--month {printable(month)}: give a month such as {datetime.now(UTC):%Y-%m}")
    digits = month.replace("-", "")
    return f"{digits}01T", f"{digits}99T"


class _Problems:
    """What makes the sums incomplete; printed on stderr as it is found."""

    def __init__(self) -> None:
        self._count = 0

    def __repr__(self) -> str:
        return f"<_Problems: {self._count}>"

    def report(self, problem: Problem) -> None:
        """Add one of a file."""
        self.add(str(problem))

    def wrong(self, logged: LoggedLine, text: str) -> None:
        """Add one of a line."""
        self.add(str(Problem(logged.path, logged.number, text)))

    def add(self, text: str) -> None:
        """Add one, and print it unless there are many."""
        self._count += 1
        if self._count <= SHOWN_PROBLEMS:
            print(f"ticker: {excerpt(text)}", file=sys.stderr)

    def finish(self) -> int:
        """Print how many there are, if they are many; return the exit code."""
        if self._count > SHOWN_PROBLEMS:
            print(f"ticker: {self._count - SHOWN_PROBLEMS} further problems", file=sys.stderr)
        return int(self._count > 0)


class _Progress:
    """The number of files that are read, on a terminal."""

    def __init__(self, files: int) -> None:
        self._files = files
        self._number = 0
        self._on = sys.stderr.isatty()

    def __repr__(self) -> str:
        return f"<_Progress: {self._number} of {self._files}>"

    def next_file(self) -> None:
        """Show that another one is opened."""
        self._number += 1
        if self._on:
            print(f"\r{self._number} of {self._files} files", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the text back."""
        if self._on:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
