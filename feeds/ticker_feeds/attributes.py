"""The optional attributes of a feed, which may be anything until they are checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from numbers import Real
from typing import Any, NamedTuple

from ticker.errors import ConfigError
from ticker.texts import shown
from ticker_feeds import Feed


class Attributes(NamedTuple):
    """Those of one feed (`ticker_feeds` says what each is for)."""

    silence_seconds: float | None
    instrument_silence_seconds: float | None
    counters: Mapping[str, float]
    """The feed's own: it goes on counting there."""
    faulty_symbols: frozenset[str]


def counts_in(counters: Mapping[Any, object]) -> dict[str, float]:
    """Return the counts by name; what a feed has put among them since they were checked, and is none, is left out."""
    counts = {name: number_in(count) for name, count in counters.items() if isinstance(name, str)}
    return {name: count for name, count in counts.items() if count is not None}


def number_in(value: object) -> float | None:
    """Return a number of any kind as a float; None if it is no number, or too large for one."""
    try:
        return float(value) if isinstance(value, Real) else None
    except OverflowError:
        return None


def attributes_of(feed: Feed) -> Attributes:
    """Return the attributes of a feed, checked. Raises `ConfigError`, which names the attribute and the remedy."""
    return Attributes(
        _seconds(feed, "silence_seconds"),
        _seconds(feed, "instrument_silence_seconds"),
        _counters(feed),
        _faulty_symbols(feed),
    )


def _seconds(feed: Feed, name: str) -> float | None:
    given = getattr(feed, name, None)
    if given is None:
        return None
    seconds = None if isinstance(given, bool) else number_in(given)
    if seconds is None or not seconds > 0:
        raise ConfigError(f"its {name} is {shown(given)}: give None or a number above 0")
    return seconds


def _counters(feed: Feed) -> Mapping[str, float]:
    counters = getattr(feed, "counters", {})
    if not isinstance(counters, Mapping) or not all(
        isinstance(name, str) and number_in(count) is not None for name, count in counters.items()
    ):
        raise ConfigError(f"its counters is {shown(counters)}: give a mapping of names to numbers")
    return counters


def _faulty_symbols(feed: Feed) -> frozenset[str]:
    symbols = getattr(feed, "faulty_symbols", ())
    if (
        isinstance(symbols, str)
        or not isinstance(symbols, Collection)
        or not all(isinstance(each, str) for each in symbols)
    ):
        raise ConfigError(f"its faulty_symbols is {shown(symbols)}: give a collection of texts")
    return frozenset(symbols)
