"""Several programs write to one socket: the publications that follow when one of them is gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ticker.market import MAX_FIELDS, Levels, Publication, Reason, Stale, Trade, Update, Withdrawal

_BOOK = ""
"""Stands for the order book among the names of fields."""


class Owners:
    """The writers of a socket: each field of an instrument, and its book, is its last writer's."""

    def __init__(self) -> None:
        self._owners: dict[str, dict[str, int]] = {}

    def __repr__(self) -> str:
        return f"<Owners of {len(self._owners)} instruments>"

    def note(self, number: int, publications: list[Publication]) -> None:
        """Note the publications of this writer."""
        for publication in publications:
            owned = self._owners.setdefault(publication.symbol, {})
            if isinstance(publication, Withdrawal):
                owned.clear()
            else:
                for name in _fields(publication):
                    # The service takes no more fields, so nothing is lost beyond them.
                    if name in owned or len(owned) < MAX_FIELDS + 3:
                        owned[name] = number

    def gone(self, number: int) -> Iterator[Publication]:
        """Forget a writer; return `Stale` for instruments that it alone gave, and withdrawals of its other fields."""
        for symbol, owned in self._owners.items():
            its = [name for name, owner in owned.items() if owner == number]
            if len(its) == len(owned) and its:
                yield Stale(symbol, Reason.WRITER_GONE)
            elif its:
                yield from _without(symbol, its)
            for name in its:
                del owned[name]


def _fields(publication: Publication) -> Iterable[str]:
    if isinstance(publication, Update):
        return publication.fields
    if isinstance(publication, Levels):
        return (_BOOK,)
    return ("last", "last_size", "time") if isinstance(publication, Trade) else ()


def _without(symbol: str, names: list[str]) -> Iterator[Publication]:
    fields = [name for name in names if name != _BOOK]
    if len(fields) < len(names):
        yield Stale(symbol, Reason.WRITER_GONE, book_only=True)
    if fields:
        yield Update(symbol, dict.fromkeys(fields))
