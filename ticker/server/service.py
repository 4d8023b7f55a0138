"""The service put together: feeds, publisher, listeners, connections. Here, and in the command line, `feeds` is met."""

from __future__ import annotations

import errno
import random
import secrets
import socket
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import structlog
import trio

from ticker.config import GOODBYES_PER_BURST, LISTEN_BACKLOG, Config, Limits
from ticker.core.hub import Hub
from ticker.core.last_value import LastValueCache
from ticker.door.auth import Auth
from ticker.errors import ConfigError, RefusalCause
from ticker.net.devcert import NAMES_COVERED, data_folder, development_certificate
from ticker.net.fair_queue import FairQueue
from ticker.net.http1 import STREAM_PATH
from ticker.net.tls import is_loopback
from ticker.net.transport import TlsStream
from ticker.server.cert_reload import Certificate, Reloadable, reload_on_change
from ticker.server.connection import ServerContext
from ticker.server.dispatch import CONNECTION_LOST, dispatch
from ticker.server.feed_channel import FeedMessage, FeedState
from ticker.server.feed_runner import FeedRunner
from ticker.server.files import Files
from ticker.server.housekeeping import tend
from ticker.server.metrics import Metrics
from ticker.server.pages import Pages
from ticker.server.publisher import Publisher
from ticker_feeds.loading import load_feed, without_secrets

_WEB = Path(__file__).parents[1] / "web"
"""The dashboard and the JavaScript client."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.service")


async def serve(
    config: Config,
    stop: trio.Event,
    hangups: AsyncIterator[object] | None = None,
    *,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the service until `stop` is set, and then until the clients were told; the started value is the stream's URL.

    Certificates and keys are read anew when their files change, and whenever `hangups` yields.

    Raises `ConfigError` for whatever in the configuration cannot be used.
    """
    host, port = parse_address(config.listen)
    require_secure_listener(config, host)
    feeds = [load_feed(spec) for spec in config.feeds]
    auth = Auth(config)
    if auth.keys is not None:
        await auth.keys.start()
    certificate = _certificate(config)
    listeners = await _listen(host, port)
    warn_if_anonymous(config, host)
    limits = config.limits
    cache = LastValueCache(secrets.token_hex(8), max_instruments=limits.max_instruments)
    hub = Hub(cache, snapshot_part=limits.snapshot_part)
    context = ServerContext(hub, limits, config.interval_ms, auth)
    messages, received = trio.open_memory_channel[FeedMessage](limits.feed_queue)
    publisher = Publisher(hub, limits)
    feed_states = _feed_states(config.feeds)
    pages = Pages(
        context, Files(_WEB), Metrics(context, publisher, feed_states), _Readiness(feed_states, limits).waiting_for
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publisher.run, received)
        nursery.start_soon(tend, context)
        nursery.start_soon(context.fair_queue.hand_out)
        reloadables: list[Reloadable] = [certificate]
        if auth.keys is not None:
            reloadables.append(auth.keys)
            nursery.start_soon(auth.keys.refresh)
        nursery.start_soon(reload_on_change, reloadables, hangups or _NoHangups())
        for feed_state, feed in zip(feed_states, feeds, strict=True):
            runner = FeedRunner(feed_state, feed, messages, publisher.updates_of, limits.max_batch)
            nursery.start_soon(runner.run)
        handler = partial(_handle_connection, certificate=certificate, context=context, pages=pages)
        async with trio.open_nursery() as listening:
            queued = [_QueuedListener(listener, context.fair_queue) for listener in listeners]
            await listening.start(partial(trio.serve_listeners, handler, queued, handler_nursery=nursery))
            url = _url(listeners[0])
            _log.info("the dashboard is there", url=url.replace("wss:", "https:").removesuffix(STREAM_PATH) + "/")
            task_status.started(url)
            await stop.wait()
            listening.cancel_scope.cancel()
        _log.info("stopping", clients=len(context.connections), drain_seconds=config.drain_seconds)
        with trio.move_on_after(config.drain_seconds) as drain:
            await _send_goodbyes(context, config.retry_ms)
        _log.info("stopped", cut_off=len(context.connections) if drain.cancelled_caught else 0)
        nursery.cancel_scope.cancel()


def _feed_states(specs: Sequence[str]) -> list[FeedState]:
    """One for each feed, under a name of its own that logs and metrics may show."""
    names: Counter[str] = Counter()
    feed_states = []
    for spec in specs:
        name = without_secrets(spec)
        names[name] += 1
        feed_states.append(FeedState(name if names[name] == 1 else f"{name} ({names[name]})"))
    return feed_states


class _Readiness:
    """Whether every feed has published something, or has had its time for that."""

    def __init__(self, feed_states: Sequence[FeedState], limits: Limits) -> None:
        self._feed_states = feed_states
        self._until = trio.current_time() + limits.ready_seconds

    def waiting_for(self) -> str:
        """The feeds that are still waited for, as a text; empty if there are none."""
        silent = [source.name for source in self._feed_states if not source.publications]
        return f"nothing came yet from {', '.join(silent)}" if silent and trio.current_time() < self._until else ""


class _NoHangups:
    """What never comes. (A generator would end when one stops waiting for it.)"""

    def __aiter__(self) -> AsyncIterator[object]:
        return self

    async def __anext__(self) -> object:
        return await trio.sleep_forever()


def require_secure_listener(config: Config, host: str) -> None:
    """Refuse to serve more than this machine without a certificate or without tokens. Raises `ConfigError`."""
    missing = []
    if host not in NAMES_COVERED and config.tls.cert is None and config.tls.key is None:
        missing.append(
            f"a certificate (--tls-cert FILE and --tls-key FILE; one for development covers only"
            f" {', '.join(NAMES_COVERED)})"
        )
    if not config.tokens.wanted and not is_loopback(host) and not config.allow_anyone:
        missing.append("authentication ([tokens] in the config file or --token-key FILE; or --insecure-allow-anyone)")
    if missing:
        raise ConfigError(f"listening on {host} needs {' and '.join(missing)}")


def warn_if_anonymous(config: Config, host: str) -> None:
    """Say loudly who gets in without a token."""
    if not config.tokens.wanted:
        whom = "every program on this machine" if is_loopback(host) else "EVERYBODY WHO CAN REACH IT"
        _log.warning(f"no tokens are asked for: {whom} may see all prices", listen=config.listen)


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


def _certificate(config: Config) -> Certificate:
    """The configured certificate, or on this machine's own addresses a development one."""
    cert, key = config.tls.cert, config.tls.key
    if cert is not None and key is not None:
        return Certificate(Path(cert), Path(key))
    if cert is not None or key is not None:
        raise ConfigError("a certificate and its key go together: give both --tls-cert and --tls-key")
    made = development_certificate(data_folder())
    _log.info("using a development certificate; its authority is for clients on this machine", ca=str(made.authority))
    return Certificate(made.cert, made.key)


async def _listen(host: str, port: int) -> list[trio.SocketListener]:
    try:
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=LISTEN_BACKLOG)
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


class _QueuedListener(trio.abc.Listener[trio.SocketStream]):
    """Accepts a connection when it is its turn: in a storm, most wait in the kernel and not half-way in."""

    def __init__(self, listener: trio.SocketListener, fair_queue: FairQueue) -> None:
        self._listener = listener
        self._turns = fair_queue

    async def accept(self) -> trio.SocketStream:
        await trio.lowlevel.wait_readable(self._listener.socket)
        await self._turns.take()
        return await self._listener.accept()

    async def aclose(self) -> None:
        await self._listener.aclose()


async def _handle_connection(
    accepted: trio.SocketStream, *, certificate: Certificate, context: ServerContext, pages: Pages
) -> None:
    """One connection, whatever happens on it: nothing but cancellation leaves here."""
    address = "?"
    connection_limits = context.auth.connection_limits
    sock = socket.socket(fileno=accepted.socket.detach())
    try:
        address = sock.getpeername()[0]
        room = connection_limits.connected(address)
        try:
            if room:
                await _serve_tls(TlsStream(sock, certificate.context, context.fair_queue), address, context, pages)
        finally:
            connection_limits.disconnected(address)
    except CONNECTION_LOST as error:
        _log.debug("connection lost", peer=address, cause=str(error) or type(error).__name__)
    except Exception:  # noqa: BLE001  # a fault on one connection must not reach the others
        _log.exception("connection failed", peer=address)
    finally:
        sock.close()


async def _serve_tls(stream: TlsStream, address: str, context: ServerContext, pages: Pages) -> None:
    turned_away = context.auth.connection_limits.refusals
    try:
        try:
            with trio.fail_after(context.limits.handshake_seconds):
                await stream.handshake()
        except trio.BrokenResourceError:
            turned_away[RefusalCause.TLS] += 1
            raise
        except trio.TooSlowError:
            turned_away[RefusalCause.TIMEOUT] += 1
            raise
        await dispatch(stream, address, context, pages)
    finally:
        with trio.CancelScope(shield=True):
            await stream.aclose()


async def _send_goodbyes(context: ServerContext, retry_ms: tuple[int, int]) -> None:
    async with trio.open_nursery() as nursery:
        for number, connection in enumerate(list(context.connections), 1):
            nursery.start_soon(connection.send_goodbye, random.randint(*retry_ms))  # noqa: S311  # spread, not secret
            if number % GOODBYES_PER_BURST == 0:  # shielded: all are told, even if there is no time to wait for them
                await trio.lowlevel.cancel_shielded_checkpoint()
