"""websockets on Trio with its own `broadcast`, as its documentation shows. Arguments: PORT CERT KEY BUDGET_MS."""

from __future__ import annotations

import json
import ssl
import sys
from collections import defaultdict

import trio
from websockets.exceptions import ConnectionClosed
from websockets.trio.server import ServerConnection, broadcast, serve

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
    rest = b""
    async for data in trio.lowlevel.FdStream(sys.stdin.fileno()):
        updates, rest = parse(rest + data)
        if not budget:
            for number, message in updates:
                await broadcast(subscribers[number], message)
            continue
        for websocket, message in batches_for(updates, subscribers):
            await broadcast([websocket], message)
        await trio.sleep(budget)


async def main() -> None:
    """Run until stdin ends."""
    port, cert, key, budget = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publish, int(budget) / 1000)
        await nursery.start(
            lambda task_status: serve(
                handle,
                int(port),
                host="127.0.0.1",
                ssl=context,
                backlog=4096,
                compression=None,
                ping_interval=None,
                task_status=task_status,
            )
        )
        print("ready", flush=True)


trio.run(main)
