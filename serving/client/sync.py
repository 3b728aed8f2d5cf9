"""The synchronous client: sends what calls.py builds, through requests."""

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
from serving.client.answers import Explanation, Prediction, Reply
from serving.client.calls import NOT_READY, Call, Calls, Given, Images
from serving.client.images import ImageLike
from serving.client.retry import CONNECT_SECONDS, Attempts, Policy
from serving.errors import ClientError

T = TypeVar("T")
CHUNK_BYTES = 65_536
KEPT_CONNECTIONS = 32
_DEFAULT = Policy()


class Client:
    """One server, by the URL of its proxy.

    Connections are kept open between calls: use one client for many, in a `with` block or closed by `close()`. Threads
    may share one; with more than 32 requests at a time, the connections over that are not kept.

    Args:
        url: such as http://127.0.0.1:8080.
        token: of a server in production.
        timeout: seconds that the server may be silent.
        retries: how often a request is sent again at most, where that is safe (retry.py); 0 turns it off.
        deadline: seconds for a call as a whole, with all its attempts and pauses.

    Raises:
        ConfigError: one of these has a value it cannot have.
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
        self._session.auth = _as_it_is
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=KEPT_CONNECTIONS))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept."""
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
        """What is on an image, or on each of several.

        Args:
            model: its name.
            image: bytes of a JPEG, PNG, WebP or .npy file, the path of one, a PIL image, or a uint8 array (height,
                width, 3) in RGB; or a list of those, sent as one request.
            version: the one to ask; the server's default where it is None.
            top_k: how many classes to list; 5 where it is None.
            request_id: by which the server's log knows the request; the server makes one where it is None.

        Raises:
            ClientError: no answer, or an error; its subclasses tell which (serving/errors.py).
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
        options: Given | None = None,
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
        options: Given | None = None,
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
        options: Given | None = None,
        top_k: int | None = None,
        request_id: str | None = None,
    ) -> Explanation | list[Explanation]:
        """What is on an image and why, with the heat map over the image as a PNG; or the same of several.

        Args:
            method: of attribution; the server's default where it is None.
            target: the class to explain, by label or else by index; the predicted one where it is None.
            options: further ones by name, such as {"contrast": ("3", "8"), "steps": 50}; docs/http.md
                lists them. All but `output`, which this client chooses by itself.

        The others, and what is raised, are as for predict().
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
        options: Given | None = None,
        request_id: str | None = None,
    ) -> NDArray[Any]:
        """How much each place adds to the target's logit: float16 (height, width), of a list (n, height, width).

        Height and width are those of the network's input, not of the image.

        The arguments, and what is raised, are as for explain().
        """
        return self._run(self._calls.heat_map(model, image, version, method, target, options, request_id))

    def ready(self) -> bool:
        """Whether the server takes requests now. Asked once, without retries; False where it cannot be reached.

        Raises:
            Rejected: it answers, but not this question: it is another server, or wants a token.
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

    def _send(self, call: Call[T], attempts: Attempts) -> Reply:
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
            ) as answer:
                content = bytearray()
                # read1: whatever has come, so that a server that only trickles does not outlast the deadline.
                while chunk := answer.raw.read1(CHUNK_BYTES, decode_content=True):
                    content += chunk
                    if attempts.left() <= 0:
                        raise failures.timed_out(call.url, attempts.policy.deadline)
                headers = {name.lower(): value for name, value in answer.headers.items()}
                # http.client takes headers that break off for whole ones, and then there is no length, and no body.
                if not content and not {"content-length", "transfer-encoding"} & headers.keys():
                    raise failures.broken(call.url)
                return Reply(answer.status_code, headers, bytes(content))
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


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
