"""Check the server on a port. The exit status is 0 if all workers of every routed version are READY.

For example:

    torchlight health --port 8081
"""

from __future__ import annotations

import sys

from scripts import cli
from scripts.dialect import translated
from serving.runtime.instance import Instance, Ports
from serving.server.health import problems


def main(*, port: int = 8080) -> None:
    """Check all workers.

    Args:
        port: port of the proxy
    """
    sentences = problems(Instance(Ports(port)))
    if sentences:
        sys.exit(translated("; ".join(sentences)))
    print("healthy: all workers READY")


if __name__ == "__main__":
    cli.run("health")
