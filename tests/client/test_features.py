"""ticker/client/features.py: the tables that a service offers, and the one that is taken."""

from __future__ import annotations

from typing import Any

import pytest

from ticker.client.features import Features, features_of
from ticker.errors import ConfigError, ProtocolError

OFFER: dict[str, Any] = {
    "book": [100, 10, 25],
    "trades": [50, 10],
    "candles": {"periods": ["1m", "1h"], "rows": [300, 10], "later": 1},
    "digest": True,
    "later": [[1], {}],
}


def test_the_smallest_table_is_taken_that_has_as_much_as_is_wanted() -> None:
    features = features_of(OFFER)
    assert features == Features((10, 25, 100), (10, 50), ("1m", "1h"), (10, 300), digest=True)
    assert [str(features.book_name(depth)) for depth in (1, 10, 11, 100)] == [
        *["book:10", "book:10", "book:25", "book:100"]
    ]
    assert str(features.trades_name(11)) == "trades:50"
    assert str(features.candles_name("1h", 10)) == "candles:1h:10"


def test_what_there_is_not_is_an_error_that_says_what_there_is() -> None:
    features = features_of(OFFER)
    with pytest.raises(ConfigError, match="count: 51; the service's prints: 10, 50"):
        features.trades_name(51)
    with pytest.raises(ConfigError, match=r"depth: True; give a whole number"):
        features.book_name(True)  # noqa: FBT003  # what a user may do
    with pytest.raises(ConfigError, match="period: '5m'; the service's candles: 1m, 1h"):
        features.candles_name("5m", 10)


def test_a_service_that_says_nothing_has_no_tables() -> None:
    assert features_of({}) == features_of({"book": [], "later": 7}) == Features()


@pytest.mark.parametrize(
    "offer",
    [
        {"book": 10},
        {"book": ["10"]},
        {"trades": {}},
        {"candles": []},
        {"candles": {"periods": [1]}},
        {"candles": {"periods": ["1" * 9]}},
        {"digest": 1},
        {"book": list(range(1001))},
    ],
)
def test_what_cannot_be_features_breaks_the_protocol(offer: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="WELCOME: features"):
        features_of(offer)
