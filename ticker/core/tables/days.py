"""Where days begin: in a zone, at an hour, with 23 or 25 hours twice a year.

Calendar arithmetic only: no moment is taken from a clock.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ticker.errors import ConfigError
from ticker.texts import shown

_NOON = 12

_DAY = re.compile(r"(\S+)(?: ([01][0-9]|2[0-3]):([0-5][0-9]))?")


class Days:
    """Days that begin at the same time of a zone's clocks: `UTC`, `America/New_York 17:00`."""

    def __init__(self, text: str) -> None:
        """Raises `ConfigError` for a text that names no zone and time."""
        remedy = "give a zone of the IANA database, and perhaps HH:MM (America/New_York 17:00)"
        found = _DAY.fullmatch(text)
        if found is None:
            raise ConfigError(f"tables.day = {shown(text)}: {remedy}")
        try:
            self._zone = ZoneInfo(found[1])
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ConfigError(f"tables.day = {shown(text)}: this system knows no such zone; {remedy}") from None
        self._text = text
        self._hour, self._minute = int(found[2] or 0), int(found[3] or 0)
        # By the number of days, the latest answer.
        self._latest: dict[int, tuple[int, int]] = {}

    def __repr__(self) -> str:
        return f"<Days of {self._text}>"

    def bounds(self, second: int, count: int = 1) -> tuple[int, int]:
        """Return start and end of the `count` days with this second, in seconds since 1970 UTC.

        Mostly all instruments ask for the same ones: these are kept, since the calendar takes 20 µs.
        """
        known = self._latest.get(count)
        if known is None or not known[0] <= second < known[1]:
            known = self._latest[count] = self._bounds(second, count)
        return known

    def _bounds(self, second: int, count: int) -> tuple[int, int]:
        today = datetime.fromtimestamp(second, self._zone).date()
        if second < self._start(today):
            today -= timedelta(days=1)
        elif second >= self._start(today + timedelta(days=1)):
            today += timedelta(days=1)
        # A week begins on Monday. A day that begins in the afternoon is called by the next date: its Monday on Sunday.
        monday = 0 if self._hour >= _NOON else 1
        first = today - timedelta(days=(today.toordinal() - monday) % count)
        return self._start(first), self._start(first + timedelta(days=count))

    def _start(self, day: date) -> int:
        # A time that does not exist on this day is taken as if the clocks had not been put forward yet.
        return int(datetime(day.year, day.month, day.day, self._hour, self._minute, tzinfo=self._zone).timestamp())
