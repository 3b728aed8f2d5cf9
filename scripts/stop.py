"""Stop the server on a port. It accepts nothing new, finishes the requests in flight, and ends."""

from __future__ import annotations

import argparse

from scripts.command import command
from serving.runtime import last_run
from serving.runtime.instance import Instance, Ports
from serving.server.draining import DRAIN_SECONDS, GATEWAY_STOP_SECONDS, GRPC_DRAIN_SECONDS
from serving.server.supervisor import JAVA_STOP_SECONDS


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and stop."""
    parser = argparse.ArgumentParser(prog="python -m scripts.stop", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="port of its proxy (default: 8080)")
    arguments = parser.parse_args(argv)
    timeout = GRPC_DRAIN_SECONDS + GATEWAY_STOP_SECONDS + DRAIN_SECONDS + 5 + JAVA_STOP_SECONDS + 10
    instance = Instance(Ports(arguments.port))
    stopped = instance.stop(timeout)
    if stopped:
        print(f"stopped the server on port {arguments.port}")
    else:
        print("\n".join(filter(None, (f"no server runs on port {arguments.port}", last_run.crash(instance)))))


if __name__ == "__main__":
    main()
