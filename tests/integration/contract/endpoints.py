"""Endpoints: which road leads where."""

from __future__ import annotations

import grpc
import requests

from serving.oip import open_inference_pb2 as pb
from tests.integration.contract import Ask, failed, labels, ok, row


@row("predict")
def predict(ask: Ask) -> None:
    assert labels(ask.post("/predictions/digits", ask.digit["7"])) == ["7"]
    assert labels(ask.post("/predictions/digits/", ask.digit["7"])) == ["7"]


@row("predict-version")
def predict_version(ask: Ask) -> None:
    assert ok(ask.post("/predictions/digits/1.0", ask.digit["7"]))["version"] == "1.0"


@row("explain")
def explain(ask: Ask) -> None:
    body = ok(ask.post("/explanations/digits", ask.digit["7"]))
    assert body["predictions"][0]["label"] == body["target"]["label"] == "7"
    assert body["overlay_png"]


@row("explain-version")
def explain_version(ask: Ask) -> None:
    body = ok(ask.post("/explanations/digits/1.0", ask.digit["7"]))
    assert body["version"] == "1.0"
    assert body["method"] == "ig"


@row("v1-predict", "v1-predict-version")
def v1_predict(ask: Ask) -> None:
    for path in ("/v1/models/digits:predict", "/v1/models/digits/versions/1.0:predict"):
        assert labels(ask.post(path, json={"instances": [ask.b64("7"), ask.b64("2")]})) == ["7", "2"]


@row("v1-explain", "v1-explain-version")
def v1_explain(ask: Ask) -> None:
    for path in ("/v1/models/digits:explain", "/v1/models/digits/versions/1.0:explain"):
        answer = ask.post(path, json={"instances": [ask.b64("7")]})
        assert labels(answer) == ["7"]
        assert answer.json()["explanations"][0]["method"] == "ig"


@row("v1-ready")
def v1_ready(ask: Ask) -> None:
    for path in ("/v1/models/digits", "/v1/models/digits/versions/1.0"):
        answer = ask.get(path)
        assert ok(answer) == {"name": "digits", "ready": True}
        assert answer.headers["X-Model-Version"] == "1.0"
    failed(ask.get("/v1/models/nothing"), 404, "ModelNotFound")


@row("v2-infer", "v2-infer-version")
def v2_infer(ask: Ask) -> None:
    for path in ("/v2/models/digits/infer", "/v2/models/digits/versions/1.0/infer"):
        assert labels(ask.post(path, json=ask.v2("7", "2"))) == ["7", "2"]


@row("v2-explain", "v2-explain-version")
def v2_explain(ask: Ask) -> None:
    for path in ("/v2/models/digits/explain", "/v2/models/digits/versions/1.0/explain"):
        answer = ask.post(path, json=ask.v2("7"))
        assert labels(answer) == ["7"]
        assert answer.json()["outputs"][-1]["name"] == "explanation"


@row("v2-metadata")
def v2_metadata(ask: Ask) -> None:
    for path in ("/v2/models/digits", "/v2/models/digits/versions/1.0"):
        body = ok(ask.get(path))
        assert (body["name"], body["versions"]) == ("digits", ["1.0"])
        assert [tensor["name"] for tensor in body["inputs"]] == ["image"]
        assert [tensor["name"] for tensor in body["outputs"]] == [
            *("label", "index", "probability"),
            *("set", "ood_score", "decision", "reason"),
        ]


@row("v2-model-ready")
def v2_model_ready(ask: Ask) -> None:
    for path in ("/v2/models/digits/ready", "/v2/models/digits/versions/1.0/ready"):
        assert ok(ask.get(path)) == {"name": "digits", "ready": True}
    failed(ask.get("/v2/models/digits/versions/9.9/ready"), 404, "VersionNotFound")


@row("v2-server")
def v2_server(ask: Ask) -> None:
    body = ok(ask.get("/v2"))
    assert set(body) == {"name", "version", "extensions"}
    assert body["extensions"] == ["binary_tensor_data"]


@row("v2-live")
def v2_live(ask: Ask) -> None:
    assert ok(ask.get("/v2/health/live")) == {"live": True}


@row("v2-ready")
def v2_ready(ask: Ask) -> None:
    assert ok(ask.get("/v2/health/ready")) == {"ready": True}


@row("ping")
def ping(ask: Ask) -> None:
    assert ok(ask.get("/ping")) == {"status": "Healthy"}


@row("invocations")
def invocations(ask: Ask) -> None:
    assert labels(ask.post("/invocations", ask.digit["7"], headers={"Content-Type": "image/png"})) == ["7"]


@row("invocations-model")
def invocations_model(ask: Ask) -> None:
    assert labels(ask.post("/invocations?model_name=digits&top_k=1", ask.digit["7"])) == ["7"]
    assert labels(ask.post("/invocations?model_name=digits/1.0", ask.digit["7"])) == ["7"]
    failed(ask.post("/invocations?model_name=nothing", ask.digit["7"]), 404, "ModelNotFound")


@row("openapi")
def openapi(ask: Ask) -> None:
    body = ok(ask.get("/openapi.json"))
    assert body["openapi"].startswith("3.1")
    assert "/predictions/{model}" in body["paths"]


@row("grpc")
def over_grpc(ask: Ask) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{ask.server.ports.public}") as channel:
        live = channel.unary_unary(
            "/inference.GRPCInferenceService/ServerLive",
            request_serializer=pb.ServerLiveRequest.SerializeToString,
            response_deserializer=pb.ServerLiveResponse.FromString,
        )
        assert live(pb.ServerLiveRequest(), timeout=30).live


@row("put")
def put(ask: Ask) -> None:
    for path in ("/predictions/digits", "/explanations/digits", "/invocations"):
        assert labels(requests.put(ask.server.url + path, data=ask.digit["7"], timeout=30)) == ["7"]
    answer = requests.put(f"{ask.server.url}/v1/models/digits:predict", json={"instances": [ask.b64("7")]}, timeout=30)
    assert labels(answer) == ["7"]


@row("options")
def options(ask: Ask) -> None:
    for path in ("/predictions/digits", "/v1/models/digits:predict", "/v2/models/digits/infer", "/invocations"):
        answer = requests.options(ask.server.url + path, timeout=30)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["Allow"] == "POST, PUT, OPTIONS"
        assert answer.headers["Link"] == '</openapi.json>; rel="service-desc"'


@row("elsewhere")
def elsewhere(ask: Ask) -> None:
    for path in ("/", "/models", "/models/digits", "/metrics", "/v2/nothing", "/predictions/digits/1.0/more"):
        failed(ask.post(path, ask.digit["7"]), 404, "NotFound")
    for path in ("/v2/models/digits:predict", "/v2/models/digits/versions/1.0:explain", "/v1/models/digits/infer"):
        assert "error" in failed(ask.post(path, ask.digit["7"]), 404, "NotFound")
