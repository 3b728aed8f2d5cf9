"""The synchronous client: sends the requests of calls.py through httpx."""

from __future__ import annotations

from collections.abc import Sequence
from time import sleep
from typing import TYPE_CHECKING, Any, TypeVar, overload

import httpx

from torchlight_client import failures, transport
from torchlight_client.calls import NOT_READY, Call, Calls, Images, Options
from torchlight_client.errors import TorchlightError
from torchlight_client.images import ImageLike
from torchlight_client.responses import Explanation, HttpResponse, Prediction
from torchlight_client.retry import Attempts, Policy

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")
_DEFAULT = Policy()


class Client:
    """A client of one server, by the URL of its proxy.

    Connections stay open between calls: use one client for many calls, in a `with` block, or call `close()`. Threads
    may share a client; with more than 32 requests at a time, the connections above 32 are not kept.

    Args:
        url: URL such as http://127.0.0.1:8080.
        token: bearer token of a server in production.
        timeout: seconds of silence after which an attempt is given up.
        retries: maximum number of retries, where they are safe (retry.py); 0 turns them off.
        deadline: seconds for a call, with all its attempts and pauses.

    Raises:
        InvalidArgument: an argument is out of range.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = _DEFAULT.timeout,
        retries: int = _DEFAULT.retries,
        deadline: float = _DEFAULT.deadline,
    ) -> None:
        self._calls = Calls(url, token)
        self._policy = Policy(timeout, retries, deadline)
        # Any number of threads may send at a time. Connections above MAX_IDLE_CONNECTIONS are closed after use.
        self._http = httpx.Client(cookies=transport.no_cookies(), limits=transport.limits(max_connections=None))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the open connections."""
        self._http.close()

    @overload
    def predict(  # type: ignore[overload-overlap]  # a str is a sequence of str, but here it is a path
        self,
        model: str,
        image: ImageLike,
        version: str | None = None,
        *,
        top_k: int | None = None,
        request_id: str | None = None,
    ) -> Prediction: ...

    @overload
    def predict(
        self,
        model: str,
        image: Sequence[ImageLike],
        version: str | None = None,
        *,
        top_k: int | None = None,
        request_id: str | None = None,
    ) -> list[Prediction]: ...

    def predict(
        self,
        model: str,
        image: Images,
        version: str | None = None,
        *,
        top_k: int | None = None,
        request_id: str | None = None,
    ) -> Prediction | list[Prediction]:
        """Predict an image, or each of several.

        Args:
            model: name of the model.
            image: bytes of a JPEG, PNG, WebP or .npy file, the path of one, a PIL image, or a uint8 array (height,
                width, 3) in RGB; or a list of those, sent as one request.
            version: version of the model; None is the server's default.
            top_k: number of classes to list; None is 5.
            request_id: id of the request in the server's log; None lets the server make one.

        Raises:
            TorchlightError: no response, or an error; see its subclasses (errors.py).
        """
        return self._run(self._calls.predict(model, image, version, top_k, request_id))

    @overload
    def explain(  # type: ignore[overload-overlap]  # as above
        self,
        model: str,
        image: ImageLike,
        version: str | None = None,
        *,
        method: str | None = None,
        target: str | int | None = None,
        options: Options | None = None,
        top_k: int | None = None,
        request_id: str | None = None,
    ) -> Explanation: ...

    @overload
    def explain(
        self,
        model: str,
        image: Sequence[ImageLike],
        version: str | None = None,
        *,
        method: str | None = None,
        target: str | int | None = None,
        options: Options | None = None,
        top_k: int | None = None,
        request_id: str | None = None,
    ) -> list[Explanation]: ...

    def explain(
        self,
        model: str,
        image: Images,
        version: str | None = None,
        *,
        method: str | None = None,
        target: str | int | None = None,
        options: Options | None = None,
        top_k: int | None = None,
        request_id: str | None = None,
    ) -> Explanation | list[Explanation]:
        """Predict and explain an image, or each of several, with the heat map over the image as a PNG.

        Args:
            method: attribution method; None is the server's default.
            target: the class to explain, by label or index; None is the predicted one.
            options: further options by name, such as {"contrast": ("3", "8"), "steps": 50}; the server lists them at
                /openapi.json. Not `output`: this client chooses it.

        The other arguments and the errors are those of predict().
        """
        return self._run(self._calls.explain(model, image, version, method, target, options, top_k, request_id))

    def heat_map(
        self,
        model: str,
        image: Images,
        version: str | None = None,
        *,
        method: str | None = None,
        target: str | int | None = None,
        options: Options | None = None,
        request_id: str | None = None,
    ) -> NDArray[Any]:
        """Return each pixel's attribution to the target's logit: float16 (height, width), of a list (n, height, width).

        Height and width are those of the network's input, not of the image.

        The arguments and errors are those of explain().

        Raises:
            ModuleNotFoundError: NumPy is not installed.
        """
        return self._run(self._calls.heat_map(model, image, version, method, target, options, request_id))

    def ready(self) -> bool:
        """Return True if the server accepts requests now; False if it cannot be reached. There are no retries.

        Raises:
            Rejected: it is another server, or it needs a token.
        """
        try:
            return self._run(self._calls.ready(), retries=0)
        except NOT_READY:
            return False

    def _run(self, call: Call[T], retries: int | None = None) -> T:
        attempts = Attempts(self._policy, retries)
        while True:
            try:
                return call.read(self._send(call, attempts))
            except TorchlightError as error:
                pause = attempts.pause_after(error)
            sleep(pause)

    def _send(self, call: Call[T], attempts: Attempts) -> HttpResponse:
        seconds = attempts.timeout()
        try:
            with self._http.stream(
                call.method,
                call.url,
                content=call.content,
                headers=dict(call.headers),
                timeout=transport.timeout(seconds),
            ) as response:
                content = bytearray()
                # A slow server sends bytes before each timeout, and must not exceed the deadline.
                for chunk in response.iter_bytes():
                    content += chunk
                    if attempts.left() <= 0:
                        raise failures.timed_out(call.url, attempts.policy.deadline)
                return HttpResponse(response.status_code, dict(response.headers), bytes(content))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise transport.failure(error, self._calls.url, call.url, seconds) from error
