"""What goes wrong with Redis or Valkey, each in one line with the remedy."""

from __future__ import annotations

import os
import ssl

import anyio
from coredis import exceptions

from ticker.bus.addresses import RedisAddress
from ticker.net.failures import cause_of
from ticker.texts import excerpt

FOLLOWING = "+info +type +xinfo|stream +xread +xrange +hgetall +hget"
"""What the user of an edge must be allowed to, in the language of ACL SETUSER."""
LEADING = f"{FOLLOWING} +xadd +xtrim +hset +hsetnx +hkeys +hdel +unlink"
"""What the user of a source must be allowed to."""

# In these texts {0} is the address, so that its own scheme is named.
_CLUSTER = "it is a cluster: name a server that is none, or the sentinels of one ({0.sentinel_scheme}://)"
_REPLICA = "it is a read-only replica: name the primary, or the sentinels that know it ({0.sentinel_scheme}://)"
_BECAME_REPLICA = "it has become a replica: name the sentinels ({0.sentinel_scheme}://), or the new primary"

_BY_CLASS: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.AuthenticationFailureError, "the user or the password is wrong: {0.scheme}://USER:PASSWORD@HOST"),
    (exceptions.AuthenticationRequiredError, "it wants a password: {0.scheme}://USER:PASSWORD@HOST"),
    (exceptions.ReadOnlyError, _REPLICA),
    (exceptions.UnblockedError, _BECAME_REPLICA),
    (exceptions.BusyLoadingError, "it is still loading its data: wait"),
    (exceptions.AskError, _CLUSTER),
    (exceptions.ClusterDownError, _CLUSTER),
    (exceptions.UnknownCommandError, "it does not know a command: Redis 6.2 or newer is needed, or Valkey"),
    (exceptions.InvalidResponse, "what answers there is no Redis: give the address of one"),
)

_OF_SENTINELS: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.AuthenticationFailureError, "the sentinels' user or password is wrong: ?sentinel_password=PASSWORD"),
    (exceptions.AuthenticationRequiredError, "the sentinels want a password: ?sentinel_password=PASSWORD"),
    (
        exceptions.AuthorizationError,
        "the sentinels' user may not ask them: ACL SETUSER NAME +sentinel|get-master-addr-by-name",
    ),
)

_BY_BEGINNING = {
    "OOM": "it is out of memory: raise its maxmemory, or free memory",
    "MISCONF": "it cannot write to its disk: free space there; its log says more",
    "NOREPLICAS": "fewer replicas are connected than its min-replicas-to-write: connect them",
    "MASTERDOWN": _REPLICA,
    "DENIED": "it is in protected mode: give it a password, or bind it to an address of its own",
    "max number of clients": "raise its maxclients",
    "DB index is out of range": "it has fewer databases: give another number at the end of the address",
}

_CLOSED = (
    ConnectionResetError,
    BrokenPipeError,
    anyio.EndOfStream,
    anyio.ClosedResourceError,
    exceptions.ConnectionError,
)

_TLS_HINTS = {
    "WRONG_VERSION_NUMBER": (
        "there is no TLS at that port: name its tls-port, or {0.other_scheme}:// in a network of your own"
    ),
    "CERTIFICATE_REQUIRED": "it wants a certificate of its clients: ?cert=FILE&key=FILE",
    "UNKNOWN_CA": "it does not know the authority of ?cert=FILE",
}


def describe(error: BaseException, address: RedisAddress, *, connecting: bool = False, sentinel: bool = False) -> str:
    """Return a failure in a line: what is wrong, and what helps. `sentinel`: one of these was asked."""
    for each in _causes(error):
        for kind, remedy in _OF_SENTINELS if sentinel else ():
            if isinstance(each, kind):
                return f"{remedy} ({excerpt(str(each))})"
        if isinstance(each, exceptions.AuthorizationError):
            return _not_allowed(each, address)
        if isinstance(each, exceptions.WrongTypeError):
            return (
                f"a key {address.prefix}* has another type: another program uses it; delete it, or give a name of your"
                " own: ?name="
            )
        if isinstance(each, ssl.SSLError):
            return _tls(each, address)
        for kind, remedy in _BY_CLASS:
            if isinstance(each, kind):
                return f"{remedy.format(address)} ({excerpt(str(each))})"
        text = str(each)
        for beginning, remedy in _BY_BEGINNING.items():
            if text.startswith(beginning):
                return f"{remedy.format(address)} ({excerpt(text)})"
    return _lost(error, address if connecting else None)


def _not_allowed(error: BaseException, address: RedisAddress) -> str:
    name = address.user or "default"
    select = " +select" if address.db else ""
    return (
        f"its user {name} may not do what is needed ({excerpt(str(error))}): for an edge, ACL SETUSER {name}"
        f" resetkeys ~{address.prefix}* -@all {FOLLOWING}{select}; for a source, {LEADING}{select}"
    )


def _tls(error: ssl.SSLError, address: RedisAddress) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not fit: {error.verify_message}; name its authority (?ca=FILE) and its own host"
    hint = next((hint for reason, hint in _TLS_HINTS.items() if reason in str(error.reason)), "check its TLS settings")
    return f"TLS failed: {error.reason or error}; {hint.format(address)}"


def _lost(error: BaseException, connecting: RedisAddress | None) -> str:
    """`connecting` is the address while the connection is being made: then it may not fit to the port."""
    last = _causes(error)[-1]
    if isinstance(last, TimeoutError):
        what = f" ({last})" if str(last) else ""
        port = ", or there is no TLS at that port" if connecting is not None and connecting.tls else ""
        return f"no answer{what}: it is stopped or overloaded, or the network is cut{port}"
    if isinstance(last, _CLOSED):
        return f"it closed the connection; its log may say why{_hint(connecting)}"
    if isinstance(last, OSError) and last.errno:
        reason = os.strerror(last.errno) if last.errno > 0 else last.strerror
        return f"it cannot be reached: {reason}; is it running, and is this its address?"
    return cause_of(last)


def _hint(connecting: RedisAddress | None) -> str:
    if connecting is None:
        return ""
    if not connecting.tls:
        return f" (a tls-port closes what is no TLS: {connecting.other_scheme}://)"
    if connecting.cert is None:
        return " (it may want a certificate of its clients: ?cert=FILE&key=FILE)"
    return " (it may not accept the certificate of ?cert=FILE)"


def _causes(error: BaseException) -> list[BaseException]:
    """The exception and those that it comes from, without groups of several."""
    found = [error]
    while True:
        last = found[-1]
        inner = last.exceptions[0] if isinstance(last, BaseExceptionGroup) else last.__cause__
        if inner is None:
            return found
        found.append(inner)
