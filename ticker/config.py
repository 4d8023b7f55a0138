"""Options and limits of the service. `ticker/commands/settings.py` reads the options from TOML; flags win.

Every bound on the service's memory, counts and waits has its consequence beside it: `Limits` holds those that an
operator may set, `ticker.bounds` and `ticker.bus_bounds` those that are fixed. Elsewhere stand only the ranges of the
protocol (`ticker.market` and `ticker.protocol`), the number of logged causes (`ticker.errors`), the bounds of a client
(`ticker/client`) and those of each feed (in its own module). Options out of range raise `ConfigError`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields
from typing import Final, Literal

from ticker.bounds import SHARED_ALLOWANCE
from ticker.durations import parse_delay
from ticker.errors import ConfigError
from ticker.market import MAX_BATCH

MAX_WORKERS = 512
"""The most workers: each has a copy of the market and takes tens of megabytes besides."""

MAX_INTERVAL_MS = 60_000
"""The longest interval: a client that wants a frame more seldom than once a minute gets one a minute."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate chain and its private key, both PEM. Without them a loopback address gets a development one."""

    cert: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Proxies:
    """Proxies in front of the service, by the way in which they tell a client's address. Each is a network
    (`10.1.0.0/16`), an address, or `unix` for the peers at Unix sockets."""

    proxy_protocol: list[str] = field(default_factory=list)
    """Their connections begin with a header of the PROXY protocol, version 1 or 2; without one they are closed."""
    x_forwarded_for: list[str] = field(default_factory=list)
    """They append the client's address to the header X-Forwarded-For of a request."""
    forwarded: list[str] = field(default_factory=list)
    """They append the client's address to the header Forwarded (RFC 7239)."""

    @property
    def wanted(self) -> bool:
        """Whether there are any."""
        return bool(self.proxy_protocol or self.x_forwarded_for or self.forwarded)


@dataclass(frozen=True, slots=True)
class Tokens:
    """The issuer of tokens. One of `key`, `jwks` and `secret` switches authentication on."""

    key: str | None = None
    """The issuer's public key, PEM: Ed25519, ECDSA on P-256 or RSA. Its type implies the algorithm."""
    jwks: str | None = None
    """The issuer's JWK Set: a file, or an https URL."""
    algorithm: Literal["EdDSA", "ES256", "RS256"] | None = None
    """With `jwks`: the one algorithm that tokens may be signed with."""
    secret: str | None = None
    """A file with a secret shared with the issuer, for HS256."""
    audience: str = "ticker"
    """Tokens must have this among their `aud`."""
    issuer: str | None = None
    """Tokens must have this as `iss`, if given."""
    cookie: str = "ticker_token"
    """The cookie that may carry a token."""

    def __post_init__(self) -> None:
        if sum(each is not None for each in (self.key, self.jwks, self.secret)) > 1:
            raise ConfigError("tokens: give one of key, jwks and secret")
        if (self.jwks is None) != (self.algorithm is None):
            raise ConfigError("tokens: jwks and algorithm go together (EdDSA, ES256 or RS256)")

    @property
    def wanted(self) -> bool:
        """Whether clients need a token."""
        return self.key is not None or self.jwks is not None or self.secret is not None


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables that clients may subscribe to: books, prints and candles."""

    depths: tuple[int, ...] = (10, 25, 100)
    """Levels of each side of `book:N`."""
    trades: tuple[int, ...] = (10, 20, 50, 100, 200, 500, 1000)
    """Prints in `trades:N`; the largest is also the number of those that are kept."""
    bars: tuple[int, ...] = (10, 50, 100, 300, 500, 1000)
    """Bars in `candles:PERIOD:N`; the largest is also the number of those that are kept."""
    periods: tuple[str, ...] = ("1m", "5m", "1h", "1d")
    """Periods of candles: a number and s, m, h or d. Each is built for every instrument that trades."""
    day: str = "UTC"
    """Where and when a day of `1d` begins: a zone of the IANA database, and perhaps HH:MM in it
    (`America/New_York 17:00`). A week (`7d`) begins with its Monday."""
    max_instruments: int = 5_000
    """Instruments that have a book, prints or bars: those that are first with any. Of others only quotes are served,
    and their tables get outcome 13. One with 1,000 prints and four periods of 1,000 bars takes 0.5 MB."""
    max_open: int = 100_000
    """Tables that anybody has asked for since the start; those beyond it get outcome 13. One that nobody watches takes
    some 500 bytes. One subject, or else address, may have so many of them opened as `SHARED_ALLOWANCE` connections may
    have (`max_tables`), but at most half; of instruments that appear later, tables only open into the first half."""

    def __post_init__(self) -> None:
        for name, most in (("depths", 5_000), ("trades", 10_000), ("bars", 10_000)):
            numbers = getattr(self, name)
            if list(numbers) != sorted(set(numbers)) or not all(1 <= number <= most for number in numbers):
                text = f"tables.{name} = {list(numbers)}: give numbers from 1 to {most}, ascending, each once"
                raise ConfigError(text)
        for period in self.periods:
            if re.fullmatch("[1-9][0-9]{0,3}[smhd]", period) is None or self.periods.count(period) > 1:
                raise ConfigError(
                    f"tables.periods = {list(self.periods)}: give each once, a number and s, m, h or d (5m, 1h)"
                )
        for name in ("max_open", "max_instruments"):
            if getattr(self, name) < 1:
                raise ConfigError(f"tables.{name} = {getattr(self, name)}: give a number above 0")


@dataclass(frozen=True, slots=True)
class History:
    """The file of candles, from which charts have their past after a restart, and `/v1/candles` older bars."""

    enabled: bool = True
    """Whether bars are written and loaded."""
    file: str | None = None
    """An SQLite database; None is `history.sqlite` in the data folder (`$TICKER_HOME`). One service writes to it."""
    keep_bars: int = 50_000
    """Bars that are kept of each symbol and period: those that began so many periods ago are deleted. (34 days of 1m,
    173 of 5m, 5 years of 1h.)"""
    max_bytes: int = 2_147_483_648
    """Bytes of the file; near it, the oldest bars of all symbols and periods are deleted."""

    def __post_init__(self) -> None:
        if not 1 <= self.keep_bars <= 100_000_000:
            raise ConfigError(f"history.keep_bars = {self.keep_bars}: give 1 to 100000000 bars")
        if self.max_bytes < 1_048_576:
            raise ConfigError(f"history.max_bytes = {self.max_bytes}: give 1048576 bytes (1 MiB) or more")
        if self.file == "":
            raise ConfigError("history.file is empty: name a file, or leave it out")


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage log: which client saw which instruments and tables, from when to when."""

    folder: str | None = None
    """Where its files are; None: there is none. Several services may share a folder."""
    max_bytes: int = 67_108_864
    """Bytes of a file, besides what it repeats of others; then the next one begins, as it does at midnight UTC."""
    keep_days: int = 1_100
    """Days for which files are kept after their last line: three years. There is no limit to their size."""

    def __post_init__(self) -> None:
        if self.folder == "":
            raise ConfigError("usage.folder is empty: name a folder, or leave it out")
        if self.max_bytes < 65_536:
            raise ConfigError(f"usage.max_bytes = {self.max_bytes}: give 65536 bytes (64 KiB) or more")
        if not 1 <= self.keep_days <= 36_500:
            raise ConfigError(f"usage.keep_days = {self.keep_days}: give 1 to 36500 days")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one client or one feed, each with its consequence."""

    max_connections: int = 20_000
    """All connections: 503 with Retry-After; see `MAX_PENDING_CONNECTIONS`."""
    max_per_address: int = 1_000
    """Connections from one address (behind a proxy or NAT many users share one): 429 with Retry-After."""
    max_per_subject: int = 1_000
    """Connections with one token's `sub`: 429 with Retry-After."""
    requests_per_second: int = 100
    """Requests of one client, pings included; large ones, and searches of many instruments, count as several. Beyond
    it, the client's messages are read only at this rate. So are TLS records, of every connection and whatever is in
    them."""
    request_burst: int = 100
    """Requests of one client at once, before that rate applies."""
    max_client_bytes: int = 33_554_432
    """Bytes that are kept for one client: its subscriptions, and bytes that its socket has not taken. Beyond it, the
    client is dropped."""
    max_address_bytes: int = 268_435_456
    """Bytes that are kept for all clients from one address (of IPv6: one /64). A client that needs more beyond it is
    dropped, a request over HTTP gets 429."""
    max_clients_bytes: int = 1_073_741_824
    """Bytes that are kept for all clients; likewise."""
    max_message_bytes: int = 65_536
    """A longer client message: ERROR 2, then close 1009."""
    max_symbols: int = 2_000
    """Symbols and patterns of one connection; those beyond it get outcome 8."""
    max_patterns: int = 32
    """Patterns among them, each of which costs a comparison with every instrument; likewise."""
    max_tables: int = 500
    """Tables (books, prints, candles) of one connection; those beyond it get outcome 13."""
    max_instruments: int = 100_000
    """Instruments in the cache; a feed's declarations beyond it are refused, counted and logged."""
    max_head_bytes: int = 16_384
    """A longer request head: 431, and the connection is closed."""
    handshake_seconds: float = 10.0
    """Time for the TLS handshake, and again for the request head; then the connection is closed."""
    heartbeat_seconds: float = 10.0
    """Time without a frame to a client; then it gets a HEARTBEAT."""
    stall_seconds: float = 60.0
    """Time without progress of a client's socket; then the client is dropped."""
    ping_seconds: float = 60.0
    """Time without a frame from a client; then it gets a WebSocket ping."""
    pong_seconds: float = 30.0
    """Time without a frame from a client after that: close 4008."""
    ready_seconds: float = 30.0
    """Time for which `/readyz` waits for feeds without data, once one has brought some."""
    expiry_warning_seconds: float = 60.0
    """Time before a token's expiry at which its client gets EXPIRING; at the expiry, ERROR 11 and close 4001."""
    feed_queue: int = 10_000
    """Items that wait between feeds and the publisher; beyond it, feeds wait."""
    updates_per_cut: int = 2_000
    """Waiting publications that are folded into one cut; a batch is never split."""
    max_batch: int = MAX_BATCH
    """Publications in one batch; a feed that sends a larger one fails, and is started again. Feeds rely on the
    default, so it can only be raised."""
    snapshot_part: int = 256
    """Instruments per part of a large snapshot."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not 0 < value < math.inf:
                raise ConfigError(f"limits.{each.name} = {value}: give a number above 0")
        if self.max_batch < MAX_BATCH:
            raise ConfigError(f"limits.max_batch = {self.max_batch}: give {MAX_BATCH} or more; feeds rely on it")


def most_opened(limits: Limits, tables: Tables) -> int:
    """Return how many tables may be opened for one subject, or else address, since the start; beyond it, outcome 13."""
    return max(1, min(SHARED_ALLOWANCE * limits.max_tables, tables.max_open // 2))


_DEFAULT_FEEDS: Final = ["simulated"]
"""The feeds where none is named."""


@dataclass(frozen=True, slots=True)
class Config:
    """All of `ticker serve`."""

    listen: str | list[str] = "127.0.0.1:8443"
    """One address or several: HOST:PORT, an IPv6 host in brackets; port 0 takes a free one; or unix:PATH. With http://
    in front it has no TLS, which is for a proxy on this machine that ends it."""
    feeds: list[str] = field(default_factory=lambda: _DEFAULT_FEEDS)
    """Feed specs, `NAME?option=value&option=value`."""
    interval_ms: int = 0
    """Least milliseconds between frames to a client; a client may ask for more, not for less."""
    log_format: Literal["console", "json"] = "console"
    """Format of the log on stderr, for people or for machines."""
    tls: TlsFiles = field(default_factory=TlsFiles)
    tokens: Tokens = field(default_factory=Tokens)
    origins: list[str] = field(default_factory=list)
    """Origins besides the service's own from which pages may connect: https://dash.example.com, an application's
    (capacitor://localhost), or `null`, which is every page without an origin."""
    allow_anyone: bool = False
    """Serve an address that other machines can reach without tokens."""
    drain_seconds: float = 10.0
    """Time for all clients together to leave when the service stops."""
    retry_ms: tuple[int, int] = (500, 3000)
    """Bounds of the random delay after which clients reconnect after a stop, so that they do not all come at once. Of
    many clients, the upper one is raised (`ticker.bounds.RETURNS_PER_SECOND`)."""
    tables: Tables = field(default_factory=Tables)
    history: History = field(default_factory=History)
    keep_state: bool = True
    """Whether the market is kept over a clean stop, in a file in the data folder (`$TICKER_HOME`): clients resume after
    the next start on this address as after a lost connection."""
    usage: Usage = field(default_factory=Usage)
    limits: Limits = field(default_factory=Limits)
    metrics_listen: str | None = None
    """A further HOST:PORT with `/metrics`, `/healthz` and `/readyz` only, over TLS. On a loopback address it shows
    metrics without a token."""
    path_prefix: str = ""
    """What stands before every path of the service, such as /ticker, where a proxy leaves it there."""
    proxies: Proxies = field(default_factory=Proxies)
    workers: int | str = 1
    """Processes that serve clients; `auto` is one for each core. With 1, one process does everything; with more, the
    feeds have a process of their own, and a further one accepts connections and keeps all running."""
    bus: str | None = None
    """Address of a Redis or Valkey that carries the market between the processes of one service, on any number of
    machines: redis://HOST, rediss://HOST or redis+sentinel://HOST,HOST. With feeds, this process is a source of it, or
    stands by to be it; without, an edge that serves clients."""
    follow: str | list[str] = field(default_factory=list)
    """Addresses of another ticker whose market is served here: wss://HOST:PORT. The first that can be followed is."""
    follow_ca: str | None = None
    """Authorities of its certificate, a PEM file; None are the system's."""
    follow_token_file: str | None = None
    """A file with the token for it, read for each connection; None is `TICKER_FOLLOW_TOKEN`, if that is set."""
    delay: str | None = None
    """The market is served as it was so long ago, such as 15m: on an edge, or with several workers. With tokens, those
    with the claim `realtime` see it in real time, at the same address."""

    def __post_init__(self) -> None:
        if not 0 <= self.interval_ms <= MAX_INTERVAL_MS:
            raise ConfigError(f"interval_ms = {self.interval_ms}: give 0 to {MAX_INTERVAL_MS} milliseconds")
        if not 0 <= self.drain_seconds <= 3600:
            raise ConfigError(f"drain_seconds = {self.drain_seconds}: give 0 to 3600 seconds")
        if not 0 <= self.retry_ms[0] <= self.retry_ms[1] <= 3_600_000:
            raise ConfigError(
                f"retry_ms = {list(self.retry_ms)}: give two numbers of milliseconds, the lower one first"
            )
        if self.workers != "auto" and not (isinstance(self.workers, int) and 1 <= self.workers <= MAX_WORKERS):
            raise ConfigError(f"workers = {self.workers!r}: give 1 to {MAX_WORKERS} processes, or auto")
        if not self.addresses:
            raise ConfigError("listen: give at least one address")
        if re.fullmatch(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*", self.path_prefix) is None:
            raise ConfigError(f"path_prefix {self.path_prefix!r}: give a path without a slash at its end: /ticker")
        if not self.feeds:
            raise ConfigError("feeds: give at least one feed spec")
        if self.delay is not None:
            parse_delay(self.delay, "delay")

    @property
    def delay_seconds(self) -> int:
        """The delay of the market, 0 for none."""
        return 0 if self.delay is None else parse_delay(self.delay, "delay")

    @property
    def has_feeds(self) -> bool:
        """Whether there are feeds: on a bus, or where another ticker is followed, those only that are named."""
        return (self.bus is None and not self.follow) or self.feeds is not _DEFAULT_FEEDS

    def check_market(self) -> None:
        """Check that there is one place where the market comes from. Raises `ConfigError`."""
        if "" in self.followed:
            raise ConfigError("follow is empty: give wss://HOST:PORT, or leave it out")
        if self.followed and self.bus is not None:
            raise ConfigError(
                "follow and bus: give one of them; an edge of the bus can be followed, and is no follower"
            )
        if self.followed and self.has_feeds:
            raise ConfigError("follow and feeds: the market comes from the ticker that is followed; leave feeds out")
        if not self.followed:
            for key, value in (("follow_ca", self.follow_ca), ("follow_token_file", self.follow_token_file)):
                if value is not None:
                    raise ConfigError(f"{key}: it is for a ticker that is followed, and none is; give follow, too")

    @property
    def followed(self) -> list[str]:
        """The addresses of `follow`."""
        return [self.follow] if isinstance(self.follow, str) else self.follow

    @property
    def addresses(self) -> list[str]:
        """The addresses of `listen`."""
        return [self.listen] if isinstance(self.listen, str) else self.listen
