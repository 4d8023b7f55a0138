"""Which source leads: with every death of one, and every pause, there is one market, and its epoch goes on."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.storm.memory import Bus, Copy, Source, until
from tests.support import update
from ticker.bus.engine import Position
from ticker.bus_bounds import BUS_BEAT_SECONDS, CUTS_OF_A_NEW_EPOCH, FOLLOW_SECONDS, KEYFRAME_SECONDS, SILENT_READS
from ticker.market import Instrument
from ticker.net.clocks import wall_clock


def stamp(copy: Copy) -> tuple[str, int]:
    """The epoch and the term of the latest entry."""
    found = copy.follower.stamp
    assert found is not None
    return found.epoch, found.term


async def leading(bus: Bus) -> tuple[Source, Copy]:
    """A source with a market, and its copy."""
    source, copy = await Source(bus).begun(), Copy(bus)
    await source.publish(Instrument("A"), update("A", bid="1.00"))
    await source.publish(update("A", bid="1.01"))
    await copy.equals(source)
    return source, copy


async def follows(copy: Copy, source: Source) -> None:
    """A change of this source reaches the copy."""
    await source.publish(update("A", bid=str(source.cache.cut)))
    await copy.equals(source)


async def standing_by(bus: Bus, source: Source) -> Source:
    """Another source, which has followed to the end."""
    standby = Source(bus, "second")
    await until(lambda: standby.reach.asked["Read"] > 5)
    assert source.leads
    assert not standby.leads
    return standby


async def test_of_two_that_begin_at_once_one_leads_and_the_other_stands_by(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    sources = [Source(bus, "first"), Source(bus, "second")]
    await until(lambda: any(source.leads for source in sources))
    await trio.sleep(10)
    assert [source.leads for source in sources].count(True) == 1
    assert [source.deposed for source in sources].count(True) == 1


async def test_one_that_stops_is_followed_at_once_by_the_one_that_stands_by(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, copy = await leading(bus)
    standby = await standing_by(bus, source)
    source.say(update("A", bid="2.00"))
    began = trio.current_time()
    await source.leader.resign()
    source.kill()
    await standby.begun()
    assert trio.current_time() - began < FOLLOW_SECONDS + BUS_BEAT_SECONDS, "it does not wait for a silence"
    await follows(copy, standby)
    assert stamp(copy) == ("first", 2)
    record = standby.cache.instrument("A")
    assert record is not None


async def test_one_that_dies_is_followed_after_reads_without_a_sign(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, copy = await leading(bus)
    standby = await standing_by(bus, source)
    source.kill()
    await standby.begun()
    await follows(copy, standby)
    assert stamp(copy) == ("first", 2)


async def test_one_that_begins_anew_alone_goes_on_with_the_same_epoch(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, copy = await leading(bus)
    source.kill()
    again = await Source(bus, "another").begun()
    await follows(copy, again)
    assert stamp(copy) == ("first", 2)


async def test_one_that_wakes_after_another_has_taken_over_stands_by(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, copy = await leading(bus)
    standby = await standing_by(bus, source)
    source.reach.hold()
    source.say(update("A", bid="9.99"))
    await standby.begun()
    await follows(copy, standby)
    source.reach.go_on()
    await until(lambda: source.deposed)
    again = await standing_by(bus, standby)
    await follows(copy, standby)
    assert stamp(copy) == ("first", 2)
    standby.kill()
    await again.begun()
    await follows(copy, again)
    assert stamp(copy) == ("first", 3)


async def test_one_that_stands_by_and_wakes_after_a_pause_leaves_the_other_alone(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source, copy = await leading(bus)
    standby = await standing_by(bus, source)
    standby.reach.hold()
    await trio.sleep(60)
    standby.reach.go_on()
    await trio.sleep(10)
    assert source.leads
    await follows(copy, source)
    assert stamp(copy) == ("first", 1)


async def test_of_two_that_stand_by_the_slower_one_sees_that_the_other_was_faster(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    """It has heard nothing for as long; but at the end of the log there is an entry that it has not read."""
    source, copy = await leading(bus)
    faster = await standing_by(bus, source)
    slower = await standing_by(bus, source)
    source.kill()
    slower.reach.hold_at("Last", slower.reach.asked["Last"] + SILENT_READS + 1)  # the look before it takes over
    faster.reach.delays["Append"] = 0.1
    await faster.begun()
    slower.reach.go_on()
    await trio.sleep(10)
    assert faster.leads
    assert not slower.leads
    await follows(copy, faster)
    assert stamp(copy) == ("first", 2)


async def test_of_two_that_take_over_in_the_same_microsecond_one_leads(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All else in what they write is the same; the one that was refused must not take the other's entry for its own."""
    source, copy = await leading(bus)
    standbys = [await standing_by(bus, source) for _ in range(2)]
    moment = wall_clock()
    monkeypatch.setattr("ticker.server.leader.wall_clock", lambda: moment)
    for standby in standbys:
        standby.reach.hold("Append")
    source.kill()
    await until(lambda: all(standby.reach.asked["Append"] > 0 for standby in standbys))
    assert standbys[0].cache.time == standbys[1].cache.time
    for standby in standbys:
        standby.reach.go_on()
    await until(lambda: any(standby.leads for standby in standbys))
    await trio.sleep(10)
    assert sorted((standby.leads, standby.deposed) for standby in standbys) == [(False, True), (True, False)]
    await follows(copy, next(standby for standby in standbys if standby.leads))
    assert stamp(copy) == ("first", 2)


async def test_one_that_could_not_follow_does_not_depose_a_source_that_lives(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    """It was stopped for so long that the log has dropped what it needs: it begins with a keyframe."""
    small = Bus(bus.nursery, max_entries=5)
    source, copy = await leading(small)
    standby = await standing_by(small, source)
    standby.reach.hold()
    for number in range(40):
        await source.publish(update("A", bid=str(number)))
    standby.reach.go_on()
    await trio.sleep(KEYFRAME_SECONDS)
    for number in range(3):
        await source.publish(update("A", bid=str(number)))
    await trio.sleep(10)
    assert source.leads
    assert stamp(copy) == ("first", 1)
    source.kill()
    await standby.begun()
    await follows(copy, standby)
    assert stamp(copy) == ("first", 2)


async def test_a_source_whose_first_keyframe_is_not_finished_is_heard(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source = await Source(bus).begun()
    source.reach.delays["PutPart"] = 1
    other = Source(bus, "second")
    await source.publish(Instrument("A"), update("A", bid="1.00"))
    await trio.sleep(20)
    assert source.leads
    assert not other.leads


async def test_a_log_that_went_on_without_a_keyframe_is_begun_anew_once_its_source_is_silent(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    source = Source(bus)
    source.reach.hold("PutPart")
    await source.begun()
    other = await Source(bus, "second").begun()
    assert other.cache.epoch not in {"first", "second"}
    assert other.cache.cut > CUTS_OF_A_NEW_EPOCH
    source.reach.go_on()
    await until(lambda: source.deposed)


async def test_a_new_epoch_where_the_engine_may_have_lost_what_copies_have_seen(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    """It fell back to a place at which the one that stands by had stopped to read."""
    source, copy = await leading(bus)
    standby = await standing_by(bus, source)
    await until(lambda: source.leader.keyframes > 0)
    standby.reach.hold("Read")
    await trio.sleep(1)
    cut = source.cache.cut
    await source.publish(update("A", bid="3.00"))
    await copy.equals(source)
    source.kill()
    await bus.restart(cut)
    standby.reach.go_on()
    await standby.begun()
    assert standby.cache.epoch != "first"
    assert standby.cache.cut > cut + CUTS_OF_A_NEW_EPOCH
    assert "another epoch" in await copy.lost()
    standby.say(Instrument("A"), update("A", bid="1.00"))
    await Copy(bus).equals(standby)


async def test_what_a_source_left_open_does_not_come_back(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    """The engine was emptied, and another one leads there: one that wakes does not write over it."""
    source, copy = await leading(bus)
    for number in range(20):
        await source.publish(update("A", bid=str(number)))
    standby = await standing_by(bus, source)
    source.reach.hold()
    await bus.restart(0, keyframes=False)
    await standby.begun()
    assert "begun anew" in await copy.lost()
    assert bus.log.last < Position(source.cache.cut)
    source.reach.go_on()
    await until(lambda: source.deposed)
    assert standby.leads
    standby.say(Instrument("A"), update("A", bid="1.00"))
    await Copy(bus).equals(standby)


async def test_a_copy_takes_nothing_from_a_source_that_was_replaced(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    """The log has lost the takeover, and the first source wakes before the second one has repaired that."""
    source, copy = await leading(bus)
    before = source.cache.cut
    standby = await standing_by(bus, source)
    source.reach.hold()
    await standby.begun()
    await follows(copy, standby)
    standby.kill()
    await bus.restart(before)
    source.reach.go_on()
    while not copy.cause:
        assert copy.follower.cache.wire_cut(copy.follower.cache.cut) <= standby.cache.cut
        await source.publish(update("A", bid=str(100 + source.cache.cut)))
    assert "replaced" in copy.cause


async def test_the_epoch_ends_where_a_replaced_source_has_written_over_the_cuts_of_another(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    """Copies have some cuts of the one, and some of the other, which have the same numbers."""
    source, copy = await leading(bus)
    before = source.cache.cut
    standby = await standing_by(bus, source)
    source.reach.hold()
    await standby.begun()
    for _ in range(5):
        await follows(copy, standby)
    standby.reach.away = True
    await bus.restart(before)
    source.reach.go_on()
    await source.publish(update("A", bid="7.77"))
    assert before < bus.log.last.cut < standby.cache.cut
    standby.reach.away = False
    await until(lambda: source.deposed and standby.deposed)
    assert "another epoch" in await copy.lost()
    again = await Source(bus, "third").begun()
    again.say(Instrument("A"), update("A", bid="1.00"))
    await trio.sleep(1)
    await Copy(bus).equals(again)
    assert again.cache.epoch != "first"


async def test_a_new_epoch_where_the_engine_begins_another_life_while_one_takes_over(
    autojump_clock: MockClock,  # noqa: ARG001
    bus: Bus,
) -> None:
    """It had followed to the end; what has happened there since is not known."""
    source, copy = await leading(bus)
    standby = await standing_by(bus, source)
    standby.reach.hold("Append")
    source.kill()
    await until(lambda: standby.reach.asked["Append"] > 0)
    await bus.restart(source.cache.cut - 1)
    standby.reach.go_on()
    await until(lambda: standby.deposed)
    again = await Source(bus, "third").begun()
    assert again.cache.epoch != "first"
    assert "another epoch" in await copy.lost()
