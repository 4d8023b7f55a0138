"""Who can reach the service at its addresses, and the protection that they need for that."""

from __future__ import annotations

import structlog

from ticker.config import Config
from ticker.errors import ConfigError
from ticker.net.addresses import Address, parse_address, parse_host_port
from ticker.net.devcert import NAMES_COVERED
from ticker.net.tls import is_loopback

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.exposure")


def check_addresses(config: Config) -> list[Address]:
    """Return the addresses of `listen`. Raises `ConfigError` for those that cannot be used, or need more protection."""
    addresses = [parse_address(text) for text in config.addresses]
    for address in addresses:
        require_secure_listener(config, address)
    if config.metrics_listen is not None:
        require_secure_listener(config, metrics_address(config.metrics_listen), behind_proxies=False)
    return addresses


def metrics_address(text: str) -> Address:
    """Return the address of `metrics_listen`. Raises `ConfigError`."""
    return Address(text, *parse_host_port(text, "metrics_listen"))


def needs_certificate(config: Config) -> bool:
    """Return whether an address has TLS."""
    return config.metrics_listen is not None or not all(parse_address(text).plain for text in config.addresses)


def is_local(config: Config, address: Address) -> bool:
    """Return whether only programs on this machine can be clients at an address: no proxy lets others in there."""
    return is_loopback(address.host) and not address.plain and not config.proxies.wanted


def require_secure_listener(config: Config, address: Address, *, behind_proxies: bool = True) -> None:
    """Raise `ConfigError` if others than this machine could connect, without a certificate or without tokens.

    `behind_proxies`: a proxy may let clients of other machines in there.
    """
    if address.plain and not address.path and not is_loopback(address.host):
        raise ConfigError(
            f"listen {address.text!r}: without TLS there are only loopback addresses and Unix sockets, for a proxy on"
            " this machine; leave http:// out"
        )
    missing = []
    if not address.plain and address.host not in NAMES_COVERED and config.tls.cert is None and config.tls.key is None:
        missing.append(
            f"a certificate (--tls-cert FILE and --tls-key FILE; one for development covers only"
            f" {', '.join(NAMES_COVERED)})"
        )
    local = is_local(config, address) if behind_proxies else is_loopback(address.host)
    if not config.tokens.wanted and not local and not config.allow_anyone:
        missing.append("authentication ([tokens] in the config file or --token-key FILE; or --insecure-allow-anyone)")
    if missing:
        through = " behind a proxy" if is_loopback(address.host) and not local else ""
        raise ConfigError(f"listening on {address.host or address.text}{through} needs {' and '.join(missing)}")


def warn_if_anonymous(config: Config, *, local: bool) -> None:
    """Log a warning if clients need no token; `local` if they all are on this machine."""
    if not config.tokens.wanted:
        whom = "every program on this machine" if local else "EVERYBODY WHO CAN REACH IT"
        _log.warning(f"no tokens are asked for: {whom} may see all prices", listen=", ".join(config.addresses))
