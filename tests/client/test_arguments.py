"""ticker/client/arguments.py: a mistake in an argument is an error that names the argument and the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.test_client import DECLARED
from tests.conftest import serving
from ticker import connect, watch
from ticker.client.arguments import check_counts, is_literal
from ticker.errors import ConfigError


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ("EURUSD", r"'EURUSD' is a text; give a list of names: \['EURUSD'\]"),
        ("", "'' is a text; give a list"),
        (b"EURUSD", "is a bytes; give a list"),
        ({"EURUSD": 1}, "is a dict; give a list"),
        (None, "None is a NoneType; give a list"),
        (7, "7 is a int; give a list"),
        ([], "the list is empty; give at least one"),
        (["EURUSD", b"XAUUSD"], "b'XAUUSD' is a bytes; each symbol or pattern is a text"),
        (["EURUSD", None], "None is a NoneType; each symbol or pattern is a text"),
        ([["EURUSD"]], r"\['EURUSD'\] is a list; each symbol or pattern is a text"),
        (["EURUSD", ""], "an empty text is no symbol or pattern"),
    ],
)
def test_watch_refuses_what_is_no_list_of_names_before_the_first_step(names: Any, text: str) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError, match=f"^names: .*{text}"):
        watch("wss://localhost:1", names)


@pytest.mark.parametrize(
    "names", [["A"], ("A",), {"A"}, iter(["A"]), (each for each in ["A"]), dict.fromkeys("A").keys()]
)
def test_watch_takes_any_collection_of_names(names: Any) -> None:  # noqa: ANN401
    watch("wss://localhost:1", names)


async def test_subscribe_refuses_what_is_no_name() -> None:
    async with serving(*DECLARED) as service, connect(service.url) as client:
        for names, text in [
            ((["A", "B"],), r"give each name as an argument of its own: subscribe\(\*names\)"),
            ((b"A",), r"give a text: name\.decode\(\)"),
            (("A", None), "None is no symbol or pattern but a NoneType"),
            (("A", 7), "7 is no symbol or pattern but a int"),
            (("A", ""), "an empty text"),
        ]:
            with pytest.raises(ConfigError, match=f"^names: .*{text}"):
                client.subscribe(*names)  # type: ignore[arg-type]
        assert (await anext(client.subscribe("A"))).changes.keys() == {"A"}


@pytest.mark.parametrize(
    ("url", "options", "text"),
    [
        (None, {}, "^url: None is a NoneType"),
        (b"wss://localhost", {}, "^url: .* is a bytes"),
        ("wss://localhost", {"token": b"x"}, "^token: a bytes; give a text, or a function"),
        ("wss://localhost", {"interval_ms": "100"}, "^interval_ms: '100'; give a whole number"),
        ("wss://localhost", {"interval_ms": -1}, "^interval_ms: -1; give a whole number"),
        ("wss://localhost", {"interval_ms": 0.5}, "^interval_ms: 0.5; give a whole number"),
        ("wss://localhost", {"interval_ms": True}, "^interval_ms: True; give a whole number"),
        ("wss://localhost", {"on_event": "print"}, "^on_event: 'print'; give a function"),
    ],
)
async def test_connect_refuses_options_of_the_wrong_type(url: Any, options: dict[str, Any], text: str) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError, match=text):
        async with connect(url, **options):
            pytest.fail("it connected")


async def test_an_async_on_event_would_never_be_awaited() -> None:
    async def on_event(_event: object) -> None:
        pass

    with pytest.raises(ConfigError, match="not an async one"):
        async with connect("wss://localhost:1", on_event=on_event):  # type: ignore[arg-type]
            pytest.fail("it connected")


def test_names_are_counted_against_the_limits_of_the_connection() -> None:
    limits = {"max_symbols": 3, "max_patterns": 1}
    check_counts(["A", "B", "C*", "A"], limits)
    check_counts(map(str, range(10_000)), {})
    with pytest.raises(ConfigError, match="4 symbols and patterns; this connection may have 3; subscribe fewer"):
        check_counts(["A", "B", "C", "D"], limits)
    with pytest.raises(ConfigError, match="2 patterns; this connection may have 1"):
        check_counts(["A*", "B*"], limits)


def test_names_without_a_wildcard_are_literal() -> None:
    assert [is_literal(name) for name in ("A", "A book:10", "A*", "A* book:10", "A b")] == [
        True,
        True,
        False,
        False,
        False,
    ]
