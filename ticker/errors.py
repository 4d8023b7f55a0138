"""The exceptions that Ticker raises on purpose, in one tree, and the codes and causes that they carry.

    TickerError
    ├── ConfigError          a flag, a config file or a feed spec that cannot be used; the text names it and the remedy
    ├── BadProxyHeader       a proxy's connection without the PROXY header that it has to begin with
    ├── BadPublication       a feed handed over something that is not market data
    ├── BadToken             a token that is not accepted
    │   └── UnknownKey       it is signed with an unknown key
    ├── ProtocolError        the peer broke the protocol; has the integer `code` of an ERROR message
    │   └── Gap              a DELTA that starts after the copy's cursor: resume from the cursor
    ├── HistoryFault         the file of the history cannot be used now; has the `cause`
    └── ConnectionFailed     a client could not reach, or was refused by, a server; has `status` and `close_code`

The texts are for people: they name the fault, its place and the remedy.
"""

from __future__ import annotations

from collections import Counter
from enum import IntEnum, StrEnum

MAX_CAUSES = 100
"""Number of causes of one kind of failure that are counted by name and logged."""


class TickerError(Exception):
    """The root of the tree."""


class ConfigError(TickerError):
    """A flag, a key of the config file or a feed spec that cannot be used."""


class BadProxyHeader(TickerError):
    """A connection of a proxy without the PROXY header that it has to begin with, or with a malformed one."""


class BadPublication(TickerError):
    """A feed handed over something that is not market data. `cause` is its kind, for counting."""

    def __init__(self, text: str, cause: str = "no market data") -> None:
        super().__init__(text)
        self.cause = cause


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
    UNKNOWN_TABLE = 12
    TOO_MANY_TABLES = 13


class RefusalCause(StrEnum):
    """Why a connection was refused."""

    OVERRUN = "overrun"
    """Beyond the connections whose requests are read: closed at once."""
    PROXY = "proxy"
    """A connection of a proxy does not begin with a valid PROXY header."""
    TLS = "tls"
    """The TLS handshake failed."""
    TIMEOUT = "timeout"
    """The handshake or the request took too long, or was broken off."""
    REQUEST = "request"
    """The request is invalid, or for something that does not exist."""
    ORIGIN = "origin"
    """The page comes from an origin that is not allowed."""
    TOKEN = "token"  # noqa: S105  # the name of a cause
    """No token, or a bad one."""
    FULL = "full"
    """The limit of all connections is reached."""
    ADDRESS = "address"
    """The limit of connections of one address is reached."""
    SUBJECT = "subject"
    """The limit of connections of one subject is reached."""
    MEMORY = "memory"
    """The bytes that the service keeps for this client, for its address or for all clients exceed their limit."""
    RATE = "rate"
    """Too many requests over HTTP from one subject, or else one address."""


class DropCause(StrEnum):
    """Why an admitted client was dropped."""

    STALLED = "stalled"
    """Its socket took nothing for `stall_seconds`."""
    SILENT = "silent"
    """It did not answer a ping."""
    MEMORY = "memory"
    """The bytes kept for it, for its address or for all clients exceeded their limit."""


class FaultCause(StrEnum):
    """Why the file of the history cannot be used."""

    DAMAGED = "damaged"
    NEWER = "newer"
    """Written by a newer version of Ticker."""
    FOREIGN = "foreign"
    """A database of another program."""
    LOCKED = "locked"
    """Another process has it."""
    FULL = "full"
    """The disk, or the file at its limit."""
    UNUSABLE = "unusable"
    """The folder, the file or the disk refuses."""


class HistoryFault(TickerError):
    """The file of the history cannot be used now; the text names it."""

    def __init__(self, cause: FaultCause, text: str) -> None:
        super().__init__(text)
        self.cause = cause


class ProtocolError(TickerError):
    """The peer sent something that the protocol does not allow; `code` is that of an ERROR message."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


class BadToken(TickerError):
    """A token that is not accepted; the text gives the reason, and nothing that helps to forge one."""


class UnknownKey(BadToken):
    """A token signed with an unknown key, perhaps a new one: the keys have to be loaded again."""


class Gap(ProtocolError):
    """A DELTA with `since` after the copy's cursor: changes are missing, so the client has to resume."""

    def __init__(self, since: int, cursor: int) -> None:
        super().__init__(Code.MALFORMED, f"a delta since cut {since} cannot follow cut {cursor}")


class ConnectionFailed(TickerError):
    """A client could not reach a server, or was refused by it.

    `status` is the HTTP status of the server's response, if that was no upgrade; `close_code` the code with which the
    server ended the WebSocket (PROTOCOL.md, section 8); both None where the connection failed without either.
    `retryable` tells whether another attempt may succeed without a change by the user, and `retry_seconds` is the
    shortest wait before it that the server asked for (`Retry-After`, or a GOODBYE's delay), 0 if none. The client makes
    no further attempt itself.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int | None = None,
        close_code: int | None = None,
        retryable: bool = False,
        retry_seconds: float = 0.0,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.close_code = close_code
        self.retryable = retryable
        self.retry_seconds = retry_seconds


def sole(error: BaseException) -> BaseException:
    """Return the exception within the groups that nurseries make of a single one."""
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
