"""benchmarks/market.py, visitors.py: every kind of visit to a small market, beside clients whose prices are exact."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.run import Job
from benchmarks.scenarios import measure
from benchmarks.visitors import VISITS
from benchmarks.workloads import WORKLOADS
from ticker.net.devcert import development_certificate

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core for the server, one for the clients")


def test_each_kind_of_visit_is_answered_and_others_have_their_prices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.market.CHANGE_SECONDS", 0.2)
    usual = WORKLOADS["market-100k"]
    phases = [replace(phase, seconds=0.3) for phase in usual.phases]
    workload = replace(usual, symbols=200, clients=3, phases=phases)
    affinity = os.sched_getaffinity(0)
    try:
        samples = list(measure(Job("market-100k", workload, "ticker", 1), development_certificate(tmp_path)))
    finally:
        os.sched_setaffinity(0, affinity)
    assert [sample.phase for sample in samples] == ["usual", *VISITS]
    assert [sample.wrong for sample in samples] == [""] * len(samples)
    for sample in samples[1:]:
        assert sample.metrics["visits"] >= 1, sample
        assert sample.metrics["max"] > 0
