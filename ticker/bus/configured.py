"""The engines that a configuration names."""

from __future__ import annotations

import re

from ticker.bus.addresses import engine_for
from ticker.bus.delayed import DelayedEngine
from ticker.bus.engine import Engine
from ticker.bus.relayed import RelayedEngine
from ticker.config import Config
from ticker.errors import ConfigError
from ticker.net.devcert import check_folder, data_folder
from ticker.texts import without_passwords


def engine_of(config: Config) -> Engine | None:
    """Return the engine that this service follows or leads, if there is one. Raises `ConfigError`."""
    if config.followed:
        return RelayedEngine(config.followed, config.follow_ca, config.follow_token_file)
    return None if config.bus is None else engine_for(config.bus)


def delayed_engine(engine: Engine, config: Config) -> DelayedEngine:
    """Return the engine of a service that is delayed, with a spool in the data folder, by its first address.

    Raises `ConfigError`.
    """
    folder = data_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"delay: there can be no folder {folder} for the spool: {error.strerror}; set TICKER_HOME to one of your"
            " own"
        ) from None
    check_folder(folder)
    name = re.sub("[^A-Za-z0-9.-]", "_", config.addresses[0])
    return DelayedEngine(engine, config.delay_seconds, folder / f"delayed-{name}", what=_what(engine, config))


def _what(engine: Engine, config: Config) -> str:
    """Return what is in the spool, the same after a restart, without secrets."""
    if config.followed:
        return " ".join(sorted(map(without_passwords, config.followed)))
    return "the feeds of this service" if config.bus is None else engine.name
