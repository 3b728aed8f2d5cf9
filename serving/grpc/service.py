"""The calls of inference.GRPCInferenceService, each as one request to the proxy."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
import orjson
from google.protobuf.message import DecodeError

from serving.grpc import errors, infer
from serving.grpc import open_inference_pb2 as pb
from serving.grpc.errors import Failed
from serving.grpc.http_client import HttpResponse, ProxyClient, Unanswered

NAME = "inference.GRPCInferenceService"
_PASSED_ON = ("authorization", "x-request-id", "x-model-version", "x-client-id", "cookie")
_LOG = logging.getLogger(__name__)

Context = Any  # grpc.aio.ServicerContext; grpc has no types
Request = TypeVar("Request")
Response = TypeVar("Response")


class Service:
    """A generic handler of grpc.aio: finds the handler of a call by the call's name.

    Messages reach it as bytes, because grpc.aio answers INTERNAL if it cannot parse one itself.
    """

    def __init__(self, proxy: ProxyClient) -> None:
        self._proxy = proxy
        self._handlers = {
            f"/{NAME}/{name}": handler
            for name, handler in {
                "ServerLive": _handler(pb.ServerLiveRequest, self._server_live),
                "ServerReady": _handler(pb.ServerReadyRequest, self._server_ready),
                "ServerMetadata": _handler(pb.ServerMetadataRequest, self._server_metadata),
                "ModelReady": _handler(pb.ModelReadyRequest, self._model_ready),
                "ModelMetadata": _handler(pb.ModelMetadataRequest, self._model_metadata),
                "ModelInfer": _handler(pb.ModelInferRequest, self._model_infer),
            }.items()
        }
        self._unknown = grpc.unary_unary_rpc_method_handler(self._refuse)

    def service(self, call: Any) -> Any:
        """Return the handler of a call; an unknown call gets one that answers UNIMPLEMENTED."""
        return self._handlers.get(call.method, self._unknown)

    async def _refuse(self, _body: bytes, context: Context) -> bytes:
        offered = ", ".join(name.rpartition("/")[2] for name in self._handlers)
        await context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            f"NotFound: this call is not offered here; {NAME} has {offered}",
            (("torchlight-error-type", "NotFound"),),
        )
        raise AssertionError("abort raises")

    async def _server_live(self, _request: pb.ServerLiveRequest, context: Context) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=await self._is_healthy("/v2/health/live", "live", context))

    async def _server_ready(self, _request: pb.ServerReadyRequest, context: Context) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=await self._is_healthy("/v2/health/ready", "ready", context))

    async def _model_ready(self, request: pb.ModelReadyRequest, context: Context) -> pb.ModelReadyResponse:
        path = infer.model_path(request.name, request.version, "ready")
        try:
            return pb.ModelReadyResponse(ready=await self._is_healthy(path, "ready", context))
        except Failed as failed:
            if failed.code is grpc.StatusCode.NOT_FOUND:  # as Triton: a missing model is not ready
                return pb.ModelReadyResponse(ready=False)
            raise

    async def _server_metadata(self, _request: pb.ServerMetadataRequest, context: Context) -> pb.ServerMetadataResponse:
        server = _object(await self._get("/v2", context))
        try:
            return pb.ServerMetadataResponse(
                name=server["name"], version=server["version"], extensions=server.get("extensions") or []
            )
        except (KeyError, TypeError) as error:
            raise errors.bad_response(f"{type(error).__name__} {error}") from None

    async def _model_metadata(self, request: pb.ModelMetadataRequest, context: Context) -> pb.ModelMetadataResponse:
        model = _object(await self._get(infer.model_path(request.name, request.version), context))
        try:
            return pb.ModelMetadataResponse(
                name=model["name"],
                versions=model.get("versions") or [],
                platform=model.get("platform", ""),
                inputs=[_tensor(tensor) for tensor in model["inputs"]],
                outputs=[_tensor(tensor) for tensor in model["outputs"]],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise errors.bad_response(f"{type(error).__name__} {error}") from None

    async def _model_infer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:
        proxy_request = infer.to_http(request)
        headers = {"Content-Type": "application/octet-stream", infer.HEADER_LENGTH: str(proxy_request.header_length)}
        response = await self._request("POST", proxy_request.path, context, headers, proxy_request.body)
        context.set_trailing_metadata(errors.passed_back(response))
        return infer.from_http(response)

    async def _is_healthy(self, path: str, field: str, context: Context) -> bool:
        """Return the result of a health check, False if the server is unavailable; other errors are raised."""
        try:
            response = await self._get(path, context)
        except Failed as failed:
            if failed.code is grpc.StatusCode.UNAVAILABLE:
                return False
            raise
        return response.body == b"" or _object(response).get(field, True) is True

    async def _get(self, path: str, context: Context) -> HttpResponse:
        return await self._request("GET", path, context, {}, [])

    async def _request(
        self, method: str, path: str, context: Context, headers: dict[str, str], body: list[bytes]
    ) -> HttpResponse:
        for name, value in context.invocation_metadata():
            if name in _PASSED_ON:
                headers.setdefault(name, value.strip())
        try:
            response = await self._proxy.request(method, path, headers, body, within=context.time_remaining())
        except Unanswered as error:
            raise errors.unreachable(error) from None
        except TimeoutError:
            message = "the proxy did not answer before the call's deadline: give it longer, or send less at once"
            raise Failed(grpc.StatusCode.DEADLINE_EXCEEDED, "GatewayTimeout", message) from None
        if response.status != 200:
            raise errors.from_response(response)
        return response


def _handler(kind: type[Request], method: Callable[[Request, Context], Awaitable[Response]]) -> Any:
    """Return a method as grpc.aio expects it: bytes in, bytes out, and every error with its code."""

    async def handle(body: bytes, context: Context) -> bytes:
        try:
            request: Request = kind.FromString(body)  # type: ignore[attr-defined]
            response: Any = await method(request, context)
            serialized: bytes = response.SerializeToString()
            return serialized
        except DecodeError:
            message = f"the message cannot be read as {kind.__name__}: make the client from open_inference.proto"
            failed = Failed(grpc.StatusCode.INVALID_ARGUMENT, "BadRequest", message)
        except Failed as error:
            failed = error
        except Exception:
            _LOG.exception("a call failed in the gateway itself")
            message = "the gRPC gateway failed on this request: see the server's log"
            failed = Failed(grpc.StatusCode.INTERNAL, "GatewayFailed", message)
        await context.abort(failed.code, failed.details, failed.trailing)
        raise AssertionError("abort raises")

    return grpc.unary_unary_rpc_method_handler(handle)


def _object(response: HttpResponse) -> dict[str, Any]:
    try:
        document = orjson.loads(response.body)
    except orjson.JSONDecodeError as error:
        raise errors.bad_response(f"no JSON ({error})") from None
    if not isinstance(document, dict):
        raise errors.bad_response("no JSON object")
    return document


def _tensor(tensor: dict[str, Any]) -> pb.ModelMetadataResponse.TensorMetadata:
    return pb.ModelMetadataResponse.TensorMetadata(
        name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"]
    )
