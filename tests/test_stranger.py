"""A client by someone who knows only PROTOCOL.md: websockets and msgpack, and nothing of this project's own code."""

import fnmatch
import itertools
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import msgpack
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.sync.client import connect
from websockets.typing import Subprotocol

MSGPACK, JSON = "ticker.v1.msgpack", "ticker.v1.json"
LIMIT = 2**53 - 1  # section 3: the magnitude of an integer
PATIENCE = 10  # seconds until a test that waits for a message gives up: no test passes or fails by its clock otherwise

PRICES = {1: "bid", 3: "ask", 5: "last", 7: "open", 8: "high", 9: "low", 10: "prev_close"}
SIZES = {2: "bid_size", 4: "ask_size", 6: "last_size", 11: "volume"}
INTEGERS = {12: "trade_count", 13: "time"}
TEXTS = {14: "status", 15: "reason"}
FIELDS = PRICES | SIZES | INTEGERS | TEXTS

Message = list[Any]
Record = dict[int | str, int | str]


# ---- The client (sections 3 to 6) ------------------------------------------------------------------------------------


class Refused(Exception):
    """A message that is not as the protocol has it: nothing of it was applied."""


class RequestFailed(Exception):
    """ERROR came instead of REPLY."""

    def __init__(self, message: Message) -> None:
        super().__init__(*message)
        self.code, self.fatal = message[2], message[4]


def check(condition: object, what: str) -> None:
    if not condition:
        raise Refused(what)


def is_integer(value: object, low: int = -LIMIT, high: int = LIMIT) -> bool:
    return type(value) is int and low <= value <= high


def decode(payload: bytes | str) -> object:
    try:
        return json.loads(payload) if isinstance(payload, str) else msgpack.unpackb(payload, strict_map_key=False)
    except (ValueError, TypeError, RecursionError) as problem:
        raise Refused(str(problem)) from problem


@dataclass
class Definition:
    symbol: str
    price_scale: int
    size_scale: int
    metadata: dict[str, str]

    def scale(self, key: int | str) -> int | None:
        return self.price_scale if key in PRICES else self.size_scale if key in SIZES else None


def check_fields(fields: object) -> dict[int | str, int | str | None]:
    """The fields that the protocol knows, and those with a name, each of the right type."""
    check(isinstance(fields, dict), "fields are a map")
    assert isinstance(fields, dict)
    found: dict[int | str, int | str | None] = {}
    for name, value in fields.items():
        key = int(name) if isinstance(name, str) and name.isdecimal() else name  # in JSON every key is a text
        if isinstance(key, int) and key not in FIELDS:
            continue
        right = isinstance(value, str) if key in TEXTS else is_integer(value)
        check(value is None or right or (isinstance(key, str) and isinstance(value, str)), f"{value!r} in {key}")
        found[key] = value
    return found


@dataclass
class Copy:
    """What the client holds, and what each message does to it. `names` has the request that each one waits for."""

    epoch: str = ""
    cursor: int = 0
    names: dict[str, int | None] = field(default_factory=dict)
    definitions: dict[int, Definition] = field(default_factory=dict)
    records: dict[int, Record] = field(default_factory=dict)
    resuming: int | None = None

    def wants(self, number: int) -> bool:
        return any(fnmatch.fnmatchcase(self.definitions[number].symbol, name) for name in self.names)

    def forget(self) -> None:
        """Forget the instruments that no name matches any more."""
        self.records = {number: record for number, record in self.records.items() if self.wants(number)}

    def apply(self, message: object) -> None:
        check(isinstance(message, list) and message, "a message is an array with a kind")
        assert isinstance(message, list)
        check(is_integer(message[0]), "a kind is an integer")
        match message:
            case [1, 1, str(), str(), cut, time, heartbeat, dict(), *_]:
                check(is_integer(cut, 0) and is_integer(time) and is_integer(heartbeat, 0), "WELCOME")
            case [2, number, dict(result), *_]:
                check(is_integer(number, 0), "REPLY")
                self._answered(number, result.get("outcomes", []))
            case [3, number, code, str(), bool(), *_]:
                check((number is None or is_integer(number, 0)) and is_integer(code), "ERROR")
                self._answered(number, [])
            case [4, list() as definitions, *_]:
                self._define(definitions)
            case [5, since, cut, time, list() as changes, list() as records, *_]:
                self._merge(since, cut, time, changes, records)
            case [6, since, cut, time, list() as changes, *_]:
                self._merge(since, cut, time, changes, [])
            case [7, cut, time, *_]:
                check(is_integer(cut, 0) and is_integer(time), "HEARTBEAT")
                self.cursor = self.cursor if self.resuming is not None else max(self.cursor, cut)
            case [8, str(), retry, bool(), *_]:
                check(is_integer(retry, 0), "GOODBYE")
            case [kind, *_]:
                check(kind not in range(1, 9), f"kind {kind} with other elements")

    def _answered(self, number: int | None, outcomes: list[Any]) -> None:
        joined = {name for name, code, *_ in outcomes if code in {0, 6}}
        waiting = {name for name, waits in self.names.items() if waits is not None and waits == number}
        self.names |= dict.fromkeys(waiting & joined)
        self.names = {name: waits for name, waits in self.names.items() if name not in waiting - joined}
        self.resuming = None if self.resuming == number else self.resuming

    def _define(self, definitions: list[object]) -> None:
        known, records = dict(self.definitions), dict(self.records)
        for definition in definitions:
            match definition:
                case [number, str(symbol), prices, sizes, dict(metadata), *_]:
                    check(is_integer(number, 0) and is_integer(prices, 0, 15) and is_integer(sizes, 0, 15), "scale")
                    new = Definition(symbol, prices, sizes, metadata)
                    old = known.get(number, new)
                    check(old.symbol == symbol, "an id keeps its symbol")
                    check(old.price_scale <= prices and old.size_scale <= sizes, "a scale never falls")
                    known[number] = new
                    if number in records:
                        records[number] = {
                            key: value if isinstance(value, str) else value * 10 ** ((new.scale(key) or 0) - (old.scale(key) or 0))
                            for key, value in records[number].items()
                        }
                case _:
                    raise Refused("a definition")
        self.definitions, self.records = known, records

    def _pairs(self, flat: list[Any]) -> Iterator[tuple[int, dict[int | str, int | str | None]]]:
        check(len(flat) % 2 == 0, "ids and fields alternate")
        for number, fields in zip(flat[::2], flat[1::2], strict=True):
            check(is_integer(number) and number in self.definitions, "an instrument that was not defined")
            yield number, check_fields(fields)

    def _merge(self, since: int, cut: int, time: int, changes: list[Any], records: list[Any]) -> None:
        check(is_integer(since, 0) and is_integer(cut, 0) and is_integer(time), "cuts and time")
        check(since <= self.cursor, "a gap")
        check(cut >= self.cursor, "behind the cursor")
        merged: dict[int, dict[int | str, int | str | None]] = {}
        for number, fields in self._pairs(changes):
            if number in self.records:
                merged[number] = {**merged.get(number, self.records[number]), **fields}
        merged.update((number, fields) for number, fields in self._pairs(records) if self.wants(number))
        for number, values in merged.items():
            self.records[number] = {key: value for key, value in values.items() if value is not None}
        self.cursor = cut

    def view(self) -> dict[str, dict[str, int | str]]:
        """By symbol and field name, with decimal texts."""

        def show(definition: Definition, key: int | str, value: int | str) -> int | str:
            scale = definition.scale(key)
            return value if scale is None else f"{Decimal(value).scaleb(-scale):f}"

        return {
            (d := self.definitions[number]).symbol: {
                FIELDS[key] if isinstance(key, int) else key: show(d, key, value) for key, value in record.items()
            }
            for number, record in self.records.items()
        }


@dataclass
class Service:
    url: str
    trust: ssl.SSLContext
    process: subprocess.Popen[str]


class Client:
    """One connection; given the copy of an earlier one, it goes on with that."""

    def __init__(self, service: Service, *, copy: Copy | None = None, encoding: str = MSGPACK) -> None:
        self.copy = copy or Copy()
        self.json = encoding == JSON
        self.received: list[Message] = []
        self.ids = itertools.count(1)
        with ExitStack() as stack:
            connection = connect(service.url, ssl=service.trust, subprotocols=[Subprotocol(encoding)], proxy=None)
            self.socket = stack.enter_context(connection)
            self.welcome = self.receive()
            self._begin()
            self.stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def _begin(self) -> None:
        _, _, epoch, _, cut, *_ = self.welcome
        old = self.copy
        names = [name for name, waits in old.names.items() if waits is None]
        pending = [name for name, waits in old.names.items() if waits is not None]
        if names and old.epoch == epoch and old.cursor <= cut:
            old.names = dict.fromkeys(names)
            old.forget()  # what came for the names without a reply cannot be resumed
            self.request("resume", epoch=epoch, cursor=old.cursor, symbols=names)
        else:
            self.copy, pending = Copy(epoch, cut), names + pending
        if pending:
            self.request("subscribe", symbols=pending)

    def receive(self) -> Message:
        message = decode(self.socket.recv(timeout=PATIENCE))
        self.copy.apply(message)
        assert isinstance(message, list)
        self.received.append(message)
        return message

    def send(self, op: str, **keys: Any) -> int:
        number = next(self.ids)
        message = {"op": op, "id": number, **keys}
        match op:
            case "resume":
                self.copy.resuming = number
            case "subscribe":
                self.copy.names = dict.fromkeys(keys["symbols"], number) | self.copy.names
            case "unsubscribe":
                self.copy.names = {n: waits for n, waits in self.copy.names.items() if n not in keys["symbols"]}
                self.copy.forget()
        self.socket.send(json.dumps(message) if self.json else msgpack.packb(message))
        return number

    def answer(self, number: int) -> dict[str, Any]:
        while True:
            match self.receive():
                case [2, answered, dict(result), *_] if answered == number:
                    return result
                case [3, answered, *_] as message if answered in {number, None}:
                    raise RequestFailed(message)

    def request(self, op: str, **keys: Any) -> dict[str, Any]:
        return self.answer(self.send(op, **keys))


# ---- The service -----------------------------------------------------------------------------------------------------


@contextmanager
def running(home: Path, feed: str) -> Iterator[Service]:
    command = [sys.executable, "-m", "ticker", "serve", "--listen", "127.0.0.1:0", "--feed", feed]
    with subprocess.Popen(command, env=os.environ | {"TICKER_HOME": str(home)}, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            word, url = process.stdout.readline().split()
            assert word == "ready"
            yield Service(url, ssl.create_default_context(cafile=home / "ca.pem"), process)
        finally:
            process.terminate()
            process.wait(PATIENCE)
    assert process.returncode == 0
