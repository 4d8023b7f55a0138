"""nats-server with its WebSocket listener, and a publisher. Arguments: PORT CERT KEY BUDGET_MS NATS_SERVER.

The listener is configured as NATS's documentation shows. This process publishes each update to the subject `u.NUMBER`,
over NATS's text protocol on loopback, and its CPU counts as well as nats-server's.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.peers.updates import parse

CONFIG = """
listen: "127.0.0.1:{inner}"
websocket {{
  listen: "127.0.0.1:{port}"
  compression: false
  tls {{ cert_file: "{cert}", key_file: "{key}" }}
}}
"""


def connected(port: int) -> socket.socket:
    """Connect, retrying until the port is open."""
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise TimeoutError(f"nothing listens on {port}")


def publish(publisher: socket.socket, budget: float) -> None:
    """Publish the updates on stdin; with a budget, those collected within it in one write."""
    rest = b""
    while data := os.read(0, 65_536):
        updates, rest = parse(rest + data)
        publisher.sendall(b"".join(b"PUB u.%d 16\r\n%b\r\n" % update for update in updates))
        time.sleep(budget)


def main() -> None:
    """Run until stdin ends."""
    port, cert, key, budget, program = sys.argv[1:]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        inner = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "nats.conf"
        config.write_text(CONFIG.format(inner=inner, port=port, cert=cert, key=key))
        with subprocess.Popen([program, "-c", str(config)], stdout=subprocess.DEVNULL) as server:
            try:
                connected(int(port)).close()
                publisher = connected(inner)
                publisher.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\n')
                print("ready", flush=True)
                publish(publisher, int(budget) / 1000)
            finally:
                server.terminate()


main()
