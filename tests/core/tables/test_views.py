"""ticker/core/tables: a client's copy of a view equals the best levels of an independent book at every cut."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.tables.books import NaiveBook, TableCopy, sides, watched
from tests.support import cut, market
from ticker.market import Instrument, Level, Levels

prices = st.one_of(
    st.integers(90, 110).map(lambda each: f"{each}.00"),
    st.integers(900, 1100).map(lambda each: Decimal(each).scaleb(-1)),
    st.sampled_from(["99.125", "1E+2", 100, "100.0000000000000000001"]),
)
sizes = st.sampled_from([0, "0.000", "1", "2.50", Decimal("0.001"), "3", 10**17, "0.00000000000001"])
some_levels = st.lists(st.tuples(prices, sizes), max_size=12)
steps = st.lists(
    st.tuples(some_levels, some_levels, st.sampled_from([False] * 5 + [True]), st.none() | st.integers(1, 8)),
    max_size=30,
)


@pytest.mark.untraced
@given(steps, st.integers(1, 4), st.randoms(use_true_random=False))
def test_a_copy_of_any_age_becomes_the_best_levels_at_each_cut(
    given_steps: list[tuple[list[Level], list[Level], bool, int | None]], count: int, random: Random
) -> None:
    cache, model = market(Instrument("A", 1, 1)), NaiveBook()
    record = watched(cache, f"book:{count}")
    copies = [TableCopy() for _ in range(5)]
    first = Levels("A", [("100", "1")], [("101", "1")], complete=True)
    changes = [
        Levels("A", bids, asks, complete, depth if complete else None) for bids, asks, complete, depth in given_steps
    ]
    for number, levels in enumerate([first, *changes]):
        cut(cache, levels)
        model.take(levels)
        truth = model.bids.best(count), model.asks.best(count)
        assert sides(record, record.present()) == truth
        for copy in copies if number == len(changes) else random.sample(copies, 2):
            copy.update(record, cache.cut)
            assert copy.ladder(record) == truth
