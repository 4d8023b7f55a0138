"""The delayed market of a process that serves it in real time, too: a role, clients and pages of its own.

It lives for as long as the process. What befalls one of the two markets, so that its clients have to leave, is nothing
to the clients of the other, but for this: when the real-time one begins anew, all connections end, and come back.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import structlog
import trio

from ticker.bus_bounds import BUS_RETRY_SECONDS
from ticker.config import Config
from ticker.door.auth import Auth
from ticker.net.fair_queue import FairQueue
from ticker.server.bar_history import BarHistory
from ticker.server.bus_metrics import Anew, BusMetrics
from ticker.server.connection import Beside
from ticker.server.feed_channel import FeedMessage
from ticker.server.housekeeping import check_connections
from ticker.server.market import begin_usage, first_of, keep_usage, new_context, publish, send_goodbyes
from ticker.server.metrics import Metrics
from ticker.server.pages import market_routes
from ticker.server.roles import Role

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.delayed_market")


class DelayedMarket:
    """The delayed market of one process."""

    def __init__(self, config: Config, auth: Auth, new_role: Callable[[], Role], fair_queue: FairQueue) -> None:
        self.beside = Beside()
        """What the clients of it are given."""
        self.stop = trio.Event()
        """Set at the end of the process, once all clients have left."""
        self.metrics: Metrics | None = None
        """Those of the market, while it is served."""
        self._config = config
        self._auth = auth
        self._new_role = new_role
        self._role = new_role()
        self._fair_queue = fair_queue
        self._anew = Anew()

    def __repr__(self) -> str:
        return f"<DelayedMarket: {self._role!r}>"

    def missing(self) -> Sequence[str]:
        """Return what keeps it from being ready."""
        missing = [f"delayed: {text}" for text in self._role.missing()]
        context = self.beside.context
        if context is not None and context.usage is not None and context.usage.failing:
            missing.append("delayed: the usage log is not written")
        return missing

    async def run(self) -> None:
        """Serve it, and begin anew where that is needed, until it is to stop."""
        while True:
            role = self._role
            async with trio.open_nursery() as nursery:
                nursery.start_soon(role.run)
                await first_of(self.stop, role.begun, role.over)
                if role.begun.is_set():
                    await self._serve(role)
                nursery.cancel_scope.cancel()
            if self.stop.is_set():
                return
            self._anew.counts[role.cause] += 1
            await trio.sleep(random.uniform(BUS_RETRY_SECONDS / 2, BUS_RETRY_SECONDS))  # noqa: S311  # spread, not secret
            self._role = self._new_role()

    async def _serve(self, role: Role) -> None:
        config = self._config
        usage = await begin_usage(config, role, starting=False)
        context = new_context(config, self._auth, role, self._fair_queue, usage)
        messages, received = trio.open_memory_channel[FeedMessage](config.limits.feed_queue)
        publisher = role.publisher(context.hub, config.limits, context.source)
        history = BarHistory(role.cache, config.history, config.tables, messages, only_reads=True)
        async with trio.open_nursery() as nursery:
            publishing: trio.CancelScope = await nursery.start(publish, role, received)
            nursery.start_soon(history.run)
            await nursery.start(keep_usage, usage, context.hub)
            nursery.start_soon(check_connections, context)
            self.metrics = Metrics(context, publisher, [], history, bus=BusMetrics(role.bus_state, self._anew))
            self.beside.begin(context, market_routes(context, history))
            _log.info("the delayed market is served", delay_seconds=role.delay)
            await first_of(self.stop, role.over)
            self.beside.end()
            self.metrics = None
            publishing.cancel()
            with trio.move_on_after(config.drain_seconds):
                await send_goodbyes(context, config.retry_ms)
            self.beside.cut_off()
            if usage is not None:
                await usage.finish()
            nursery.cancel_scope.cancel()
