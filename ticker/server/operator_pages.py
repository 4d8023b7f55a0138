"""The HTTP pages for operators: health, readiness and metrics, on the service's address and on `metrics_listen`.

    /healthz     200 as long as the process serves
    /readyz      503 until the feeds have brought data, and while the usage log, if there is one, is not written; in all
                 cases with each feed and its state
    /metrics     the Prometheus text format

They are exempt from the allowances of clients, so that a service under load can still be seen. Health and readiness
are for everybody and name feeds without their options. Metrics need a right of their own: the claim `metrics` of a
token, or an address that only this machine reaches.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus

import h11
import msgspec
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from ticker.door.auth import Auth
from ticker.door.grants import ANYONE, Grant
from ticker.errors import RefusalCause
from ticker.net.http1 import Refusal, Response, path_of
from ticker.server.feed_channel import FeedState
from ticker.server.query import check_keys, check_method, parse_query
from ticker.server.readiness import Readiness

METRICS_PATH = "/metrics"

_UNCACHED = {"Cache-Control": "no-store"}


class OperatorPages:
    """The pages for operators of one service; they have to be made when it starts."""

    def __init__(
        self,
        auth: Auth,
        feed_states: Sequence[FeedState],
        readiness: Readiness,
        metrics: Callable[[], Awaitable[bytes]],
    ) -> None:
        """`metrics` returns those of the whole service."""
        self._auth = auth
        self._feed_states = feed_states
        self._readiness = readiness
        self._metrics = metrics
        self._pages: Mapping[str, Callable[[], Awaitable[Response]]] = {
            "/healthz": _health_page,
            "/readyz": self._ready_page,
            METRICS_PATH: self._metrics_page,
        }

    def __repr__(self) -> str:
        return f"<OperatorPages: {self._readiness!r}>"

    @property
    def paths(self) -> list[str]:
        """The paths of the pages."""
        return list(self._pages)

    async def answer(
        self, request: h11.Request, headers: Mapping[bytes, bytes], address: str, *, metrics_open: bool
    ) -> Response:
        """Return a page. `metrics_open` shows metrics without a token. Raises `Refusal`."""
        path = path_of(request)
        page = self._pages.get(path)
        if page is None:
            raise Refusal(HTTPStatus.NOT_FOUND, f"there is nothing here but {', '.join(self._pages)}")
        check_method(request.method)
        self._auth.check_origin(headers, address)
        if path == METRICS_PATH and not metrics_open:
            _check_right(await self._auth.authorize(headers, address))
        check_keys(parse_query(request), set())
        return await page()

    async def _metrics_page(self) -> Response:
        return Response(await self._metrics(), CONTENT_TYPE_PLAIN_0_0_4, headers=_UNCACHED)

    async def _ready_page(self) -> Response:
        """Return whether the service has data to serve, and the state of each feed."""
        missing = self._readiness.missing()
        feeds = {each.label: each.condition for each in self._feed_states}
        if not missing:
            return Response(msgspec.json.encode({"status": "ready", "feeds": feeds}), headers=_UNCACHED)
        status, text = HTTPStatus.SERVICE_UNAVAILABLE, "; ".join(missing)
        body = {"code": status, "message": text, "status": "not ready", "feeds": feeds}
        return Response(msgspec.json.encode(body), status=status, headers={**_UNCACHED, "Retry-After": "1"})


async def _health_page() -> Response:
    return Response(msgspec.json.encode({"status": "ok"}), headers=_UNCACHED)


def _check_right(grant: Grant) -> None:
    """Raise `Refusal` for a grant without the right to see metrics."""
    if grant is ANYONE or not grant.metrics:
        text = 'metrics need a token with the claim "metrics": true, or are read at the address metrics_listen'
        raise Refusal(HTTPStatus.FORBIDDEN, text, RefusalCause.TOKEN)
