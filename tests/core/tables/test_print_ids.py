"""ticker/core/tables/trade_log.py: ids of prints that the ring has dropped, and a first print that is finer."""

from __future__ import annotations

import pytest

from tests.support import cut
from ticker.config import Tables
from ticker.core.last_value import LastValueCache
from ticker.errors import BadPublication
from ticker.market import Instrument, Trade
from ticker.protocol.tables import parse_table


def printed(*trades: Trade) -> list[list[object]]:
    """The rows of a ring of four after these trades."""
    cache = LastValueCache("epoch", tables=Tables(trades=(4,)))
    cut(cache, Instrument("A", 2, 0))
    for trade in trades:
        cut(cache, trade)
    log = cache.trades_of("A")
    assert log is not None
    return [list(row) for row in log.latest(4)]


def test_an_id_of_a_print_that_is_not_kept_is_that_of_a_new_one() -> None:
    later = [Trade("A", "2", 1, time=number) for number in range(2, 6)]
    rows = printed(Trade("A", "1", 1, time=1, id=7), *later, Trade("A", "3", 1, id=7))
    assert [row[0] for row in rows] == [3, 4, 5, 6]
    assert rows[-1][1] == 300
    with pytest.raises(BadPublication, match="busts one that is not known"):
        printed(Trade("A", "1", 1, time=1, id=7), *later, Trade("A", "1", 0, id=7))


@pytest.mark.parametrize("price", ["1.125", "0.0000001"])
def test_the_first_print_may_be_finer_than_the_instrument(price: str) -> None:
    cache = LastValueCache("epoch")
    cut(cache, Instrument("A", 2, 0))
    table = parse_table("trades:10")
    assert table is not None
    record = cache.open_table("A", table)
    record.watch()
    cut(cache, Trade("A", price, "0.5", time=1))
    assert record.price_scale == len(price.partition(".")[2])
    assert record.size_scale == 1
