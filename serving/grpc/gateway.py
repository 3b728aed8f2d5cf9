"""The process of the gRPC gateway: `python -m serving.grpc.gateway --port 8084 --proxy http://127.0.0.1:8080`.

It listens on loopback only. The proxy forwards gRPC calls to it, and it sends each one back to the proxy over HTTP. So
routing, tokens, limits and the count of requests in flight have one implementation, in the proxy.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import grpc.aio

from serving.errors import ConfigError, StartError
from serving.grpc.health import Health
from serving.grpc.http_client import ProxyClient
from serving.grpc.service import Service

HOST = "127.0.0.1"
MAX_REQUEST_SIZE = 8_500_000
# Limit of the proxy for calls at once: 60 calls, 16 health checks and 16 Watch calls.
MAX_CONCURRENT = 96
GRACE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """Options of the command line."""

    port: int
    """0 chooses a free port; the line on standard output names it."""
    proxy: str
    """The proxy's URL."""
    max_request_size: int = MAX_REQUEST_SIZE
    """Maximum bytes of a message, as of an HTTP body; gRPC itself answers RESOURCE_EXHAUSTED to a larger one."""
    max_concurrent: int = MAX_CONCURRENT
    """Maximum calls at a time; one more is RESOURCE_EXHAUSTED before its message is read, which limits memory."""
    grace: float = GRACE_SECONDS
    """Seconds for calls in flight after SIGTERM."""


async def serve(options: GatewayOptions) -> None:
    """Serve until SIGTERM, which lets calls in flight finish, or SIGINT, which ends them.

    Raises:
        ConfigError: the proxy's URL is invalid.
        StartError: the port cannot be used.
    """
    proxy = ProxyClient(options.proxy)
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", options.max_request_size),
            # Otherwise two gateways could share a port, each with half of the calls.
            ("grpc.so_reuseport", 0),
            # The limit above counts the bytes that arrive; a compressed message could unpack to gigabytes.
            ("grpc.compression_enabled_algorithms_bitset", 1),
        ],
        maximum_concurrent_rpcs=options.max_concurrent,
    )
    health = Health(proxy)
    server.add_generic_rpc_handlers((health, Service(proxy)))
    try:
        port = server.add_insecure_port(f"{HOST}:{options.port}")
    except RuntimeError:
        raise StartError(
            f"port {options.port} on {HOST} cannot be used: stop what uses it, or choose another with --port"
        ) from None
    grace: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    for number, seconds in ((signal.SIGTERM, options.grace), (signal.SIGINT, 0.0)):
        asyncio.get_running_loop().add_signal_handler(number, _once, grace, seconds)
    await server.start()
    sys.stdout.write(f"gRPC gateway on port {port}\n")
    sys.stdout.flush()
    seconds = await grace
    health.stop()
    await server.stop(seconds)
    proxy.close()


def _once(grace: asyncio.Future[float], seconds: float) -> None:
    if not grace.done():
        grace.set_result(seconds)


def parse(arguments: Sequence[str]) -> GatewayOptions:
    """Parse the command line; end the process with a sentence if it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m serving.grpc.gateway", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port to listen on, on 127.0.0.1")
    parser.add_argument("--proxy", required=True, metavar="URL", help="URL of the proxy, such as http://127.0.0.1:8080")
    parser.add_argument("--max-request-size", type=int, default=MAX_REQUEST_SIZE, help="maximum bytes of a message")
    parser.add_argument("--max-concurrent", type=int, default=MAX_CONCURRENT, help="maximum calls at a time")
    parser.add_argument("--grace", type=float, default=GRACE_SECONDS, help="seconds for calls in flight at SIGTERM")
    return GatewayOptions(**vars(parser.parse_args(arguments)))


def main() -> None:
    """Run until a signal; exit status 0 after one, 1 if the gateway could not start."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(serve(parse(sys.argv[1:])))
    except (ConfigError, StartError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
