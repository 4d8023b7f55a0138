"""Clients of these tests trust authorities of their own, and read few others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trustme


@pytest.fixture(scope="package", autouse=True)
def short_list_of_authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One unknown authority in place of the system's hundred and more: to read those is half of a short test's time."""
    path = tmp_path_factory.mktemp("authorities") / "system.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(path))
        yield
