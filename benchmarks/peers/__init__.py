"""What others serve the same model with: six servers, each in an environment of its own, set up as its pages say.

    from benchmarks.peers import PEERS, environment

    peer = PEERS["litserve"]
    python = environment.make(peer, Path(".peers"))
    with peer.start(python, model, "box", port, scratch) as url:
        path, headers, body = peer.request(photo)

A file a peer says what to install and how to start it; the server itself is the program of that name in programs/.
"""

from __future__ import annotations

from benchmarks.peers.bentoml import PEER as BENTOML
from benchmarks.peers.fastapi import PEER as FASTAPI
from benchmarks.peers.litserve import PEER as LITSERVE
from benchmarks.peers.mlserver import PEER as MLSERVER
from benchmarks.peers.peer import Mode, Model, Peer, Request
from benchmarks.peers.ray_serve import PEER as RAY_SERVE
from benchmarks.peers.running import PeerError
from benchmarks.peers.stock import PEER as STOCK

__all__ = ["PEERS", "Mode", "Model", "Peer", "PeerError", "Request"]

PEERS: dict[str, Peer] = {peer.name: peer for peer in (STOCK, LITSERVE, BENTOML, RAY_SERVE, MLSERVER, FASTAPI)}
