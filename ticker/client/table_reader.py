"""What a book, trades and candles have in common for their reader: one table, and a status that is not too good."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Self, TypeVar

from ticker.client.reader import Reader, moment
from ticker.client.replica import Fields, Replica
from ticker.client.statuses import known_status
from ticker.client.table_state import TableState
from ticker.errors import TickerError
from ticker.market import Field, Reason, Status

T = TypeVar("T")


class TableReader(Reader[T]):
    """A table of one instrument, as a reader sees it.

    What it shows is always of one moment: the present one or, while the connection is made again, the last one before.
    It never changes between two `await`s.
    """

    def __init__(
        self, name: str, close: Callable[[Reader[Any]], None], replica: Replica, *, held: bool = False
    ) -> None:
        super().__init__((name,), close, held=held)
        self._replica = replica
        self._lost = held
        """Whether the table is not known to be what the service has."""
        self._changed = True
        self._shown: tuple[TableState, int] | None = None
        """The state, and its version, of which the present view was made."""
        self._status: str = Status.STALE.value
        self._reason: str | None = Reason.NO_DATA.value
        self._cut, self._time = replica.cursor, replica.time

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.names[0]!r} {self.status} cut={self.cut}{' ended' * self._over}>"

    async def __aenter__(self) -> Self:
        await self.complete()
        return self

    @property
    def name(self) -> str:
        """The name of the table: `BTC-USD book:10`."""
        return self.names[0]

    @property
    def status(self) -> str:
        """`live`, `stale`, `halted` or `closed`: as the service says, and `stale` while there is no connection."""
        self._refresh()
        return Status.STALE.value if self._lost or self._over else self._status

    @property
    def reason(self) -> str | None:
        """The cause in a word, unless the status is `live`; `reconnecting` while there is no connection."""
        self._refresh()
        return Reason.RECONNECTING.value if self._lost and self._shown is not None else self._reason

    @property
    def cut(self) -> int:
        """The number of the moment that it shows."""
        self._refresh()
        return self._cut

    @property
    def time(self) -> datetime:
        """The time of that moment, by the service's clock."""
        self._refresh()
        return moment(self._time)

    def lose(self) -> None:
        """The connection is lost: what it shows may be out of date."""
        self._refresh()
        self._lost = self._changed = True
        self._wake.set()

    def hold(self) -> None:
        """Keep changes back: those of a new connection come in parts."""
        super().hold()
        self._lost = True

    def release(self, cut: int, time: int) -> None:
        """Show the table again: the copy is complete at this cut."""
        self._lost = False
        self._changed = True
        super().release(cut, time)

    def end(self, error: TickerError | None) -> None:
        """End the iteration, with this error if there is one; what it shows stays, and is `stale`."""
        self._refresh()
        super().end(error)

    @abstractmethod
    def _build(self, state: TableState | None) -> None:
        """Make the view of this state; without one there is no table."""

    def _refresh(self) -> None:
        """Bring the view up to date, unless the copy is incomplete."""
        if self.held or self._lost or self._over:
            return
        self._cut, self._time = self._replica.cursor, self._replica.time
        state = self._replica.find_table(self.name)
        if state is None:
            if self._shown is not None or self._reason != Reason.NO_DATA:
                self._shown, self._status, self._reason = None, Status.STALE.value, Reason.NO_DATA.value
                self._build(None)
            return
        if self._shown == (state, state.version):
            return
        self._shown = state, state.version
        self._status, reason = known_status(state.values.get(Field.STATUS, Status.LIVE)), state.values.get(Field.REASON)
        self._reason = reason if isinstance(reason, str) else None
        self._build(state)

    def _note(self, changes: Mapping[str, Fields], tables: Collection[str]) -> bool:  # noqa: ARG002  # no instrument's
        self._changed = self._changed or self.name in tables
        return self._changed

    def _drop(self) -> None:
        self._changed = False
