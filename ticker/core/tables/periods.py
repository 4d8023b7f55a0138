"""Periods of candles: `1s`, `5m`, `1h`, `1d`."""

from __future__ import annotations

from ticker.core.tables.days import Days

_SECONDS = {"s": 1, "m": 60, "h": 3_600}


class Period:
    """The length of a bar, and where bars begin: at multiples of it since 1970 UTC, or with a day."""

    __slots__ = ("_days", "_seconds", "name")

    def __init__(self, name: str, days: Days) -> None:
        """`name` is a number and s, m, h or d."""
        self.name = name
        self._days = days if name[-1] == "d" else None
        self._seconds = int(name[:-1]) * _SECONDS.get(name[-1], 1)

    def __repr__(self) -> str:
        return f"<Period {self.name}>"

    @property
    def seconds(self) -> int:
        """Its length; that of a day with 24 hours."""
        return self._seconds if self._days is None else self._seconds * 86_400

    def bounds(self, second: int) -> tuple[int, int]:
        """Return start and end of the bar with this second, in seconds since 1970 UTC."""
        if self._days is not None:
            return self._days.bounds(second, self._seconds)
        start = second - second % self._seconds
        return start, start + self._seconds
