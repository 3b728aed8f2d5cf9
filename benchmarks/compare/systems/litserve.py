"""LitServe: a LitAPI with batches.

Out of the box is its page on batching (https://lightning.ai/docs/litserve/features/batching): the workload's batch,
0.05 s of waiting as its own end-to-end test has (tests/e2e/default_batching.py), one worker. With our program: a worker
a core, which its server's page offers (https://lightning.ai/docs/litserve/api-reference/litserver), and 5 ms.
"""

from __future__ import annotations

from benchmarks.compare.systems.peer import COMMON, Peer, Plan, file_part
from benchmarks.compare.systems.server_process import Command

VERSION = "0.2.19"


def _launch(plan: Plan) -> Command:
    return plan.command("-m", "benchmarks.compare.systems.programs.litserve", str(plan.port))


PEER = Peer(
    name="litserve",
    version=VERSION,
    documentation="https://lightning.ai/docs/litserve/features/batching",
    requirements=(f"litserve=={VERSION}", "python-multipart==0.0.34", *COMMON),
    launch=_launch,
    request=file_part("/predict", "content"),
)
