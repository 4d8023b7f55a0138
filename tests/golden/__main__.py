"""Make `tests/golden_frames.json`: `python -m tests.golden`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.golden import connections, names, tables
from tests.golden.fields import FIELDS
from tests.golden.recorded import server
from tests.golden.steps import made
from tests.golden.values import VALUES

FILE = Path(__file__).parents[1] / "golden_frames.json"
CONVERSATIONS = [VALUES, *tables.CONVERSATIONS, *names.CONVERSATIONS, FIELDS, *connections.CONVERSATIONS, server()]


def text() -> str:
    """Return the content of the file: one line for each step and each refused payload."""

    def lines(items: list[object]) -> str:
        return ",\n".join(json.dumps(each, ensure_ascii=False) for each in items)

    parts = []
    for conversation in map(made, CONVERSATIONS):
        head = f'{{"name": {json.dumps(conversation["name"])}, "steps": [\n{lines(conversation["steps"])}\n]'
        parts.append(f'{head}, "refused": [\n{lines(conversation["refused"])}\n]}}')
    return f'{{"conversations": [\n{",".join(parts)}\n]}}\n'


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
