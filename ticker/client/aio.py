"""The client for asyncio: that for Trio, as a guest of the loop that runs.

There is one client, one session and one copy for both. What a program awaits, it awaits in its own task: readers and
`Client.verify` wait in the task's library (`ticker.client.wake`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from ticker.client.beside import asked_in_loop, entered
from ticker.client.client import Client
from ticker.client.client import connect as connect_trio
from ticker.client.connection import Token
from ticker.client.events import Event
from ticker.client.fields import Fields
from ticker.client.present import prepared_snapshot


@asynccontextmanager
async def connect(
    url: str | Sequence[str],
    *,
    ca: str | Path | None = None,
    token: Token | None = None,
    interval_ms: int | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> AsyncIterator[Client]:
    """Connect to a service, and stay connected until the block is left.

    Arguments, client and exceptions are those of `ticker.connect`. `on_event` is called in the loop's thread, and
    `token`, which may be an async function, in a task of the loop.
    """
    opened = connect_trio(url, ca=ca, token=_in_loop(token), interval_ms=interval_ms, on_event=on_event)
    async with entered(opened) as client:
        yield client


async def snapshot(  # noqa: PLR0913  # one parameter per option
    url: str | Sequence[str],
    names: Iterable[str],
    *,
    ca: str | Path | None = None,
    token: Token | None = None,
    on_event: Callable[[Event], None] | None = None,
    timeout: float = 30.0,  # noqa: ASYNC109  # as that of `ticker.snapshot`: it also says what was not answered
    fields: Iterable[str] | None = None,
) -> dict[str, Fields]:
    """Return the present values of a list of symbols, tables and patterns, by name, as `ticker.snapshot` does."""
    take = prepared_snapshot(
        url, names, ca=ca, token=_in_loop(token), on_event=on_event, timeout=timeout, fields=fields
    )

    @asynccontextmanager
    async def taken() -> AsyncIterator[dict[str, Fields]]:
        yield await take()

    async with entered(taken()) as values:
        return values


def _in_loop(token: Token | None) -> Token | None:
    return asked_in_loop(token) if callable(token) else token
