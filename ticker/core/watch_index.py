"""The audiences that are subscribed to an instrument, by their shard.

Where clients have symbols of their own, few audiences of a shard share an instrument. A tuple of these takes a quarter
of the room of a dictionary, and is as quickly made while the shard is small. The shard of all audiences with an
interval has no bound: there a dictionary is needed to take one of many out.
"""

from __future__ import annotations

from typing import TypeAlias

from ticker.core.audiences import Audience, Group

_Watchers: TypeAlias = tuple[Audience, ...] | dict[Audience, None]

WatchIndex: TypeAlias = dict[Group, _Watchers]
"""Those of one instrument."""


def watch(watch_index: WatchIndex, audience: Audience) -> None:
    """Enter an audience that subscribes to the instrument, and is not there yet."""
    watchers = watch_index.get(audience.shard)
    if isinstance(watchers, dict):
        watchers[audience] = None
    elif audience.interval_us:
        watch_index[audience.shard] = {audience: None}
    else:
        watch_index[audience.shard] = (*(watchers or ()), audience)


def unwatch(watch_index: WatchIndex, audience: Audience) -> None:
    """Take an audience out."""
    watchers = watch_index[audience.shard]
    if isinstance(watchers, dict):
        del watchers[audience]
    else:
        watchers = watch_index[audience.shard] = tuple([each for each in watchers if each is not audience])
    if not watchers:
        del watch_index[audience.shard]
