"""What has to be looked at from time to time, because no event tells of it."""

from __future__ import annotations

from collections import Counter

import structlog
import trio

from ticker.errors import RefusalCause
from ticker.server.connection import ServerContext

_TEND_SECONDS, _TEND_BURST = 1.0, 50
"""How often each connection is looked after, and how many of them in a row."""

_REPORT_ROUNDS = 10
"""So seldom is it logged how many were turned away: hostile peers are not to fill the log."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.housekeeping")


async def tend(context: ServerContext) -> None:
    """Look after all connections, about once a second, and tell the operator how many were turned away."""
    reported: Counter[RefusalCause] = Counter()
    rounds = 0
    while True:
        await trio.sleep(_TEND_SECONDS)
        for number, connection in enumerate(list(context.connections)):
            connection.check_timeouts(trio.current_time(), context.auth.clock())
            if number % _TEND_BURST == _TEND_BURST - 1:
                await trio.lowlevel.checkpoint()
        rounds += 1
        turned_away = context.auth.connection_limits.refusals
        if rounds % _REPORT_ROUNDS == 0 and turned_away != reported:
            news = {str(cause): count for cause, count in (turned_away - reported).items()}
            reported = turned_away.copy()
            _log.warning("turned away", **news, connections=context.auth.connection_limits.admitted)
