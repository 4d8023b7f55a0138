"""Fixtures for tests in Node and Chromium. A module of dashboard tests states its market as `PRICES`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.programs import NODE, require
from tests.web.browser import Market, browser, market


@pytest.fixture
def node_installed() -> str:
    """The path of Node. A skip inside of a Trio nursery would lose its reason, so it happens here."""
    return require(NODE)


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    with market(tmp_path_factory.mktemp("market"), request.module.PRICES) as made:
        yield made


@pytest.fixture
def served(request: pytest.FixtureRequest, shared: Market) -> Market:
    """The service of this module, at its first prices."""
    shared.reset(request.module.PRICES)
    return shared


@pytest.fixture
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Market]:
    """A service of the test's own, which it may kill or give more instruments."""
    with market(tmp_path, request.module.PRICES) as made:
        yield made
