"""Input of every peer in Python: lines of `NUMBER PRICE TIME` on stdin (see benchmarks/feed.py)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

MESSAGE = struct.Struct("<IId")
"""An update as all peers send it: number, price, time. A message may hold several, one behind the other."""

T = TypeVar("T")


def parse(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Return the updates in the complete lines of `data`, each as number and message, and the rest."""
    *lines, rest = data.split(b"\n")
    updates = []
    for line in lines:
        number, price, time = line.split()
        updates.append((int(number), MESSAGE.pack(int(number), int(price), float(time))))
    return updates, rest


def batches_for(
    updates: Iterable[tuple[int, bytes]], subscribers: Mapping[int, Iterable[T]]
) -> Iterator[tuple[T, bytes]]:
    """Return each client with all of its updates, joined."""
    batches: dict[T, list[bytes]] = {}
    for number, message in updates:
        for client in subscribers[number]:
            batches.setdefault(client, []).append(message)
    return ((client, b"".join(messages)) for client, messages in batches.items())
