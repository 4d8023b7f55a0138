"""The processes of the storm, each on a host of its own: killed, stopped, and started again where they were."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import trio
import trustme

from tests.programs import REDIS, require
from tests.storm.namespaces.network import Host

ROOT = Path(__file__).parents[3]
PORT = 8443


class Part:
    """A process, as often as it is started."""

    def __init__(self, host: Host, folder: Path, *words: str) -> None:
        self.host = host
        self.log = folder / f"{host.name}.log"
        self._words = words
        self._process: subprocess.Popen[bytes] | None = None
        self.stopped = False

    def __repr__(self) -> str:
        return self.host.name

    @property
    def alive(self) -> bool:
        return self._process is not None

    def check(self) -> None:
        """Raise an error, with the end of its log, if it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            end = self.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self} has ended with code {self._process.returncode}:\n{end}")

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = self.host.command(*self._words)
            self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self) -> None:
        """As kill -9 does."""
        process, self._process = self._process, None
        self.stopped = False
        if process is not None:
            process.kill()
            process.wait()

    def stop(self) -> None:
        """As kill -STOP does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)
            self.stopped = True

    def go_on(self) -> None:
        """As kill -CONT does."""
        if self._process is not None and self.stopped:
            self._process.send_signal(signal.SIGCONT)
        self.stopped = False

    async def said(self, text: str) -> None:
        """Wait until its log has this."""
        while text not in self.log.read_text(errors="replace"):
            self.check()
            await trio.sleep(0.1)


def redis(host: Host, folder: Path) -> Part:
    """A Redis that keeps its data in a file."""
    (folder / "redis").mkdir()
    settings = ["--bind", host.address, "--port", "6379", "--protected-mode", "no", "--save", "", "--appendonly", "yes"]
    return Part(host, folder, require(REDIS), *settings, "--dir", str(folder / "redis"))


def source(host: Host, folder: Path, bus: Host, feed: str) -> Part:
    """A source, or one that stands by; its pages are for its own host."""
    return Part(host, folder, *_serve(folder, bus), "--feed", feed, "--listen", f"127.0.0.1:{PORT}")


def edge(host: Host, folder: Path, bus: Host) -> Part:
    """An edge."""
    files = ["--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem"), "--insecure-allow-anyone"]
    return Part(host, folder, *_serve(folder, bus), *files, "--listen", f"{host.address}:{PORT}")


def write_files(folder: Path, edges: Sequence[Host]) -> None:
    """Write the configuration, and a certificate for the edges with its authority, `ca.pem`."""
    (folder / "ticker.toml").write_text("keep_state = false\n[history]\nenabled = false\n")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert(*(host.address for host in edges))
    (folder / "cert.pem").write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))


def _serve(folder: Path, bus: Host) -> list[str]:
    words = [sys.executable, "-m", "ticker", "serve", "--config", str(folder / "ticker.toml")]
    return [*words, "--bus", f"redis://{bus.address}:6379"]
