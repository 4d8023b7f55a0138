"""Dockerfile, compose.yaml and the health check: what they name exists, and fits the service."""

from __future__ import annotations

import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import yaml

from tests.bounds import HANG_SECONDS
from tests.bus.servers import Server, started
from tests.conftest import serving
from tests.support import update
from tests.test_readme import blocks
from ticker.bounds import HISTORY_FINISH_SECONDS, STATE_WRITE_SECONDS
from ticker.bus.addresses import parse_redis_address
from ticker.commands.settings import load_config
from ticker.config import Config
from ticker.market import Instrument
from ticker.net.devcert import development_certificate

pytestmark = pytest.mark.untraced

ROOT = Path(__file__).parents[2]
HEALTH = ROOT / "deploy" / "docker" / "health.py"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())


async def health(url: str) -> tuple[int, str]:
    """The exit code and the output of the health check, as the container runs it."""
    done = await trio.run_process([sys.executable, "-I", str(HEALTH), url], capture_stdout=True, check=False)
    return done.returncode, done.stdout.decode()


async def test_the_health_check_sees_whether_the_service_answers() -> None:
    async with serving(Instrument("A"), update("A", last=1)) as service:
        address = service.url.replace("wss:", "https:").removesuffix("/v1/stream")
        assert await health(f"{address}/healthz") == (0, "")
        code, text = await health(f"{address}/nothing")
        assert (code, text.startswith(f"{address}/nothing: 404 ")) == (1, True)
    code, text = await health(f"{address}/healthz")
    assert (code, text) == (1, f"{address}/healthz: [Errno 111] Connection refused\n")


async def test_the_health_check_asks_an_address_without_tls() -> None:
    async with serving(Instrument("A"), update("A", last=1), listen="http://127.0.0.1:0", allow_anyone=True) as service:
        address = service.url.replace("ws:", "http:").removesuffix("/v1/stream")
        assert await health(f"{address}/healthz") == (0, "")


@pytest.mark.parametrize("url", ["https://127.0.0.1:notaport/", "https://[::1/"])
async def test_a_bad_address_of_the_health_check_is_one_line(url: str) -> None:
    code, text = await health(url)
    assert (code, text.count("\n")) == (1, 1)


def copied() -> list[str]:
    """The sources that the Dockerfile copies from the repository."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def test_the_image_is_made_of_files_that_the_build_is_given() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    admitted = [line[1:] for line in ignore if line.startswith("!")]
    assert "*" in ignore
    assert all((ROOT / name).exists() for name in admitted)
    assert {name if name in admitted else str(Path(name).parent) for name in copied()} == set(admitted)


def test_the_image_runs_as_an_ordinary_user_and_for_every_architecture() -> None:
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", DOCKERFILE, re.MULTILINE)
    instructions = "\n".join(line for line in DOCKERFILE.splitlines() if not line.startswith("#"))
    assert not re.search(r"amd64|arm64|x86|aarch", instructions)
    assert instructions.count("FROM ") == 2
    assert "HEALTHCHECK" in instructions


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_service_of_compose_is_locked_up_and_names_files_and_volumes_that_exist(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    for volume in service["volumes"]:
        source = volume.split(":")[0]
        assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), "nobody is asked for a token"
    depends = service.get("depends_on", [])
    assert set(depends) <= COMPOSE["services"].keys()


def test_the_configuration_of_the_page_is_accepted_and_names_the_files_that_it_makes(tmp_path: Path) -> None:
    (text,) = blocks("deploy/README.md", "toml")
    (tmp_path / "ticker.toml").write_text(text)
    config = load_config(tmp_path / "ticker.toml")
    assert config.addresses == ["0.0.0.0:8443"]
    assert config.origins == ["https://dash.example.com"]
    commands = blocks("deploy/README.md", "sh")[1]
    assert "token-public.pem /etc/ticker/" in commands
    assert "/etc/ticker/token-public.pem" in text


TICKERS = ("source", "edge1", "edge2")


def config_of(name: str) -> Config:
    """The configuration of a service of compose."""
    (file,) = [each.split(":")[0] for each in COMPOSE["services"][name]["volumes"] if each.endswith("ticker.toml:ro")]
    return load_config(ROOT / file)


@pytest.mark.parametrize("name", TICKERS)
def test_a_service_of_compose_has_a_configuration_that_is_accepted_and_time_to_stop(name: str) -> None:
    config, service = config_of(name), COMPOSE["services"][name]
    assert config.addresses[0].endswith(":8443")
    assert config.has_feeds is (name == "source")
    grace = int(service["stop_grace_period"].removesuffix("s"))
    assert grace > STATE_WRITE_SECONDS + config.drain_seconds + HISTORY_FINISH_SECONDS


def test_one_source_and_two_edges_share_a_bus_that_neither_evicts_nor_forgets() -> None:
    assert {name for name, each in COMPOSE["services"].items() if each.get("image") == "ticker"} == {
        *TICKERS,
        "certificate",
    }
    (bus,) = {config_of(name).bus for name in TICKERS}
    assert bus is not None
    (host, port), *others = parse_redis_address(bus).servers
    assert (host in COMPOSE["services"], port, others) == (True, 6379, [])
    command = " ".join(COMPOSE["services"][host]["command"])
    for setting in ("--maxmemory-policy noeviction", "--appendonly yes", "--appendfsync everysec"):
        assert setting in command
    assert [COMPOSE["services"][name].get("ports") for name in TICKERS] == [
        None,
        ["127.0.0.1:8443:8443"],
        ["127.0.0.1:8444:8443"],
    ]


def test_the_engine_of_compose_starts_with_its_settings(tmp_path: Path) -> None:
    _, *settings = COMPOSE["services"]["redis"]["command"]
    server = Server(tmp_path, *settings)
    with started(server):
        trio.run(partial(accepted_by, server))


async def accepted_by(server: Server) -> None:
    with trio.fail_after(HANG_SECONDS):
        await server.loaded()
        async with server.engine().connect() as connection:
            assert connection.run


def test_prometheus_asks_all_of_them() -> None:
    prometheus = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    (job,) = prometheus["scrape_configs"]
    targets = [f"{name}:{(config_of(name).metrics_listen or '').rpartition(':')[2]}" for name in TICKERS]
    assert job["static_configs"] == [{"targets": targets}]


def test_the_certificate_of_compose_is_where_the_service_and_prometheus_look_for_it(tmp_path: Path) -> None:
    config = config_of("edge1")
    assert config.tls == config_of("source").tls
    made = development_certificate(tmp_path)
    home = "/var/lib/ticker"
    assert f"TICKER_HOME={home}" in DOCKERFILE
    assert (config.tls.cert, config.tls.key) == (f"{home}/{made.cert.name}", f"{home}/{made.key.name}")
    assert f"ca_file: {home}/{made.authority.name} " in (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text()
    (command,) = COMPOSE["services"]["certificate"]["command"]
    compile(command, "compose.yaml", "exec")
    assert "from ticker.net.devcert import data_folder, development_certificate" in command
