"""Durations as people write them: `15m`, `900s`, `1h`."""

from __future__ import annotations

import re

from ticker.bus_bounds import MAX_DELAY_SECONDS
from ticker.errors import ConfigError

_SECONDS = {"s": 1, "m": 60, "h": 3_600}


def parse_delay(text: str, key: str) -> int:
    """Return the seconds of a delay in the setting `key`, at most `MAX_DELAY_SECONDS`. Raises `ConfigError`."""
    found = re.fullmatch("([0-9]{1,9})([smh])", text)
    seconds = int(found[1]) * _SECONDS[found[2]] if found is not None else 0
    if not 1 <= seconds <= MAX_DELAY_SECONDS:
        raise ConfigError(
            f"{key} {text[:40]!r}: give a number and s, m or h, such as 15m; at most {duration(MAX_DELAY_SECONDS)}"
        )
    return seconds


def duration(seconds: int) -> str:
    """Return a duration for people, in the largest unit that fits: 15 min, 90 s, 1 h."""
    for size, unit in ((3_600, "h"), (60, "min")):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
