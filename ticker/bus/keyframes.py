"""The keyframes of an engine in memory: the latest, the one before, and those that are being written."""

from __future__ import annotations

from ticker.bus.engine import Keyframe, Refused, Unavailable
from ticker.bus_bounds import MAX_BUS_DATA_BYTES, MAX_BUS_KEYFRAME_BYTES

_REMEDY = "lower tables.max_instruments, or the numbers of trades and bars in tables"

_PER_PART = 100
"""About the bytes that a part takes besides its own."""


def check_size(data: bytes) -> None:
    """Raise `Unavailable` for data that no engine takes."""
    if len(data) > MAX_BUS_DATA_BYTES:
        raise Unavailable(
            f"an entry or a part of a keyframe has {len(data)} bytes, and a bus takes {MAX_BUS_DATA_BYTES}: {_REMEDY}"
        )


class Keyframes:
    """Keyframes by their cuts."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[int, bytes]] = {}
        self._finished: dict[int, int] = {}
        """How many parts each has, in the order of their cuts."""

    def __repr__(self) -> str:
        return f"<Keyframes after cuts {list(self._finished)}, {len(self._parts) - len(self._finished)} unfinished>"

    def put_part(self, cut: int, number: int, data: bytes) -> None:
        """Keep a part. A keyframe that is begun drops earlier ones that are not finished, and their further parts.

        Raises `Unavailable` for a part or a keyframe that is too large.
        """
        check_size(data)
        if cut < max(self._parts, default=0):
            return
        self._drop({each for each in self._parts if each < cut and each not in self._finished})
        parts = self._parts.setdefault(cut, {})
        others = sum(len(part) + _PER_PART for each, part in parts.items() if each != number)
        if others + len(data) > MAX_BUS_KEYFRAME_BYTES:
            raise Unavailable(f"the keyframe after cut {cut} has more than {MAX_BUS_KEYFRAME_BYTES} bytes: {_REMEDY}")
        parts[number] = data

    def finish(self, keyframe: Keyframe) -> int:
        """Make this the latest; return the cut of the one before, 0 if there is none. Raises `Refused`."""
        before = [cut for cut in self._finished if cut != keyframe.cut]
        if before and before[-1] > keyframe.cut:
            raise Refused(f"there is a later keyframe, after cut {before[-1]}")
        parts = self._parts.get(keyframe.cut, {})
        if keyframe.parts < 1 or not all(number in parts for number in range(keyframe.parts)):
            raise Refused(f"the keyframe after cut {keyframe.cut} is without some of its {keyframe.parts} parts")
        self._finished[keyframe.cut] = keyframe.parts
        earlier = before[-1] if before else 0
        self._drop({cut for cut in self._parts if cut < earlier})
        return earlier

    def latest(self) -> Keyframe | None:
        """Return the latest one."""
        return Keyframe(*next(reversed(self._finished.items()))) if self._finished else None

    def part(self, cut: int, number: int) -> bytes | None:
        """Return a part of a keyframe, None if there is none."""
        return self._parts.get(cut, {}).get(number)

    def _drop(self, cuts: set[int]) -> None:
        for cut in cuts:
            del self._parts[cut]
            self._finished.pop(cut, None)
