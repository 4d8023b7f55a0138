"""Each fuzzer for a few hundred cases, and the reports of `python -m tests.fuzz`."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bounds import HANG_SECONDS
from tests.fuzz import Target, __main__
from tests.fuzz.targets import TARGETS

BRIEF = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_whatever_comes_is_understood_or_refused_and_harms_nobody(target: Target) -> None:
    BRIEF(given(target.cases)(target.check))()


def refuse_ninety(number: int) -> None:
    assert number < 90


def test_a_finding_is_shown_as_small_as_it_gets_and_makes_the_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(__main__, "TARGETS", {"numbers": Target("numbers", st.integers(0, 10_000), refuse_ninety)})
    assert __main__.main(["numbers", "--minutes", "1"]) == 1
    shown = capsys.readouterr()
    assert "case=90" in shown.out
    assert "FOUND" in shown.err


def test_without_a_finding_the_exit_code_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["heads", "--minutes", "0.001"]) == 0
    assert "heads: " in capsys.readouterr().err


def test_an_unknown_name_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        __main__.main(["nothing"])
    assert ended.value.code == 2
    assert "server-messages" in capsys.readouterr().err


def test_ctrl_c_ends_it_cleanly() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fuzz", "--minutes", "5"],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.read(9) == b"\rrequests"  # the first sign of progress
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=HANG_SECONDS)
        finally:
            process.kill()
    assert process.returncode == 0
    assert b"then interrupted" in err
    assert b"Traceback" not in out + err
