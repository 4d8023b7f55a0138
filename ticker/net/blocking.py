"""Calls that may block for long, in threads: names that are looked up, and files that may lie on a network drive.

A thread that hangs in the system cannot be ended. So its caller may stop waiting, at once when cancelled, and
the number of such threads is bounded, apart from those of Trio that others use.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import trio

from ticker.bounds import FILE_SECONDS, MAX_FILE_THREADS, MAX_NAME_LOOKUPS

T = TypeVar("T")

_places: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("ticker_file_threads")


async def read_files(function: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401  # those of the function
    """Return the result of a function that reads files. Raises `TimeoutError` after `FILE_SECONDS`, and its errors."""
    try:
        places = _places.get()
    except LookupError:
        places = trio.CapacityLimiter(MAX_FILE_THREADS)
        _places.set(places)
    with trio.move_on_after(FILE_SECONDS):
        return await trio.to_thread.run_sync(function, *arguments, abandon_on_cancel=True, limiter=places)
    raise TimeoutError(errno.ETIMEDOUT, f"the file system did not answer within {FILE_SECONDS:g} s")


class NameLookups(trio.abc.HostnameResolver):
    """Looks names up, each in one thread however many ask for it; for `trio.socket.set_custom_hostname_resolver`.

    With Trio's own look-ups, a name server that does not answer leaves a thread behind for each try, until there is
    none left for anything else.
    """

    def __init__(self) -> None:
        self._under_way: dict[tuple[Any, ...], _Lookup] = {}

    def __repr__(self) -> str:
        return f"<NameLookups: {len(self._under_way)} under way>"

    async def getaddrinfo(  # the interface is the standard library's
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002
        proto: int = 0,
        flags: int = 0,
    ) -> Any:  # noqa: ANN401  # the standard library's type has no name
        """As `socket.getaddrinfo`; with `MAX_NAME_LOOKUPS` names under way, others are refused with EAI_AGAIN."""
        key = (host, port, family, type, proto, flags)
        lookup = self._under_way.get(key)
        if lookup is None:
            if len(self._under_way) >= MAX_NAME_LOOKUPS:
                raise socket.gaierror(socket.EAI_AGAIN, f"{MAX_NAME_LOOKUPS} names are being looked up already")
            lookup = self._under_way[key] = _Lookup()
            self._start(key, lookup)
        await lookup.done.wait()
        return lookup.result()

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:  # noqa: ANN401  # as above
        """As `socket.getnameinfo`."""
        return await trio.to_thread.run_sync(socket.getnameinfo, sockaddr, flags, abandon_on_cancel=True)

    def _start(self, key: tuple[Any, ...], lookup: _Lookup) -> None:
        token = trio.lowlevel.current_trio_token()

        def finish() -> None:
            del self._under_way[key]
            lookup.done.set()

        def deliver(_outcome: object) -> None:
            with suppress(trio.RunFinishedError):  # nobody waits any more
                token.run_sync_soon(finish)

        trio.lowlevel.start_thread_soon(partial(lookup.run, key), deliver)


class _Lookup:
    """A name that is looked up for all its callers."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self._found: Any = None
        self._error: OSError | UnicodeError | None = None

    def run(self, key: tuple[Any, ...]) -> None:
        """Look it up, in a thread."""
        try:
            self._found = socket.getaddrinfo(*key)
        except (OSError, UnicodeError) as error:
            self._error = error

    def result(self) -> Any:  # noqa: ANN401  # as above
        """Return the addresses, or raise the error anew."""
        if self._error is not None:
            raise type(self._error)(*self._error.args)
        return self._found
