"""The examples for notebooks, as printed, in a kernel of Jupyter; one kernel and one service for all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bounds import HANG_SECONDS
from tests.test_readme import PYTHON, README, blocks, environment, service

jupyter = pytest.importorskip("jupyter_client.manager")
pytest.importorskip("ipykernel")


class Kernel:
    """A kernel, and the address of a service that its cells are run with."""

    def __init__(self, manager: Any, client: Any, url: str) -> None:  # noqa: ANN401  # of a library without types
        self.manager = manager
        self.client = client
        self.url = url

    def run(self, code: str, interrupt_after: int | None = None) -> list[dict[str, Any]]:
        """Run a cell to its end and return its outputs; it is interrupted after so many of them, if that is given."""
        outputs: list[dict[str, Any]] = []

        def take(message: dict[str, Any]) -> None:
            if message["msg_type"] in {"stream", "execute_result", "display_data", "update_display_data", "error"}:
                outputs.append(message)
                if len(outputs) == interrupt_after:
                    self.manager.interrupt_kernel()

        code = code.replace("wss://localhost:8443", self.url)
        self.client.execute_interactive(code, output_hook=take, timeout=HANG_SECONDS)
        return outputs


def html(output: dict[str, Any]) -> str:
    return str(output["content"]["data"]["text/html"])


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    folder: Path = tmp_path_factory.mktemp("notebook")
    with service(folder, "simulated") as url:
        manager, client = jupyter.start_new_kernel(
            kernel_name="python3", cwd=str(folder), env={**os.environ, **environment(folder)}
        )
        try:
            yield Kernel(manager, client, url)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


def test_the_six_lines_of_the_readme_work_in_a_cell_until_it_is_stopped(kernel: Kernel) -> None:
    *outputs, last = kernel.run(blocks(README, "python")[0], interrupt_after=2)
    assert "EURUSD" in "".join(output["content"].get("text", "") for output in outputs)
    assert last["content"]["ename"] == "KeyboardInterrupt"


def test_a_live_table_is_drawn_again_in_its_place_and_the_last_one_stays(kernel: Kernel) -> None:
    first, *later = kernel.run(blocks(PYTHON, "python")[5])
    assert first["msg_type"] == "display_data"
    assert {output["msg_type"] for output in later} == {"update_display_data"}
    assert len(later) > 1
    assert "EURUSD" in html(later[-1])
    assert "<th>bid</th>" in html(later[-1])
    tables = kernel.run('import ticker\nticker.show("wss://localhost:8443", ["*"])', interrupt_after=3)
    assert {output["msg_type"] for output in tables} == {"display_data", "update_display_data"}, "it just stops"


def test_a_cell_awaits_the_client_for_asyncio_and_shows_its_values(kernel: Kernel) -> None:
    (table,) = kernel.run(blocks(PYTHON, "python")[6])
    assert table["msg_type"] == "execute_result", table
    assert "EURUSD" in html(table)
    (values,) = kernel.run('await ticker.aio.snapshot("wss://localhost:8443", ["EURUSD"])')
    assert "'bid': Decimal(" in values["content"]["data"]["text/plain"]


def test_a_cell_that_awaits_can_be_stopped(kernel: Kernel) -> None:
    endless = """
import ticker
async with ticker.aio.connect("wss://localhost:8443") as client:
    async for change in client.subscribe("*"):
        print(change.cut)
"""
    *_, last = kernel.run(endless, interrupt_after=1)
    assert last["content"]["ename"] in {"CancelledError", "KeyboardInterrupt"}
    (result,) = kernel.run("client")
    assert "closed" in result["content"]["data"]["text/plain"]
