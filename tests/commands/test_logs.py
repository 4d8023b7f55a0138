"""ticker/commands/logs.py: an entry is one line of text, whatever it quotes."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from ticker.commands.logs import configure_logging

EVIL = "a\x1b[2J\x1b]0;title\x07b\r\n2026-11-28T00:00:00Z [error    ] forged\u202e\u2028c\x9b31m"
SHOWN = "a\\x1b[2J\\x1b]0;title\\x07b\\r\\n2026-11-28T00:00:00Z [error    ] forged\\u202e\\u2028c\\x9b31m"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Put the configuration of the whole process back."""
    root, usual = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.configure(**usual)


def fail() -> None:
    raise OSError(EVIL)


def log_everywhere() -> None:
    """Log a foreign text in each place where an entry can have one, by both kinds of loggers."""
    own = structlog.get_logger("own")
    own.warning(EVIL)
    own.warning("event", cause=EVIL, names=[EVIL], error=ValueError(EVIL), **{EVIL: 1})
    logging.getLogger("of a feed").warning("venue said: %s", EVIL)
    logging.getLogger(EVIL).warning("x")
    try:
        fail()
    except OSError:
        own.exception("failed")
        logging.getLogger("of a feed").exception("failed")


def test_no_foreign_text_is_more_than_text_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("console")
    log_everywhere()
    text = capsys.readouterr().err
    assert all(line.isprintable() for line in text.split("\n")), text
    entries = [line for line in text.split("\n") if line and not line.startswith("    ")]
    assert len(entries) == 6, entries
    assert text.count(SHOWN) >= 4
    assert text.count("    OSError: a\\x1b[2J") == 2


def test_colours_on_a_terminal_are_the_renderers_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    configure_logging("console")
    structlog.get_logger("own").warning("event", cause="\x1b[2J")
    text = capsys.readouterr().err
    assert "\x1b[" in text
    assert "\x1b[2J" not in text
    assert "\\x1b[2J" in text


def test_json_is_one_line_an_entry_and_keeps_the_texts(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")
    log_everywhere()
    lines = capsys.readouterr().err.removesuffix("\n").split("\n")
    assert all(line.isprintable() for line in lines)
    assert [json.loads(line)["event"] for line in lines] == [
        EVIL,
        "event",
        f"venue said: {EVIL}",
        "x",
        "failed",
        "failed",
    ]
