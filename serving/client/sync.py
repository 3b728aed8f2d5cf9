"""The synchronous client: sends the requests of calls.py with the library requests."""

from __future__ import annotations

from collections.abc import Sequence
from http.cookiejar import DefaultCookiePolicy
from time import sleep
from typing import Any, TypeVar, overload

import requests
from numpy.typing import NDArray
from requests.adapters import HTTPAdapter
from urllib3 import exceptions as urllib3_errors

from serving.client import failures
from serving.client.calls import NOT_READY, Call, Calls, Images, Options
from serving.client.images import ImageLike
from serving.client.responses import Explanation, HttpResponse, Prediction
from serving.client.retry import CONNECT_SECONDS, Attempts, Policy
from serving.errors import ClientError

T = TypeVar("T")
CHUNK_BYTES = 65_536
KEPT_CONNECTIONS = 32
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
        ConfigError: an argument is out of range.
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
        self._session = requests.Session()
        # Threads share the session, so nothing in it may change: no cookies; and no .netrc in place of the token.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.auth = _no_netrc
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=KEPT_CONNECTIONS))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the open connections."""
        self._session.close()

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
            ClientError: no response, or an error; see its subclasses (serving/errors.py).
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
            options: further options by name, such as {"contrast": ("3", "8"), "steps": 50}; docs/reference/http.md
                lists them. Not `output`: this client chooses it.

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
            except ClientError as error:
                pause = attempts.pause_after(error)
            sleep(pause)

    def _send(self, call: Call[T], attempts: Attempts) -> HttpResponse:
        seconds = attempts.timeout()
        try:
            with self._session.request(
                call.method,
                call.url,
                data=call.content,
                headers=dict(call.headers),
                timeout=(min(CONNECT_SECONDS, seconds), seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                content = bytearray()
                # read1 returns the available bytes, so a slow server cannot exceed the deadline.
                while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
                    content += chunk
                    if attempts.left() <= 0:
                        raise failures.timed_out(call.url, attempts.policy.deadline)
                headers = {name.lower(): value for name, value in response.headers.items()}
                # http.client accepts headers that break off; then there is neither a length nor a body.
                if not content and not {"content-length", "transfer-encoding"} & headers.keys():
                    raise failures.broken(call.url)
                return HttpResponse(response.status_code, headers, bytes(content))
        except (requests.RequestException, urllib3_errors.HTTPError) as error:
            raise _failure(error, self._calls.url, call.url, seconds) from error


def _failure(error: Exception, server: str, url: str, seconds: float) -> ClientError:
    within = list(failures.within(error))

    def has(*kinds: type[Exception]) -> bool:
        return any(isinstance(inner, kinds) for inner in within)

    if has(requests.exceptions.SSLError, urllib3_errors.SSLError):
        return failures.untrusted(server, within[-1])
    # A refusal or an unknown host, or the connection was not made in time.
    if has(urllib3_errors.NewConnectionError, urllib3_errors.ConnectTimeoutError, requests.ConnectTimeout):
        return failures.no_server(server)
    if has(requests.Timeout, urllib3_errors.TimeoutError, TimeoutError):  # the last one: while sending
        return failures.timed_out(url, seconds)
    if has(requests.ConnectionError, urllib3_errors.ProtocolError):
        return failures.broken(url)
    return failures.unusable(url, error)


def _no_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
