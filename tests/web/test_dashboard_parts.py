"""ticker/web/dashboard: what its modules calculate (scales, labels, groups of levels), and how often they ask."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.bounds import HANG_SECONDS
from tests.web.javascript import SCRIPTS, node


@pytest.mark.parametrize("part", ["dashboard", "list", "requests"])
def test_its_modules_do_what_they_should_also_where_days_have_23_hours(part: str) -> None:
    done = subprocess.run(
        [node(), "--test", "--test-reporter=tap", str(SCRIPTS / f"{part}.test.mjs")],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
        env={**os.environ, "TZ": "Europe/Berlin"},
    )
    assert done.returncode == 0, done.stdout
