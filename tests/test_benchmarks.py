"""benchmarks/: a small campaign through the real command, with nothing that has to be installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.publishing import run_publish
from benchmarks.run import Job
from benchmarks.tables.recordings import FILES
from benchmarks.workloads import QUICK, USUAL, WORKLOADS
from tests.bounds import HANG_SECONDS

two_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core for the server, one for the clients")
pytestmark = two_cores


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False)


def results(folder: Path) -> Any:  # noqa: ANN401  # the file's content, as it is
    (path,) = folder.glob("*.json")
    return json.loads(path.read_text())


def test_a_campaign_writes_every_sample(tmp_path: Path) -> None:
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
        metrics = sample["metrics"]
        assert metrics["values"] + metrics["conflated"] == metrics["offered"] > 0
        assert {"others", "stolen", "load"} <= metrics.keys()
        assert metrics["p50"] <= metrics["p99"] <= metrics["p999"] <= metrics["max"]
    assert {row["met"] for row in content["targets"]} == {None}


def test_a_client_that_lacks_an_update_is_reported_as_wrong_and_has_no_metrics(tmp_path: Path) -> None:
    small = ("--clients", "20", "--rate", "200", "--seconds", "1", "--rounds", "1", "--results", str(tmp_path))
    done = benchmarks("W2", "--peers", "broken", *small)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "broken on purpose" in done.stdout
    assert "WRONG" in done.stdout
    (sample,) = [each for each in results(tmp_path)["samples"] if each["server"] == "broken"]
    assert sample["wrong"]
    assert sample["metrics"] == {}


def test_a_soak_counts_churn_clients_memory_and_descriptors(tmp_path: Path) -> None:
    small = ("--clients", "10", "--rate", "200", "--seconds", "8", "--results", str(tmp_path))
    done = benchmarks("soak", *small)
    assert done.returncode == 0, done.stdout + done.stderr
    content = results(tmp_path)
    (sample,) = content["samples"]
    assert (sample["server"], sample["wrong"], sample["void"]) == ("ticker", "", "")
    metrics = sample["metrics"]
    assert metrics["churn_started"] == metrics["churn_ended"] + metrics["churn_remaining"]
    assert min(metrics["churn_ended"], metrics["churn_remaining"]) > 0
    assert metrics["descriptors_end"] <= metrics["descriptors_start"] < metrics["descriptors_max"]
    assert metrics["memory_max"] >= metrics["memory_end"] > 0
    assert not [row for row in content["targets"] if row["name"].startswith("floods")]


def test_the_server_answers_floods_and_their_latency_is_compared_with_that_before(tmp_path: Path) -> None:
    small = ("--clients", "10", "--rate", "200", "--seconds", "2", "--results", str(tmp_path))
    done = benchmarks("floods", *small)
    assert done.returncode == 0, done.stdout + done.stderr
    content = results(tmp_path)
    samples = {sample["phase"]: sample for sample in content["samples"]}
    assert list(samples) == ["usual", "pings", "handshakes"]
    for sample in samples.values():
        assert (sample["server"], sample["wrong"], sample["void"]) == ("ticker", "", "")
    for phase in ("pings", "handshakes"):
        metrics = samples[phase]["metrics"]
        assert metrics["attacks_per_second"] > metrics["answered_per_second"] > 0
    assert len([row for row in content["targets"] if row["name"].startswith("floods") and row["measured"]]) == 2


def test_sizing_is_arithmetic_with_the_results_that_are_kept() -> None:
    few, many = (benchmarks("sizing", "100000", "1000000", "--frames", frames) for frames in ("1", "4"))
    assert (few.returncode, many.returncode, few.stderr) == (0, 0, "")
    edges = [numbers_of(done.stdout, "edges of one core") for done in (few, many)]
    assert edges[0] < edges[1]
    assert [least * 8 < most < least * 11 for least, most in edges] == [True, True]


def numbers_of(table: str, row: str) -> list[int]:
    (line,) = [line for line in table.splitlines() if row in line]
    return [int(cell.replace(",", "")) for cell in line.split("│")[2:-1]]


def test_sizing_says_what_it_lacks(tmp_path: Path) -> None:
    done = benchmarks("sizing", "--results", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "no result has values of W2-paced (ticker): measure with `python -m benchmarks " in done.stderr
    path = tmp_path / "other.json"
    for text, cause in (("[]", "is no result of a campaign"), ("{", "cannot be read: ")):
        path.write_text(text)
        done = benchmarks("sizing", "--results", str(tmp_path))
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{path} {cause}" in done.stderr
    assert benchmarks("sizing", "none").stderr.endswith("'none' is not a whole number above 0\n")


def test_workloads_that_run_by_name_only_are_listed_as_such_and_are_in_no_other_campaign() -> None:
    listed = benchmarks("--list").stdout.splitlines()
    by_name = {line.split()[0] for line in listed if line.endswith("by name only)")}
    assert by_name == {
        "soak",
        "floods",
        "outside",
        "depth",
        "depth-20",
        "tape",
        "bars",
        "following",
        "attackers-5k",
        "attackers-50k",
    }
    alone = {line.split()[0] for line in listed if line.endswith("(Ticker alone)")}
    assert alone == {"W7-watching", "publish", "source", "workers", "market-100k"}
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


def test_memory_of_further_clients_is_measured_with_watchlists_of_their_own(tmp_path: Path) -> None:
    small = ("--clients", "20", "--rounds", "1", "--seconds", "1", "--results", str(tmp_path))
    done = benchmarks("W7-watching", *small)
    assert done.returncode == 0, done.stdout + done.stderr
    samples = results(tmp_path)["samples"]
    assert [(each["clients"], each["void"], each["wrong"]) for each in samples] == [(10, "", ""), (20, "", "")]
    assert samples[1]["metrics"]["kb_per_further_client"] > 0


def test_a_source_is_measured_with_its_feed_and_beside_it(tmp_path: Path) -> None:
    small = ("--clients", "5", "--rate", "2000", "--seconds", "1", "--rounds", "1", "--results", str(tmp_path))
    done = benchmarks("source", *small)
    assert done.returncode == 0, done.stdout + done.stderr
    (sample,) = results(tmp_path)["samples"]
    assert (sample["void"], sample["wrong"]) == ("", "")
    assert sample["metrics"]["cpu"] > 0 < sample["metrics"]["cpu_feed"]
    assert sample["metrics"]["offered"] > 0


@pytest.mark.parametrize("texts", ["made texts", "recorded texts"])
def test_publications_are_measured_in_a_process_of_their_own(texts: str) -> None:
    recordings = os.environ.get("TICKER_RECORDINGS")
    if texts == "recorded texts" and not recordings:
        pytest.skip("TICKER_RECORDINGS is not set")
    given = {name: text for name, text in os.environ.items() if name != "TICKER_RECORDINGS"}
    if texts == "recorded texts":
        given = dict(os.environ)
    command = [sys.executable, "-m", "benchmarks.publishing"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, check=True, env=given)
    found = json.loads(done.stdout)
    assert found.pop("texts") == texts
    assert found.keys() == {"us_per_update", "us_per_levels"}
    assert min(found.values()) > 0


def test_recordings_that_are_not_there_are_the_reason_for_no_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKER_RECORDINGS", str(tmp_path))
    sample = run_publish(Job("publish", WORKLOADS["publish"], "ticker", 1))
    assert sample.void == f"TICKER_RECORDINGS has to name a folder with ticks/{FILES[0]}"
