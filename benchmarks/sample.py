"""The result of one phase of one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

LOAD_LIMIT = 0.8
"""Load client's share of its core above which it may be the bottleneck."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One result: the conditions, and the metrics by name, whose units are in `report.COLUMNS`."""

    workload: str
    phase: str
    server: str
    round: int
    clients: int
    rate: int
    budget_ms: int
    void: str = ""
    """Reason to discard the metrics: the server or the load client could not keep up."""
    wrong: str = ""
    """Wrong prices or protocol errors of a client; then there are no metrics."""
    cipher: str = ""
    """Cipher suite negotiated with the first client."""
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def problem(self) -> str:
        """Reason not to count this sample; empty if it counts."""
        return f"WRONG: {self.wrong}" if self.wrong else self.void


def percentiles(seconds: Sequence[float], prefix: str = "") -> dict[str, float]:
    """Return p50, p99, p99.9 and the maximum in milliseconds."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}
    return {f"{prefix}{name}": ordered[int(share * (len(ordered) - 1))] * 1000 for name, share in shares.items()}
