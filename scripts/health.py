"""Say whether the server on a port is healthy: exit status 0 when all workers of every routed version are READY."""

from __future__ import annotations

import argparse
import sys

from scripts.command import command
from serving.runtime.instance import Instance, Ports
from serving.server.health import problems


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and look."""
    parser = argparse.ArgumentParser(prog="python -m scripts.health", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="of the proxy (default: 8080)")
    arguments = parser.parse_args(argv)
    found = problems(Instance(Ports(arguments.port)))
    if found:
        sys.exit("; ".join(found))
    print("healthy: all workers READY")


if __name__ == "__main__":
    main()
