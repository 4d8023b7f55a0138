"""`python -m benchmarks`: measure Ticker beside other servers."""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks import sizing
from benchmarks.campaign import Campaign
from benchmarks.install import ROOT, install
from benchmarks.machine import machine, software
from benchmarks.plots import plot
from benchmarks.process import CORES, LOAD_CORE
from benchmarks.report import targets_table, workload_table, write_json
from benchmarks.sample import Sample
from benchmarks.servers import FLOORS, PEER_NAMES, SERVERS
from benchmarks.targets import targets
from benchmarks.workloads import ENOUGH_ROUNDS, QUICK, USUAL, WORKLOADS, Overrides

RESULTS = ROOT / "benchmarks" / "results"
OPENSSL_CONF = str(ROOT / "benchmarks" / "openssl.cnf")


def main() -> int:
    """Run the requested workloads; return the exit code."""
    if sys.argv[1:2] == ["sizing"]:
        return sizing.main(sys.argv[2:], RESULTS)
    arguments = _arguments(sys.argv[1:])
    console = Console(width=None if sys.stdout.isatty() else 200)
    if arguments.list:
        _list(console)
        return 0
    if CORES < 2:
        print("two cores are needed: one for the server, one for the load client", file=sys.stderr)
        return 2
    os.sched_setaffinity(0, {LOAD_CORE})
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    overrides = Overrides(arguments.quick, arguments.clients, arguments.rate, arguments.seconds, arguments.rounds)
    campaign = Campaign(console, overrides, arguments.peers or ())
    began = datetime.now(UTC)
    interrupted = False
    try:
        workloads = arguments.workloads or (QUICK if arguments.quick else USUAL)
        campaign.run(workloads, _present(console, _servers(arguments, workloads)))
    except KeyboardInterrupt:
        interrupted = True
        console.print("ended early: these are the measurements so far")
    _report(console, campaign.samples, began, arguments)
    if any(each.wrong and SERVERS[each.server].role in {"ticker", "hidden"} for each in campaign.samples):
        return 1
    return 130 if interrupted else 0


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Ticker and the floors beside other servers, on one core each, and print tables.",
        epilog="`python -m benchmarks sizing` prints what so many dashboards take, from the latest results. Exit code 1"
        " if a client of Ticker ended with a wrong price, 2 if an argument cannot be used.",
    )
    parser.add_argument(
        "workloads",
        nargs="*",
        metavar="WORKLOAD",
        help="workloads of --list; default: all except those that run by name only",
    )
    parser.add_argument("--list", action="store_true", help="list the workloads and peers")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="only workloads with targets and the peers that these name, one short round: at most eight minutes",
    )
    parser.add_argument("--peers", nargs="+", metavar="NAME", help="peers to measure, or `none`; default: all")
    parser.add_argument(
        "--rounds",
        type=_positive,
        metavar="N",
        help=f"maximum number of runs of each server (default: {ENOUGH_ROUNDS})",
    )
    parser.add_argument("--clients", type=_positive, metavar="N", help="clients, instead of the workload's own")
    parser.add_argument("--rate", type=_positive, metavar="N", help="updates per second, instead of the workload's own")
    parser.add_argument("--seconds", type=_positive, metavar="N", help="length of each phase, instead of its own")
    parser.add_argument(
        "--results",
        type=Path,
        default=RESULTS,
        metavar="FOLDER",
        help="folder for the JSON file and the charts (default: benchmarks/results)",
    )
    arguments = parser.parse_args(given)
    for name in arguments.workloads:
        if name not in WORKLOADS:
            parser.exit(2, f"there is no workload {name}; there are {', '.join(WORKLOADS)}\n")
    for name in arguments.peers or ():
        if name != "none" and (name not in SERVERS or SERVERS[name].role not in {"peer", "hidden"}):
            parser.exit(2, f"there is no peer {name}; there are {', '.join(PEER_NAMES)}, none\n")
    return arguments


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _servers(arguments: argparse.Namespace, workloads: Sequence[str]) -> list[str]:
    """Return the servers that may take part; no others get installed."""
    wanted = {name for each in workloads for name in WORKLOADS[each].also}
    if not all(WORKLOADS[name].ticker_only for name in workloads):
        compared = {name for each in workloads for name in WORKLOADS[each].compared}
        wanted |= compared if arguments.quick else {*PEER_NAMES, *FLOORS}
        if arguments.peers:
            wanted -= set(PEER_NAMES)
    wanted |= {"ticker", *(arguments.peers or ())}
    return [name for name in SERVERS if name in wanted]


def _present(console: Console, servers: Sequence[str]) -> list[str]:
    """Install the servers; return those that are available."""
    present = []
    for name in servers:
        with console.status(f"installing {name}"):
            missing = install(SERVERS[name].needs)
        if missing:
            console.print(f"{name} is skipped: {missing}")
        else:
            present.append(name)
    return present


def _list(console: Console) -> None:
    for name, workload in WORKLOADS.items():
        alone, by_name = "Ticker alone" * workload.ticker_only, "by name only" * workload.by_name
        notes = ", ".join(filter(None, (alone, by_name)))
        console.print(f"{name:12} {workload.title}{notes and f' ({notes})'}", highlight=False)
    console.print(f"peers: {', '.join(PEER_NAMES)}", highlight=False)


def _report(console: Console, samples: Sequence[Sample], began: datetime, arguments: argparse.Namespace) -> None:
    if not samples:
        return
    for key in dict.fromkeys(sample.workload for sample in samples):
        console.print(workload_table(key, [sample for sample in samples if sample.workload == key]))
    rows = targets(samples)
    console.print(targets_table(rows))
    stamp = f"{began:%Y%m%dT%H%M%S}"
    path = arguments.results / f"{stamp}.json"
    about = {
        "began": began.isoformat(timespec="seconds"),
        "arguments": sys.argv[1:],
        "machine": machine(),
        "versions": software(dict.fromkeys(sample.server for sample in samples)),
    }
    write_json(path, about, samples, rows)
    console.print(f"every run: {path}", soft_wrap=True)
    try:
        for chart in plot(samples, arguments.results, stamp):
            console.print(f"chart: {chart}", soft_wrap=True)
    except ImportError:
        console.print("no charts: matplotlib is not installed (`make bench` does that)")


def _offer_one_cipher_suite() -> None:
    """Start again with a configuration of OpenSSL: it is read when OpenSSL is first loaded.

    Python 3.11 has no other way to choose the cipher suites of TLS 1.3.
    """
    if os.environ.get("OPENSSL_CONF") != OPENSSL_CONF:
        os.environ["OPENSSL_CONF"] = OPENSSL_CONF
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks", *sys.argv[1:]])  # noqa: S606  # itself


if __name__ == "__main__":
    _offer_one_cipher_suite()
    sys.exit(main())
