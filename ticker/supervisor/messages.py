"""The messages between the supervisor and its processes: msgpack arrays whose first element is the name."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from ticker.config import Config
from ticker.errors import RefusalCause


class Settings(msgspec.Struct, tag="settings", array_like=True, frozen=True):
    """The first message to a process: what it is, and all of its configuration."""

    config: Config
    name: str
    """`1` and so on, or `source`: the label `worker` of its metrics and the key `worker` of its log."""
    role: Literal["source", "worker"]
    bus: str | None
    """The path of the local engine's socket, if there is one."""
    connections: dict[Kind, int]
    """Descriptors on which connections are handed over, by their kind."""
    metrics_open: bool
    """Those of the kind `metrics` see metrics without a token."""
    delayed_bus: str | None = None
    """The path of the socket of the delayed engine, if there is one."""


Kind: TypeAlias = Literal["tls", "plain", "metrics"]
"""Kinds of connections: with TLS, without, and those to `metrics_listen`."""


class Admitted(msgspec.Struct, tag="admitted", array_like=True, frozen=True):
    """The answer to `Admit`: the limit of all workers together that stands against it, if one does."""

    number: int
    cause: RefusalCause | None


class TextWanted(msgspec.Struct, tag="text?", array_like=True, frozen=True):
    """The supervisor asks for the process's own metrics."""

    request: int


class Page(msgspec.Struct, tag="page", array_like=True, frozen=True):
    """The answer to `PageWanted`: the metrics of all processes."""

    text: bytes


class Reload(msgspec.Struct, tag="reload", array_like=True, frozen=True):
    """Certificates and keys are to be read anew."""


class Leave(msgspec.Struct, tag="leave", array_like=True, frozen=True):
    """Have the clients leave, and end."""

    last: bool = False
    """The whole service ends."""


ToChild: TypeAlias = Settings | Admitted | TextWanted | Page | Reload | Leave
TO_CHILD: msgspec.msgpack.Decoder[ToChild] = msgspec.msgpack.Decoder(ToChild)


class Serving(msgspec.Struct, tag="serving", array_like=True, frozen=True):
    """The process serves connections from now on."""


class Unusable(msgspec.Struct, tag="unusable", array_like=True, frozen=True):
    """The configuration cannot be used; the process ends."""

    text: str


class Beat(msgspec.Struct, tag="beat", array_like=True, frozen=True):
    """A sign of life, every second: the loop turns, and its state."""

    ready: bool
    """/readyz would be 200."""
    status: str
    """A line for people."""


class Admit(msgspec.Struct, tag="admit", array_like=True, frozen=True):
    """A client asks for a place."""

    number: int
    address: str
    subject: str | None


class Gone(msgspec.Struct, tag="gone", array_like=True, frozen=True):
    """A connection is over."""

    number: int


class Text(msgspec.Struct, tag="text", array_like=True, frozen=True):
    """The answer to `TextWanted`."""

    request: int
    text: bytes


class PageWanted(msgspec.Struct, tag="page?", array_like=True, frozen=True):
    """Somebody asks this worker for the metrics of all processes."""


class Reloaded(msgspec.Struct, tag="reloaded", array_like=True, frozen=True):
    """Certificates and keys were read anew."""


class Leaving(msgspec.Struct, tag="leaving", array_like=True, frozen=True):
    """The process ends by itself, on a signal: it takes no more connections."""


FromChild: TypeAlias = Serving | Unusable | Beat | Admit | Gone | Text | PageWanted | Reloaded | Leaving
FROM_CHILD: msgspec.msgpack.Decoder[FromChild] = msgspec.msgpack.Decoder(FromChild)
