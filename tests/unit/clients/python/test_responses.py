"""Responses, as the clients return them."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import io
import json
import pickle
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest

from tests.unit.clients.python.server import HangUp, Say, Server, Silence, unused_port
from tests.unit.clients.python.test_requests import CLASSES, ONE, PNG, TWO
from torchlight_client import (
    Class,
    Completeness,
    ErrorResponse,
    Explanation,
    InvalidResponse,
    OodScore,
    Prediction,
    Rejected,
    ServerFailed,
    Target,
    TorchlightError,
)

Serve = Callable[..., Server]
Connect = Callable[..., Any]

WHY = {
    "model": "pets",
    "version": "1.0",
    "request_id": "r1",
    "predictions": CLASSES,
    "method": "ig",
    "target": {"label": "dog", "index": 1, "source": "requested"},
    "steps": 20,
    "baseline": "blur",
    "target_logit": 1.5,
    "baseline_logit": -0.5,
    "completeness": {"delta": 0.01, "ok": True},
    "regions": {"for": [], "against": [], "balance": 0.5, "sentence": "It lies in the middle."},
    "warnings": [{"type": "low_confidence", "message": "only 0.3"}],
    "overlay_png": base64.b64encode(PNG).decode(),
    "heatmap_png": base64.b64encode(PNG[::-1]).decode(),
}


def npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def test_a_prediction_is_typed(serve: Serve, connect: Connect) -> None:
    answer = connect(serve(Say(body=ONE)).url).predict("pets", PNG)
    expected = (Class("cat", 0, 0.75), Class("dog", 1, 0.25))
    assert answer == Prediction(model="pets", version="1.0", request_id="r1", predictions=expected, raw={})
    assert answer.best == Class("cat", 0, 0.75)
    assert answer.raw == ONE
    with pytest.raises(dataclasses.FrozenInstanceError):
        answer.model = "x"


def test_a_prediction_says_which_engine_computed_it(serve: Serve, connect: Connect) -> None:
    connected = connect(serve(Say(body=ONE, headers={"X-Model-Engine": "cpu-int8"}), Say(body=ONE)).url)
    assert [connected.predict("pets", PNG).engine for _ in range(2)] == ["cpu-int8", "eager"]


def test_a_judgement_is_typed_and_none_where_there_is_none(serve: Serve, connect: Connect) -> None:
    ood = {"score": 3.5, "threshold": 2.0, "method": "energy"}
    judged = {
        "set": ["cat", "dog"],
        "ood": ood,
        "decision": "refer",
        "reason": "out_of_distribution",
        "reason_detail": "colors",
    }
    without_sets = judged | {"set": None}
    connected = connect(
        serve(Say(body=ONE | judged), Say(body=WHY | judged), Say(body=ONE), Say(body=ONE | without_sets)).url
    )
    for answer in (connected.predict("pets", PNG), connected.explain("pets", PNG)):
        assert (answer.set, answer.ood) == (("cat", "dog"), OodScore(3.5, 2.0, "energy"))
        assert (answer.decision, answer.reason, answer.reason_detail) == ("refer", "out_of_distribution", "colors")
    bare = connected.predict("pets", PNG)
    assert (bare.set, bare.ood, bare.decision, bare.reason, bare.reason_detail) == (None, None, None, None, None)
    assert connected.predict("pets", PNG).set is None


def test_incomplete_uncertainty_is_rejected_as_a_response(serve: Serve, connect: Connect) -> None:
    with pytest.raises(InvalidResponse, match=r"another shape .*'ood'"):
        connect(serve(Say(body=ONE | {"decision": "accept"})).url).predict("pets", PNG)


def test_each_of_several_is_whole(serve: Serve, connect: Connect) -> None:
    answers = connect(serve(Say(body=TWO)).url).predict("pets", [PNG, PNG])
    assert [answer.raw for answer in answers] == [ONE, {**ONE, "predictions": CLASSES[::-1]}]
    assert {answer.request_id for answer in answers} == {"r1"}


def test_the_request_id_may_stand_in_the_header(serve: Serve, connect: Connect) -> None:
    body = {name: value for name, value in ONE.items() if name != "request_id"}
    server = serve(Say(body=body, headers={"X-Request-Id": "h1"}), Say(body=body))
    client = connect(server.url)
    assert [client.predict("pets", PNG).request_id for _ in range(2)] == ["h1", ""]


def test_an_explanation_is_typed(serve: Serve, connect: Connect) -> None:
    server = serve(Say(body=WHY))
    answer = connect(server.url).explain("pets", PNG, "1.0", method="ig", target=1, top_k=2, request_id="r1")
    assert server.seen[0].path == "/explanations/pets/1.0?top_k=2&method=ig&target=1"
    assert isinstance(answer, Explanation)
    assert (answer.overlay_png, answer.heatmap_png) == (PNG, PNG[::-1])
    assert (answer.sentence, answer.warnings) == ("It lies in the middle.", ("low_confidence",))
    assert answer.target == Target("dog", 1, "requested")
    assert (answer.method, answer.steps, answer.baseline, answer.target_logit, answer.baseline_logit) == (
        "ig",
        20,
        "blur",
        1.5,
        -0.5,
    )
    assert answer.completeness == Completeness(0.01, True)
    assert answer.best.label == "cat"
    assert answer.raw == {name: value for name, value in WHY.items() if not name.endswith("_png")}
    assert "PNG" not in repr(answer)


def test_further_options_are_sent_as_a_query_has_them(serve: Serve, connect: Connect) -> None:
    server = serve(Say(body=WHY))
    options = {"contrast": ("a, b", 3), "steps": 50, "faithfulness": True, "baseline": "blur"}
    connect(server.url).explain("pets", PNG, options=options)
    query = parse_qsl(server.seen[0].path.partition("?")[2])
    assert query == [("contrast", '["a, b", 3]'), ("steps", "50"), ("faithfulness", "true"), ("baseline", "blur")]


def test_a_method_without_a_baseline_has_none(serve: Serve, connect: Connect) -> None:
    body = {
        name: value for name, value in WHY.items() if name not in ("steps", "baseline", "target_logit", "completeness")
    }
    answer = connect(serve(Say(body=body)).url).explain("pets", PNG)
    assert (answer.steps, answer.baseline, answer.target_logit, answer.completeness) == (None, None, None, None)


def test_several_explanations_come_in_order(serve: Serve, connect: Connect) -> None:
    other = {**WHY, "method": "saliency"}
    body = {"model": "pets", "version": "1.0", "request_id": "r1", "results": [WHY, other]}
    answers = connect(serve(Say(body=body)).url).explain("pets", [PNG, PNG])
    assert [answer.method for answer in answers] == ["ig", "saliency"]


@pytest.mark.parametrize(
    ("images", "sent", "shape"),
    [
        (PNG, (4, 6), (4, 6)),
        ([PNG], (4, 6), (1, 4, 6)),
        ([PNG, PNG], (2, 4, 6), (2, 4, 6)),
        (PNG, (1, 4, 6), (4, 6)),
    ],
)
def test_a_heat_map_is_an_array(
    serve: Serve, connect: Connect, images: Any, sent: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    array = np.linspace(-1, 1, int(np.prod(sent)), dtype=np.float16).reshape(sent)
    server = serve(Say(body=npy(array), headers={"Content-Type": "application/x-npy"}))
    heat_map_values = connect(server.url).heat_map("pets", images, target="dog")
    assert server.seen[0].path == "/explanations/pets?target=dog"
    assert server.seen[0].headers["accept"] == "application/x-npy"
    assert (heat_map_values.dtype, heat_map_values.shape) == (np.float16, shape)
    assert np.array_equal(heat_map_values.ravel(), array.ravel())


@pytest.mark.parametrize(
    "body",
    [
        WHY,
        b"",
        npy(np.zeros((2, 2), np.float16))[:-3],
        npy(np.zeros((2, 2))),
        npy(np.zeros((3, 2, 2), np.float16)),
        npy(np.zeros(4, np.float16)),
        npy(np.array(2.0, np.float16)),
    ],
    ids=["JSON", "empty", "cut short", "float64", "three maps", "flat", "a number"],
)
def test_invalid_heat_map_is_an_error(serve: Serve, connect: Connect, body: Any) -> None:
    with pytest.raises(InvalidResponse, match="not with a heat map"):
        connect(serve(Say(body=body)).url).heat_map("pets", PNG)


def test_a_compressed_answer_is_read(serve: Serve, connect: Connect) -> None:
    body = gzip.compress(json.dumps(WHY).encode())
    server = serve(Say(body=body, headers={"Content-Encoding": "gzip"}))
    client = connect(server.url)
    assert client.explain("pets", PNG).overlay_png == PNG
    assert client.explain("pets", PNG).overlay_png == PNG
    assert len({seen.port for seen in server.seen}) == 1


def test_a_large_answer_is_read_whole(serve: Serve, connect: Connect) -> None:
    large = bytes(range(256)) * 8000
    body = {**WHY, "overlay_png": base64.b64encode(large).decode()}
    assert connect(serve(Say(body=body)).url).explain("pets", PNG).overlay_png == large


@pytest.mark.parametrize("verb", ["predict", "explain", "heat_map"])
@pytest.mark.parametrize(
    ("status", "kind"), [(400, Rejected), (404, Rejected), (422, Rejected), (500, ServerFailed), (504, ServerFailed)]
)
def test_an_error_carries_status_and_type(
    serve: Serve, connect: Connect, verb: str, status: int, kind: type[ErrorResponse]
) -> None:
    body = {"code": status, "type": "SomeWord", "message": "what to do"}
    with pytest.raises(kind, match=f"^{status} SomeWord: what to do$") as raised:
        getattr(connect(serve(Say(status, body)).url), verb)("pets", PNG)
    error = raised.value
    assert isinstance(error, ErrorResponse)
    assert (error.status, error.type, error.retry_after) == (status, "SomeWord", None)


def test_an_error_survives_pickling() -> None:
    error = ServerFailed("503 Overloaded: words", 503, "Overloaded", "7")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (ServerFailed, "503 Overloaded: words")
    assert (copy.message, copy.status, copy.type, copy.retry_after) == (str(error), 503, "Overloaded", "7")


@pytest.mark.parametrize(
    ("say", "words"),
    [
        (Say(404, b"<html>"), "answered 404 with no JSON object: is it a Torchlight server?"),
        (Say(200, b"[]"), "answered 200 with no JSON object: is it a Torchlight server?"),
        (Say(200, b"[" * 100_000), "answered 200 with no JSON object"),
        (Say(500, b"[" * 100_000), "answered 500 with no JSON object"),
        (Say(200, b"\xff\xfe"), "answered 200 with no JSON object"),
        (Say(302, b"", {"Location": "/elsewhere"}), "answered 302 with no JSON object"),
        (Say(200, {}), "JSON of another shape .KeyError: 'predictions'"),
        (Say(200, {**ONE, "predictions": []}), "JSON of another shape .*no classes"),
        (Say(200, {**ONE, "predictions": 5}), "JSON of another shape .TypeError"),
        (Say(200, {**ONE, "results": 5}), "JSON of another shape .TypeError"),
        (Say(200, {**ONE, "results": [5]}), "JSON of another shape .TypeError"),
        (Say(200, TWO), "2 results for 1 images"),
        (Say(400, {"error": "as others say it"}), "400 error: as others say it"),
        (Say(400, {}), "400 error: no reason given"),
    ],
)
def test_responses_of_another_server_are_recognized(serve: Serve, connect: Connect, say: Say, words: str) -> None:
    with pytest.raises(TorchlightError, match=words):
        connect(serve(say).url).predict("pets", PNG)


@pytest.mark.parametrize(
    ("step", "ready"),
    [(Say(200, b""), True), (Say(503, {"type": "Unavailable"}), False), (HangUp(), False), (Silence(), False)],
)
def test_ready_is_asked_once(serve: Serve, connect: Connect, pauses: list[float], step: Any, ready: bool) -> None:
    server = serve(step)
    assert connect(server.url, timeout=1).ready() is ready
    assert [(seen.method, seen.path) for seen in server.seen] == [("GET", "/v2/health/ready")]
    assert pauses == []


def test_a_server_that_is_not_there_is_not_ready(connect: Connect) -> None:
    assert connect(f"http://127.0.0.1:{unused_port()}").ready() is False


def test_a_server_that_wants_a_token_is_no_server_that_is_not_ready(serve: Serve, connect: Connect) -> None:
    with pytest.raises(Rejected, match="401 Unauthorized: give it"):
        connect(serve(Say(401, {"type": "Unauthorized", "message": "give it"})).url).ready()
