"""LitServe: a LitAPI with batches.

The default mode follows its page on batching (https://lightning.ai/docs/litserve/features/batching). It has one worker,
the batch size of the workload, and a batch timeout of 0.05 s as in tests/e2e/default_batching.py of LitServe. The
engine mode has a worker per core (https://lightning.ai/docs/litserve/api-reference/litserver), and 5 ms.
"""

from __future__ import annotations

from benchmarks.compare.systems.peer import COMMON, LaunchPlan, Peer, file_part
from benchmarks.compare.systems.server_process import Command

VERSION = "0.2.19"


def _launch(plan: LaunchPlan) -> Command:
    return plan.command("-m", "benchmarks.compare.systems.programs.litserve", str(plan.port))


PEER = Peer(
    name="litserve",
    version=VERSION,
    documentation="https://lightning.ai/docs/litserve/features/batching",
    requirements=(f"litserve=={VERSION}", "python-multipart==0.0.34", *COMMON),
    launch=_launch,
    request=file_part("/predict", "content"),
)
