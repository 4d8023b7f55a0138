"""The steps of a golden conversation, and its state after each message, which the independent client works out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import msgpack

from tests.stranger.client import decode
from tests.stranger.held_copy import Copy
from tests.stranger.values import Refused

Message: TypeAlias = list[Any]
Step: TypeAlias = dict[str, Any]

EPOCH = "b0c0489832342636"
TIME = 1399507208715000
LIMITS = {"max_message_bytes": 65536, "max_symbols": 2000, "max_patterns": 32, "max_tables": 200, "min_interval_ms": 0}
FEATURES = {"book": [3], "trades": [3], "candles": {"periods": ["1m"], "rows": [3]}, "digest": True}


class Bad(NamedTuple):
    """A payload that is to be refused: a message, or its forms where no encoder makes it."""

    name: str
    message: Message | dict[Any, Any] | None = None
    forms: dict[str, str] | None = None

    def payloads(self) -> dict[str, str]:
        return self.forms if self.forms is not None else payloads(self.message)


class Conversation(NamedTuple):
    """Steps that follow each other, and payloads to be refused at their end."""

    name: str
    steps: Sequence[Step]
    refused: Sequence[Bad] = ()


def welcome(cut: int, epoch: str = EPOCH, features: dict[str, Any] | None = None) -> Step:
    return receives(
        "WELCOME", [1, 1, epoch, "s1", cut, TIME, 10000, LIMITS, FEATURES if features is None else features]
    )


def wants(*names: str, fields: dict[str, list[str]] | None = None) -> Step:
    """The names that the client's user wants from now on, of some only these fields; those left out are given up."""
    return {"wants": list(names)} | ({"fields": fields} if fields else {})


def asks(what: str) -> Step:
    """The user wants a request besides: `digest`."""
    return {"asks": what}


def presents(token: str) -> Step:
    """The user brings a fresh token."""
    return {"presents": token}


def sends(*requests: dict[str, Any]) -> Step:
    """The client sends these, in this order."""
    return {"sends": list(requests)}


def subscribe(number: int, *names: str, fields: Sequence[str] = ()) -> dict[str, Any]:
    request = {"op": "subscribe", "id": number, "symbols": list(names)}
    return request | ({"fields": list(fields)} if fields else {})


def unsubscribe(number: int, *names: str) -> dict[str, Any]:
    return {"op": "unsubscribe", "id": number, "symbols": list(names)}


def resume(
    number: int,
    cursor: int,
    *names: str,
    forget: Sequence[str] = (),
    selected: Sequence[object] = (),
    epoch: str = EPOCH,
) -> dict[str, Any]:
    request = {"op": "resume", "id": number, "epoch": epoch, "cursor": cursor, "symbols": list(names)}
    return request | {key: list(each) for key, each in (("forget", forget), ("selected", selected)) if each}


def receives(name: str, message: Message, **more: object) -> Step:
    return {"receives": name, "message": message, **more}


def answer(number: int, *outcomes: tuple[str, int], interval: bool = True) -> Step:
    """A REPLY with outcomes; the texts are for people."""
    result: dict[str, Any] = {"outcomes": [[name, code, "" if not code else "no"] for name, code in outcomes]}
    return receives("REPLY", [2, number, result | ({"interval_ms": 0} if interval else {})])


def closed() -> Step:
    """The connection is lost; the next message is the first one of another."""
    return {"closed": True}


def payloads(message: object) -> dict[str, str]:
    return {
        "msgpack": msgpack.packb(message).hex(),
        "json": json.dumps(message, ensure_ascii=False, separators=(",", ":")),
    }


def made(conversation: Conversation) -> dict[str, Any]:
    """Return a conversation as it stands in the file. Raises `AssertionError` if the independent client objects."""
    copy, steps = Copy(), []
    for step in conversation.steps:
        if "sends" in step:
            for request in step["sends"]:
                copy.sent(request)
        elif "wants" in step:
            copy.wanted = step["wants"]
        elif "closed" in step:
            copy.lost()
        steps.append(_received(copy, step) if "receives" in step else step)
    bad = [{"name": each.name, **each.payloads()} for each in conversation.refused]
    for each in bad:
        for form in {"msgpack", "json"} & each.keys():
            _refuses(copy, each[form] if form == "json" else bytes.fromhex(each[form]))
    return {"name": conversation.name, "steps": steps, "refused": bad}


def _received(copy: Copy, step: Step) -> Step:
    """Return a step with its payloads and the state behind it."""
    if step.get("right"):
        step["message"][2]["digest"] = copy.checksum()
    forms = payloads(step["message"]) | step.get("forms", {})
    if step.get("refused"):
        _refuses(copy, bytes.fromhex(forms["msgpack"]))
        copy.refusals += 1
    else:
        message = decode(bytes.fromhex(forms["msgpack"]))
        copy.apply(message)
        if message[0] == 1:
            copy.begin(message)
    state = {"cursor": copy.cursor, "copy": copy.view(), "digest": copy.checksum()}
    more = {key: value for key, value in step.items() if key not in {"receives", "message", "forms", "right"}}
    return {"receives": step["receives"], **forms, **more, **state}


def _refuses(copy: Copy, payload: bytes | str) -> None:
    before = repr(copy)
    try:
        copy.apply(decode(payload))
    except Refused:
        assert repr(copy) == before
        return
    raise AssertionError(f"{payload!r} was taken")
