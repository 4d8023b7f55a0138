"""ticker/web/dashboard: what its modules calculate (scales, labels, groups of levels), in Node."""

from __future__ import annotations

import os
import subprocess

from tests.bounds import HANG_SECONDS
from tests.web.javascript import SCRIPTS, node


def test_what_the_dashboard_calculates_is_right_also_where_days_have_23_hours() -> None:
    done = subprocess.run(
        [node(), "--test", "--test-reporter=tap", str(SCRIPTS / "dashboard.test.mjs")],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
        env={**os.environ, "TZ": "Europe/Berlin"},
    )
    assert done.returncode == 0, done.stdout
