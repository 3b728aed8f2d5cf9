"""Fuzz under load: bad requests and good ones from many clients at once, and a check of every response.

A good response must be the same as the reference response, which the idle server gave to the same request.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

from tests.fuzz.checks import difference, error_shape_problem
from tests.fuzz.connection import CONNECTION_CLOSED, TIMED_OUT, RawConnection, RawResponse
from tests.fuzz.corpus.request import MODEL, OK, FuzzRequest
from tests.fuzz.corpus.routes import JSON, V1, V2, b64, content_type, file_part, form, form_type, to_json

GOOD = "good neighbors"
TIMEOUT_SECONDS = 30
BAD_PER_GOOD = 3


@dataclass(frozen=True, slots=True)
class Violation:
    """A response that breaks the contract, and the reason."""

    request: FuzzRequest
    response: RawResponse
    reason: str

    def __str__(self) -> str:
        return f"{self.request}\n    {self.reason}; the response begins with {self.response.body[:300]!r}"


@dataclass(slots=True)
class Outcome:
    """Result of a run: how often each family got each status, the violations, and the slowest response in seconds."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    slowest: float = 0.0

    def add(self, request: FuzzRequest, response: RawResponse, reason: str | None) -> None:
        """Count a response, and note a violation if there is a reason."""
        self.statuses[request.family, response.status] += 1
        self.slowest = max(self.slowest, response.seconds)
        if reason:
            self.violations.append(Violation(request, response, reason))


def good_requests(images: dict[str, bytes]) -> list[FuzzRequest]:
    """Return good requests to every route, from images by label."""
    requests = []
    for label, image in sorted(images.items()):
        for path in (f"/predictions/{MODEL}", f"/explanations/{MODEL}"):
            requests.append(FuzzRequest(f"image of {label}", path, content_type("image/png"), image, OK))
    text, two_images = b64(images["3"]), form([(file_part(label), images[label]) for label in ("1", "7")])
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [text]}
    instances = [{"b64": text}, {"b64": b64(images["5"])}]
    path, json_type = f"/predictions/{MODEL}", content_type(JSON)
    requests += [
        FuzzRequest("form of two", path, content_type(form_type()), two_images, OK),
        FuzzRequest("JSON", f"/explanations/{MODEL}", json_type, to_json({"image": text, "target": 8}), OK),
        FuzzRequest("v1", V1[0], json_type, to_json({"instances": instances}), OK),
        FuzzRequest("v1 explain", V1[2], json_type, to_json({"instances": [{"b64": text}]}), OK),
        FuzzRequest("v2", V2[0], json_type, to_json({"inputs": [tensor]}), OK),
        FuzzRequest("invocations", f"/invocations?model_name={MODEL}", content_type("image/png"), images["4"], OK),
    ]
    return [
        FuzzRequest(r.case, r.path, r.headers, r.body, r.accepted, family=GOOD, number=number)
        for number, r in enumerate(requests)
    ]


class FuzzUnderLoad:
    """Clients that fuzz one server.

    The constructor sends each good request to the idle server. Under load, its response must be the same.
    """

    def __init__(self, address: tuple[str, int], good: list[FuzzRequest], clients: int = 16) -> None:
        self._address = address
        self._clients = clients
        self._requests = good
        self._good = itertools.cycle(good)
        self._references = self.send_good()

    def run(
        self, bad: Iterable[FuzzRequest], seconds: float, on_response: Callable[[], object] = lambda: None
    ) -> Outcome:
        """Send all bad requests, with a good one after every third. Stop sending after `seconds`.

        Args:
            bad: requests that the server must refuse.
            seconds: time limit for sending.
            on_response: called after every response, by one thread at a time.
        """
        outcome, requests, lock = Outcome(), self._mixed(bad), threading.Lock()
        deadline = time.monotonic() + seconds

        def client(_: int) -> None:
            with closing(RawConnection(self._address, TIMEOUT_SECONDS)) as connection:
                while time.monotonic() < deadline:
                    with lock:
                        request = next(requests, None)
                    if request is None:
                        break
                    response = connection.send(request.to_bytes(), request.method, keep=request.is_well_formed)
                    reason = self._problem(request, response)
                    with lock:
                        outcome.add(request, response, reason)
                        on_response()

        with ThreadPoolExecutor(self._clients) as pool:
            list(pool.map(client, range(self._clients)))
        return outcome

    def send_good(self) -> dict[int, RawResponse]:
        """Send the good requests one after the other, and return their responses by number.

        Raises:
            ValueError: a good request did not get status 200.
        """
        responses = {}
        with closing(RawConnection(self._address, TIMEOUT_SECONDS)) as connection:
            for request in self._requests:
                responses[request.number] = response = connection.send(request.to_bytes())
                if response.status != 200:
                    raise ValueError(f"{request} got {response.status} without load: {response.body[:300]!r}")
        return responses

    def _mixed(self, bad: Iterable[FuzzRequest]) -> Iterator[FuzzRequest]:
        for number, request in enumerate(bad, start=1):
            yield request
            if number % BAD_PER_GOOD == 0:
                yield next(self._good)

    def _problem(self, request: FuzzRequest, response: RawResponse) -> str | None:
        if response.status == TIMED_OUT:
            return f"no response within {TIMEOUT_SECONDS} s"
        if response.status not in request.accepted:
            closed = response.status == CONNECTION_CLOSED
            event = "the connection was closed without a response" if closed else f"got {response.status}"
            return f"{event}, accepted are {', '.join(map(str, sorted(request.accepted)))}"
        if request.family == GOOD:
            return difference(self._references[request.number], response)
        if response.status >= 400 and request.is_well_formed:
            return error_shape_problem(request, response)
        return None
