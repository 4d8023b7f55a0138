"""nats-server with its WebSocket listener, and a publisher. Arguments: PORT CERT KEY BUDGET_MS NATS_SERVER.

The listener is configured as NATS's documentation shows. This process publishes each update to the subject `u.NUMBER`,
over NATS's text protocol on loopback, and its CPU counts as well as nats-server's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.peers.brokers import connected, forward
from benchmarks.process import free_port

CONFIG = """
listen: "127.0.0.1:{inner}"
websocket {{
  listen: "127.0.0.1:{port}"
  compression: false
  tls {{ cert_file: "{cert}", key_file: "{key}" }}
}}
"""


def encode(number: int, message: bytes) -> bytes:
    """Return the command that publishes an update."""
    return b"PUB u.%d 16\r\n%b\r\n" % (number, message)


def main() -> None:
    """Run until stdin ends."""
    port, cert, key, budget, program = sys.argv[1:]
    inner = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "nats.conf"
        config.write_text(CONFIG.format(inner=inner, port=port, cert=cert, key=key))
        with subprocess.Popen([program, "-c", str(config)], stdout=subprocess.DEVNULL) as server:
            try:
                connected(int(port)).close()
                publisher = connected(inner)
                publisher.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\n')
                print("ready", flush=True)
                forward(publisher.sendall, encode, int(budget) / 1000)
            finally:
                server.terminate()


main()
