"""benchmarks/: a small session through the real command, with nothing that has to be installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.report import STOLEN_LIMIT, workload_table
from benchmarks.sample import Sample
from benchmarks.workloads import QUICK, USUAL

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core for the server, one for the clients")


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def results(folder: Path) -> Any:  # noqa: ANN401  # the file's content, as it is
    (path,) = folder.glob("*.json")
    return json.loads(path.read_text())


def test_a_session_writes_what_every_run_showed(tmp_path: Path) -> None:
    small = ("--clients", "10", "--rate", "200", "--seconds", "1", "--rounds", "1", "--results", str(tmp_path))
    done = benchmarks("W2", "--peers", "none", *small)
    assert done.returncode == 0, done.stdout + done.stderr
    content = results(tmp_path)
    assert {"python", "openssl", "kernel", "trio"} <= content["versions"].keys()
    assert content["machine"].keys() == {"cpu", "cores", "memory_gb"}
    assert {"ticker", "floor-python"} <= {sample["server"] for sample in content["samples"]}
    for sample in content["samples"]:
        assert (sample["wrong"], sample["clients"], sample["rate"]) == ("", 10, 200)
        assert sample["cipher"] == "TLS_AES_128_GCM_SHA256"
        figures = sample["figures"]
        assert figures["values"] + figures["conflated"] == figures["offered"] > 0
        assert figures["p50"] <= figures["p99"] <= figures["p999"] <= figures["max"]
    assert {row["met"] for row in content["targets"]} == {None}


def test_a_client_that_was_left_out_is_reported_as_wrong_and_gets_no_figures(tmp_path: Path) -> None:
    small = ("--clients", "20", "--rate", "200", "--seconds", "1", "--rounds", "1", "--results", str(tmp_path))
    done = benchmarks("W2", "--peers", "broken", *small)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "broken on purpose" in done.stdout
    assert "WRONG" in done.stdout
    (sample,) = [each for each in results(tmp_path)["samples"] if each["server"] == "broken"]
    assert sample["wrong"]
    assert sample["figures"] == {}


def test_a_soak_tells_who_came_and_what_that_left_behind(tmp_path: Path) -> None:
    small = ("--clients", "10", "--rate", "200", "--seconds", "8", "--results", str(tmp_path))
    done = benchmarks("soak", *small)
    assert done.returncode == 0, done.stdout + done.stderr
    content = results(tmp_path)
    (sample,) = content["samples"]
    assert (sample["server"], sample["wrong"], sample["void"]) == ("ticker", "", "")
    figures = sample["figures"]
    assert figures["guests_came"] == figures["guests_left"] + figures["guests_stayed"]
    assert min(figures["guests_left"], figures["guests_stayed"]) > 0
    assert figures["descriptors_end"] <= figures["descriptors_start"] < figures["descriptors_most"]
    assert figures["memory_most"] >= figures["memory_end"] > 0
    assert not [row for row in content["targets"] if row["what"].startswith("floods")]


def test_floods_are_seen_by_the_server_and_compared_with_the_usual(tmp_path: Path) -> None:
    small = ("--clients", "10", "--rate", "200", "--seconds", "2", "--results", str(tmp_path))
    done = benchmarks("floods", *small)
    assert done.returncode == 0, done.stdout + done.stderr
    content = results(tmp_path)
    samples = {sample["phase"]: sample for sample in content["samples"]}
    assert list(samples) == ["usual", "pings", "handshakes"]
    for sample in samples.values():
        assert (sample["server"], sample["wrong"], sample["void"]) == ("ticker", "", "")
    for phase in ("pings", "handshakes"):
        figures = samples[phase]["figures"]
        assert figures["attacks_per_second"] > figures["answered_per_second"] > 0
    assert len([row for row in content["targets"] if row["what"].startswith("floods") and row["measured"]]) == 2


def test_what_runs_by_name_only_is_listed_as_that_and_is_in_no_other_session() -> None:
    listed = benchmarks("--list").stdout.splitlines()
    by_name = {line.split()[0] for line in listed if line.endswith("by name only)")}
    assert by_name == {"soak", "floods"}
    assert by_name.isdisjoint({*USUAL, *QUICK})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["W99"], "there is no workload W99; there are W1, "),
        (["W1", "--peers", "nobody"], "there is no peer nobody; there are bun, "),
    ],
)
def test_an_unknown_name_is_one_line_and_exit_code_2(arguments: list[str], said: str) -> None:
    done = benchmarks(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_what_the_host_took_is_told_below_the_table() -> None:
    figures = {"quiet": {"p99": 2.5, "stolen": STOLEN_LIMIT / 2}, "disturbed": {"p99": 25.0, "stolen": 0.36}}
    samples = [Sample("W2", phase, "ticker", 1, 1000, 100, 0, figures=each) for phase, each in figures.items()]
    caption = "Ticker, disturbed: this machine's host gave 36% of its cores' time to others; measure again"
    assert workload_table("W2", samples).caption == caption
