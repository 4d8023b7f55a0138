"""Recorded market data: captures (written by `ticker record`), CSV files, raw messages of venues; and their replay.

Modules here import `ticker_feeds.venues` (parsers of raw messages), `ticker_feeds.parsing` and each other. For other
programs: `Capture` and `Recording` read files as moments and rows, `CaptureWriter` writes, `Replay` is the feed.
"""

from ticker_feeds.recordings.capture import Capture, CaptureWriter
from ticker_feeds.recordings.capture_format import Moment
from ticker_feeds.recordings.replay import Replay, declared
from ticker_feeds.recordings.row_layout import Row
from ticker_feeds.recordings.text_files import Recording

__all__ = ["Capture", "CaptureWriter", "Moment", "Recording", "Replay", "Row", "declared"]
