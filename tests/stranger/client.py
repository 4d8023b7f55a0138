"""An independent client, written from PROTOCOL.md and its golden frames alone, without this project's code.

It uses `websockets` and `msgpack`. Section numbers are those of PROTOCOL.md.
"""

import fnmatch
import itertools
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Self, TypeAlias

import msgpack
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

MSGPACK, JSON = "ticker.v1.msgpack", "ticker.v1.json"
PATIENCE = 10  # seconds before a waiting test fails; nothing else depends on a clock
LIMIT = 2**53 - 1
PRICES = {1: "bid", 3: "ask", 5: "last", 7: "open", 8: "high", 9: "low", 10: "prev_close"}
SIZES = {2: "bid_size", 4: "ask_size", 6: "last_size", 11: "volume"}
TEXTS = {14: "status", 15: "reason"}
PLAIN = re.compile(r"-?(0|[1-9][0-9]{0,39})(\.[0-9]{1,40})?")
Held: TypeAlias = int | str | list[str]
"""A value that is present; a list of one text is a decimal of the feed's own."""
NAMES = PRICES | SIZES | TEXTS | {12: "trade_count", 13: "time"}

Message = list[Any]
Fields = dict[int | str, Held | None]


class Refused(Exception):
    """A message that breaks the protocol. Nothing of it was applied."""


class RequestFailed(Exception):
    """An ERROR came instead of a REPLY."""

    def __init__(self, message: Message) -> None:
        super().__init__(*message)
        _, self.id, self.code, _, self.fatal, *_ = message


def check(condition: object, what: object) -> None:
    if not condition:
        raise Refused(what)


def integer(value: object, low: int = -LIMIT, high: int = LIMIT) -> bool:
    return type(value) is int and low <= value <= high


def decode(payload: bytes | str) -> Message:
    try:
        decoded = json.loads(payload) if isinstance(payload, str) else msgpack.unpackb(payload, strict_map_key=False)
    except (ValueError, TypeError, RecursionError) as problem:
        raise Refused(problem) from problem
    if not isinstance(decoded, list) or not decoded or not integer(decoded[0]):
        raise Refused(decoded)
    return decoded


@dataclass
class Definition:
    symbol: str
    price_scale: int
    size_scale: int

    def scale(self, key: int | str) -> int:
        return self.price_scale if key in PRICES else self.size_scale if key in SIZES else 0


@dataclass
class Copy:
    """A client's copy. `names` maps each requested name to the id of its unanswered request, or to None."""

    epoch: str = ""
    cursor: int = 0
    names: dict[str, int | None] = field(default_factory=dict)
    definitions: dict[int, Definition] = field(default_factory=dict)
    records: dict[int, dict[int | str, Held]] = field(default_factory=dict)
    resuming: int | None = None

    def wants(self, number: int) -> bool:
        return any(fnmatch.fnmatchcase(self.definitions[number].symbol, name) for name in self.names)

    def ask(self, number: int, names: list[str]) -> None:
        for name in names:
            self.names.setdefault(name, number)

    def forget(self, names: list[str]) -> None:
        self.names = {name: waits for name, waits in self.names.items() if name not in names}
        self.records = {number: record for number, record in self.records.items() if self.wants(number)}

    def apply(self, message: Message) -> None:
        match message:
            case [1, 1, str(), str(), cut, time, silence, dict(), *_]:
                check(integer(cut, 0) and integer(time) and integer(silence, 0), message)
            case [2, number, dict(result), *_]:
                check(integer(number, 0), message)
                self._answered(number, {name: code for name, code, *_ in result.get("outcomes", [])})
            case [3, number, code, str(), bool(), *_]:
                check((number is None or integer(number, 0)) and integer(code), message)
                self._answered(number, {})
            case [4, list(definitions), *_]:
                self._define(definitions)
            case [5, since, cut, time, list(changes), list(records), *_]:
                self._merge(since, cut, time, changes, records)
            case [6, since, cut, time, list(changes), *_]:
                self._merge(since, cut, time, changes, [])
            case [7, cut, time, *_]:
                check(integer(cut, 0) and integer(time), message)
                self.cursor = max(self.cursor, cut) if self.resuming is None else self.cursor
            case [8, str(), wait, bool(), *_]:
                check(integer(wait, 0), message)
            case [kind, *_]:
                check(kind not in range(1, 9), message)

    def _answered(self, number: int | None, outcomes: dict[str, int]) -> None:
        for name in [name for name, waits in self.names.items() if waits is not None and waits == number]:
            if outcomes.get(name) in {0, 6}:
                self.names[name] = None
            else:
                del self.names[name]
        self.resuming = None if self.resuming == number else self.resuming

    def _define(self, definitions: list[Any]) -> None:
        known, records = dict(self.definitions), dict(self.records)
        for definition in definitions:
            match definition:
                case [number, str(symbol), prices, sizes, dict(), *_]:
                    check(integer(number, 0) and integer(prices, 0, 15) and integer(sizes, 0, 15), definition)
                    new = Definition(symbol, prices, sizes)
                    old = known.get(number, new)
                    check(symbol == old.symbol and prices >= old.price_scale and sizes >= old.size_scale, definition)
                    known[number] = new
                    records |= {number: rescaled(records[number], old, new)} if number in records else {}
                case _:
                    raise Refused(definition)
        self.definitions, self.records = known, records

    def _merge(self, since: int, cut: int, time: int, changes: list[Any], records: list[Any]) -> None:
        check(integer(since, 0) and integer(cut, 0) and integer(time), "cuts and time are integers")
        check(since <= self.cursor <= cut, f"from {since} to {cut}, but the cursor is {self.cursor}")
        merged: dict[int, Fields] = {}
        for number, fields in self._pairs(changes):
            if number in self.records:
                merged[number] = merged.get(number, dict(self.records[number])) | fields
        merged |= {number: fields for number, fields in self._pairs(records) if self.wants(number)}
        for number, values in merged.items():
            self.records[number] = {key: value for key, value in values.items() if value is not None}
        self.cursor = cut

    def _pairs(self, flat: list[Any]) -> list[tuple[int, Fields]]:
        check(len(flat) % 2 == 0, "ids and fields alternate")
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
        for number, fields in pairs:
            check(integer(number) and number in self.definitions and isinstance(fields, dict), (number, fields))
        return [(number, known_fields(fields)) for number, fields in pairs]

    def view(self) -> dict[str, dict[str, int | str]]:
        """By symbol and name of field, with prices and sizes as decimal texts: the form of the golden frames."""

        def show(definition: Definition, key: int | str, value: Held) -> int | str:
            if isinstance(value, int) and key in PRICES | SIZES:
                return f"{Decimal(value).scaleb(-definition.scale(key)):f}"
            return value[0] if isinstance(value, list) else value

        return {
            (definition := self.definitions[number]).symbol: {
                NAMES[key] if isinstance(key, int) else key: show(definition, key, value)
                for key, value in record.items()
            }
            for number, record in self.records.items()
        }


def rescaled(record: dict[int | str, Held], old: Definition, new: Definition) -> dict[int | str, Held]:
    return {
        key: value * 10 ** (new.scale(key) - old.scale(key)) if isinstance(value, int) else value
        for key, value in record.items()
    }


def known_fields(fields: dict[Any, Any]) -> Fields:
    found: Fields = {}
    for name, value in fields.items():
        key = int(name) if isinstance(name, str) and name.isdecimal() else name  # JSON has only texts as keys
        if key in NAMES or isinstance(key, str):
            text = isinstance(value, str) and (key in TEXTS or isinstance(key, str))
            plain = isinstance(value, str) and key in PRICES | SIZES and PLAIN.fullmatch(value) is not None
            decimal = isinstance(value, list) and isinstance(key, str) and len(value) == 1
            decimal = decimal and isinstance(value[0], str) and PLAIN.fullmatch(value[0]) is not None
            check(value is None or text or plain or decimal or (integer(value) and key not in TEXTS), (name, value))
            found[key] = value
    return found


@dataclass
class Service:
    url: str
    trust: ssl.SSLContext
    process: subprocess.Popen[str]


class Client:
    """One connection. It resumes the copy of an earlier one, or starts anew where it must."""

    def __init__(self, service: Service, *, copy: Copy | None = None, encoding: str = MSGPACK) -> None:
        self.copy = copy or Copy()
        self.json = encoding == JSON
        self.received: list[Message] = []
        self.numbers = itertools.count(1)
        with ExitStack() as stack:
            self.socket = stack.enter_context(
                connect(service.url, ssl=service.trust, subprotocols=[Subprotocol(encoding)], proxy=None, max_size=None)
            )
            self.welcome = self.receive()
            self._begin()
            self.stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def _begin(self) -> None:
        _, _, epoch, _, cut, *_ = self.welcome
        ours = [name for name, waits in self.copy.names.items() if waits is None]
        others = [name for name, waits in self.copy.names.items() if waits is not None]
        if ours and self.copy.epoch == epoch and self.copy.cursor <= cut:
            self.copy.forget(others)
            self.request("resume", epoch=epoch, cursor=self.copy.cursor, symbols=ours)
        else:
            self.copy = Copy(epoch, cut)
            others = ours + others
        if others:
            self.request("subscribe", symbols=others)

    def receive(self) -> Message:
        message = decode(self.socket.recv(timeout=PATIENCE))
        self.copy.apply(message)
        self.received.append(message)
        return message

    def send(self, op: str, **keys: object) -> int:
        number, names = next(self.numbers), keys.get("symbols")
        if op == "subscribe" and isinstance(names, list):
            self.copy.ask(number, names)
        elif op == "unsubscribe" and isinstance(names, list):
            self.copy.forget(names)
        elif op == "resume":
            self.copy.resuming = number
        self.send_as_it_is({"op": op, "id": number, **keys})
        return number

    def send_as_it_is(self, message: object) -> None:
        self.socket.send(json.dumps(message) if self.json else msgpack.packb(message))

    def answer(self, number: int | None) -> dict[str, Any]:
        while True:
            match self.receive():
                case [2, answered, dict(result), *_] if answered == number:
                    return result
                case [3, answered, *_] as message if answered in {number, None}:
                    raise RequestFailed(message)

    def request(self, op: str, **keys: object) -> dict[str, Any]:
        return self.answer(self.send(op, **keys))

    def read(self, messages: int) -> None:
        for _ in range(messages):
            self.receive()

    def read_to_the_end(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                self.receive()

    def lose_the_connection(self) -> None:
        self.socket.socket.shutdown(socket.SHUT_RDWR)


@contextmanager
def running(home: Path, feed: str) -> Iterator[Service]:
    """Run the service as a process, until SIGTERM, on which it exits with 0."""
    command = [sys.executable, "-m", "ticker", "serve", "--listen", "127.0.0.1:0", "--feed", feed]
    environment = os.environ | {"TICKER_HOME": str(home)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert re.fullmatch(r"ready wss://\S+:\d+/v1/stream\n", ready)
            yield Service(ready.split()[1], ssl.create_default_context(cafile=home / "ca.pem"), process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
    assert process.returncode == 0
