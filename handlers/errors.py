"""What can be wrong with a request, each with its HTTP status and a stable type word.

    RequestError
    ├── NoImage            400  nothing to classify was sent
    ├── BadMultipart       400  the multipart body cannot be taken apart
    ├── BadJSON            400  the body is not JSON, or not of a shape we take
    ├── UnknownOption      400  an option that this endpoint does not have
    ├── BadOption          400  an option with a value it cannot have
    ├── ImageTooLarge      413  more bytes or pixels than allowed
    ├── UnsupportedImage   415  not JPEG, PNG or WebP, or animated
    ├── DamagedImage       422  cut short or corrupt
    └── InferenceFailed    500  our fault: the network or an explanation raised

The type word is the class's name. Clients may rely on it; messages may be reworded.
"""

from __future__ import annotations

from typing import ClassVar


class RequestError(Exception):
    """One request cannot be answered. The message says what was wrong, with which value, and what is accepted."""

    status: ClassVar[int] = 400

    @property
    def type(self) -> str:
        """The stable word for this kind of error."""
        return type(self).__name__


class NoImage(RequestError):
    """Nothing to classify was sent."""


class BadMultipart(RequestError):
    """The multipart body cannot be taken apart."""


class BadJSON(RequestError):
    """The body is not JSON, or not of a shape that is understood."""


class UnknownOption(RequestError):
    """An option that this endpoint does not have."""


class BadOption(RequestError):
    """An option with a value that it cannot have."""


class ImageTooLarge(RequestError):
    """More bytes or pixels than allowed."""

    status = 413


class UnsupportedImage(RequestError):
    """Not in a format that is decoded here, or animated."""

    status = 415


class DamagedImage(RequestError):
    """Cut short or corrupt."""

    status = 422


class InferenceFailed(RequestError):
    """The network or an explanation raised: our fault, not the caller's."""

    status = 500
