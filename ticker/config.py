"""What an operator can set, with its defaults. `ticker/settings.py` reads it from TOML; flags win over the file.

Every limit that bounds memory or waiting stands here, so that one page answers "what happens at most". Values that
cannot be raise `ConfigError`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Literal

from ticker.errors import ConfigError

MAX_INTERVAL_MS = 60_000
"""The longest interval: a client that wants a frame more seldom than once a minute gets one a minute."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate chain and its private key, both PEM. Without them a loopback address gets a development one."""

    cert: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of anything one client or one feed may use, and what follows beyond it."""

    max_message_bytes: int = 65_536
    """A longer client message: ERROR 2, then close 1009."""
    max_symbols: int = 2_000
    """Symbols and patterns of one connection; those beyond it get outcome 8."""
    max_patterns: int = 32
    """Patterns among them, each of which is matched against every instrument; likewise."""
    max_instruments: int = 100_000
    """Instruments in the cache; a feed's declarations beyond it are refused, counted and logged."""
    max_head_bytes: int = 16_384
    """A longer request head: 431, and the connection is closed."""
    handshake_seconds: float = 10.0
    """Time for the TLS handshake, and again for the request head; then the connection is closed."""
    heartbeat_seconds: float = 10.0
    """After so long without a frame a client gets a HEARTBEAT."""
    stall_seconds: float = 60.0
    """A client whose socket took nothing for so long is dropped."""
    feed_queue: int = 10_000
    """Items that wait between feeds and the publisher; beyond that, feeds wait."""
    updates_per_cut: int = 2_000
    """Waiting publications are folded into one cut until it has so many; a batch is never split."""
    snapshot_part: int = 256
    """Instruments per part of a large snapshot."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not 0 < value < math.inf:
                raise ConfigError(f"limits.{each.name} = {value}: give a number above 0")


@dataclass(frozen=True, slots=True)
class Config:
    """All of `ticker serve`."""

    listen: str = "127.0.0.1:8443"
    """HOST:PORT, an IPv6 host in brackets; port 0 takes a free one."""
    feeds: list[str] = field(default_factory=lambda: ["simulated"])
    """Feed specs, `NAME?option=value&option=value`."""
    interval_ms: int = 0
    """One frame to a client per so many milliseconds; a client may ask for more, not for less."""
    log_format: Literal["console", "json"] = "console"
    """Logs on stderr, for people or for machines."""
    tls: TlsFiles = field(default_factory=TlsFiles)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.interval_ms <= MAX_INTERVAL_MS:
            raise ConfigError(f"interval_ms = {self.interval_ms}: give 0 to {MAX_INTERVAL_MS} milliseconds")
        if not self.feeds:
            raise ConfigError("feeds: give at least one feed spec")
