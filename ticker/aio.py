"""Ticker for asyncio, and so for notebooks: `ticker.aio.connect` and `ticker.aio.snapshot`.

    async with ticker.aio.connect("wss://localhost:8443") as client:
        async for change in client.subscribe("EURUSD", "XAU*"):
            print(change.changes)

They have the arguments, the results and the exceptions of those without `aio`.
"""

from ticker.client.aio import connect, snapshot

__all__ = ["connect", "snapshot"]
