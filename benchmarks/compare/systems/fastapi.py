"""FastAPI under Uvicorn: one model a process, one process a core, no batches.

Out of the box is its page on workers ("uvicorn main:app --workers 4", https://fastapi.tiangolo.com/deployment/server-workers/)
and the usual endpoint: an image in, the network called in it. With our program: no line of log for each request either.
"""

from __future__ import annotations

from benchmarks.compare.systems.peer import COMMON, HOST, Peer, Plan, raw
from benchmarks.compare.systems.server_process import Command

VERSION = "0.165.0"


def _launch(plan: Plan) -> Command:
    quiet = ["--no-access-log"] if plan.mode == "engine" else []
    where = ["--host", HOST, "--port", str(plan.port), "--workers", str(plan.cores)]
    return plan.command("benchmarks.compare.systems.programs.fastapi:app", *where, *quiet, program="uvicorn")


PEER = Peer(
    name="fastapi",
    version=VERSION,
    documentation="https://fastapi.tiangolo.com/deployment/server-workers/",
    requirements=(f"fastapi=={VERSION}", "uvicorn[standard]==0.54.0", *COMMON),
    launch=_launch,
    request=raw("/predict"),
)
