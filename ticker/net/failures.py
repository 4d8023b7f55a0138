"""Failures for the log: one line for an expected failure outside, and one traceback for each new fault of code.

A name that is not found, a connection that is refused or lost, a certificate that does not fit, a time-out and a
refusal by the peer are expected: they happen to correct code, and the line says all. Any other exception is a fault of
code: its first occurrence is logged with a traceback, and further ones as a line.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator

import structlog
import trio

from ticker.errors import BadPublication, TickerError, count_cause
from ticker.texts import excerpt

_NETWORK_PACKAGES = {
    "trio_websocket", "wsproto", "h11", "websockets", "aiohttp", "httpx", "httpx2", "httpcore", "httpcore2", "requests",
    "urllib3", "redis", "valkey", "nats", "zmq",
}  # fmt: skip
"""Packages whose own exceptions are about a peer or a connection. (Feeds may use any of them.)"""

_MAX_CAUSES_SHOWN = 3
"""Different causes in one group of exceptions that its line names."""


def is_expected(error: BaseException) -> bool:
    """Whether a failure comes from outside, in full: every exception of a group."""
    return all(_is_expected(each) for each in _leaves(error))


def _is_expected(error: BaseException) -> bool:
    if isinstance(error, BadPublication):
        return False
    known = OSError | TickerError | EOFError | trio.BrokenResourceError | trio.TooSlowError
    return isinstance(error, known) or type(error).__module__.partition(".")[0] in _NETWORK_PACKAGES


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def cause_of(error: BaseException) -> str:
    """Return the cause of a failure in one line of printable characters."""
    texts = list(dict.fromkeys(_text(each) for each in _leaves(error)))
    more = f"; and {len(texts) - _MAX_CAUSES_SHOWN} more" if len(texts) > _MAX_CAUSES_SHOWN else ""
    return excerpt(" ".join(("; ".join(texts[:_MAX_CAUSES_SHOWN]) + more).split()))


def _text(error: BaseException) -> str:
    name, text = type(error).__name__, str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    inner = error.__cause__ or (None if text else error.__context__)
    if inner is not None and (not text or isinstance(error, OSError)):
        # Such as Trio's for all addresses of a name: the reason stands in the exceptions that it was raised from.
        return f"{text or name}: {cause_of(inner)}"
    if not text:
        return name
    return text if isinstance(error, OSError | TickerError) else f"{name}: {text}"


class FailureLog:
    """Logs failures; it remembers the faults of code that it has logged with their traceback."""

    def __init__(self, logger: structlog.stdlib.BoundLogger) -> None:
        self._log = logger
        self._faults: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<FailureLog: {len(self._faults)} faults of code, seen {self._faults.total()} times>"

    def write(self, event: str, error: BaseException, **context: object) -> None:
        """Log a failure: its cause and the context, and a traceback if it is a new fault of code."""
        cause = cause_of(error)
        if is_expected(error):
            self._log.warning(event, **context, cause=cause)
            return
        place = _place(error)
        if count_cause(self._faults, f"{type(error).__name__} {place}"):
            self._log.error(event, **context, cause=cause, exc_info=error)
        else:
            self._log.error(event, **context, cause=f"{cause}, again at {place}")


def _place(error: BaseException) -> str:
    """Return where the first fault of code among these was raised, `file:line`."""
    fault = next((each for each in _leaves(error) if not _is_expected(each)), error)
    frames = traceback.extract_tb(fault.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"
