"""Pushpin, its backend and a publisher. Arguments: PORT CERT KEY BUDGET_MS PUSHPIN.

Pushpin holds the WebSockets and speaks to the backend in this process by WebSocket-over-HTTP, as its documentation
shows: a client's message becomes a request, whose answer subscribes it to the channels `NUMBER`. Updates are published
over ZeroMQ, its fastest way in. The CPU of all of its processes counts, and that of this one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeAlias

import zmq

from benchmarks.peers.brokers import connected
from benchmarks.peers.updates import parse

LIBRARY = Path("/usr/lib/pushpin")
CONFIG = """
[global]
include={library}/internal.conf
rundir={folder}/run
ipc_prefix=pushpin-
port_offset=0

[runner]
services=condure,zurl,pushpin-proxy,pushpin-handler
https_ports=127.0.0.1:{port}
logdir={folder}/log
log_level=0
client_buffer_size=8192
client_maxconn=20000
condure_bin=condure
zurl_bin=zurl

[proxy]
routesfile=routes
zurl_out_specs=ipc://{folder}/run/pushpin-zurl-in
zurl_out_stream_specs=ipc://{folder}/run/pushpin-zurl-in-stream
zurl_in_specs=ipc://{folder}/run/pushpin-zurl-out
updates_check=off

[handler]
push_in_spec=ipc://{folder}/publish
push_in_http_port=0
command_spec=ipc://{folder}/command
# By default 2,500 messages a second, 25,000 that wait, and 20 channels for each client.
message_rate=0
message_hwm=0
connection_subscription_max=1000
"""
EVENTS = "application/websocket-events"
Tree: TypeAlias = "bytes | Mapping[bytes, Tree]"


class Backend(BaseHTTPRequestHandler):
    """Answers WebSocket-over-HTTP."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Accept a connection, or subscribe one to the numbers in its message."""
        events = self.rfile.read(int(self.headers["Content-Length"]))
        kind, _, rest = events.partition(b"\r\n")
        if kind.startswith((b"TEXT", b"BINARY")):
            numbers = json.loads(rest.partition(b"\r\n")[0])
            controls = [json.dumps({"type": "subscribe", "channel": str(number)}).encode() for number in numbers]
            answer = b"".join([event(b"TEXT", b"c:" + each) for each in controls]) + event(b"BINARY", b"m:")
        else:
            answer = b"OPEN\r\n"
        self.send_response(200)
        self.send_header("Content-Type", EVENTS)
        self.send_header("Sec-WebSocket-Extensions", "grip")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002  # the base class's name
        """Log nothing."""


class Listener(ThreadingHTTPServer):
    """Takes the requests of many clients that connect at once."""

    request_queue_size = 1024


def event(kind: bytes, content: bytes) -> bytes:
    """Return an event of WebSocket-over-HTTP."""
    return b"%b %X\r\n%b\r\n" % (kind, len(content), content)


def tnetstring(value: Tree) -> bytes:
    """Return a tagged netstring, in which Pushpin takes publications."""
    if isinstance(value, bytes):
        return b"%d:%b," % (len(value), value)
    content = b"".join([tnetstring(key) + tnetstring(each) for key, each in value.items()])
    return b"%d:%b}" % (len(content), content)


def publication(number: int, message: bytes) -> bytes:
    """Return what publishes an update, as a binary message."""
    return tnetstring({b"channel": b"%d" % number, b"formats": {b"ws-message": {b"content-bin": message}}})


def configure(folder: Path, port: str, cert: str, key: str) -> Path:
    """Write all files of configuration; return the main one."""
    backend = Listener(("127.0.0.1", 0), Backend)
    threading.Thread(target=backend.serve_forever, daemon=True).start()
    certificates = folder / "runner" / "certs"
    certificates.mkdir(parents=True)
    for name in ("run", "log"):
        (folder / name).mkdir()
    shutil.copy(cert, certificates / f"default_{port}.crt")
    shutil.copy(key, certificates / f"default_{port}.key")
    (folder / "routes").write_text(f"* 127.0.0.1:{backend.server_port},over_http\n")
    config = folder / "pushpin.conf"
    config.write_text(CONFIG.format(library=LIBRARY, folder=folder, port=port))
    return config


def publish(folder: Path, budget: float) -> None:
    """Publish the updates on stdin until it ends."""
    socket = zmq.Context().socket(zmq.PUSH)
    socket.connect(f"ipc://{folder}/publish")
    rest = b""
    while data := os.read(0, 65_536):
        updates, rest = parse(rest + data)
        for number, message in updates:
            socket.send(publication(number, message))
        time.sleep(budget)


def main() -> None:
    """Run until stdin ends."""
    port, cert, key, budget, program = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = configure(folder, port, cert, key)
        with subprocess.Popen([program, "--config", str(config)], stdout=subprocess.DEVNULL) as server:
            try:
                connected(int(port)).close()
                print("ready", flush=True)
                publish(folder, int(budget) / 1000)
            finally:
                server.terminate()


main()
