"""Updates from other programs: lines of JSON from files, pipes and sockets (`JsonLines`), and datagrams (`Udp`).

Modules here import `ticker_feeds.parsing` and each other.
"""

from ticker_feeds.lines.jsonl import JsonLines
from ticker_feeds.lines.udp import Udp

__all__ = ["JsonLines", "Udp"]
