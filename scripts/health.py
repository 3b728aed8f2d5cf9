"""Check the server on a port. The exit status is 0 if all workers of every routed version are READY."""

from __future__ import annotations

import argparse
import sys

from scripts.command import command
from serving.runtime.instance import Instance, Ports
from serving.server.health import problems


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and check."""
    parser = argparse.ArgumentParser(prog="python -m scripts.health", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="port of the proxy (default: 8080)")
    arguments = parser.parse_args(argv)
    sentences = problems(Instance(Ports(arguments.port)))
    if sentences:
        sys.exit("; ".join(sentences))
    print("healthy: all workers READY")


if __name__ == "__main__":
    main()
