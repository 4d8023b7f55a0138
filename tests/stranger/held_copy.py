"""A client's copy of the market, written from PROTOCOL.md alone. Section numbers are those of PROTOCOL.md."""

import json
import zlib
from dataclasses import dataclass, field
from typing import Any

from tests.stranger.values import (
    COLUMNS,
    NAMES,
    Definition,
    Fields,
    Held,
    Message,
    Record,
    Refused,
    check,
    in_order,
    integer,
    kind_of,
    merged,
    read_fields,
    rescaled,
)


@dataclass
class Copy:
    """The copy, and the names that it consists of."""

    epoch: str = ""
    cursor: int = 0
    definitions: dict[int, Definition] = field(default_factory=dict)
    records: dict[int, Record] = field(default_factory=dict)
    nameless: dict[str, tuple[Definition, Record]] = field(default_factory=dict)
    """Tables by name that have no id on this connection so far."""
    wanted: list[str] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)
    """The wanted names that a reply has confirmed."""
    forgotten: list[str] = field(default_factory=list)
    """Names given up or never confirmed on earlier connections, until a resume has a reply."""
    asked: dict[int, tuple[str, list[str]]] = field(default_factory=dict)
    """Op and names of each unanswered request."""
    limits: dict[str, int] = field(default_factory=dict)
    server: tuple[str, int] = ("", 0)
    """Epoch and latest cut of the connection's server."""
    refusals: int = 0
    """Messages refused by this client since the last reply (section 8)."""
    delay: int = 0
    """The seconds by which the connection's server is later than the market."""
    silent_since: int | None = None
    """The server hears nothing from its source since then."""
    digests: list[tuple[int, int, int]] = field(default_factory=list)
    """Each answer to `digest`: cut, checksum and records as the server has them."""

    @property
    def resuming(self) -> bool:
        return any(op == "resume" for op, _ in self.asked.values())

    # ---- Requests (section 5)

    def sent(self, request: dict[str, Any]) -> None:
        """Remember a request that goes out."""
        op, names = request["op"], list(request.get("symbols", []))
        self.asked[request["id"]] = (op, names)
        if op == "subscribe":
            self.wanted = list(dict.fromkeys([*self.wanted, *names]))
        elif op == "unsubscribe":
            self.give_up(names)

    def give_up(self, names: list[str]) -> None:
        """These names are not wanted any more."""
        self.wanted = [name for name in self.wanted if name not in names]
        self.confirmed = [name for name in self.confirmed if name not in names]

    def lost(self) -> None:
        """The connection has ended: what had no reply has to be forgotten by a resume."""
        for op, names in self.asked.values():
            if op in {"subscribe", "unsubscribe"}:
                self.forgotten += [name for name in names if name not in self.confirmed + self.forgotten]
        self.asked.clear()

    def begin(self, message: Message) -> list[dict[str, Any]]:
        """Begin a connection with its WELCOME. Returns the requests to send, without ids."""
        _, _, epoch, _, cut, _, _, limits, *more = message
        self.delay = more[0].get("delay", 0) if more else 0
        self.limits, self.server, self.silent_since = limits, (epoch, cut), None
        self.nameless |= {
            self.definitions[each].name: (self.definitions[each], self.records[each])
            for each in self.records
            if each < 0
        }
        self.records = {each: record for each, record in self.records.items() if each >= 0}
        self.definitions = {each: definition for each, definition in self.definitions.items() if each >= 0}
        requests: list[dict[str, Any]] = []
        if self.confirmed and epoch == self.epoch and self.refusals < 2:
            forget = {"forget": self.forgotten} if self.forgotten else {}
            resumed = {"epoch": epoch, "cursor": self.cursor, "symbols": self.confirmed}
            requests.append({"op": "resume", **resumed, **forget})
        else:
            self.start_afresh()
        missing = [name for name in self.wanted if name not in self.confirmed]
        return [*requests, {"op": "subscribe", "symbols": missing}] if missing else requests

    def start_afresh(self) -> None:
        self.epoch, self.cursor = self.server
        self.definitions, self.records, self.nameless = {}, {}, {}
        self.confirmed, self.forgotten, self.refusals = [], [], 0

    # ---- Messages (section 3.1)

    def apply(self, message: Message) -> None:
        match message:
            case [1, 1, str(), str(), cut, time, silence, dict(), *more]:
                check(integer(cut, 0) and integer(time) and integer(silence, 0), message)
                check(not more or isinstance(more[0], dict), message)
            case [2, answered, dict(result), *_]:
                check(integer(answered, 0), message)
                self._answered(answered, result)
            case [3, answered, code, str(), bool(), *_]:
                check((answered is None or integer(answered, 0)) and integer(code), message)
                self._failed(answered)
            case [4, list(definitions), *_]:
                self._define(definitions)
            case [5, since, cut, time, list(changes), list(records), *_]:
                self._merge(since, cut, time, changes, records)
            case [6, since, cut, time, list(changes), *_]:
                self._merge(since, cut, time, changes, [])
            case [7, cut, time, *_]:
                check(integer(cut, 0) and integer(time), message)
                self.server = (self.server[0], cut)
                self.cursor = self.cursor if self.resuming else max(self.cursor, cut)
            case [8, str(), wait, bool(), *_]:
                check(integer(wait, 0), message)
            case [9, time, *_]:
                check(integer(time), message)
            case [10, since, cut, list(ids), *_]:
                check(all(map(integer, ids)), message)
                self._move(since, cut)
                self.records = {each: record for each, record in self.records.items() if each not in ids}
            case [11, since, *_]:
                check(since is None or integer(since, 0), message)
                self.silent_since = since
            case [kind, *_]:
                check(kind not in range(1, 12), message)

    def _answered(self, number: int, result: dict[str, Any]) -> None:
        outcomes = self._outcomes(result.get("outcomes", []))
        self.refusals = 0
        op, names = self.asked.pop(number, ("", []))
        if op in {"subscribe", "resume"}:
            bad = [name for name in names if outcomes.get(name) not in {0, 6}]
            left = {name for op, names in self.asked.values() if op == "unsubscribe" for name in names}
            good = [name for name in names if name in self.wanted and name not in left]
            self.confirmed = [name for name in dict.fromkeys([*self.confirmed, *good]) if name not in bad]
            self.forgotten = [] if op == "resume" else self.forgotten
            self.nameless = {} if op == "resume" else self.nameless
        elif op == "auth":
            self.epoch, self.limits = result["epoch"], result["limits"]
        elif op == "digest":
            self.digests.append((result["cut"], result["digest"], result["records"]))

    def _outcomes(self, outcomes: object) -> dict[str, int]:
        check(isinstance(outcomes, list), outcomes)
        assert isinstance(outcomes, list)
        for each in outcomes:
            match each:
                case [str(), int(), str(), *_]:
                    pass
                case _:
                    raise Refused(each)
        return {name: code for name, code, *_ in outcomes}

    def _failed(self, number: int | None) -> None:
        op, names = self.asked.pop(number, ("", [])) if number is not None else ("", [])
        if op == "resume":
            self.start_afresh()
        elif op == "subscribe":
            self.give_up(names)

    def _define(self, definitions: list[Any]) -> None:
        known, records, nameless = dict(self.definitions), dict(self.records), dict(self.nameless)
        for definition in definitions:
            match definition:
                case [number, str(name), prices, sizes, dict(), *_]:
                    check(integer(number) and integer(prices, 0, 15) and integer(sizes, 0, 15), definition)
                    new = Definition(name, prices, sizes)
                    check((number < 0) == new.is_table, definition)
                    if name in nameless:
                        known[number], records[number] = nameless.pop(name)
                    old = known.get(number, new)
                    check(name == old.name and prices >= old.price_scale and sizes >= old.size_scale, definition)
                    check(all(each == number or known[each].name != name for each in known), definition)
                    known[number] = new
                    records |= {number: rescaled(records[number], old, new)} if number in records else {}
                case _:
                    raise Refused(definition)
        self.definitions, self.records, self.nameless = known, records, nameless

    def _move(self, since: int, cut: int) -> None:
        check(integer(since, 0) and integer(cut, 0), "cuts are integers")
        check(since <= self.cursor <= cut, f"from {since} to {cut}, but the cursor is {self.cursor}")
        self.cursor = cut
        self.nameless = {}

    def _merge(self, since: int, cut: int, time: int, changes: list[Any], records: list[Any]) -> None:
        check(integer(time), "time is an integer")
        new = dict(self.records)
        for number, fields in self._pairs(changes):
            if number in new:
                new[number] = merged(self.definitions[number], new[number], fields)
        for number, fields in self._pairs(records):
            new[number] = merged(self.definitions[number], {}, fields)
        self._move(since, cut)
        self.records = new

    def _pairs(self, flat: list[Any]) -> list[tuple[int, Fields]]:
        check(len(flat) % 2 == 0, "ids and fields alternate")
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
        for number, fields in pairs:
            check(integer(number) and number in self.definitions and isinstance(fields, dict), (number, fields))
        check(len({number for number, _ in pairs}) == len(pairs), "an id twice")
        return [(number, read_fields(self.definitions[number], fields)) for number, fields in pairs]

    # ---- What the copy holds

    def view(self) -> dict[str, dict[str, Any]]:
        """By name and name of field, with prices and sizes as decimal texts: the form of the golden frames."""

        def show(definition: Definition, key: int | str, value: Held) -> object:
            if isinstance(value, dict):
                return [
                    [definition.decimal(cell, column) for cell, column in zip(row, COLUMNS[int(key)], strict=True)]
                    for row in in_order(definition, key, value)
                ]
            if isinstance(value, list):
                return value[0]
            return definition.decimal(value, kind_of(key))

        held = [(self.definitions[number], record) for number, record in self.records.items()]
        return {
            definition.name: {
                NAMES[key] if isinstance(key, int) else key: show(definition, key, value)
                for key, value in record.items()
                if value != {}
            }
            for definition, record in [*held, *self.nameless.values()]
        }

    def checksum(self) -> int:
        """Section 5, digest."""
        return sum(zlib.crc32(self._text(number).encode()) for number in self.records) % 2**32

    def _text(self, number: int) -> str:
        definition = self.definitions[number]
        fields: list[object] = []
        for key, value in sorted(self.records[number].items(), key=lambda item: (isinstance(item[0], str), item[0])):
            if value != {}:
                rows = in_order(definition, key, value) if isinstance(value, dict) else []
                fields += [key, [cell for row in rows for cell in row] if isinstance(value, dict) else value]
        parts = [number, definition.price_scale, definition.size_scale, fields]
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
