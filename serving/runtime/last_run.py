"""How the last run of a server ended, for whoever looks for it after a crash."""

from __future__ import annotations

import os

from serving.runtime.instance import Instance


def crash(instance: Instance) -> str | None:
    """Return a few lines on the crash of a server that does not run any more; None after a stop, and while it runs."""
    status = instance.status()
    if status is None or instance.running() or status.state == "stopped":
        return None
    if status.state == "failed":
        return f"the last run failed: {status.message}"
    return (
        f"the last run was killed while it was {status.state}: its supervisor (process {status.pid}) is gone, and the "
        f"kernel ended the rest\nlog: {os.path.relpath(instance.log)}\n"
        f"start again: make serve PORT={instance.ports.public}"
    )
