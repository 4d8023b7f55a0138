"""The workloads. Each has start options for the server, and phases for its clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.attackers import KINDS
from benchmarks.visitors import VISITS


@dataclass(frozen=True, slots=True)
class Phase:
    """`rate` updates per second for `seconds`, on the same connections."""

    rate: int
    seconds: float = 4.0
    burst: int = 1
    """Updates per burst, at the same overall rate."""
    slow: bool = False
    """1 % of the clients do not read from the first second to the last but one; 5 % read 10 kB/s throughout."""
    drain: float = 1.0
    """Seconds after the phase for everything to arrive; a server that needs longer cannot keep up."""
    quiet_seconds: float = 1.0
    """After this many seconds without data, missing prices count as wrong."""
    long: bool = False
    """Received data is decoded during the phase as well: until its end it would grow to gigabytes."""
    label: str = ""

    @property
    def name(self) -> str:
        """The phase's name in tables."""
        return self.label or f"{self.rate:,}/s"


ScenarioName = Literal[
    "phases",
    "ladder",
    "idle",
    "watching",
    "storm",
    "soak",
    "floods",
    "market",
    "depth",
    "tape",
    "bars",
    "following",
    "workers",
    "source",
    "publish",
]

ENOUGH_ROUNDS = 5
"""What is said to be met rests on as many."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Start options of a server, its clients, and their phases."""

    title: str
    clients: int
    symbols: int
    watched: int
    """Number of instruments in each client's watchlist."""
    phases: Sequence[Phase]
    budget_ms: int = 0
    """Milliseconds for a server to collect updates before it sends them; for Ticker, the clients' interval."""
    rounds: int = 1
    """Workloads with targets are measured several times."""
    compared: Sequence[str] = ()
    """Peers and floors that its targets name: measured in every round, and in a quick campaign as the only ones."""
    scenario: ScenarioName = "phases"
    probes: float = 0.03
    """Share of the clients that measure latencies."""
    floors: bool = True
    """Whether the floors take part: their writes block, so they stop where a client stalls."""
    main_peers_only: bool = False
    """Only `MAIN_PEERS` take part unless others are named: results differ little between peers."""
    ticker_only: bool = False
    """Neither peers nor floors take part."""
    by_name: bool = False
    """A campaign has it only by name."""
    also: Sequence[str] = ()
    """Hidden servers that take part."""
    feed: str = "benchmarks.feed:Lines"
    """Ticker's feed."""
    harder_than: str = ""
    """Servers that could not keep up with that workload are not tried on this one."""


WATCHLISTS = Workload("", clients=1000, symbols=500, watched=50, phases=())
OPEN = replace(WATCHLISTS, phases=(Phase(10_000),), rounds=ENOUGH_ROUNDS, compared=("bun",), harder_than="W2")

ATTACKED = Workload(
    "100 clients of 5,000 instruments beside 40 attackers",
    clients=100,
    symbols=5000,
    watched=50,
    phases=(Phase(500, 6.0, label="usual"), *(Phase(500, 6.0, drain=8.0, label=kind) for kind in KINDS)),
    scenario="floods",
    probes=1.0,
    ticker_only=True,
    by_name=True,
)

WORKLOADS: Mapping[str, Workload] = {
    "W1": Workload(
        "one hot symbol",
        1000,
        1,
        1,
        (Phase(10), Phase(100)),
        rounds=ENOUGH_ROUNDS,
        compared=("floor", "ws", "trio-websocket"),
    ),
    "W2": replace(
        WATCHLISTS,
        title="watchlists",
        phases=(Phase(100), Phase(500), Phase(1000)),
        rounds=ENOUGH_ROUNDS,
        compared=("bun",),
    ),
    "W2-paced": replace(
        WATCHLISTS,
        title="watchlists, 20 ms to collect updates",
        phases=(Phase(1000),),
        budget_ms=20,
        rounds=ENOUGH_ROUNDS,
        compared=("floor-python", "bun"),
    ),
    "W2-bursts": replace(
        WATCHLISTS,
        title="watchlists, bursts of 100 every 100 ms",
        phases=(Phase(1000, burst=100),),
        rounds=ENOUGH_ROUNDS,
        compared=("bun",),
    ),
    "W3": replace(OPEN, title="10,000 updates/s, refresh 0"),
    "W3-20": replace(OPEN, title="10,000 updates/s, refresh 20 ms", budget_ms=20, rounds=1, compared=()),
    "W3-50": replace(OPEN, title="10,000 updates/s, refresh 50 ms", budget_ms=50),
    "W4": replace(
        WATCHLISTS,
        title="latency at shares of each server's own capacity",
        phases=(Phase(50),),
        scenario="ladder",
        main_peers_only=True,
    ),
    "W5": Workload(
        "slow clients",
        clients=200,
        symbols=100,
        watched=50,
        phases=(Phase(2000, label="without"), Phase(2000, 12.0, slow=True, drain=8.0, label="with slow clients")),
        budget_ms=20,
        rounds=ENOUGH_ROUNDS,
        probes=0.1,
        floors=False,
        main_peers_only=True,
    ),
    "W6": replace(
        WATCHLISTS,
        title="20 times the rate for 2 s",
        phases=(
            Phase(100, 3.0, label="before"),
            Phase(2000, 2.0, drain=15.0, label="20 times"),
            Phase(100, 3.0, label="after"),
        ),
        main_peers_only=True,
    ),
    "W7": Workload(
        "idle clients", 10_000, 1, 1, (Phase(1, 10.0),), rounds=ENOUGH_ROUNDS, scenario="idle", main_peers_only=True
    ),
    "W7-watching": Workload(
        "clients with 50 of 4,000 instruments that have values",
        clients=4000,
        symbols=4000,
        watched=50,
        phases=(Phase(1000, 2.0),),
        rounds=ENOUGH_ROUNDS,
        scenario="watching",
        ticker_only=True,
    ),
    "W8": Workload(
        "2,000 clients connect at once, beside 300 connected ones",
        clients=2000,
        symbols=500,
        watched=50,
        phases=(Phase(50, 4.0),),
        rounds=ENOUGH_ROUNDS,
        scenario="storm",
        probes=1.0,
        floors=False,
        main_peers_only=True,
    ),
    "rates": replace(
        WATCHLISTS,
        title="cost against rate, refresh 50 ms",
        phases=tuple(Phase(rate, 3.0) for rate in (100, 1000, 5000, 10_000, 20_000)),
        budget_ms=50,
        rounds=ENOUGH_ROUNDS,
        main_peers_only=True,
    ),
    "publish": Workload(
        "the cache by itself: quotes of four fields, and 36 levels of books",
        clients=0,
        symbols=500,
        watched=0,
        phases=(Phase(0, label="texts"),),
        rounds=ENOUGH_ROUNDS,
        scenario="publish",
        ticker_only=True,
    ),
    "source": Workload(
        "quotes of four fields of 1,000 instruments in batches; 100 clients of ten each, 50 ms to collect",
        clients=100,
        symbols=1000,
        watched=10,
        phases=tuple(Phase(rate, 5.0, burst=1000) for rate in (25_000, 50_000, 100_000)),
        budget_ms=50,
        rounds=ENOUGH_ROUNDS,
        scenario="source",
        ticker_only=True,
        feed="benchmarks.feed:Batches",
    ),
    "workers": replace(
        WATCHLISTS,
        title="one process, and two workers with their source: watchlists, 20 ms to collect updates",
        phases=(Phase(200), Phase(1000, burst=100, label="bursts")),
        budget_ms=20,
        rounds=ENOUGH_ROUNDS,
        scenario="workers",
        ticker_only=True,
        also=("workers",),
    ),
    "soak": replace(
        WATCHLISTS,
        title="ten minutes with churn: clients connect, stall and leave",
        # TCP retries to a full receiver back off: after 20 s, every 15 s (RFC 6298).
        phases=(Phase(2000, 600.0, drain=4.0, quiet_seconds=20.0, long=True),),
        budget_ms=20,
        scenario="soak",
        ticker_only=True,
        by_name=True,
    ),
    "floods": Workload(
        "300 clients beside floods of pings and of aborted handshakes",
        clients=300,
        symbols=500,
        watched=50,
        phases=tuple(Phase(100, 10.0, drain=8.0, label=label) for label in ("usual", "pings", "handshakes")),
        scenario="floods",
        probes=1.0,
        ticker_only=True,
        by_name=True,
    ),
    "outside": Workload(
        "100 clients of 5,000 instruments",
        clients=100,
        symbols=5000,
        watched=50,
        phases=(Phase(500, 20.0),),
        probes=1.0,
        ticker_only=True,
        by_name=True,
    ),
    "depth": Workload(
        "100 clients of ten books of 100 instruments with recorded depth, ten events a second each",
        clients=100,
        symbols=100,
        watched=10,
        phases=(Phase(1000, 20.0),),
        rounds=ENOUGH_ROUNDS,
        scenario="depth",
        probes=0.1,
        ticker_only=True,
        by_name=True,
        feed="benchmarks.tables.feed:VenueLines",
    ),
    "depth-20": Workload(
        "100 clients of ten books of 100 instruments with recorded depth, ten events a second each; refresh 20 ms",
        clients=100,
        symbols=100,
        watched=10,
        phases=(Phase(1000, 20.0),),
        budget_ms=20,
        rounds=ENOUGH_ROUNDS,
        scenario="depth",
        probes=0.1,
        ticker_only=True,
        by_name=True,
        feed="benchmarks.tables.feed:VenueLines",
    ),
    "tape": Workload(
        "100 clients of ten tapes of 100 instruments with recorded prints, 20 a second each",
        clients=100,
        symbols=100,
        watched=10,
        phases=(Phase(2000, 20.0),),
        rounds=ENOUGH_ROUNDS,
        scenario="tape",
        probes=0.1,
        ticker_only=True,
        by_name=True,
        feed="benchmarks.tables.feed:VenueLines",
    ),
    "bars": Workload(
        "500 instruments with a book and 300 bars of four periods; charts that are opened, and resumed",
        clients=20,
        symbols=500,
        watched=1,
        phases=(Phase(0, label="charts"),),
        rounds=ENOUGH_ROUNDS,
        scenario="bars",
        ticker_only=True,
        by_name=True,
        feed="benchmarks.tables.feed:PastAndPresent",
    ),
    "following": Workload(
        "no clients, 1,000 instruments, four fields an update, 100 cuts/s: what source and edges take of a core",
        clients=0,
        symbols=1000,
        watched=1,
        phases=(Phase(1000, 12.0, burst=10), Phase(10_000, 12.0, burst=100)),
        rounds=3,
        scenario="following",
        ticker_only=True,
        by_name=True,
        feed="benchmarks.bus.feed:Quotes",
    ),
    "market-100k": Workload(
        "100 clients of ten of 100,000 instruments, beside clients that ask for all or half of them",
        clients=100,
        symbols=100_000,
        watched=10,
        phases=(Phase(100, 6.0, label="usual"), *(Phase(100, 6.0, drain=8.0, label=kind) for kind in VISITS)),
        rounds=ENOUGH_ROUNDS,
        scenario="market",
        probes=1.0,
        ticker_only=True,
    ),
    "attackers-5k": ATTACKED,
    "attackers-50k": replace(ATTACKED, title="100 clients of 50,000 instruments beside 40 attackers", symbols=50_000),
}

MAIN_PEERS = ("bun", "ws", "trio-websocket", "nats", "websockets")
USUAL = tuple(name for name, workload in WORKLOADS.items() if not workload.by_name)
QUICK = tuple(name for name in USUAL if WORKLOADS[name].rounds == ENOUGH_ROUNDS)
"""Workloads with targets."""
_QUICK_CLIENTS = {"idle": 2000, "watching": 1000}


@dataclass(frozen=True, slots=True)
class Overrides:
    """Options of the command line for every workload."""

    quick: bool = False
    clients: int | None = None
    rate: int | None = None
    seconds: float | None = None
    rounds: int | None = None

    def apply(self, workload: Workload) -> Workload:
        """Return the workload with the options applied."""
        phases = workload.phases
        if self.quick:
            phases = tuple(replace(phase, seconds=phase.seconds * 0.5) for phase in phases)
            workload = replace(workload, clients=_QUICK_CLIENTS.get(workload.scenario, workload.clients))
        if self.rate is not None:
            phases = tuple(replace(phase, rate=self.rate) for phase in phases)
        if self.seconds is not None:
            phases = tuple(replace(phase, seconds=self.seconds) for phase in phases)
        rounds = 1 if self.quick else workload.rounds
        return replace(
            workload,
            phases=tuple(dict.fromkeys(phases)),
            clients=self.clients or workload.clients,
            rounds=min(rounds, self.rounds or rounds),
        )
