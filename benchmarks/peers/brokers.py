"""What publishers to a broker have in common: free ports, connecting, and forwarding the updates on stdin."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

from benchmarks.peers.updates import parse

Encode = Callable[[int, bytes], bytes]
"""Makes the bytes that publish an update, of its number and its message."""


def connected(port: int) -> socket.socket:
    """Connect, retrying until the port is open."""
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise TimeoutError(f"nothing listens on {port}")


def forward(publish: Callable[[bytes], object], encode: Encode, budget: float) -> None:
    """Publish the updates on stdin until it ends; with a budget, those collected within it in one write."""
    rest = b""
    while data := os.read(0, 65_536):
        updates, rest = parse(rest + data)
        publish(b"".join([encode(number, message) for number, message in updates]))
        time.sleep(budget)
