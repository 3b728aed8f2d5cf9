from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from PIL import Image

from tests.fuzz.connection import Answer
from tests.fuzz.corpus.request import BAD, OK, WireRequest
from tests.fuzz.corpus.valid_images import encode
from tests.fuzz.under_load import GOOD, Siege, differs, good_requests, misshapen

ERROR = {"code": 400, "type": "BadJSON", "message": "the body is not JSON: it is empty"}


def answer(body: Any, status: int = 400, kind: str = "application/json") -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {"content-type": kind}, content, 0.1)


def bad(path: str = "/predictions/digits", body: bytes = b"bad") -> WireRequest:
    return WireRequest("case", path, (), body, BAD, family="family", seed=1, number=2)


def test_an_error_of_the_promised_shape_is_fine() -> None:
    assert misshapen(bad(), answer(ERROR)) is None
    assert misshapen(bad("/v1/models/digits:predict"), answer({**ERROR, "error": ERROR["message"]})) is None
    assert misshapen(bad("/v1/nothing"), answer(ERROR)) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (answer(b"<html>"), "without JSON"),
        (answer([]), "not an object"),
        (answer({"code": 400}), "members"),
        (answer({**ERROR, "trace": ""}), "members"),
        (answer({**ERROR, "code": 500}), "says 500"),
        (answer({**ERROR, "error": "another"}), "not its message"),
        (answer({**ERROR, "type": "<b>"}), "type"),
        (answer({**ERROR, "message": ""}), "message of 0"),
        (answer({**ERROR, "message": "m" * 5_000}), "message of 5000"),
        (answer(ERROR, kind="text/html"), "text/html"),
    ],
)
def test_an_error_of_another_shape_is_an_offence(given: Answer, words: str) -> None:
    assert words in str(misshapen(bad(), given))


def test_the_protocols_want_their_own_word_for_an_error_too() -> None:
    assert "members" in str(misshapen(bad("/v2/models/digits/infer"), answer(ERROR)))


def explained(probability: float, f_x: float, grey: int) -> Answer:
    overlay = base64.b64encode(encode(Image.new("RGB", (4, 4), (grey, 0, 0)), "PNG")).decode()
    row = {"predictions": [{"probability": probability}], "f_x": f_x, "overlay_png": overlay, "milliseconds": f_x}
    return answer({"request_id": str(grey), "results": [row]}, 200)


def test_a_good_answer_is_compared_in_every_member() -> None:
    alone = explained(0.854196, 31.89728, 9)
    assert differs(alone, alone) is None
    assert "results.predictions.probability: 0.854196 alone" in str(differs(alone, explained(0.854199, 31.89728, 9)))
    assert "not as alone" in str(differs(alone, answer({"results": []}, 200)))


def test_what_an_explanation_sums_up_may_differ_by_the_rounding_of_a_batch() -> None:
    alone = explained(0.854196, 31.89728, 9)
    assert differs(alone, explained(0.854196, 31.897282, 12)) is None
    assert "results.f_x" in str(differs(alone, explained(0.854196, 31.9, 9)))
    assert "results.overlay_png" in str(differs(alone, explained(0.854196, 31.89728, 19)))


class _Fake(BaseHTTPRequestHandler):
    """Refuses a body of `bad`, fails on `worse`, and answers everything else with how long it is, until `spoilt`."""

    protocol_version = "HTTP/1.1"
    spoilt = threading.Event()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = {b"bad": 400, b"worse": 500}.get(body, 200)
        document = {**ERROR, "code": status} if status != 200 else {"size": len(body), "spoilt": self.spoilt.is_set()}
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def fake() -> Iterator[tuple[str, int]]:
    _Fake.spoilt.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Fake) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield ("127.0.0.1", server.server_port)
        server.shutdown()


def neighbours() -> list[WireRequest]:
    return [WireRequest("good", "/", (), b"x" * n, OK, family=GOOD, number=n) for n in range(1, 4)]


def test_a_siege_that_is_withstood_has_no_offences(fake: tuple[str, int]) -> None:
    seen: list[int] = []
    outcome = Siege(fake, neighbours(), clients=4).lay([bad()] * 30, 20, lambda: seen.append(1))
    assert outcome.offences == []
    assert outcome.statuses == {("family", 400): 30, (GOOD, 200): 10}
    assert len(seen) == 40
    assert 0 < outcome.slowest < 5


def test_a_server_error_and_a_neighbour_that_changed_are_offences(fake: tuple[str, int]) -> None:
    siege = Siege(fake, neighbours(), clients=2)
    _Fake.spoilt.set()
    outcome = siege.lay([bad(), bad(), bad(body=b"worse")], 20)
    said = [str(offence) for offence in outcome.offences]
    assert len(said) == 2
    assert any("family (seed 1, number 2)" in one and "got 500, accepted are 400, 413" in one for one in said)
    assert any(GOOD in one and "not as alone" in one for one in said)


def test_neighbours_that_are_not_answered_alone_are_no_neighbours(fake: tuple[str, int]) -> None:
    with pytest.raises(ValueError, match=r"got 500"):
        Siege(fake, [WireRequest("good", "/", (), b"worse", OK, family=GOOD)])


def test_a_siege_ends_when_its_time_is_over(fake: tuple[str, int]) -> None:
    assert Siege(fake, neighbours()).lay([bad()] * 9, 0).statuses == {}


def test_good_requests_take_every_road() -> None:
    paths = {request.path for request in good_requests({str(n): b"image" for n in range(10)})}
    assert len(paths) == 6


@pytest.mark.parametrize(
    ("alone", "found", "same"),
    [
        ({"probability": 0.099719}, {"probability": 0.099721}, True),
        ({"probability": 0.099719}, {"probability": 0.099723}, False),
        ({"ood": {"score": 108.9}}, {"ood": {"score": 109.0}}, True),
        ({"ood": {"score": 108.9}}, {"ood": {"score": 109.3}}, False),
        ({"set": ["3"]}, {"set": ["3", "8"]}, False),
        ({"decision": "accept"}, {"decision": "refer"}, False),
        ({"label": "3"}, {"label": "8"}, False),
        ({"f_x": 7.12344}, {"f_x": 7.12349}, True),
    ],
)
def test_numbers_may_differ_in_their_last_digits_and_nothing_else(
    alone: dict[str, object], found: dict[str, object], same: bool
) -> None:
    said = differs(answer(alone, 200), answer(found, 200))
    assert (said is None) == same
