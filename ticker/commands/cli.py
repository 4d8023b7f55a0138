"""The command `ticker`: signals and standard streams from the first moment on, then the command, then an exit code.

Exit codes, of every command:

    0    it did its work, or was stopped in order: `serve`, `watch`, `record` and `feeds check` end so on SIGINT and
         SIGTERM once they run
    1    a connection failed for good, or there was none within `--duration`; nothing was recorded; the output could not
         be written or its reader has gone; a check failed, or `trust` left something to do
    2    an argument, a setting or a file cannot be used
    130  SIGINT (Ctrl-C) ended it: while it started, at the second Ctrl-C, or a command that waits for nothing
    143  SIGTERM did, likewise

Errors are one line on stderr. Logs go to stderr too: stdout holds only the command's output.

This module imports next to nothing, because the other modules take most of a second, and a signal may come meanwhile.
"""

from __future__ import annotations

import gc
import os
import sys
from types import FrameType

try:
    import signal
except KeyboardInterrupt:
    os._exit(130)


def main() -> None:
    """Run the command line of this process, and exit."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # a shell's job in the background ignores SIGINT
            signal.signal(number, _leave)
    gc.disable()  # until all is imported: that stays, and to look through it again and again is a sixth of the time
    code = 0
    try:
        code = _run()
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    sys.exit(code)


def _run() -> int:
    from ticker.commands.streams import prepare_streams  # noqa: PLC0415  # after the signals' handlers, as all others

    if sys.stderr is sys.__stderr__:  # unless the streams are the caller's, as in a test
        prepare_streams()
    import ticker.commands.plain_structlog  # noqa: F401, PLC0415

    command, *arguments = sys.argv[1:] or [""]
    if command == "worker":
        from ticker.commands.worker import run as run_worker  # noqa: PLC0415

        return run_worker(arguments)
    from ticker.commands.app import run  # noqa: PLC0415

    return run(sys.argv[1:])


def _leave(number: int, _frame: FrameType | None) -> None:
    """End the process at once. As process 1 of a container it has to do that itself: no signal ends that by default.

    An exception would do no better: raised within an import or a finalizer it is a traceback, or is lost.
    """
    os._exit(128 + number)
