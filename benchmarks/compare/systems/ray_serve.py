"""Ray Serve: a deployment with @serve.batch, its own local cluster around it.

Out of the box is its tutorial for PyTorch, one replica and the image as the body
(https://docs.ray.io/en/latest/serve/tutorials/serve-ml-models.html), with its guide to batches, 0.1 s of waiting
(https://docs.ray.io/en/latest/serve/advanced-guides/dyn-req-batch.html). With our program: a replica a core, 5 ms.
A replica takes five requests at once by default, less than a batch: that is raised to two batches.
"""

from __future__ import annotations

from benchmarks.compare.systems.peer import COMMON, Peer, Plan, raw
from benchmarks.compare.systems.server_process import Command

VERSION = "2.60.0"


def _launch(plan: Plan) -> Command:
    return plan.command(
        "-m", "benchmarks.compare.systems.programs.ray_serve", str(plan.port), RAY_USAGE_STATS_ENABLED="0"
    )


PEER = Peer(
    name="ray-serve",
    version=VERSION,
    documentation="https://docs.ray.io/en/latest/serve/advanced-guides/dyn-req-batch.html",
    requirements=(f"ray[serve]=={VERSION}", *COMMON),
    launch=_launch,
    request=raw("/"),
)
