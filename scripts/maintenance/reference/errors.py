"""Block of docs/reference/errors.md: every error type, with what a client should do about it.

Types and statuses come from handlers/errors.py and from the proxy's configuration. A new type needs an entry in ADVICE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scripts.maintenance import markdown
from scripts.maintenance.openapi.schemas import all_errors

NO = "no"
YES = "yes"
AFTER = "after `Retry-After`"


@dataclass(frozen=True, slots=True)
class Advice:
    """Advice on an error type.

    Attributes:
        when: condition under which the server answers with it.
        remedy: what the client should do.
        retry: whether the same request may succeed later.
    """

    when: str
    remedy: str
    retry: str = NO


ADVICE: Mapping[str, Advice] = {
    "MissingImage": Advice("The request has nothing to classify", "Send an image in the body"),
    "BadMultipart": Advice(
        "The multipart body is cut short, or cannot be parsed", "Let a library write the multipart body"
    ),
    "BadJSON": Advice(
        "The body is not JSON, or not in an accepted shape", "Compare it with the [bodies](http.md#bodies)"
    ),
    "BadTensor": Advice(
        "An array or tensor cannot be an image, or is damaged", "Send the shape and the values that the message names"
    ),
    "UnknownOption": Advice(
        "The request names an option or output that does not exist", "Use an option that the message lists"
    ),
    "BadOption": Advice(
        "An option has an invalid value, or two different values", "Use a value that the message allows"
    ),
    "BadRequest": Advice(
        "The request is not HTTP or is cut short, has a body where none is read, or names no model on /invocations "
        "while several are served",
        "Follow the message",
    ),
    "Unauthorized": Advice("The request has no token, or a wrong one", "Send `Authorization: Bearer <token>`"),
    "CrossSite": Advice(
        "In development mode, a web page from an origin that is not allowed sent the request",
        "Start the server with `--cors-origins`",
    ),
    "NotFound": Advice("The path does not exist", "Use a path of the [endpoints](http.md#endpoints)"),
    "ModelNotFound": Advice("No model of this name is served", "Look at `GET /v1/models`"),
    "VersionNotFound": Advice("The model has no such version here", "Leave the version out, or register it"),
    "MethodNotAllowed": Advice("The path needs another method", "Use a method of the header `Allow`"),
    "NotAcceptable": Advice("The response does not exist in a format of `Accept`", "Leave `Accept` out"),
    "RequestTimeout": Advice("Headers or body were not complete in time", "Send them faster", YES),
    "ImageTooLarge": Advice("The image has too many bytes or pixels", "Send a smaller image, or raise the limit"),
    "TooManyImages": Advice("The request has too many images", "Split the request"),
    "ContentTooLarge": Advice("The body is too large", "Split the request, or send files instead of JSON"),
    "ResponseTooLarge": Advice("The response would be too large", "Send fewer images, or ask for less"),
    "URITooLong": Advice("Path and query are too long", "Send options in headers or in the body"),
    "UnsupportedImage": Advice(
        "The file is not a JPEG, PNG or WebP; or it is animated, a 12-bit or lossless JPEG, or has too many scans",
        "Convert the file; the message names the format and a command",
    ),
    "UnsupportedEncoding": Advice("The body is compressed", "Leave `Content-Encoding` out"),
    "ExpectationFailed": Advice("`Expect` is not `100-continue`", "Leave `Expect` out"),
    "CorruptImage": Advice("The image is cut short or corrupt", "Send the original file"),
    "TooManyRequests": Advice(
        "Too many requests without the right token came from one address", "Check the token", AFTER
    ),
    "HeadersTooLarge": Advice("The headers have too many bytes", "Send fewer headers"),
    "InferenceFailed": Advice("The model failed on this request", "Look for the request id in the server's log"),
    "WorkerDied": Advice("The worker died while it had this request", "Send the request again, once", YES),
    "ProxyError": Advice("The proxy failed", "Look into the server's log"),
    "BadGateway": Advice("The model server broke the connection", "Send the request again", YES),
    "OutOfMemory": Advice("The worker had not enough memory for this request", "Wait, or send smaller images", AFTER),
    "NotReady": Advice(
        "Readiness checks only: a default version has no READY predict worker, or the server is stopping",
        "Wait",
        AFTER,
    ),
    "Overloaded": Advice(
        "The model's queue is full, its workers are starting, or the batch took too long", "Send less at once", AFTER
    ),
    "Unavailable": Advice(
        "The model server, or the process with /openapi.json, accepts no connection now", "Wait", AFTER
    ),
    "GatewayTimeout": Advice("The model server did not answer in time", "Ask for less work"),
    "DeadlineExceeded": Advice(
        "When the request's turn came, too little of `deadline_ms` was left", "Use a longer deadline", YES
    ),
}


def blocks() -> Mapping[str, str]:
    """Return the block by its name.

    Raises:
        ValueError: an error type has no advice, or advice is left over.
    """
    statuses = all_errors()
    if set(statuses) != set(ADVICE):
        raise ValueError(f"ADVICE must name exactly the error types; these differ: {set(statuses) ^ set(ADVICE)}")
    rows = [
        [markdown.code(kind), str(statuses[kind]), ADVICE[kind].when, ADVICE[kind].remedy, ADVICE[kind].retry]
        for kind in sorted(statuses, key=lambda kind: (statuses[kind], list(ADVICE).index(kind)))
    ]
    return {"errors": markdown.table(["type", "status", "when", "what to do", "retry"], rows)}
