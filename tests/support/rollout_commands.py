"""Rollouts as a user runs them: a plan file, the documented commands, and the record that remains."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving.rollout import record as records
from serving.rollout.journal import Journal
from serving.rollout.record import REPORT, Record, Rollout
from tests.support.server import Server, run

# Short holds, and limits that some 50 pairs and a few hundred requests can decide.
QUICK: dict[str, Any] = {
    "warm_up": {"requests": 20},
    "shadow": {
        "share": "100%",
        "pairs": 50,
        "max_differences": "10%",
        "self_pairs": 10,
        "explained": 10,
        "timeout": "10m",
    },
    "canary": {
        "shares": ["25%", "50%"],
        "hold": "2s",
        "min_requests": 50,
        "timeout": "10m",
        "margin": 3,
        "tolerated": "3%",
    },
    "bake": "3s",
}


def start(server: Server, version: str, model: str = "digits", **changes: Any) -> Record:
    """Write the plan QUICK with changes, start a rollout by the command, and return its record."""
    plan = {key: value | changes.pop(key, {}) if isinstance(value, dict) else value for key, value in QUICK.items()}
    path = server.workspace / f"plan-{model}-{version}.yaml"
    path.write_text(json.dumps(plan | changes))  # JSON is YAML
    command = ("start", "--model", model, "--version", version, "--plan", path.name)
    finished = run(server.workspace, "scripts.rollout", *command, "--port", str(server.ports.public))
    assert finished.returncode == 0, finished.stderr
    return last(server, model)


def command(server: Server, name: str, *flags: str) -> str:
    """Run a command of a rollout, and return what it printed."""
    finished = run(server.workspace, "scripts.rollout", name, "--port", str(server.ports.public), *flags)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout + finished.stderr


def last(server: Server, model: str = "digits") -> Record:
    """Return the record of the last rollout of a model."""
    return [record for record in records.records(server.instance.folder) if record.load().model == model][-1]


def await_state(record: Record, reached: Callable[[Rollout], bool], seconds: float = 280) -> Rollout:
    """Wait for a state of a rollout, and return it. The failure shows the state and the last verdicts."""
    deadline = time.monotonic() + seconds
    while True:
        rollout = record.load()
        if reached(rollout):
            return rollout
        messages = "\n".join(f"{name}: {verdict.message}" for name, verdict in rollout.verdicts.items())
        about = f"{rollout.phase.value}, paused: {rollout.paused}, reason: {rollout.reason}\n{messages}"
        assert time.monotonic() < deadline, about
        assert not rollout.phase.is_final, about
        time.sleep(0.1)


def await_end(record: Record, seconds: float = 280) -> Rollout:
    """Wait until a rollout has ended or was paused."""
    return await_state(record, lambda rollout: rollout.phase.is_final or rollout.paused is not None, seconds)


def await_report(record: Record, seconds: float = 30) -> Path:
    """Wait until the report shows the last state of a rollout, and return its path."""
    deadline = time.monotonic() + seconds
    while not record.has_current_report():
        assert time.monotonic() < deadline, f"{record.folder} has no report of the last state"
        time.sleep(0.1)
    return record.folder / REPORT


def phases(server: Server, record: Record) -> list[str]:
    """Return the journaled steps of a rollout, in order."""
    return [entry["step"] for entry in Journal(server.instance.folder).entries() if entry.get("run") == record.id]
