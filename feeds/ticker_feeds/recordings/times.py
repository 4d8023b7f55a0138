"""Times in recordings: from the text of a cell to microseconds since 1970 UTC."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import partial
from typing import TypeAlias
from zoneinfo import ZoneInfo

from ticker.errors import ConfigError
from ticker.numbers import MAX_INTEGER
from ticker_feeds.parsing import BadInput

ReadTime: TypeAlias = Callable[[str], int]
"""From a cell to microseconds since 1970 UTC. Raises `BadInput`."""

UNITS: Mapping[str, Decimal] = {
    "s": Decimal(1_000_000),
    "ms": Decimal(1_000),
    "us": Decimal(1),
    "ns": Decimal("0.001"),
}
"""Microseconds in each unit."""

_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}

_RECENT = range(10**14, 41 * 10**14)
"""Microseconds from 1973 to 2099: times outside of it are looked at twice."""

_SMALL = 10**8
"""Times below it are counted from the beginning of something, not from 1970."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000_000
_DIGITS = re.compile(r"[0-9]+")
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"[0-9]{1,19}(?:\.[0-9]{0,12})?")
_MILLISECONDS = re.compile(r"([0-9]{1,8})(?:\.([0-9]*))?")
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})")


def time_zone(name: str) -> tzinfo:
    """Return the zone of this name, or of an offset such as `+02:00`. Raises `ConfigError`."""
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        minutes = int(offset[2]) * 60 + int(offset[3])
        if minutes < 24 * 60:
            return timezone(timedelta(minutes=minutes) * (-1 if offset[1] == "-" else 1))
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise ConfigError(
            f"time_zone {name!r}: give a name such as America/New_York (they are in the system's tzdata,"
            " or in the package tzdata), or an offset such as +02:00"
        ) from None


def time_reader(unit: str | None, zone: tzinfo) -> ReadTime:
    """Return the reader of a table's times: numbers of this unit (None: microseconds), or ISO 8601."""
    if unit in {None, "us"}:
        return partial(_microseconds, zone)
    if unit not in UNITS:
        raise ConfigError(f"time_unit {unit!r}: give one of {', '.join(UNITS)}")
    return partial(_of_unit, UNITS[unit], zone)


def exact_microseconds(cell: str) -> int:
    """Return the microseconds that a program wrote, also from before 1970. Raises `BadInput`."""
    if _WHOLE.fullmatch(cell) is None:
        raise BadInput("bad time", f"{cell!r} is no number of microseconds")
    return _bounded(int(cell), cell)


def check_unit(cell: str) -> None:
    """Raise `ConfigError` for a number that was not meant as microseconds since 1970 UTC: its date says so."""
    if _NUMBER.fullmatch(cell) is None or Decimal(cell) < _SMALL or _is_recent(cell, "us"):
        if _is_date(cell):
            raise ConfigError(f"time {cell!r} looks like a date, not like microseconds: write it as 2014-05-08")
        return
    likely = [unit for unit in ("s", "ms", "ns") if _is_recent(cell, unit)]
    guess = f"it looks like {_WORDS[likely[0]]}: give time_unit={likely[0]}" if likely else "give time_unit=s, ms or ns"
    raise ConfigError(
        f"time {cell!r} would be {_shown(Decimal(cell))} as microseconds since 1970; {guess} (time_unit=us takes it as"
        " it is), or write it as ISO 8601"
    )


def time_of_day_reader(date: str, zone: tzinfo) -> ReadTime:
    """Return the reader of milliseconds since the midnight of a day, YYYYMMDD. Raises `BadInput`."""
    return partial(_time_of_day, iso_time(date, zone))


def iso_time(text: str, zone: tzinfo) -> int:
    """Return the microseconds of a time in ISO 8601, in this zone unless it has an offset. Raises `BadInput`."""
    try:
        moment = datetime.fromisoformat(text)
        since = (moment if moment.tzinfo else moment.replace(tzinfo=zone)) - _EPOCH
    except (ValueError, OverflowError):
        raise BadInput("bad time", f"{text!r} is neither a number nor ISO 8601") from None
    return _bounded(since // timedelta(microseconds=1), text)


def _microseconds(zone: tzinfo, cell: str) -> int:
    if _DIGITS.fullmatch(cell) is None:
        return iso_time(cell, zone)
    if len(cell) > 19:
        raise BadInput("bad time", f"{cell!r} microseconds are not below 2**53")
    return _bounded(int(cell), cell)


def _of_unit(unit: Decimal, zone: tzinfo, cell: str) -> int:
    if _NUMBER.fullmatch(cell) is None:
        return iso_time(cell, zone)
    return _bounded(int(Decimal(cell) * unit), cell)


def _bounded(microseconds: int, text: str) -> int:
    if abs(microseconds) > MAX_INTEGER:
        raise BadInput("bad time", f"{text!r} is not within 2**53 microseconds of 1970")
    return microseconds


def _time_of_day(midnight: int, cell: str) -> int:
    found = _MILLISECONDS.fullmatch(cell)
    if found is None:
        raise BadInput("bad time", f"{cell!r} is not a number of milliseconds within a day")
    microseconds = int(found[1]) * 1_000 + int((found[2] or "")[:3].ljust(3, "0"))
    if microseconds > _DAY:
        raise BadInput("bad time", f"{cell!r} is not a number of milliseconds within a day")
    return midnight + microseconds


def _is_recent(cell: str, unit: str) -> bool:
    return int(Decimal(cell) * UNITS[unit]) in _RECENT


def _is_date(cell: str) -> bool:
    if len(cell) != 8 or not cell.startswith(("19", "20")):
        return False
    try:
        datetime.fromisoformat(cell)
    except ValueError:
        return False
    return True


def _shown(microseconds: Decimal) -> str:
    try:
        return (_EPOCH + timedelta(microseconds=int(microseconds))).isoformat(timespec="seconds")
    except OverflowError:
        return "after the year 9999"
