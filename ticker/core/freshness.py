"""No outdated value is shown as live: the one place that decides the status of an instrument.

The rules:

1. Without marks, `status` and `reason` are those that a feed gave as facts of its venue.
2. When a feed fails, ends, falls silent, or publishes `Stale`, all that it gave of the instrument is outdated. It stays
   to be seen, and the instrument is `stale`, with the reason.
3. The next update that brings a value, from any feed, withdraws every outdated value that it does not name. The status
   is then the one that this update gives, or else the last one given that is not outdated, or else `live`.
4. A feed of whose values none is shown makes nothing stale where another feed speaks for the instrument. Where none
   does, the instrument is current again with the feed's next `Levels` that tell what its book is.

The functions return or complete changes of fields, which the cache stores.
"""

from __future__ import annotations

from typing import TypeAlias

from ticker.core.record import Record, Source
from ticker.market import Field, FieldKey, Reason, Status, WireValue, is_text, plain

Changes: TypeAlias = list[tuple[FieldKey, WireValue]]
"""New values of fields."""

STATUS, REASON = int(Field.STATUS), int(Field.REASON)

MARKS: frozenset[FieldKey] = frozenset({STATUS, REASON})
"""The fields that tell whether the others are current."""


def outdate(record: Record, source: Source, reason: object) -> Changes:
    """All that this feed gave is outdated from now on; return the marks, none where another feed speaks for it."""
    givers = _givers(record)
    if givers and source not in givers:
        return []
    record.outdated.add(source)
    text = plain(reason)
    return [(STATUS, str(Status.STALE)), (REASON, text if is_text(text) else str(Reason.BAD_DATA))]


def refresh(record: Record, changes: Changes) -> None:
    """Add to the changes of a stale instrument's update its consequences: withdrawals, status and reason."""
    outdated, sources, given = record.outdated, record.sources, record.given
    named = {key for key, _ in changes}
    changes += [
        (key, None)
        for key, value in record.values.items()
        if value is not None
        and key not in named
        and key not in MARKS
        and (record.source if sources is None else sources[key]) in outdated
    ]
    status: WireValue = str(Status.LIVE)
    reason: WireValue = None
    if given is not None and given[0] not in outdated:
        _, status, reason = given
    if STATUS not in named:
        changes.append((STATUS, status))
    if REASON not in named:
        changes.append((REASON, reason if STATUS not in named else None))
    record.outdated = set()


def restore(record: Record, source: Source) -> Changes:
    """A feed that gives none of the fields, but the book, say, speaks again; return the marks if all is current now."""
    changes: Changes = []
    if source in record.outdated and source not in _givers(record):
        record.outdated.discard(source)
        if not record.outdated:
            refresh(record, changes)
    return changes


def attribute(record: Record, source: Source, changes: Changes) -> None:
    """Note whose values these are. It is only needed where `record.source` is another feed, or none."""
    if record.sources is None:
        if not _givers(record):
            record.source = source
            return
        record.sources = dict.fromkeys(record.values, record.source)
        record.source = None
    record.sources.update((key, source) for key, _ in changes)


def note_status(record: Record, source: Source) -> None:
    """Keep the status that a feed has just given, for `refresh`."""
    status = record.values.get(STATUS)
    record.given = None if status is None else (source, status, record.values.get(REASON))


def _givers(record: Record) -> set[Source]:
    """Return the feeds that gave the values that are shown."""
    shown = [key for key, value in record.values.items() if value is not None and key not in MARKS]
    if record.sources is None:
        return {record.source} if shown else set()
    return {record.sources[key] for key in shown}
