"""benchmarks/: a small campaign through the real command, with nothing that has to be installed."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.install import node_folder, program, python_folder
from benchmarks.publishing import run_publish
from benchmarks.readers import MqttReader
from benchmarks.report import OTHERS_LIMIT, STOLEN_LIMIT, workload_table
from benchmarks.run import Job
from benchmarks.sample import Sample
from benchmarks.servers import SERVERS
from benchmarks.tables.recordings import FILES
from benchmarks.targets import Row, targets
from benchmarks.workloads import QUICK, USUAL, WORKLOADS
from tests.bounds import HANG_SECONDS

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core for the server, one for the clients")


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
    assert alone == {"W7-watching", "publish", "source", "workers"}
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
        "Ticker, 100/s: processes that are not measured took 40% of a core; measure again",
        "other processes took 2.0% (at most 40.0%) of a core, the host 0.1% (at most 0.1%) of all cores",
    ]


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


BROKERS = ("mosquitto", "pushpin", "redis-ws", "socket.io-redis")


@pytest.mark.parametrize("peer", BROKERS)
def test_clients_of_a_broker_are_exact(peer: str, tmp_path: Path) -> None:
    needs = SERVERS[peer].needs
    folders = [*map(python_folder, needs.python), *(node_folder() / "node_modules" / name for name in needs.node)]
    if any(program(tool) == tool for tool in needs.tools) or not all(folder.exists() for folder in folders):
        pytest.skip(f"{peer} is not installed")
    small = ("--clients", "10", "--rate", "200", "--seconds", "1", "--rounds", "1", "--results", str(tmp_path))
    done = benchmarks("W2", "--peers", peer, *small)
    assert done.returncode == 0, done.stdout + done.stderr
    (sample,) = [each for each in results(tmp_path)["samples"] if each["server"] == peer]
    assert (sample["void"], sample["wrong"]) == ("", "")
    assert sample["metrics"]["values"] == sample["metrics"]["offered"] > 0


def mqtt(kind: int, body: bytes) -> bytes:
    length = len(body)
    return bytes((kind, length)) + body if length < 128 else bytes((kind, length % 128 + 128, length // 128)) + body


def test_mqtt_packets_are_read_wherever_they_are_cut() -> None:
    prices = [(7, 10_001), (300, 10_002), (7, 10_003)]
    topics = (b"u/7", b"u/300", b"u/" + b"0" * 200 + b"7")
    published = [
        mqtt(0x30 + retained, len(topic).to_bytes(2, "big") + topic + struct.pack("<IId", *price, 0.0))
        for retained, topic, price in zip((1, 0, 0), topics, prices, strict=True)
    ]
    data = b"".join([mqtt(0x20, b"\0\0"), mqtt(0x90, b"\0\x01\0\0"), *published])
    for cut in range(len(data) + 1):
        reader = MqttReader()
        assert reader.read([data[:cut]]) + reader.read([data[cut:]]) == prices
        assert (reader.subscribed, reader.fault) == (True, "")


def test_what_a_broker_refuses_is_a_fault_of_its_clients() -> None:
    reader = MqttReader()
    reader.read([mqtt(0x20, b"\0\x05")])
    assert reader.fault == "the connection was refused: 5"
    reader = MqttReader()
    reader.read([mqtt(0x90, b"\0\x01\0\x80")])
    assert reader.fault == "a subscription was refused: 128"


def test_a_watchlist_of_fifty_topics_is_one_mqtt_packet_with_its_length_in_two_bytes() -> None:
    connect, subscribe = MqttReader().subscription_payloads(range(50))
    assert connect == bytes.fromhex("10 0c 0004 4d515454 04 02 0000 0000".replace(" ", ""))
    body = b"\0\x01" + b"".join(b"\0%cu/%d\0" % (2 + len(str(each)), each) for each in range(50))
    assert subscribe == mqtt(0x82, body)
    assert len(body) > 127
