"""The service put together: feeds, publisher, listeners, connections. Here, and in the command line, `feeds` is met."""

from __future__ import annotations

import errno
import random
import secrets
import socket
import ssl
from functools import partial
from pathlib import Path

import h11
import structlog
import trio

from feeds import Feed
from feeds.loading import load_feed
from ticker.config import Config, Limits
from ticker.devcert import NAMES_COVERED, data_folder, development_certificate
from ticker.errors import ConfigError
from ticker.front_door import STREAM_PATH, Refusal, Upgrade, receive_request, respond, route
from ticker.hub import Hub
from ticker.last_value import LastValueCache
from ticker.market import FeedItem
from ticker.publisher import Publisher
from ticker.tls import server_context
from ticker.transport import TlsStream
from ticker.websocket import Service, serve_websocket

_RETRY_MS = (500, 3000)
"""Between these a client is told to come back after a stop, at random, so that not all come at once."""

_LEAVE_SECONDS = 3.0
"""How long all clients together may take to say goodbye."""

_RESTART_SECONDS = (0.5, 30.0)
"""The first and the longest wait before a feed that failed is started again."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server")


async def serve(
    config: Config, stop: trio.Event, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run the service until `stop` is set, and then until the clients were told; the started value is the stream's URL.

    Raises `ConfigError` for whatever in the configuration cannot be used.
    """
    host, port = parse_address(config.listen)
    feeds = [(spec, load_feed(spec)) for spec in config.feeds]
    context = _tls_context(config, host)
    listeners = await _listen(host, port)
    limits = config.limits
    cache = LastValueCache(secrets.token_hex(8), max_instruments=limits.max_instruments)
    hub = Hub(cache, snapshot_part=limits.snapshot_part)
    service = Service(hub, limits, config.interval_ms)
    updates, items = trio.open_memory_channel[FeedItem](limits.feed_queue)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Publisher(hub, limits).run, items)
        for spec, feed in feeds:
            nursery.start_soon(_keep_running, spec, feed, updates)
        handler = partial(_handle, context=context, service=service)
        async with trio.open_nursery() as listening:
            await listening.start(partial(trio.serve_listeners, handler, listeners, handler_nursery=nursery))
            task_status.started(_url(listeners[0]))
            await stop.wait()
            listening.cancel_scope.cancel()
        with trio.move_on_after(_LEAVE_SECONDS):
            await _say_goodbye(service)
        nursery.cancel_scope.cancel()


def parse_address(text: str) -> tuple[str, int]:
    """HOST:PORT, an IPv6 host in brackets. Raises `ConfigError` for anything else."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or (":" in host and not bracketed) or not (port.isascii() and port.isdigit()):
        raise ConfigError(f"listen {text!r}: give HOST:PORT, such as 127.0.0.1:8443 or [::1]:8443")
    if len(port) > 5 or int(port) > 65_535:
        raise ConfigError(f"listen {text!r}: a port is a number from 0 to 65535")
    return host.strip("[]"), int(port)


def _url(listener: trio.SocketListener) -> str:
    host, port = listener.socket.getsockname()[:2]
    return f"wss://{f'[{host}]' if ':' in host else host}:{port}{STREAM_PATH}"


def _tls_context(config: Config, host: str) -> ssl.SSLContext:
    """The configured certificate's context, or on this machine's own addresses a development one's."""
    cert, key = config.tls.cert, config.tls.key
    if cert is not None and key is not None:
        return server_context(Path(cert), Path(key))
    if cert is not None or key is not None:
        raise ConfigError("a certificate and its key go together: give both --tls-cert and --tls-key")
    if host not in NAMES_COVERED:
        raise ConfigError(
            f"listening on {host} needs a certificate: give --tls-cert FILE and --tls-key FILE (development"
            f" certificates are made only for {', '.join(NAMES_COVERED)})"
        )
    made = development_certificate(data_folder())
    _log.info("using a development certificate; its authority is for clients on this machine", ca=str(made.authority))
    return server_context(made.cert, made.key)


async def _listen(host: str, port: int) -> list[trio.SocketListener]:
    try:
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=4096)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "that is no host name"
        raise ConfigError(f"cannot listen on {host!r}: {reason}; give an address of this machine") from None
    except (OSError, ExceptionGroup) as error:
        code = error.errno if isinstance(error, OSError) else None
        reason = "the port is in use" if code == errno.EADDRINUSE else str(error)
        raise ConfigError(f"cannot listen on {host}:{port}: {reason}; give another address with --listen") from None
    if port == 0:
        # A name with several addresses would get a different port on each; the first is the one that is announced.
        for other in listeners[1:]:
            await other.aclose()
        return listeners[:1]
    return listeners


async def _handle(accepted: trio.SocketStream, *, context: ssl.SSLContext, service: Service) -> None:
    """One connection, whatever happens on it: nothing but cancellation leaves here."""
    peer = "?"
    sock = socket.socket(fileno=accepted.socket.detach())
    try:
        peer = sock.getpeername()[0]
        stream = TlsStream(sock, context, service.turn)
        try:
            await _let_in(stream, service)
        finally:
            with trio.CancelScope(shield=True):
                await stream.aclose()
    except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as error:
        _log.debug("connection lost", peer=peer, cause=str(error) or type(error).__name__)
    except Exception:  # noqa: BLE001  # a fault on one connection must not reach the others
        _log.exception("connection failed", peer=peer)
    finally:
        sock.close()


async def _let_in(stream: TlsStream, service: Service) -> None:
    with trio.fail_after(service.limits.handshake_seconds):
        await stream.handshake()
    admitted = await _admit(stream, service.limits)
    if admitted is not None:
        await serve_websocket(stream, *admitted, service)


async def _admit(stream: TlsStream, limits: Limits) -> tuple[Upgrade, bytes] | None:
    """A valid request to upgrade, and what came behind it; None if the request was something else and was answered."""
    request: h11.Request | None = None
    try:
        with trio.fail_after(limits.handshake_seconds):
            request, rest = await receive_request(stream, limits.max_head_bytes)
        return route(request), rest
    except Refusal as refusal:
        with trio.fail_after(limits.handshake_seconds):
            await respond(stream, refusal, head_only=request is not None and request.method == b"HEAD")
    return None


async def _say_goodbye(service: Service) -> None:
    async with trio.open_nursery() as nursery:
        for connection in list(service.connections):
            nursery.start_soon(connection.leave, random.randint(*_RETRY_MS))  # noqa: S311  # spread, not secret


async def _keep_running(spec: str, feed: Feed, updates: trio.MemorySendChannel[FeedItem]) -> None:
    """Run a feed, and again each time it fails, after longer and longer waits."""
    wait = _RESTART_SECONDS[0]
    while True:
        began = trio.current_time()
        try:
            # A channel of its own: a feed that closes it closes it for nobody else.
            async with updates.clone() as own:
                await feed.run(own)
        except (Exception, SystemExit):  # noqa: BLE001  # a feed is somebody's code; its fault must not reach the service
            if trio.current_time() - began > _RESTART_SECONDS[1]:
                wait = _RESTART_SECONDS[0]
            _log.exception("feed failed", feed=spec, restart_in_seconds=wait)
            await trio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311  # spread, not secret
            wait = min(wait * 2, _RESTART_SECONDS[1])
        else:
            _log.info("feed ended", feed=spec)
            return
