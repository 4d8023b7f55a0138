"""Ticker on a bus: a source that reads stdin, an edge for the clients, and the Redis between them.

    python -m benchmarks.peers.on_redis FEED EDGE_FLAGS...

Prints `ready` once the edge has the market. SIGTERM ends all of them.
"""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

from benchmarks.bus.processes import serve
from benchmarks.process import START_SECONDS, free_port


def main() -> None:
    """Start the three, and wait until told to end."""
    feed, *edge = sys.argv[1:]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder:
        engine = free_port()
        bus = ["--bus", f"redis://127.0.0.1:{engine}"]
        processes = [subprocess.Popen(redis(engine, folder), stdout=subprocess.DEVNULL)]
        try:
            until(lambda: answers(engine))
            source = serve("--listen", f"127.0.0.1:{free_port()}", "--feed", feed, *bus)
            processes.append(subprocess.Popen(source, stdout=subprocess.DEVNULL))
            processes.append(subprocess.Popen(serve(*edge, *bus), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
            port = int(edge[edge.index("--listen") + 1].rpartition(":")[2])
            until(lambda: is_ready(port))
            print("ready", flush=True)
            processes[1].wait()
        except KeyboardInterrupt:
            pass
        finally:
            end(processes)


def redis(port: int, folder: str, *, keeps: bool = False) -> list[str]:
    """Return the command of a Redis for a bus, which keeps nothing on its disk unless it is told to."""
    return [
        *("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder),
        *("--save", "", "--appendonly", "yes" if keeps else "no", "--maxmemory-policy", "noeviction"),
    ]


def until(condition: Callable[[], bool]) -> None:
    """Wait until this holds; end the program if it does not in time."""
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("a part was not ready in time")
        time.sleep(0.1)


def answers(port: int) -> bool:
    """Return whether a port of this machine accepts connections."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def is_ready(port: int) -> bool:
    """Return whether a server's /readyz says that it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as plain, context.wrap_socket(plain) as stream:
            stream.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return b" 200 " in stream.recv(64)
    except OSError:
        return False


def end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End processes, the last one first."""
    for process in reversed(processes):
        process.terminate()
    for process in processes:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


if __name__ == "__main__":
    main()
