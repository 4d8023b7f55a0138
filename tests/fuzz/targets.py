"""All fuzzers by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fuzz import Target, bus_frames, configs, followers, heads, requests, server_messages

TARGETS: Mapping[str, Target] = {
    "requests": requests.TARGET,
    "server-messages": server_messages.TARGET,
    "heads": heads.TARGET,
    "configs": configs.TARGET,
    "bus-frames": bus_frames.TARGET,
    "followers": followers.TARGET,
}
