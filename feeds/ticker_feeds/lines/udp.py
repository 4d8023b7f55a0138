"""Prices from datagrams: one JSON or msgpack object, or an array of them, in each (`ticker_feeds.lines.objects`).

Senders are not authenticated: let only trusted hosts reach the address.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import struct
from collections import Counter, OrderedDict
from contextlib import suppress

import trio

from ticker.errors import ConfigError
from ticker.market import FeedItem, Publication
from ticker_feeds.lines.jsonl import checked_silence
from ticker_feeds.lines.objects import ObjectReader, decode_json, decode_msgpack
from ticker_feeds.parsing import BadInput

_MAX_DATAGRAM = 65_535
_AT_ONCE = 200
"""The most datagrams that are taken before other tasks run; they are published together."""

_MAX_BATCH = 1_000
_SENDERS = 1_000
"""The numbers of so many senders are remembered."""

_LATE = 1_000
"""A number that is lower by up to so many is of a datagram that was overtaken; beyond, its sender has begun anew."""

_RECEIVE_BUFFER = 2**22
_REMEDY = "give ADDRESS:PORT, an IPv6 address in brackets"

_log = logging.getLogger(__name__)


class Udp:
    """A feed of datagrams.

    `listen` is the address and port that they are sent to. With `group`, it is those of this IPv4 multicast group that
    are taken, on the interface that has the address of `listen`. With `silence`, a source that sends nothing for so
    many seconds, not even `[]`, counts as broken.

    An object, or the first one of an array, may have a `seq` that its sender counts up by one with each datagram:
    `gaps` counts the holes, `missed` the datagrams missing in them; a datagram that comes a second time (`duplicates`)
    or late (`late`) is dropped, for newer values are there already.

    `counters` has these, and unusable datagrams by cause. Raises `ConfigError` for impossible options.
    """

    def __init__(self, *, listen: str, group: str | None = None, silence: float | None = None) -> None:
        self.counters: Counter[str] = Counter()
        self.silence_seconds = checked_silence(silence)
        self.address = ""
        """Where it listens, once it does."""
        host, _, port = listen.rpartition(":")
        try:
            self._host = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
            self._port = int(port)
            self._group = None if group is None else ipaddress.ip_address(group)
        except ValueError as error:
            raise ConfigError(f"listen {listen!r}, group {group!r}: {error}; {_REMEDY}") from None
        if not 0 <= self._port < 65_536:
            raise ConfigError(f"listen {listen!r}: {_REMEDY}")
        if self._group is not None and not (
            self._group.version == self._host.version == 4 and self._group.is_multicast
        ):
            raise ConfigError(f"group {group!r}: give an IPv4 multicast group, 224.0.0.0 to 239.255.255.255")
        self._name = f"udp {listen}" if group is None else f"udp {group} at {listen}"

    def __repr__(self) -> str:
        return f"<Udp, {self._name}: {dict(self.counters)}>"

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Receive without end."""
        reader = ObjectReader(self._name, self.counters, _log)
        sequences = _SequenceTracker(self.counters)
        with self._socket() as receiver:
            host, port, *_ = receiver.getsockname()
            self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            _log.info("%s: listening at %s", self._name, self.address)
            while True:
                await trio.lowlevel.wait_readable(receiver)
                batch: list[Publication] = []
                alive = False
                for data, sender in _waiting(receiver):
                    publications = _taken(data, sender, reader, sequences)
                    alive = alive or publications is not None
                    if batch and len(batch) + len(publications or ()) > _MAX_BATCH:
                        await updates.send(batch)
                        batch = []
                    batch += publications or ()
                if alive:
                    await updates.send(batch)

    def _socket(self) -> socket.socket:
        made = socket.socket(socket.AF_INET6 if self._host.version == 6 else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            made.settimeout(0)
            # A burst waits in the kernel while others are served; it may grant less.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            if self._group is None:
                made.bind((str(self._host), self._port))
            else:
                # Others on this machine may listen to the group as well. Bound to it, we get nothing else.
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                made.bind((str(self._group), self._port))
                membership = struct.pack("4s4s", self._group.packed, self._host.packed)
                made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        except BaseException:
            made.close()
            raise
        return made


class _SequenceTracker:
    """The numbers that senders give their datagrams."""

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self._last: OrderedDict[object, int] = OrderedDict()

    def is_new(self, sender: object, number: int) -> bool:
        """Whether this is the sender's newest datagram; those missing before it are counted."""
        last = self._last.get(sender)
        if last is not None and number <= last and number > 1 and last - number <= _LATE:
            self._counters["duplicates" if number == last else "late"] += 1
            return False
        if last is not None and number > last + 1:
            self._counters["gaps"] += 1
            self._counters["missed"] += number - last - 1
        self._last[sender] = number
        self._last.move_to_end(sender)
        if len(self._last) > _SENDERS:
            self._last.popitem(last=False)
        return True


def _waiting(receiver: socket.socket) -> list[tuple[bytes, object]]:
    """The datagrams that have come."""
    received: list[tuple[bytes, object]] = []
    with suppress(BlockingIOError):
        while len(received) < _AT_ONCE:
            received.append(receiver.recvfrom(_MAX_DATAGRAM))
    return received


def _taken(data: bytes, sender: object, reader: ObjectReader, sequences: _SequenceTracker) -> list[Publication] | None:
    """Return the publications of a datagram; None for one that is unusable or not new."""
    where = f"from {sender}"
    try:
        item = decode_json(data) if data.lstrip()[:1] in {b"{", b"["} else decode_msgpack(data)
        number = _number(item)
    except BadInput as error:
        reader.reject(error, where)
        return None
    if number is not None and not sequences.is_new(sender, number):
        return None
    return reader.take(item, where)


def _number(item: object) -> int | None:
    """Take the sender's number out of a datagram, if it has one. Raises `BadInput`."""
    first = item[0] if isinstance(item, list) and item else item
    if not isinstance(first, dict) or "seq" not in first:
        return None
    number = first.pop("seq")
    if type(number) is not int or number < 0:
        raise BadInput("bad seq", repr(number)[:80])
    return number
