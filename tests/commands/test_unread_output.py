"""A service whose log and stdout nobody reads: prices go on, lost lines are counted and said, and it can be stopped."""

from __future__ import annotations

import json
import re
import signal

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.commands.test_cli import started
from tests.conftest import Running
from tests.feeds_for_tests import Chatty, Step
from ticker.bounds import OUTPUT_QUEUE_BYTES
from ticker.protocol.messages import Delta

METRICS = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
PIPE_BYTES = 65_536
CHATTY = ["--feed", "tests.feeds_for_tests:Chatty", "--listen", "127.0.0.1:0"]


async def ready(process: trio.Process) -> Running:
    """The service, once it says its URL among the lines that its feed prints."""
    assert process.stdout is not None
    printed, found = b"", None
    while found is None:
        printed += await process.stdout.receive_some()
        found = re.search(rb"^ready (\S+)$", printed, re.MULTILINE)
    return Running(found[1].decode(), trio.open_memory_channel[Step](0)[0], trio.Event(), trio.Event())


async def lines_lost(service: Running) -> float:
    found = re.search(rb"^ticker_output_lines_lost_total (\S+)$", await service.refusal(METRICS), re.MULTILINE)
    assert found is not None
    return float(found[1])


async def until_log_is_full(process: trio.Process) -> None:
    """Read stdout until the feed has logged more than the queue and the pipe of stderr take."""
    assert process.stdout is not None
    printed, batches = b"", 0
    while batches * Chatty.lines * Chatty.length <= OUTPUT_QUEUE_BYTES + PIPE_BYTES:
        printed = printed.rpartition(b"\n")[2] + await process.stdout.receive_some()
        batches = max([batches, *map(int, re.findall(rb"^(\d+) -+$", printed, re.MULTILINE))])


@pytest.mark.untraced
async def test_a_service_whose_output_nobody_reads_sends_its_prices_and_counts_the_lines() -> None:
    async with started("serve", *CHATTY) as process:
        service = await ready(process)
        peer = await service.watcher("COUNT")
        with trio.fail_after(HANG_SECONDS):
            while not await lines_lost(service):  # stderr, stdout or both
                for _ in range(50):
                    await peer.until(Delta)
        for each in service.peers:
            await each.close()
        process.send_signal(signal.SIGTERM)
        with trio.fail_after(HANG_SECONDS):
            assert await process.wait() == 0


@pytest.mark.untraced
async def test_a_log_that_is_read_again_says_how_many_lines_were_lost() -> None:
    async with started("serve", *CHATTY, "--log-format", "json") as process:
        await until_log_is_full(process)
        assert process.stderr is not None
        read, found = b"", None
        with trio.fail_after(HANG_SECONDS):
            while found is None:
                read += await process.stderr.receive_some()
                found = re.search(rb"^.* lines of this log were lost.*$", read, re.MULTILINE)
        entry = json.loads(found[0])
        assert entry["level"] == "warning"
        assert re.fullmatch("[0-9]+ lines of this log were lost, because they were not read in time", entry["event"])
