"""The status of one version, as `make models` shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """One registered version.

    Attributes:
        workers: number of predict workers that it should have.
        ready: number of predict workers that are READY.
        explaining: number of READY explain workers.
        unbatched: number of READY unbatched workers.
        queue: requests in TorchServe's queues.
        in_flight: requests that the proxy has sent and not seen answered, those in the queues included.
        since: time of its registration; empty if the state does not have the version.
    """

    model: str
    version: str
    default: bool
    workers: int
    ready: int
    explaining: int
    unbatched: int
    queue: int
    in_flight: int
    since: str
