"""Files of tables that a command writes: CSV and Parquet, or stdout. Each stands in its place once it is complete."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from ticker.errors import ConfigError

STDOUT = Path("-")


def check_outputs(parquet: Path | None, csv: Path | None, *, force: bool) -> None:
    """Raise `ConfigError` unless there is an output, and no file that would be replaced without `--force`."""
    if parquet is None and csv is None:
        raise ConfigError("export: give --parquet FILE or --csv FILE")
    if parquet is not None and parquet == csv:
        raise ConfigError("export: give --parquet and --csv different files")
    for path in (parquet, csv):
        if path is not None and path != STDOUT and path.is_file() and not force:
            raise ConfigError(f"{path}: exists already; give --force to replace it")


def load_arrow() -> tuple[Any, Any]:
    """Return pyarrow and its Parquet module. Raises `ConfigError` if it is not installed."""
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigError(f"--parquet needs pyarrow: pip install 'ticker-push[parquet]' ({error})") from error


def print_result(count: int, path: Path) -> None:
    """Print the number of rows on stderr."""
    print(f"{count} rows in {'stdout' if path == STDOUT else path}", file=sys.stderr, flush=True)


@contextmanager
def writing(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """Yield the file to write to: stdout, a pipe or a device, or a new file that stands at `path` once it is complete.

    Raises `ConfigError`, but for stdout.
    """
    if path == STDOUT:
        with open(os.dup(sys.stdout.fileno()), "wb") as file:  # noqa: PTH123  # stdout stays open
            yield file
        return
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as file:  # a pipe or a device; a folder is an error
                yield file
        else:
            with _replacing(path, force=force) as file:
                yield file
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error})") from error


@contextmanager
def _replacing(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:
            yield file
        if not force:
            path.touch(exist_ok=False)  # spares a file that came into being meanwhile
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
