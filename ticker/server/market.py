"""The parts of a market that is served: what its clients share, its usage log, and the end of its clients.

A process serves one, or beside it the same one delayed (`ticker.server.delayed_market`).
"""

from __future__ import annotations

import random
from functools import partial

import trio

from ticker.bounds import GOODBYES_PER_BURST, RETURNS_PER_SECOND
from ticker.config import Config
from ticker.core.hub import Hub
from ticker.door.auth import Auth
from ticker.net.fair_queue import FairQueue
from ticker.net.records import RecordRate
from ticker.server.connection import Beside, ServerContext
from ticker.server.feed_channel import FeedMessage
from ticker.server.roles import Role
from ticker.server.usage_log import UsageLog


def new_context(  # all that its connections share
    config: Config,
    auth: Auth,
    role: Role,
    fair_queue: FairQueue,
    usage: UsageLog | None,
    beside: Beside | None = None,
) -> ServerContext:
    """Return what the clients of a role share."""
    limits = config.limits
    context = ServerContext(
        Hub(role.cache, snapshot_part=limits.snapshot_part, delay=role.delay),
        limits,
        config.interval_ms,
        auth,
        fair_queue=fair_queue,
        record_rate=RecordRate(limits.requests_per_second, limits.request_burst),
        path_prefix=config.path_prefix,
        usage=usage,
        idle=role.idle,
        relay=role.relay,
        beside=beside,
    )
    context.source.on_change = partial(_tell_of_silence, context)
    return context


def _tell_of_silence(context: ServerContext) -> None:
    """Tell all clients that the source is silent, or is heard again."""
    for connection in list(context.connections):
        connection.tell_of_source()


async def begin_usage(config: Config, role: Role, *, starting: bool) -> UsageLog | None:
    """Return the usage log, if there is to be one.

    At the start of the process its first file has to be there: raises `ConfigError`. Where a market begins later, what
    cannot be written ends nothing: it is said, as at any other time.
    """
    if config.usage.folder is None or not role.has_clients:
        return None
    usage = UsageLog(config.usage, delayed=role.delay > 0)
    if starting:
        await usage.begin()
    else:
        usage.begin_later()
    return usage


async def keep_usage(usage: UsageLog | None, hub: Hub, *, task_status: trio.TaskStatus[None]) -> None:
    """Keep the usage log, if there is one; it is started once it knows the hub."""
    if usage is not None:
        usage.watch(hub)
    task_status.started()
    if usage is not None:
        await usage.run()


async def publish(
    role: Role,
    received: trio.MemoryReceiveChannel[FeedMessage],
    *,
    task_status: trio.TaskStatus[trio.CancelScope],
) -> None:
    """Write to the cache until the started value, its scope, is cancelled."""
    with trio.CancelScope() as scope:
        task_status.started(scope)
        await role.publish(received)


async def send_goodbyes(context: ServerContext, retry_ms: tuple[int, int]) -> None:
    """Have all clients leave, and come back after a random time."""
    first, last = times_to_return(retry_ms, len(context.connections))
    async with trio.open_nursery() as nursery:
        for follower in list(context.followers.connections):
            nursery.start_soon(follower.say_goodbye)
        for number, connection in enumerate(list(context.connections), 1):
            nursery.start_soon(connection.send_goodbye, random.randint(first, last))  # noqa: S311  # spread, not secret
            if number % GOODBYES_PER_BURST == 0:  # shielded: all get a goodbye, even if there is no time left
                await trio.lowlevel.cancel_shielded_checkpoint()


def times_to_return(retry_ms: tuple[int, int], clients: int) -> tuple[int, int]:
    """Return the bounds between which so many clients come back, at most `RETURNS_PER_SECOND` of them."""
    first, last = retry_ms
    return first, max(last, first + 1000 * (clients - 1) // RETURNS_PER_SECOND)


async def first_of(*events: trio.Event) -> None:
    """Wait until one of these is set."""

    async def wait(event: trio.Event) -> None:
        await event.wait()
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for event in events:
            nursery.start_soon(wait, event)
