"""Ctrl-C while Trio is a guest of a loop that does not handle it."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Interrupts:
    """A handler that lets Ctrl-C interrupt the program anywhere but in the middle of a step of Trio.

    Trio's own handler would take each Ctrl-C for Trio, and never let it reach a cell of a notebook or the loop.
    """

    def __init__(self) -> None:
        self._installed = False
        self._deferring = False
        self._pending = False

    def install(self) -> None:
        """Handle Ctrl-C, unless something else does so already."""
        if threading.current_thread() is threading.main_thread():
            self._installed = signal.getsignal(signal.SIGINT) is signal.default_int_handler
            if self._installed:
                signal.signal(signal.SIGINT, self._handle)

    def remove(self) -> None:
        """Leave Ctrl-C to Python again."""
        if self._installed and signal.getsignal(signal.SIGINT) == self._handle:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._installed = False

    # As a context it is a step of Trio: Ctrl-C takes effect after it.

    def __enter__(self) -> None:
        self._deferring = True

    def __exit__(self, *error: object) -> None:
        self._deferring = False
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._deferring:
            self._pending = True
        else:
            signal.default_int_handler(number, frame)
