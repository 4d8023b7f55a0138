"""What a service has before it serves anybody: open addresses and a certificate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from ticker.config import Config, TlsFiles
from ticker.errors import ConfigError
from ticker.net.addresses import Address
from ticker.net.devcert import data_folder, development_certificate
from ticker.net.listeners import Listener, Opened, listen
from ticker.net.tls import is_loopback
from ticker.server.cert_reload import Certificate
from ticker.server.exposure import metrics_address, needs_certificate

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.opening")


async def open_listeners(config: Config, addresses: Sequence[Address]) -> Opened:
    """Open the listeners for clients, and those of `metrics_listen`, if any. Raises `ConfigError`."""
    listeners: list[Listener] = []
    try:
        for address in addresses:
            listeners += await listen(address)
        if config.metrics_listen is None:
            return Opened(listeners, [], metrics_open=False)
        metrics = await listen(metrics_address(config.metrics_listen), "--metrics-listen")
    except ConfigError:
        for each in listeners:
            await each.aclose()
        raise
    local = all(is_loopback(each.socket.getsockname()[0]) for each in metrics)
    return Opened(listeners, metrics, metrics_open=local or not config.tokens.wanted)


def open_certificate(config: Config) -> Certificate | None:
    """Return the certificate of the service, if it needs one. Raises `ConfigError`."""
    tls = with_certificate(config).tls
    if not needs_certificate(config) or tls.cert is None or tls.key is None:
        return None
    return Certificate(Path(tls.cert), Path(tls.key))


def with_certificate(config: Config) -> Config:
    """Return the configuration with a development certificate, if it needs one and names none. Raises `ConfigError`."""
    cert, key = config.tls.cert, config.tls.key
    if not needs_certificate(config) or (cert is not None and key is not None):
        return config
    if cert is not None or key is not None:
        raise ConfigError("a certificate and its key go together: give both --tls-cert and --tls-key")
    made = development_certificate(data_folder())
    _log.info("using a development certificate; `ticker trust` has browsers here accept it", ca=str(made.authority))
    return replace(config, tls=TlsFiles(str(made.cert), str(made.key)))
