"""The systems under test: Torchlight as `make serve` runs it, and the peers in their modes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from benchmarks.compare.results import RunEnvironment
from benchmarks.compare.rounds import SystemUnderTest
from benchmarks.compare.run_config import RunConfig
from benchmarks.compare.systems import PEERS, Mode, Peer, environment, torchlight
from benchmarks.compare.workload import Workload

MODES: tuple[Mode, ...] = ("default", "engine")


def torchlight_system(workload: Workload, config: RunConfig) -> SystemUnderTest:
    """Return Torchlight."""
    return SystemUnderTest(
        name=torchlight.NAME,
        mode="",
        version=RunEnvironment.current().commit,
        start=partial(torchlight.serve, workload, config.port),
        request=torchlight.image_request(workload),
        parse=torchlight.parse_response,
    )


def peer_systems(
    workload: Workload, config: RunConfig, names: Sequence[str], modes: Sequence[Mode] = MODES
) -> list[SystemUnderTest]:
    """Return these peers, as far as the configuration selects them, in each mode.

    A peer that cannot be installed raises an error when it is started.
    """
    systems: list[SystemUnderTest] = []
    for name in names:
        if config.peers is None or name in config.peers:
            for mode in modes:
                systems.append(peer_system(PEERS[name], workload, config, mode, 10 * (len(systems) + 1)))
    return systems


def peer_system(peer: Peer, workload: Workload, config: RunConfig, mode: Mode, port_offset: int) -> SystemUnderTest:
    """Return a peer in one mode, on a port of its own."""
    python = environment.create(peer, config.folder / "environments")
    scratch = config.folder / "peers" / f"{peer.name}-{mode}-{workload.name}"
    start = (
        partial(peer.start, python, workload.model(), mode, config.port + port_offset, scratch)
        if isinstance(python, Path)
        else partial(_unavailable, python)
    )
    return SystemUnderTest(peer.name, mode, peer.version, start, peer.request, peer.parse)


def _unavailable(peer: environment.Unavailable) -> AbstractContextManager[str]:
    raise ValueError(f"it cannot be installed: {peer.error}")
