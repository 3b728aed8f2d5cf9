"""The asynchronous client: sends the requests of calls.py through httpx, under asyncio."""

from __future__ import annotations

import asyncio
from asyncio import sleep, to_thread
from collections.abc import Sequence
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
MAX_CONNECTIONS = 100
_DEFAULT = Policy()


class AsyncClient:
    """One server, by the URL of its proxy: `Client` with `await`. Its methods and arguments are the same.

    Connections are kept open between calls: use one client for many, in an `async with` block or closed by `aclose()`.
    Any number of tasks of one event loop may share one (at most 100 of their requests are under way at a time, the
    others wait, which counts towards their deadline); other loops, and other threads, need their own.
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
        self._http = httpx.AsyncClient(cookies=transport.no_cookies(), limits=transport.limits(MAX_CONNECTIONS))

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the open connections."""
        await self._http.aclose()

    @overload
    async def predict(  # type: ignore[overload-overlap]  # a str is a sequence of str, but here it is a path
        self,
        model: str,
        image: ImageLike,
        version: str | None = None,
        *,
        top_k: int | None = None,
        request_id: str | None = None,
    ) -> Prediction: ...

    @overload
    async def predict(
        self,
        model: str,
        image: Sequence[ImageLike],
        version: str | None = None,
        *,
        top_k: int | None = None,
        request_id: str | None = None,
    ) -> list[Prediction]: ...

    async def predict(
        self,
        model: str,
        image: Images,
        version: str | None = None,
        *,
        top_k: int | None = None,
        request_id: str | None = None,
    ) -> Prediction | list[Prediction]:
        """Predict an image, or each of several; see Client.predict()."""
        # In a thread: a file may be slow to read, and a large image slow to encode.
        call = await to_thread(self._calls.predict, model, image, version, top_k, request_id)
        return await self._run(call)

    @overload
    async def explain(  # type: ignore[overload-overlap]  # as above
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
    async def explain(
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

    async def explain(
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
        """Predict and explain an image, or each of several; see Client.explain()."""
        call = await to_thread(self._calls.explain, model, image, version, method, target, options, top_k, request_id)
        return await self._run(call)

    async def heat_map(
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
        """Return each pixel's attribution to the target's logit, float16 (height, width); see Client.heat_map()."""
        call = await to_thread(self._calls.heat_map, model, image, version, method, target, options, request_id)
        return await self._run(call)

    async def ready(self) -> bool:
        """Return True if the server accepts requests now; see Client.ready()."""
        try:
            return await self._run(self._calls.ready(), retries=0)
        except NOT_READY:
            return False

    async def _run(self, call: Call[T], retries: int | None = None) -> T:
        attempts = Attempts(self._policy, retries)
        while True:
            try:
                return call.read(await self._send(call, attempts))
            except TorchlightError as error:
                pause = attempts.pause_after(error)
            await sleep(pause)

    async def _send(self, call: Call[T], attempts: Attempts) -> HttpResponse:
        seconds = attempts.timeout()
        try:
            async with asyncio.timeout(attempts.left()):
                response = await self._http.request(
                    call.method,
                    call.url,
                    content=call.content,
                    headers=dict(call.headers),
                    timeout=transport.timeout(seconds),
                )
        except TimeoutError:
            raise failures.timed_out(call.url, attempts.policy.deadline) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise transport.failure(error, self._calls.url, call.url, seconds) from error
        return HttpResponse(response.status_code, dict(response.headers), response.content)
