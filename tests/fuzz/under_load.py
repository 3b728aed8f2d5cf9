"""Bad requests and good ones at once, from many clients: every answer is judged, and good ones must be as if alone."""

from __future__ import annotations

import base64
import io
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from tests.fuzz.connection import HUNG_UP, TOO_LATE, Answer, Line
from tests.fuzz.corpus.request import MODEL, OK, WireRequest
from tests.fuzz.corpus.routes import JSON, V1, V2, b64, dump, file_part, form, form_type, typed

GOOD = "good neighbors"
PATIENCE = 30
BAD_FOR_ONE_GOOD = 3
# Members of an explanation that are sums over many pixels and steps.
SUMS = {"f_x", "f_baseline", "delta"}
# Two units of the sixth digit of a probability; of a score, which has four digits, the most that one unit can be of it.
LAST_DIGITS, LAST_OF_FOUR = 2.1e-6, 1e-3
# One unit of members with three or four digits.
ROUGH = {"share": 1.1e-3, "balance": 1.1e-3, "distance": 1.1e-4}
# Levels between two colours of a palette, and the share of a picture that a digit of its legend takes.
NEXT_COLOUR, LEGEND = 4, 0.002


@dataclass(frozen=True, slots=True)
class Offence:
    """An answer that must not be."""

    request: WireRequest
    answer: Answer
    why: str

    def __str__(self) -> str:
        return f"{self.request}\n    {self.why}; the answer begins with {self.answer.body[:300]!r}"


@dataclass(slots=True)
class Outcome:
    """What a siege came to: how often each family got each status, and what was wrong."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    offences: list[Offence] = field(default_factory=list)
    slowest: float = 0.0

    def add(self, request: WireRequest, answer: Answer, why: str | None) -> None:
        """Count one answer."""
        self.statuses[request.family, answer.status] += 1
        self.slowest = max(self.slowest, answer.seconds)
        if why:
            self.offences.append(Offence(request, answer, why))


def good_requests(images: dict[str, bytes]) -> list[WireRequest]:
    """Good requests on every road, from images by label."""
    found = []
    for label, image in sorted(images.items()):
        for path in (f"/predictions/{MODEL}", f"/explanations/{MODEL}"):
            found.append(WireRequest(f"image of {label}", path, typed("image/png"), image, OK))
    text, both = b64(images["3"]), form([(file_part(label), images[label]) for label in ("1", "7")])
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [text]}
    found += [
        WireRequest("form of two", f"/predictions/{MODEL}", typed(form_type()), both, OK),
        WireRequest("JSON", f"/explanations/{MODEL}", typed(JSON), dump({"image": text, "target": 8}), OK),
        WireRequest("v1", V1[0], typed(JSON), dump({"instances": [{"b64": text}, {"b64": b64(images["5"])}]}), OK),
        WireRequest("v1 explain", V1[2], typed(JSON), dump({"instances": [{"b64": text}]}), OK),
        WireRequest("v2", V2[0], typed(JSON), dump({"inputs": [tensor]}), OK),
        WireRequest("invocations", f"/invocations?model_name={MODEL}", typed("image/png"), images["4"], OK),
    ]
    return [
        WireRequest(r.case, r.path, r.headers, r.body, r.accepted, family=GOOD, number=n) for n, r in enumerate(found)
    ]


class Siege:
    """Clients around one server. Good requests are asked alone first, and must get the same answer ever after."""

    def __init__(self, address: tuple[str, int], good: list[WireRequest], clients: int = 16) -> None:
        self._address = address
        self._clients = clients
        self._requests = good
        self._good = itertools.cycle(good)
        self._alone = self.ask_alone()

    def lay(
        self, bad: Iterable[WireRequest], seconds: float, on_answer: Callable[[], object] = lambda: None
    ) -> Outcome:
        """Send them all, a good one after every third; what is not sent within `seconds` is not sent.

        Args:
            on_answer: called after every answer, by one thread at a time.
        """
        outcome, requests, lock = Outcome(), self._mixed(bad), threading.Lock()
        deadline = time.monotonic() + seconds

        def client(_: int) -> None:
            with closing(Line(self._address, PATIENCE)) as line:
                while time.monotonic() < deadline:
                    with lock:
                        request = next(requests, None)
                    if request is None:
                        break
                    answer = line.ask(request.wire(), request.method, keep=request.is_readable)
                    why = self._judge(request, answer)
                    with lock:
                        outcome.add(request, answer, why)
                        on_answer()

        with ThreadPoolExecutor(self._clients) as pool:
            list(pool.map(client, range(self._clients)))
        return outcome

    def ask_alone(self) -> dict[int, Answer]:
        """The answers to the good requests, one after the other, by number.

        Raises:
            ValueError: one of them is not answered.
        """
        answers = {}
        with closing(Line(self._address, PATIENCE)) as line:
            for request in self._requests:
                answers[request.number] = answer = line.ask(request.wire())
                if answer.status != 200:
                    raise ValueError(f"{request} alone got {answer.status}: {answer.body[:300]!r}")
        return answers

    def _mixed(self, bad: Iterable[WireRequest]) -> Iterator[WireRequest]:
        for number, request in enumerate(bad, start=1):
            yield request
            if number % BAD_FOR_ONE_GOOD == 0:
                yield next(self._good)

    def _judge(self, request: WireRequest, answer: Answer) -> str | None:
        if answer.status == TOO_LATE:
            return f"no answer within {PATIENCE} s"
        if answer.status not in request.accepted:
            said = "the connection was closed without an answer" if answer.status == HUNG_UP else f"got {answer.status}"
            return f"{said}, accepted are {', '.join(map(str, sorted(request.accepted)))}"
        if request.family == GOOD:
            return differs(self._alone[request.number], answer)
        if answer.status >= 400 and request.is_readable:
            return misshapen(request, answer)
        return None


def differs(alone: Answer, answer: Answer) -> str | None:
    """How an answer differs from the one that the same request got alone, but for the request's own name.

    Labels, sets and decisions must be the same. What is computed in float32 depends in the sixth digit on how many rows
    are multiplied at once, and so does its rounding: probabilities may differ by 2 units of their last digit, scores by
    one of theirs, what an explanation sums up by 1e-4, shares and distances by one of their last. A pixel of a picture
    may have the next colour of the palette, and a digit of the legend be another.
    """
    expected, found = alone.json(), answer.json()
    for document in (expected, found):
        for name in ("request_id", "id"):
            document.pop(name, None)
    place = _first_difference(expected, found)
    return f"not as alone at {place}" if place else None


def _first_difference(expected: Any, found: Any, name: str = "") -> str | None:
    if isinstance(expected, dict) and isinstance(found, dict) and expected.keys() == found.keys():
        places = (_first_difference(expected[key], found[key], key) for key in expected)
        return next((f"{name}.{place}" if name else place for place in places if place), None)
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        places = (_first_difference(*pair, name) for pair in zip(expected, found, strict=True))
        return next((place for place in places if place), None)
    if name == "milliseconds":
        same = True
    elif name in ROUGH:
        same = abs(expected - found) <= ROUGH[name]
    elif name in SUMS:
        same = abs(expected - found) <= 1e-4
    elif isinstance(expected, float) and isinstance(found, float):
        same = abs(expected - found) <= (LAST_DIGITS if abs(expected) <= 1 else LAST_OF_FOUR * abs(expected))
    elif name in ("overlay_png", "heatmap_png"):
        one, other = _pixels(expected), _pixels(found)
        same = one.shape == other.shape and (np.abs(one - other).max(axis=2) > NEXT_COLOUR).mean() <= LEGEND
    else:
        same = expected == found
    return None if same else f"{name}: {expected!r:.200} alone, {found!r:.200} here"


def _pixels(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"), np.int16)


def misshapen(request: WireRequest, answer: Answer) -> str | None:
    """What is wrong with the shape of an error."""
    try:
        body: Any = answer.json()
    except ValueError:
        return f"{answer.status} without JSON"
    if not isinstance(body, dict):
        return f"{answer.status} with {type(body).__name__}, not an object"
    names = {"code", "type", "message"}
    if request.path.partition("?")[0] in (*V1, *V2):
        names |= {"error"}
    if set(body) | {"error"} != names | {"error"} or not names <= set(body):
        return f"{answer.status} with members {sorted(body)}, not {sorted(names)}"
    if body["code"] != answer.status:
        return f"{answer.status} that says {body['code']!r}"
    if body.get("error", body["message"]) != body["message"]:
        return f"{answer.status} whose error is not its message"
    if not str(body["type"]).isalpha() or not 10 < len(str(body["message"])) < 2_000:
        return f"{answer.status} of type {body['type']!r:.80} and a message of {len(str(body['message']))} characters"
    if answer.headers.get("content-type") != JSON:
        return f"{answer.status} as {answer.headers.get('content-type')}, not {JSON}"
    return None
