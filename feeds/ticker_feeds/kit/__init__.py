"""For authors of feeds: the conformance kit, its rules, and a template to copy (`template.py`).

`check_feed` and `conformance` check a feed; the first broken rule of `RULES` is raised as `Nonconformity`. The kit
imports `ticker_feeds`; the template imports `ticker_feeds.venues` too. Nothing imports the kit.
"""

from ticker_feeds.kit.checker import check_feed, conformance
from ticker_feeds.kit.rules import RULES, Nonconformity

__all__ = ["RULES", "Nonconformity", "check_feed", "conformance"]
