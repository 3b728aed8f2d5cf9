"""What is sent: the requests of every method, as values that do not know how they are sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from numpy.typing import NDArray

from serving.client import answers, images
from serving.client.answers import Explanation, Prediction, Reply
from serving.client.images import ImageLike
from serving.errors import BrokenConnection, ClientError, ConfigError, NoServer, ServerFailed, TimedOut

T = TypeVar("T")
Images = ImageLike | Sequence[ImageLike]
Given = Mapping[str, str | float | Sequence[str | int]]
"""Options of an explanation by name; a list of two is a contrast."""
# What says, to one who asks whether a server is ready, that it is not.
NOT_READY = (NoServer, BrokenConnection, TimedOut, ServerFailed)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and how its answer is read: `read` raises a ClientError where the answer is an error."""

    method: Literal["GET", "POST"]
    url: str
    headers: Mapping[str, str]
    content: bytes | None
    read: Callable[[Reply], T]


class Calls:
    """The requests that one server can be sent.

    Raises:
        ConfigError: the URL or the token is none.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"URL {url!r:.200} has no scheme or no host: give one like http://127.0.0.1:8080")
        if token is not None and not _is_header_value(token):
            raise ConfigError("the token has characters that no header can carry: is it read from the right file?")
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def predict(
        self, model: str, image: Images, version: str | None, top_k: int | None, request_id: str | None
    ) -> Call[Prediction | list[Prediction]]:
        """`POST /predictions/<model>[/<version>]`."""
        return self._post(
            "predictions", model, image, version, {"top_k": top_k}, request_id, "application/json", answers.predictions
        )

    def explain(
        self,
        model: str,
        image: Images,
        version: str | None,
        method: str | None,
        target: str | int | None,
        options: Given | None,
        top_k: int | None,
        request_id: str | None,
    ) -> Call[Explanation | list[Explanation]]:
        """`POST /explanations/<model>[/<version>]`, answered with JSON."""
        given = {"top_k": top_k, "method": method, "target": target, **_written(options)}
        return self._post(
            "explanations", model, image, version, given, request_id, "application/json", answers.explanations
        )

    def heat_map(
        self,
        model: str,
        image: Images,
        version: str | None,
        method: str | None,
        target: str | int | None,
        options: Given | None,
        request_id: str | None,
    ) -> Call[NDArray[Any]]:
        """`POST /explanations/<model>[/<version>]`, answered with the map itself."""
        given = {"method": method, "target": target, **_written(options)}
        return self._post(
            "explanations", model, image, version, given, request_id, "application/x-npy", answers.heat_map
        )

    def ready(self) -> Call[bool]:
        """`GET /v2/health/ready`."""
        url = f"{self.url}/v2/health/ready"
        return Call("GET", url, self._headers, None, partial(answers.ready, url=url))

    def _post(
        self,
        verb: str,
        model: str,
        image: Images,
        version: str | None,
        options: Mapping[str, str | int | None],
        request_id: str | None,
        accept: str,
        read: Callable[[Reply, str, int | None], T],
    ) -> Call[T]:
        body = images.body(image)
        path = "/".join(quote(part, safe="") for part in (verb, model, version) if part is not None)
        query = urlencode({name: value for name, value in options.items() if value is not None})
        url = f"{self.url}/{path}" + (f"?{query}" if query else "")
        headers = {**self._headers, "Content-Type": body.content_type, "Accept": accept}
        if request_id is not None:
            if not _is_header_value(request_id):
                raise ClientError(f"request id {request_id!r:.60} cannot stand in a header: use visible ASCII")
            headers["X-Request-Id"] = request_id
        return Call("POST", url, headers, body.content, lambda reply: read(reply, url, body.count))


def _written(options: Given | None) -> dict[str, str]:
    """Options as a query has them: JSON but for plain text."""
    given = options or {}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}


def _is_header_value(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and text == text.strip()
