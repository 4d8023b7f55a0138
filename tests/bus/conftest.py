"""Every engine, fresh, for the tests that all of them pass; and a Redis of one test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.bus.engines import local_engine, spooled_engine
from tests.bus.relays import ReadElsewhere, relay_of
from tests.bus.servers import Server, started
from tests.programs import REDIS, VALKEY, Program
from ticker.bus import delayed
from ticker.bus.engine import Engine
from ticker.bus.relayed import RelayedEngine

_names = count()


def _shared(factory: pytest.TempPathFactory, program: Program) -> Iterator[Server]:
    server = Server(factory.mktemp("server"), program=program)
    with started(server):
        yield server


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Redis of all tests, each with keys of its own."""
    yield from _shared(tmp_path_factory, REDIS)


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Valkey, likewise."""
    yield from _shared(tmp_path_factory, VALKEY)


_KINDS = ["local", "delayed", "redis", *(["valkey"] if VALKEY.path() is not None else [])]


@pytest.fixture(params=[*_KINDS, "relayed local", "relayed redis"])
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of an engine."""
    return str(request.param)


@pytest.fixture
def shared(request: pytest.FixtureRequest, kind: str) -> Server | None:
    """The server of the engine, None for the engine of one machine, and that as it was."""
    name = kind.removeprefix("relayed ")
    return None if name in {"local", "delayed"} else request.getfixturevalue(f"shared_{name}")


@pytest.fixture
async def engine(
    shared: Server | None, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Engine]:
    """An engine without anything in it."""
    with trio.fail_after(HANG_SECONDS):
        async with AsyncExitStack() as stack:
            if kind == "delayed":
                monkeypatch.setattr(delayed, "SPOOL_LOOK_SECONDS", 0)
                async with local_engine(tmp_path) as real, spooled_engine(real, tmp_path / "spool") as spooled:
                    yield spooled
                return
            if shared is None:
                engine: Engine = await stack.enter_async_context(local_engine(tmp_path))
            else:
                await shared.ready()
                engine = shared.engine(options=f"?name=test{next(_names)}")
            if kind.startswith("relayed "):
                relay = await stack.enter_async_context(relay_of(engine))
                engine = ReadElsewhere(engine, RelayedEngine([relay.url]))
            yield engine


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Server]:
    """A Redis of this test."""
    server = Server(tmp_path)
    with started(server), trio.fail_after(HANG_SECONDS):
        await server.ready()
        yield server
