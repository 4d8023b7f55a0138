"""Prices from any program: lines of JSON from standard input, files that may grow, and clients of a socket.

The contents of a line: `ticker_feeds.lines.objects`.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import re
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import trio

from ticker.errors import ConfigError
from ticker.market import FeedItem, Publication, Reason, batches
from ticker_feeds.file_thread import FileThread
from ticker_feeds.lines.files import OpenFile, read_descriptor
from ticker_feeds.lines.objects import ObjectReader, decode_json
from ticker_feeds.lines.owners import Owners
from ticker_feeds.parsing import BadInput

MAX_LINE = 2**20
"""The longest line, in bytes."""

MAX_WRITERS = 100
"""The most programs that may be connected at once."""

_HTTP = re.compile(rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE|PRI) ")
_BOM = b"\xef\xbb\xbf"
"""The mark that some programs put before UTF-8."""

_OPENING = 8
"""So many bytes tell the methods of HTTP from other texts."""

LOOK_SECONDS = 0.1
"""How often a file is looked at that is followed."""

_CHUNK = 32_768
_MAX_BATCH = 1_000
_REMEDY = "give path=- (standard input), a FILE, tcp://127.0.0.1:PORT or unix:/PATH"

_log = logging.getLogger(__name__)


class JsonLines:
    """A feed of lines of JSON.

    `path` is `-` for standard input, a file, `tcp://HOST:PORT` with an address of this machine's own, or `unix:PATH`:
    at the last two the feed listens, and any number of programs may write at once; when one of them disconnects, its
    instruments are `stale` with the reason `writer_gone`; of those that others write to as well, its fields are
    withdrawn. A connection that does not begin with a JSON object or array
    is ended: any page in a browser can send HTTP to an address of its machine. With `follow`, a file is read on as it
    grows, is truncated or is replaced by a new one of its name, as `tail -F` does; otherwise the feed ends with it.
    With `silence`, a source that sends nothing for so many seconds, not even `[]`, counts as broken, and its
    instruments are `stale`.

    `counters` counts unusable input by cause. Raises `ConfigError` for impossible options.
    """

    def __init__(self, *, path: str, follow: bool = False, silence: float | None = None) -> None:
        self.counters: Counter[str] = Counter()
        self._silence = checked_silence(silence)
        # A followed file is not begun anew when it falls silent: its old lines would look like fresh prices.
        self.silence_seconds = None if follow else self._silence
        self.address = ""
        """Where it listens, once it does."""
        self._path = path
        self._thread = FileThread()
        self._follow = follow
        self._listen: Callable[[], trio.SocketListener] | None = None
        if path.startswith("tcp:"):
            self._listen = partial(_listen_tcp, *_host_and_port(path))
        elif path.startswith("unix:"):
            self._listen = partial(_listen_unix, path.removeprefix("unix:"))
        if follow and (self._listen is not None or path == "-"):
            raise ConfigError("follow: only a file can be followed")
        if self._listen is None and path != "-" and not follow and not Path(path).exists():
            raise ConfigError(f"path {path!r}: there is no such file; {_REMEDY}")

    def __repr__(self) -> str:
        return f"<JsonLines from {self.address or self._path}: {dict(self.counters)}>"

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Read until the source ends, which a socket and a file that is followed never do."""
        reader = ObjectReader(self._path, self.counters, _log)
        if self._listen is not None:
            await self._serve(self._listen(), reader, updates)
        elif self._path == "-":
            await _copy(partial(read_descriptor, 0, self._thread), _LineSplitter(reader, "line"), updates)
        elif self._follow:
            await _Follower(self._path, self._thread, reader, self._silence, updates).run()
        else:
            async with OpenFile(self._path, self._thread) as file:
                await _copy(file.read, _LineSplitter(reader, "line"), updates)

    async def _serve(
        self, listener: trio.SocketListener, reader: ObjectReader, updates: trio.abc.SendChannel[FeedItem]
    ) -> None:
        owners = Owners()
        writers: set[int] = set()
        last = 0

        async def take(stream: trio.SocketStream) -> None:
            nonlocal last
            if len(writers) >= MAX_WRITERS:
                reader.reject(BadInput("too many writers", f"at most {MAX_WRITERS}"), "a new one")
                return
            last = number = last + 1
            writers.add(number)
            where = f"writer {number}, line"
            lines = _LineSplitter(reader, where, partial(owners.note, number), foreign=True)
            try:
                while data := await stream.receive_some(_CHUNK):
                    await lines.send(data, updates)
                await lines.send(b"\n", updates)
            except trio.BrokenResourceError:
                pass  # that program's fault alone; its last line is incomplete
            except BadInput as error:
                reader.reject(error, f"{where} 1", "its connection is ended")
                return  # it has published nothing
            finally:
                writers.discard(number)
            for batch in batches(owners.gone(number)):
                await updates.send(batch)

        async def serve(stream: trio.SocketStream) -> None:
            async with stream:
                await take(stream)

        family = listener.socket.family
        name = listener.socket.getsockname()
        self.address = name if family == socket.AF_UNIX else f"{name[0]}:{name[1]}"
        _log.info("%s: listening at %s", self._path, self.address)
        try:
            await trio.serve_listeners(serve, [listener])
        finally:
            if family == socket.AF_UNIX:
                _remove(self.address)
            self.address = ""


def checked_silence(seconds: float | None) -> float | None:
    """The option `silence`. Raises `ConfigError`."""
    if seconds is not None and not 0 < seconds < math.inf:
        raise ConfigError(f"silence {seconds}: give a number of seconds above 0")
    return seconds


class _LineSplitter:
    """Makes lines of bytes as they come, and publications of the lines.

    `foreign` bytes may come from anybody, so the first line decides: until one is a JSON object or array, any other
    raises `BadInput`.
    """

    def __init__(
        self,
        reader: ObjectReader,
        where: str,
        seen: Callable[[list[Publication]], None] = lambda _publications: None,
        *,
        foreign: bool = False,
    ) -> None:
        self._reader = reader
        self._where = where
        self._seen = seen
        self._number = 0
        self._rest = b""
        self._too_long = False
        self._foreign = foreign

    async def send(self, data: bytes | bytearray, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Publish the lines that these bytes complete; a sign of life, if they hold no publication."""
        data = self._rest + data
        if self._foreign and not self._too_long:
            _check_opening(data)
        *lines, rest = data.split(b"\n")
        batch: list[Publication] = []
        alive = False
        for line in lines:
            self._number += 1
            publications = self._publications(line)
            alive = alive or publications is not None
            if batch and len(batch) + len(publications or ()) > _MAX_BATCH:
                await updates.send(batch)
                batch = []
            batch += publications or ()
        if len(rest) > MAX_LINE:
            self._too_long, rest = True, b""
        self._rest = rest
        if alive:
            await updates.send(batch)
        await trio.lowlevel.checkpoint()

    def restart(self) -> None:
        """Begin a file anew."""
        self._number, self._rest, self._too_long = 0, b"", False

    def _publications(self, line: bytes) -> list[Publication] | None:
        """Return the publications of a line; None for an empty or unusable one."""
        where = f"{self._where} {self._number}"
        if self._too_long or len(line) > MAX_LINE:
            self._too_long = False
            self._reader.reject(BadInput("line too long", f"more than {MAX_LINE} bytes"), where)
            return None
        if self._number == 1:
            line = line.removeprefix(_BOM)
        if not line.strip():
            return None
        try:
            item = self._decoded(line)
        except BadInput as error:
            if self._foreign:
                raise
            self._reader.reject(error, where)
            return None
        publications = self._reader.take(item, where)
        self._seen(publications)
        return publications

    def _decoded(self, line: bytes) -> object:
        item = decode_json(line)
        if self._foreign and not isinstance(item, dict | list):
            raise BadInput("not JSON", f"{line[:40]!r} is neither an object nor an array")
        self._foreign = False
        return item


def _check_opening(data: bytes | bytearray) -> None:
    """Raise `BadInput` for the first bytes of a connection if no line of JSON can begin so."""
    opening = data.removeprefix(_BOM).lstrip()
    if opening[:1] in {b"", b"{", b"["} or (len(opening) < _OPENING and b"\n" not in opening):
        return
    line = bytes(opening.partition(b"\n")[0][:40])
    if _HTTP.match(opening) is not None:
        raise BadInput("HTTP request", f"{line!r}, perhaps of a page in a browser, where lines of JSON belong")
    raise BadInput("not JSON", f"{line!r} is no beginning of a JSON object or array")


async def _copy(
    read: Callable[[], Awaitable[bytes]], lines: _LineSplitter, updates: trio.abc.SendChannel[FeedItem]
) -> None:
    """Publish all lines to the end of the file; the last one needs no newline."""
    while data := await read():
        await lines.send(data, updates)
    await lines.send(b"\n", updates)


class _Follower:
    """Reads a file as it grows, and its replacements."""

    def __init__(
        self,
        path: str,
        thread: FileThread,
        reader: ObjectReader,
        silence: float | None,
        updates: trio.abc.SendChannel[FeedItem],
    ) -> None:
        self._path = path
        self._thread = thread
        self._reader = reader
        self._lines = _LineSplitter(reader, "line")
        self._silence = math.inf if silence is None else silence
        self._due = trio.current_time() + self._silence
        """When the file counts as silent, unless more of it comes; infinite once that was said."""
        self._updates = updates

    async def run(self) -> None:
        while True:
            try:
                async with OpenFile(self._path, self._thread) as file:
                    self._lines.restart()
                    await self._follow(file)
            except FileNotFoundError:
                await self._pause()

    async def _follow(self, file: OpenFile) -> None:
        """Read a file to its end, and on, until another one has its name."""
        while True:
            # Looked up before the end is read, so that everything written before the replacement is read too.
            replaced = await file.is_replaced()
            while data := await file.read():
                self._due = trio.current_time() + self._silence
                await self._lines.send(data, self._updates)
            if replaced:
                await self._lines.send(b"\n", self._updates)
                return
            await self._pause()
            if await file.is_truncated():
                self._lines.restart()

    async def _pause(self) -> None:
        await trio.sleep(LOOK_SECONDS)
        if trio.current_time() >= self._due:
            self._due = math.inf
            for batch in batches(self._reader.mark_all_stale(Reason.FEED_SILENT)):
                await self._updates.send(batch)


def _host_and_port(path: str) -> tuple[str, int]:
    try:
        parts = urlsplit(path)
        host, port = parts.hostname or "", parts.port
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError as error:
        raise ConfigError(f"path {path!r}: {error}; {_REMEDY}") from None
    if not local:
        raise ConfigError(f"path {path!r}: clients are not authenticated, so give an address of this machine's own")
    if port is None or parts.path:
        raise ConfigError(f"path {path!r}: {_REMEDY}")
    return ("127.0.0.1" if host == "localhost" else host), port


def _listen_tcp(host: str, port: int) -> trio.SocketListener:
    made = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    return trio.SocketListener(trio.socket.from_stdlib_socket(made))


def _listen_unix(path: str) -> trio.SocketListener:
    """Listen on a socket for this user alone, in place of the file that an ended listener left behind."""
    made = socket.socket(socket.AF_UNIX)
    try:
        _make_room(path)
        made.bind(path)
        Path(path).chmod(0o600)
        made.listen()
    except BaseException:
        made.close()
        raise
    return trio.SocketListener(trio.socket.from_stdlib_socket(made))


def _make_room(path: str) -> None:
    if not Path(path).is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(path) == 0:
            raise OSError(f"{path}: another program is listening there")
    _remove(path)


def _remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)
