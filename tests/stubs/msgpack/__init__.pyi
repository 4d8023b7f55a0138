# The part of msgpack that Ticker uses; the package ships no types.

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

class ExtType(NamedTuple):
    code: int
    data: bytes

class Packer:
    def __init__(
        self, *, use_bin_type: bool = ..., autoreset: bool = ..., default: Callable[[object], object] | None = ...
    ) -> None: ...
    def pack(self, obj: object, /) -> bytes: ...

def packb(o: object, *, use_bin_type: bool = ...) -> bytes: ...
def unpackb(
    packed: bytes | bytearray | memoryview,
    *,
    raw: bool = ...,
    strict_map_key: bool = ...,
    max_str_len: int = ...,
    max_bin_len: int = ...,
    max_array_len: int = ...,
    max_map_len: int = ...,
    max_ext_len: int = ...,
    ext_hook: Callable[[int, bytes], object] = ...,
) -> object: ...

class Unpacker:
    def __init__(
        self,
        file_like: BinaryIO,
        /,
        *,
        ext_hook: Callable[[int, bytes], object] = ...,
        strict_map_key: bool = ...,
        max_buffer_size: int = ...,
    ) -> None: ...
    def __iter__(self) -> Iterator[list[Any]]: ...
    def __next__(self) -> object: ...
