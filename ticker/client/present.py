"""The present values by name, once: of one connection, which is closed again."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

import trio

from ticker.client.arguments import check_seconds, listed_names, listed_urls, wanted_fields
from ticker.client.client import connect
from ticker.client.connection import Token
from ticker.client.events import Event
from ticker.client.fields import Fields
from ticker.errors import ConnectionFailed


def prepared_snapshot(  # noqa: PLR0913  # one parameter per option
    url: str | Sequence[str],
    names: Iterable[str],
    *,
    ca: str | Path | None,
    token: Token | None,
    on_event: Callable[[Event], None] | None,
    timeout: float,
    fields: Iterable[str] | None,
) -> Callable[[], Coroutine[Any, Any, dict[str, Fields]]]:
    """Check the arguments of `snapshot`, and return the function that takes it, for Trio. Raises `ConfigError`."""
    listed, wanted = listed_names(names), wanted_fields(fields)
    check_seconds("timeout", timeout)

    async def run() -> dict[str, Fields]:
        with trio.move_on_after(timeout):
            async with (
                connect(url, ca=ca, token=token, on_event=on_event) as client,
                client.subscribe(*listed, fields=wanted) as subscription,
            ):
                await subscription.complete()
                return {name: client.values(name) for name in subscription.select(client.names)}
        raise ConnectionFailed(
            f"{', '.join(listed_urls(url))}: no complete answer within {timeout:g} s", retryable=True
        )

    return run
