"""Names of fields that come together in updates, and everything about them that is worked out once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from types import GenericAlias
from typing import Annotated, Any, TypeAlias

from msgspec import Meta
from msgspec.json import Decoder

from ticker.market import FieldKey, Kind
from ticker.numbers import MAX_INTEGER

Known: TypeAlias = tuple[FieldKey, Kind | None]
"""The key and the kind of a field; the kind is None for a feed's own ones."""

NUMBERS: frozenset[Kind | None] = frozenset({Kind.PRICE, Kind.SIZE, Kind.INTEGER})
"""The kinds of the fields of a form."""


class Form:
    """Fields with numbers that come together, at the scales of an instrument: the four of a quote, say."""

    __slots__ = ("count", "decode", "integers_of", "keys", "pieces", "texts_of")

    def __init__(self, fields: Mapping[str, Known], price_scale: int, size_scale: int) -> None:
        """`fields` are prices, sizes and integers by their names."""
        self.count = len(fields)
        """The number of fields."""
        scales = {Kind.PRICE: price_scale, Kind.SIZE: size_scale}
        texts = [name for name, (_, kind) in fields.items() if kind in scales]
        integers = [name for name in fields if name not in texts]
        self.keys = [fields[name][0] for name in (*texts, *integers)]
        """The keys of prices and sizes, then those of integers."""
        self.texts_of, self.integers_of = _getter(texts), _getter(integers)
        """Return the prices and sizes of an update, and its integers. Raise `KeyError` if any of them is missing."""
        ends = [f"e{scales[kind]}" for _, kind in fields.values() if kind in scales]
        self.pieces = ["[", *(piece for end in ends for piece in ("", f"{end},"))]
        """A JSON array in pieces. Those at odd places are for prices and sizes: each has an exponent behind it."""
        self.pieces[-1] = self.pieces[-1].rstrip(",") + "]"
        self.decode = _decoder(len(texts))
        """Returns the integers in such an array. Raises `msgspec.DecodeError` if there is anything else."""

    def __repr__(self) -> str:
        return f"<Form of {', '.join(map(str, self.keys))}>"


def _getter(names: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """Return the function that looks up these names: `itemgetter`, which needs two to return a tuple."""
    if len(names) > 1:
        return itemgetter(*names)
    if names:
        (name,) = names
        return lambda fields: (fields[name],)
    return _nothing


def _nothing(_: Mapping[str, Any]) -> tuple[Any, ...]:
    return ()


@cache
def _decoder(count: int) -> Callable[[str], tuple[int, ...]]:
    """Return the decoder of an array of so many integers; it looks at their number and bounds in no time."""
    integer = Annotated[int, Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
    array: Any = GenericAlias(tuple, (integer,) * count)
    decode: Callable[[str], tuple[int, ...]] = Decoder(array, strict=False).decode
    return decode  # not strict: a float without a fraction is an integer
