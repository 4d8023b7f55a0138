"""The subcommands that people run, put together."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

from cyclopts import App, CycloptsError

from ticker.commands.outcome import outcome_of
from ticker.errors import ConfigError

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
    "trust": "ticker.commands.trust:trust",
}
"""Where each command is. Only the one that runs is imported: all of them take a second."""
for _name, _place in COMMANDS.items():
    app.command(_place, name=_name)


def run(arguments: Sequence[str]) -> int:
    """Run a command to its end, with all of its output written; return its exit code."""
    _import(arguments)
    return outcome_of(lambda: _call(arguments))


def _import(arguments: Sequence[str]) -> None:
    """Import the command to run, or all of them for help: a signal within an import has to end the process at once."""
    chosen = arguments[0] if arguments else ""
    if chosen not in app.version_flags:
        for name in [chosen] if chosen in COMMANDS else COMMANDS:
            app[name]


def _call(arguments: Sequence[str]) -> object:
    try:
        return app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise ConfigError(str(error)) from None
