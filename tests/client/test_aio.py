"""ticker.aio: the same client in an asyncio loop, from the real service; the loop runs in a thread beside it."""

from __future__ import annotations

import asyncio
import inspect
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio

import ticker
from tests.bounds import HANG_SECONDS
from tests.client.network import Proxy, proxied
from tests.conftest import Running, serving
from tests.support import update
from tests.tokens import KEYS, public_pem, token
from ticker import Connected, Disconnected, Event, Level
from ticker.client import guest
from ticker.config import Limits, Tokens
from ticker.errors import ConfigError, ConnectionFailed
from ticker.market import Instrument, Levels, Publication, Trade

D = Decimal
DECLARED: tuple[Publication, ...] = (
    Instrument("A", price_scale=2, size_scale=1),
    Instrument("B"),
    update("A", bid="1.00"),
    update("B", bid="2.00"),
)
HOSTS = ("asyncio", "uvloop")


async def in_asyncio(main: Callable[[], Coroutine[Any, Any, None]], host: str = "asyncio") -> None:
    """Run a program of asyncio to its end, in a thread; nothing of Trio may be left in it."""

    def run() -> None:
        factory = pytest.importorskip("uvloop").new_event_loop if host == "uvloop" else None
        with asyncio.Runner(loop_factory=factory, debug=True) as runner:
            runner.run(main())
        assert guest.present() is None

    await trio.to_thread.run_sync(run, abandon_on_cancel=True)


def publish(service: Running, *publications: Publication) -> None:
    """Publish from the thread of the loop, which waits until the service has it."""
    trio.from_thread.run(service.publish, *publications)


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.005)


async def cut(proxy: Proxy) -> None:
    """Cut all connections, and wait for what comes of it."""
    trio.from_thread.run_sync(proxy.cut)
    await asyncio.sleep(HANG_SECONDS)


@pytest.mark.parametrize("host", HOSTS)
async def test_everything_of_the_client_works_in_asyncio(host: str) -> None:
    minute = 1_700_000_040

    async def main() -> None:
        async with ticker.aio.connect(service.url) as client:
            assert isinstance(client, ticker.Client)
            subscription = client.subscribe("A", "B")
            first = await anext(subscription)
            assert {name: fields["bid"] for name, fields in first.changes.items()} == {"A": D("1.00"), "B": D("2.00")}
            publish(service, update("A", bid="1.01"))
            assert (await anext(subscription)).changes == {"A": {"bid": D("1.01")}}
            async with client.book("A", 2) as book:
                assert (book.status, book.bids, book.asks) == ("live", [Level(D(1), D(2))], [Level(D(3), D(4))])
                publish(service, Levels("A", [], [(2, 1)]))
                async for _ in book:
                    if book.asks == [Level(D(2), D(1)), Level(D(3), D(4))]:
                        break
            async with client.trades("A") as trades:
                assert [trade.price for trade in trades.latest] == [D("1.5")]
                assert (await anext(trades)).size == D("0.5")
            async with client.candles("A", "1m", 10) as candles:
                assert [bar.close for bar in candles.bars] == [D("1.5")]
            assert await client.verify()
            assert [each.symbol for each in (await client.search("B*")).instruments] == ["B"]
            assert (await client.stats())["frames"] >= 1
            async with client.subscribe("A", fields=["ask"]) as asks:
                await asks.complete()
            found = client.instrument("B")
            assert found is not None
            subscription.close()
            assert [change async for change in subscription] == []
        assert (await ticker.aio.snapshot(service.url, ["A*"], fields=["bid"]))["A"] == {"bid": D("1.01")}

    book = Levels("A", [(1, 2)], [(3, 4)], complete=True)
    trade = Trade("A", "1.5", "0.5", "buy", minute * 1_000_000, 1)
    async with serving(*DECLARED, book, trade) as service:
        await in_asyncio(main, host)


def test_what_the_client_and_its_readers_wait_for_is_known() -> None:
    """A coroutine that waits with Trio alone does not work here: new ones wait with `Wake`, and are tested above."""
    waiting = {
        name
        for kind in (ticker.Client, ticker.Subscription, ticker.Book, ticker.Trades, ticker.Candles)
        for name, value in inspect.getmembers(kind)
        if inspect.iscoroutinefunction(value) and not name.startswith("_")
    }
    assert waiting == {"verify", "search", "stats", "complete", "start"}, "`start` is Trio's own part"


async def test_a_cancelled_wait_loses_nothing() -> None:
    async def main() -> None:
        async with ticker.aio.connect(service.url) as client, client.subscribe("A") as subscription:
            await anext(subscription)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await anext(subscription)
            waiting = asyncio.ensure_future(anext(subscription))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            publish(service, update("A", bid="1.02"))
            assert (await anext(subscription)).changes == {"A": {"bid": D("1.02")}}

    async with serving(*DECLARED) as service:
        await in_asyncio(main)


async def test_a_cancelled_task_closes_its_client_first() -> None:
    async def main() -> None:
        clients: list[ticker.Client] = []

        async def follow() -> None:
            async with ticker.aio.connect(service.url) as client:
                clients.append(client)
                async for _ in client.subscribe("A"):
                    pass

        task = asyncio.create_task(follow())
        await until(lambda: bool(clients))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert "closed" in repr(clients[0])
        assert guest.present() is None

    async with serving(*DECLARED) as service:
        await in_asyncio(main)


async def test_connecting_can_be_cancelled() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05), ticker.aio.connect(f"wss://127.0.0.1:{silent.getsockname()[1]}"):
                    raise AssertionError
            assert guest.present() is None

    await in_asyncio(main)


async def test_errors_are_those_of_the_client_for_trio() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with pytest.raises(ConnectionFailed, match="connection refused") as failed:
            async with ticker.aio.connect(f"wss://127.0.0.1:{port}"):
                raise AssertionError
        assert failed.value.retryable
        with pytest.raises(ConfigError, match="ws://"):
            async with ticker.aio.connect("ws://localhost"):
                raise AssertionError
        with pytest.raises(ConfigError, match="is a text; give a list"):
            await ticker.aio.snapshot(service.url, "A")
        with pytest.raises(ConfigError, match="book"):
            async with ticker.aio.connect(service.url) as client:
                client.book("A", 1000)
        with pytest.raises(ZeroDivisionError):
            async with ticker.aio.connect(service.url):
                _ = 1 / 0

    async with serving(*DECLARED) as service:
        await in_asyncio(main)


async def test_each_library_is_told_of_its_own_connect() -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match=r"with asyncio use ticker\.aio\.connect"):
            async with ticker.connect("wss://localhost"):
                raise AssertionError

    await in_asyncio(main)
    with pytest.raises(ConfigError, match=r"with Trio use ticker\.connect"):
        async with ticker.aio.connect("wss://localhost"):
            raise AssertionError
    with pytest.raises(ConfigError, match=r"with Trio use ticker\.connect"):
        await ticker.aio.snapshot("wss://localhost", ["A"])


async def test_an_exception_of_on_event_ends_the_block_and_is_raised_there() -> None:
    fault = ValueError("mine")

    def on_event(event: Event) -> None:
        if isinstance(event, Disconnected):
            raise fault

    async def main() -> None:
        with pytest.raises(ValueError, match="mine") as raised:
            async with ticker.aio.connect(proxy.url, on_event=on_event):
                await cut(proxy)
        assert raised.value is fault
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(0)

    async with serving(*DECLARED) as service, proxied(service) as proxy:
        await in_asyncio(main)


async def test_a_cancellation_from_outside_counts_more_than_such_an_exception() -> None:
    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None

        def on_event(event: Event) -> None:
            if isinstance(event, Disconnected):
                task.cancel()
                raise ZeroDivisionError

        with pytest.raises(asyncio.CancelledError):
            async with ticker.aio.connect(proxy.url, on_event=on_event):
                await cut(proxy)
        task.uncancel()

    async with serving(*DECLARED) as service, proxied(service) as proxy:
        await in_asyncio(main)


async def test_clients_of_a_loop_share_one_run_of_trio() -> None:
    async def main() -> None:
        async with ticker.aio.connect(service.url) as first:
            run = guest.present()
            async with ticker.aio.connect(service.url) as second:
                assert guest.present() is run
                one, other = first.subscribe("A"), second.subscribe("B")
                changes = await asyncio.gather(anext(one), anext(other))
                assert [list(change.changes) for change in changes] == [["A"], ["B"]]
            assert [change async for change in other] == []
            publish(service, update("A", bid="3.00"))
            assert (await anext(one)).changes == {"A": {"bid": D("3.00")}}
        assert guest.present() is None
        many = await asyncio.gather(*(ticker.aio.snapshot(service.url, ["A"]) for _ in range(5)))
        assert [values["A"]["bid"] for values in many] == [D("3.00")] * 5

    async with serving(*DECLARED) as service:
        await in_asyncio(main)


async def test_the_copy_is_resumed_after_cuts_and_stalls() -> None:
    events: list[Event] = []

    async def main() -> None:
        async with ticker.aio.connect(proxy.url, on_event=events.append) as client:
            subscription, book = client.subscribe("A"), client.book("A", 10)
            await anext(subscription)
            await book.complete()
            trio.from_thread.run_sync(proxy.cut)
            await until(lambda: isinstance(events[-1], Disconnected))
            assert (book.status, book.reason) == ("stale", "reconnecting")
            publish(service, update("A", bid="1.05"), Levels("A", [(1, 9)], []))
            await until(lambda: isinstance(events[-1], Connected))
            assert (await anext(subscription)).changes == {"A": {"bid": D("1.05")}}
            await until(lambda: book.bids == [Level(D(1), D(9))])
            trio.from_thread.run_sync(proxy.stall)
            for number in range(6, 16):
                publish(service, update("A", bid=f"1.{number:02}"))
            trio.from_thread.run_sync(proxy.flow)
            await until(lambda: client.values("A").get("bid") == D("1.15"))
            assert await client.verify()
        assert [type(event) for event in events] == [Connected, Disconnected, Connected]

    async with serving(*DECLARED, Levels("A", [(1, 2)], [], complete=True)) as service, proxied(service) as proxy:
        await in_asyncio(main)


async def test_a_client_that_gives_up_ends_its_loops_with_the_reason() -> None:
    async def main() -> None:
        async with ticker.aio.connect(service.url) as client:
            subscription = client.subscribe("A" * 120)
            with pytest.raises(ConnectionFailed, match="100 bytes"):
                await anext(subscription)

    async with serving(*DECLARED, limits=Limits(max_message_bytes=100)) as service:
        await in_asyncio(main)


async def test_tokens_are_asked_for_in_a_task_of_the_loop(tmp_path: Path) -> None:
    asked: list[object] = []

    async def fresh() -> str:
        await asyncio.sleep(0)  # as one that asks another service
        asked.append(asyncio.current_task())
        return token()

    async def refused() -> str:
        raise OSError("the issuer is away")

    async def cancelled() -> str:
        raise asyncio.CancelledError

    async def main() -> None:
        assert await ticker.aio.snapshot(service.url, ["A"], token=fresh)
        assert await ticker.aio.snapshot(service.url, ["A"], token=token)
        assert isinstance(asked[0], asyncio.Task)
        with pytest.raises(ConnectionFailed, match="no token could be had: the issuer is away"):
            await ticker.aio.snapshot(service.url, ["A"], token=refused)
        with pytest.raises(ConnectionFailed, match="no token could be had: its task has ended with CancelledError"):
            await ticker.aio.snapshot(service.url, ["A"], token=cancelled)

    (tmp_path / "key.pem").write_bytes(public_pem(KEYS["EdDSA"]))
    async with serving(*DECLARED, tokens=Tokens(key=str(tmp_path / "key.pem"))) as service:
        await in_asyncio(main)


async def test_the_next_client_of_a_thread_ends_what_a_closed_loop_left_behind() -> None:
    def script() -> None:
        loop = asyncio.new_event_loop()
        context = ticker.aio.connect(service.url)
        client = loop.run_until_complete(context.__aenter__())
        loop.close()
        left = guest.present()
        assert left is not None
        values = asyncio.run(ticker.aio.snapshot(service.url, ["A"]))
        assert values["A"]["bid"] == D("1.00")
        assert "closed" in repr(client)
        assert guest.present() is None

    async with serving(*DECLARED) as service:
        await trio.to_thread.run_sync(script, abandon_on_cancel=True)


async def test_a_second_loop_of_a_thread_is_told_of_the_first() -> None:
    def script() -> None:
        with asyncio.Runner() as first, asyncio.Runner() as second:
            context = ticker.aio.connect(service.url)
            first.run(context.__aenter__())
            with pytest.raises(ConfigError, match="another asyncio loop"):
                second.run(ticker.aio.snapshot(service.url, ["A"]))
            first.run(context.__aexit__(None, None, None))
            assert second.run(ticker.aio.snapshot(service.url, ["A"]))

    async with serving(*DECLARED) as service:
        await trio.to_thread.run_sync(script, abandon_on_cancel=True)


IN_A_LOOP = """
async def main():
    async with ticker.aio.connect({url!r}) as client:
        print("open", flush=True)
        async for _ in client.subscribe("A"):
            pass
"""
WHILE_TRIO_IS_CALLED = """
import signal, sys

def interrupt(frame, event, _):
    if frame.f_code.co_name == "force_guest_tick_asap":
        sys.setprofile(None)
        signal.raise_signal(signal.SIGINT)
"""
"""Ctrl-C comes while a function of Trio wakes a task."""

INTERRUPTED = {
    "asyncio.run": IN_A_LOOP + "asyncio.run(main())",
    "a loop without a handler": IN_A_LOOP + "asyncio.new_event_loop().run_until_complete(main())",
    "code that does not await": IN_A_LOOP.replace('async for _ in client.subscribe("A")', "while True")
    + "asyncio.new_event_loop().run_until_complete(main())",
    "a call that wakes Trio": WHILE_TRIO_IS_CALLED
    + IN_A_LOOP.replace("        async", "        sys.setprofile(interrupt)\n        async")
    + "asyncio.new_event_loop().run_until_complete(main())",
}


@pytest.mark.parametrize("program", INTERRUPTED.values(), ids=INTERRUPTED)
async def test_ctrl_c_interrupts_the_program_as_without_a_client(program: str) -> None:
    async with serving(*DECLARED) as service:
        code = f"import asyncio, ticker\n{program.format(url=service.url)}"

        def run() -> tuple[int, str]:
            command = [sys.executable, "-c", code]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == "open\n"
                if "raise_signal" not in code:
                    process.send_signal(signal.SIGINT)
                _, errors = process.communicate(timeout=HANG_SECONDS)
            return process.returncode, errors

        code_of_exit, errors = await trio.to_thread.run_sync(run, abandon_on_cancel=True)
    assert code_of_exit == -signal.SIGINT, errors
    assert errors.rstrip().splitlines()[-1].startswith("KeyboardInterrupt"), errors
    assert "TrioInternalError" not in errors
