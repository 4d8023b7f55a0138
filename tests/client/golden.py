"""The golden conversations of PROTOCOL.md, section 10, played to the Python client's session or to a wrong one."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

from ticker.client.session import ClientSession
from ticker.errors import ProtocolError
from ticker.market import NAMES, Kind, RecordValue, field_kind
from ticker.protocol.messages import Definition
from ticker.protocol.tables import COLUMNS
from ticker.protocol.wire import Encoding

CONVERSATIONS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "golden_frames.json").read_text(encoding="utf-8")
)["conversations"]

Make: TypeAlias = Callable[[Encoding], ClientSession]

_PRICES = {"price", "open", "high", "low", "close"}
_SIZES = {"size", "volume"}


def payload(frame: dict[str, Any], encoding: Encoding) -> bytes | str:
    text: str = frame["json" if encoding.text else "msgpack"]
    return text if encoding.text else bytes.fromhex(text)


def state(session: ClientSession) -> dict[str, Any]:
    """The client's cursor, its copy in the form of the file, and the checksum."""
    held = {
        each.definition.symbol: {
            NAMES[key] if isinstance(key, int) else key: _shown(each.definition, key, value)
            for key, value in each.wire().items()
            if value != []
        }
        for each in session.replica
    }
    return {"cursor": session.replica.cursor, "copy": held, "digest": session.replica.digest()}


def _shown(definition: Definition, key: int | str, value: RecordValue) -> object:
    scales = {Kind.PRICE: definition.price_scale, Kind.SIZE: definition.size_scale}
    if isinstance(value, list):
        columns = COLUMNS[int(key)]
        kinds = [Kind.PRICE if name in _PRICES else Kind.SIZE if name in _SIZES else None for name in columns]
        cells = [_decimal(cell, scales.get(kinds[at % len(kinds)])) for at, cell in enumerate(value)]  # type: ignore[arg-type]
        return [cells[at : at + len(columns)] for at in range(0, len(cells), len(columns))]
    kind = field_kind(key)
    return value[0] if isinstance(value, tuple) else _decimal(value, scales.get(kind) if kind is not None else None)


def _decimal(value: object, scale: int | None) -> object:
    return f"{Decimal(value).scaleb(-scale):f}" if isinstance(value, int) and scale is not None else value


def sorted_names(request: dict[str, Any]) -> dict[str, Any]:
    """A request with its names in the order of the alphabet: their order is the client's own choice."""
    return {key: sorted(value) if isinstance(value, list) else value for key, value in request.items()}


class Player:
    """A client, to which a conversation is played. Its methods raise `AssertionError` where it does something else."""

    def __init__(self, encoding: Encoding, make: Make = ClientSession) -> None:
        self.encoding = encoding
        self.session = make(encoding)
        self.sent: list[bytes | str] = []
        self.wanted: dict[str, frozenset[str] | None] = {}
        self.connected = False

    def play(self, conversation: dict[str, Any]) -> ClientSession:
        for step in conversation["steps"]:
            try:
                self._take(step)
            except ProtocolError as error:
                raise AssertionError(f"{step}: {error}") from error
            if self.connected and "sends" not in step:
                self.sent += self.session.requests()
        assert self.sent == []
        return self.session

    def _take(self, step: dict[str, Any]) -> None:
        match step:
            case {"sends": requests}:
                sent = [sorted_names(self.encoding.decode_request(each)) for each in self.sent]  # type: ignore[arg-type]
                assert sent == [sorted_names(each) for each in requests]
                self.sent.clear()
            case {"wants": names}:
                assert self.sent == [], step
                fields = step.get("fields", {})
                wanted = {name: frozenset(fields[name]) if name in fields else None for name in names}
                for name in [name for name in wanted if self.wanted.get(name, ()) != wanted[name]]:
                    self.session.add_names([name], wanted[name])
                for name in [name for name in self.wanted if wanted.get(name, ()) != self.wanted[name]]:
                    self.session.remove_names([name], self.wanted[name])
                self.wanted = wanted
            case {"presents": token}:
                self.sent.append(self.session.authenticate(token))
            case {"asks": "digest"}:
                self.session.verify()
            case {"closed": True}:
                assert self.sent == [], step
                self.connected = False
            case {"receives": name}:
                assert self.sent == [], (name, self.sent)
                self._receive(step)
                expected = {key: step[key] for key in ("cursor", "copy", "digest")}
                assert state(self.session) == expected, name

    def _receive(self, step: dict[str, Any]) -> None:
        if step.get("refused"):
            refuses(self.session, payload(step, self.encoding))
        elif self.connected:
            received = self.session.receive(payload(step, self.encoding))
            assert received.expiring == step.get("expiring", False), step["receives"]
            assert (received.verified is False) == step.get("mismatch", False), step["receives"]
        else:
            self.session.begin(payload(step, self.encoding))
            self.connected = True
        assert self.session.limits == step.get("limits", self.session.limits), step["receives"]
        delay = self.session.features.delay
        assert delay == step.get("delay", delay), step["receives"]
        silent_since = self.session.source_silent_since
        assert silent_since == step.get("silent", silent_since), step["receives"]


def refuses(session: ClientSession, frame: bytes | str) -> None:
    """Check that a payload is refused whole."""
    before = state(session)
    try:
        session.receive(frame)
    except ProtocolError:
        assert state(session) == before
        return
    raise AssertionError(f"{frame!r} was taken")


def check(conversation: dict[str, Any], encoding: Encoding, make: Make = ClientSession) -> None:
    """Play a conversation and, at its end, each payload that has to be refused."""
    session = Player(encoding, make).play(conversation)
    for frame in conversation["refused"]:
        if ("json" if encoding.text else "msgpack") in frame:
            refuses(session, payload(frame, encoding))
