"""The datagram socket on which a service manager hears from its services: sd_notify(3), without a library.

`NOTIFY_SOCKET` names it: a path, or a name in Linux's abstract namespace behind an `@`. A datagram is lines of
`VARIABLE=value`.
"""

from __future__ import annotations

import errno
import socket

import structlog
import trio

from ticker.bounds import NOTIFY_SECONDS
from ticker.net.failures import cause_of
from ticker.texts import printable

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.net.notify_socket")


class NotifySocket:
    """Sends to one address. What cannot be sent is lost: one line in the log says so, until something arrives again."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._failing = False

    def __repr__(self) -> str:
        return f"<NotifySocket {self._address}{' (failing)' if self._failing else ''}>"

    async def send(self, *assignments: str) -> None:
        """Send assignments (`READY=1`) as one datagram; wait for `NOTIFY_SECONDS` at most if the receiver is full."""
        data = "\n".join(map(printable, assignments)).encode()
        try:
            with trio.fail_after(NOTIFY_SECONDS):
                await self._send(data)
        except (OSError, trio.TooSlowError) as error:
            if not self._failing:
                self._failing = True
                cause = "it takes nothing" if isinstance(error, trio.TooSlowError) else cause_of(error)
                text = "the service manager cannot be told of this service's state; it may restart the service"
                remedy = "NOTIFY_SOCKET has to be the path of a datagram socket, or @ and an abstract name"
                _log.warning(text, notify_socket=printable(self._address), cause=cause, remedy=remedy)
        else:
            self._failing = False

    async def _send(self, data: bytes) -> None:
        if self._address[:1] not in {"/", "@"}:
            raise OSError(errno.EAFNOSUPPORT, "no Unix socket")
        # A socket for each datagram: it outlives no restart of the manager, and only a connected one waits for room.
        with trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            await sock.connect(self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address)
            await sock.send(data)
