"""Faults of subscriptions to some fields, for tests of tests: each makes some copies wrong, and only rarely."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import pytest

from ticker.client.session import ClientSession
from ticker.core import checksums, hub, lacking
from ticker.core.audience_index import AudienceIndex
from ticker.core.audiences import Audience, Subscriber, SubscriptionSet
from ticker.core.encode_cache import ChangeSet, EncodeCache
from ticker.core.hub import Hub
from ticker.core.record import MarketRecord
from ticker.core.selections import Selection, selected
from ticker.market import FieldKey, RecordValue

Values: TypeAlias = Mapping[FieldKey, RecordValue]


def leave_records_with_other_fields_as_they_are(patch: pytest.MonkeyPatch) -> None:
    """A client that asks for other fields than before gets only what changes from then on."""
    patch.setattr(hub, "differing", lambda *_: 0)


def let_records_with_other_fields_wait(patch: pytest.MonkeyPatch) -> None:
    """A record that changes before the client has it with its new fields keeps an old value meanwhile."""
    take_outdated = lacking._take_outdated

    def take_in_order(subscriber: Subscriber, change_set: ChangeSet) -> list[int]:
        if subscriber.audience.selecting:
            subscriber.perhaps_held = 0
        return take_outdated(subscriber, change_set)

    patch.setattr(lacking, "_take_outdated", take_in_order)


def trust_what_is_to_be_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Where a name is to be forgotten, and another keeps its records, they count as having the fields of that one."""
    subscribe = Hub.subscribe

    def subscribe_trusting(
        of: Hub,
        subscriber: Subscriber,
        wanted: SubscriptionSet,
        now: int,
        *,
        resume_from: int | None = None,
        forget: int = 0,
    ) -> None:
        forget &= ~of._audience(wanted, subscriber.encoding, now).bitmap()
        subscribe(of, subscriber, wanted, now, resume_from=resume_from, forget=forget)

    patch.setattr(Hub, "subscribe", subscribe_trusting)


def share_entries_of_all_selections(patch: pytest.MonkeyPatch) -> None:
    """As many selected fields mean the same entry, whichever they are."""
    selected_entry = EncodeCache._selected_entry

    def shared(cache: EncodeCache, record: MarketRecord, key: tuple[int, int, Selection], fields: Values) -> bytes:
        return selected_entry(cache, record, (*key[:2], None), fields)

    patch.setattr(EncodeCache, "_selected_entry", shared)


def tell_no_definition_without_a_change(patch: pytest.MonkeyPatch) -> None:
    """A definition is only told with a change of a selected field, so a later one comes at an unknown scale."""
    selected_changes = EncodeCache._selected_changes

    def only_changes(cache: EncodeCache, record: MarketRecord, since: int, selection: frozenset[FieldKey]) -> bytes:
        changes = selected(record.changes_since(since)[0], selection)
        return selected_changes(cache, record, since, selection) if changes else b""

    patch.setattr(EncodeCache, "_selected_changes", only_changes)


def forget_fields_of_what_joins(patch: pytest.MonkeyPatch) -> None:
    """An instrument that joins later has all fields."""
    select = AudienceIndex._select

    def select_at_first(index: AudienceIndex, audience: Audience, bits: int) -> None:
        if audience.portions:
            audience.portions = {**audience.portions, None: audience.portions.get(None, 0) | bits}
        else:
            select(index, audience, bits)

    patch.setattr(AudienceIndex, "_select", select_at_first)


def count_all_fields_in_checksums(patch: pytest.MonkeyPatch) -> None:
    """The checksum is that of complete records."""
    patch.setattr(checksums, "selected", lambda fields, _: fields)


def resume_names_with_fields_without_a_reply(patch: pytest.MonkeyPatch) -> None:
    """A name that was confirmed counts as confirmed, although other fields of it were asked for since."""
    requests = ClientSession.requests

    def requests_and_trust(session: ClientSession) -> list[bytes | str]:
        confirmed = set(session._confirmed)
        payloads = requests(session)
        session._confirmed |= confirmed & session._requested.keys()
        return payloads

    patch.setattr(ClientSession, "requests", requests_and_trust)


FIELD_FAULTS: tuple[Callable[[pytest.MonkeyPatch], None], ...] = (
    leave_records_with_other_fields_as_they_are,
    let_records_with_other_fields_wait,
    trust_what_is_to_be_forgotten,
    share_entries_of_all_selections,
    tell_no_definition_without_a_change,
    forget_fields_of_what_joins,
    count_all_fields_in_checksums,
    resume_names_with_fields_without_a_reply,
)
