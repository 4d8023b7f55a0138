"""trio-websocket as its documentation shows it: `send_message` in each client's own task, over `trio.SSLStream`.

Arguments: PORT CERT KEY BUDGET_MS MODE; nothing is collected. Updates come on stdin, as in benchmarks/feed.py. A client
subscribes with a JSON array of instrument numbers and gets each update as a binary message (peers/updates.py). In mode
`tasks` each client's handler sends the updates in its memory channel, and a client with a full channel loses updates;
in mode `loop` one task sends to all, one after the other, which is cheaper but a client that stalls stops all others.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import sys
from collections import defaultdict

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from benchmarks.peers.updates import parse

QUEUE = 1000

subscribers: defaultdict[int, dict[WebSocketConnection, trio.MemorySendChannel[bytes]]] = defaultdict(dict)


async def handle(request: WebSocketRequest) -> None:
    """Serve one client."""
    websocket = await request.accept()
    numbers = json.loads(await websocket.get_message())
    updates, messages = trio.open_memory_channel[bytes](QUEUE)
    for number in numbers:
        subscribers[number][websocket] = updates
    try:
        await websocket.send_message(b"")
        async for message in messages:
            await websocket.send_message(message)
    except ConnectionClosed:
        pass
    finally:
        for number in numbers:
            del subscribers[number][websocket]


async def publish(mode: str) -> None:
    """Send each update to each of its subscribers."""
    rest = b""
    async for data in trio.lowlevel.FdStream(sys.stdin.fileno()):
        updates, rest = parse(rest + data)
        for number, message in updates:
            for websocket, channel in list(subscribers[number].items()):
                if mode == "loop":
                    with contextlib.suppress(ConnectionClosed):
                        await websocket.send_message(message)
                else:
                    with contextlib.suppress(trio.WouldBlock):
                        channel.send_nowait(message)


async def main() -> None:
    """Run until killed."""
    port, cert, key, _budget, mode = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publish, mode)
        await nursery.start(serve_websocket, handle, "127.0.0.1", int(port), context)
        print("ready", flush=True)


trio.run(main)
