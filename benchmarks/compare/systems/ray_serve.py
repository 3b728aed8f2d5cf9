"""Ray Serve: a deployment with @serve.batch in a local cluster of its own.

The default mode follows its tutorial for PyTorch (https://docs.ray.io/en/latest/serve/tutorials/serve-ml-models.html)
and its guide to batches (https://docs.ray.io/en/latest/serve/advanced-guides/dyn-req-batch.html). It has one replica
and a timeout of 0.1 s, and the body is the image. The engine mode has a replica per core and a timeout of 5 ms. By
default a replica takes five requests at once, fewer than a batch; here it takes two batches.
"""

from __future__ import annotations

from benchmarks.compare.systems.peer import COMMON, LaunchPlan, Peer, raw
from benchmarks.compare.systems.server_process import Command

VERSION = "2.60.0"


def _launch(plan: LaunchPlan) -> Command:
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
