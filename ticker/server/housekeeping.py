"""Periodic checks: time limits of connections, a log line for refused ones, and the size of the market."""

from __future__ import annotations

from collections import Counter

import structlog
import trio

from ticker.bounds import CHECK_SECONDS, CHECKS_PER_BURST, REFUSAL_LOG_CHECKS
from ticker.errors import RefusalCause
from ticker.server.connection import ServerContext
from ticker.server.frozen_market import FrozenMarket

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.housekeeping")


async def check_connections(context: ServerContext) -> None:
    """Check the time limits of all connections about once a second, and log now and then how many were refused."""
    reported: Counter[RefusalCause] = Counter()
    rounds, market = 0, FrozenMarket()
    while True:
        await trio.sleep(CHECK_SECONDS)
        for number, connection in enumerate(list(context.connections)):
            connection.check_timeouts(trio.current_time(), context.auth.clock())
            if number % CHECKS_PER_BURST == CHECKS_PER_BURST - 1:
                await trio.lowlevel.checkpoint()
        for follower in list(context.followers.connections):
            follower.check_expiry(context.auth.clock())
        market.grow(context.hub.cache.instrument_count)
        rounds += 1
        refusals = context.auth.connection_limits.refusals
        if rounds % REFUSAL_LOG_CHECKS == 0 and refusals != reported:
            news = {str(cause): count for cause, count in (refusals - reported).items()}
            reported = refusals.copy()
            _log.warning("turned away", **news, connections=context.auth.connection_limits.admitted)
