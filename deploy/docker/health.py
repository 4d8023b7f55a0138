"""Health check of the container: whether the service within it answers /healthz. Needs nothing but Python.

    python health.py [URL]    default: https://127.0.0.1:8443/healthz

Exit code 0 if the answer is 200, else 1 and one line. The certificate is that of the service's public name, which is
not 127.0.0.1; so it is not verified. Nothing is sent that is secret, and the answer is only this exit code.
"""

from __future__ import annotations

import http.client
import ssl
import sys
import urllib.parse

_SECONDS = 4
"""Time for the answer: less than the container engine's own limit, which would leave no line."""


def main(url: str = "https://127.0.0.1:8443/healthz") -> int:
    """Ask for the page; return the exit code."""
    try:
        address = urllib.parse.urlsplit(url)
        connection = _connection(address.scheme, address.netloc)
        connection.request("GET", address.path or "/")
        answer = connection.getresponse()
        text = answer.read(300).decode(errors="replace")
    except (OSError, ValueError, http.client.HTTPException) as error:
        return _report(f"{url}: {str(error) or type(error).__name__}")
    return 0 if answer.status == http.HTTPStatus.OK else _report(f"{url}: {answer.status} {text}")


def _connection(scheme: str, address: str) -> http.client.HTTPConnection:
    if scheme == "http":  # an address for a proxy that ends TLS
        return http.client.HTTPConnection(address, timeout=_SECONDS)
    context = ssl._create_unverified_context()  # noqa: S323, SLF001  # as above
    return http.client.HTTPSConnection(address, timeout=_SECONDS, context=context)


def _report(text: str) -> int:
    sys.stdout.write(f"{' '.join(text.split())}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
