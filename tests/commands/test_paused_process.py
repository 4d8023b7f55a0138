"""A process that is stopped as a whole and goes on (SIGSTOP, SIGCONT), as a container or a laptop does: nobody loses a
connection for bytes that the process had no time to ask for or to read.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.commands.test_cli import COUNTING, lines, rest, started
from tests.conftest import Peer, Running, client_frame, serving, upgrade
from tests.support import update
from ticker.config import Limits
from ticker.market import Instrument
from ticker.protocol.messages import Delta

PAUSE = 6.0
CLOSE, PING, PONG = 0x88, 0x89, 0x8A

LIMITS = """
[limits]
ping_seconds = 2
pong_seconds = 1
heartbeat_seconds = 1
stall_seconds = 4
handshake_seconds = 4
"""


async def pause(process: trio.Process) -> None:
    """Stop a process for longer than any of these limits, and let it go on."""
    os.kill(process.pid, signal.SIGSTOP)
    await trio.sleep(PAUSE)
    os.kill(process.pid, signal.SIGCONT)


async def connect(url: str) -> Running:
    """The service of another process, to dial."""
    return Running(url, trio.open_memory_channel[object](0)[0], trio.Event(), trio.Event())


async def keeps_its_place(peer: Peer) -> None:
    """A client that answers pings is there for longer than the time after which a silent one is dropped."""
    with trio.move_on_after(6.0):
        while True:
            first_byte, payload = await peer.frame()
            assert first_byte != CLOSE, payload
            if first_byte == PING:
                await peer.send(client_frame(PONG, payload))


@pytest.mark.untraced
async def test_a_service_that_was_stopped_drops_none_of_its_clients(tmp_path: Path) -> None:
    """One that only listens, one within its request, and one that reads nothing until later."""
    config = tmp_path / "ticker.toml"
    config.write_text(LIMITS)
    async with started("serve", *COUNTING, "--config", str(config)) as process:
        (ready,) = await lines(process, 1)
        service = await connect(ready.removeprefix("ready "))
        with trio.fail_after(HANG_SECONDS):
            listener = await service.watcher("*")
            asking = await service.dial()
            request = upgrade()
            await asking.send(request[:40])
            slow = await service.watcher("*", buffer=4096)
            await trio.sleep(1.0)
            await pause(process)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(keeps_its_place, listener)
                nursery.start_soon(keeps_its_place, slow)
                await asking.send(request[40:])
                assert (await asking.head()).startswith(b"HTTP/1.1 101 ")
                nursery.start_soon(keeps_its_place, asking)
            for peer in (listener, slow):
                await peer.until(Delta)
            for peer in service.peers:
                await peer.close()
        process.terminate()
        assert "dropped" not in await rest(process.stderr)


@pytest.mark.untraced
async def test_a_client_that_was_stopped_keeps_its_connection() -> None:
    """The heartbeats that came meanwhile wait in its socket."""
    async with (
        serving(Instrument("A"), update("A", bid="1"), limits=Limits(heartbeat_seconds=0.5)) as service,
        started("watch", "A", "--url", service.url, "--json") as process,
    ):
        await lines(process, 1)
        for price in (2, 3):
            await pause(process)
            await service.publish(update("A", bid=price))
            await lines(process, 1)
        process.terminate()
        assert "nothing was heard" not in await rest(process.stderr)
