"""BentoML: a service whose API is batchable.

Out of the box is its page on adaptive batching
(https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html): a list of images in, `batchable=True` with the
workload's batch, one worker as it is by default. With our program: a worker a core
(https://docs.bentoml.com/en/latest/build-with-bentoml/parallelize-requests.html).
"""

from __future__ import annotations

import json

from benchmarks.compare.systems.peer import COMMON, HOST, Peer, Plan, file_part
from benchmarks.compare.systems.server_process import Command

VERSION = "1.4.40"


def _launch(plan: Plan) -> Command:
    home = {"BENTOML_HOME": str(plan.scratch / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}
    where = ["--host", HOST, "--port", str(plan.port)]
    return plan.command(
        "serve", "benchmarks.compare.systems.programs.bentoml:Images", *where, program="bentoml", **home
    )


def _answer(body: bytes) -> tuple[int, float]:
    """A list, as what was sent is one."""
    [answer] = json.loads(body)
    return int(answer["index"]), float(answer["probability"])


PEER = Peer(
    name="bentoml",
    version=VERSION,
    documentation="https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html",
    requirements=(f"bentoml=={VERSION}", *COMMON),
    launch=_launch,
    request=file_part("/classify", "images"),
    answer=_answer,
)
