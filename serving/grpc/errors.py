"""How a call fails: one exception, the gRPC code that stands for each HTTP status, and what goes with it.

The codes mean what google.rpc.Code says (github.com/googleapis/googleapis, google/rpc/code.proto). 413 is
INVALID_ARGUMENT: what is too large stays so whatever the state of the system; RESOURCE_EXHAUSTED, clients send again.
"""

from __future__ import annotations

import re

import grpc
import orjson

from serving.grpc.http_client import Answer

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
# Details travel percent-encoded, up to twelve bytes a character, in metadata of which clients take 8 KiB.
_LONGEST = 600
# What an answer's headers say beside its body, and clients may want to see.
_PASSED_BACK = ("x-request-id", "x-model-version", "server-timing", "retry-after")

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
        """`kind: message`, cut where it would not fit into a client's limit for metadata."""
        whole = str(self)
        return whole if len(whole) <= _LONGEST else whole[: _LONGEST - 1] + "…"


def bad_tensor(message: str) -> Failed:
    """The client's tensors cannot be what it meant."""
    return Failed(grpc.StatusCode.INVALID_ARGUMENT, "BadTensor", message)


def bad_option(message: str) -> Failed:
    """A parameter has a value that it cannot have."""
    return Failed(grpc.StatusCode.INVALID_ARGUMENT, "BadOption", message)


def bad_answer(message: str) -> Failed:
    """The proxy answered with success, but not in the protocol: a fault of this server, never of the client."""
    return Failed(grpc.StatusCode.INTERNAL, "BadGateway", f"the proxy answered outside of the protocol: {message}")


def unreachable(why: object) -> Failed:
    """The proxy did not take the request, or broke the connection before it answered."""
    return Failed(
        grpc.StatusCode.UNAVAILABLE,
        "Unavailable",
        f"{why}; the server is starting, stopping or busy, and sending the request again is safe",
    )


def of_answer(answer: Answer) -> Failed:
    """What an HTTP answer that is no success says, in gRPC's words."""
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        said = None
    said = said if isinstance(said, dict) else {}
    kind = str(said.get("type", ""))
    message = said.get("message") or f"the proxy answered {answer.status} without saying why; its log may say it"
    return Failed(
        _CODES.get(answer.status, grpc.StatusCode.UNKNOWN),
        kind if re.fullmatch(r"[A-Za-z]{1,64}", kind) else "BadGateway",
        str(message),
        passed_back(answer),
    )


def passed_back(answer: Answer) -> Metadata:
    """An answer's headers that go back as trailing metadata, with Retry-After also in gRPC's own form (gRFC A6)."""
    found = [(name, answer.headers[name]) for name in _PASSED_BACK if name in answer.headers]
    seconds = answer.headers.get("retry-after", "")
    if seconds.isascii() and seconds.isdigit():
        found.append(("grpc-retry-pushback-ms", str(1000 * int(seconds))))
    return tuple((name, value) for name, value in found if value.isascii() and value.isprintable())
