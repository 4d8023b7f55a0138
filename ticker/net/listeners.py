"""Listening sockets of an address: of a host and port, or a Unix socket with its file."""

from __future__ import annotations

import contextlib
import errno
import socket
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import trio

from ticker.bounds import LISTEN_BACKLOG
from ticker.errors import ConfigError
from ticker.net.addresses import Address
from ticker.net.tls import is_loopback


class Listener(trio.abc.Listener[trio.SocketStream]):
    """A listening socket and its address. The file of a Unix socket is removed when it is closed."""

    def __init__(self, sock: trio.socket.SocketType, address: Address) -> None:
        self._listener = trio.SocketListener(sock)
        self.socket = sock
        self.address = address
        self._file = _identity(address.path)

    def __repr__(self) -> str:
        return f"<Listener on {self.address.text}>"

    @property
    def plain(self) -> bool:
        """Whether its connections have no TLS."""
        return self.address.plain

    def url(self, path: str) -> str:
        """Return the URL of a path here: of a WebSocket, or of a page."""
        if self.address.path:
            return f"{self._scheme('ws')}+unix:{self.address.path}:{path}"
        return f"{self._scheme('ws')}://{self._host_port()}{path}"

    def page_url(self, path: str) -> str:
        """Return the URL of a page here."""
        if self.address.path:
            return f"{self._scheme('http')}+unix:{self.address.path}:{path}"
        return f"{self._scheme('http')}://{self._host_port()}{path}"

    async def accept(self) -> trio.SocketStream:
        """Wait for a connection and accept it."""
        return await self._listener.accept()

    async def take(self) -> tuple[socket.socket, None]:
        """Wait for a connection and accept it, as its socket alone; no other process counts it."""
        accepted = await self.accept()
        return socket.socket(fileno=accepted.socket.detach()), None

    async def aclose(self) -> None:
        """Close the socket, and remove its file unless another program has put its own there."""
        self._remove_file()
        await self._listener.aclose()

    def _remove_file(self) -> None:
        if self._file is not None and _identity(self.address.path) == self._file:
            with contextlib.suppress(OSError):
                Path(self.address.path).unlink()
        self._file = None

    def _scheme(self, scheme: str) -> str:
        return scheme if self.plain else scheme + "s"

    def _host_port(self) -> str:
        host, port = self.socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Opened(NamedTuple):
    """The listeners of a service."""

    clients: Sequence[Listener]
    metrics: Sequence[Listener]
    metrics_open: bool
    """Those of `metrics` show metrics without a token."""


async def listen(address: Address, flag: str = "--listen") -> list[Listener]:
    """Open the listeners of an address. Raises `ConfigError`."""
    if address.path:
        return [_listen_on_file(address, flag)]
    host, port = address.host, address.port
    try:
        opened = await trio.open_tcp_listeners(port, host=host, backlog=LISTEN_BACKLOG)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "that is no host name"
        raise ConfigError(f"cannot listen on {host!r}: {reason}; give an address of this machine") from None
    except (OSError, ExceptionGroup) as error:
        code = error.errno if isinstance(error, OSError) else None
        reason = "the port is in use" if code == errno.EADDRINUSE else str(error)
        raise ConfigError(f"cannot listen on {host}:{port}: {reason}; give another address with {flag}") from None
    if port == 0:
        # A name with several addresses would get a different port on each; only the first is announced.
        for other in opened[1:]:
            await other.aclose()
        del opened[1:]
    if address.plain and not all(is_loopback(each.socket.getsockname()[0]) for each in opened):
        for each in opened:
            await each.aclose()
        raise ConfigError(f"{host} is no address of this machine alone, and {address.text} is without TLS")
    return [Listener(each.socket, address) for each in opened]


def _listen_on_file(address: Address, flag: str) -> Listener:
    _remove_stale(address, flag)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(address.path)
        Path(address.path).chmod(address.mode)  # before anybody can connect
        sock.listen(LISTEN_BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigError(
            f"cannot listen on {address.path}: {error.strerror or error}; give a path in a folder that this user may"
            f" write to with {flag}"
        ) from None
    return Listener(trio.socket.from_stdlib_socket(sock), address)


def _remove_stale(address: Address, flag: str) -> None:
    """Remove the file of a socket that nobody listens on any more. Raises `ConfigError` for any other file."""
    path = address.path
    try:
        kind = Path(path).lstat().st_mode
    except OSError:
        return  # none, or one that `bind` will complain about
    if not stat.S_ISSOCK(kind):
        raise ConfigError(f"cannot listen on {path}: there is a file that is no socket; give another path with {flag}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            with contextlib.suppress(OSError):
                Path(path).unlink()
            return
        except OSError as error:
            why = error.strerror or str(error)
            raise ConfigError(f"cannot listen on {path}: {why}; remove that file, or give another path") from None
    raise ConfigError(f"cannot listen on {path}: another program listens there; give another path with {flag}")


def _identity(path: str) -> tuple[int, int] | None:
    """Return what tells the present file at a path from later ones."""
    if not path:
        return None
    with contextlib.suppress(OSError):
        status = Path(path).lstat()
        return status.st_dev, status.st_ino
    return None
