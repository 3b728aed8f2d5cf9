"""Options: each one, and each place where it may stand."""

from __future__ import annotations

from tests.integration.contract import Ask, failed, ok, row

PREDICT, EXPLAIN = "/predictions/digits", "/explanations/digits"


@row("top_k")
def top_k(ask: Ask) -> None:
    assert len(ok(ask.post(PREDICT, ask.digit["3"]))["predictions"]) == 5
    for wanted, there in (("1", 1), ("10", 10), ("999999", 10)):
        assert len(ok(ask.post(f"{PREDICT}?top_k={wanted}", ask.digit["3"]))["predictions"]) == there
    for wrong in ("0", "-1", "1000000", "many", "1.5", ""):
        failed(ask.post(f"{PREDICT}?top_k={wrong}", ask.digit["3"]), 400, "BadOption")


@row("timing")
def timing(ask: Ask) -> None:
    for value in ("true", "1", "True"):
        assert "inference;dur=" in ask.post(f"{PREDICT}?timing={value}", ask.digit["3"]).headers["Server-Timing"]
    for value in ("false", "0"):
        assert "Server-Timing" not in ask.post(f"{PREDICT}?timing={value}", ask.digit["3"]).headers
    failed(ask.post(f"{PREDICT}?timing=perhaps", ask.digit["3"]), 400, "BadOption")


@row("method")
def method(ask: Ask) -> None:
    assert ok(ask.post(f"{EXPLAIN}?method=ig", ask.digit["3"]))["method"] == "ig"
    failed(ask.post(f"{EXPLAIN}?method=magic", ask.digit["3"]), 400, "BadOption")
    failed(ask.post(f"{PREDICT}?method=ig", ask.digit["3"]), 400, "UnknownOption")


@row("target")
def target(ask: Ask) -> None:
    assert ok(ask.post(EXPLAIN, ask.digit["3"]))["target"] == {"label": "3", "index": 3, "why": "predicted"}
    asked = {"label": "8", "index": 8, "why": "asked"}
    assert ok(ask.post(f"{EXPLAIN}?target=8", ask.digit["3"]))["target"] == asked
    failed(ask.post(f"{EXPLAIN}?target=10", ask.digit["3"]), 400, "BadOption")
    failed(ask.post(f"{PREDICT}?target=8", ask.digit["3"]), 400, "UnknownOption")


@row("in-query")
def in_query(ask: Ask) -> None:
    assert len(ok(ask.post(f"{PREDICT}?top_k=2", ask.digit["3"]))["predictions"]) == 2


@row("in-header")
def in_header(ask: Ask) -> None:
    headers = {"X-Top-K": "2", "X-Target": "8", "X-Explain-Method": "ig", "X-Timing": "true"}
    answer = ask.post(EXPLAIN, ask.digit["3"], headers=headers)
    body = ok(answer)
    assert (len(body["predictions"]), body["target"]["label"], body["method"]) == (2, "8", "ig")
    assert "explanation;dur=" in answer.headers["Server-Timing"]


@row("in-field")
def in_field(ask: Ask) -> None:
    body = ok(ask.post(EXPLAIN, {"top_k": "2", "target": "8"}, files={"image": ask.digit["3"]}))
    assert (len(body["predictions"]), body["target"]["label"]) == (2, "8")


@row("in-member")
def in_member(ask: Ask) -> None:
    body = ok(ask.post(EXPLAIN, json={"image": ask.b64("3"), "top_k": 2, "target": 8}))
    assert (len(body["predictions"]), body["target"]["label"]) == (2, "8")
    body = ok(ask.post("/v1/models/digits:predict", json={"instances": [ask.b64("3")], "top_k": 2}))
    assert len(body["predictions"][0]["predictions"]) == 2


@row("in-parameters")
def in_parameters(ask: Ask) -> None:
    body = ok(ask.post("/v1/models/digits:predict", json={"instances": [ask.b64("3")], "parameters": {"top_k": 2}}))
    assert len(body["predictions"][0]["predictions"]) == 2
    body = ok(ask.post("/v2/models/digits/infer", json=ask.v2("3", parameters={"top_k": 2})))
    assert body["outputs"][0]["shape"] == [1, 2]


@row("in-attributes", "attributes")
def in_attributes(ask: Ask) -> None:
    for text in ("top_k=2;explain=true", "explain = true ; top_k = 2", "top_k=2,explain=1"):
        headers = {"X-Amzn-SageMaker-Custom-Attributes": text}
        body = ok(ask.post("/invocations", ask.digit["3"], headers=headers))
        assert len(body["predictions"]) == 2
        assert body["method"] == "ig"
        assert "method" not in ok(ask.post(PREDICT, ask.digit["3"], headers=headers))
    for text, kind in (
        ("explain=1000", "BadOption"),
        ("explain=yes", "BadOption"),
        ("explained=true", "UnknownOption"),
    ):
        headers = {"X-Amzn-SageMaker-Custom-Attributes": text}
        failed(ask.post("/invocations", ask.digit["3"], headers=headers), 400, kind)


@row("twice")
def twice(ask: Ask) -> None:
    headers = {"X-Top-K": "2"}
    assert len(ok(ask.post(f"{PREDICT}?top_k=2", ask.digit["3"], headers=headers))["predictions"]) == 2
    failed(ask.post(f"{PREDICT}?top_k=3", ask.digit["3"], headers=headers), 400, "BadOption")
    ok(ask.post(f"{PREDICT}?timing=true", json={"image": ask.b64("3"), "timing": True}))


@row("unknown")
def unknown(ask: Ask) -> None:
    body = failed(ask.post(f"{PREDICT}?topk=2", ask.digit["3"]), 400, "UnknownOption")
    assert "top_k, timing" in body["message"]
    failed(ask.post(PREDICT, json={"image": ask.b64("3"), "colour": 1}), 400, "UnknownOption")
    failed(ask.post("/v2/models/digits/infer", json=ask.v2("3", outputs=[{"name": "colour"}])), 400, "UnknownOption")
