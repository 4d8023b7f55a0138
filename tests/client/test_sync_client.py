"""ticker/client/sync_client.py: the service runs in the test, the iterator in a thread beside it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Generator
from decimal import Decimal
from typing import cast

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.conftest import serving
from tests.support import update
from ticker import Change, Connected, Event, Refused, snapshot, watch
from ticker.config import Limits
from ticker.errors import Code, ConfigError, ConnectionFailed
from ticker.market import Instrument, Publication

DECLARED: tuple[Publication, ...] = (Instrument("A"), update("A", bid="1.00"))


def clients() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "ticker-client"]


async def in_thread(script: Callable[[], None]) -> None:
    await trio.to_thread.run_sync(script, abandon_on_cancel=True)


def iterate(*args: object, **options: object) -> Generator[Change]:
    return cast("Generator[Change]", watch(*args, **options))  # type: ignore[arg-type]


async def test_a_script_iterates_over_changes() -> None:
    async with serving(*DECLARED) as service:

        def script() -> None:
            changes = watch(service.url, ["A"])
            assert next(changes).changes == {"A": {"bid": Decimal("1.00")}}
            trio.from_thread.run(service.publish, update("A", bid="1.01"))
            assert next(changes).changes == {"A": {"bid": Decimal("1.01")}}

        await in_thread(script)
    assert clients() == []


async def test_closing_the_iterator_closes_the_connection() -> None:
    async with serving(*DECLARED) as service:

        def script() -> None:
            changes = iterate(service.url, ["A"])
            next(changes)
            assert clients() == ["ticker-client"]
            changes.close()
            assert clients() == []
            with pytest.raises(StopIteration):
                next(changes)

        await in_thread(script)


async def test_a_slow_script_gets_merged_changes() -> None:
    async with serving(*DECLARED) as service:
        brisk = await service.watcher("A")

        async def publish() -> None:
            for number in range(2, 52):
                await service.publish(update("A", bid=number, ask=number + 1))
            await brisk.until_cut(51)

        def script() -> None:
            changes = watch(service.url, ["A"])
            next(changes)
            trio.from_thread.run(publish)
            seen = [next(changes)]
            while seen[-1].cut < 51:
                seen.append(next(changes))
            assert len(seen) < 50
            assert seen[-1].changes["A"]["bid"] == Decimal(51)

        await in_thread(script)


async def test_nothing_happens_before_the_first_step() -> None:
    changes = iterate("not even a url", ["A"])
    assert clients() == []
    changes.close()


async def test_what_connect_raises_is_raised_at_the_first_step() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def script() -> None:
        with pytest.raises(ConfigError, match="ws://"):
            next(watch("ws://localhost", ["A"]))
        with pytest.raises(ConnectionFailed, match="connection refused"):
            next(watch(f"wss://127.0.0.1:{port}", ["A"]))
        assert clients() == []

    with trio.fail_after(HANG_SECONDS):
        await in_thread(script)


async def test_a_connection_that_fails_for_good_ends_the_iteration() -> None:
    async with serving(*DECLARED, limits=Limits(max_message_bytes=100)) as service:

        def script() -> None:
            with pytest.raises(ConnectionFailed, match="100 bytes"):
                next(watch(service.url, ["A" * 120]))
            assert clients() == []

        await in_thread(script)


async def test_connections_and_refused_names_are_reported() -> None:
    events: list[Event] = []
    async with serving(*DECLARED) as service:

        def script() -> None:
            changes = watch(service.url, ["A", "a,b"], interval_ms=10, on_event=events.append)
            next(changes)
            trio.from_thread.run(service.publish, update("A", bid="1.01"))
            next(changes)  # it comes after the reply, which refuses a name

        await in_thread(script)
    connected, refused = events
    assert isinstance(connected, Connected)
    assert (connected.url, connected.resumed) == (service.url, False)
    assert isinstance(refused, Refused)
    assert (refused.name, refused.code, refused.pending) == ("a,b", Code.BAD_SYMBOL, False)


async def test_an_exception_of_on_event_is_raised_by_the_iterator() -> None:
    async with serving(*DECLARED) as service:

        def complain(event: Event) -> None:
            if isinstance(event, Refused):
                raise LookupError(event.name)  # noqa: TRY004

        def script() -> None:
            changes = watch(service.url, ["a,b"], on_event=complain)
            with pytest.raises(LookupError, match="a,b"):
                next(changes)
            assert clients() == []

        await in_thread(script)


async def test_several_addresses_are_tried_by_the_iterator_and_by_the_one_call() -> None:
    nobody = "wss://127.0.0.1:1"
    async with serving(*DECLARED) as service:

        def script() -> None:
            assert next(watch([nobody, service.url], ["A"])).changes.keys() == {"A"}
            assert snapshot([nobody, service.url], ["A"]).keys() == {"A"}
            with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:1.*127\.0\.0\.1:2"):
                snapshot([nobody, "wss://127.0.0.1:2"], ["A"])

        await in_thread(script)
