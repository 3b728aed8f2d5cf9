"""Split of a model's traffic between its default version and a candidate, in the proxy's map and on disk.

Only predictions and explanations that name no version are split. The map has one entry for each model, such as
`digits 2.0:500:none:80000`: candidate, share of 10,000, stickiness, and the limit of slow responses in microseconds, or
0. One entry changes in one command, so no request sees a new candidate with an old share. The proxy ignores the split
of a candidate that is not registered (deploy/haproxy/haproxy.cfg.jinja).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from serving.proxy import routing
from serving.proxy.arm_counts import ArmCounts
from serving.proxy.runtime_api import RuntimeApi
from serving.runtime import atomic_files

FILE_NAME = "splits.map"
# Resolution of a share.
PARTS = 10_000
# Cookie by which a client stays with one version: a random number below PARTS. It outlives a rollout of weeks.
COOKIE = "torchlight-client"
COOKIE_SECONDS = 30 * 24 * 3600
# With sticky clients, at most one bad response of a kind counts for each client in this time.
BAD_EVENT_SECONDS = 10


class Sticky(StrEnum):
    """The way in which a client stays with one version."""

    NONE = "none"
    HEADER = "header"
    """By the value of the header X-Client-Id. A request without it is assigned at random."""
    COOKIE = "cookie"
    """By a cookie that the proxy sets."""


@dataclass(frozen=True, slots=True)
class Split:
    """The split of one model's traffic. While it exists, the proxy counts both versions.

    Attributes:
        share: share of the candidate, to a ten-thousandth; 0 only counts.
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
        self._api = RuntimeApi(socket)

    def get(self, model: str) -> Split | None:
        """Return the split of a model, by the map on disk."""
        value = routing.read(self._map_file).get(model)
        return None if value is None else _split(value)

    def set(self, model: str, split: Split) -> None:
        """Change candidate, share, stickiness and limit in one atomic commit."""
        value = _value(split)
        entries = routing.read(self._map_file)
        if entries.get(model) != value:
            atomic_files.write(self._map_file, routing.map_text({**entries, model: value}))
        self._change_running(model, value)

    def restore(self, model: str, version: str) -> None:
        """Send all requests of a model to one version at once, whatever its default is.

        The proxy changes first: clients are helped even if the disk is full.

        Raises:
            OSError: the map on disk could not be written. The running proxy has changed.
        """
        value = _value(Split(version, 1.0))
        self._change_running(model, value)
        atomic_files.write(self._map_file, routing.map_text({**routing.read(self._map_file), model: value}))

    def clear(self, model: str) -> None:
        """Send all requests to the default version, and count no more."""
        entries = routing.read(self._map_file)
        if entries.pop(model, None) is not None:
            atomic_files.write(self._map_file, routing.map_text(entries))
        if model in self._api.entries(self._map_file.name):
            self._api.command(f"del map {self._map_file.name} {model}")

    def _change_running(self, model: str, value: str) -> None:
        running = self._api.entries(self._map_file.name).get(model)
        if running != value:
            self._api.command(f"{'add' if running is None else 'set'} map {self._map_file.name} {model} {value}")

    def counts(self, model: str, version: str) -> ArmCounts:
        """Return what the proxy counted of a version since it started."""
        key = f"{model}/{version}"
        row = self._api.command(f"show table arms key {key}")
        requests, errors, slow, referred = (_count(row, index) for index in range(4))
        buckets = re.findall(
            rf"\bkey={re.escape(key)}/(\d+)e(\d+) .*\bgpc0=(\d+)", self._api.command("show table latencies")
        )
        latencies = {int(digits) * 10 ** int(exponent): int(count) for digits, exponent, count in buckets}
        return ArmCounts(requests, errors, slow, referred, latencies)


def keep_routed(map_file: Path, versions: str) -> None:
    """Remove the splits from a map on disk whose candidate the proxy does not route to. Create a missing map.

    Args:
        versions: the text of the map of versions.
    """
    routed = {line.partition(" ")[0] for line in versions.splitlines()}
    entries = routing.read(map_file)
    remaining = {model: value for model, value in entries.items() if f"{model}/{_split(value).candidate}" in routed}
    atomic_files.write(map_file, routing.map_text(remaining))


def _value(split: Split) -> str:
    """Return a split as the value of an entry. A share or limit that is not 0 does not become 0."""
    parts = max(round(split.share * PARTS), 1 if split.share else 0)
    slow_us = 0 if split.slow_seconds is None else max(1, round(split.slow_seconds * 1e6))
    return f"{split.candidate}:{parts}:{split.sticky}:{slow_us}"


def _split(value: str) -> Split:
    candidate, parts, sticky, slow_us = value.split(":")
    return Split(candidate, int(parts) / PARTS, Sticky(sticky), int(slow_us) / 1e6 or None)


def _count(row: str, index: int) -> int:
    """Return one count of a row of `show table`; 0 without a row."""
    match = re.search(rf"\bgpc{index}=(\d+)", row)
    return int(match[1]) if match else 0
