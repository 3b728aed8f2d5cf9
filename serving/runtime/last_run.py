"""End of a server's last run, for messages after a crash."""

from __future__ import annotations

import os

from serving.runtime.instance import Instance


def crash(instance: Instance) -> str | None:
    """Return a few lines on how a server crashed; None if it was stopped, or still runs."""
    status = instance.status()
    if status is None or instance.running() or status.state == "stopped":
        return None
    if status.state == "failed":
        return f"the last run failed: {status.message}"
    return (
        f"the last run was killed while it was {status.state}: its supervisor (process {status.pid}) is gone, and the "
        f"kernel ended its child processes\nlog: {os.path.relpath(instance.log)}\n"
        f"start again: torchlight serve --port {instance.ports.public}"
    )
