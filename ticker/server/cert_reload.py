"""Certificates and keys that are replaced while the service runs.

Files are checked every `CERT_POLL_SECONDS`, and at once on SIGHUP. A file that cannot be used is refused with a line in
the log, and the previous one stays in use. A connection keeps the certificate of its handshake.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

import structlog
import trio

from ticker.bounds import CERT_POLL_SECONDS
from ticker.net.blocking import read_files
from ticker.net.failures import FailureLog
from ticker.net.file_stamps import read_stamp, stamp_of
from ticker.net.tls import expiry, server_context
from ticker.server.service_manager import ServiceManager

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.cert_reload")


class Certificate:
    """The service's certificate and private key, and the TLS context of new connections."""

    def __init__(self, cert: Path, key: Path) -> None:
        """Raises `ConfigError` if the two cannot be used."""
        self.files: Sequence[Path] = (cert, key)
        self.source = str(cert)
        self.context, self.expires = _load(cert, key)
        """`expires` is the certificate's end, in seconds since 1970 UTC."""

    def __repr__(self) -> str:
        return f"<Certificate {self.source}>"

    async def reload(self) -> None:
        """Read both files anew. Raises `ConfigError`, and then keeps the certificate in use."""
        self.context, self.expires = await read_files(_load, *self.files)


def _load(cert: Path, key: Path) -> tuple[ssl.SSLContext, int]:
    return server_context(cert, key), expiry(cert)


class Reloadable(Protocol):
    """Something that was read from files."""

    @property
    def source(self) -> str:
        """Name for the log."""
        ...

    @property
    def files(self) -> Sequence[Path]:
        """Paths of the files; empty if it comes from a URL."""
        ...

    async def reload(self) -> None:
        """Read it anew. Raises `ConfigError`, and then keeps the former content."""


async def reload_on_change(
    reloadables: Sequence[Reloadable], hangups: AsyncIterator[object], manager: ServiceManager
) -> None:
    """Reload each of these when its files have changed, and all whenever `hangups` yields; then `manager` is told.

    Where `manager` watches the files, they are left to it.
    """
    stamps: list[list[object]] = [read_stamp(each.files) for each in reloadables]  # as they were just read
    failures = FailureLog(_log)
    while True:
        asked = False
        with trio.move_on_after(math.inf if manager.watches_files else CERT_POLL_SECONDS):
            await anext(hangups)
            asked = True
        if asked:
            await manager.reloading()
        for number, each in enumerate(reloadables):
            stamp = await stamp_of(each.files)
            if asked or stamp != stamps[number]:
                stamps[number] = stamp
                await _reload(each, failures)
        if asked:
            await manager.ready()


async def _reload(reloadable: Reloadable, failures: FailureLog) -> None:
    try:
        await reloadable.reload()
    except Exception as error:  # noqa: BLE001  # a renewal that fails in any way ends no service that has what it needs
        next_try = "when the files change, or on SIGHUP" if reloadable.files else "on SIGHUP, or within minutes"
        failures.write("not reloaded; what was in use stays", error, source=reloadable.source, next_try=next_try)
    else:
        _log.info("reloaded", source=reloadable.source)
