"""What a process has for `--delay`: the engine that shows all later, and the market beside the one in real time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from ticker.bus.delayed import DelayedEngine
from ticker.bus.engine import Engine
from ticker.config import Config
from ticker.door.auth import Auth
from ticker.net.fair_queue import FairQueue
from ticker.server.connection import Beside, ServerContext
from ticker.server.delay_metrics import DelayMetrics
from ticker.server.delayed_market import DelayedMarket
from ticker.server.process_role import followed_name
from ticker.server.roles import AsEdge, Role


class Delay:
    """The delay of one process; there is none without an engine."""

    def __init__(self, config: Config, auth: Auth, engine: Engine | None, fair_queue: FairQueue) -> None:
        self._spooled = engine if isinstance(engine, DelayedEngine) else None
        self._market: DelayedMarket | None = None
        if engine is not None and config.tokens.wanted:
            self._market = DelayedMarket(config, auth, lambda: AsEdge(engine, followed_name(config)), fair_queue)

    def __repr__(self) -> str:
        return f"<Delay: {self._spooled}, {self._market}>"

    @property
    def beside(self) -> Beside | None:
        """The market beside, as connections see it."""
        return None if self._market is None else self._market.beside

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Fill the spool and serve the market beside, as long as this is entered. Raises `ConfigError`."""
        spooled = self._spooled
        if spooled is not None:
            await spooled.open()
        try:
            async with trio.open_nursery() as reading:
                if spooled is not None:
                    reading.start_soon(spooled.run)
                async with self._served():
                    yield
                reading.cancel_scope.cancel()
        finally:
            if spooled is not None:
                spooled.close()

    @asynccontextmanager
    async def _served(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as serving:
            if self._market is None:
                yield
                return
            serving.start_soon(self._market.run)
            yield
            self._market.stop.set()  # it ends by itself: its usage log has an end to write

    def missing(self, role: Role) -> Sequence[str]:
        """Return what keeps a process in this role from being ready."""
        beside = self._market.missing() if self._market is not None and role.has_clients else ()
        return [*role.missing(), *beside]

    def contexts(self, context: ServerContext) -> Sequence[ServerContext]:
        """Return those of all clients, of which this is the first."""
        beside = self.beside
        return [context] if beside is None or beside.context is None else [context, beside.context]

    def metrics(self) -> DelayMetrics:
        """Return the metrics of it."""
        return DelayMetrics(self._spooled, lambda: None if self._market is None else self._market.metrics)
