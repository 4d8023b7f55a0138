"""ticker/commands/watch.py: messages of a server reach stdout and stderr as text only, and errors name the cause."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import cast

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.client.network import Script, scripted
from tests.commands.test_cli import DECLARED, lines, started
from tests.conftest import serving
from tests.net.pair import Contexts
from tests.support import update
from ticker import Change, ChangedFields, Connected, Disconnected, Event, Refused, SourceBack, SourceSilent, Unmatched
from ticker.commands.watch import event_text, line_of
from ticker.market import Levels, Trade
from ticker.protocol.messages import Definition, Goodbye, Instruments, Reply, Snapshot, Source

HOSTILE = "\x1b[2J\x9b31m\u202eDSU\x07\x7f\U000e0041\ud800"


def test_a_line_of_json_holds_no_character_that_a_terminal_obeys_and_means_the_same() -> None:
    fields = {"status": HOSTILE, "note": "Zürich 日本 🙂"}
    line = line_of(Change(1, datetime.now(UTC), {HOSTILE: cast("ChangedFields", fields)}))
    assert line.isprintable()
    assert "Zürich 日本 🙂" in line
    assert json.loads(line)["changes"] == {HOSTILE: fields}


@pytest.mark.parametrize(
    "event",
    [
        Disconnected(HOSTILE, 1.0),
        Refused(HOSTILE, 7, HOSTILE),
        Unmatched(HOSTILE, 5),
        SourceSilent(datetime.now(UTC)),
        SourceBack(),
        Connected("u", "s", resumed=False),
    ],
)
def test_an_event_is_one_printable_line(event: Event) -> None:
    assert event_text(event).isprintable()


async def test_a_hostile_server_moves_no_cursor(contexts: Contexts) -> None:
    hostile = HOSTILE[:-1]
    script = Script(
        Instruments([Definition(0, "A", 0, 0, {hostile: hostile})]),
        Snapshot(0, 1, 1, [], [0, {1: 1, 14: hostile, 15: hostile}]),
        Reply(1, {"outcomes": [["*", 0, ""], ["a b", 7, hostile]]}),
        Goodbye(hostile, 60_000, come_back=True),
        code=1001,
    )
    async with scripted(contexts, script) as url, started("watch", "--url", url, "*", "a b") as process:
        (line,) = await lines(process, 1)
        text = b""
        while b"disconnected" not in text:
            assert process.stderr is not None
            text += await process.stderr.receive_some()
    assert line.isprintable()
    assert json.loads(line)["changes"] == {"A": {"bid": "1", "status": "stale", "reason": hostile}}
    assert all(each.isprintable() for each in text.decode().splitlines())
    assert "a b: \\x1b[2J\\x9b31m" in text.decode()


async def test_watch_takes_several_addresses_and_says_that_the_source_is_silent(contexts: Contexts) -> None:
    script = Script(
        Source(1_399_507_208_000_000),
        Instruments([Definition(0, "A", 0, 0, {})]),
        Snapshot(0, 1, 1, [], [0, {1: 1}]),
        Reply(1, {"outcomes": [["A", 0, ""]]}),
        Source(None),
        listens=True,
    )
    nobody = "wss://127.0.0.1:1"
    async with scripted(contexts, script) as url, started("watch", "--url", nobody, "--url", url, "A") as process:
        text = b""
        while b"again\n" not in text:
            assert process.stderr is not None
            text += await process.stderr.receive_some()
    first, second, third, fourth = text.decode().splitlines()
    assert first.startswith("disconnected: nobody listens there")
    assert first.endswith("; trying the next address")
    assert second == f"connected {url}/v1/stream"
    assert (third, fourth) == ("no data from the source since 00:00:08 UTC", "data from the source again")


async def test_watch_says_which_names_no_instrument_has() -> None:
    async with serving(*DECLARED) as service, started("watch", "--url", service.url, "A", "Q*", "ZZZ") as process:
        text = ""
        with trio.fail_after(HANG_SECONDS):
            while "Q*: no instrument" not in text or "ZZZ: no instrument" not in text:
                assert process.stderr is not None
                text += (await process.stderr.receive_some()).decode()


async def test_watch_prints_the_rows_of_tables_that_changed() -> None:
    book = Levels("A", [("10.50", "2")], [("11", "3")], complete=True)
    names = ("A book:10", "A trades:10")
    async with serving(*DECLARED) as service, started("watch", "--json", "--url", service.url, *names) as process:
        await lines(process, 1)
        await service.publish(book, Trade("A", "10.75", 5, "buy", 1_000_000, 7))
        changes: dict[str, dict[str, object]] = {}
        while "A book:10" not in changes or "A trades:10" not in changes:
            (line,) = await lines(process, 1)
            changes |= json.loads(line)["changes"]
    assert (changes["A book:10"]["bids"], changes["A book:10"]["asks"]) == ([["10.50", "2"]], [["11.00", "3"]])
    printed = {"number": 1, "price": "10.75", "size": "5", "time": 1_000_000, "side": "buy", "id": 7}
    assert changes["A trades:10"]["trades"] == [printed]


async def test_watch_prints_some_fields_only() -> None:
    async with (
        serving(*DECLARED) as service,
        started("watch", "--json", "--fields", "ask,own", "--url", service.url, "A") as process,
    ):
        await service.publish(update("A", ask="7", bid="6", own="x"))
        changes: dict[str, object] = {}
        while "own" not in changes:
            (line,) = await lines(process, 1)
            changes |= json.loads(line)["changes"]["A"]
    assert changes.keys() <= {"ask", "own", "status", "reason"}
