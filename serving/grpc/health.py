"""The calls of grpc.health.v1.Health (github.com/grpc/grpc/blob/master/doc/health-checking.md).

Readiness is the proxy's response at /v2/health/ready. All services have the same readiness.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2 as pb

from serving.grpc.http_client import ProxyClient, Unanswered

NAME = "grpc.health.v1.Health"
# The empty name means the whole server.
SERVICES = ("", "inference.GRPCInferenceService")
# Interval at which Watch calls check the readiness; all of them share one request to the proxy.
WATCH_SECONDS = 1.0
# The proxy answers health checks by itself; one that takes longer is not healthy.
TIMEOUT_SECONDS = 5.0

Context = Any  # grpc.aio.ServicerContext; grpc has no types
_SERVING = pb.HealthCheckResponse.SERVING
_NOT_SERVING = pb.HealthCheckResponse.NOT_SERVING
_SERVICE_UNKNOWN = pb.HealthCheckResponse.SERVICE_UNKNOWN


class Health:
    """A generic handler of grpc.aio; the calls of other services go to the handlers after it."""

    def __init__(self, proxy: ProxyClient) -> None:
        self._proxy = proxy
        self._stopping = asyncio.Event()
        self._lock = asyncio.Lock()
        self._status = int(_NOT_SERVING)
        self._read_at = float("-inf")
        self._handlers = {
            f"/{NAME}/Check": grpc.unary_unary_rpc_method_handler(self._check),
            f"/{NAME}/List": grpc.unary_unary_rpc_method_handler(self._list),
            f"/{NAME}/Watch": grpc.unary_stream_rpc_method_handler(self._watch),
        }

    def service(self, call: Any) -> Any:
        """Return the handler of a call, or None if the call belongs to another service."""
        return self._handlers.get(call.method)

    def stop(self) -> None:
        """End the Watch calls with NOT_SERVING, so that they do not delay the end of the server."""
        self._stopping.set()

    async def _check(self, body: bytes, context: Context) -> bytes:
        service = await _service(body, context)
        if service not in SERVICES:
            offered = ", ".join(repr(name) for name in SERVICES)
            await context.abort(
                grpc.StatusCode.NOT_FOUND, f"service {service!r} is not served here: use one of {offered}"
            )
        return _response(await self._read())

    async def _list(self, _body: bytes, _context: Context) -> bytes:
        status = pb.HealthCheckResponse(status=await self._read())
        message: bytes = pb.HealthListResponse(statuses=dict.fromkeys(SERVICES, status)).SerializeToString()
        return message

    async def _watch(self, body: bytes, context: Context) -> AsyncIterator[bytes]:
        service, last = await _service(body, context), None
        while not self._stopping.is_set():
            status = await self._shared() if service in SERVICES else _SERVICE_UNKNOWN
            if status != last:
                last = status
                yield _response(status)
            try:
                await asyncio.wait_for(self._stopping.wait(), WATCH_SECONDS)
            except TimeoutError:
                continue
        if last == _SERVING:
            yield _response(_NOT_SERVING)

    async def _shared(self) -> int:
        """Return the readiness, at most WATCH_SECONDS old."""
        async with self._lock:
            if time.monotonic() - self._read_at >= WATCH_SECONDS / 2:
                self._status = await self._read()
                self._read_at = time.monotonic()
            return self._status

    async def _read(self) -> int:
        if self._stopping.is_set():
            return int(_NOT_SERVING)
        try:
            response = await self._proxy.request("GET", "/v2/health/ready", {}, [], within=TIMEOUT_SECONDS)
        except (Unanswered, TimeoutError):
            return int(_NOT_SERVING)
        return int(_SERVING if response.status == 200 else _NOT_SERVING)


async def _service(body: bytes, context: Context) -> str:
    """Return the name in a request; end the call if the message cannot be parsed."""
    try:
        return str(pb.HealthCheckRequest.FromString(body).service)
    except DecodeError:
        await context.abort(
            grpc.StatusCode.INVALID_ARGUMENT, "the message cannot be read as grpc.health.v1.HealthCheckRequest"
        )
        raise AssertionError("abort raises") from None


def _response(status: int) -> bytes:
    message: bytes = pb.HealthCheckResponse(status=status).SerializeToString()
    return message
