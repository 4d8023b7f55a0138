"""Files that a feed reads, in a thread: a network drive that does not answer holds up this feed alone.

A thread that hangs in the system cannot be ended. So a feed that is cancelled stops waiting for it, and the thread
closes the file once it goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import trio

T = TypeVar("T")


class FileThread:
    """The calls of one feed that read files: each in a thread, one at a time.

    One that was given up counts until it has ended. So a feed that is started again and again has one thread at most,
    and goes on when the drive does.
    """

    def __init__(self) -> None:
        self._places = trio.CapacityLimiter(1)

    def __repr__(self) -> str:
        return f"<FileThread: {'busy' if self._places.borrowed_tokens else 'idle'}>"

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401  # those of the function
        """Return the result of the function, or raise its error; at once when cancelled."""
        return await trio.to_thread.run_sync(function, *arguments, abandon_on_cancel=True, limiter=self._places)


class Closer:
    """Closes a resource that a thread may be using: at once, or as soon as the thread is done with it."""

    def __init__(self, close: Callable[[], object]) -> None:
        self._close = close
        self._used = threading.Lock()
        self._ended = False

    def __repr__(self) -> str:
        return f"<Closer{', ended' if self._ended else ''}>"

    def use(self, function: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401  # those of the function
        """Return the result of the function; in a thread, one at a time."""
        try:
            with self._used:
                return function(*arguments)
        finally:
            if self._ended:
                self.end()

    def end(self) -> None:
        """Close, never waiting for the thread; nothing may be used afterwards."""
        self._ended = True
        if self._used.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._used.release()
