"""BentoML: a service with a batchable API.

The default mode follows its page on adaptive batching
(https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html). Its input is a list of images, `batchable=True`
has the batch size of the workload, and there is one worker, the default. The engine mode has a worker per core
(https://docs.bentoml.com/en/latest/build-with-bentoml/parallelize-requests.html).
"""

from __future__ import annotations

import json

from benchmarks.compare.systems.peer import COMMON, HOST, LaunchPlan, Peer, file_part
from benchmarks.compare.systems.server_process import Command

VERSION = "1.4.40"


def _launch(plan: LaunchPlan) -> Command:
    variables = {"BENTOML_HOME": str(plan.scratch / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}
    address = ["--host", HOST, "--port", str(plan.port)]
    return plan.command(
        "serve", "benchmarks.compare.systems.programs.bentoml:Images", *address, program="bentoml", **variables
    )


def _parse(body: bytes) -> tuple[int, float]:
    """Parse a list with one element, as the request is one."""
    [response] = json.loads(body)
    return int(response["index"]), float(response["probability"])


PEER = Peer(
    name="bentoml",
    version=VERSION,
    documentation="https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html",
    requirements=(f"bentoml=={VERSION}", *COMMON),
    launch=_launch,
    request=file_part("/classify", "images"),
    parse=_parse,
)
