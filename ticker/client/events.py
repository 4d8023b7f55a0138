"""The events of a client's connection and names, for the function given as `on_event`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from ticker.errors import Code


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection is up. `resumed`: the copy continues from its cursor; otherwise all values come anew."""

    url: str
    session: str
    resumed: bool
    delay_seconds: int = 0
    """By how much the server shows the market later than it is, because its licence says so; 0 in real time."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection was lost, or could not be made again; a retry follows after `retry_seconds`.

    `status` is the HTTP status of a response that was no upgrade, `close_code` the code with which the server ended the
    WebSocket (PROTOCOL.md, sections 2 and 8); both None without either. A client that does not retry reports no
    `Disconnected`: its subscriptions end with `ConnectionFailed`, which carries the same data. `url` is the address of
    this connection; the retry may be at another one.
    """

    reason: str
    retry_seconds: float
    status: int | None = None
    close_code: int | None = None
    url: str = ""

    @property
    def retry_text(self) -> str:
        """A remark on the next attempt, for people; one without a wait is at another address."""
        return f"trying again in {self.retry_seconds:.1f} s" if self.retry_seconds else "trying the next address"


@dataclass(frozen=True, slots=True)
class Refused:
    """The server declined a name, or does not know it yet; `code` is a `Code` (PROTOCOL.md, section 7).

    The other names of its subscriptions go on. With TOO_MANY_SYMBOLS and TOO_MANY_TABLES the subscriptions with this
    name end with `ConfigError`, and with UNKNOWN_TABLE a book, trades or candles of it; `text` says what there is.
    """

    name: str
    code: int
    text: str

    @property
    def pending(self) -> bool:
        """Whether the server keeps the name: its values come as soon as there is such an instrument."""
        return self.code == Code.UNKNOWN_SYMBOL


@dataclass(frozen=True, slots=True)
class Unmatched:
    """The service has answered, and for `seconds` since then no instrument has had this symbol or matched this pattern.

    Said once for each name. The name stays subscribed: should such an instrument appear, its values come.
    """

    name: str
    seconds: float

    @property
    def text(self) -> str:
        """A remark for people."""
        return f"no instrument for {self.seconds:.0f} s; is it the right name? Should one appear, it will join"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """`Client.verify` has found that the copy is not what the service has at this cut.

    The copy is dropped, and everything is subscribed anew on a new connection.
    """

    cut: int

    @property
    def text(self) -> str:
        """A remark for people."""
        return f"the copy differs from the service's at cut {self.cut}; it is dropped, and everything subscribed anew"


@dataclass(frozen=True, slots=True)
class SourceSilent:
    """The server has heard nothing since then, by its clock, from the source of its data: prices may be out of date.

    It ends with `SourceBack`, or with a new connection: `Connected`.
    """

    since: datetime

    @property
    def text(self) -> str:
        """A remark for people."""
        return f"no data from the source since {self.since:%H:%M:%S} UTC"


@dataclass(frozen=True, slots=True)
class SourceBack:
    """The server hears the source of its data again."""

    @property
    def text(self) -> str:
        """A remark for people."""
        return "data from the source again"


def source_event(silent_since: datetime | None) -> SourceSilent | SourceBack:
    """Return the event for a source that is silent since then, or that is heard again."""
    return SourceSilent(silent_since) if silent_since is not None else SourceBack()


Event: TypeAlias = Connected | Disconnected | Refused | Unmatched | Mismatch | SourceSilent | SourceBack
