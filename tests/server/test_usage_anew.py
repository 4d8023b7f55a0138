"""A usage log that cannot be made where a market begins later than its process: said, not ready, and prices go on."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.bus.servers import free_port
from tests.conftest import Logs, Running, serving
from tests.server.delayed import delayed_from, page, usage_lines
from tests.server.test_operator_pages import measures
from tests.server.test_pages import ask
from tests.support import update
from tests.tokens import bearer, key_file, token
from ticker.config import Tokens, Usage
from ticker.market import Instrument, Publication

MARKET: tuple[Publication, ...] = (Instrument("A", 2, 0), update("A", bid="1.00"))


@pytest.fixture(autouse=True)
def quick(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001  # a spool of its own
    """Short waits."""
    monkeypatch.setattr("ticker.server.usage_log.USAGE_CHECK_SECONDS", 0.01)
    monkeypatch.setattr("ticker.usage.writer.USAGE_RETRY_SECONDS", 0.01)
    monkeypatch.setattr("ticker.bus.relayed.FOLLOW_RETRY_SECONDS", 0.1)


def put_away(folder: Path) -> None:
    """What is written there can be written on, but no new file can be made."""
    folder.rename(folder.with_name("former"))
    folder.touch()


async def not_ready(service: Running, text: str) -> None:
    while text not in str((await ask(service, "/readyz")).json):
        await trio.sleep(0.02)


async def test_the_delayed_market_is_served_and_said_not_to_be_logged_until_its_first_file_is_made(
    tmp_path: Path, logs: Logs
) -> None:
    tokens, usage = Tokens(key=key_file(tmp_path)), Usage(str(tmp_path / "usage"))
    real = bearer(token(sub="trader", metrics=True, realtime=True))
    late = bearer(token(sub="reader", realtime=False))
    async with (
        serving(*MARKET) as source,
        delayed_from(source, tokens=tokens, usage=usage, delay="5s") as service,
    ):
        await page(service, "/v1/snapshot?symbols=A", real.strip())
        put_away(tmp_path / "usage")
        seen = await page(service, "/v1/snapshot?symbols=A", late.strip())
        assert seen.json["instruments"]["A"]["bid"] == "1.00"
        await service.watcher("A", more=late)
        await not_ready(service, "delayed: the usage log is not written")
        found = await measures(service, real.strip())
        assert found["ticker_usage_log_up{market=delayed}"] == 0
        assert found["ticker_usage_log_failures_total{market=delayed}"] > 0
        assert found["ticker_usage_log_up"] == 1
        (tmp_path / "usage").unlink()
        while (await ask(service, "/readyz")).status != 200:
            await trio.sleep(0.02)
        assert (await measures(service, real.strip()))["ticker_usage_log_lost_total{market=delayed}"] == 0
    assert {each["subject"] for each in usage_lines(tmp_path / "usage") if "subject" in each} == {"reader"}
    assert any("the usage log cannot be written; the service is not ready" in entry["event"] for entry in logs)


async def test_a_market_that_begins_anew_is_served_nevertheless_and_its_end_is_orderly(
    tmp_path: Path, logs: Logs
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    usage = Usage(str(tmp_path / "usage"))
    async with serving(*MARKET, listen=listen) as first, delayed_from(first, delay=None, usage=usage) as service:
        epoch = (await page(service, "/v1/snapshot?symbols=A")).json["epoch"]
        put_away(tmp_path / "usage")
        first.stop.set()
        await first.done.wait()
        async with serving(*MARKET, listen=listen):
            while (await page(service, "/v1/snapshot?symbols=A")).json["epoch"] == epoch:
                await trio.sleep(0.02)
            await not_ready(service, "the usage log is not written")
            service.stop.set()
            await service.done.wait()
    assert any("the end of the usage log could not be written" in entry["event"] for entry in logs)
