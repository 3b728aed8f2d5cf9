"""Good images to unknown paths, and wrong methods on known paths."""

from __future__ import annotations

from random import Random

from tests.fuzz.corpus.request import CLOSED, MODEL, NO_ROUTE, OK, REFUSED, VERSION, FuzzRequest, pick_case
from tests.fuzz.corpus.routes import JSON, NATIVE, V1, V2, b64, content_type, to_json
from tests.fuzz.corpus.valid_images import any_image, pngs

DOCUMENT = to_json({"instances": [{"b64": b64(pngs()[0])}]})
ABSENT = (
    "/",
    "//",
    "/x",
    "/predictions",
    "/predictions/",
    "/predictions//",
    "/predictions/nothing",
    f"/predictions/{MODEL}/9.9",
    f"/predictions/{MODEL}/latest",
    f"/predictions/{MODEL}/{VERSION}0",
    f"/predictions/{MODEL}/{VERSION}/more",
    f"/predictions/{MODEL}//{VERSION}",
    f"//predictions/{MODEL}",
    f"/predictions//{MODEL}",
    f"/PREDICTIONS/{MODEL}",
    f"/predictions/{MODEL.upper()}",
    f"/predictions/{MODEL}%2f{VERSION}",
    f"/predictions%2f{MODEL}",
    f"/predictions/{MODEL}%00",
    f"/predictions/{MODEL};v=1",
    f"/predictions/{MODEL}%20",
    "/predictions/..",
    f"/predictions/../models/{MODEL}",
    f"/predictions/{MODEL}/../../models",
    f"/predictions/{MODEL}/..%2f..%2fmodels",
    f"/predictions/%2e%2e/models/{MODEL}",
    "/predictions/..%5c..%5cmodels",
    "/predictions/%ff%fe",
    "/predictions/dig\xefts",
    "/predictions/%zz",
    f"/predictions/{'m' * 8_000}",
    f"/predictions/{'m/' * 2_000}",
    f"/explanations/{MODEL}/0",
    "/explanations/nothing/1.0",
    f"/v1/models/{MODEL}:",
    f"/v1/models/{MODEL}:delete",
    f"/v1/models/{MODEL}:predict:predict",
    "/v1/models/:predict",
    "/v1/models/nothing:predict",
    "/v1/models/nothing:explain",
    f"/v1/models/{MODEL}/versions/9.9:predict",
    f"/v1/models/{MODEL}/versions/:predict",
    f"/v1/models/{MODEL}/version/{VERSION}:predict",
    f"/v1/models/{MODEL}/predict",
    f"/v1/models/{MODEL}/../nothing:predict",
    f"/v1/models/{'m' * 8_000}:predict",
    f"/v2/models/{MODEL}",
    f"/v2/models/{MODEL}/infer/more",
    f"/v2/models/{MODEL}/inferr",
    "/v2/models//infer",
    "/v2/models/nothing/infer",
    f"/v2/models/{MODEL}/versions/9/infer",
    f"/v2/models/{MODEL}/versions/{VERSION}/versions/{VERSION}/infer",
    "/v2/repository/index",
    f"/v2/repository/models/{MODEL}/unload",
    f"/v3/models/{MODEL}/infer",
    "/invocations?model_name=nothing",
    "/invocations?model_name=",
    "/invocations/more",
    "/models",
    f"/models/{MODEL}",
    f"/models/{MODEL}/{VERSION}/set-default",
    "/models?url=http://127.0.0.1/evil.mar",
    "/workflows?url=http://127.0.0.1/evil.war",
    "/wfpredict/x",
    "/token",
    "/metrics",
    "/api-description",
    "/.env",
    "/cgi-bin/sh",
    "/predictions/${jndi:ldap://127.0.0.1/x}",
    "/predictions/{{7*7}}",
    "/predictions/'%20OR%201=1",
    "/predictions/%[path]",
    "/predictions/<script>",
)
OTHER_METHODS = ("GET", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "FOO", "post", "CONNECT")
# Request targets that browsers do not send.
TARGETS = ("*", "http://127.0.0.1/models", f"{MODEL}", "?", "127.0.0.1:8081")


def absent(rng: Random, index: int) -> FuzzRequest:
    """Send a good body to an unknown path."""
    path = pick_case(ABSENT, index)
    method = rng.choice(("POST", "POST", "POST", "PUT"))
    is_json = path.startswith("/v")
    headers, body = (content_type(JSON), DOCUMENT) if is_json else (content_type("image/png"), any_image(rng))
    return FuzzRequest(path[:80], path, headers, body, NO_ROUTE, method)


def other_method(rng: Random, index: int) -> FuzzRequest:
    """Send a wrong method to a known path. HAProxy itself may refuse an invalid method."""
    path = pick_case((*NATIVE, *V1, *V2), index)
    method = pick_case(OTHER_METHODS, index // len(OTHER_METHODS) + index)
    # The target of CONNECT is a host. HAProxy responds to a path there with an error of its own shape.
    accepted = NO_ROUTE | CLOSED | ({204} if method == "OPTIONS" else frozenset())
    return FuzzRequest(f"{method} {path}", path, (), b"", accepted, method, may_be_unparsable=method == "CONNECT")


def odd_target(rng: Random, index: int) -> FuzzRequest:
    """Send a request line with a target that is not a path, or with an invalid version of HTTP."""
    lines = [(target, "HTTP/1.1") for target in TARGETS] + [(NATIVE[0], version) for version in VERSIONS]
    target, version = pick_case(lines, index)
    accepted = NO_ROUTE | REFUSED | OK | CLOSED | {426, 505}
    return FuzzRequest(
        f"{target} {version}", target, (), any_image(rng), accepted, version=version, may_be_unparsable=True
    )


VERSIONS = ("HTTP/9.9", "HTTP/1", "HTTP/0.9", "HTTP/2.0", "ICY", "http/1.1", "HTTP/1.1 HTTP/1.1")
