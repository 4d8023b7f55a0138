"""ticker/core/last_value.py: decimal places that become more, and instruments that are declared again."""

from __future__ import annotations

from tests.core.test_last_value import refused, the
from tests.support import cut, market, update
from ticker.market import MAX_INTEGER, Field, Instrument

BID, BID_SIZE, ASK, LAST = int(Field.BID), int(Field.BID_SIZE), int(Field.ASK), int(Field.LAST)
STATUS, TIME = int(Field.STATUS), int(Field.TIME)


# Rule 5: scales


def test_a_finer_value_raises_the_scale_and_brings_every_field_anew() -> None:
    cache = market(Instrument("A", 2, 0))
    cut(cache, update("A", bid="1.25", ask="2", bid_size=7, status="live", last="1"), update("A", last=None))
    cut(cache, update("A", bid="1.251"))
    record = the(cache)
    assert (record.price_scale, record.size_scale) == (3, 0)
    assert record.values == {BID: 1251, ASK: 2000, BID_SIZE: 7, STATUS: "live", LAST: None}
    assert set(record.changed_at.values()) == {3}
    assert record.defined_at == cache.last_definition == 3
    assert record.created_at == 1


def test_a_finer_size_raises_the_scale_of_sizes_only() -> None:
    cache = market(Instrument("A", 2, 0))
    cut(cache, update("A", bid="1.25", bid_size=7))
    cut(cache, update("A", ask_size="0.5"))
    record = the(cache)
    assert (record.price_scale, record.size_scale) == (2, 1)
    assert record.values == {BID: 125, BID_SIZE: 70, Field.ASK_SIZE: 5}


def test_the_finest_value_of_an_update_decides_for_all_of_it() -> None:
    cache = market(Instrument("A", 0, 0))
    cut(cache, update("A", bid="1.5", ask="1.125", last="2", bid_size="0.1", ask_size="3"))
    record = the(cache)
    assert (record.price_scale, record.size_scale) == (3, 1)
    assert record.values == {BID: 1500, ASK: 1125, LAST: 2000, BID_SIZE: 1, Field.ASK_SIZE: 30}


def test_a_scale_never_falls() -> None:
    cache = market(Instrument("A", 2, 0))
    cut(cache, update("A", bid="1.2345"))
    cut(cache, update("A", bid="1"), Instrument("A", 0, 0))
    assert the(cache).price_scale == 4
    assert the(cache).values == {BID: 10000}


def test_a_raise_after_which_another_field_does_not_fit_is_refused() -> None:
    cache = market(Instrument("A", 0, 0))
    cut(cache, update("A", high=MAX_INTEGER, bid="1", bid_size=MAX_INTEGER))
    assert refused(cache, update("A", bid="1.5")).startswith(f"A: {MAX_INTEGER}")
    assert refused(cache, update("A", status="live", ask_size="0.5")).startswith("A: ")
    assert refused(cache, Instrument("A", 1, 0, {"name": "x"}))
    assert refused(cache, Instrument("A", 0, 1))


def test_a_scale_can_be_raised_once_the_large_value_has_gone() -> None:
    cache = market(Instrument("A", 0, 0))
    cut(cache, update("A", high=MAX_INTEGER))
    cut(cache, update("A", high=None))
    cut(cache, update("A", bid="1.5"))
    assert the(cache).present() == {BID: 15}


# Declared again


def test_the_same_declaration_again_is_no_change() -> None:
    cache = market(Instrument("A", 2, 0, {"name": "x"}))
    cut(cache, update("A", bid="1.2345"))
    assert cut(cache, Instrument("A", 2, 0, {"name": "x"})) == 2
    assert the(cache).price_scale == 4


def test_a_new_description_is_a_new_definition_and_no_change_of_values() -> None:
    cache = market("A", "B")
    cut(cache, update("A", bid="1"))
    cut(cache, Instrument("A", 2, 0, {"name": "x"}))
    record = the(cache)
    assert record.defined_at == record.last_change == cache.last_definition == 3
    assert record.created_at == 1
    assert record.changed_at == {BID: 2}
    assert record.instrument.metadata == {"name": "x"}
    assert cache.changed_since(2) == {0}


def test_a_declaration_with_finer_scales_raises_them() -> None:
    cache = market(Instrument("A", 2, 0))
    cut(cache, update("A", bid="1.25", bid_size=7))
    cut(cache, Instrument("A", 3, 1))
    assert the(cache).values == {BID: 1250, BID_SIZE: 70}
    assert the(cache).changes_since(2) == {BID: 1250, BID_SIZE: 70}
