"""Flags that several commands have: their checks, and the token file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import trio

from ticker.config import MAX_INTERVAL_MS
from ticker.errors import ConfigError


def check_interval(interval: int | None) -> None:
    """Raise `ConfigError` unless `--interval` is a number of milliseconds in the protocol's range."""
    if interval is not None and not 0 <= interval <= MAX_INTERVAL_MS:
        raise ConfigError(f"--interval {interval}: give 0 to {MAX_INTERVAL_MS} milliseconds")


def seconds_or_forever(duration: float | None) -> float:
    """Return `--duration` in seconds, infinity if it was left out. Raises `ConfigError`."""
    if duration is None:
        return float("inf")
    if not duration >= 0:
        raise ConfigError(f"--duration {duration}: give a number of seconds, 0 or more")
    return duration


def token_reader(path: Path | None) -> Callable[[], Awaitable[str]] | None:
    """Return a function that reads the token anew from `--token-file`, or None without that flag."""
    return None if path is None else partial(_read_token, path)


async def _read_token(path: Path) -> str:
    try:
        return (await trio.Path(path).read_text(encoding="ascii")).strip()
    except OSError as error:
        raise ConfigError(f"--token-file {path}: {error.strerror}; give a readable file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"--token-file {path}: not ASCII text; give a file that holds only the token") from None
