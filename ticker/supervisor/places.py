"""The places of all workers together: per address, per subject and in all, as `ConnectionLimits` counts them."""

from __future__ import annotations

from collections import Counter

from ticker.config import Config
from ticker.door.callers import Caller
from ticker.door.connection_limits import ConnectionLimits
from ticker.door.proxies import TrustedProxies
from ticker.errors import RefusalCause


class Places:
    """Counts each connection by its number, from its acceptance to its end, and knows which worker has it."""

    def __init__(self, config: Config) -> None:
        """Raises `ConfigError` for networks of proxies that cannot be read."""
        self.limits = ConnectionLimits(config.limits)
        self._proxies = TrustedProxies(config.proxies)
        self._taken: dict[int, _Place] = {}
        self._latest = 0

    def __repr__(self) -> str:
        return f"<Places: {self.limits}>"

    def open(self, address: str) -> int | None:
        """Count a connection that was accepted; return its number, None if it is to be closed without an answer."""
        caller = Caller(address, self._proxies, self.limits)
        if not caller.connected():
            caller.disconnected()
            return None
        self._latest += 1
        self._taken[self._latest] = _Place(caller)
        return self._latest

    def admit(self, number: int, address: str, subject: str | None) -> RefusalCause | None:
        """Admit a connection whose client turned out to be at `address`; or return the limit that it exceeds."""
        place = self._taken.get(number)
        if place is None or place.admitted:
            return None
        place.caller.came_to_be(address)
        cause = self.limits.admit(address, subject)
        if cause is None:
            place.admitted, place.subject = True, subject
        return cause

    def close(self, number: int) -> None:
        """Count a connection's end. One that is not known, as after its worker's end, is passed over."""
        place = self._taken.pop(number, None)
        if place is not None:
            if place.admitted:
                self.limits.release(place.subject)
            place.caller.disconnected()

    @property
    def refusals(self) -> Counter[RefusalCause]:
        """Numbers of refusals, by cause."""
        return self.limits.refusals


class _Place:
    __slots__ = ("admitted", "caller", "subject")

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.admitted = False
        self.subject: str | None = None
