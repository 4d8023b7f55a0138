"""The client for scripts and notebooks: an ordinary iterator, and one call, with the asynchronous client in a thread.

There is no queue between the two: the iterator asks the subscription for its next change, and waits. So a slow script
gets fewer and fuller changes, as any slow consumer does.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import trio

from ticker.client.arguments import listed_names, wanted_fields
from ticker.client.client import Client, connect
from ticker.client.connection import Token
from ticker.client.events import Event
from ticker.client.fields import Fields
from ticker.client.present import prepared_snapshot
from ticker.client.subscription import Change, Subscription
from ticker.client.wanted import FieldSet
from ticker.net.clocks import on_running_clock


def watch(  # noqa: PLR0913  # one parameter per option
    url: str | Sequence[str],
    names: Iterable[str],
    *,
    ca: str | Path | None = None,
    token: Token | None = None,
    interval_ms: int | None = None,
    on_event: Callable[[Event], None] | None = None,
    fields: Iterable[str] | None = None,
) -> Iterator[Change]:
    """Iterate over the changes of a list of symbols, tables and patterns, for ever.

    `fields` is as in `Client.subscribe`, and the other arguments are those of `connect`.
    The connection is made at the first step and closed when the iterator is closed, or is no longer used. `on_event` is
    called in the client's thread.

    Raises `ConfigError` at once if `names` or `fields` is no list of names; and at the first step, the exceptions of
    `connect` and `Client.subscribe`.
    """
    client = partial(connect, url, ca=ca, token=token, interval_ms=interval_ms, on_event=on_event)
    return iterate(client, listed_names(names), wanted_fields(fields))


def snapshot(  # noqa: PLR0913  # one parameter per option
    url: str | Sequence[str],
    names: Iterable[str],
    *,
    ca: str | Path | None = None,
    token: Token | None = None,
    on_event: Callable[[Event], None] | None = None,
    timeout: float = 30.0,
    fields: Iterable[str] | None = None,
) -> dict[str, Fields]:
    """Return the present values of a list of symbols, tables and patterns, by name; what does not exist is not in it.

    Of a table these are all its rows; `fields` is as in `Client.subscribe`. Other arguments are those of `connect`.
    Raises `ConfigError` if `names` or `fields` is no list of names, the exceptions of `connect` and `Client.subscribe`,
    and `ConnectionFailed` if there is no complete answer after `timeout` seconds.
    """
    run = prepared_snapshot(url, names, ca=ca, token=token, on_event=on_event, timeout=timeout, fields=fields)
    result: queue.SimpleQueue[dict[str, Fields] | BaseException] = queue.SimpleQueue()

    def run_in_thread() -> None:
        try:
            result.put(on_running_clock(run)())
        except BaseException as error:  # noqa: BLE001  # raised in the calling thread
            result.put(error)

    thread = threading.Thread(target=run_in_thread, name="ticker-client", daemon=True)
    thread.start()
    values = result.get()
    thread.join()
    if isinstance(values, BaseException):
        raise values
    return values


def iterate(
    client: Callable[[], AbstractAsyncContextManager[Client]],
    names: tuple[str, ...],
    fields: FieldSet,
    seconds: float | None = None,
) -> Generator[Change]:
    """Iterate over the changes of a client of its own in a thread, for ever or for some seconds."""
    started: queue.SimpleQueue[_Running | BaseException] = queue.SimpleQueue()

    async def run() -> None:
        async with client() as connected, connected.subscribe(*names, fields=fields) as subscription:
            stop = trio.Event()
            deadline = math.inf if seconds is None else trio.current_time() + seconds
            started.put(_Running(subscription, trio.lowlevel.current_trio_token(), stop, deadline))
            await stop.wait()

    def run_in_thread() -> None:
        try:
            on_running_clock(run)()
        except BaseException as error:  # noqa: BLE001  # raised in the iterating thread
            started.put(error)

    thread = threading.Thread(target=run_in_thread, name="ticker-client", daemon=True)
    thread.start()
    running = started.get()
    if isinstance(running, BaseException):
        thread.join()
        raise running
    try:
        while True:
            change = trio.from_thread.run(_next, running, trio_token=running.token)
            if change is None:
                break
            yield change
    except (trio.RunFinishedError, trio.Cancelled):
        pass  # the client has ended, and its thread says why
    finally:
        with contextlib.suppress(trio.RunFinishedError):
            running.token.run_sync_soon(running.stop.set)
        thread.join()
    if not started.empty() and isinstance(fault := started.get(), BaseException):
        raise fault


async def _next(running: _Running) -> Change | None:
    with trio.move_on_at(running.deadline):
        return await anext(running.subscription, None)
    return None


class _Running:
    """The client in its thread."""

    def __init__(
        self, subscription: Subscription, token: trio.lowlevel.TrioToken, stop: trio.Event, deadline: float
    ) -> None:
        self.subscription = subscription
        self.token = token
        self.stop = stop
        self.deadline = deadline
