"""mosquitto with a WebSocket listener, and a publisher. Arguments: PORT CERT KEY BUDGET_MS MOSQUITTO.

This process publishes each update to the topic `u/NUMBER` with QoS 0, over MQTT 3.1.1 on loopback, and its CPU counts
as well as mosquitto's. Messages are retained, so that a new client gets the last price of each of its topics: what
a user of MQTT would do for prices.
"""

from __future__ import annotations

import getpass
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.peers.brokers import connected, forward
from benchmarks.process import free_port

CONFIG = """
# Who has started it: otherwise it cannot read the key if that is root. Others ignore this.
user {user}
allow_anonymous true
persistence false
set_tcp_nodelay true
# Messages that a slow client has not taken: by default those beyond a thousand would be lost.
max_queued_messages 0
log_type error
listener {inner} 127.0.0.1
listener {port} 127.0.0.1
protocol websockets
certfile {cert}
keyfile {key}
tls_version tlsv1.3
"""
CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01p"
"""Protocol level 4, a clean session, no keep-alive, and the client's name (MQTT 3.1.1, section 3.1)."""
RETAINED = 0x31
"""A PUBLISH with QoS 0 that the server keeps (section 3.3.1)."""


def encode(number: int, message: bytes) -> bytes:
    """Return the packet that publishes an update; it is shorter than 128 bytes."""
    topic = b"u/%d" % number
    return bytes((RETAINED, 2 + len(topic) + len(message), 0, len(topic))) + topic + message


def main() -> None:
    """Run until stdin ends."""
    port, cert, key, budget, program = sys.argv[1:]
    inner = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "mosquitto.conf"
        config.write_text(CONFIG.format(inner=inner, port=port, cert=cert, key=key, user=getpass.getuser()))
        with subprocess.Popen([program, "-c", str(config)], stdout=subprocess.DEVNULL) as server:
            try:
                connected(int(port)).close()
                publisher = connected(inner)
                publisher.sendall(CONNECT)
                if publisher.recv(4) != b"\x20\x02\x00\x00":
                    sys.exit("mosquitto did not accept the publisher")
                print("ready", flush=True)
                forward(publisher.sendall, encode, int(budget) / 1000)
            finally:
                server.terminate()


main()
