"""The results of this client's requests, checked. Pure."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from ticker.client.events import Refused
from ticker.errors import Code, ProtocolError
from ticker.market import MAX_TEXT
from ticker.protocol.messages import Natural
from ticker.texts import excerpt

Result = TypeVar("Result")


class _Outcome(msgspec.Struct, array_like=True):
    """An element of `outcomes`; further items are of a later version."""

    name: str
    code: int
    text: str


class Admission(msgspec.Struct):
    """The result of `auth`, as far as it changes anything."""

    epoch: str | None = None
    limits: dict[str, Natural] | None = None


class Digest(msgspec.Struct):
    """The result of `digest`."""

    cut: Natural
    digest: Natural


def refused_names(result: dict[str, Any]) -> list[Refused]:
    """Return the outcomes of a reply that are not OK. Raises `ProtocolError` if they are not outcomes."""
    try:
        outcomes = msgspec.convert(result.get("outcomes", []), list[_Outcome])
    except msgspec.ValidationError as error:
        raise ProtocolError(Code.MALFORMED, f"outcomes are [name, code, text]: {error}") from None
    return [Refused(each.name, each.code, excerpt(each.text)) for each in outcomes if each.code != Code.OK]


def converted(result: dict[str, Any], kind: type[Result], op: str) -> Result:
    """Return the result of a request. Raises `ProtocolError` if it is none."""
    try:
        return msgspec.convert(result, kind)
    except msgspec.ValidationError as error:
        raise ProtocolError(Code.MALFORMED, f"the result of {op}: {error}") from None


def check_epoch(epoch: str) -> None:
    """Check the length of an epoch. Raises `ProtocolError`."""
    if len(epoch) > MAX_TEXT:
        raise ProtocolError(Code.MALFORMED, f"an epoch of more than {MAX_TEXT} characters")
