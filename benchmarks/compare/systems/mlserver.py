"""MLServer: a custom runtime with adaptive batching, asked in the Open Inference Protocol (v2).

Out of the box are its pages on custom runtimes (https://docs.seldon.ai/mlserver/user-guide/custom) and batching
(https://docs.seldon.ai/mlserver/user-guide/adaptive-batching): the workload's batch, 0.1 s of waiting, one inference
worker as it is by default. With our program: a worker a core, 5 ms, no `debug`
(https://docs.seldon.ai/mlserver/user-guide/parallel-inference).
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from benchmarks.compare.systems.peer import COMMON, HOST, Peer, Plan, Request, free_ports
from benchmarks.compare.systems.server_process import Command

VERSION = "1.7.1"


def _launch(plan: Plan) -> Command:
    best = plan.mode == "engine"
    # Nobody asks its other ports anything, but their defaults may be taken.
    grpc, metrics = free_ports(2)
    settings: dict[str, Any] = {"host": HOST, "http_port": plan.port, "grpc_port": grpc, "metrics_port": metrics}
    if best:
        settings |= {"debug": False, "parallel_workers": plan.cores}
    model = {
        "name": "images",
        "implementation": "benchmarks.compare.systems.programs.mlserver.Images",
        "max_batch_size": plan.model.batch,
        "max_batch_time": 0.005 if best else 0.1,
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


def _answer(body: bytes) -> tuple[int, float]:
    [answer] = json.loads(body)["outputs"][0]["data"]
    return int(answer["index"]), float(answer["probability"])


PEER = Peer(
    name="mlserver",
    version=VERSION,
    documentation="https://docs.seldon.ai/mlserver/user-guide/adaptive-batching",
    # uvloop: with 0.23 its inference workers die, "There is no current event loop".
    requirements=(f"mlserver=={VERSION}", "uvloop==0.21.0", *COMMON),
    launch=_launch,
    request=_request,
    answer=_answer,
)
