"""deploy/systemd: the unit is valid, and its limits and times fit those of the service."""

from __future__ import annotations

import re
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

from tests.programs import SYSTEMD_ANALYZE, require
from ticker.bounds import (
    HISTORY_FINISH_SECONDS,
    MAX_METRICS_CONNECTIONS,
    MAX_PENDING_CONNECTIONS,
    OUTPUT_FINISH_SECONDS,
    RESERVED_DESCRIPTORS,
    STATE_WRITE_SECONDS,
)
from ticker.config import Config

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "ticker.service"


@pytest.fixture
def service() -> dict[str, str]:
    """The options of the unit's service; of those that are given twice, the last."""
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names of options as they are written
    parser.read(UNIT)
    return dict(parser["Service"])


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit, with a program that this machine has."""
    path = tmp_path / "ticker.service"
    path.write_text(UNIT.read_text().replace("/opt/ticker/bin/ticker", "/bin/true"))
    return path


def analyze(*arguments: str) -> str:
    command = [require(SYSTEMD_ANALYZE), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_accepts_every_option_of_the_unit(installed: Path) -> None:
    assert analyze("verify", "--man=no", "--recursive-errors=no", str(installed)) == ""


def test_the_unit_is_exposed_to_little(installed: Path) -> None:
    """From 0 (locked up) to 10: the network and its sockets are what a service needs."""
    report = analyze("security", "--offline=yes", "--threshold=20", "--no-pager", str(installed))
    found = re.search(r"exposure level for ticker\.service: ([\d.]+)", report)
    assert found is not None, report
    assert float(found[1]) < 2


def test_the_times_of_the_unit_cover_those_of_the_service(service: dict[str, str]) -> None:
    assert service["Type"] == "notify"
    needed = STATE_WRITE_SECONDS + Config().drain_seconds + HISTORY_FINISH_SECONDS + OUTPUT_FINISH_SECONDS
    assert int(service["TimeoutStopSec"]) > needed
    assert int(service["WatchdogSec"]) >= 10
    assert service["RestartPreventExitStatus"] == "2"
    assert service["ExecReload"].endswith("kill -HUP $MAINPID")


def test_the_descriptors_of_the_unit_are_enough_for_all_connections(service: dict[str, str]) -> None:
    needed = Config().limits.max_connections + MAX_PENDING_CONNECTIONS + MAX_METRICS_CONNECTIONS + RESERVED_DESCRIPTORS
    assert int(service["LimitNOFILE"]) >= needed
