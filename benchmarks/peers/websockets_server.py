"""websockets on asyncio with its own `broadcast`, as its documentation shows. Arguments: PORT CERT KEY BUDGET_MS."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections import defaultdict

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

from benchmarks.peers.updates import batches_for, parse

subscribers: defaultdict[int, set[ServerConnection]] = defaultdict(set)


async def handle(websocket: ServerConnection) -> None:
    """Serve one client."""
    try:
        async for message in websocket:
            for number in json.loads(message):
                subscribers[number].add(websocket)
            await websocket.send(b"")
    except ConnectionClosed:
        pass
    finally:
        for each in subscribers.values():
            each.discard(websocket)


async def publish(budget: float) -> None:
    """Send the updates on stdin; with a budget, those collected within it as one message to each client."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    rest = b""
    while data := await reader.read(2**20):
        updates, rest = parse(rest + data)
        if not budget:
            for number, message in updates:
                broadcast(subscribers[number], message)
            continue
        for websocket, message in batches_for(updates, subscribers):
            broadcast([websocket], message)
        await asyncio.sleep(budget)


async def main() -> None:
    """Run until stdin ends."""
    port, cert, key, budget = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    serving = serve(handle, "127.0.0.1", int(port), ssl=context, backlog=4096, compression=None, ping_interval=None)
    async with serving:
        print("ready", flush=True)
        await publish(int(budget) / 1000)


asyncio.run(main())
