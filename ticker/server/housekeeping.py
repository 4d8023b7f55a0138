"""What has to be looked at from time to time, because no event tells of it."""

from __future__ import annotations

from collections import Counter

import structlog
import trio

from ticker.config import CHECK_SECONDS, CHECKS_PER_BURST, REFUSAL_LOG_CHECKS
from ticker.errors import RefusalCause
from ticker.server.connection import ServerContext

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.housekeeping")


async def tend(context: ServerContext) -> None:
    """Look after all connections, about once a second, and tell the operator how many were turned away."""
    reported: Counter[RefusalCause] = Counter()
    rounds = 0
    while True:
        await trio.sleep(CHECK_SECONDS)
        for number, connection in enumerate(list(context.connections)):
            connection.check_timeouts(trio.current_time(), context.auth.clock())
            if number % CHECKS_PER_BURST == CHECKS_PER_BURST - 1:
                await trio.lowlevel.checkpoint()
        rounds += 1
        turned_away = context.auth.connection_limits.refusals
        if rounds % REFUSAL_LOG_CHECKS == 0 and turned_away != reported:
            news = {str(cause): count for cause, count in (turned_away - reported).items()}
            reported = turned_away.copy()
            _log.warning("turned away", **news, connections=context.auth.connection_limits.admitted)
