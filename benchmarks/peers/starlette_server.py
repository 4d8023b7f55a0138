"""Starlette on uvicorn, as its documentation shows a WebSocket endpoint. Arguments: PORT CERT KEY BUDGET_MS."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import defaultdict
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from benchmarks.peers.updates import batches_for, parse

subscribers: defaultdict[int, dict[WebSocket, None]] = defaultdict(dict)
port, cert, key, budget = sys.argv[1:]


async def handle(websocket: WebSocket) -> None:
    """Serve one client."""
    await websocket.accept()
    try:
        while True:
            for number in json.loads(await websocket.receive_bytes()):
                subscribers[number][websocket] = None
            await websocket.send_bytes(b"")
    except WebSocketDisconnect:
        for each in subscribers.values():
            each.pop(websocket, None)


async def publish() -> None:
    """Send the updates on stdin; with a budget, those collected within it as one message to each client."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    rest = b""
    while data := await reader.read(2**20):
        updates, rest = parse(rest + data)
        together = (
            batches_for(updates, subscribers)
            if int(budget)
            else ((websocket, message) for number, message in updates for websocket in list(subscribers[number]))
        )
        for websocket, message in together:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await websocket.send_bytes(message)
        await asyncio.sleep(int(budget) / 1000)


@contextlib.asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    """Publish while the server runs."""
    task = asyncio.create_task(publish())
    asyncio.get_running_loop().call_later(0.5, lambda: print("ready", flush=True))
    yield
    task.cancel()


app = Starlette(routes=[WebSocketRoute("/", handle)], lifespan=lifespan)
uvicorn.run(
    app,
    host="127.0.0.1",
    port=int(port),
    ssl_certfile=cert,
    ssl_keyfile=key,
    log_level="error",
    ws_per_message_deflate=False,
    ws_ping_interval=None,
    backlog=4096,
)
