"""Deliberately broken variants of both clients have to fail on the golden frames."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.golden import CONVERSATIONS, check
from tests.mutants.wrong_clients import Fault, failing_checks, faults, faulty_session
from ticker.protocol.wire import MSGPACK


def failing_conversation(fault: Fault) -> str | None:
    with faulty_session(fault) as session:
        for conversation in CONVERSATIONS:
            try:
                check(conversation, MSGPACK, session)
            except Exception:  # noqa: BLE001  # a wrong client may fail in any way
                return str(conversation["name"])
    return None


@pytest.mark.parametrize("fault", faults("python"), ids=lambda fault: fault.name)
def test_golden_frames_catch_a_wrong_python_client(fault: Fault) -> None:
    assert failing_conversation(fault) is not None


def test_the_right_python_client_passes_on_the_same_way() -> None:
    assert failing_conversation(Fault("none", "replica.py")) is None


def test_golden_frames_catch_every_wrong_javascript_client_and_pass_the_right_one(tmp_path: Path) -> None:
    planted = [Fault("none", "replica.js"), *faults("javascript")]
    assert len(planted) > 22
    found = failing_checks(planted, tmp_path)
    assert [fault.name for fault, check in zip(planted, found, strict=True) if check is None] == ["none"]
