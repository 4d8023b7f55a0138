"""deploy/prometheus and deploy/grafana: rules by promtool, and every metric that they name exists in /metrics."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import serving
from tests.programs import PROMTOOL, require
from tests.server.test_pages import ask
from tests.support import update
from ticker.bus.delayed import DelayedEngine
from ticker.bus.local import LocalEngine
from ticker.bus.spool_metrics import spool_metrics
from ticker.config import Config, Usage
from ticker.market import Instrument
from ticker.net.listeners import Opened
from ticker.server.bus_metrics import Anew, BusMetrics, BusState
from ticker.supervisor.supervisor import Supervisor

pytestmark = pytest.mark.untraced

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
DASHBOARD = json.loads((DEPLOY / "grafana" / "ticker.json").read_text())

_NAME = re.compile(r"\bticker_\w+")
_SERIES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def promtool(*arguments: str | Path) -> str:
    command = [require(PROMTOOL), *map(str, arguments)]
    done = subprocess.run(command, cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def expressions() -> list[str]:
    """The expressions of the dashboard."""
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


async def series(folder: Path) -> dict[str, set[str]]:
    """The names of the series in /metrics of a service with everything on, by the metric that each belongs to."""
    async with serving(Instrument("A"), update("A", last=1), usage=Usage(str(folder / "usage"))) as service:
        own = (await ask(service, "/metrics")).body.decode()
        texts = [own, await _supervisors_own(), _on_a_bus(), _delayed(folder)]
    return {
        family.name: {family.name + suffix for suffix in _SERIES[family.type]}
        for text in texts
        for family in text_string_to_metric_families(text)
    }


async def _supervisors_own() -> str:
    """What a service with several workers has besides."""
    supervisor = Supervisor(Config(), 2, Opened([], [], metrics_open=False))
    return (await supervisor.metrics.page()).decode()


def _on_a_bus() -> str:
    """What a process on a bus has besides."""
    registry = CollectorRegistry()
    state = BusState("edge", None, term=1, committed=0, followed=5, keyframes=0, silent_seconds=0.0)
    registry.register(BusMetrics(lambda: state, Anew()))
    return generate_latest(registry).decode()


def _delayed(folder: Path) -> str:
    """What a process with a spool has besides."""
    registry = CollectorRegistry()
    delayed = DelayedEngine(LocalEngine(str(folder / "bus")), 900, folder / "spool")
    registry.register(_Spool(delayed))
    return generate_latest(registry).decode()


class _Spool:
    def __init__(self, delayed: DelayedEngine) -> None:
        self._delayed = delayed

    def collect(self) -> Iterator[Metric]:
        return spool_metrics(self._delayed)


async def test_every_metric_of_the_rules_and_of_the_dashboard_exists(tmp_path: Path) -> None:
    existing = set[str]().union(*(await series(tmp_path)).values())
    for text in [*(rule["expr"] for rule in rules()), *expressions()]:
        assert set(_NAME.findall(text)) <= existing, text
    assert set(_NAME.findall((PROMETHEUS / "rules_test.yml").read_text())) <= existing


async def test_every_metric_is_on_the_dashboard(tmp_path: Path) -> None:
    shown = set(_NAME.findall(" ".join(expressions())))
    missing = [name for name, names in (await series(tmp_path)).items() if not names & shown]
    assert missing == [], "add them to a panel of deploy/grafana/ticker.json"


def test_the_rules_pass_their_tests_and_each_alert_has_one() -> None:
    promtool("check", "rules", "rules.yml")
    promtool("test", "rules", "rules_test.yml")
    tested = set(re.findall(r'alertname="(\w+)",alertstate="firing"', (PROMETHEUS / "rules_test.yml").read_text()))
    assert tested == {rule["alert"] for rule in rules()}


def test_an_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"].keys() == {"summary", "remedy"}
        assert "$labels.instance" in rule["annotations"]["summary"]


def test_the_configuration_of_prometheus_is_accepted(tmp_path: Path) -> None:
    text = (PROMETHEUS / "prometheus.yml").read_text()
    (tmp_path / "ca.pem").touch()
    (tmp_path / "prometheus.yml").write_text(text.replace("/var/lib/ticker/ca.pem", str(tmp_path / "ca.pem")))
    (tmp_path / "rules.yml").write_text((PROMETHEUS / "rules.yml").read_text())
    promtool("check", "config", tmp_path / "prometheus.yml")


def test_the_expressions_of_the_dashboard_can_be_read(tmp_path: Path) -> None:
    """As recording rules, with the variables filled in as Grafana does."""
    filled = [each.replace("$__rate_interval", "1m").replace("$instance", ".*") for each in expressions()]
    recorded = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(filled)]
    (tmp_path / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": recorded}]}))
    promtool("check", "rules", tmp_path / "panels.yml")


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
