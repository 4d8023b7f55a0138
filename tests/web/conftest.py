"""Fixture for tests of clients in Node."""

from __future__ import annotations

import pytest

from tests.programs import NODE, require


@pytest.fixture
def node_installed() -> str:
    """The path of Node. A skip inside of a Trio nursery would lose its reason, so it happens here."""
    return require(NODE)
