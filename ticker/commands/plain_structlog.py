"""Imports structlog without rich, which it would use to draw boxes around tracebacks: a tenth of the time of a start.

Our logs have no such boxes (`logs.py`). This module is imported before any that imports structlog.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import cast

if "rich" not in sys.modules:
    sys.modules["rich"] = cast("ModuleType", None)  # for Python a module that cannot be imported
    try:
        import structlog  # noqa: F401
    finally:
        del sys.modules["rich"]
