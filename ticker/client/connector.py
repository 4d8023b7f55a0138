"""The addresses of a service, for the Python client."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ticker.client.addresses import Address
from ticker.client.arguments import listed_urls
from ticker.net.dialing import dial, stream_url
from ticker.net.tls import client_context


def addresses_of(url: str | Sequence[str], ca: Path | None) -> list[Address]:
    """Return the addresses of a service, each once. Raises `ConfigError`."""
    hosts = dict(map(stream_url, listed_urls(url)))
    contexts = {host: client_context(host, ca) for host in sorted(set(hosts.values()))}
    return [Address(full_url, partial(dial, full_url, contexts[host])) for full_url, host in hosts.items()]
