"""What is done to each server. A workload is how a server is started, and phases that its clients then go through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Phase:
    """So many updates per second for so many seconds, all clients staying connected."""

    rate: int
    seconds: float = 4.0
    burst: int = 1
    """Updates come in bursts of so many, at the same rate."""
    slow: bool = False
    """1 % of the clients do not read from the first second to the last but one; 5 % read 10 kB/s throughout."""
    drain: float = 1.0
    """How many seconds later everything has to have arrived; a server that needs longer cannot keep up."""
    patience: float = 1.0
    """After so many seconds in which nothing comes, what is missing is taken for wrong."""
    long: bool = False
    """What clients got is decoded during the phase as well: kept until its end, it would be gigabytes."""
    label: str = ""

    @property
    def name(self) -> str:
        """How tables call it."""
        return self.label or f"{self.rate:,}/s"


Play = Literal["phases", "ladder", "idle", "storm", "soak", "floods"]


@dataclass(frozen=True, slots=True)
class Workload:
    """How a server is started, and what happens then."""

    title: str
    clients: int
    symbols: int
    watched: int
    """How many instruments each client watches."""
    phases: Sequence[Phase]
    budget_ms: int = 0
    """How long a server may collect updates before it sends them; for Ticker, the clients' interval."""
    rounds: int = 1
    """Those that targets of CPU time are read from are measured several times."""
    play: Play = "phases"
    probes: float = 0.03
    """The share of the clients whose latencies are taken."""
    floors: bool = True
    """Whether the floors take part: their writes wait, so they stand still where a client stalls."""
    few: bool = False
    """Whether only `FEW` peers take part unless others are named: what each shows does not differ so much."""
    alone: bool = False
    """Neither peers nor floors take part, and no session has it unless it is named."""
    harder_than: str = ""
    """A server that could not keep up with that workload is not tried on this one."""


WATCHLISTS = Workload("", clients=1000, symbols=500, watched=50, phases=())
OPEN = replace(WATCHLISTS, phases=(Phase(10_000),), rounds=3, harder_than="W2")

WORKLOADS: Mapping[str, Workload] = {
    "W1": Workload("one hot symbol", 1000, 1, 1, (Phase(10), Phase(100)), rounds=3),
    "W2": replace(WATCHLISTS, title="watchlists", phases=(Phase(100), Phase(1000))),
    "W2-paced": replace(
        WATCHLISTS, title="watchlists, 20 ms to collect updates", phases=(Phase(1000),), budget_ms=20, rounds=3
    ),
    "W2-bursts": replace(
        WATCHLISTS, title="watchlists, bursts of 100 every 100 ms", phases=(Phase(1000, burst=100),), rounds=3
    ),
    "W3": replace(OPEN, title="10,000 updates/s, refresh 0"),
    "W3-20": replace(OPEN, title="10,000 updates/s, refresh 20 ms", budget_ms=20, rounds=1),
    "W3-50": replace(OPEN, title="10,000 updates/s, refresh 50 ms", budget_ms=50),
    "W4": replace(
        WATCHLISTS,
        title="latency at shares of each server's own capacity",
        phases=(Phase(50),),
        play="ladder",
        few=True,
    ),
    "W5": Workload(
        "slow clients",
        clients=200,
        symbols=100,
        watched=50,
        phases=(Phase(2000, label="without"), Phase(2000, 12.0, slow=True, drain=8.0, label="with slow clients")),
        budget_ms=20,
        probes=0.1,
        floors=False,
        few=True,
    ),
    "W6": replace(
        WATCHLISTS,
        title="20 times the rate for 2 s",
        phases=(
            Phase(100, 3.0, label="before"),
            Phase(2000, 2.0, drain=15.0, label="20 times"),
            Phase(100, 3.0, label="after"),
        ),
        few=True,
    ),
    "W7": Workload("idle clients", 10_000, 1, 1, (Phase(1, 10.0),), play="idle", few=True),
    "W8": Workload(
        "2,000 clients connect at once, while 300 are there",
        clients=2000,
        symbols=500,
        watched=50,
        phases=(Phase(50, 4.0),),
        play="storm",
        probes=1.0,
        floors=False,
        few=True,
    ),
    "rates": replace(
        WATCHLISTS,
        title="cost against rate, refresh 50 ms",
        phases=tuple(Phase(rate, 3.0) for rate in (100, 1000, 5000, 10_000, 20_000)),
        budget_ms=50,
        few=True,
    ),
    "soak": replace(
        WATCHLISTS,
        title="ten minutes, in which guests come, stall and go",
        # A sender tries ever more seldom what a full receiver's kernel did not take: after 20 s, every 15 s (RFC 6298).
        phases=(Phase(2000, 600.0, drain=4.0, patience=20.0, long=True),),
        budget_ms=20,
        play="soak",
        alone=True,
    ),
    "floods": Workload(
        "300 clients beside floods of pings and of aborted handshakes",
        clients=300,
        symbols=500,
        watched=50,
        phases=tuple(Phase(100, 10.0, drain=8.0, label=label) for label in ("usual", "pings", "handshakes")),
        play="floods",
        probes=1.0,
        alone=True,
    ),
}

COMPARED = ("bun", "ws", "trio-websocket")
"""The peers that targets name: all peers of a quick session."""
REPEATED = ("ticker", "floor", *COMPARED)
"""Only these are measured more than once, unless peers are named."""
FEW = (*COMPARED, "nats", "websockets")
USUAL = tuple(name for name, workload in WORKLOADS.items() if not workload.alone)
QUICK = ("W1", "W2", "W2-paced", "W2-bursts", "W3", "W3-50", "W5", "W7", "W8", "rates")
"""The workloads that targets name."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line asks of every workload."""

    quick: bool = False
    clients: int | None = None
    rate: int | None = None
    seconds: float | None = None
    rounds: int | None = None

    def apply(self, workload: Workload) -> Workload:
        """The workload as it is to be measured."""
        phases = workload.phases
        if self.quick:
            phases = tuple(replace(phase, seconds=phase.seconds * 0.5) for phase in phases)
            if workload.play == "idle":
                workload = replace(workload, clients=2000)
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
