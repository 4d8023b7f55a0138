"""A `SocketStream` with TLS: the server's end of a client's connection.

The stream stands on an `ssl.SSLObject` with two memory BIOs, as `trio.SSLStream` does. The difference is sending.
Encryption into a memory BIO never blocks and never fails halfway, so `push` is an ordinary function (3 to 12 µs;
`SSLStream.send_all` takes 37).

Charges: each TLS record counts, plain text or not. A connection that exceeds the `RecordRate` is read later, so the
excess waits at its sender; its deadlines run meanwhile. An answer of TLS itself, such as to a KeyUpdate, is sent before
more is read: a peer that does not read cannot make them pile up.

A handshake costs a signature, and much else. Where more clients come than there is time for, they give up while they
wait, and come again: bytes of those that have hung up are not handed to OpenSSL, or there would be no time for others.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl

import trio

from ticker.bounds import ENCRYPTED_AT_ONCE, TLS_CLOSE_SECONDS
from ticker.net.fair_queue import FairQueue
from ticker.net.plain_http import answer_without_tls
from ticker.net.records import RecordQueue, RecordRate
from ticker.net.transport import RECORD, UNTIL_CLOSING, SocketStream

_HUNG_UP = getattr(select, "POLLRDHUP", 0)
"""The peer has ended its half; elsewhere than on Linux only that both are ended is seen (poll(2))."""


class TlsStream(SocketStream):
    """The server's end of one TLS connection."""

    __slots__ = (
        "_answer_unsent",
        "_encrypt",
        "_incoming",
        "_later",
        "_outgoing",
        "_records",
        "_take_encrypted",
        "_tls",
    )

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        fair_queue: FairQueue,
        record_rate: RecordRate,
        received: bytes = b"",
    ) -> None:
        """All connections of a service share one `record_rate`. `received` are bytes that were read already."""
        super().__init__(sock, fair_queue)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        # Bound once: looking these up for each frame of each client would cost a tenth of sending it.
        self._encrypt = self._tls.write
        self._take_encrypted = self._outgoing.read
        # The end of a large message, not encrypted yet. Where there is any, bytes before it are unsent.
        self._later: bytes | memoryview = b""
        self._answer_unsent = False
        self._records = RecordQueue(record_rate, trio.current_time())
        self._records.add(received)

    async def handshake(self) -> None:
        """Do the TLS handshake. Raises `trio.BrokenResourceError` if it fails."""
        received = b""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                if error.reason == "HTTP_REQUEST":
                    await self._answer_without_tls(received)
                else:
                    await self._send_alert()
                raise self._broke(error) from error
            else:
                await self._send_pending()
                return
            await self._send_pending()
            await self._pace()
            if not self._has_more:
                with UNTIL_CLOSING:
                    await trio.lowlevel.wait_readable(self._sock)
            records = await self._take()
            received = received or records
            if self._hung_up():
                raise self._broke(ConnectionAbortedError("the peer has hung up before the handshake was done"))

    def _hung_up(self) -> bool:
        poll = select.poll()
        poll.register(self._sock, _HUNG_UP)
        return bool(poll.poll(0))

    def push(self, data: bytes) -> bool:
        """Encrypt, and send as much as the socket accepts now; return whether that was all.

        False means that bytes wait for `drain`, or that the stream is broken or closed.
        """
        if self._unsent or self._broken or self._closing:
            return self._push_behind(data)
        if len(data) > ENCRYPTED_AT_ONCE:
            self._later = memoryview(data)
            return self._send_later()
        # Python 3.11 calls a method quickly, and reads a slot quickly, but not `self._encrypt(data)`, which is both.
        encrypt, take_encrypted, send = self._encrypt, self._take_encrypted, self._send
        try:
            encrypt(data)
            data = take_encrypted()
            sent = send(data)
        except BlockingIOError:
            sent = 0
        except OSError:  # of the socket, or of TLS
            self._broken = True
            return False
        if sent == len(data):
            return True
        self._unsent = data[sent:]
        return False

    def abort(self) -> None:
        """Close the socket at once. Waiting tasks get `trio.ClosedResourceError`."""
        closed = self._closed
        super().abort()
        if not closed:
            # OpenSSL's objects are most of a connection's memory: free them before the garbage collector runs.
            del self._tls, self._incoming, self._outgoing, self._encrypt, self._take_encrypted
            self._later = b""

    def _push_end(self) -> None:
        # OpenSSL then wants the peer's close_notify, but no waiting is needed (RFC 8446, section 6.1).
        with contextlib.suppress(ssl.SSLError):
            if self._later:
                self._encrypt(self._later)
                self._later = b""
            self._tls.unwrap()
        self._flush_encrypted()

    def _push_behind(self, data: bytes) -> bool:
        """`push` to a stream with unsent bytes, or to a broken or closed one."""
        if self._broken or self._closing:
            return False
        if self._later:
            self._later = memoryview(b"".join((self._later, data)))
            return False
        try:
            self._encrypt(data)
        except ssl.SSLError:
            self._broken = True
            return False
        return self._flush_encrypted()

    @property
    def unsent(self) -> int:
        """Number of bytes that wait for the socket."""
        return len(self._unsent) + len(self._later)

    def _flush(self, data: bytes = b"") -> bool:
        """Likewise, and go on with a large message."""
        return super()._flush(data) and (not self._later or self._send_later())

    def _send_later(self) -> bool:
        """Encrypt and send the next part of a large message; return whether that was all.

        Of a message of some megabytes, encryption alone would take as long as thousands of small ones.
        """
        try:
            if not super()._flush(self._encrypted_part(ENCRYPTED_AT_ONCE)):
                return False
            if self._later:  # the socket would take more now, but others have their turn
                self._unsent = self._encrypted_part(RECORD)
        except ssl.SSLError:
            self._broken = True
        return not self._unsent and not self._broken

    def _encrypted_part(self, size: int) -> bytes:
        part, self._later = self._later[:size], self._later[size:]
        self._encrypt(part)
        return self._take_encrypted()

    def _flush_encrypted(self) -> bool:
        return self._flush(self._take_encrypted())

    async def _send_pending(self) -> None:
        if not self._flush_encrypted():
            await self.drain()

    async def _send_alert(self) -> None:
        """Send the alert of a failed handshake, if the socket accepts a few bytes."""
        self._flush_encrypted()
        await trio.lowlevel.checkpoint()

    async def _answer_without_tls(self, received: bytes) -> None:
        """Tell a client that speaks HTTP without TLS where to go."""
        self._outgoing.read()  # an alert would be no HTTP
        with trio.move_on_after(TLS_CLOSE_SECONDS):
            if self._flush(answer_without_tls(received)):
                await self._linger()

    def _read(self, max_bytes: int) -> bytes | None:
        if self._incoming.eof:
            return b""
        try:
            data = self._tls.read(max_bytes)
        except ssl.SSLWantReadError:
            data = None
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLError as error:
            raise self._broke(error) from error
        self._flush_answer()
        return data

    def _flush_answer(self) -> None:
        """Send the bytes that a read has produced, such as the answer to a KeyUpdate."""
        if self._outgoing.pending and not self._flush_encrypted():
            self._answer_unsent = True

    async def _pace(self) -> None:
        if self._answer_unsent:
            await self.drain()
            self._answer_unsent = False
        if delay := self._records.delay():
            await trio.sleep(delay)
            self._check_open()

    @property
    def _has_more(self) -> bool:
        return self._records.waiting

    async def _take(self) -> bytes:
        """Hand the next records to OpenSSL; return them."""
        if self._records.waiting:
            await self._take_turn()
        while not (records := self._records.take(trio.current_time())):
            data = await self._receive_bytes(RECORD)
            if not data:
                self._incoming.write_eof()
                return b""
            self._records.add(data)
        self._incoming.write(records)
        return records
