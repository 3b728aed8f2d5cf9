"""Endpoints: which path leads where."""

from __future__ import annotations

import socket

import grpc
import requests
from grpc_health.v1 import health_pb2

from serving.grpc import open_inference_pb2 as pb
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
            *("set", "ood_score", "decision", "reason", "reason_detail"),
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


@row("grpc-health")
def grpc_health(ask: Ask) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{ask.server.ports.public}") as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        for service in ("", "inference.GRPCInferenceService"):
            answer = check(health_pb2.HealthCheckRequest(service=service), timeout=30)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


@row("put")
def put(ask: Ask) -> None:
    for path in ("/predictions/digits", "/explanations/digits", "/invocations"):
        assert labels(requests.put(ask.server.url + path, data=ask.digit["7"], timeout=30)) == ["7"]
    answer = requests.put(f"{ask.server.url}/v1/models/digits:predict", json={"instances": [ask.b64("7")]}, timeout=30)
    assert labels(answer) == ["7"]


@row("v1-server")
def v1_server(ask: Ask) -> None:
    assert ok(ask.get("/")) == {"status": "alive"}


@row("v1-models")
def v1_models(ask: Ask) -> None:
    assert ok(ask.get("/v1/models")) == ok(ask.get("/v1/models/")) == {"models": ["digits"]}


@row("endpoints")
def endpoints(ask: Ask) -> None:
    answer = ask.post("/endpoints/digits/invocations", ask.digit["7"])
    assert labels(answer) == ["7"]
    assert answer.headers["X-Amzn-Invoked-Production-Variant"] == "1.0"
    assert "X-Amzn-Invoked-Production-Variant" not in ask.post("/invocations", ask.digit["7"]).headers
    failed(ask.post("/endpoints/nothing/invocations", ask.digit["7"]), 404, "ModelNotFound")
    named = {"X-Amzn-SageMaker-Target-Model": "digits.tar.gz"}
    assert labels(ask.post("/endpoints/nothing/invocations", ask.digit["7"], headers=named)) == ["7"]


GETS = (
    *("/", "/v1/models", "/v1/models/digits", "/v1/models/digits/versions/1.0"),
    *("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/digits", "/v2/models/digits/ready"),
    *("/ping", "/openapi.json"),
)
POSTS = (
    *("/predictions/digits", "/predictions/digits/1.0", "/explanations/digits", "/explanations/digits/1.0"),
    *("/v1/models/digits:predict", "/v1/models/digits:explain", "/v1/models/digits/versions/1.0:predict"),
    *("/v2/models/digits/infer", "/v2/models/digits/explain", "/v2/models/digits/versions/1.0/infer"),
    *("/invocations", "/endpoints/digits/invocations"),
)
GRPC = "/inference.GRPCInferenceService/ServerLive"


@row("head")
def head(ask: Ask) -> None:
    for path in GETS:
        same_id = {"X-Request-Id": "head"}
        got = ask.get(path, headers=same_id)
        head = requests.head(ask.server.url + path, headers=same_id, timeout=30)
        assert (head.status_code, head.content) == (got.status_code, b"") == (200, b"")
        head.headers.pop("Date", None), got.headers.pop("Date", None)
        assert dict(head.headers) == dict(got.headers), path
    missing = requests.head(f"{ask.server.url}/v1/models/nothing", timeout=30)
    assert (missing.status_code, missing.content) == (404, b"")


@row("options")
def options(ask: Ask) -> None:
    allowed = {
        **dict.fromkeys(GETS, "GET, HEAD, OPTIONS"),
        **dict.fromkeys(POSTS, "POST, PUT, OPTIONS"),
        GRPC: "POST, OPTIONS",
    }
    for path, allow in allowed.items():
        answer = requests.options(ask.server.url + path, timeout=30)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["Link"] == '</openapi.json>; rel="service-desc"'
        for method in {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} - set(allow.split(", ")):
            refused = requests.request(method, ask.server.url + path, timeout=30)
            assert (refused.status_code, refused.headers["Allow"]) == (405, allow), (method, path)
        assert answer.headers["Allow"] == allow, path
    for path in ("/nothing", "/predictions/nothing", "/predictions/digits/9.9", "/v1/models/nothing:predict"):
        assert requests.options(ask.server.url + path, timeout=30).status_code == 404
    with socket.create_connection(("127.0.0.1", ask.server.ports.public), timeout=10) as connection:
        connection.sendall(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
        answered = connection.recv(4096)
    assert answered.startswith(b"HTTP/1.1 204")
    assert b"allow: GET, HEAD, POST, PUT, OPTIONS\r\n" in answered


@row("encoded")
def encoded(ask: Ask) -> None:
    same = {
        "/predictions/%64igits": "/predictions/digits",
        "/%70redictions/digits/1%2e0": "/predictions/digits/1.0",
        "/v1/models/digits%3Apredict": "/v1/models/digits:predict",
        "/v2/models/digit%73/infer": "/v2/models/digits/infer",
        "/invocations?model_name=%64igits%2F1.0": "/invocations?model_name=digits/1.0",
    }
    for path, plain in same.items():
        body = {"inputs": ask.v2("7")["inputs"]} if "/v2/" in path else {"instances": [ask.b64("7")]}
        assert labels(raw_path(ask, path, body)) == labels(ask.post(plain, json=body)) == ["7"]
    assert raw_path(ask, "/v2/health/%72eady").json() == {"ready": True}
    for path in (
        *(
            "/predictions/digits%2F1.0",
            "/predictions/digits%5C1.0",
            "/predictions/digits%00",
            "/predictions/%2564igits",
        ),
        *("/predictions/digits%3Ftop_k=1", "/predictions/digits%23", "/predictions/digits%", "/predictions/digits%6"),
        *("/predictions/%2e%2e/%2e%2e/models", "/predictions/digits/%2e%2e", "/predictions/%c0%aedigits"),
        *("/predictions/../models", "/%2e%2e/models", "/%6dodels", "/%6detrics", "/v1%2Fmodels/digits", "//ping"),
    ):
        answer = raw_path(ask, path, {"instances": [ask.b64("7")]})
        assert answer.status_code == 404, path
    assert raw_path(ask, "/invocations?model_name=digits%00", {"instances": []}).status_code == 404


def raw_path(ask: Ask, path: str, body: object = None) -> requests.Response:
    """Send a path as it stands here: requests itself would decode and shorten it."""
    prepared = requests.Request("POST" if body else "GET", ask.server.url, json=body).prepare()
    prepared.url = ask.server.url + path
    return requests.Session().send(prepared, timeout=30)


@row("elsewhere")
def elsewhere(ask: Ask) -> None:
    for path in ("/models", "/models/digits", "/metrics", "/v2/nothing", "/predictions/digits/1.0/more"):
        failed(ask.post(path, ask.digit["7"]), 404, "NotFound")
    for path in ("/v2/models/digits:predict", "/v2/models/digits/versions/1.0:explain", "/v1/models/digits/infer"):
        assert "error" in failed(ask.post(path, ask.digit["7"]), 404, "NotFound")
