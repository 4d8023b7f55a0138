"""The engines and the role of a process, as its configuration and its supervisor have them."""

from __future__ import annotations

from collections.abc import Callable

from ticker.bus.configured import delayed_engine, engine_of
from ticker.bus.engine import Engine
from ticker.bus.fan_out import FanOut
from ticker.bus.local import LocalEngine
from ticker.config import Config
from ticker.errors import ConfigError
from ticker.server.roles import Alone, AsEdge, AsSource, Role
from ticker.server.worker import Worker


def bus_of(config: Config, worker: Worker | None) -> Engine | None:
    """Return the engine that a process is connected to, if there is one. Raises `ConfigError`."""
    if worker is not None and worker.settings.bus:
        return LocalEngine(worker.settings.bus)
    return engine_of(config)


def delayed_bus(config: Config, worker: Worker | None) -> Engine | None:
    """Return the engine of the delayed market of a process, if it has one. Raises `ConfigError`.

    Of workers, the supervisor has the spool.
    """
    if worker is not None:
        return None if worker.settings.delayed_bus is None else LocalEngine(worker.settings.delayed_bus)
    if config.delay is None:
        return None
    bus = engine_of(config)
    if bus is None or config.has_feeds:
        cause = "one process does not delay" if bus is None else "a process with feeds and a bus has no clients for"
        raise ConfigError(
            f"delay {config.delay}: {cause} what its feeds bring; give --workers 2, or give --delay to edges (--bus or"
            " --follow, without --feed)"
        )
    return delayed_engine(bus, config)


def role_maker(config: Config, worker: Worker | None, delayed: Engine | None) -> Callable[[], Role]:
    """Return that which makes the role of a process, each time it begins anew. Raises `ConfigError`.

    `delayed` is the engine of the delayed market. With tokens that is one beside; else there is no other.
    """
    if worker is None:
        config.check_market()
    engine = bus_of(config, worker)
    if engine is None:
        return lambda: Alone(config)
    is_source = config.has_feeds if worker is None else worker.settings.role == "source"
    if is_source:
        return lambda: AsSource(config, engine, keep=worker is not None and bool(worker.settings.bus))
    if delayed is not None and not config.tokens.wanted:
        return lambda: AsEdge(delayed, followed_name(config))
    if isinstance(engine, LocalEngine):
        return lambda: AsEdge(engine, followed_name(config))
    return lambda: _sharing_edge(engine, config)


def _sharing_edge(engine: Engine, config: Config) -> AsEdge:
    """Return an edge of an engine elsewhere, whose connection those share that follow the edge."""
    fan_out = FanOut(engine)
    return AsEdge(fan_out, followed_name(config), fan_out.others)


def followed_name(config: Config) -> str:
    """Return what an edge follows, for people."""
    return "the ticker that is followed" if config.followed else "the bus"
