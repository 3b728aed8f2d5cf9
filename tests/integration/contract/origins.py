"""Cross-origin requests: responses that pages of other origins may read. test_browser.py has a real browser."""

from __future__ import annotations

import requests

from serving.proxy import cors
from tests.integration.contract import Ask, failed, row
from tests.support.stub_backend import TOKEN, ProxyClient, running_proxy

LAB, OTHER = "https://lab.example", "https://evil.example"
PREDICT = "/predictions/digits"


def send(proxy: ProxyClient, method: str, path: str, origin: str | None = LAB, **more: str) -> requests.Response:
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    origins = {} if origin is None else {"Origin": origin}
    body = b"an image" if method == "POST" else None
    return requests.request(method, proxy.url + path, data=body, headers={**origins, **headers}, timeout=30)


def allowed(answer: requests.Response) -> str | None:
    return answer.headers.get("Access-Control-Allow-Origin")


@row("cors-off")
def cors_off(ask: Ask) -> None:
    for method, path in (("POST", PREDICT), ("OPTIONS", PREDICT), ("GET", "/ping")):
        headers = {"Origin": LAB, "Access-Control-Request-Method": "POST"}
        answer = requests.request(method, ask.server.url + path, headers=headers, timeout=30)
        assert [name for name in answer.headers if name.lower().startswith("access-control")] == []
        assert "Vary" not in answer.headers


@row("cors-allowed", "cors-exposed")
def cors_allowed(ask: Ask) -> None:
    with running_proxy(cors_origins=(LAB, "http://localhost:3000")) as proxy:
        for origin in (LAB, "http://localhost:3000"):
            answer = send(proxy, "POST", PREDICT, origin)
            assert (answer.status_code, allowed(answer)) == (200, origin)
            exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
            assert {"X-Request-Id", "X-Model-Version", "X-Model-Engine", "Server-Timing", "Retry-After"} < set(exposed)
            assert "Access-Control-Allow-Credentials" not in answer.headers
        for answer in (send(proxy, "POST", PREDICT), send(proxy, "POST", PREDICT, None), send(proxy, "GET", "/v2")):
            assert answer.headers["Vary"] == "Origin"


@row("cors-others")
def cors_others(ask: Ask) -> None:
    with running_proxy(cors_origins=(LAB,)) as proxy:
        for origin in (OTHER, "null", "http://lab.example", f"{LAB}.evil.example", f"{LAB}:8443", f"{LAB}, {OTHER}"):
            for method in ("POST", "OPTIONS"):
                answer = send(proxy, method, PREDICT, origin, Access_Control_Request_Method="POST")
                assert [name for name in answer.headers if name.lower().startswith("access-control")] == []
        assert allowed(send(proxy, "POST", PREDICT)) == LAB


@row("cors-any")
def cors_any(ask: Ask) -> None:
    with running_proxy(cors_origins=("*",)) as proxy:
        for origin in (LAB, OTHER, "null"):
            assert allowed(send(proxy, "POST", PREDICT, origin)) == "*"
        assert allowed(send(proxy, "POST", PREDICT, None)) is None
        assert "Vary" not in send(proxy, "POST", PREDICT).headers


@row("cors-preflight")
def cors_preflight(ask: Ask) -> None:
    with running_proxy(tokens=True, cors_origins=(LAB,)) as proxy:
        for path in (PREDICT, "/v2/models/digits/infer", "/predictions/nothing", "/openapi.json"):
            answer = send(proxy, "OPTIONS", path, Access_Control_Request_Method="POST")
            assert (answer.status_code, answer.content, allowed(answer)) == (204, b"", LAB)
            assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD, POST, PUT, OPTIONS"
            may = answer.headers["Access-Control-Allow-Headers"].split(", ")
            assert may == list(cors.REQUEST_HEADERS)
            assert answer.headers["Access-Control-Max-Age"] == "7200"
        # Without the preflight's header, or from elsewhere, OPTIONS is a request as any other.
        failed(send(proxy, "OPTIONS", PREDICT), 401, "Unauthorized")
        failed(send(proxy, "OPTIONS", PREDICT, OTHER, Access_Control_Request_Method="POST"), 401, "Unauthorized")


@row("cors-errors")
def cors_errors(ask: Ask) -> None:
    with running_proxy(tokens=True, cors_origins=(LAB,)) as proxy:
        token = {"Authorization": f"Bearer {TOKEN}"}
        answers = {
            401: send(proxy, "POST", PREDICT),
            404: send(proxy, "POST", "/predictions/nothing", **token),
            405: send(proxy, "DELETE", PREDICT, **token),
            414: send(proxy, "POST", f"{PREDICT}?a={'x' * 2_000}", **token),
            415: send(proxy, "POST", PREDICT, Content_Encoding="gzip", **token),
            431: send(proxy, "POST", PREDICT, X_Long="x" * 6_000, **token),
        }
        too_large = {"Origin": LAB, **token}
        answers[413] = requests.post(proxy.url + PREDICT, data=b"\0" * 8_500_001, headers=too_large, timeout=30)
        for status in (500, 503, 429):  # the model server's own
            proxy.script.status = status
            answers[status] = send(proxy, "POST", PREDICT, **token)
        proxy.script.status = 0
        answers[502] = send(proxy, "POST", PREDICT, **token)
        proxy.script.status, proxy.script.pause = 200, 1.5
        answers[504] = send(proxy, "POST", PREDICT, **token)
        proxy.backend.shutdown()
        proxy.backend.server_close()
        answers[0] = send(proxy, "POST", PREDICT, **token)
        assert answers[0].status_code == 503
        for status, answer in answers.items():
            assert answer.status_code == (status or 503)
            assert (allowed(answer), answer.headers["Vary"]) == (LAB, "Origin"), status
            assert "X-Request-Id" in answer.headers["Access-Control-Expose-Headers"]
