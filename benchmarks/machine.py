"""The machine and the versions of the software, for the results file."""

from __future__ import annotations

import os
import platform
import shutil
import ssl
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from benchmarks.install import ROOT, versions
from benchmarks.process import CORES
from benchmarks.servers import SERVERS

_OWN = ("ticker-push", "trio", "trio-websocket", "msgpack", "msgspec")


def machine() -> dict[str, object]:
    """Return the CPU model, the number of usable cores, and the memory in GB."""
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    total = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": CORES,
        "memory_gb": round(total / 1e6, 1),
    }


def busy_and_stolen() -> tuple[float, float]:
    """Return the seconds so far in which the cores worked, and those that the host gave to others (proc(5))."""
    user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(int, _lines("/proc/stat")[0].split()[1:])
    tick = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / tick, steal / tick


def software(servers: Iterable[str]) -> dict[str, str]:
    """Return the versions of everything that took part."""
    found = {
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "kernel": platform.release().partition("-")[0],
        "commit": _output("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        **{name: version(name) for name in _OWN},
    }
    for server in servers:
        needs = SERVERS[server].needs
        found |= versions(needs)
        if "node" in needs.tools:
            found["node"] = _output("node", "--version")
        # Debian's own servers have no common way to say their version.
        for tool in {*needs.tools} & {"mosquitto", "pushpin", "redis-server"}:
            found[tool] = _output("dpkg-query", "--show", "--showformat=${Version}", tool)
    return found


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _output(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
