"""Options of the sockets of clients."""

from __future__ import annotations

import socket

from ticker.bounds import NOTSENT_LOWAT_BYTES, SEND_BUFFER_BYTES, TCP_USER_TIMEOUT_MS


def send_at_once(sock: socket.socket) -> None:
    """Send at once, and keep the bytes that wait in the kernel few: a slow client's stale prices are among them."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return  # a Unix socket
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    user_timeout = getattr(socket, "TCP_USER_TIMEOUT", None)
    if user_timeout is not None:
        sock.setsockopt(socket.IPPROTO_TCP, user_timeout, TCP_USER_TIMEOUT_MS)
    lowat = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if lowat is not None:
        sock.setsockopt(socket.IPPROTO_TCP, lowat, NOTSENT_LOWAT_BYTES)
