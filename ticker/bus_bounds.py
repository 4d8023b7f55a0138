"""Fixed bounds of services of several processes: the bus, those that follow, and workers (as `ticker.bounds`)."""

from __future__ import annotations

# Following a source

JOURNAL_PER_INSTRUMENT = 1_000
"""Prints and bars of an instrument in one cut that are told one by one; above that the instrument is told whole."""

FOLLOW_SECONDS = 0.5
"""Longest wait for an entry of the bus in one read."""

BUS_BEAT_SECONDS = 0.3
"""A source writes an entry or a beat at least so often."""

SILENT_READS = 3
"""After so many reads of the bus without anything a source counts as silent: another one may take its place."""

BUS_RETRY_SECONDS = 0.5
"""Longest wait before an engine that could not be used is connected to again."""

BUS_LOST_SECONDS = 2.0
"""Time until a process that has no copy yet reads the bus again, whose log or keyframe was of no use."""

RESIGN_SECONDS = 2.0
"""A source that ends has so much time to have its last cut accepted."""

CUT_SECONDS = 0.004
"""Least time between two cuts on the bus: each costs every edge some work of its own."""

CUTS_OF_A_NEW_EPOCH = 1_000_000
"""So far above the last known cut those of a new epoch begin, where it is not known which were accepted."""

KEYFRAME_SECONDS = 30.0
"""A source begins a keyframe so long after the last one, if anything has changed."""

KEYFRAME_PIECE_BYTES = 65_536
"""About the size of a part of a keyframe: it is made between two cuts."""

KEPT_CUTS_BYTES = 67_108_864
"""Of the cuts that were accepted, a source keeps the latest ones to repair a log that has lost its end."""

KEPT_CUTS = 2_048
"""Likewise. Nothing new goes on while they are written again, a millisecond or two each; who lacks an earlier one loads
the keyframe that follows them."""

IDLE_RETRY_SECONDS = 5
"""Clients of a process that can have none are told to try again after so long."""

PAGES_FINISH_SECONDS = 0.5
"""Time for the answers of a process that had no data yet, when it has; then they are cut off."""

SILENT_GOODBYE_SECONDS = 300.0
"""Clients of a server whose source is silent for so long are asked to leave."""

BEHIND_SECONDS = 5.0
"""For so long a server waits for a cut that a resuming client has already from another one."""

# The bus between processes

MAX_BUS_DATA_BYTES = 67_108_864
"""Bytes of one entry, or one part of a keyframe, on the bus: a source with a larger one cannot go on, and says so."""

MAX_BUS_ENTRIES = 65_536
"""Entries that an engine keeps between two keyframes; then it drops the oldest. Those who still need them load a
keyframe, or wait for the next."""

MAX_BUS_LOG_BYTES = 268_435_456
"""Bytes of those entries in the engine of one machine; likewise."""

MAX_BUS_KEYFRAME_BYTES = 1_073_741_824
"""Bytes of one keyframe in the engine of one machine: a larger one is refused and said, and who begins anew waits."""

MAX_BUS_CONNECTIONS = 4_096
"""Connections to the engine of one machine, one of each process and follower; further ones are closed at once."""

BUS_BYTES_PER_READ = 1_048_576
"""Bytes after which one read from the engine of one machine ends, if it has an entry."""

MAX_DELAY_SECONDS = 86_400
"""The longest delay (`--delay`): a day."""

MAX_TOTAL_DELAY_SECONDS = 2_678_400
"""The longest delay of tickers that follow each other, in sum: a month. One that says more is not followed."""

SPOOL_BYTES = 4_294_967_296
"""Bytes of the files in which a delayed service keeps what it does not show yet (`--delay`). Beyond it the oldest are
dropped, and counted: clients begin anew with a later keyframe."""

SPOOL_SEGMENT_BYTES = 16_777_216
"""Bytes after which another of those files begins; each is deleted as a whole."""

SPOOL_CHUNK_ENTRIES = 1_024
"""Entries that stand together in the index of the spool: of most of them only the first and the last are in memory."""

SPOOL_CHUNK_BYTES = 1_048_576
"""Bytes of those entries, if it is more than one: they are read as a whole."""

SPOOL_CHUNKS_LOADED = 8
"""So many times all of them are in memory, one by one. Others wait for the disk (`ticker_delay_index_loads_total`)."""

SPOOL_KEYFRAME_SECONDS = 60.0
"""A delayed service keeps a keyframe so often, if there is a new one: a restart goes on from it."""

SPOOL_LOOK_SECONDS = 2.0
"""Time between two looks for one."""

BUS_ANSWER_SECONDS = 5.0
"""Time for a connection to an engine, and for each of its answers besides the wait that was asked for; then the
connection is given up for another."""

BUS_PART_SECONDS = 30.0
"""Time for an engine to take or give data: an entry or a part of a keyframe; likewise."""

BUS_READ_SECONDS = 60.0
"""The longest wait of one read for entries."""

# A ticker that follows another one

FOLLOW_RETRY_SECONDS = 5.0
"""Longest wait before another ticker that cannot be followed is asked again: it doubles with each failure."""

FOLLOW_CONNECT_SECONDS = 15.0
"""Time for a connection to another ticker, with its first message; then the next address has its turn."""

MAX_FOLLOWERS = 32
"""Other tickers that follow one process: further ones get 503 with Retry-After."""

FAN_OUT_LOG_BYTES = 67_108_864
"""Bytes of the latest entries that a process which follows, and is followed, keeps for its followers. Older ones are
asked of what it follows."""

FAN_OUT_TURN_SECONDS = 0.1
"""Longest wait of its own reads while its followers ask for such entries, or for keyframes: these wait so long."""

FOLLOWED_PIECE_BYTES = 262_144
"""So much of an answer to a follower is encrypted between two turns of other connections."""

FOLLOWED_ENTRIES = 64
"""Entries in one answer to a follower; the others follow in the next one."""

FOLLOWED_PARTS_BYTES = 1_048_576
"""Bytes after which an answer with parts of a keyframe ends; the others follow in the next one."""

FOLLOWED_PER_REQUEST_UNIT = 262_144
"""So many bytes of answers to a follower count as one request."""

FOLLOWED_REQUEST_BYTES = 1_024
"""Bytes of a request of a follower; a longer one: close 1009."""

FOLLOWED_READ_SECONDS = 5.0
"""The longest wait of one read of a follower."""

FOLLOWER_LEAVE_SECONDS = 2.0
"""Time for a follower to take what there is when the server stops; then it is closed."""

OWN_PIECE_SECONDS = 0.01
"""Time between two parts of a keyframe in a process without a bus: each takes its loop a millisecond or two."""

FOLLOWERS_GONE_SECONDS = 60.0
"""A process without a bus keeps the log of its cuts for so long after its last follower has left."""

# Workers

CHANNEL_PIECE_BYTES = 32_768
"""Bytes of a message between the supervisor and a worker that are sent at once; the others follow."""

CHANNEL_QUEUE_BYTES = 67_108_864
"""Bytes of messages that wait for a worker or for the supervisor, and of one message; beyond it, the worker ends."""

ACCEPTED_PER_TURN = 32
"""Connections that a supervisor accepts, and messages of a worker that it reads, between two yields."""

HAND_OVER_SECONDS = 5.0
"""Time for which an accepted connection waits for a worker that takes it; then it is closed, and counted. The next ones
wait in the kernel."""

HAND_OVER_RETRY_SECONDS = 0.02
"""Time to the next attempt to hand over a connection that no worker took."""

WORKER_BEAT_SECONDS = 1.0
"""Time between two signs of life of a worker."""

WORKER_LATE_SECONDS = 3.0
"""Time without one, after which a worker gets connections only if all others are late, too."""

WORKER_SILENT_SECONDS = 30.0
"""Time without one, once it serves; then the worker is aborted, with a traceback in its log, and replaced."""

WORKER_START_SECONDS = 120.0
"""Time for a worker to start; then it is killed, and another one started."""

WORKER_WAIT_SECONDS = 5.0
"""Time for a new worker to have data; then it serves pages for operators without, and refuses clients."""

WORKER_SHORT_LIFE_SECONDS = 60.0
"""A worker that lived for less than this is replaced after a wait, which grows as that of a failing feed."""

WORKER_READY_SECONDS = 60.0
"""Time for a new worker to be ready where the one that it is to replace is; then it is ended instead of that one."""

LEAVE_SECONDS = 3.0
"""Time for connections that a worker has only just been given, before it says goodbye to its clients."""

LEAVE_EXTRA_SECONDS = 10.0
"""Time for a worker to end, beyond what a service needs to stop; then it is killed."""

WORKER_METRICS_SECONDS = 5.0
"""Time for a worker's metrics; then they are left out, and `ticker_worker_up` is 0."""

RELOAD_SECONDS = 30.0
"""Time for all workers to read certificates and keys anew; then the service manager is told that it is done."""
