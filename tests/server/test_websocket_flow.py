"""ticker/server/websocket.py: data, answers and control frames side by side, slow clients, the service's end."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from tests.conftest import CLOSE, JSON, PING, PONG, TEXT, EndOfStream, Logs, alarms, client_frame, serving
from tests.server.test_operator_pages import measures
from tests.support import update
from ticker.config import Limits
from ticker.market import Instrument, Publication
from ticker.protocol.messages import Delta, Error, Goodbye, Heartbeat, Reply, Snapshot
from ticker.server.market import times_to_return

DECLARED: tuple[Publication, ...] = (Instrument("A"), update("A", bid="1.00"))


def bulky(number: int) -> Publication:
    """An update of A whose frame has some 15 kB."""
    return update("A", bid=number, **{f"note{column}": f"{number} {'x' * 248}" for column in range(50)})


async def test_pings_are_answered_while_data_flows() -> None:
    async with serving(*DECLARED) as service:
        peer = await service.watcher()
        pongs: list[bytes] = []
        deltas = 0
        with trio.fail_after(HANG_SECONDS):
            async with trio.open_nursery() as nursery:

                async def publish() -> None:
                    for number in range(1, 101):
                        await service.publish(update("A", bid=number))

                nursery.start_soon(publish)
                for number in range(20):
                    await peer.send(client_frame(PING, b"%d" % number))
                while len(pongs) < 20 or deltas == 0:
                    first_byte, payload = await peer.frame()
                    if first_byte == PONG:
                        pongs.append(payload)
                    else:
                        deltas += 1
        assert pongs == [b"%d" % number for number in range(20)]


async def test_requests_are_answered_in_their_order() -> None:
    async with serving(*DECLARED) as service:
        peer = await service.peer()
        with trio.fail_after(HANG_SECONDS):
            asked = [
                await peer.ask(op, **fields) for op, fields in [("ping", {}), ("subscribe", {"symbols": ["A"]})] * 5
            ]
            assert [(await peer.until(Reply)).id for _ in asked] == asked


async def test_a_client_that_stops_reading_gets_one_merged_delta_and_the_others_stay_in_step() -> None:
    async with serving(*DECLARED) as service:
        slow = await service.watcher(buffer=4096)
        brisk = await service.watcher()
        with trio.fail_after(HANG_SECONDS):
            first = 0
            for number in range(2, 102):
                await service.publish(bulky(number))
                seen = [await brisk.until(Delta)]
                first = first or seen[0].cut
                assert (seen[0].since, seen[0].cut) == (first + number - 3, first + number - 2)
            last = first + 99
            received = await slow.until_cut(last)
            assert len(received) < 100
            steps = [(message.since, message.cut) for message in received]
            assert [since for since, _ in steps[1:]] == [cut for _, cut in steps[:-1]]
            assert [cut - since > 1 for since, cut in steps].count(True) == 1
            assert received[-1].changes[1][1] == 10_100
            await service.publish(update("A", bid="7.00"))
            assert (await slow.until(Delta)).changes == [0, {1: 700}]


async def test_an_answer_waits_for_the_data_before_it(fast_clock: MockClock) -> None:
    async with serving(*DECLARED) as service:
        slow = await service.watcher(buffer=4096)
        brisk = await service.watcher()
        cut = 0
        for number in range(2, 102):
            await service.publish(bulky(number))
            cut = (await brisk.until(Delta)).cut
        asked = await slow.ask("ping")
        await wait_all_tasks_blocked()
        fast_clock.jump(2)
        assert len(await slow.until_cut(cut)) < 100
        answer = await slow.message()
        assert isinstance(answer, Reply)
        assert answer.id == asked


async def test_a_client_whose_socket_takes_nothing_for_too_long_is_dropped(fast_clock: MockClock, logs: Logs) -> None:
    async with serving(*DECLARED, limits=Limits(stall_seconds=30, heartbeat_seconds=1000)) as service:
        slow = await service.watcher(buffer=4096)
        brisk = await service.watcher()
        for number in range(2, 102):
            await service.publish(bulky(number))
            await brisk.until(Delta)
        await wait_all_tasks_blocked()
        fast_clock.jump(31)
        await wait_all_tasks_blocked()
        fast_clock.jump(2)  # a moment for the socket to close
        with pytest.raises(EndOfStream):
            await slow.until_cut(1000)
        await service.proves_alive()
        assert (await measures(service))["ticker_clients_dropped_total{cause=stalled}"] == 1
    (dropped,) = alarms(logs)
    assert dropped["event"] == "client dropped: its socket took nothing"
    assert dropped["unsent_bytes"] > 0
    assert dropped["cuts_behind"] > 0


async def test_a_client_that_only_pings_and_never_reads_is_dropped_too(fast_clock: MockClock, logs: Logs) -> None:
    async with serving(*DECLARED, limits=Limits(stall_seconds=30, heartbeat_seconds=1000)) as service:
        slow = await service.watcher(buffer=4096)
        brisk = await service.watcher()
        with trio.move_on_after(0.5):
            await slow.send(client_frame(PING, b"x" * 125) * 20_000)
        await service.publish(bulky(2))
        await brisk.until(Delta)
        await wait_all_tasks_blocked()
        fast_clock.jump(31)
        await wait_all_tasks_blocked()
    assert "client dropped: its socket took nothing" in [entry["event"] for entry in logs]


async def test_an_idle_client_gets_heartbeats_with_the_present_cut(fast_clock: MockClock) -> None:
    async with serving(*DECLARED, limits=Limits(heartbeat_seconds=7)) as service:
        peer = await service.watcher("ELSEWHERE")
        for _ in range(3):
            await wait_all_tasks_blocked()
            fast_clock.jump(7)
            beat = await peer.message()
            assert isinstance(beat, Heartbeat)
            assert beat.cut == 1


async def test_an_interval_holds_back_and_merges(fast_clock: MockClock) -> None:
    async with serving(*DECLARED, interval_ms=1000) as service:
        peer = await service.watcher("A")
        with trio.fail_after(HANG_SECONDS):
            await wait_all_tasks_blocked()
            fast_clock.jump(1)
            for number in range(2, 12):
                await service.publish(update("A", bid=number))
            await wait_all_tasks_blocked()
            fast_clock.jump(2)
            seen = await peer.until_cut(11)
        assert len(seen) == 2
        assert seen[-1].changes == [0, {1: 1100}]


# The end of the service


async def test_when_the_service_stops_its_clients_get_goodbye_and_close_1001() -> None:
    async with serving(*DECLARED) as service:
        peers = [await service.watcher(), await service.watcher(subprotocol=JSON), await service.peer()]
        service.stop.set()
        retries = set()
        with trio.fail_after(HANG_SECONDS):
            for peer in peers:
                goodbye = await peer.until(Goodbye)
                assert goodbye.come_back
                assert 500 <= goodbye.retry_ms <= 3000
                retries.add(goodbye.retry_ms)
                assert await peer.closed() == (1001, "the server is stopping")
                await peer.send(client_frame(CLOSE, b"\x03\xe9"))
                assert await peer.rest() == b""
            await service.done.wait()


@pytest.mark.parametrize(
    ("retry_ms", "clients", "wanted"),
    [
        ((500, 3000), 1, (500, 3000)),
        ((500, 3000), 1000, (500, 3000)),
        ((500, 3000), 10_000, (500, 25_497)),
        ((0, 0), 1, (0, 0)),
        ((0, 0), 0, (0, 0)),
    ],
)
def test_many_clients_come_back_over_a_longer_time(
    retry_ms: tuple[int, int], clients: int, wanted: tuple[int, int]
) -> None:
    assert times_to_return(retry_ms, clients) == wanted


async def test_goodbyes_are_spread_by_the_number_of_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.server.market.RETURNS_PER_SECOND", 1)
    async with serving(*DECLARED, retry_ms=(0, 0)) as service:
        peers = [await service.watcher() for _ in range(3)]
        service.stop.set()
        with trio.fail_after(HANG_SECONDS):
            assert any([(await peer.until(Goodbye)).retry_ms for peer in peers])


async def test_a_stop_takes_no_longer_than_its_clients_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.server.websocket.CLOSE_SECONDS", 2 * HANG_SECONDS)
    async with serving(*DECLARED) as service:
        peer = await service.watcher()
        service.stop.set()
        with trio.fail_after(HANG_SECONDS):
            await peer.until(Goodbye)
            assert (await peer.closed())[0] == 1001
            await peer.send(client_frame(CLOSE, b"\x03\xe9"))
        with trio.fail_after(HANG_SECONDS):  # half of the time for an answer to a close frame
            await service.done.wait()


async def test_a_client_that_ignores_the_close_does_not_hold_up_the_end(fast_clock: MockClock) -> None:
    async with serving(*DECLARED) as service:
        await service.watcher()
        service.stop.set()
        await wait_all_tasks_blocked()
        fast_clock.jump(3.5)
        with trio.fail_after(HANG_SECONDS):
            await service.done.wait()


async def test_a_client_that_is_being_closed_anyway_gets_no_goodbye() -> None:
    async with serving(*DECLARED) as service:
        peer = await service.watcher()
        with trio.fail_after(HANG_SECONDS):
            await peer.send(client_frame(TEXT, b"wrong"))
            assert isinstance(await peer.message(), Error)
            assert (await peer.closed())[0] == 1003
            service.stop.set()
            await wait_all_tasks_blocked()
            await peer.send(client_frame(CLOSE, b"\x03\xeb"))
            assert await peer.rest() == b""


async def test_a_snapshot_in_parts_ends_with_the_reply() -> None:
    declared = [Instrument(f"S{number}") for number in range(10)]
    async with serving(*declared, limits=Limits(snapshot_part=3)) as service:
        peer = await service.peer()
        asked = await peer.ask("subscribe", symbols=["S*"])
        snapshots = 0
        with trio.fail_after(HANG_SECONDS):
            while not isinstance(message := await peer.message(), Reply):
                snapshots += isinstance(message, Snapshot)
        assert message.id == asked
        assert snapshots == 4
