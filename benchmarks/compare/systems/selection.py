"""Who is compared: the bundle as `make serve` runs it, and every peer in both modes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from benchmarks.compare.results import Where
from benchmarks.compare.rounds import Contestant
from benchmarks.compare.run_config import Setting
from benchmarks.compare.systems import PEERS, Mode, Peer, environment, torchlight
from benchmarks.compare.workload import Workload

MODES: tuple[Mode, ...] = ("box", "engine")


def bundle(workload: Workload, setting: Setting) -> Contestant:
    """This project."""
    return Contestant(
        name=torchlight.NAME,
        mode="",
        version=Where.here().commit,
        start=partial(torchlight.serve, workload, setting.port),
        request=torchlight.request(workload),
        answer=torchlight.answer,
    )


def peers(
    workload: Workload, setting: Setting, names: Sequence[str], modes: Sequence[Mode] = MODES
) -> list[Contestant]:
    """Those of these names that the setting wants; one that cannot be installed says so when it is started."""
    found: list[Contestant] = []
    for name in names:
        if setting.peers is None or name in setting.peers:
            found += [
                peer(PEERS[name], workload, setting, mode, 10 * (len(found) + place + 1))
                for place, mode in enumerate(modes)
            ]
    return found


def peer(served: Peer, workload: Workload, setting: Setting, mode: Mode, offset: int) -> Contestant:
    """One peer in one mode, on a port of its own."""
    python = environment.make(served, setting.folder / "environments")
    scratch = setting.folder / "peers" / f"{served.name}-{mode}-{workload.name}"
    place = (mode, setting.port + offset, scratch)
    start = (
        partial(served.start, python, workload.model(), *place)
        if isinstance(python, Path)
        else partial(_absent, python)
    )
    return Contestant(served.name, mode, served.version, start, served.request, served.answer)


def _absent(unavailable: environment.Unavailable) -> AbstractContextManager[str]:
    raise ValueError(f"it cannot be installed: {unavailable.error}")
