"""Requests of every method, as values: `sync.py` and `asynchronous.py` send them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from torchlight_client import heat_map, images, responses
from torchlight_client.errors import BrokenConnection, InvalidArgument, NoServer, ServerFailed, TimedOut
from torchlight_client.images import ImageLike
from torchlight_client.responses import Explanation, HttpResponse, Prediction

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")
Images = ImageLike | Sequence[ImageLike]
Options = Mapping[str, str | float | Sequence[str | int]]
"""Options of an explanation, by name; a list of two classes is a contrast."""
# Errors that mean: the server is not ready.
NOT_READY = (NoServer, BrokenConnection, TimedOut, ServerFailed)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request. `read` parses its response, and raises a TorchlightError if that is an error."""

    method: Literal["GET", "POST"]
    url: str
    headers: Mapping[str, str]
    content: bytes | None
    read: Callable[[HttpResponse], T]


class Calls:
    """Requests to one server.

    Raises:
        InvalidArgument: the URL or the token is invalid.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidArgument(f"URL {url!r:.200} has no scheme or no host: give one like http://127.0.0.1:8080")
        if token is not None and not _is_header_value(token):
            raise InvalidArgument(
                "the token has characters that are not allowed in a header: check the file that it was read from"
            )
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def predict(
        self, model: str, image: Images, version: str | None, top_k: int | None, request_id: str | None
    ) -> Call[Prediction | list[Prediction]]:
        """Return `POST /predictions/<model>[/<version>]`."""
        return self._post(
            "predictions",
            model,
            image,
            version,
            {"top_k": top_k},
            request_id,
            "application/json",
            responses.predictions,
        )

    def explain(
        self,
        model: str,
        image: Images,
        version: str | None,
        method: str | None,
        target: str | int | None,
        options: Options | None,
        top_k: int | None,
        request_id: str | None,
    ) -> Call[Explanation | list[Explanation]]:
        """Return `POST /explanations/<model>[/<version>]` for a JSON response."""
        query = {"top_k": top_k, "method": method, "target": target, **_encoded(options)}
        return self._post(
            "explanations", model, image, version, query, request_id, "application/json", responses.explanations
        )

    def heat_map(
        self,
        model: str,
        image: Images,
        version: str | None,
        method: str | None,
        target: str | int | None,
        options: Options | None,
        request_id: str | None,
    ) -> Call[NDArray[Any]]:
        """Return `POST /explanations/<model>[/<version>]` for the heat map as .npy.

        Raises:
            ModuleNotFoundError: NumPy is not installed.
        """
        heat_map.require_numpy()
        query = {"method": method, "target": target, **_encoded(options)}
        return self._post("explanations", model, image, version, query, request_id, "application/x-npy", heat_map.parse)

    def ready(self) -> Call[bool]:
        """Return `GET /v2/health/ready`."""
        url = f"{self.url}/v2/health/ready"
        return Call("GET", url, self._headers, None, partial(responses.ready, url=url))

    def _post(
        self,
        verb: str,
        model: str,
        image: Images,
        version: str | None,
        options: Mapping[str, str | int | None],
        request_id: str | None,
        accept: str,
        read: Callable[[HttpResponse, str, int | None], T],
    ) -> Call[T]:
        body = images.body(image)
        path = "/".join(quote(part, safe="") for part in (verb, model, version) if part is not None)
        query = urlencode({name: value for name, value in options.items() if value is not None})
        url = f"{self.url}/{path}" + (f"?{query}" if query else "")
        headers = {**self._headers, "Content-Type": body.content_type, "Accept": accept}
        if request_id is not None:
            if not _is_header_value(request_id):
                raise InvalidArgument(f"request id {request_id!r:.60} is not allowed in a header: use visible ASCII")
            headers["X-Request-Id"] = request_id
        return Call("POST", url, headers, body.content, lambda reply: read(reply, url, body.count))


def _encoded(options: Options | None) -> dict[str, str]:
    """Return options as values of a query: text as it is, everything else as JSON."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in (options or {}).items()}


def _is_header_value(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and text == text.strip()
