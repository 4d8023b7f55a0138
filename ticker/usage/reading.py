"""The lines of all runs in a folder, in the order of their times: also of runs that overlap, and that still go on.

A killed process, or a loss of power, may leave half a line at the end of a run, which is passed over. Damage elsewhere,
and missing files, are problems: what is read without them may be incomplete.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, TypeAlias

from ticker.errors import ConfigError
from ticker.texts import printable
from ticker.usage.lines import (
    FORMAT,
    FileLine,
    Line,
    PartName,
    StopLine,
    decode_line,
    file_name,
    microseconds,
    parse_file_name,
)


class Problem(NamedTuple):
    """Something that makes the log incomplete."""

    path: Path
    line: int
    """The number of the line, from 1; 0: the file as a whole."""
    text: str

    def __str__(self) -> str:
        return f"{self.path}{f':{self.line}' if self.line else ''}: {self.text}"


class Part(NamedTuple):
    """A file of a run."""

    path: Path
    name: PartName


class LoggedLine(NamedTuple):
    """A line, and the time of its run in microseconds since 1970 UTC, which never goes backwards."""

    at: int
    run: str
    line: Line
    path: Path
    number: int
    """The line's in its file, from 1."""


Report: TypeAlias = Callable[[Problem], None]
_Source: TypeAlias = Iterator[LoggedLine]
_Active: TypeAlias = list[tuple[int, int, LoggedLine, _Source]]
"""A heap of the runs under way: the time of the next line, a number of the run, the line, and those behind it."""


def parts_by_run(folder: Path) -> dict[str, list[Part]]:
    """Return the files of each run, in order. Raises `ConfigError` for a folder that cannot be read or has none."""
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}; name the folder of `usage.folder`") from None
    runs: dict[str, list[Part]] = {}
    for path in found:
        name = parse_file_name(path)
        if name is not None:
            runs.setdefault(name.run, []).append(Part(path, name))
    if not runs:
        like = file_name(0, 16 * "0", 1)
        raise ConfigError(f"{folder}: no files of a usage log there, such as {like}; name the folder of `usage.folder`")
    for parts in runs.values():
        parts.sort(key=lambda part: part.name.part)
    return runs


def relevant(parts: Sequence[Part], start: str, end: str) -> Sequence[Part]:
    """Return the parts of a run that say what was seen between these times, given as in names of files.

    The first part behind them is one of these: only with it is it known that the run went on until then.
    """
    begins = [part.name.begins for part in parts]
    first = max((number for number, each in enumerate(begins) if each <= start), default=0)
    last = sum(each < end for each in begins)
    return parts[first : last + 1] if first < last else ()


def merged(runs: Sequence[Sequence[Part]], report: Report, opened: Callable[[], None]) -> _Source:
    """Yield the lines of all runs by their times; `opened` is called for each file.

    Files are opened when their time has come, so as many are open as there are runs at the same time.
    """
    waiting = sorted((parts for parts in runs if parts), key=lambda parts: parts[0].name.begins, reverse=True)
    active: _Active = []
    number = 0
    while waiting or active:
        while waiting and (not active or _begin(waiting[-1]) <= active[0][0]):
            number += 1
            _advance(active, number, _lines_of_run(waiting.pop(), report, opened))
        if active:
            _, number_of_run, logged, source = heapq.heappop(active)
            yield logged
            _advance(active, number_of_run, source)


def _advance(active: _Active, number: int, source: _Source) -> None:
    logged = next(source, None)
    if logged is not None:
        heapq.heappush(active, (logged.at, number, logged, source))


def _begin(parts: Sequence[Part]) -> int:
    return microseconds(datetime.strptime(parts[0].name.begins, "%Y%m%dT%H%M%S.%f%z"))


def _lines_of_run(parts: Sequence[Part], report: Report, opened: Callable[[], None]) -> _Source:
    """Yield the lines of a run, and at last a `stop`: nothing is known of the time after it."""
    at, run = 0, parts[0].name.run
    last: LoggedLine | None = None
    for former, part in zip([None, *parts], parts, strict=False):
        if former is not None and former.name.part + 1 != part.name.part:
            report(Problem(part.path, 0, "the file before it in its run is missing; that time is not counted"))
            if last is not None:
                yield last._replace(line=StopLine(last.line.at))
        opened()
        for number, line in _lines(part.path, report, is_last=part is parts[-1]):
            at = max(at, microseconds(line.at))
            last = LoggedLine(at, run, line, part.path, number)
            yield last
    if last is not None and not isinstance(last.line, StopLine):
        yield last._replace(line=StopLine(last.line.at))


def _lines(path: Path, report: Report, *, is_last: bool) -> Iterator[tuple[int, Line]]:
    """Yield the lines of a file with their numbers.

    Raises `ConfigError` if it cannot be read, or is of a newer version.
    """
    try:
        with path.open("rb") as file:
            for number, data in enumerate(file, 1):
                if not data.strip():
                    continue
                try:
                    line = decode_line(data)
                except ValueError as error:
                    if data.endswith(b"\n") or not is_last:
                        report(Problem(path, number, f"no line of a usage log ({error}); what it said is not counted"))
                    continue
                if isinstance(line, FileLine) and line.format > FORMAT:
                    text = f"of a newer version of Ticker ({printable(line.version)}): read it with that"
                    raise ConfigError(f"{path}:{number}: {text}")
                yield number, line
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
