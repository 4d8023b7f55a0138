"""What a client says to a peer and reads from it: payloads of WebSocket messages in, prices out."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence

_PRICE = struct.Struct("<II8x")
"""Number and price of an update as the peers send it (benchmarks/peers/updates.py)."""

Price = tuple[int, int]
"""An instrument's number, and the price that the client has now."""


class Reader:
    """One client's side of a conversation. A peer confirms a subscription with an empty message."""

    text = False
    """Whether requests go in text frames."""
    remembers = False
    """Whether the server brings a new client the prices of before."""

    def __init__(self) -> None:
        self.subscribed = False
        self.answers: list[bytes] = []
        """Payloads that the server has to be answered with."""
        self.fault = ""
        """What a client of this server would have refused."""

    def opening(self, numbers: Sequence[int]) -> list[bytes]:
        """The payloads that subscribe to these instruments."""
        return [json.dumps(list(numbers)).encode()]

    def read(self, payloads: Sequence[bytes]) -> list[Price]:
        """What payloads from the server say."""
        if not self.subscribed and b"" in payloads:
            self.subscribed = True
        return list(_PRICE.iter_unpack(b"".join(payloads)))


class FloorReader(Reader):
    """The floors put 16 bytes of nothing before each message: as many as Ticker's own head has."""

    def read(self, payloads: Sequence[bytes]) -> list[Price]:
        """All but these."""
        if not self.subscribed and b"" in payloads:
            self.subscribed = True
        return list(_PRICE.iter_unpack(b"".join([payload[16:] for payload in payloads])))


class SocketIoReader(Reader):
    """Socket.IO 5 over Engine.IO 4, WebSocket transport: texts, and a binary frame for each update."""

    text = True

    def opening(self, numbers: Sequence[int]) -> list[bytes]:
        """Connect to the default namespace, and one event."""
        return [b"40", b'42["subscribe",' + json.dumps(list(numbers)).encode() + b"]"]

    def read(self, payloads: Sequence[bytes]) -> list[Price]:
        """An update is the attachment behind a text; no text is as long as that."""
        if b'42["ok"]' in payloads:
            self.subscribed = True
        if b"2" in payloads:
            self.answers.append(b"3")
        return list(_PRICE.iter_unpack(b"".join([payload for payload in payloads if len(payload) == _PRICE.size])))


class NatsReader(Reader):
    """NATS's text protocol in binary messages, cut anywhere. PONG, behind the subscriptions, confirms them."""

    def __init__(self) -> None:
        super().__init__()
        self._rest = b""

    def opening(self, numbers: Sequence[int]) -> list[bytes]:
        """All in one."""
        subscriptions = b"".join(b"SUB u.%d %d\r\n" % (number, number) for number in numbers)
        return [b'CONNECT {"verbose":false,"pedantic":false}\r\n' + subscriptions + b"PING\r\n"]

    def read(self, payloads: Sequence[bytes]) -> list[Price]:
        """`MSG subject sid size`, and the message in the next line; or INFO, PING, PONG."""
        data = self._rest + b"".join(payloads)
        at, messages = 0, []
        while (end := data.find(b"\r\n", at)) >= 0:
            if data.startswith(b"MSG ", at):
                size = int(data[data.rindex(b" ", at, end) + 1 : end])
                if len(data) < end + size + 4:
                    break
                messages.append(data[end + 2 : end + 2 + size])
                end += size + 2
            elif data.startswith(b"PONG", at):
                self.subscribed = True
            elif data.startswith(b"PING", at):
                self.answers.append(b"PONG\r\n")
            elif data.startswith(b"-ERR", at):
                self.fault = data[at:end].decode()
            at = end + 2
        self._rest = data[at:]
        return list(_PRICE.iter_unpack(b"".join(messages)))
