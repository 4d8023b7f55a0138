"""The audiences of a group that have something pending, and the entries of each: the inner loop of a pass."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TypeAlias

from ticker.core.audiences import Audience, Group
from ticker.core.encode_cache import ChangeSet
from ticker.core.watch_index import WatchIndex

_Pending: TypeAlias = Iterable[tuple[Audience, Sequence[bytes]]]


def pending_by_audience(group: Group, change_set: ChangeSet, watch_index: Sequence[WatchIndex]) -> _Pending:
    """Return the audiences of a group that have pending entries in a change set, each with these entries."""
    if not group.audiences:
        return ()
    if group.selecting:
        return _selecting(group, change_set, watch_index)
    if not group.broad:
        return _narrow(group, change_set, watch_index)
    return _broad_and_narrow(group, change_set, watch_index)


def _broad_and_narrow(group: Group, change_set: ChangeSet, watch_index: Sequence[WatchIndex]) -> _Pending:
    for audience in list(group.broad):
        if pending := [change_set[number] for number in audience.changed_in(change_set)]:
            yield audience, pending
    if len(group.audiences) > len(group.broad):
        yield from _narrow(group, change_set, watch_index)


def _narrow(group: Group, change_set: ChangeSet, watch_index: Sequence[WatchIndex]) -> _Pending:
    """Return those that are not broad.

    The search goes from the changed instruments to their audiences, or from the instruments of each audience to their
    entries, whichever is cheaper: a step of the first costs three to four times as much as one of the second.
    """
    audiences = group.audiences
    shard, visible = next(iter(audiences)).shard, len(watch_index)
    watched = [
        (number, watch_index[number][shard])
        for number in change_set.changed
        if number < visible and shard in watch_index[number]
    ]
    steps = sum([len(subscribed) for _, subscribed in watched])
    if steps > len(audiences) and 3 * steps > sum(len(audience.ids) for audience in audiences):
        entries = [b""] * len(watch_index)
        for number, _ in watched:
            entries[number] = change_set[number]
        return _selected(list(audiences), entries, watch_index)
    found: dict[Audience, list[bytes]] = {}
    for number, subscribed in watched:
        entry = b""
        for audience in subscribed:
            if audience.group is group:
                entry = entry or change_set[number]
                pending = found.get(audience)
                if pending is None:
                    found[audience] = [entry]
                else:
                    pending.append(entry)
    return found.items()


def _selected(audiences: Sequence[Audience], entries: list[bytes], watch_index: Sequence[WatchIndex]) -> _Pending:
    for audience in audiences:
        if len(entries) < len(watch_index):  # between two steps, audiences may have got instruments that are new
            entries += [b""] * (len(watch_index) - len(entries))
        if pending := list(filter(None, audience.select(entries))):
            yield audience, pending


def _selecting(
    group: Group, change_set: ChangeSet, watch_index: Sequence[WatchIndex]
) -> Iterator[tuple[Audience, list[bytes]]]:
    """Return those of a group whose audiences want only some fields, each others: entries may turn out to be empty."""
    for audience in _concerned(group, change_set, watch_index):
        pending: list[bytes] = []
        for selection, numbers in audience.shares(audience.changed_in(change_set)):
            pending += filter(None, map(change_set.of(selection).__getitem__, numbers))
        if pending:
            yield audience, pending


def _concerned(group: Group, change_set: ChangeSet, watch_index: Sequence[WatchIndex]) -> Collection[Audience]:
    """Return the audiences of a group that watch something in a change set, or all where it costs less."""
    audiences = group.audiences
    shard, visible = next(iter(audiences)).shard, len(watch_index)
    watched = [
        watch_index[number][shard] for number in change_set.changed if number < visible and shard in watch_index[number]
    ]
    if sum(map(len, watched)) > len(audiences):
        return list(audiences)
    concerned = dict(group.broad)
    for watchers in watched:
        concerned |= dict.fromkeys(watchers)
    return [audience for audience in concerned if audience.group is group]
