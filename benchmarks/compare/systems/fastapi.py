"""FastAPI under Uvicorn: one model per process, one process per core, no batches.

The default mode follows its page on workers ("uvicorn main:app --workers 4"), with an endpoint that calls the network:
https://fastapi.tiangolo.com/deployment/server-workers/. The engine mode has no access log.
"""

from __future__ import annotations

from benchmarks.compare.systems.peer import COMMON, HOST, LaunchPlan, Peer, raw
from benchmarks.compare.systems.server_process import Command

VERSION = "0.165.0"


def _launch(plan: LaunchPlan) -> Command:
    log_flags = ["--no-access-log"] if plan.mode == "engine" else []
    address = ["--host", HOST, "--port", str(plan.port), "--workers", str(plan.cores)]
    return plan.command("benchmarks.compare.systems.programs.fastapi:app", *address, *log_flags, program="uvicorn")


PEER = Peer(
    name="fastapi",
    version=VERSION,
    documentation="https://fastapi.tiangolo.com/deployment/server-workers/",
    requirements=(f"fastapi=={VERSION}", "uvicorn[standard]==0.54.0", *COMMON),
    launch=_launch,
    request=raw("/predict"),
)
