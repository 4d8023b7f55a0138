"""The command `ticker`: its subcommands put together, and its exit codes.

An argument that cannot be used ends with exit code 2, a connection that fails for good with 1, each with one line on
stderr. Logs go to stderr too: stdout holds only the command's output.
"""

from __future__ import annotations

import os
import sys
from importlib import metadata

from cyclopts import App, CycloptsError

from ticker.commands.export import export
from ticker.commands.feeds import feeds_app
from ticker.commands.record import record
from ticker.commands.serve import serve
from ticker.commands.tokens import token_app
from ticker.commands.watch import watch
from ticker.errors import ConfigError, ConnectionFailed

app = App(
    name="ticker",
    help="Live market data, pushed to thousands of clients over TLS.",
    help_format="plaintext",
    version=metadata.version("ticker-push"),
    backend="trio",
    result_action="return_value",
)
for command in (serve, watch, record, export, feeds_app, token_app):
    app.command(command)


def main() -> None:
    """Run the command line of this process, and exit."""
    code = 0
    try:
        app(sys.argv[1:], exit_on_error=False, print_error=False)
    except* (ConfigError, CycloptsError) as group:
        code = _print_error(group, 2)
    except* ConnectionFailed as group:
        code = _print_error(group, 1)
    except* OSError as group:
        # The reader of stdout has gone, or stdout cannot be written: flushing the rest of the buffer would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1 if group.subgroup(BrokenPipeError) is not None else _print_error(group, 1)
    except* KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _print_error(group: BaseExceptionGroup[Exception], code: int) -> int:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = " ".join(str(error).split())
    print(f"ticker: {text}", file=sys.stderr)
    return code
