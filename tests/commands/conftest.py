"""The command line in this process: its exit code, stdout and stderr, without the half second of a process."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest
import structlog

from ticker.commands import serve
from ticker.commands.cli import main


class Outcome(NamedTuple):
    """The end of a command."""

    code: int
    stdout: str
    stderr: str


RunTicker: TypeAlias = Callable[..., Outcome]
"""Called with the arguments of `ticker`."""


@pytest.fixture
def process_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undoes the settings of the whole process that a command makes: logs, the import path, memory, signals."""
    root, websockets = logging.getLogger(), logging.getLogger("trio-websocket")
    handlers, levels, path = root.handlers, (root.level, websockets.level), list(sys.path)
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    configure = structlog.configure
    # A cached logger would keep writing to this test's stderr in later tests.
    uncached = {"cache_logger_on_first_use": False}
    monkeypatch.setattr(structlog, "configure", lambda **given: configure(**{**given, **uncached}))
    # Collection thresholds and malloc settings cannot be undone: tests/commands/test_memory.py has a process for them.
    monkeypatch.setattr(serve, "tune_memory", lambda: None)
    yield
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(levels[0])
    websockets.setLevel(levels[1])
    sys.path[:] = path
    for number, handler in signals.items():
        signal.signal(number, handler)


@pytest.fixture
def run_ticker(
    process_settings: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> RunTicker:
    """Runs `ticker` with the given arguments through `main()`."""
    del process_settings

    def run(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["ticker", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Outcome(_code(ended.value.code), *capsys.readouterr())

    return run


def _code(code: Any) -> int:  # noqa: ANN401  # `SystemExit` takes anything
    assert isinstance(code, int)
    return code
