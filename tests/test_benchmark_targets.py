"""benchmarks/: which servers are measured how often, and what tables and targets make of the samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console

from benchmarks.campaign import Campaign
from benchmarks.metrics import Stopwatch
from benchmarks.report import OTHERS_LIMIT, STOLEN_LIMIT, workload_table
from benchmarks.sample import Sample
from benchmarks.servers import PEER_NAMES, SERVERS
from benchmarks.targets import Row, targets
from benchmarks.workloads import ENOUGH_ROUNDS, Overrides


def test_steal_time_above_the_limit_is_reported_below_the_table() -> None:
    metrics = {"quiet": {"p99": 2.5, "stolen": STOLEN_LIMIT / 2}, "disturbed": {"p99": 25.0, "stolen": 0.36}}
    samples = [Sample("W2", phase, "ticker", 1, 1000, 100, 0, metrics=each) for phase, each in metrics.items()]
    caption = "Ticker, disturbed: this machine's host gave 36% of its cores' time to others; measure again"
    assert workload_table("W2", samples).caption == caption


def test_the_table_says_how_quiet_the_machine_was_and_which_samples_were_disturbed_by_other_processes() -> None:
    shares = (0.01, 0.02, OTHERS_LIMIT * 2)
    samples = [
        Sample("W2", "100/s", "ticker", number, 1000, 100, 0, metrics={"p99": 2.5, "stolen": 0.001, "others": share})
        for number, share in enumerate(shares, 1)
    ]
    assert str(workload_table("W2", samples).caption).splitlines() == [
        "other processes took more than 20% of a core in 1 of 3; measure again",
        "other processes took 2.0% (at most 40.0%) of a core, the host 0.1% (at most 0.1%) of all cores",
    ]


def test_other_processes_are_what_neither_the_load_client_nor_the_servers_took() -> None:
    began = Stopwatch(clock=100.0, load=1.0, servers=10.0, busy=500.0, stolen=2.0)
    ended = Stopwatch(clock=110.0, load=3.0, servers=15.0, busy=508.0, stolen=2.0)
    shares = ended.since(began)
    assert (shares["seconds"], shares["load"], shares["others"], shares["stolen"]) == (10.0, 0.2, 0.1, 0.0)


def runs(*workloads: str, quick: bool = False, named: Sequence[str] = ()) -> Counter[str]:
    plan = Campaign(Console(), Overrides(quick=quick), named).plan(workloads, list(SERVERS))
    return Counter(server for _, _, server in plan)


def test_what_targets_name_is_measured_in_every_round_the_rest_once_and_not_at_all_if_it_has_to_be_quick() -> None:
    assert runs("W2-paced", quick=True) == {"ticker": 1, "bun": 1, "floor-python": 1}
    found = runs("W2-paced")
    assert [name for name, count in found.items() if count == ENOUGH_ROUNDS] == ["ticker", "floor-python", "bun"]
    assert {*PEER_NAMES, "floor"} <= found.keys()
    assert {"workers", "broken"}.isdisjoint(found)
    assert runs("W2-paced", named=["ws"]) == dict.fromkeys(("ticker", "floor", "floor-python", "ws"), ENOUGH_ROUNDS)
    assert runs("workers") == {"ticker": ENOUGH_ROUNDS, "workers": ENOUGH_ROUNDS}


def w1(server: str, costs: Sequence[float]) -> list[Sample]:
    return [
        Sample("W1", "10/s", server, number, 1000, 10, 0, metrics={"us_per_frame": cost})
        for number, cost in enumerate(costs, 1)
    ]


def row_of(samples: Sequence[Sample], name: str) -> Row:
    (row,) = [row for row in targets(samples) if row.name == name]
    return row


def test_a_target_is_the_ratio_of_medians_beside_the_least_and_largest_ratio_of_a_round() -> None:
    samples = w1("ticker", (9.0, 10.0, 11.0, 10.0, 12.0)) + w1("floor", (8.0, 10.0, 8.0, 8.0, 10.0))
    row = row_of(samples, "W1, 10/s: CPU per frame, of the floor in C")
    assert (row.measured, row.spread, row.rounds) == ("1.25 x (10.00 / 8.00)", "1.00-1.38", 5)
    assert (row.met, row.verdict) == (True, "met")


def test_what_rests_on_few_rounds_is_said_to_do_so() -> None:
    row = row_of(
        w1("ticker", (10.0, 11.0)) + w1("floor", (8.0, 8.0, 8.0)), "W1, 10/s: CPU per frame, of the floor in C"
    )
    assert (row.met, row.rounds, row.verdict) == (False, 2, "missed (2 of 5 rounds)")


def test_what_ticker_cannot_do_is_missed_and_what_a_peer_cannot_do_is_not_measured() -> None:
    void = [Sample("source", "100,000/s", "ticker", 1, 100, 100_000, 50, void="cannot keep up: not done 1 s later")]
    row = row_of(void, "source, 100,000 updates/s: CPU of a core")
    assert (row.verdict, row.measured) == ("missed", "cannot keep up: not done 1 s later")
    slow = [Sample("W1", "10/s", "ws", 1, 1000, 10, 0, void="cannot keep up: not done 1 s later")]
    row = row_of(w1("ticker", [9.0]) + slow, "W1, 10/s: CPU per frame, of Node ws")
    assert (row.verdict, row.measured) == (
        "not measured",
        "nothing to compare with: cannot keep up: not done 1 s later",
    )
    assert {row.verdict for row in targets([])} == {"not measured"}


def test_two_workers_are_compared_by_what_two_cores_deliver() -> None:
    costs = {"ticker": 20.0, "workers": 25.0}
    samples = [
        Sample("workers", "200/s", server, 1, 1000, 200, 20, metrics={"us_per_offered": cost})
        for server, cost in costs.items()
    ]
    row = row_of(samples, "workers, 200/s: deliveries of two, of one")
    assert (row.measured, row.met) == ("1.60 x", False)


def test_each_kind_of_visit_to_a_large_market_has_a_target_for_the_gaps_of_others() -> None:
    gaps = {"usual": 30.0, "all": 19.0, "half": 21.0}
    samples = [
        Sample("market-100k", phase, "ticker", 1, 100, 100, 0, metrics={"max": longest})
        for phase, longest in gaps.items()
    ]
    rows = {row.name: row.met for row in targets(samples) if row.name.startswith("market-100k")}
    assert rows == {
        "market-100k, all: longest gap of the others": True,
        "market-100k, half: longest gap of the others": False,
    }
