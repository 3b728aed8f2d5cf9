"""Errors of a request, each with its HTTP status and a stable type.

    RequestError
    ├── MissingImage      400  no image was sent
    ├── BadMultipart      400  the multipart body cannot be parsed
    ├── BadJSON           400  the body is not JSON, or not of an accepted shape
    ├── BadTensor         400  an array or tensor is damaged, or does not have the shape of an image
    ├── UnknownOption     400  this endpoint does not have the option
    ├── BadOption         400  the option cannot have this value
    ├── NotAcceptable     406  the Accept header allows none of the possible responses
    ├── ImageTooLarge     413  more bytes or pixels than allowed
    ├── TooManyImages     413  more images in one request than allowed
    ├── ResponseTooLarge  413  the response would be larger than the server may send
    ├── UnsupportedImage  415  not JPEG, PNG or WebP, or animated
    ├── CorruptImage      422  the file is cut short or corrupt
    ├── InferenceFailed   500  the network or an explanation raised: a fault of the server
    ├── Overloaded        503  the batch left no time for this request; retry later
    ├── OutOfMemory       503  the worker has no memory for this request; retry later
    └── DeadlineExceeded  504  too little of the request's own deadline was left when its turn came

The type is the class's name. Clients may rely on it; messages may change.
"""

from __future__ import annotations

from typing import Any, ClassVar


class RequestError(Exception):
    """One request cannot be answered. The message says what was wrong, with which value, and what is accepted."""

    status: ClassVar[int] = 400

    @property
    def type(self) -> str:
        """The stable type of this error."""
        return type(self).__name__

    def body(self, *, kserve: bool = False) -> dict[str, Any]:
        """Return the JSON of the response; V1 and V2 require the message as `error` too."""
        # The message may quote the request. Half a surrogate pair from JSON, for example, cannot be encoded.
        message = str(self).encode("utf-8", "replace").decode("utf-8")
        return {"code": self.status, "type": self.type, "message": message} | ({"error": message} if kserve else {})


class MissingImage(RequestError):
    """No image was sent."""


class BadMultipart(RequestError):
    """The multipart body cannot be parsed."""


class BadJSON(RequestError):
    """The body is not JSON, or not of an accepted shape."""


class BadTensor(RequestError):
    """An array or tensor is damaged, or does not have the shape of an image."""


class UnknownOption(RequestError):
    """This endpoint does not have the option."""


class BadOption(RequestError):
    """The option cannot have this value."""


class NotAcceptable(RequestError):
    """The Accept header allows none of the possible responses."""

    status = 406


class ImageTooLarge(RequestError):
    """More bytes or pixels than allowed."""

    status = 413


class TooManyImages(RequestError):
    """More images in one request than allowed."""

    status = 413


class ResponseTooLarge(RequestError):
    """The response would be larger than the server may send."""

    status = 413


class UnsupportedImage(RequestError):
    """The format is not decoded here, or the image is animated."""

    status = 415


class CorruptImage(RequestError):
    """The file is cut short or corrupt."""

    status = 422


class InferenceFailed(RequestError):
    """The network or an explanation raised: a fault of the server, not of the caller."""

    status = 500


class Overloaded(RequestError):
    """The budget of the batch left no time for this request."""

    status = 503


class OutOfMemory(RequestError):
    """The worker has no memory for this request. Later, or with smaller images, it may have."""

    status = 503


class DeadlineExceeded(RequestError):
    """Too little of the request's deadline was left when its turn came."""

    status = 504
