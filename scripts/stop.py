"""Stop the server on a port. It accepts nothing new, finishes the requests in flight, and ends.

For example:

    torchlight stop --port 8081
"""

from __future__ import annotations

from scripts import cli
from scripts.command import say
from serving.runtime import last_run
from serving.runtime.instance import Instance, Ports
from serving.server.draining import DRAIN_SECONDS, GATEWAY_STOP_SECONDS, GRPC_DRAIN_SECONDS
from serving.server.supervisor import JAVA_STOP_SECONDS


def main(*, port: int = 8080) -> None:
    """Stop the server, or say that none runs.

    Args:
        port: port of its proxy
    """
    timeout = GRPC_DRAIN_SECONDS + GATEWAY_STOP_SECONDS + DRAIN_SECONDS + 5 + JAVA_STOP_SECONDS + 10
    instance = Instance(Ports(port))
    stopped = instance.stop(timeout)
    if stopped:
        print(f"stopped the server on port {port}")
    else:
        say("\n".join(filter(None, (f"no server runs on port {port}", last_run.crash(instance)))))


if __name__ == "__main__":
    cli.run("stop")
