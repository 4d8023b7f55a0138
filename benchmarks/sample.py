"""What one phase of one run showed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

LOAD_LIMIT = 0.8
"""The share of its core above which the load client could be what was measured."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the results: what was measured, and figures by name, whose units stand in `report.COLUMNS`."""

    workload: str
    phase: str
    server: str
    round: int
    clients: int
    rate: int
    budget_ms: int
    void: str = ""
    """Why its figures do not count: the server or the load client could not keep up."""
    wrong: str = ""
    """What a client had or got that was not right; then there are no figures."""
    cipher: str = ""
    """What TLS agreed on with the first client."""
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def problem(self) -> str:
        """Why it does not count; empty if it does."""
        return f"WRONG: {self.wrong}" if self.wrong else self.void


def percentiles(seconds: Sequence[float], prefix: str = "") -> dict[str, float]:
    """The usual ones, in milliseconds."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}
    return {f"{prefix}{name}": ordered[int(share * (len(ordered) - 1))] * 1000 for name, share in shares.items()}
