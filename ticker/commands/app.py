"""The subcommands put together, and their errors as one line on stderr and an exit code (see `cli.py`)."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib import metadata

from cyclopts import App, CycloptsError

from ticker.commands.signals import unwinding_on_signals
from ticker.commands.streams import discard_stdout
from ticker.errors import ConfigError, ConnectionFailed
from ticker.texts import printable

app = App(
    name="ticker",
    help="Live market data, pushed to thousands of clients over TLS.",
    help_format="plaintext",
    version=metadata.version("ticker-push"),
    backend="trio",
    result_action="return_value",
)
COMMANDS = {
    "serve": "ticker.commands.serve:command",
    "watch": "ticker.commands.watch:command",
    "record": "ticker.commands.record:command",
    "export": "ticker.commands.export:export",
    "history": "ticker.commands.history:history_app",
    "feeds": "ticker.commands.feeds:feeds_app",
    "usage": "ticker.commands.usage:usage",
    "token": "ticker.commands.tokens:token_app",
}
"""Where each command is. Only the one that runs is imported: all of them take a second."""
STARTED_BY_OTHERS = {"worker": "ticker.commands.worker:command"}
"""Commands that only other commands start."""
for _name, _place in COMMANDS.items():
    app.command(_place, name=_name)
for _name, _place in STARTED_BY_OTHERS.items():
    app.command(_place, name=_name, show=False)


def run(arguments: Sequence[str]) -> int:
    """Run a command to its end, with all of its output written; return its exit code."""
    code = 0
    _import(arguments)
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


def _import(arguments: Sequence[str]) -> None:
    """Import the command to run, or all of them for help: a signal within an import has to end the process at once."""
    chosen = arguments[0] if arguments else ""
    if chosen not in app.version_flags:
        for name in [chosen] if chosen in COMMANDS.keys() | STARTED_BY_OTHERS.keys() else COMMANDS:
            app[name]
    gc.enable()  # `cli.py` has switched it off


def _print_error(group: BaseExceptionGroup[Exception], code: int) -> int:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = " ".join(str(error).split())
    print(f"ticker: {printable(text)}", file=sys.stderr)
    return code
