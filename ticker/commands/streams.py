"""The three standard streams of a command, in whatever state the process was given them.

- A closed one is `/dev/null`: otherwise the first file or socket that is opened would take its number, and printed
  text would go there.
- stderr takes everything at once, and a service's stdout too: text is dropped where its reader has gone or has stopped,
  or its disk is full, because a message that nobody can read is no reason to end or to delay a service or a recording.
- stdout takes every character: one that its encoding does not have is written as an escape, `\\xe9`.
"""

from __future__ import annotations

import atexit
import io
import os
import sys
from typing import TextIO

from ticker.bounds import OUTPUT_FINISH_SECONDS
from ticker.net.queued_file import QueuedFile

_ESCAPE = "backslashreplace"


def prepare_streams() -> None:
    """Prepare the standard streams of this process: once, before anything is opened or printed."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)  # noqa: FBT003  # the parameter has no name
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # open while the process is
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors in {"strict", "surrogateescape"}:
        sys.stdout.reconfigure(errors=_ESCAPE)
    encoding = sys.stderr.encoding if sys.stderr is not None else "utf-8"
    sys.stderr = _written_later(2, encoding)


def write_stdout_later() -> None:
    """Let stdout, too, take everything at once: for a command whose output is no more than messages."""
    encoding = sys.stdout.encoding
    if sys.stdout is sys.__stdout__:  # unless it is the caller's, as in a test
        sys.stdout = _written_later(1, encoding)


def _written_later(descriptor: int, encoding: str) -> TextIO:
    file = QueuedFile(descriptor)
    atexit.register(file.finish, OUTPUT_FINISH_SECONDS)
    return io.TextIOWrapper(io.BufferedWriter(file), encoding=encoding, errors=_ESCAPE, line_buffering=True)


def writes_unicode(stream: TextIO) -> bool:
    """Whether a stream's encoding has all characters."""
    return (stream.encoding or "").lower().replace("_", "-") in {"utf-8", "utf8", "utf-16", "utf-32"}


def announce(text: str) -> None:
    """Print a line that a command does not depend on: nothing happens if nobody can read it."""
    try:
        print(text, flush=True)
    except OSError:
        discard_stdout()


def discard_stdout() -> None:
    """Drop the text that stdout still holds and all that follows: its reader has gone, or it cannot be written."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
