"""trio-websocket as its documentation shows it: `send_message` to each subscriber, over `trio.SSLStream`.

Arguments: PORT CERT KEY. Updates come on stdin, as in benchmarks/feed.py. A client subscribes with a JSON array of
instrument numbers and gets each update as msgpack [number, price, time]. One task sends to all, one after the other: a
task per message would cost more, and so would be unfair to it here.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import sys
from collections import defaultdict

import msgpack
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

subscribers: defaultdict[int, dict[WebSocketConnection, None]] = defaultdict(dict)


async def handle(request: WebSocketRequest) -> None:
    """Serve one client."""
    websocket = await request.accept()
    wanted: list[int] = []
    try:
        while True:
            wanted = json.loads(await websocket.get_message())
            for number in wanted:
                subscribers[number][websocket] = None
            await websocket.send_message(b"\xc0")
    except ConnectionClosed:
        for number in wanted:
            subscribers[number].pop(websocket, None)


async def publish() -> None:
    """Send each update to each of its subscribers."""
    rest = b""
    async for data in trio.lowlevel.FdStream(sys.stdin.fileno()):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            number, price, time = map(int, line.split())
            message = msgpack.packb([number, price, time])
            for websocket in list(subscribers[number]):
                with contextlib.suppress(ConnectionClosed):
                    await websocket.send_message(message)


async def main() -> None:
    """Run until killed."""
    port, cert, key = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publish)
        await nursery.start(serve_websocket, handle, "127.0.0.1", int(port), context)
        print("ready", flush=True)


trio.run(main)
