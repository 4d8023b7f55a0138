"""ticker/core/last_value.py: status and reason, from a feed or from the service itself."""

from __future__ import annotations

from tests.support import cut, market, update
from ticker.market import Field, Reason, Status


def test_a_member_of_an_enumeration_of_texts_is_carried_as_its_text() -> None:
    cache = market("A")
    cut(cache, update("A", status=Status.HALTED, reason=Reason.EXCHANGE_HALT))
    values = cache.records[0].values
    assert values == {Field.STATUS: "halted", Field.REASON: "exchange_halt"}
    assert {type(value) for value in values.values()} == {str}


def test_marks_of_the_service_are_fields_but_no_updates_of_the_feed() -> None:
    cache = market("A")
    cut(cache, update("A", bid="1"))
    updates = cache.records[0].updates
    cache.mark("A", {"status": Status.STALE, "reason": Reason.FEED_DOWN})
    assert cache.close_cut(7)
    assert cache.records[0].values[Field.STATUS] == "stale"
    assert cache.records[0].values[Field.REASON] == "feed_down"
    assert cache.records[0].updates == updates
