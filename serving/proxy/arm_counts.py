"""The proxy's counts of one version while traffic is split: requests, bad responses and latencies.

Only requests that name no version count: the proxy assigns them to a version at random.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """Counts of one version since the proxy started, or the difference of two such counts.

    Attributes:
        requests: requests that the proxy assigned to the version and that are answered.
        errors: responses with a status of 500 or more, deadlines exceeded included. With sticky clients, at most one
            for each client and interval; so are `slow` and `referred`.
        slow: responses that took longer than the split's limit.
        referred: responses with an image whose decision is refer.
        latencies: number of responses by their latency in microseconds, rounded down to two significant digits. The
            responses of the proxy itself, such as a deadline exceeded, have no latency here.
    """

    requests: int = 0
    errors: int = 0
    slow: int = 0
    referred: int = 0
    latencies: Mapping[int, int] = field(default_factory=dict)

    def __sub__(self, earlier: ArmCounts) -> ArmCounts:
        """Return what was counted since `earlier`. A restarted proxy counts from 0 again: then all counts are new."""
        if self.requests < earlier.requests:
            return self
        latencies = {bucket: count - earlier.latencies.get(bucket, 0) for bucket, count in self.latencies.items()}
        return ArmCounts(
            self.requests - earlier.requests,
            max(0, self.errors - earlier.errors),
            max(0, self.slow - earlier.slow),
            max(0, self.referred - earlier.referred),
            {bucket: count for bucket, count in latencies.items() if count > 0},
        )

    def __add__(self, other: ArmCounts) -> ArmCounts:
        """Return the sum of two counts."""
        buckets = self.latencies.keys() | other.latencies.keys()
        return ArmCounts(
            self.requests + other.requests,
            self.errors + other.errors,
            self.slow + other.slow,
            self.referred + other.referred,
            {bucket: self.latencies.get(bucket, 0) + other.latencies.get(bucket, 0) for bucket in buckets},
        )

    def quantile(self, share: float) -> float | None:
        """Return a quantile of the latencies in seconds, to two significant digits; None without responses."""
        total = sum(self.latencies.values())
        if not total:
            return None
        cumulative = 0
        for bucket in sorted(self.latencies):
            cumulative += self.latencies[bucket]
            if cumulative >= share * total:
                return bucket / 1e6
        raise AssertionError("the counts of all buckets are the total")
