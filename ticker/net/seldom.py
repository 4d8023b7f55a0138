"""Log lines about mistakes of peers, which may repeat without an end."""

from __future__ import annotations

from ticker.bounds import REPEAT_LOG_LINES, REPEAT_LOG_SECONDS


class Seldom:
    """Says whether to log a line: each subject once in `REPEAT_LOG_SECONDS`, and `REPEAT_LOG_LINES` in that time."""

    def __init__(self) -> None:
        self._subjects: set[str] = set()
        self._until = 0.0

    def __repr__(self) -> str:
        return f"<Seldom: {len(self._subjects)} lines>"

    def allows(self, subject: str, now: float) -> bool:
        """Return whether to log a line about a subject now (seconds of a monotonic clock)."""
        if now >= self._until:
            self._subjects.clear()
            self._until = now + REPEAT_LOG_SECONDS
        if subject in self._subjects or len(self._subjects) >= REPEAT_LOG_LINES:
            return False
        self._subjects.add(subject)
        return True
