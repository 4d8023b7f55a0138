"""Logs on stderr, in one format for the service's own and for those of feeds, which use the standard `logging`.

An entry is one line, and a traceback the indented lines below it, whatever texts of feeds, venues and clients it holds:
everything in them that is not printable is escaped.
"""

from __future__ import annotations

import io
import logging
import sys
from functools import partial
from typing import Literal, TextIO

import structlog
from structlog.dev import plain_traceback
from structlog.typing import EventDict, ExcInfo

from ticker.net.queued_file import queued_files
from ticker.texts import printable

_INDENT = "    "


def configure_logging(log_format: Literal["console", "json"], worker: str | None = None) -> None:
    """Log as text (`console`), or as one JSON object per line (`json`). The lines of a worker have its name."""
    shared: list[structlog.typing.Processor] = [
        *([partial(_add_worker, worker)] if worker is not None else []),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if log_format == "json":
        # JSON escapes everything beyond ASCII by itself.
        last: list[structlog.typing.Processor] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        # The default formatter draws boxes around tracebacks, which blocks the service for tens of milliseconds.
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_write_traceback)
        last = [_printable_entry, renderer]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    for file in queued_files():
        file.describe = partial(_describe_losses, handler)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    # It logs every frame, and the connection logs its errors again.
    logging.getLogger("trio-websocket").setLevel(logging.CRITICAL)
    # It logs a connection that fails with a traceback, and the bus logs it in a line.
    logging.getLogger("coredis").setLevel(logging.CRITICAL)
    # It logs each URL in full, with a password in it.
    logging.getLogger("httpx2").setLevel(logging.WARNING)


def _add_worker(worker: str, _logger: object, _method: str, entry: EventDict) -> EventDict:
    return {**entry, "worker": worker}


def _describe_losses(handler: logging.Handler, lines: int) -> str:
    """An entry in the format of the log: it is written where the lost ones would have been."""
    message = f"{lines} lines of this log were lost, because they were not read in time"
    return handler.format(
        logging.makeLogRecord({"name": __name__, "levelname": "WARNING", "levelno": logging.WARNING, "msg": message})
    )


def _printable_entry(_logger: object, _method: str, entry: EventDict) -> EventDict:
    """Make every text of an entry printable, before the renderer adds its colours."""
    return {printable(key): value if key in _RENDERED else _printable_value(value) for key, value in entry.items()}


_RENDERED = {"exc_info", "_record", "_from_structlog"}
"""The values of an entry that are for the renderer."""


def _printable_value(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    return printable(value if isinstance(value, str) else repr(value))


def _write_traceback(sink: TextIO, exc_info: ExcInfo) -> None:
    """Write a traceback, indented: the text of an exception may have lines that look like entries."""
    text = io.StringIO()
    plain_traceback(text, exc_info)
    sink.write("\n".join(f"{_INDENT}{printable(line)}" for line in text.getvalue().split("\n")))
