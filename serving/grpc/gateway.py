"""The process that speaks gRPC: `python -m serving.grpc.gateway --port 8084 --proxy http://127.0.0.1:8080`.

It listens on loopback alone; the proxy hands gRPC on to it, and it asks the proxy in HTTP. So routing,
tokens, limits and the count of what is in flight have one implementation, and this process knows of none of them.
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
# What the proxy lets through at once: 60 calls, 16 health checks and 16 that watch.
MAX_CONCURRENT = 96
GRACE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says."""

    port: int
    """0: one that is free; the line on standard output says which."""
    proxy: str
    """The proxy's URL."""
    max_request_size: int = MAX_REQUEST_SIZE
    """Bytes of one message, as of one body over HTTP; a larger one is RESOURCE_EXHAUSTED, by gRPC's own hand."""
    max_concurrent: int = MAX_CONCURRENT
    """Calls at a time; one more is RESOURCE_EXHAUSTED before its message is read, so memory has a bound."""
    grace: float = GRACE_SECONDS
    """Seconds that calls in flight get after SIGTERM."""


async def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT; the first lets calls in flight finish, the second ends them.

    Raises:
        ConfigError: the proxy's URL is not one.
        StartError: the port cannot be had.
    """
    proxy = ProxyClient(settings.proxy)
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", settings.max_request_size),
            # Otherwise two gateways could share a port, each with half of the calls.
            ("grpc.so_reuseport", 0),
            # The limit above counts a message as it comes; a compressed one could unpack to gigabytes.
            ("grpc.compression_enabled_algorithms_bitset", 1),
        ],
        maximum_concurrent_rpcs=settings.max_concurrent,
    )
    health = Health(proxy)
    server.add_generic_rpc_handlers((health, Service(proxy)))
    try:
        port = server.add_insecure_port(f"{HOST}:{settings.port}")
    except RuntimeError:
        raise StartError(
            f"port {settings.port} on {HOST} cannot be used: stop what uses it, or choose another with --port"
        ) from None
    grace: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    for number, seconds in ((signal.SIGTERM, settings.grace), (signal.SIGINT, 0.0)):
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


def parse(arguments: Sequence[str]) -> Settings:
    """The command line; ends the process with a sentence where it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m serving.grpc.gateway", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="where to listen, on 127.0.0.1")
    parser.add_argument("--proxy", required=True, metavar="URL", help="the proxy, as in http://127.0.0.1:8080")
    parser.add_argument("--max-request-size", type=int, default=MAX_REQUEST_SIZE, help="bytes of one message")
    parser.add_argument("--max-concurrent", type=int, default=MAX_CONCURRENT, help="calls at a time")
    parser.add_argument("--grace", type=float, default=GRACE_SECONDS, help="seconds for calls in flight at SIGTERM")
    return Settings(**vars(parser.parse_args(arguments)))


def main() -> None:
    """Run until a signal; exit status 0 then, 1 where it could not start."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(serve(parse(sys.argv[1:])))
    except (ConfigError, StartError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
