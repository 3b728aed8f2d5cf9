"""What can be wrong with a request, each with its HTTP status and a stable type word.

    RequestError
    ├── MissingImage            400  nothing to classify was sent
    ├── BadMultipart       400  the multipart body cannot be taken apart
    ├── BadJSON            400  the body is not JSON, or not of a shape we take
    ├── BadTensor          400  an array or tensor that is no image, or damaged
    ├── UnknownOption      400  an option that this endpoint does not have
    ├── BadOption          400  an option with a value it cannot have
    ├── NotAcceptable      406  the Accept header asks for what this request cannot be answered with
    ├── ImageTooLarge      413  more bytes or pixels than allowed
    ├── TooManyImages      413  more images in one request than allowed
    ├── ResponseTooLarge     413  the answer would be larger than the server may send
    ├── UnsupportedImage   415  not JPEG, PNG or WebP, or animated
    ├── CorruptImage       422  cut short or corrupt
    ├── InferenceFailed    500  our fault: the network or an explanation raised
    ├── Overloaded         503  no time was left for it in its batch; later there may be
    ├── OutOfMemory        503  no memory was left for it; later there may be
    └── DeadlineExceeded   504  too little of its own deadline was left when its turn came

The type word is the class's name. Clients may rely on it; messages may be reworded.
"""

from __future__ import annotations

from typing import Any, ClassVar


class RequestError(Exception):
    """One request cannot be answered. The message says what was wrong, with which value, and what is accepted."""

    status: ClassVar[int] = 400

    @property
    def type(self) -> str:
        """The stable word for this kind of error."""
        return type(self).__name__

    def body(self, *, kserve: bool = False) -> dict[str, Any]:
        """The JSON of the answer; KServe's v1 and v2 protocols want the message as `error` too."""
        # It may quote what was sent, such as half a surrogate pair from JSON, and that cannot be sent back.
        message = str(self).encode("utf-8", "replace").decode("utf-8")
        return {"code": self.status, "type": self.type, "message": message} | ({"error": message} if kserve else {})


class MissingImage(RequestError):
    """Nothing to classify was sent."""


class BadMultipart(RequestError):
    """The multipart body cannot be taken apart."""


class BadJSON(RequestError):
    """The body is not JSON, or not of a shape that is understood."""


class BadTensor(RequestError):
    """An array or tensor that is no image, or damaged."""


class UnknownOption(RequestError):
    """An option that this endpoint does not have."""


class BadOption(RequestError):
    """An option with a value that it cannot have."""


class NotAcceptable(RequestError):
    """The Accept header asks for what this request cannot be answered with."""

    status = 406


class ImageTooLarge(RequestError):
    """More bytes or pixels than allowed."""

    status = 413


class TooManyImages(RequestError):
    """More images in one request than allowed."""

    status = 413


class ResponseTooLarge(RequestError):
    """The answer would be larger than the server may send."""

    status = 413


class UnsupportedImage(RequestError):
    """Not in a format that is decoded here, or animated."""

    status = 415


class CorruptImage(RequestError):
    """Cut short or corrupt."""

    status = 422


class InferenceFailed(RequestError):
    """The network or an explanation raised: our fault, not the caller's."""

    status = 500


class Overloaded(RequestError):
    """No time was left for this request before the server would have given up on its whole batch."""

    status = 503


class OutOfMemory(RequestError):
    """No memory was left for this request; later, or with less in it, there may be."""

    status = 503


class DeadlineExceeded(RequestError):
    """Too little was left of the deadline that this request brought."""

    status = 504
