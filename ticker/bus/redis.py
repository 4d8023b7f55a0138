"""The engine for many machines: the log is a stream of Redis or Valkey, keyframes are hashes.

    ticker:NAME:log              the stream: the id of an entry is `CUT-BEAT`, its one field is `ticker`
    ticker:NAME:keyframes        by cut, how many parts a keyframe has; 0 while it is being written
    ticker:NAME:keyframe:CUT     its parts by number

Every command has one key and no script, so that any order of commands and failures leaves something that counts: a
keyframe is whole before it is listed, and listed before those that it replaces are deleted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import structlog
from coredis.exceptions import ResponseError

from ticker.bus.addresses import RedisAddress, host_port
from ticker.bus.engine import MOST_READ, Entry, Keyframe, Position, Refused, Unavailable
from ticker.bus.keyframes import check_size
from ticker.bus.redis_checks import check_server, eviction
from ticker.bus.redis_link import Link, Reply, connect
from ticker.bus_bounds import BUS_ANSWER_SECONDS, BUS_PART_SECONDS, MAX_BUS_ENTRIES

_FIELD = b"ticker"
_NOT_BEHIND = ("The ID specified in XADD is equal or smaller", "The ID specified in XADD must be greater")

_log = structlog.stdlib.get_logger(__name__)


class RedisEngine:
    """A Redis or Valkey at an address."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._warned = False

    def __repr__(self) -> str:
        return f"<RedisEngine at {self.name}>"

    @property
    def name(self) -> str:
        """Its address for logs, without secrets."""
        return self._address.text

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[RedisConnection]:
        """Connect to the server, or to the one that the sentinels name, and check it. Raises `Unavailable`."""
        address = self._address
        server = address.servers[0] if address.service is None else await self._find_primary(address.service)
        async with connect(server, address) as link:
            checked = await check_server(link, address)
            if not checked.keeps_on_disk and not self._warned:
                self._warned = True
                _log.warning(
                    "the bus keeps nothing on its disk: after it crashed, the source writes everything again; set"
                    " appendonly yes",
                    bus=self.name,
                )
            connection = RedisConnection(link, address, checked.run)
            await connection.begin()
            yield connection

    async def _find_primary(self, service: str) -> tuple[str, int]:
        failures = []
        for sentinel in self._address.servers:
            try:
                async with connect(sentinel, self._address, sentinel=True) as link:
                    answer = await link.command(b"SENTINEL GET-MASTER-ADDR-BY-NAME", service.encode())
            except Unavailable as error:
                failures.append(f"{host_port(*sentinel)}: {str(error).partition(': ')[2]}")
                continue
            if isinstance(answer, list) and len(answer) == 2:
                host, port = answer
                return _text(host), _number(port)
            failures.append(f"{host_port(*sentinel)} knows no {service}")
        raise Unavailable(
            f"the bus at {self.name}: no sentinel names the primary ({'; '.join(failures)}): check the addresses, and"
            f" that they monitor {service}"
        )


class RedisConnection:
    """A connection to it."""

    def __init__(self, link: Link, address: RedisAddress, run: str) -> None:
        self._link = link
        self._name = address.text
        self._prefix = address.prefix
        self._log = f"{self._prefix}log".encode()
        self._keyframes = f"{self._prefix}keyframes".encode()
        self._run = run
        self._exists = False
        """Whether the log was there: it must not begin anew behind the back of those who follow it."""
        self._eviction: str | None = None
        """The fault of a server that may delete the log since it was connected to."""

    def __repr__(self) -> str:
        return f"<RedisConnection to {self._name}>"

    @property
    def run(self) -> str:
        """Names the life of the server, and of its data."""
        return self._run

    async def begin(self) -> None:
        """Check the keys. Raises `Unavailable`."""
        for key, wanted in ((self._log, b"stream"), (self._keyframes, b"hash")):
            kind = await self._link.command(b"TYPE", key)
            if kind not in {wanted, b"none"}:
                raise Unavailable(
                    f"the bus at {self._name}: the key {key.decode()} is a {_text(kind)}, not a {wanted.decode()}:"
                    " another program uses it; delete it, or give a name of your own: ?name="
                )
            if key == self._log:
                self._exists = kind == wanted
        await self.last()

    async def last(self) -> Position:
        """Return the last position, `(0, 0)` if there is none."""
        try:
            answer = await self._link.try_command(b"XINFO STREAM", self._log, seconds=BUS_PART_SECONDS)
        except ResponseError as error:
            if str(error).lower() == "no such key":
                return Position(0)
            raise self._link.fail(error) from None
        info = answer if isinstance(answer, dict) else {}
        if (last := info.get(b"last-entry")) is not None:
            self._entry(last)
        return self._position(info.get(b"last-generated-id"))

    async def append(self, position: Position, data: bytes) -> None:
        """Append an entry or a beat. Raises `Refused`."""
        check_size(data)
        existing = (b"NOMKSTREAM",) if self._exists else ()
        limit = (b"MAXLEN", b"~", MAX_BUS_ENTRIES)
        try:
            answer = await self._link.try_command(
                b"XADD", self._log, *existing, *limit, _id(position), _FIELD, data, seconds=_seconds(data)
            )
        except ResponseError as error:
            if not str(error).startswith(_NOT_BEHIND):
                raise self._link.fail(error) from None
            last = await self.last()  # raises if another program wrote there
            raise Refused(f"{self._name}: {position} is not behind {last}") from None
        if answer is None:
            raise Unavailable(f"the bus at {self._name}: {self._log.decode()} was deleted while it was in use")
        self._exists = True

    async def read(self, after: Position, seconds: float) -> Sequence[Entry]:
        """Return the next entries after a position; wait so long if there are none."""
        wait = (b"BLOCK", max(1, int(seconds * 1000))) if seconds > 0 else ()
        answer = await self._link.command(
            *(b"XREAD", b"COUNT", MOST_READ, *wait, b"STREAMS", self._log, _id(after)),
            seconds=max(seconds, 0.0) + BUS_ANSWER_SECONDS,
        )
        found = answer.get(self._log) if isinstance(answer, dict) else None
        return [self._entry(each) for each in found] if isinstance(found, list) else []

    async def entry(self, position: Position) -> bytes | None:
        """Return the data at a position, None if there is none (any more)."""
        found = await self._link.command(b"XRANGE", self._log, _id(position), _id(position), seconds=BUS_PART_SECONDS)
        return self._entry(found[0]).data if isinstance(found, list) and found else None

    async def put_part(self, cut: int, number: int, data: bytes) -> None:
        """Write a part, counted from 0, of the keyframe that was begun after this cut."""
        check_size(data)
        # Listed first: so whatever happens, a later source finds it, and deletes it.
        await self._link.command(b"HSETNX", self._keyframes, cut, 0)
        if number == 0:
            listed = await self._listed()
            await self._delete(each for each, parts in listed.items() if each < cut and parts == 0)
        await self._link.command(b"HSET", self._part_key(cut), number, data, seconds=_seconds(data))

    async def finish_keyframe(self, keyframe: Keyframe) -> None:
        """Make this keyframe the latest, and trim the log to the one before. Raises `Refused`."""
        await self._note_eviction()
        there = await self._link.command(b"HKEYS", self._part_key(keyframe.cut))
        written = set(there) if isinstance(there, list) else set()
        if keyframe.parts < 1 or not written.issuperset(b"%d" % number for number in range(keyframe.parts)):
            raise Refused(f"{self._name}: the keyframe after cut {keyframe.cut} is without some of its parts")
        listed = await self._listed()
        others = sorted(cut for cut, parts in listed.items() if parts and cut != keyframe.cut)
        if others and others[-1] > keyframe.cut:
            raise Refused(f"{self._name}: there is a later keyframe, after cut {others[-1]}")
        await self._link.command(b"HSET", self._keyframes, keyframe.cut, keyframe.parts)
        if others:
            await self._delete(cut for cut in listed if cut < others[-1])
            await self._link.command(b"XTRIM", self._log, b"MINID", _id(Position(others[-1])))

    async def _note_eviction(self) -> None:
        """Log it, once, if the server may delete the log by now: prices go on as long as it does not."""
        fault = await eviction(self._link)
        if fault is not None and self._eviction is None:
            _log.warning(
                "the bus may lose its log: it goes on, but would refuse a new connection", bus=self._name, cause=fault
            )
        self._eviction = fault

    async def keyframe(self) -> Keyframe | None:
        """Return the latest keyframe."""
        finished = [Keyframe(cut, parts) for cut, parts in (await self._listed()).items() if parts]
        return max(finished, default=None)

    async def part(self, cut: int, number: int) -> bytes | None:
        """Return a part of a keyframe, None if there is none (any more)."""
        found = await self._link.command(b"HGET", self._part_key(cut), number, seconds=BUS_PART_SECONDS)
        return found if isinstance(found, bytes) else None

    async def _listed(self) -> dict[int, int]:
        """The keyframes by their cuts, with the number of their parts; 0 if they are not finished."""
        answer = await self._link.command(b"HGETALL", self._keyframes)
        pairs = answer.items() if isinstance(answer, dict) else ()
        try:
            return {int(cut): _number(parts) for cut, parts in pairs}
        except ValueError:
            raise self._foreign(f"an entry of {self._keyframes.decode()}") from None

    async def _delete(self, cuts: Iterable[int]) -> None:
        for cut in cuts:
            await self._link.command(b"UNLINK", self._part_key(cut))
            await self._link.command(b"HDEL", self._keyframes, cut)

    def _part_key(self, cut: int) -> bytes:
        return f"{self._prefix}keyframe:{cut}".encode()

    def _entry(self, answer: Reply) -> Entry:
        match answer:
            case [bytes() as where, [field, bytes() as data]] if field == _FIELD:
                return Entry(self._position(where), data)
            case [bytes() as where, *_]:
                raise self._foreign(f"entry {where.decode()} of {self._log.decode()}")
        raise self._foreign(self._log.decode())

    def _position(self, where: Reply) -> Position:
        cut, _, beat = _text(where).partition("-")
        return Position(_number(cut.encode()), _number(beat.encode()))

    def _foreign(self, what: str) -> Unavailable:
        return Unavailable(
            f"the bus at {self._name}: {what} was not written by Ticker: another program writes there; stop it and"
            f" delete {self._prefix}*, which the source writes anew, or give a name of your own: ?name="
        )


def _id(position: Position) -> bytes:
    return b"%d-%d" % position


def _seconds(data: bytes) -> float:
    """The time for a server to take data, over 16 Mbit/s at least."""
    return BUS_ANSWER_SECONDS + len(data) / 2_000_000


def _text(answer: Reply) -> str:
    return answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer)


def _number(answer: Reply) -> int:
    return int(answer) if isinstance(answer, bytes | int) else 0
