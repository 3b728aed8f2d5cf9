"""Each option, and each place of a request where an option can be."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

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
    found = ok(ask.post(EXPLAIN, ask.digit["3"]))["target"]
    assert (found["label"], found["index"], found["source"]) == ("3", 3, "predicted")
    found = ok(ask.post(f"{EXPLAIN}?target=8", ask.digit["3"]))["target"]
    assert (found["label"], found["index"], found["source"]) == ("8", 8, "requested")
    failed(ask.post(f"{EXPLAIN}?target=10", ask.digit["3"]), 400, "BadOption")
    failed(ask.post(f"{PREDICT}?target=8", ask.digit["3"]), 400, "UnknownOption")


def refused(ask: Ask, query: str, says: str) -> None:
    """Expect a BadOption that lists the accepted values."""
    assert says in failed(ask.post(f"{EXPLAIN}?{query}", ask.digit["3"]), 400, "BadOption")["message"]


@row("contrast")
def contrast(ask: Ask) -> None:
    for found in (
        ok(ask.post(f"{EXPLAIN}?contrast=3,8", ask.digit["3"])),
        ok(ask.post(EXPLAIN, json={"image": ask.b64("3"), "contrast": ["3", 8]})),
    ):
        assert (found["target"]["label"], found["contrast"]["label"]) == ("3", "8")
    refused(ask, "contrast=3,3", "name two classes")
    refused(ask, "contrast=3", "it must be two classes")
    refused(ask, "contrast=3,8&target=1", "leave one of them out")


@row("steps")
def steps(ask: Ask) -> None:
    assert ok(ask.post(f"{EXPLAIN}?steps=5", ask.digit["3"]))["steps"] == 5
    for wrong in ("0", "10000", "1.5"):
        refused(ask, f"steps={wrong}", "whole number from 1 to 2000")
    refused(ask, "steps=1000", "method ig takes 2 to 200 steps")
    refused(ask, "steps=5&method=ixg", "method ixg has none")


@row("baseline")
def baseline(ask: Ask) -> None:
    found = {ok(ask.post(f"{EXPLAIN}?baseline={name}", ask.digit["3"]))["baseline"] for name in ("mean", "noise")}
    assert found == {"mean", "noise"}
    refused(ask, "baseline=gray", "there is blur, mean, black, white, noise")
    refused(ask, "baseline=blur&method=gradcam", "method gradcam has none")


@row("smoothgrad_samples")
def smoothgrad_samples(ask: Ask) -> None:
    assert ok(ask.post(f"{EXPLAIN}?smoothgrad_samples=4&method=ixg", ask.digit["3"]))["smoothgrad_samples"] == 4
    assert "smoothgrad_samples" not in ok(ask.post(f"{EXPLAIN}?smoothgrad_samples=0&method=ixg", ask.digit["3"]))
    refused(ask, "smoothgrad_samples=4&method=occlusion", "does not use gradients")
    refused(ask, "smoothgrad_samples=51", "from 0 to 50")


@row("deadline_ms", "why-deadline")
def deadline(ask: Ask) -> None:
    found = ok(ask.post(f"{EXPLAIN}?deadline_ms=60000", ask.digit["3"]))
    assert found["method"] == "ig"
    assert found["deadline"]["deadline_ms"] == 60_000
    assert found["deadline"]["estimate_ms"] <= found["deadline"]["left_ms"] <= 60_000
    named = ok(ask.post(f"{EXPLAIN}?deadline_ms=60000&method=ixg", ask.digit["3"]))
    assert named["method"] == "ixg"
    refused(ask, "deadline_ms=0", "whole number from 1 to 600000")
    refused(ask, "deadline_ms=60000&steps=5", "name the method too")


@row("faithfulness", "why-faithfulness")
def faithfulness(ask: Ask) -> None:
    found = ok(ask.post(f"{EXPLAIN}?faithfulness=true", ask.digit["3"]))["faithfulness"]
    areas = ["deletion", "insertion", "gap", "versus_random", "versus_center"]
    assert list(found) == [*areas, "insertion_start", "insertion_baseline"]
    assert 0 <= found["insertion_start"] <= 1
    assert found["insertion_baseline"] in ("blur", "mean")
    assert abs(found["insertion"] - found["deletion"] - found["gap"]) < 2e-4
    assert "faithfulness" not in ok(ask.post(EXPLAIN, ask.digit["3"]))


@row("counterfactual", "why-counterfactual")
def counterfactual(ask: Ask) -> None:
    found = ok(ask.post(f"{EXPLAIN}?counterfactual=true", ask.digit["3"]))["counterfactual"]
    if found is not None:  # no patches may change the class of this digit
        assert found["label"] != "3"
        assert all(0 <= left < right <= 256 and 0 <= top < bottom <= 256 for left, top, right, bottom in found["boxes"])
        assert 0 < found["share"] <= 1
    assert "counterfactual" not in ok(ask.post(EXPLAIN, ask.digit["3"]))


@row("neighbors", "why-neighbors")
def neighbors(ask: Ask) -> None:
    assert len(ok(ask.post(EXPLAIN, ask.digit["3"]))["neighbors"]) == 3
    found = ok(ask.post(f"{EXPLAIN}?neighbors=5", ask.digit["3"]))["neighbors"]
    assert [list(one) for one in found] == [["label", "index", "distance", "thumbnail"]] * 5
    assert [one["distance"] for one in found] == sorted(one["distance"] for one in found)
    assert Image.open(io.BytesIO(base64.b64decode(found[0]["thumbnail"]))).format == "WEBP"
    assert "neighbors" not in ok(ask.post(f"{EXPLAIN}?neighbors=0", ask.digit["3"]))
    refused(ask, "neighbors=21", "from 0 to 20")


def picture(ask: Ask, query: str) -> Image.Image:
    answer = ask.post(f"{EXPLAIN}?{query}", ask.digit["3"])
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    assert len(answer.content) < 150_000
    return Image.open(io.BytesIO(answer.content)).convert("RGB")


@row("output", "answer-heatmap")
def output(ask: Ask) -> None:
    overlay, heatmap = picture(ask, "output=overlay"), picture(ask, "output=heatmap")
    assert overlay.size == heatmap.size
    assert overlay.tobytes() != heatmap.tobytes()
    array = np.load(io.BytesIO(ask.post(f"{EXPLAIN}?output=npy", ask.digit["3"]).content))
    assert (array.dtype, array.ndim) == (np.float16, 2)
    assert "overlay_png" in ok(ask.post(f"{EXPLAIN}?output=json", ask.digit["3"]))
    headers = {"Accept": "application/json"}
    failed(ask.post(f"{EXPLAIN}?output=overlay", ask.digit["3"], headers=headers), 406, "NotAcceptable")
    v1 = ask.post("/v1/models/digits:explain", json={"instances": [ask.b64("3")], "output": "npy"})
    failed(v1, 400, "BadOption")
    refused(ask, "output=jpeg", "there is json, overlay, heatmap, npy")


@row("sign")
def sign(ask: Ask) -> None:
    maps = [
        np.load(io.BytesIO(ask.post(f"{EXPLAIN}?output=npy&sign={kind}", ask.digit["3"]).content))
        for kind in ("both", "positive")
    ]
    assert maps[0].min() < 0 == maps[1].min()
    assert np.allclose(maps[0].clip(min=0), maps[1], atol=1e-2)
    refused(ask, "sign=negative", "there is both, positive")


@row("alpha", "colormap")
def alpha_and_colormap(ask: Ask) -> None:
    usual = picture(ask, "output=overlay").tobytes()
    assert picture(ask, "output=overlay&alpha=0.85&colormap=rdbu").tobytes() == usual
    assert picture(ask, "output=overlay&alpha=0.3").tobytes() != usual
    for name in ("puor", "brbg", "vik", "berlin"):
        assert picture(ask, f"output=overlay&colormap={name}").tobytes() != usual
    refused(ask, "alpha=2", "a number from 0 to 1")
    refused(ask, "alpha=0.5&output=npy", "leave one of them out")
    refused(ask, "colormap=jet", "there is rdbu, puor, brbg, vik, berlin")


@row("resolution")
def resolution(ask: Ask) -> None:
    side = np.load(io.BytesIO(ask.post(f"{EXPLAIN}?output=npy", ask.digit["3"]).content)).shape
    assert picture(ask, "output=overlay&resolution=model").size == side
    assert max(picture(ask, "output=overlay&resolution=original").size) > 10 * max(side)
    refused(ask, "resolution=huge", "there is original, model")


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


@row("in-header-encoded")
def in_header_encoded(ask: Ask) -> None:
    for value in ("UTF-8''gr%C3%BCn", "gr%C3%BCn", "grün".encode(), "grün".encode("latin-1")):
        answer = ask.post("/explanations/digits", ask.digit["3"], headers={"X-Target": value})
        assert "'grün'" in failed(answer, 400, "BadOption")["message"], value
    contrast = ok(ask.post("/explanations/digits", ask.digit["3"], headers={"X-Contrast": "%33,%38"}))
    assert (contrast["target"]["label"], contrast["contrast"]["label"]) == ("3", "8")


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
    failed(ask.post(PREDICT, json={"image": ask.b64("3"), "color": 1}), 400, "UnknownOption")
    failed(ask.post("/v2/models/digits/infer", json=ask.v2("3", outputs=[{"name": "color"}])), 400, "UnknownOption")
