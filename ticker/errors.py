"""Everything that Ticker raises on purpose, in one tree.

    TickerError
    ├── ConfigError          a flag, a config file or a feed spec that cannot be used; the text names it and the remedy
    ├── BadPublication       a feed handed over something that is not market data
    ├── BadToken             a token that lets nobody in
    │   └── UnknownKey       it is signed with a key that is not among ours
    ├── ProtocolError        the peer broke the protocol; has the integer `code` of an ERROR message
    │   └── Gap              a DELTA that starts after the copy's cursor: resume from the cursor
    └── ConnectionFailed     a client could not reach, or was refused by, a server; has `status` and `close_code`

The texts are for people: they say what is wrong, where, and what to do about it.
"""

from __future__ import annotations

from collections import Counter
from enum import IntEnum, StrEnum

MAX_CAUSES = 100
"""Number of causes of one kind of failure that are counted by name and logged."""


class TickerError(Exception):
    """The root: whatever Ticker raises on purpose is one of these."""


class ConfigError(TickerError):
    """A flag, a key of the config file or a feed spec that cannot be used."""


class BadPublication(TickerError):
    """A feed handed over something that is not market data; what it was about stays as it is."""


class Code(IntEnum):
    """The integer codes of ERROR messages and of the outcomes in a REPLY (PROTOCOL.md, section 7)."""

    OK = 0
    MALFORMED = 1
    TOO_LARGE = 2
    WRONG_ENCODING = 3
    UNKNOWN_OP = 4
    BAD_REQUEST = 5
    UNKNOWN_SYMBOL = 6
    BAD_SYMBOL = 7
    TOO_MANY_SYMBOLS = 8
    NOT_SUBSCRIBED = 9
    WRONG_EPOCH = 10
    BAD_TOKEN = 11


class RefusalCause(StrEnum):
    """Why a connection did not get in."""

    OVERRUN = "overrun"
    """More connections than can be listened to: closed at once."""
    TLS = "tls"
    """The TLS handshake failed."""
    TIMEOUT = "timeout"
    """The handshake or the request took too long, or was given up."""
    REQUEST = "request"
    """The request was not one for what is there."""
    ORIGIN = "origin"
    """A page of an origin that is not allowed."""
    TOKEN = "token"  # noqa: S105  # the name of a cause
    """No token, or a bad one."""
    FULL = "full"
    """All places are taken."""
    ADDRESS = "address"
    """All places of one address are taken."""
    SUBJECT = "subject"
    """All places of one subject are taken."""
    RATE = "rate"
    """Too many requests over HTTP from one subject, or else address."""


class ProtocolError(TickerError):
    """The peer sent something that the protocol does not allow."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


class BadToken(TickerError):
    """A token that lets nobody in; the text says why, and nothing that helps to forge one."""


class UnknownKey(BadToken):
    """A token signed with a key that is not among ours: perhaps a new one, so the keys are to be looked for again."""


class Gap(ProtocolError):
    """A DELTA whose `since` lies after the copy's cursor: changes are missing, so the client has to resume."""

    def __init__(self, since: int, cursor: int) -> None:
        super().__init__(Code.MALFORMED, f"a delta since cut {since} cannot follow cut {cursor}")


class ConnectionFailed(TickerError):
    """A client could not reach a server, or was refused by it.

    `status` is the HTTP status of the server's response, if that was no upgrade; `close_code` the code with which the
    server ended the WebSocket (PROTOCOL.md, section 8); both None where the connection failed without either.
    `retryable` tells whether another attempt may succeed without a change by the user.
    """

    def __init__(
        self, text: str, *, status: int | None = None, close_code: int | None = None, retryable: bool = False
    ) -> None:
        super().__init__(text)
        self.status = status
        self.close_code = close_code
        self.retryable = retryable


def sole(error: BaseException) -> BaseException:
    """What went wrong, out of the groups that nurseries make of a single exception."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def count_cause(counts: Counter[str], cause: str, limit: int = MAX_CAUSES) -> bool:
    """Count a failure; return whether it is the first of its cause, and so worth a line in the log.

    Counters stay bounded: beyond `limit` names, a new cause is counted as `other` and not logged.
    """
    if cause not in counts and len(counts) >= limit:
        counts["other"] += 1
        return False
    counts[cause] += 1
    return counts[cause] == 1
