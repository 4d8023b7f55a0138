"""The fixed bounds on the service's memory, counts and waits, each with its consequence.

Those that an operator may set are in `ticker.config`, where it is said which bounds stand elsewhere.
"""

from __future__ import annotations

# Connections and requests

MAX_PENDING_CONNECTIONS = 1_000
"""Connections beyond `max_connections`, and beyond `max_per_address`, that are refused with a response to a request;
further ones are closed at once."""

MAX_KEPT_CONNECTIONS = 500
"""Connections without a stream, those that wait for their next request among them; with more, a response ends its
connection. So it does for an address with more than `max_per_address`."""

KEEP_ALIVE_SECONDS = 75
"""Time for the next request on a connection; then it is closed. Proxies close theirs earlier, after 60 seconds or so,
and so send no request into a connection that is being closed."""

REQUESTS_PER_CONNECTION = 1_000
"""Requests on one connection; the response to the last one ends it."""

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

BYTES_PER_SELECTED = 200
"""Upper estimate of the bytes that are kept besides for a name with a selection of fields."""

BYTES_PER_JOIN = 150
"""Upper estimate of the bytes that are kept for each instrument that a small subscription matches."""

FULL_RETRY_SECONDS = 5
"""Retry-After of a request that is refused because a limit of connections is reached."""

MAX_REQUEST_ITEMS = 16_384
"""Elements of an array or a map in a client's message: ERROR 1, then close 1007, before memory is allocated for it."""

MAX_REQUEST_NAMES = 10_000
"""Symbols and patterns of one request: ERROR 5. (`max_symbols` bounds those of a connection.)"""

MAX_SELECTIONS = 8
"""Different sets of fields of the names of one connection: ERROR 5. Overlapping names may make more of them."""

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

SENT_BYTES_PER_REQUEST_UNIT = 16_384
"""Bytes of data sent because a client asked for them that count as one request, besides: those of tables are many."""

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

ENCRYPTED_AT_ONCE = 262_144
"""Bytes of a message that are encrypted in one turn, a third of a millisecond; the others follow in the next ones."""

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

LEAST_COMPRESSED = 1_024
"""Bytes of a response; a shorter one is not compressed."""

COMPRESSED_PER_STEP = 16_384
"""Bytes of a response that are compressed between two yields: a millisecond at most."""

ENCODED_PER_STEP = 250
"""Entries encoded between two yields, where many are needed at once: some milliseconds if they were never encoded."""

ROWS_PER_PART = 2_000
"""Rows of tables in one part of a snapshot, unless a single table has more: some milliseconds."""

REMOVED_PER_PART = 2_000
"""Records of which one message says that they leave a copy; the others follow in further messages."""

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

RETURNS_PER_SECOND = 400
"""Clients of a process that are asked to leave at once, and to come back: for more than fit into `retry_ms` at this
rate, its upper bound is raised. Each costs a handshake, and perhaps a snapshot."""

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

FREED_PER_PASS = 2_000
"""Encoded entries that are not needed any more and are freed in one pass: half a millisecond. The others wait."""

MAX_KNOWN_FIELDS = 1_000
"""Field names of which key and kind are kept; those of others are looked up each time."""

MAX_KNOWN_FORMS = 2_000
"""Lists of names that updates have, at the scales of their instruments, that are kept; beyond it, all are made anew."""

MAX_LEVELS = 10_000
"""Price levels of each side of a book; beyond it the worst are dropped and counted, and not known from then on."""

AHEAD_SECONDS = 3_600
"""A print, quote or bar whose time lies more than this ahead of its cut's does not hold up what comes after it."""

MAX_ESTIMATES = 300_000
"""So many estimated bars wait until the history is loaded; further ones are dropped: they are guesses."""

CROSSED_SECONDS = 5
"""A book whose best bid is not below its best ask for longer than this is shown as stale until that ends."""

EVENT_ENCODINGS = 256
"""Encodings of event streams, one for each view of the instruments, that are kept; beyond that, they are made again."""

NAMED_TABLES = 20
"""Tables of an event stream with names, as `max_tables`: their texts take long to write."""

NAMED_ROWS = 4_000
"""Rows of all its tables: with larger tables, `max_tables` is so much smaller. Their texts take some milliseconds.

Tables beyond either are counted with those beyond `max_tables` (`ticker_tables_not_opened`, limit `connection`)."""

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
"""Time to open the file, and then to write the last bars, when the service stops; the rest is lost."""

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

# Usage log

USAGE_CHECK_SECONDS = 1.0
"""Time between two looks at the usage log: whether it is written, and whether its file is large or of yesterday."""

USAGE_ALIVE_SECONDS = 10.0
"""Time between two lines that say nothing but the time: after a kill, the ends of connections are known to this."""

USAGE_STALL_SECONDS = 10.0
"""Time without a written line while some wait; then the usage log counts as failing, and the service is not ready."""

USAGE_RETRY_SECONDS = 1.0
"""Time to the next attempt to write the usage log after a failure; meanwhile it waits in memory."""

USAGE_FINISH_SECONDS = 5.0
"""Time to write the rest of the usage log when the service stops; then that is lost, which the log says."""

USAGE_QUEUE_BYTES = 67_108_864
"""Bytes of the usage log that wait to be written, as an upper estimate: some 100,000 events. Further ones are lost and
counted, until a new file begins with all that is open."""

USAGE_BATCH_BYTES = 262_144
"""Bytes of the usage log that are written at once."""

USAGE_NAMES_PER_LINE = 200
"""Names of instruments and tables in one line of the usage log; the others follow in further lines."""

USAGE_IDLE_VIEWS = 256
"""Sets of instruments that are remembered although nobody sees them; of others, clients that come back cost names."""

USAGE_AGENT = 256
"""Characters of a User-Agent in the usage log; the rest is cut off."""

USAGE_HTTP_SECONDS = 60.0
"""Requests over HTTP with less time than this between them are one connection in the usage log, which ends so long
after the last of them."""

USAGE_HTTP_CLIENTS = 10_000
"""Clients over HTTP that are remembered for that; the one that was silent longest ends early, and begins anew."""

USAGE_HTTP_NAMES = 250_000
"""Names of instruments and tables that are remembered of them; likewise."""

# Feeds

FIRST_RESTART_SECONDS = 0.5
"""Longest random wait before a feed is started again after its first failure; doubled with each further one."""

LONGEST_RESTART_SECONDS = 30.0
"""Longest random wait before a feed is started again after many failures."""

FEED_BLOCKED_SECONDS = 2.0
"""Time for which a feed may block Trio's loop; then it is interrupted."""

STALE_PER_MESSAGE = 1_000
"""Instruments of a failed feed that are marked stale by one message; the others follow in the next ones."""
