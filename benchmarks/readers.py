"""Client-side protocols of the peers: payloads of WebSocket messages in, prices out."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence

_PRICE = struct.Struct("<II8x")
"""Instrument number and price in a peer's update (benchmarks/peers/updates.py)."""

Price = tuple[int, int]
"""An instrument's number and its new price."""


class Reader:
    """One client's protocol state. A peer confirms a subscription with an empty message."""

    text = False
    """Whether requests are sent in text frames."""
    sends_snapshot = False
    """Whether the server sends a new client the prices from before its subscription."""

    def __init__(self) -> None:
        self.subscribed = False
        self.replies: list[bytes] = []
        """Payloads to send to the server."""
        self.fault = ""
        """The first protocol error in the server's messages, or an empty text."""

    def subscription_payloads(self, numbers: Sequence[int]) -> list[bytes]:
        """Return the payloads that subscribe to these instruments."""
        return [json.dumps(list(numbers)).encode()]

    def read(self, payloads: Sequence[bytes]) -> list[Price]:
        """Return the prices in payloads from the server."""
        if not self.subscribed and b"" in payloads:
            self.subscribed = True
        return list(_PRICE.iter_unpack(b"".join(payloads)))


class FloorReader(Reader):
    """The floors put 16 zero bytes before each message, the size of Ticker's own header."""

    def read(self, payloads: Sequence[bytes]) -> list[Price]:
        """Return the prices behind these bytes."""
        if not self.subscribed and b"" in payloads:
            self.subscribed = True
        return list(_PRICE.iter_unpack(b"".join([payload[16:] for payload in payloads])))


class SocketIoReader(Reader):
    """Socket.IO 5 over Engine.IO 4, WebSocket transport: texts, and a binary frame for each update."""

    text = True

    def subscription_payloads(self, numbers: Sequence[int]) -> list[bytes]:
        """Return a connect to the default namespace and a subscribe event."""
        return [b"40", b'42["subscribe",' + json.dumps(list(numbers)).encode() + b"]"]

    def read(self, payloads: Sequence[bytes]) -> list[Price]:
        """Return the prices in binary attachments, which are longer than any text of this server."""
        if b'42["ok"]' in payloads:
            self.subscribed = True
        if b"2" in payloads:
            self.replies.append(b"3")
        return list(_PRICE.iter_unpack(b"".join([payload for payload in payloads if len(payload) == _PRICE.size])))


class NatsReader(Reader):
    """NATS's text protocol in binary messages, cut anywhere. PONG, behind the subscriptions, confirms them."""

    def __init__(self) -> None:
        super().__init__()
        self._rest = b""

    def subscription_payloads(self, numbers: Sequence[int]) -> list[bytes]:
        """Return one payload with all subscriptions and a PING."""
        subscriptions = b"".join(b"SUB u.%d %d\r\n" % (number, number) for number in numbers)
        return [b'CONNECT {"verbose":false,"pedantic":false}\r\n' + subscriptions + b"PING\r\n"]

    def read(self, payloads: Sequence[bytes]) -> list[Price]:
        """Return the prices in `MSG subject sid size` with the message on the next line; handle PING, PONG and -ERR."""
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
                self.replies.append(b"PONG\r\n")
            elif data.startswith(b"-ERR", at):
                self.fault = data[at:end].decode()
            at = end + 2
        self._rest = data[at:]
        return list(_PRICE.iter_unpack(b"".join(messages)))


class MqttReader(Reader):
    """MQTT 3.1.1 packets in binary messages, cut anywhere. SUBACK confirms the subscriptions."""

    sends_snapshot = True

    def __init__(self) -> None:
        super().__init__()
        self._rest = b""

    def subscription_payloads(self, numbers: Sequence[int]) -> list[bytes]:
        """Return a CONNECT without a name and without keep-alive, and a SUBSCRIBE with QoS 0."""
        topics = [b"u/%d" % number for number in numbers]
        filters = b"".join([len(topic).to_bytes(2, "big") + topic + b"\0" for topic in topics])
        connect = _packet(0x10, b"\0\x04MQTT\x04\x02\0\0\0\0")
        return [connect, _packet(0x82, b"\0\x01" + filters)]

    def read(self, payloads: Sequence[bytes]) -> list[Price]:
        """Return the prices in PUBLISH packets; check what CONNACK and SUBACK say."""
        messages = []
        for kind, body in self._packets(self._rest + b"".join(payloads)):
            if kind == 0x30:
                messages.append(body[2 + int.from_bytes(body[:2], "big") :])
            elif kind == 0x20 and body[1]:
                self.fault = f"the connection was refused: {body[1]}"
            elif kind == 0x90:
                self.subscribed = True
                if any(body[2:]):
                    self.fault = f"a subscription was refused: {max(body[2:])}"
        return list(_PRICE.iter_unpack(b"".join(messages)))

    def _packets(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the complete packets, each as its type and what follows its length; keep the rest."""
        at = 0
        while len(data) - at >= 2:
            length, start, shift = 0, at + 1, 0
            while start < len(data):
                byte = data[start]
                length |= (byte & 0x7F) << shift
                start, shift = start + 1, shift + 7
                if byte < 0x80:
                    break
            else:
                break
            if len(data) < start + length:
                break
            yield data[at] & 0xF0, data[start : start + length]
            at = start + length
        self._rest = data[at:]


def _packet(kind: int, body: bytes) -> bytes:
    """Return an MQTT packet: its length in digits to the base 128, the least first (MQTT 3.1.1, section 2.2.3)."""
    length, digits = len(body), bytearray()
    while length >= 0x80:
        digits.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes((kind, *digits, length)) + body
