"""Addresses of engines, and the engine of an address.

    redis://[USER:PASSWORD@]HOST[:6379][/DB][?name=NAME]
    rediss://...[?ca=FILE&cert=FILE&key=FILE]                       over TLS
    redis+sentinel://[USER:PASSWORD@]HOST[:26379],.../SERVICE[/DB]  the primary of a service, as the sentinels say
    rediss+sentinel://...                                           over TLS, the sentinels too

User and password are percent-encoded. NAME tells several services apart that share an engine: all keys begin with
`ticker:NAME:`. `ca` are the authorities of the engine's certificate (default: the system's), `cert` and `key` are for
an engine that wants a certificate of its clients. Sentinels that want a password get `sentinel_password`, of the user
`sentinel_user` or the default one; that of the engine is never sent to them.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ticker.bus.engine import Engine
from ticker.errors import ConfigError
from ticker.net.addresses import parse_host_port
from ticker.texts import excerpt, without_passwords

_PORTS = {"redis": 6379, "rediss": 6379, "redis+sentinel": 26379, "rediss+sentinel": 26379}
_OPTIONS = {"name", "ca", "cert", "key"}
_SENTINEL_OPTIONS = {"sentinel_user", "sentinel_password"}
_EXAMPLES = "redis://HOST:6379, rediss://USER:PASSWORD@HOST:6379 or redis+sentinel://HOST:26379,HOST:26379/SERVICE"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ENCODED = "in a password a # is written %23, a / %2F, a ? %3F and an @ %40"


@dataclass(frozen=True, slots=True, repr=False)
class RedisAddress:
    """The address of a Redis or Valkey."""

    scheme: str
    servers: tuple[tuple[str, int], ...]
    """Hosts and ports: the engine's own, or those of the sentinels."""
    service: str | None = None
    """The name that the sentinels have for the engine."""
    db: int = 0
    user: str | None = None
    password: str | None = None
    sentinel_user: str | None = None
    sentinel_password: str | None = None
    name: str = "main"
    """The middle of all keys."""
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def __repr__(self) -> str:
        return f"<RedisAddress {self.text}>"

    @property
    def text(self) -> str:
        """The address without secrets."""
        hosts = ",".join(host_port(*server) for server in self.servers)
        service = f"/{self.service}" if self.service is not None else ""
        return f"{self.scheme}://{hosts}{service}/{self.db}"

    @property
    def prefix(self) -> str:
        """The beginning of all keys."""
        return f"ticker:{self.name}:"

    @property
    def tls(self) -> bool:
        """Whether connections are over TLS."""
        return self.scheme.startswith("rediss")

    @property
    def other_scheme(self) -> str:
        """The scheme of the same servers with TLS, if this address is without it, or without."""
        return self.scheme.replace("rediss", "redis") if self.tls else self.scheme.replace("redis", "rediss")

    @property
    def sentinel_scheme(self) -> str:
        """The scheme of addresses of sentinels, with TLS if this address is with it."""
        return "rediss+sentinel" if self.tls else "redis+sentinel"

    def context(self) -> ssl.SSLContext | None:
        """Return a new context of TLS, from the files as they are now. Raises `ConfigError`."""
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            raise ConfigError(
                f"ca={self.ca}: {_reason(error)}; name a PEM file with the authorities of the engine's certificate"
            ) from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert is not None:
            try:
                context.load_cert_chain(self.cert, self.key, password="")
            except OSError as error:
                raise ConfigError(
                    f"cert={self.cert}: {_reason(error)}; name the PEM files of a certificate and its key"
                ) from None
        return context


def host_port(host: str, port: int) -> str:
    """Return a host and a port as one text."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def engine_for(url: str, key: str = "bus") -> Engine:
    """Return the engine at the address in the setting `key`. Raises `ConfigError`."""
    address = parse_redis_address(url, key)
    try:
        from ticker.bus.redis import RedisEngine  # noqa: PLC0415  # an optional dependency
    except ImportError:
        raise ConfigError(f"{key}: Redis and Valkey need `pip install 'ticker-push[redis]'`") from None
    return RedisEngine(address)


def parse_redis_address(url: str, key: str = "bus") -> RedisAddress:
    """Parse the address in the setting `key`. Raises `ConfigError`."""
    try:
        return _parse(url)
    except ConfigError as error:
        raise ConfigError(f"{key} {excerpt(_without_secrets(url))!r}: {error}") from None


def _without_secrets(url: str) -> str:
    """Return an address that may be none without what may be secret: all up to the last @, if a URL's user and password
    could not stand there like that."""
    before, at, host = url.rpartition("@")
    scheme, slashes, credentials = before.rpartition("://")
    if at and (not slashes or re.search(r"[/?#\s]", credentials)):
        return without_passwords(f"{scheme}{slashes}***@{host}")
    return without_passwords(url)


def _parse(url: str) -> RedisAddress:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigError(f"{error}; give {_EXAMPLES}") from None
    if parts.scheme not in _PORTS or not parts.netloc or parts.fragment:
        raise ConfigError(f"give {_EXAMPLES}; {_ENCODED}")
    if "@" in parts.path:
        raise ConfigError(f"the part before the @ ends at a slash: {_ENCODED}")
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, colon, password = credentials.partition(":")
    if credentials and not colon:
        raise ConfigError("before the @ stand USER:PASSWORD, or :PASSWORD for the default user")
    service, db = _parse_path(parts)
    address = RedisAddress(
        scheme=parts.scheme,
        servers=tuple(_parse_server(each, _PORTS[parts.scheme]) for each in hosts.split(",")),
        service=service,
        db=db,
        user=unquote(user) or None,
        password=unquote(password) if colon else None,
        **_parse_options(parts),
    )
    if service is None and len(address.servers) > 1:
        raise ConfigError(f"give one host; several are those of sentinels: {address.sentinel_scheme}://")
    address.context()
    return address


def _parse_server(text: str, default: int) -> tuple[str, int]:
    has_port = re.search(r":[0-9]+$", text) is not None and not text.endswith("]")
    try:
        host, port = parse_host_port(text if has_port else f"{text}:{default}", "host")
    except ConfigError:  # which shows the text: it may be a part of a password
        host, port = "", 0
    if port == 0:
        raise ConfigError(f"give HOST:PORT or HOST, IPv6 in brackets; a port is a number from 1 to 65535; {_ENCODED}")
    return host, port


def _parse_path(parts: SplitResult) -> tuple[str | None, int]:
    path = [unquote(each) for each in parts.path.split("/")[1:]]
    service = None
    if parts.scheme.endswith("+sentinel"):
        service = path.pop(0) if path else ""
        if not service:
            raise ConfigError("behind the sentinels stands /SERVICE, the name they have for the engine")
    db = path.pop(0) if path else ""
    if path or not re.fullmatch("[0-9]{0,5}", db):
        raise ConfigError("at the end of the path stands a database's number, such as /0, or nothing")
    return service, int(db or 0)


def _parse_options(parts: SplitResult) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ConfigError("behind the ? stand pairs such as name=main, with & between them") from None
    options = dict(pairs)
    unknown = sorted(options.keys() - _OPTIONS - _SENTINEL_OPTIONS)
    if unknown or len(options) < len(pairs):
        known = "name, ca, cert and key, for sentinels also sentinel_user and sentinel_password"
        raise ConfigError(f"behind the ? stand {known}, each once, not {excerpt(', '.join(unknown))!r}")
    if "name" in options and _NAME.fullmatch(options["name"]) is None:
        raise ConfigError("name= has 1 to 64 letters, digits, dots, hyphens and underscores")
    files = options.keys() & {"ca", "cert", "key"}
    if files and not parts.scheme.startswith("rediss"):
        with_tls = parts.scheme.replace("redis", "rediss")
        raise ConfigError(f"{', '.join(sorted(files))}: files of certificates are for TLS: {with_tls}://")
    if ("cert" in options) != ("key" in options) or not all(options[each] for each in files):
        raise ConfigError("cert= and key= go together, and each of ca=, cert= and key= names a file")
    of_sentinels = options.keys() & _SENTINEL_OPTIONS
    if of_sentinels and not parts.scheme.endswith("+sentinel"):
        raise ConfigError(
            f"{', '.join(sorted(of_sentinels))}: there are sentinels only behind {parts.scheme}+sentinel://"
        )
    if of_sentinels and not all(options.get(each) for each in {*of_sentinels, "sentinel_password"}):
        raise ConfigError("sentinel_password= names a password, and sentinel_user= stands only beside it")
    return options


def _reason(error: OSError) -> str:
    return (error.reason if isinstance(error, ssl.SSLError) else error.strerror) or str(error)
