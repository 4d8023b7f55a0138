"""The command line in this process: its exit code, stdout and stderr, without the half second of a process."""

from __future__ import annotations

import logging
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
def run_ticker(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[RunTicker]:
    """Runs `ticker` with these arguments through `main()`; settings of the whole process are undone afterwards."""
    root = logging.getLogger()
    websockets = logging.getLogger("trio-websocket")
    handlers, level, websockets_level, path = root.handlers, root.level, websockets.level, list(sys.path)
    configure = structlog.configure
    # A cached logger would keep writing to this test's stderr in later tests.
    monkeypatch.setattr(
        structlog, "configure", lambda **given: configure(**{**given, "cache_logger_on_first_use": False})
    )
    # Collection thresholds and malloc settings hold for the process: tests/commands/test_memory.py has one of its own.
    monkeypatch.setattr(serve, "tune_memory", lambda: None)

    def run(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["ticker", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Outcome(_code(ended.value.code), *capsys.readouterr())

    yield run
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)
    websockets.setLevel(websockets_level)
    sys.path[:] = path


def _code(code: Any) -> int:  # noqa: ANN401  # `SystemExit` takes anything
    assert isinstance(code, int)
    return code
