"""ticker/core/last_value.py: decimal places that become more, and instruments that are declared again."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.core.test_last_value import the
from tests.support import cut, market, update
from ticker.core.last_value import LastValueCache
from ticker.market import Field, Instrument, Update, Value, field_name, shown_value
from ticker.numbers import MAX_INTEGER


def shown(cache: LastValueCache) -> dict[str, str]:
    """The numbers as people see them."""
    record = the(cache)
    scales = record.price_scale, record.size_scale
    return {field_name(key): str(shown_value(key, value, *scales)) for key, value in record.present().items()}


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
    assert record.whole_at == 1


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


def test_a_scale_that_would_turn_another_number_into_a_text_is_not_raised() -> None:
    cache = market(Instrument("A", 0, 0))
    cut(cache, update("A", high=MAX_INTEGER, bid="1", bid_size=MAX_INTEGER))
    cut(cache, update("A", bid="1.5"))
    cut(cache, update("A", status="live", ask_size="0.5"))
    record = the(cache)
    assert (record.price_scale, record.size_scale) == (0, 0)
    assert (record.values[BID], record.values[Field.ASK_SIZE]) == ("1.5", "0.5")


def test_a_scale_can_be_raised_once_the_large_value_has_gone() -> None:
    cache = market(Instrument("A", 0, 0))
    cut(cache, update("A", high=MAX_INTEGER))
    cut(cache, update("A", high=None))
    cut(cache, update("A", bid="1.5"))
    assert the(cache).present() == {BID: 15}


def test_a_dust_size_costs_no_other_field_anything() -> None:
    cache = market("A")
    cut(cache, update("A", bid_size="0.0000000001"))
    cut(cache, update("A", bid="3", bid_size="2000000.5"))
    assert shown(cache) == {"bid": "3.00", "bid_size": "2000000.5"}


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"last": "190.25"}, {"last": "5.000000000000001"}),
        ({"bid_size": "0.00000001"}, {"volume": "1127313210.00855204"}),
        ({"bid_size": "0.12345"}, {"volume": "1.5E+12"}),
        ({"bid_size": "0.00000001"}, {"volume": "90071000.12345678"}),
        ({"bid_size": "0.00000001"}, {"bid_size": "90072000.1"}),
        ({"last": "1e-40"}, {"last": "9" * 40}),
        ({"last": "9" * 40 + "." + "9" * 40}, {"last": "-0.5"}),
    ],
)
def test_any_decimal_is_carried_and_the_next_one_too(first: dict[str, Value], then: dict[str, Value]) -> None:
    cache = market("A")
    for fields in (first, then, {"last": "190.25", "bid_size": "0.5"}, first, then):
        assert not cache.publish(Update("A", fields))
        cache.close_cut(1)
        for name, text in fields.items():
            assert Decimal(shown(cache)[name]) == Decimal(str(text))


def test_zeros_and_exponents_make_no_number_finer() -> None:
    cache = market("A")
    cut(
        cache, update("A", bid="1.2500000000000000000000", ask=Decimal("1.30000000"), bid_size="1.5E+3", ask_size="2.0")
    )
    record = the(cache)
    assert (record.price_scale, record.size_scale) == (2, 0)
    assert record.values == {BID: 125, ASK: 130, BID_SIZE: 1500, Field.ASK_SIZE: 2}


def test_values_raise_a_scale_so_far_that_they_can_still_grow() -> None:
    cache = market("A")
    cut(cache, update("A", bid="5.000000000000001"))
    assert the(cache).price_scale == 2
    cut(cache, update("A", ask="60000.12345678"))
    assert the(cache).price_scale == 8
    assert the(cache).values == {BID: "5.000000000000001", ASK: 6000012345678}


def test_a_declared_scale_holds_whatever_it_makes_of_the_numbers() -> None:
    cache = market(Instrument("A", 0, 0))
    cut(cache, update("A", high=MAX_INTEGER, bid="7"))
    cut(cache, Instrument("A", 15, 0))
    assert the(cache).values == {Field.HIGH: str(MAX_INTEGER), BID: 7 * 10**15}
    cut(cache, update("A", bid="9.1"))
    assert the(cache).values[BID] == "9.1"


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
    assert record.whole_at == 1
    assert record.changed_at == {BID: 2}
    assert record.instrument.metadata == {"name": "x"}
    assert cache.changed_since(2) == {0}


def test_a_declaration_with_finer_scales_raises_them() -> None:
    cache = market(Instrument("A", 2, 0))
    cut(cache, update("A", bid="1.25", bid_size=7))
    cut(cache, Instrument("A", 3, 1))
    assert the(cache).values == {BID: 1250, BID_SIZE: 70}
    assert the(cache).changes_since(2)[0] == {BID: 1250, BID_SIZE: 70}
