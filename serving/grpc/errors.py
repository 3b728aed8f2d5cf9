"""Failed calls: one exception, the gRPC code of each HTTP status, and the metadata sent with it.

The codes are those of google.rpc.Code (github.com/googleapis/googleapis, google/rpc/code.proto). 413 becomes
INVALID_ARGUMENT: a message that is too large stays too large, and clients repeat a call after RESOURCE_EXHAUSTED.
"""

from __future__ import annotations

import re

import grpc
import orjson

from serving.grpc.http_client import HttpResponse

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    405: grpc.StatusCode.UNIMPLEMENTED,
    406: grpc.StatusCode.INVALID_ARGUMENT,
    408: grpc.StatusCode.UNAVAILABLE,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    414: grpc.StatusCode.INVALID_ARGUMENT,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    417: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    431: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.UNAVAILABLE,
    500: grpc.StatusCode.INTERNAL,
    502: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
# Details are sent percent-encoded, with up to twelve bytes a character, and clients accept 8 KiB of metadata.
_MAX_DETAILS = 600
# Headers of a response that go back to the client.
_PASSED_BACK = ("x-request-id", "x-model-version", "server-timing", "retry-after", "set-cookie")

Metadata = tuple[tuple[str, str], ...]


class Failed(Exception):
    """A call that ends in a status other than OK.

    `kind` is the type word of the HTTP contract, such as BadTensor; `trailing` is the metadata sent with the status.
    """

    def __init__(self, code: grpc.StatusCode, kind: str, message: str, trailing: Metadata = ()) -> None:
        super().__init__(f"{kind}: {message}")
        self.code = code
        self.kind = kind
        self.trailing = (("torchlight-error-type", kind), *trailing)

    @property
    def details(self) -> str:
        """Return `kind: message`, shortened to fit a client's limit for metadata."""
        text = str(self)
        return text if len(text) <= _MAX_DETAILS else text[: _MAX_DETAILS - 1] + "…"


def bad_tensor(message: str) -> Failed:
    """Return the error for tensors that contradict themselves."""
    return Failed(grpc.StatusCode.INVALID_ARGUMENT, "BadTensor", message)


def bad_option(message: str) -> Failed:
    """Return the error for a parameter with an invalid value."""
    return Failed(grpc.StatusCode.INVALID_ARGUMENT, "BadOption", message)


def bad_response(message: str) -> Failed:
    """Return the error for a response of the proxy that breaks the protocol: the server's fault, not the client's."""
    return Failed(grpc.StatusCode.INTERNAL, "BadGateway", f"the proxy's response breaks the protocol: {message}")


def unreachable(why: object) -> Failed:
    """Return the error for a proxy that refused the connection, or closed it before it answered."""
    return Failed(
        grpc.StatusCode.UNAVAILABLE,
        "Unavailable",
        f"{why}; the server is starting, stopping or busy, and sending the request again is safe",
    )


def from_response(response: HttpResponse) -> Failed:
    """Return the gRPC error for an HTTP response with an error status."""
    try:
        document = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        document = None
    fields = document if isinstance(document, dict) else {}
    kind = str(fields.get("type", ""))
    message = fields.get("message") or f"the proxy answered {response.status} without a reason: see the server's log"
    return Failed(
        _CODES.get(response.status, grpc.StatusCode.UNKNOWN),
        kind if re.fullmatch(r"[A-Za-z]{1,64}", kind) else "BadGateway",
        str(message),
        passed_back(response),
    )


def passed_back(response: HttpResponse) -> Metadata:
    """Return the headers that go back as trailing metadata, with Retry-After also in gRPC's own form (gRFC A6)."""
    metadata = [(name, response.headers[name]) for name in _PASSED_BACK if name in response.headers]
    seconds = response.headers.get("retry-after", "")
    if seconds.isascii() and seconds.isdigit():
        metadata.append(("grpc-retry-pushback-ms", str(1000 * int(seconds))))
    return tuple((name, value) for name, value in metadata if value.isascii() and value.isprintable())
