"""Plugin for pytest: tests without coverage, the number of workers, and a list of skipped tests at the end.

Coverage makes a test of pure computation 2.5 times as slow. It counts the tests in the folders that mirror the code.
Tests of the whole service and the longest ones (`UNTRACED`), and tests marked `untraced`, run without it, and so do
their subprocesses; so do the process that hands out tests to workers, and the collection of tests in these.
"""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import sys
import threading
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from hypothesis import strategies

import ticker
import ticker_feeds

TESTS = Path(__file__).parent
UNTRACED = (
    "core/test_invariant.py",
    "core/test_invariant_chain.py",
    "core/test_invariant_edges.py",
    "core/tables/test_recorded_depth.py",
    "examples",
    "hostile/test_cost.py",
    "hostile/test_feeds.py",
    "hostile/test_floods.py",
    "hostile/test_frames.py",
    "hostile/test_fuzz.py",
    "hostile/test_heads.py",
    "hostile/test_list.py",
    "hostile/test_messages.py",
    "hostile/test_proxies.py",
    "hostile/test_tables.py",
    "hostile/test_tls.py",
    "hostile/test_tokens.py",
    "mutants",
    "packages",
    "simulation",
    "site",
    "stranger",
    "web",
    "feeds/test_page.py",
    "server/test_replay_end_to_end.py",
    "test_mutants.py",
    "test_wheel.py",
    "test_benchmarks.py",
    "test_notebook.py",
    "test_readme.py",
)
"""Paths in `tests`."""

LONGEST = (
    "core/test_invariant.py",
    "core/test_invariant_edges.py",
    "hostile/test_fuzz.py",
    "server/test_replay_end_to_end.py",
    "simulation",
    "storm/test_losses.py",
    "storm/test_processes.py",
    "supervisor/test_one_market.py",
    "web/test_dashboard_detail.py",
)
"""Tests that start first, so that no worker is left with a long one at the end."""

LAST = ("client/test_fields.py",)
"""The type checker of these needs what that of `make test` finds out meanwhile, and keeps on the disk."""

_SUBPROCESSES = "COVERAGE_PROCESS_CONFIG"
"""Environment variable with which coverage starts in subprocesses."""


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two workers for each core: many tests wait for timers and subprocesses."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 2 * cores


@cache
def _is_in(path: Path, paths: tuple[str, ...]) -> bool:
    return any(path.is_relative_to(TESTS / each) for each in paths)


@contextmanager
def _untraced() -> Iterator[None]:
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


def pytest_configure(config: pytest.Config) -> None:
    """Where workers run the tests, trace nothing here: it is a third of all that collection and reports take."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", default=None):
        return
    if sys.gettrace() is not None:
        _import_all()
    sys.settrace(None)
    threading.settrace(None)  # the threads that receive reports


def _import_all() -> None:
    """Run the lines of all modules that are run once, on import: workers import them while tracing is off."""
    for package in (ticker, ticker_feeds):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(".__main__"):
                importlib.import_module(module.name)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collect without the garbage collector, and keep it from what was collected: that lives as long as the process."""
    gc.disable()
    try:
        if not hasattr(session.config, "workerinput"):
            return (yield)
        with _untraced():
            return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.collectonly:
        # Hypothesis makes its table of characters in seconds, and keeps it on the disk for the workers of `make test`.
        strategies.text().validate()
    for item in items:
        if _is_in(item.path, UNTRACED):
            item.add_marker(pytest.mark.untraced)
    items.sort(key=lambda item: (not _is_in(item.path, LONGEST), _is_in(item.path, LAST)))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if item.get_closest_marker("untraced") is None:
        return (yield)
    subprocesses = os.environ.pop(_SUBPROCESSES, None)
    try:
        with _untraced():
            return (yield)
    finally:
        if subprocesses is not None:
            os.environ[_SUBPROCESSES] = subprocesses


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the reasons of skipped tests to a file, which `make test` prints below the report on coverage."""
    path = os.environ.get("TICKER_SKIPPED")
    if path is None:
        return
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    lines = [f"skipped {count} tests: {reason}\n" for reason, count in sorted(reasons.items())]
    Path(path).write_text("".join(lines), encoding="utf-8")
