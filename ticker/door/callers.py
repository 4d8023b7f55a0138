"""The peer of a connection, whose address is its own or, behind a proxy, that of the proxy's client. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ticker.door.connection_limits import ConnectionLimits
from ticker.door.proxies import TrustedProxies
from ticker.errors import RefusalCause


class Place(Protocol):
    """A connection's place among those of several processes, which one of them counts."""

    async def admit(self, address: str, subject: str | None) -> RefusalCause | None:
        """Ask for admission, until `leave`; return the limit that stands against it, if one does."""
        ...

    def leave(self) -> None:
        """Say that the connection is over."""


class Caller:
    """The peer of one connection. It counts in the limits of an address as soon as its client's address is known."""

    __slots__ = ("_counted", "_limits", "_proxies", "_proxy", "address", "place")

    def __init__(
        self, address: str, proxies: TrustedProxies, limits: ConnectionLimits, place: Place | None = None
    ) -> None:
        self.address = address
        """That of the client as far as it is known."""
        self.place = place
        """Its place among all processes of the service, if there are several."""
        self._proxies = proxies
        self._limits = limits
        self._counted = False
        self._proxy: str | None = None
        """The address of the proxy that named the client of the present request."""

    def __repr__(self) -> str:
        return f"<Caller at {self.address}>"

    @property
    def sends_proxy_header(self) -> bool:
        """Whether the connection begins with a header of the PROXY protocol."""
        return self._proxies.sends_proxy_header(self.address)

    def connected(self) -> bool:
        """Count the connection, until `disconnected`. False if it is to be closed without an answer."""
        self._counted = not self.sends_proxy_header and not self._proxies.forwards(self.address)
        return self._limits.connected(self.address if self._counted else None)

    def came_from(self, address: str | None) -> bool:
        """Take the address in a PROXY header. False if the connection is to be closed without an answer."""
        if address is not None:
            self.address = address
        return self._proxies.forwards(self.address) or self._count()

    def identify(self, headers: Mapping[bytes, bytes]) -> bool:
        """Take the address in the head of a request. False if the request is to be refused."""
        if self._counted:
            return True
        self._proxy = self.address
        self.address = self._proxies.client_of(self.address, headers)
        return self._count()

    def answered(self) -> None:
        """Forget the client that a proxy has named: its next request on the connection may come from another one."""
        if self._proxy is not None:
            self._limits.forget(self.address)
            self.address, self._proxy, self._counted = self._proxy, None, False

    def came_to_be(self, address: str) -> None:
        """Take the address that another process found behind proxies."""
        if not self._counted:
            self.address = address
            self._count()

    def disconnected(self) -> None:
        """Count the connection's end."""
        self._limits.disconnected(self.address if self._counted else None)

    def _count(self) -> bool:
        self._counted = True
        return self._limits.identified(self.address)
