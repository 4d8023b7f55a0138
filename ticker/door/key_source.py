"""Loading and refreshing the keys that verify tokens: a PEM file, a JWK Set in a file or at a URL, or a secret.

The keys in use stay until newer ones are loaded. A changed file is loaded again (`reload`). A URL is fetched every few
minutes, and at once when a token names an unknown key, but then at most every half minute.
"""

from __future__ import annotations

import math
from pathlib import Path
from urllib.parse import urlsplit

import structlog
import trio

from ticker.bounds import KEY_FETCH_SECONDS, KEY_REFRESH_SECONDS, MAX_JWKS_BYTES, UNKNOWN_KEY_SECONDS
from ticker.config import Tokens
from ticker.door.key_ring import KeyRing, key_set, public_key, shared_secret
from ticker.errors import ConfigError
from ticker.net.blocking import read_files
from ticker.net.failures import FailureLog, cause_of, is_expected
from ticker.net.tls import client_context
from ticker.texts import without_passwords

_UNUSED_LOGGED = 10
"""Keys without a use that one line of the log names."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.door.key_source")


class KeySource:
    """The source of keys in a configuration; `ring` holds the latest, and is None before the first successful load."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._lock = trio.Lock()
        self._loaded_at = -math.inf
        self._failures = FailureLog(_log)
        self.ring: KeyRing | None = None
        source = tokens.key or tokens.jwks or tokens.secret or ""
        self.source = source
        self._remote = source.startswith(("https:", "http:"))
        self._shown = without_passwords(source) if self._remote else source
        self.files: list[Path] = [] if self._remote else [Path(source)]

    def __repr__(self) -> str:
        source = urlsplit(self.source).hostname if self._remote else self.source  # a URL may hold a password
        return f"<KeySource {source}: {self.ring or 'no keys yet'}>"

    async def start(self) -> None:
        """Load the keys for the first time. Raises `ConfigError`, except for a URL that does not answer now."""
        if self._remote and not self.source.startswith("https:"):
            raise ConfigError(f"tokens.jwks {self._shown}: keys come from an https URL, or from a file")
        try:
            await self.reload()
        except _Unreachable as error:
            text = "no keys yet: nobody gets in before they can be loaded"
            self._failures.write(text, error, retry_seconds=UNKNOWN_KEY_SECONDS)

    async def reload(self) -> None:
        """Load the keys. Raises `ConfigError`; the keys in use then stay."""
        self._loaded_at = trio.current_time()
        try:
            document = await _fetch(self.source) if self._remote else await _read(self.files[0])
            ring = self._parse(document)
        except ConfigError as error:
            raise type(error)(f"keys of tokens, {self._shown}: {error}") from None
        if ring != self.ring:
            self.ring = ring
            _log.info("keys of tokens", source=self._shown, algorithm=ring.algorithm, keys=len(ring.keys))
            if ring.unused:
                unused = "; ".join(ring.unused[:_UNUSED_LOGGED])
                _log.warning("keys of the set that no token can name", count=len(ring.unused), unused=unused)

    async def find_unknown(self) -> None:
        """Load the keys because a token names an unknown one, unless they were loaded a moment ago."""
        async with self._lock:
            if trio.current_time() - self._loaded_at >= UNKNOWN_KEY_SECONDS:
                await self._try_reload()

    async def refresh(self) -> None:
        """Fetch the keys at a URL again and again: new ones become known, and withdrawn ones stop to count."""
        while self._remote:
            await trio.sleep(self._refresh_seconds)
            async with self._lock:
                await self._try_reload()

    @property
    def _refresh_seconds(self) -> float:
        return KEY_REFRESH_SECONDS if self.ring is not None else UNKNOWN_KEY_SECONDS

    async def _try_reload(self) -> None:
        try:
            await self.reload()
        except Exception as error:  # noqa: BLE001  # the library that fetches them, or their server, may do anything
            self._failures.write("keys not loaded; those in use stay", error, retry_seconds=self._refresh_seconds)

    def _parse(self, document: bytes) -> KeyRing:
        if self._tokens.key is not None:
            return public_key(document)
        if self._tokens.jwks is not None:
            return key_set(document, self._tokens.algorithm or "")
        return shared_secret(document)


class _Unreachable(ConfigError):
    """A URL that does not answer as it should."""


async def _read(path: Path) -> bytes:
    try:
        return await read_files(path.read_bytes)
    except OSError as error:
        raise ConfigError(f"{error.strerror}; give a readable file") from None


async def _fetch(url: str) -> bytes:
    """Return the document at a URL. Raises `_Unreachable`."""
    try:
        import httpx2  # noqa: PLC0415  # an optional dependency
    except ImportError:
        raise ConfigError("a JWK Set at a URL needs `pip install 'ticker-push[jwks]'`") from None
    # The system's authorities take tens of milliseconds to read.
    context = await read_files(client_context, urlsplit(url).hostname or "", None)
    document = b""
    try:
        # Cancelling ends the reading cleanly; leaving the loop would leave httpx's generators behind.
        with trio.move_on_after(KEY_FETCH_SECONDS) as scope:
            async with httpx2.AsyncClient(verify=context) as client, client.stream("GET", url) as response:
                response.raise_for_status()
                async for part in response.aiter_bytes():
                    document += part
                    if len(document) > MAX_JWKS_BYTES:
                        scope.cancel()
    except Exception as error:
        if is_expected(error):
            raise _Unreachable(without_passwords(cause_of(error))) from None
        raise
    if scope.cancelled_caught or len(document) > MAX_JWKS_BYTES:
        raise _Unreachable(
            f"it did not come within {KEY_FETCH_SECONDS:.0f} s, or is longer than {MAX_JWKS_BYTES} bytes"
        )
    return document
