"""Faults of caches that follow another one, planted on purpose: the invariant test with edges has to find each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ticker.core.audiences import Subscriber, SubscriptionSet
from ticker.core.following import FollowingCache
from ticker.core.hub import Hub
from ticker.core.record import Record, Source
from ticker.core.state import State


def leave_changed_at_out_of_keyframes(patch: pytest.MonkeyPatch) -> None:
    """All fields of a keyframe count as unchanged for ever."""
    restore = Record.restore

    def without_cuts(record: Record, state: State, source: Source, per_cut: int = 1) -> None:
        restore(record, state, source, per_cut)
        record.changed_at = dict.fromkeys(record.changed_at, 0)

    patch.setattr(Record, "restore", without_cuts)


def overlook_that_servers_come_late_to_instruments(patch: pytest.MonkeyPatch) -> None:
    """A client that resumes counts as having all instruments that were declared before its cursor."""
    patch.setattr(FollowingCache, "perhaps_unknown", lambda _cache, _cursor: 0)


def take_a_cursor_for_the_last_cut_of_its_number(patch: pytest.MonkeyPatch) -> None:
    """A client that resumes counts as having what came in this server's own cuts."""
    subscribe = Hub.subscribe

    def subscribe_later(
        hub: Hub,
        subscriber: Subscriber,
        subscription_set: SubscriptionSet,
        now: int,
        *,
        resume_from: int | None = None,
        forget: int = 0,
    ) -> None:
        if resume_from is not None:
            resume_from = min(resume_from + hub.cache.per_cut - 1, hub.cache.cut)
        subscribe(hub, subscriber, subscription_set, now, resume_from=resume_from, forget=forget)

    patch.setattr(Hub, "subscribe", subscribe_later)


FOLLOWING_FAULTS: list[Callable[[pytest.MonkeyPatch], None]] = [
    leave_changed_at_out_of_keyframes,
    overlook_that_servers_come_late_to_instruments,
    take_a_cursor_for_the_last_cut_of_its_number,
]
