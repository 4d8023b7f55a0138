"""The sums of a usage log on stdout: as a table for people, as CSV, and as lines of JSON."""

from __future__ import annotations

import csv
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from ticker.texts import printable
from ticker.usage.counting import KINDS, Count, Key, Month, NameIndex, Row
from ticker_feeds.recordings.table import escaped

_COUNTS = ("connections", "most", "hours")
_INSTRUMENTS = ("instruments", "quotes", *KINDS)
COLUMNS = ("month", "subject", "address", "data", *_COUNTS, *_INSTRUMENTS)


class Report(ABC):
    """Writes months to stdout."""

    def __init__(self, names: NameIndex, subject: str | None) -> None:
        """With a `subject`, only what it saw."""
        self._names = names
        self._subject = subject

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._subject or 'all'}>"

    @abstractmethod
    def write(self, month: Month) -> None:
        """Write the sums of a month."""

    def rows(self, month: Month) -> Iterator[tuple[Key, Row]]:
        """Yield the rows to show, by subject."""
        for key in sorted(month.rows, key=lambda key: (key.subject.name or "", key.subject.address, key.delayed)):
            if self._subject is None or self._subject in {key.subject.name, key.subject.address}:
                yield key, month.rows[key]

    def numbers(self, row: Row) -> dict[str, Any]:
        """Return the columns of a row from the connections on."""
        instruments = self._names.count(row.names)
        return {**_counts(row), "instruments": instruments.any, "quotes": instruments.quotes, **instruments.tables}


class CsvReport(Report):
    """A row for each month, subject, and real-time or delayed."""

    def __init__(self, names: NameIndex, subject: str | None) -> None:
        super().__init__(names, subject)
        self._rows = csv.writer(sys.stdout, lineterminator="\n")
        self._rows.writerow(COLUMNS)

    def write(self, month: Month) -> None:
        """Write its rows."""
        for key, row in self.rows(month):
            cells = [escaped(printable(text)) if text else "" for text in (key.subject.name, key.subject.address)]
            self._rows.writerow([month, *cells, _data(key), *self.numbers(row).values()])


class JsonReport(Report):
    """A line for each month."""

    def write(self, month: Month) -> None:
        """Write its line."""
        content: dict[str, Any] = {"month": str(month)}
        if self._subject is None:
            for delayed, name in ((False, "real_time"), (True, "delayed")):
                subjects = month.subjects(delayed=delayed)
                content[name] = {"subjects": len(subjects), **_counts(month.totals[delayed])}
        content["subjects"] = [
            {"subject": key.subject.name, "address": key.subject.address or None, "delayed": key.delayed}
            | self.numbers(row)
            for key, row in self.rows(month)
        ]
        print(json.dumps(content))


class TextReport(Report):
    """A table for each month, with totals below it."""

    def write(self, month: Month) -> None:
        """Write its table."""
        lines: list[tuple[str, ...]] = [(str(month), "data", *_COUNTS, *_INSTRUMENTS)]
        for key, row in self.rows(month):
            name = f"{key.subject.address} (no token)" if key.subject.name is None else key.subject.name
            lines.append((printable(name), _data(key), *_texts(self.numbers(row))))
        if self._subject is None:
            lines += _totals(month)
        if len(lines) == 1:
            return
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        aligned: list[Callable[[str, int], str]] = [str.ljust, str.ljust, *[str.rjust] * (len(widths) - 2)]
        for line in lines:
            cells = (align(cell, width) for align, cell, width in zip(aligned, line, widths, strict=True))
            print("  ".join(cells).rstrip())
        print()


def _totals(month: Month) -> Iterator[tuple[str, ...]]:
    for delayed, total in month.totals.items():
        if total.connections:
            count = len(month.subjects(delayed=delayed))
            name = f"{count} subject{'s' if count != 1 else ''}"
            data = "only delayed" if delayed else "real-time"
            yield (name, data, *_texts(_counts(total)), *[""] * len(_INSTRUMENTS))


def _counts(count: Count) -> dict[str, Any]:
    hours = round(count.microseconds / 3_600_000_000, 4)
    return dict(zip(_COUNTS, (count.connections, count.most, hours), strict=True))


def _texts(numbers: dict[str, Any]) -> list[str]:
    return [f"{value:.2f}" if name == "hours" else str(value) for name, value in numbers.items()]


def _data(key: Key) -> str:
    return "delayed" if key.delayed else "real-time"
