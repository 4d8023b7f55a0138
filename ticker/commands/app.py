"""The subcommands put together, and their errors as one line on stderr and an exit code (see `cli.py`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import metadata

from cyclopts import App, CycloptsError

from ticker.commands.export import export
from ticker.commands.feeds import feeds_app
from ticker.commands.history import history_app
from ticker.commands.record import record
from ticker.commands.serve import serve
from ticker.commands.signals import unwinding_on_signals
from ticker.commands.streams import discard_stdout
from ticker.commands.tokens import token_app
from ticker.commands.watch import watch
from ticker.errors import ConfigError, ConnectionFailed
from ticker.net.clocks import on_running_clock
from ticker.texts import printable

app = App(
    name="ticker",
    help="Live market data, pushed to thousands of clients over TLS.",
    help_format="plaintext",
    version=metadata.version("ticker-push"),
    backend="trio",
    result_action="return_value",
)
for lasting in (serve, watch, record):
    app.command(on_running_clock(lasting))
for command in (export, history_app, feeds_app, token_app):
    app.command(command)


def run(arguments: Sequence[str]) -> int:
    """Run a command to its end, with all of its output written; return its exit code."""
    code = 0
    try:
        with unwinding_on_signals():
            result = app(arguments, exit_on_error=False, print_error=False)
            code = result if isinstance(result, int) else 0
        sys.stdout.flush()
    except* (ConfigError, CycloptsError) as group:
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
    text = " ".join(str(error).split())
    print(f"ticker: {printable(text)}", file=sys.stderr)
    return code
