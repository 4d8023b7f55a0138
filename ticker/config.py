"""Options and limits of the service. `ticker/commands/settings.py` reads the options from TOML; flags win.

Every bound on the service's memory, counts and waits stands here, with its consequence: `Limits` holds those that an
operator may set, the constants are fixed. Elsewhere stand only the ranges of the protocol (`ticker.market` and
`ticker.protocol`), the number of logged causes (`ticker.errors`), the bounds of a client (`ticker/client`) and those of
each feed (in its own module). Options out of range raise `ConfigError`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields
from typing import Literal

from ticker.errors import ConfigError
from ticker.market import MAX_BATCH

MAX_INTERVAL_MS = 60_000
"""The longest interval: a client that wants a frame more seldom than once a minute gets one a minute."""

# Connections and requests

MAX_PENDING_CONNECTIONS = 1_000
"""Connections beyond `max_connections`, and beyond `max_per_address`, that are refused with a response to a request;
further ones are closed at once."""

LISTEN_BACKLOG = 4_096
"""Connections that the kernel completes before they are accepted; those beyond it wait for the client's next SYN."""

NETWORKS_REMEMBERED = 65_536
"""Addresses of which the network is remembered; that of others is computed anew."""

MAX_PROXY_HEADER_BYTES = 4_096
"""Bytes of a header of the PROXY protocol: a connection with a longer one is closed."""

MAX_PROXY_HOPS = 16
"""Proxies in front of each other that are followed in X-Forwarded-For or Forwarded; beyond it, the last one counts as
the client."""

REPEAT_LOG_SECONDS = 60.0
"""Time in which a line about the same mistake of a client or a proxy is logged once."""

REPEAT_LOG_LINES = 10
"""Lines about different ones in that time; further ones are only counted."""

SHARED_ALLOWANCE = 10
"""All streams from one address, or of one subject, may together make so many times the work of one; beyond it they are
read later. A request's first unit does not count. Likewise, so many times the tables of one may be opened for them."""

SHARED_WAIT_SECONDS = 60.0
"""The longest wait for this reason, whatever the others have spent: a thousand dashboards that come back at once, or an
attacker, shut nobody at the same address out for hours."""

BYTES_PER_NAME = 600
"""Upper estimate of the bytes that are kept for a subscribed name, besides its characters."""

BYTES_PER_JOIN = 150
"""Upper estimate of the bytes that are kept for each instrument that a small subscription matches."""

FULL_RETRY_SECONDS = 5
"""Retry-After of a request that is refused because a limit of connections is reached."""

MAX_REQUEST_ITEMS = 16_384
"""Elements of an array or a map in a client's message: ERROR 1, then close 1007, before memory is allocated for it."""

MAX_REQUEST_NAMES = 10_000
"""Symbols and patterns of one request: ERROR 5. (`max_symbols` bounds those of a connection.)"""

MAX_UNFINISHED_BYTES = 65_536
"""Bytes of WebSocket frames received beyond `max_message_bytes` before a message is complete: close 1009."""

FOUND_PER_REPLY = 500
"""Instruments in one reply to a search, on the stream and over HTTP; `more` is then true, and `after` goes on."""

BYTES_PER_REQUEST_UNIT = 256
"""Bytes of a client's message that count as one request in `requests_per_second`."""

SCANNED_PER_REQUEST_UNIT = 500
"""Instruments compared with a pattern that count as one request in `requests_per_second`."""

JOINED_PER_REQUEST_UNIT = 200
"""Names and instruments that join or leave a client's subscriptions that count as one request."""

CHECKSUM_IN_JOINS = 2
"""A checksum of a record costs as much as so many entries of the watch index."""

COUNTED_PER_JOIN = 4
"""Instruments whose updates are counted, which costs as much as one that joins."""

SENT_PER_REQUEST_UNIT = 100
"""Instruments sent because a client asked for them that count as one request."""

ANSWER_BYTES_PER_REQUEST_UNIT = 4_096
"""Bytes of an answer that count as one request."""

CLOSE_SECONDS = 2.0
"""Time for a client's answer to a close frame, or for the end of its event stream; then the connection is closed."""

# Tokens and their keys

MAX_TOKEN = 8_192
"""Characters of a token; a longer one is refused."""

MAX_TOKEN_SUBJECT = 256
"""Characters of a token's `sub`; a token with a longer one is refused."""

MAX_TOKEN_SYMBOLS = 1_000
"""Symbols and patterns of a token; a token with more is refused."""

TOKEN_LEEWAY_US = 10_000_000
"""Tolerated difference between the issuer's clock and ours: tokens hold so much earlier and longer than they say."""

MAX_JWKS_KEYS = 100
"""Keys of a JWK Set; a set with more is refused, and the keys in use stay."""

MAX_JWKS_BYTES = 1_048_576
"""Bytes of a JWK Set at a URL; a longer one is refused, and the keys in use stay."""

KEY_FETCH_SECONDS = 10.0
"""Time to fetch a JWK Set from a URL; then the keys in use stay."""

KEY_REFRESH_SECONDS = 300.0
"""Time between two fetches of a JWK Set from a URL: a withdrawn key counts for this long at most."""

UNKNOWN_KEY_SECONDS = 30.0
"""Least time between two loads of the keys for tokens that name an unknown key; until then such tokens are refused."""

CERT_POLL_SECONDS = 5.0
"""Time between two checks of the files of certificates and keys for changes."""

# Sockets

SEND_BUFFER_BYTES = 65_536
"""The kernel's send buffer of a connection (SO_SNDBUF): stale prices of a slow client wait in it."""

NOTSENT_LOWAT_BYTES = 16_384
"""Bytes in that buffer that are not on their way yet (TCP_NOTSENT_LOWAT); beyond it the socket takes no more."""

TCP_USER_TIMEOUT_MS = 90_000
"""Time without an acknowledgement by the peer; then the kernel ends the connection (RFC 5482)."""

RECORDS_PER_TURN = 16
"""TLS records of a connection that are handed to OpenSSL in one turn; those beyond it wait for the next one."""

LINGER_READS = 64
"""Reads of 16 KB from a connection that is closed, until its peer closes too; then it is cut off."""

TLS_CLOSE_SECONDS = 1.0
"""Time to send the unsent bytes and the close_notify of a connection that is closed; then it is cut off."""

# Files and names

FILE_SECONDS = 10.0
"""Time to read a certificate or a key from its file; then the one in use stays."""

MAX_FILE_THREADS = 4
"""Threads that read such files; with as many that hang in the file system, further ones wait, for that time too."""

MAX_NAME_LOOKUPS = 32
"""Names that are looked up at once; further ones are refused, and their feeds try again."""

# Standard streams

OUTPUT_QUEUE_BYTES = 1_048_576
"""Bytes of stderr, and of a service's stdout, that wait for their reader; lines beyond it are lost and counted."""

OUTPUT_FINISH_SECONDS = 1.0
"""Time at the end of a process to write the text that waits; the rest is lost."""

# Fairness

MAX_TURNS_PER_ROUND = 8
"""Handshakes, requests and ends of connections that are handled in one round of Trio's loop; the others wait."""

TURNS_ROUND_SECONDS = 0.00025
"""While rounds are shorter than this, more turns are given in each; while they take twice as long, fewer."""

COMPARISONS_PER_STEP = 2_000
"""Instruments compared with a pattern between two yields: about a millisecond."""

NAMES_PER_STEP = 250
"""Names of a request that are looked up between two yields: about a millisecond."""

TABLES_PER_STEP = 50
"""Tables opened in one step."""

ENCODED_PER_STEP = 500
"""Entries encoded between two yields, where many are needed at once: a millisecond."""

WRITTEN_PER_STEP = 100
"""Records of a page that are written between two yields."""

SPARE_MATCHES = 256
"""Patterns of which the matching instruments are remembered although nobody is subscribed; beyond that, the oldest are
compared again."""

BYTES_PER_WRITE = 16_384
"""Bytes that count as one of the writes below."""

WRITES_PER_BURST = 64
"""Writes to clients between two yields of the publisher; meanwhile, everything else waits."""

AUDIENCES_PER_GROUP = 128
"""Audiences without an interval that share one pass; further ones form groups with passes of their own."""

GOODBYES_PER_BURST = 10
"""Clients that get their GOODBYE between two yields of a service that stops."""

CHECKS_PER_BURST = 50
"""Connections checked for timeouts between two yields."""

CHECK_SECONDS = 1.0
"""Time between two checks of every connection's timeouts: each timeout is so much longer at most."""

REFUSAL_LOG_CHECKS = 10
"""Checks between two log lines that count refused connections."""

SLOW_CONSUMER_LOG_SECONDS = 1.0
"""Pauses of a client's delivery that last this long are logged once the client has caught up."""

RESERVED_DESCRIPTORS = 200
"""File descriptors beside those of connections: listeners, feeds, logs, files that are read."""

ACCEPT_RETRY_SECONDS = 0.1
"""Time to the next attempt to accept a connection while descriptors or memory of the kernel are used up."""

EXHAUSTION_LOG_SECONDS = 10.0
"""Time between two log lines about that."""

MAX_METRICS_CONNECTIONS = 100
"""Connections to `metrics_listen` at once; further ones are closed without an answer."""

NOTIFY_SECONDS = 5.0
"""Time for a message to the service manager; then it is lost, with a line in the log."""

STATUS_SECONDS = 10.0
"""Time between two messages to the service manager about clients and feeds."""

NOTIFY_FEEDS_NAMED = 10
"""Feeds without data that such a message names; of further ones it has the number."""

METRICS_SAMPLE_INSTRUMENTS = 20_000
"""Instruments of these connections whose updates are counted; then the sample ends."""

METRICS_SAMPLE = 500
"""Connections of which the metrics take the conflation ratio."""

# Caches of encoded data

MAX_CHANGE_SETS = 64
"""Change sets of one cut, each of another `since`, that are kept; beyond that, they are made again."""

ENTRIES_PER_INSTRUMENT = 4
"""Encoded entries that are kept of each instrument, on average; beyond that, all are made again."""

MAX_KNOWN_FIELDS = 1_000
"""Field names of which key and kind are kept; those of others are looked up each time."""

MAX_LEVELS = 10_000
"""Price levels of each side of a book; beyond it the worst are dropped and counted, and not known from then on."""

AHEAD_SECONDS = 3_600
"""A print, quote or bar whose time lies more than this ahead of its cut's does not hold up what comes after it."""

CROSSED_SECONDS = 5
"""A book whose best bid is not below its best ask for longer than this is shown as stale until that ends."""

EVENT_ENCODINGS = 256
"""Encodings of event streams, one for each view of the instruments, that are kept; beyond that, they are made again."""

# Restarts

STATE_SECONDS = 3600
"""An earlier state of the market than that is not gone on from."""

STATE_WRITE_SECONDS = 20
"""For so long a stop writes it at most, before the goodbyes."""

STATE_PIECE_BYTES = 1_048_576
"""So much of it is encoded between two turns of other tasks."""

RESUME_SECONDS = 60
"""For so long after a restart, the tables that were watched are kept for the clients that come back."""

# History

HISTORY_WRITE_SECONDS = 1.0
"""Time between two writes of the changed bars: what a killed process loses of them."""

HISTORY_RETRY_SECONDS = 15.0
"""Time to the next attempt after a failed write; meanwhile the bars wait in memory."""

MAX_WAITING_BARS = 200_000
"""Bars that wait to be written; beyond it, the oldest are dropped and counted."""

BARS_PER_TRANSACTION = 20_000
"""Bars written in one transaction; the others follow in the next one."""

BARS_PER_STEP = 250
"""Bars taken from the cache between two yields: about a millisecond."""

RESTORED_PER_STEP = 250
"""Bars of an earlier run that the publisher puts into the cache at once: about a millisecond."""

SERIES_PER_LOAD = 20
"""Symbols and periods whose bars are loaded at once; they are in memory twice until they are restored."""

HISTORY_PRUNE_SECONDS = 600.0
"""Time between two deletions of the bars that are too old; a file near its limit is looked after at once."""

HISTORY_BUSY_SECONDS = 5.0
"""Time to wait for another process that has locked the file; then the write has failed."""

HISTORY_FINISH_SECONDS = 5.0
"""Time to write the last bars when the service stops; the rest is lost."""

HISTORY_READ_SECONDS = 5.0
"""Time to read older bars for a request over HTTP; then it gets 503."""

MAX_HISTORY_READERS = 2
"""Threads that read older bars for requests."""

MAX_HISTORY_READS = 32
"""Requests that wait for them; further ones get 503 with Retry-After."""

ROWS_PER_ANSWER = 2_000
"""Rows of tables in one answer over HTTP, unless a single table has more; `more` is then true."""

MAX_FILES_ASIDE = 3
"""Damaged or newer files that are kept beside the present one; beyond it, the oldest is deleted."""

# Feeds

FIRST_RESTART_SECONDS = 0.5
"""Longest random wait before a feed is started again after its first failure; doubled with each further one."""

LONGEST_RESTART_SECONDS = 30.0
"""Longest random wait before a feed is started again after many failures."""

FEED_BLOCKED_SECONDS = 2.0
"""Time for which a feed may block Trio's loop; then it is interrupted."""

STALE_PER_MESSAGE = 1_000
"""Instruments of a failed feed that are marked stale by one message; the others follow in the next ones."""


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
    (`America/New_York 17:00`)."""
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


@dataclass(frozen=True, slots=True)
class Config:
    """All of `ticker serve`."""

    listen: str | list[str] = "127.0.0.1:8443"
    """One address or several: HOST:PORT, an IPv6 host in brackets; port 0 takes a free one; or unix:PATH. With http://
    in front it has no TLS, which is for a proxy on this machine that ends it."""
    feeds: list[str] = field(default_factory=lambda: ["simulated"])
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
    """Bounds of the random delay after which clients reconnect after a stop, so that they do not all come at once."""
    tables: Tables = field(default_factory=Tables)
    history: History = field(default_factory=History)
    keep_state: bool = True
    """Whether the market is kept over a clean stop, in a file in the data folder (`$TICKER_HOME`): clients resume after
    the next start on this address as after a lost connection."""
    limits: Limits = field(default_factory=Limits)
    metrics_listen: str | None = None
    """A further HOST:PORT with `/metrics`, `/healthz` and `/readyz` only, over TLS. On a loopback address it shows
    metrics without a token."""
    path_prefix: str = ""
    """What stands before every path of the service, such as /ticker, where a proxy leaves it there."""
    proxies: Proxies = field(default_factory=Proxies)

    def __post_init__(self) -> None:
        if not 0 <= self.interval_ms <= MAX_INTERVAL_MS:
            raise ConfigError(f"interval_ms = {self.interval_ms}: give 0 to {MAX_INTERVAL_MS} milliseconds")
        if not 0 <= self.drain_seconds <= 3600:
            raise ConfigError(f"drain_seconds = {self.drain_seconds}: give 0 to 3600 seconds")
        if not 0 <= self.retry_ms[0] <= self.retry_ms[1] <= 3_600_000:
            raise ConfigError(
                f"retry_ms = {list(self.retry_ms)}: give two numbers of milliseconds, the lower one first"
            )
        if not self.addresses:
            raise ConfigError("listen: give at least one address")
        if re.fullmatch(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*", self.path_prefix) is None:
            raise ConfigError(f"path_prefix {self.path_prefix!r}: give a path without a slash at its end: /ticker")
        if not self.feeds:
            raise ConfigError("feeds: give at least one feed spec")

    @property
    def addresses(self) -> list[str]:
        """The addresses of `listen`."""
        return [self.listen] if isinstance(self.listen, str) else self.listen
