"""Files of recorded market data, read as a stream: plain, or the one `.csv` inside a `.zip`, or a `.gz`.

`Recording` reads rows, which are described in `ticker_feeds.recordings.row_layout`; `Messages` reads raw messages of a
venue (`ticker_feeds.recordings.venue_files`). A line that does not parse is counted by its cause, logged the first time
for each cause, and skipped.
"""

from __future__ import annotations

import gzip
import io
import logging
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, TextIO

from ticker.errors import ConfigError, TickerError, count_cause
from ticker.market import Publication
from ticker_feeds.parsing import BadInput
from ticker_feeds.recordings.capture_format import Moment
from ticker_feeds.recordings.row_layout import Row, TableOptions, find_layout
from ticker_feeds.recordings.venue_files import VenueFile

CHUNK_LINES = 250
"""Lines that are read and parsed in one go: about two milliseconds."""

MAX_HEADER = 2**18
"""The most characters of line 1 that are looked at."""

_REMEDY = "give a CSV file, alone or in a .zip or .gz"
_UNREADABLE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError)

_log = logging.getLogger(__name__)


class Recording:
    """A file of recorded updates, read from its beginning by each call of `chunks`.

    `path` is the file, `options` the facts that it does not contain. `skipped` counts the rows and cells that could not
    be used, by cause.

    Raises `ConfigError` for a file that cannot be read, with a line 1 in no known layout, or with a first row that was
    not meant as it would be read (seconds taken for microseconds, a decimal comma).
    """

    def __init__(self, path: str, options: TableOptions | None = None) -> None:
        self.path = path
        self.skipped: Counter[str] = Counter()
        try:
            if not Path(path).is_file():
                problem = "is not a file" if Path(path).exists() else "there is no such file"
                raise ConfigError(f"{path}: {problem}; {_REMEDY}")
            with _opened(path) as (names, text):
                first = text.readline(MAX_HEADER)
                row = next((line for line in islice(text, CHUNK_LINES) if not line.isspace()), None)
        except _UNREADABLE as error:
            raise ConfigError(f"{path}: cannot be read ({error}); {_REMEDY}") from error
        if not first.strip():
            raise ConfigError(f"{path}: is empty, or begins with an empty line; {_REMEDY}")
        try:
            self._layout = find_layout(first, names, options or TableOptions())
            if row is not None:
                with suppress(BadInput):  # a row that cannot be used is skipped and counted when it is played
                    self._layout.check(row)
        except (ConfigError, BadInput) as error:
            raise ConfigError(f"{path}: {error}") from error

    def chunks(self) -> Generator[list[Row], None, None]:
        """The file's rows in order; each list has those of up to `CHUNK_LINES` lines, perhaps none.

        Raises `OSError` where the file is gone by now. One that breaks off in the middle ends there, counted as
        `breaks off`.
        """
        with _opened(self.path) as (_, text):
            lines = self._lines(text)
            while chunk := list(islice(lines, CHUNK_LINES)):
                rows = (self._row(number, line) for number, line in chunk)
                yield [row for row in rows if row is not None]

    def _lines(self, text: TextIO) -> Iterator[tuple[int, str]]:
        """The lines that hold rows, with their numbers."""
        for number, line in enumerate(_until_it_breaks_off(text, self._skip), 1):
            if number >= self._layout.first_line and not line.isspace():
                yield number, line

    def _row(self, number: int, line: str) -> Row | None:
        try:
            return self._layout.row(line, partial(self._skip, number))
        except BadInput as error:
            self._skip(number, error)
            return None

    def _skip(self, number: int, error: BadInput) -> None:
        _count(self.skipped, self.path, number, error)


class Messages:
    """A file of raw messages of a venue, one per line, read from its beginning by each call of `chunks`.

    A line is `<time of receipt, in nanoseconds since 1970 UTC> <message>`; without the time it belongs to the line
    before. `make` makes a reader for each time that the file is read, which counts in its argument; its exceptions are
    the message's fault. `skipped` counts the lines that could not be used, by cause.

    Raises `ConfigError` for a file that cannot be read.
    """

    def __init__(self, path: str, make: Callable[[Counter[str]], VenueFile]) -> None:
        self.path = path
        self.skipped: Counter[str] = Counter()
        self._make = make
        try:
            with _opened(path) as (_, text):
                text.read(1)
        except (*_UNREADABLE, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read ({error}); give a file of lines, plain or in a .gz") from error

    def chunks(self) -> Generator[list[Moment], None, None]:
        """The moments in order; each list has those of up to `CHUNK_LINES` lines. Raises as `Recording`."""
        time = 0
        read = self._make(self.skipped).read
        with _opened(self.path) as (_, text):
            lines = enumerate(_until_it_breaks_off(text, self._skip), 1)
            while chunk := list(islice(lines, CHUNK_LINES)):
                moments = []
                for number, line in chunk:
                    stamp, message = _stamped(line)
                    time = time if stamp is None else stamp // 1_000
                    moments.append(Moment(time, self._publications(read, number, message)))
                yield [moment for moment in moments if moment.publications]

    def _publications(
        self, read: Callable[[str], Sequence[Publication]], number: int, message: str
    ) -> Sequence[Publication]:
        if not message:
            return ()
        try:
            return read(message)
        except (TickerError, ValueError, TypeError, LookupError) as error:
            self._skip(number, BadInput("bad message", str(error)))
            return ()

    def _skip(self, number: int, error: BadInput) -> None:
        _count(self.skipped, self.path, number, error)


def _count(skipped: Counter[str], path: str, number: int, error: BadInput) -> None:
    if count_cause(skipped, error.cause):
        _log.warning("%s, line %d: %s; skipped, and from now on only counted", path, number, error)


def _until_it_breaks_off(text: TextIO, skip: Callable[[int, BadInput], None]) -> Iterator[str]:
    """The lines of a file; one that is cut short or damaged ends where it breaks off."""
    number = 0
    try:
        for line in text:
            number += 1
            yield line
    except _UNREADABLE as error:
        skip(number + 1, BadInput("breaks off", str(error)))


def _stamped(line: str) -> tuple[int | None, str]:
    """The time that a line begins with, if it does, and the rest."""
    stamp, _, message = line.partition(" ")
    if stamp.isascii() and stamp.isdecimal() and len(stamp) <= 19:
        return int(stamp), message.strip()
    return None, line.strip()


@contextmanager
def _opened(path: str) -> Iterator[tuple[list[str], TextIO]]:
    """The text of a recording, and the names by which it goes: its own, and that of the archive it is packed in."""
    file = Path(path)
    with ExitStack() as stack:
        names = [file.name]
        raw: IO[bytes] | gzip.GzipFile
        if file.suffix.lower() == ".zip":
            archive = stack.enter_context(zipfile.ZipFile(file))
            member = _only_csv(archive)
            names.insert(0, PurePosixPath(member).name)
            raw = stack.enter_context(archive.open(member))
        elif file.suffix.lower() == ".gz":
            raw = stack.enter_context(gzip.open(file))
        else:
            raw = stack.enter_context(file.open("rb"))
        yield names, stack.enter_context(io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape"))


def _only_csv(archive: zipfile.ZipFile) -> str:
    members = [
        name for name in archive.namelist() if name.lower().endswith(".csv") and not name.startswith("__MACOSX/")
    ]
    if len(members) != 1:
        raise ConfigError(f"{archive.filename}: holds {len(members)} .csv files; give a .zip with one")
    return members[0]
