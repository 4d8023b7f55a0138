"""picows, as its documentation shows a server; a frame is built per client. Arguments: PORT CERT KEY BUDGET_MS."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections import defaultdict

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from benchmarks.peers.updates import batches_for, parse

subscribers: defaultdict[int, dict[WSTransport, None]] = defaultdict(dict)


class Client(WSListener):
    """One client."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A subscription, or the end."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        for number in json.loads(frame.get_payload_as_bytes()):
            subscribers[number][transport] = None
        transport.send(WSMsgType.BINARY, b"")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """It has gone."""
        for each in subscribers.values():
            each.pop(transport, None)


async def publish(budget: float) -> None:
    """Send the updates on stdin; with a budget, those collected within it as one message to each client."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    rest = b""
    while data := await reader.read(2**20):
        updates, rest = parse(rest + data)
        if budget:
            for transport, message in batches_for(updates, subscribers):
                transport.send(WSMsgType.BINARY, message)
            await asyncio.sleep(budget)
            continue
        for number, message in updates:
            for transport in list(subscribers[number]):
                transport.send(WSMsgType.BINARY, message)


async def main() -> None:
    """Run until stdin ends."""
    port, cert, key, budget = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    def accept(_request: WSUpgradeRequest) -> WSListener:
        return Client()

    server = await ws_create_server(accept, "127.0.0.1", int(port), ssl=context, backlog=4096)
    print("ready", flush=True)
    async with server:
        await publish(int(budget) / 1000)


asyncio.run(main())
