"""Systems under test: Torchlight and six peers. Each peer has an environment of its own, and its documented settings.

    from benchmarks.compare.systems import PEERS, environment

    peer = PEERS["litserve"]
    python = environment.create(peer, Path(".peers"))
    with peer.start(python, model, "default", port, scratch) as url:
        path, headers, body = peer.request(photo)

A module per peer says what to install and how to start it. The server is the program of that name in programs/.
"""

from __future__ import annotations

from benchmarks.compare.systems.bentoml import PEER as BENTOML
from benchmarks.compare.systems.fastapi import PEER as FASTAPI
from benchmarks.compare.systems.litserve import PEER as LITSERVE
from benchmarks.compare.systems.mlserver import PEER as MLSERVER
from benchmarks.compare.systems.peer import Mode, Model, Peer, Request
from benchmarks.compare.systems.ray_serve import PEER as RAY_SERVE
from benchmarks.compare.systems.server_process import PeerError
from benchmarks.compare.systems.stock import PEER as STOCK

__all__ = ["PEERS", "Mode", "Model", "Peer", "PeerError", "Request"]

PEERS: dict[str, Peer] = {peer.name: peer for peer in (STOCK, LITSERVE, BENTOML, RAY_SERVE, MLSERVER, FASTAPI)}
