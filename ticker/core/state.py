"""The plain data of which a copy of the cache is made: what its parts give and take back, and the bytes of that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, TypeAlias

import msgpack

State: TypeAlias = list[Any]
"""Lists, integers without a bound, texts, bytes, booleans, None and dicts of texts, however nested."""

_LARGE = 1
"""The extension type of an integer beyond 64 bits: its decimal text."""


def packed(state: State) -> bytes:
    """Return plain data as msgpack."""
    return _PACKER.pack(state)


def unpacked_from(data: bytes) -> object:
    """Return the plain data that were packed. Raises `ValueError` for anything else, also behind them."""
    state: object = msgpack.unpackb(data, ext_hook=_from_large, strict_map_key=False)
    return state


def unpacked(file: BinaryIO) -> Iterator[State]:
    """Yield the plain data that were packed one behind the other. Raises `ValueError` for anything else."""
    yield from msgpack.Unpacker(file, ext_hook=_from_large, strict_map_key=False, max_buffer_size=2**31 - 1)


def _large(number: object) -> msgpack.ExtType:
    if not isinstance(number, int):
        raise TypeError(f"{type(number).__name__} is no plain data")
    return msgpack.ExtType(_LARGE, str(number).encode())


def _from_large(code: int, data: bytes) -> int:
    if code != _LARGE:
        raise ValueError(f"extension type {code}")
    return int(data)


_PACKER = msgpack.Packer(default=_large)
