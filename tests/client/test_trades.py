"""ticker/client/trades.py and given.py: each print once, and the exact number of those that were missed."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from tests.client.tables import STATUS, TRADES, Talk, ready, tape, trade
from ticker import Print, Trades
from ticker.market import Rows
from ticker.protocol.messages import Definition, Removed

D = Decimal
TAPE = Definition(-8, "A trades:3", 2, 1, {})


def opened(talk: Talk, rows: Rows, count: int = 3) -> Trades:
    """The trades of A, complete; the service keeps three of them."""
    reader = talk.client.trades("A", count)
    talk.define(TAPE)
    talk.record(-8, {TRADES: rows, STATUS: "live"})
    talk.answer()
    return reader


async def numbers(reader: Trades) -> list[int]:
    return [each.number for each in await ready(reader, 100)]


async def told(reader: Trades) -> list[tuple[int, int]]:
    """Number and missed ones of each print."""
    return [(each.number, each.missed) for each in await ready(reader, 100)]


async def test_a_print_has_exact_numbers_its_time_and_its_side() -> None:
    talk = Talk()
    time = 1399507208715001
    row = trade(41, 139121, 5, time=time, side=-1, id="a7")
    reader = opened(talk, [*row, *trade(42, 139122, 15, side=1, id=9), *trade(43)])
    sold, bought, unknown = await ready(reader, 3)
    moment = datetime(2014, 5, 8, 0, 0, 8, 715001, tzinfo=UTC)
    assert sold == Print(41, D("1391.21"), D("0.5"), moment, "sell", "a7")
    assert (sold.missed, sold.correction, sold.restarted) == (0, False, False)
    assert (bought.side, bought.id, bought.size) == ("buy", 9, D("1.5"))
    assert (unknown.side, unknown.id) == (None, None)


async def test_a_loop_has_the_prints_that_are_there_and_each_later_one_once() -> None:
    talk = Talk()
    reader = opened(talk, tape(4, 5, 6))
    assert await numbers(reader) == [4, 5, 6]
    talk.change(-8, {TRADES: tape(7)})
    talk.change(-8, {TRADES: tape(9, 8)})
    talk.change(-8, {STATUS: "halted"})
    assert await told(reader) == [(7, 0), (8, 0), (9, 0)]
    assert reader.status == "halted"


async def test_fewer_prints_than_the_service_keeps_begin_a_loop_and_are_shown() -> None:
    talk = Talk()
    reader = opened(talk, tape(4, 5, 6), count=2)
    assert [each.number for each in reader.latest] == [5, 6]
    assert await numbers(reader) == [5, 6]
    talk.change(-8, {TRADES: tape(7, 8, 9)})
    assert await told(reader) == [(7, 0), (8, 0), (9, 0)]
    assert [each.number for each in reader.latest] == [8, 9]


async def test_a_loop_that_falls_behind_is_told_the_exact_number_of_prints_that_it_missed() -> None:
    talk = Talk()
    reader = opened(talk, tape(1))
    await numbers(reader)
    for number in range(2, 12):
        talk.change(-8, {TRADES: tape(number)})
    assert await told(reader) == [(9, 7), (10, 0), (11, 0)]
    talk.change(-8, {TRADES: tape(15, 16, 17)})  # more within one message than the table holds
    assert await told(reader) == [(15, 3), (16, 0), (17, 0)]


async def test_a_loop_that_takes_its_time_misses_none_of_those_that_it_has_begun_with() -> None:
    talk = Talk()
    reader = opened(talk, tape(1, 2, 3))
    assert (await anext(reader)).number == 1
    talk.change(-8, {TRADES: tape(4, 5, 6)})
    assert await told(reader) == [(2, 0), (3, 0), (4, 0), (5, 0), (6, 0)]


async def test_prints_that_come_after_an_empty_beginning_are_all_given() -> None:
    talk = Talk()
    reader = opened(talk, [], count=1)
    assert await numbers(reader) == []
    talk.change(-8, {TRADES: tape(1, 2, 3)})
    assert await told(reader) == [(1, 0), (2, 0), (3, 0)]


async def test_a_corrected_print_comes_again_under_its_number() -> None:
    talk = Talk()
    reader = opened(talk, tape(4, 5))
    await numbers(reader)
    talk.change(-8, {TRADES: [*trade(4, size=0), *trade(6)]})
    corrected, new = await ready(reader, 5)
    assert (corrected.number, corrected.size, corrected.correction) == (4, 0, True)
    assert (new.number, new.missed, new.correction) == (6, 0, False)


async def test_a_print_before_those_that_were_asked_for_is_no_correction() -> None:
    talk = Talk()
    reader = opened(talk, tape(4, 5), count=1)
    await numbers(reader)
    talk.change(-8, {TRADES: trade(4, 99)})
    assert await numbers(reader) == []


async def test_a_higher_scale_brings_no_print_again() -> None:
    talk = Talk()
    reader = opened(talk, tape(4, 5))
    await numbers(reader)
    talk.define(Definition(-8, "A trades:3", 4, 1, {}))
    talk.record(-8, {TRADES: [*trade(4, 10_000), *trade(5, 10_000), *trade(6, 12_345)], STATUS: "live"})
    assert [(each.number, each.price, each.correction) for each in await ready(reader, 9)] == [(6, D("1.2345"), False)]


async def test_a_resume_brings_those_that_came_meanwhile_and_the_number_of_the_others() -> None:
    talk = Talk()
    reader = opened(talk, tape(1))
    await numbers(reader)
    talk.lose()
    talk.connect(cut=9)
    talk.cut = 1
    talk.define(TAPE)
    talk.change(-8, {TRADES: tape(5, 6, 7)})
    assert await numbers(reader) == []
    talk.answer()
    assert await told(reader) == [(5, 3), (6, 0), (7, 0)]


async def test_a_copy_that_starts_afresh_brings_no_print_again() -> None:
    talk = Talk()
    reader = opened(talk, tape(1, 2))
    await numbers(reader)
    talk.session.forget_copy()
    talk.connect()
    talk.define(TAPE)
    talk.record(-8, {TRADES: tape(2, 3), STATUS: "live"})
    talk.answer()
    assert await told(reader) == [(3, 0)]
    talk.session.forget_copy()
    talk.connect()
    talk.define(TAPE)
    talk.record(-8, {TRADES: tape(9, 10), STATUS: "live"})
    talk.answer()
    assert await told(reader) == [(9, 5), (10, 0)]


async def test_a_service_that_starts_anew_counts_anew_and_says_so_once() -> None:
    talk = Talk()
    reader = opened(talk, tape(7, 8))
    await numbers(reader)
    talk.connect("e2", 1)
    talk.define(TAPE)
    talk.record(-8, {TRADES: [], STATUS: "live"})
    talk.answer()
    assert await numbers(reader) == []
    talk.change(-8, {TRADES: [*trade(1, 77), *trade(2, 78)]})
    assert [(each.number, each.missed, each.restarted) for each in await ready(reader, 9)] == [
        *[(1, 0, True), (2, 0, False)]
    ]


async def test_another_epoch_of_the_same_service_counts_on() -> None:
    """As with a token for other symbols."""
    talk = Talk()
    reader = opened(talk, tape(7, 8))
    await numbers(reader)
    talk.connect("e2", 1)
    talk.define(TAPE)
    talk.record(-8, {TRADES: tape(8, 9), STATUS: "live"})
    talk.answer()
    assert await told(reader) == [(9, 0)]


async def test_trades_that_leave_the_copy_end_nothing_and_go_on_when_they_come_back() -> None:
    talk = Talk()
    reader = opened(talk, tape(1, 2))
    await numbers(reader)
    talk.says(Removed(1, 1, [-8]))
    assert (await numbers(reader), reader.latest, reader.status) == ([], [], "stale")
    talk.record(-8, {TRADES: tape(5, 6), STATUS: "live"})
    assert await told(reader) == [(5, 2), (6, 0)]


async def test_closing_it_drops_what_was_not_read() -> None:
    talk = Talk()
    reader = opened(talk, tape(1, 2, 3))
    await anext(reader)
    reader.close()
    assert [each async for each in reader] == []
