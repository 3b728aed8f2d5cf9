"""Split of a model's traffic between its default version and a candidate, in the proxy's map and on disk.

Only requests that name no version are split.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from serving.proxy.arm_counts import ArmCounts

FILE_NAME = "splits.map"


class Sticky(StrEnum):
    """How a client stays with one version."""

    NONE = "none"
    HEADER = "header"
    """By the value of the header X-Client-Id. A request without it is assigned at random."""
    COOKIE = "cookie"
    """By a cookie that the proxy sets."""


@dataclass(frozen=True, slots=True)
class Split:
    """The split of one model's traffic. While it exists, the proxy counts both versions.

    Attributes:
        share: share of the candidate; 0 only counts.
        slow_seconds: a response that takes longer counts as slow; None counts none.
    """

    candidate: str
    share: float
    sticky: Sticky = Sticky.NONE
    slow_seconds: float | None = None


class TrafficSplits:
    """The splits of a running proxy. Methods raise an Unreachable if the proxy does not answer.

    Args:
        map_file: the map on disk; HAProxy runs in its folder.
        socket: HAProxy's runtime API.
    """

    def __init__(self, map_file: Path, socket: Path) -> None:
        self._map_file = map_file
        self._socket = socket

    def get(self, model: str) -> Split | None:
        """Return the split of a model, by the map on disk."""
        raise NotImplementedError

    def set(self, model: str, split: Split) -> None:
        """Change candidate, share, stickiness and limit in one atomic commit."""
        raise NotImplementedError

    def clear(self, model: str) -> None:
        """Send all requests to the default version, and count no more."""
        raise NotImplementedError

    def counts(self, model: str, version: str) -> ArmCounts:
        """Return what the proxy counted of a version since it started."""
        raise NotImplementedError
