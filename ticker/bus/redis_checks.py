"""What a Redis or Valkey must be like, as it says itself."""

from __future__ import annotations

from typing import NamedTuple

from coredis.exceptions import ResponseError

from ticker.bus.addresses import RedisAddress
from ticker.bus.engine import Unavailable
from ticker.bus.redis_link import Link, Reply

_OLDEST = (6, 2)


class Checked(NamedTuple):
    """A server that can be used."""

    run: str
    """The server's life, and that of its data: a restart or a failover gives another."""
    keeps_on_disk: bool
    """Whether it has an append-only file."""


async def check_server(link: Link, address: RedisAddress) -> Checked:
    """Check the server's version, role and eviction. Raises `Unavailable` with the remedy."""
    info = _parsed_info(await link.command(b"INFO"))
    if (fault := _fault(info, address)) is not None:
        raise Unavailable(f"the bus at {address.text}: {fault}")
    return Checked(f"{info.get('run_id', '')}:{info.get('master_replid', '')}", info.get("aof_enabled") == "1")


async def eviction(link: Link) -> str | None:
    """Return the fault of a server that may delete the log by now; None if it may not, or does not tell any more."""
    try:
        answer = await link.try_command(b"INFO", b"memory")
    except ResponseError:
        return None
    return _eviction(_parsed_info(answer))


def _parsed_info(answer: Reply) -> dict[str, str]:
    lines = (answer if isinstance(answer, bytes) else b"").decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _fault(info: dict[str, str], address: RedisAddress) -> str | None:
    sentinels = f"{address.sentinel_scheme}://"
    version = info.get("redis_version", "")
    if _parsed(version) < _OLDEST:
        return f"its version is {version or 'unknown'}: Redis 6.2 or newer is needed, or Valkey"
    if info.get("redis_mode") == "cluster":
        return f"it is a cluster: name a server that is none, or the sentinels of one ({sentinels})"
    if info.get("redis_mode") == "sentinel":
        return f"it is a sentinel: {sentinels}HOST:26379/SERVICE"
    if info.get("role") != "master":
        primary = f"{info.get('master_host')}:{info.get('master_port')}"
        return f"it is a read-only replica of {primary}: name that one, or the sentinels ({sentinels})"
    return _eviction(info)


def _eviction(info: dict[str, str]) -> str | None:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        return f"its maxmemory-policy is {policy}, so it may delete the log: set maxmemory-policy noeviction"
    return None


def _parsed(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in version.split(".")[:2] if each.isdigit())
