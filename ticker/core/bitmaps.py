"""Sets of instruments as bitmaps: bit n of an integer stands for the instrument with id n.

A set of 50,000 instruments takes 6 KB instead of 2 MB, and is joined with another in a microsecond.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import compress
from typing import TypeVar

Item = TypeVar("Item")

_BITS = [tuple(bit for bit in range(8) if value >> bit & 1) for value in range(256)]
_USED = re.compile(rb"[^\0]+")
_TO_FLAGS, _TO_DIGITS = bytes.maketrans(b"01", b"\0\1"), bytes.maketrans(b"\0\1", b"01")


def bitmap_of(numbers: Collection[int]) -> int:
    """Return the bitmap of these ids."""
    if not numbers:
        return 0
    largest = max(numbers)
    if 8 * len(numbers) > largest:  # dense: a flag is set several times as fast as a bit
        flags = bytearray(largest + 1)
        for number in numbers:
            flags[number] = 1
        return int(flags.translate(_TO_DIGITS)[::-1], 2)
    data = bytearray((largest >> 3) + 1)
    for number in numbers:
        data[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(data, "little")


def numbers_in(bits: int) -> list[int]:
    """Return the ids in a bitmap, in ascending order."""
    if 8 * bits.bit_count() > bits.bit_length():  # dense: the digits are flags, which `compress` takes in C
        flags = bin(bits)[:1:-1].encode().translate(_TO_FLAGS)
        return list(compress(range(len(flags)), flags))
    found: list[int] = []
    for used in _USED.finditer(flags_of(bits)):
        start = 8 * used.start()
        for value in used[0]:
            found += [start + bit for bit in _BITS[value]]
            start += 8
    return found


def flags_of(bits: int) -> bytes:
    """Return the bytes of a bitmap, the lowest first: to look up many ids in it."""
    return bits.to_bytes((bits.bit_length() + 7) >> 3, "little")


def selected(bits: int, items: Iterable[Item]) -> Iterator[Item]:
    """Return the items, in the order of their ids, that are in a bitmap."""
    return compress(items, bin(bits)[:1:-1].encode().translate(_TO_FLAGS))


def take_lowest(bits: int, count: int) -> tuple[list[int], int]:
    """Return the `count` lowest ids in a bitmap, and the bitmap of the others."""
    if bits.bit_count() <= count:
        return numbers_in(bits), 0
    found: list[int] = []
    at, width = (bits & -bits).bit_length() - 1, 8 * count
    while len(found) < count:
        found += [at + number for number in numbers_in((bits >> at) & ((1 << width) - 1))]
        at += width
    del found[count:]
    end = found[-1] + 1
    return found, bits >> end << end
