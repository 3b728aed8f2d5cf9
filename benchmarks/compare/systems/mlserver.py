"""MLServer: a custom runtime with adaptive batching, and requests in the Open Inference Protocol (v2).

The default mode follows its pages on custom runtimes (https://docs.seldon.ai/mlserver/user-guide/custom) and batching
(https://docs.seldon.ai/mlserver/user-guide/adaptive-batching). It has one inference worker, the default, the batch size
of the workload, and a batch time of 0.1 s. The engine mode has a worker per core, a batch time of 5 ms, and no `debug`
(https://docs.seldon.ai/mlserver/user-guide/parallel-inference).
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from benchmarks.compare.systems.peer import COMMON, HOST, LaunchPlan, Peer, Request, free_ports
from benchmarks.compare.systems.server_process import Command

VERSION = "1.7.1"


def _launch(plan: LaunchPlan) -> Command:
    engine_mode = plan.mode == "engine"
    # Nothing uses its other ports, but another program may use their defaults.
    grpc, metrics = free_ports(2)
    settings: dict[str, Any] = {"host": HOST, "http_port": plan.port, "grpc_port": grpc, "metrics_port": metrics}
    if engine_mode:
        settings |= {"debug": False, "parallel_workers": plan.cores}
    model = {
        "name": "images",
        "implementation": "benchmarks.compare.systems.programs.mlserver.Images",
        "max_batch_size": plan.model.batch,
        "max_batch_time": 0.005 if engine_mode else 0.1,
    }
    _write(plan.scratch / "settings.json", settings)
    _write(plan.scratch / "model-settings.json", model)
    return plan.command("start", str(plan.scratch), program="mlserver")


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _request(image: bytes) -> Request:
    content = {"content_type": "base64"}
    data = [base64.b64encode(image).decode()]
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "parameters": content, "data": data}
    body = json.dumps({"inputs": [tensor]}).encode()
    return Request("/v2/models/images/infer", {"Content-Type": "application/json"}, body)


def _parse(body: bytes) -> tuple[int, float]:
    [response] = json.loads(body)["outputs"][0]["data"]
    return int(response["index"]), float(response["probability"])


PEER = Peer(
    name="mlserver",
    version=VERSION,
    documentation="https://docs.seldon.ai/mlserver/user-guide/adaptive-batching",
    # With uvloop 0.23 its inference workers die: "There is no current event loop".
    requirements=(f"mlserver=={VERSION}", "uvloop==0.21.0", *COMMON),
    launch=_launch,
    request=_request,
    parse=_parse,
)
