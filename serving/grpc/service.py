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
from serving.grpc.http_client import Answer, ProxyClient, Unanswered

NAME = "inference.GRPCInferenceService"
_PASSED_ON = ("authorization", "x-request-id")
_LOG = logging.getLogger(__name__)

Context = Any  # grpc.aio.ServicerContext; grpc has no types
Request = TypeVar("Request")
Response = TypeVar("Response")


class Service:
    """What grpc.aio calls a generic handler: it finds the handler of a call by the call's name.

    Messages reach it as bytes, since grpc.aio answers INTERNAL to those that cannot be read.
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
        """The handler of a call; for one that is not offered, a handler that says so."""
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
        return pb.ServerLiveResponse(live=await self._says_yes("/v2/health/live", "live", context))

    async def _server_ready(self, _request: pb.ServerReadyRequest, context: Context) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=await self._says_yes("/v2/health/ready", "ready", context))

    async def _model_ready(self, request: pb.ModelReadyRequest, context: Context) -> pb.ModelReadyResponse:
        path = infer.road(request.name, request.version, "ready")
        try:
            return pb.ModelReadyResponse(ready=await self._says_yes(path, "ready", context))
        except Failed as failed:
            if failed.code is grpc.StatusCode.NOT_FOUND:  # as Triton: what is not there is not ready
                return pb.ModelReadyResponse(ready=False)
            raise

    async def _server_metadata(self, _request: pb.ServerMetadataRequest, context: Context) -> pb.ServerMetadataResponse:
        said = _object(await self._get("/v2", context))
        try:
            return pb.ServerMetadataResponse(
                name=said["name"], version=said["version"], extensions=said.get("extensions") or []
            )
        except (KeyError, TypeError) as error:
            raise errors.bad_answer(f"{type(error).__name__} {error}") from None

    async def _model_metadata(self, request: pb.ModelMetadataRequest, context: Context) -> pb.ModelMetadataResponse:
        said = _object(await self._get(infer.road(request.name, request.version), context))
        try:
            return pb.ModelMetadataResponse(
                name=said["name"],
                versions=said.get("versions") or [],
                platform=said.get("platform", ""),
                inputs=[_tensor(tensor) for tensor in said["inputs"]],
                outputs=[_tensor(tensor) for tensor in said["outputs"]],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise errors.bad_answer(f"{type(error).__name__} {error}") from None

    async def _model_infer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:
        asked = infer.ask(request)
        headers = {"Content-Type": "application/octet-stream", infer.HEADER_LENGTH: str(asked.header_length)}
        answer = await self._ask("POST", asked.path, context, headers, asked.body)
        context.set_trailing_metadata(errors.passed_back(answer))
        return infer.understand(answer)

    async def _says_yes(self, path: str, word: str, context: Context) -> bool:
        """What a road of health says: true, or false where the server cannot answer it. Other errors are raised."""
        try:
            answer = await self._get(path, context)
        except Failed as failed:
            if failed.code is grpc.StatusCode.UNAVAILABLE:
                return False
            raise
        return answer.body == b"" or _object(answer).get(word, True) is True

    async def _get(self, path: str, context: Context) -> Answer:
        return await self._ask("GET", path, context, {}, [])

    async def _ask(
        self, method: str, path: str, context: Context, headers: dict[str, str], body: list[bytes]
    ) -> Answer:
        for name, value in context.invocation_metadata():
            if name in _PASSED_ON:
                headers.setdefault(name, value.strip())
        try:
            answer = await self._proxy.ask(method, path, headers, body, within=context.time_remaining())
        except Unanswered as error:
            raise errors.unreachable(error) from None
        except TimeoutError:
            message = "the proxy did not answer before the call's deadline: give it longer, or send less at once"
            raise Failed(grpc.StatusCode.DEADLINE_EXCEEDED, "GatewayTimeout", message) from None
        if answer.status != 200:
            raise errors.of_answer(answer)
        return answer


def _handler(kind: type[Request], method: Callable[[Request, Context], Awaitable[Response]]) -> Any:
    """A method as grpc.aio takes it: bytes in, bytes out, and every error with its code."""

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
            message = "the gRPC gateway failed on this request; the server's log says why"
            failed = Failed(grpc.StatusCode.INTERNAL, "GatewayFailed", message)
        await context.abort(failed.code, failed.details, failed.trailing)
        raise AssertionError("abort raises")

    return grpc.unary_unary_rpc_method_handler(handle)


def _object(answer: Answer) -> dict[str, Any]:
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise errors.bad_answer(f"no JSON ({error})") from None
    if not isinstance(said, dict):
        raise errors.bad_answer("no JSON object")
    return said


def _tensor(said: dict[str, Any]) -> pb.ModelMetadataResponse.TensorMetadata:
    return pb.ModelMetadataResponse.TensorMetadata(name=said["name"], datatype=said["datatype"], shape=said["shape"])
