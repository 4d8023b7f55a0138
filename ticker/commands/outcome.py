"""The exit code of a command (see `cli.py`), its errors as one line on stderr."""

from __future__ import annotations

import errno
import gc
import sys
from collections.abc import Callable

from ticker.commands.signals import unwinding_on_signals
from ticker.commands.streams import discard_stdout
from ticker.errors import ConfigError, ConnectionFailed
from ticker.texts import printable

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


def outcome_of(command: Callable[[], object]) -> int:
    """Run a command, which is imported by now, to its end, with all of its output written; return its exit code."""
    gc.enable()  # `cli.py` has switched it off
    code = 0
    try:
        with unwinding_on_signals():
            result = command()
            code = result if isinstance(result, int) else 0
        sys.stdout.flush()
    except* ConfigError as group:
        code = _print_error(group, 2)
    except* ConnectionFailed as group:
        code = _print_error(group, 1)
    except* OSError as group:
        # The reader of stdout has gone, or stdout cannot be written: flushing the rest of the buffer would fail again.
        discard_stdout()
        code = 1 if group.subgroup(BrokenPipeError) is not None else _print_error(group, 1)
    return code


def _print_error(group: BaseExceptionGroup[Exception], code: int) -> int:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, OSError) and error.errno in _NO_ROOM and error.filename is None:
        error = OSError(f"the output cannot be written: {error.strerror}")
    text = " ".join(str(error).split())
    print(f"ticker: {printable(text)}", file=sys.stderr)
    return code
