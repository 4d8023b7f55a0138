"""The readers of a user: of changes, with the view that these alone build, and of the tape, which counts its prints."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import trio

from tests.tables_model import InstrumentModel, covers
from ticker.client.client import Client
from ticker.client.subscription import Subscription
from ticker.client.trades import Trades
from ticker.errors import ConnectionFailed

_LOGS = {"trades", "candles"}
"""Fields whose rows are never withdrawn: a view of changes does not know which of them a new life of the server has."""


class Reader:
    """One subscription, and the view built from its changes alone."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self.view: dict[str, dict[str, Any]] = {}
        self.reading = trio.Event()
        self.reading.set()

    async def run(self) -> None:
        try:
            async for change in self._subscription:
                for name, fields in change.changes.items():
                    view = self.view.setdefault(name, {})
                    for field, value in fields.items():
                        view[field] = merged(view.get(field), value) if isinstance(value, list) else value
                    self.view[name] = {field: value for field, value in view.items() if value is not None}
                await self.reading.wait()
        except ConnectionFailed:
            pass  # the client has ended for good; the user decides whether it may

    def close(self) -> None:
        self._subscription.close()

    def lag(self, client: Client, due: Collection[str], _models: Mapping[str, InstrumentModel]) -> str:
        """Return the difference of the view from the client's copy; empty if there is none."""
        names = [name for name in due if any(covers(each, name) for each in self._subscription.names)]
        shown = self._subscription._shown
        want = {name: present(client.values(name)) for name in names}
        if shown is not None:
            want = {
                name: fields if " " in name else {key: fields[key] for key in fields.keys() & shown}
                for name, fields in want.items()
            }
        have = {name: present(fields) for name, fields in self.view.items()}
        want, have = ({name: each for name, each in found.items() if each} for found in (want, have))
        return f"the reader of {self._subscription.names} has {have}, and should have {want}" if have != want else ""


def merged(rows: dict[Any, Any] | None, changes: list[Any]) -> dict[Any, Any]:
    """Levels by price, after changes of them; rows of logs by their key."""
    found = {**(rows or {}), **{row[0]: row[1:] for row in changes}}
    return {key: row for key, row in found.items() if row != (None,)}


def present(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields with the levels of books by price, without empty sides, and without logs."""
    by_key = {name: merged(None, value) if isinstance(value, list) else value for name, value in fields.items()}
    return {name: value for name, value in by_key.items() if name not in _LOGS and value not in ({}, None)}


class TapeReader:
    """The prints of one instrument: each of them once, or counted as missed."""

    def __init__(self, trades: Trades, blame: Callable[[str], None]) -> None:
        self._trades = trades
        self._blame = blame
        self._last: int | None = None
        self.reading = trio.Event()
        self.reading.set()

    async def run(self) -> None:
        try:
            async for trade in self._trades:
                if trade.correction:
                    if self._last is None or trade.number > self._last:
                        self._blame(f"{self._trades.name}: print {trade.number} is corrected, and was never given")
                elif trade.restarted or self._last is None:
                    self._last = trade.number
                else:
                    if trade.number != self._last + 1 + trade.missed:
                        text = f"print {trade.number} behind {self._last}, and {trade.missed} are said to be missed"
                        self._blame(f"{self._trades.name}: {text}")
                    self._last = trade.number
                await self.reading.wait()
        except ConnectionFailed:
            pass

    def close(self) -> None:
        self._trades.close()

    def lag(self, _client: Client, due: Collection[str], models: Mapping[str, InstrumentModel]) -> str:
        """Return the difference of the last print from that of the market; empty if there is none."""
        name = self._trades.name
        symbol = name.partition(" ")[0]
        last = models[symbol].tape.count if name in due and symbol in models else 0
        return f"the tape of {name} ends at {self._last}, and should at {last}" if last and self._last != last else ""
