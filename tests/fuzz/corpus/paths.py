"""Good images to places that are not there, and other methods to places that are."""

from __future__ import annotations

from random import Random

from tests.fuzz.corpus.request import BAD, HUNG_UP, MODEL, NOWHERE, OK, VERSION, WireRequest, in_turn
from tests.fuzz.corpus.routes import JSON, NATIVE, V1, V2, b64, dump, typed
from tests.fuzz.corpus.valid_images import any_image, pngs

DOCUMENT = dump({"instances": [{"b64": b64(pngs()[0])}]})
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
# Versions and targets that no browser sends.
LINES = ("*", "http://127.0.0.1/models", f"{MODEL}", "?", "127.0.0.1:8081")


def absent(rng: Random, turn: int) -> WireRequest:
    """A path that leads nowhere, with a good body."""
    path = in_turn(ABSENT, turn)
    method = rng.choice(("POST", "POST", "POST", "PUT"))
    headers, body = (typed(JSON), DOCUMENT) if path.startswith("/v") else (typed("image/png"), any_image(rng))
    return WireRequest(path[:80], path, headers, body, NOWHERE, method)


def other_method(rng: Random, turn: int) -> WireRequest:
    """A path that is there, by a method that it does not have. HAProxy itself may refuse what is no method."""
    path = in_turn((*NATIVE, *V1, *V2), turn)
    method = in_turn(OTHER_METHODS, turn // len(OTHER_METHODS) + turn)
    # HTTP/2 aside, CONNECT's target is a host: what HAProxy says of a path has no shape of ours.
    accepted = NOWHERE | HUNG_UP | ({204} if method == "OPTIONS" else frozenset())
    return WireRequest(f"{method} {path}", path, (), b"", accepted, method, may_be_unreadable=method == "CONNECT")


def odd_target(rng: Random, turn: int) -> WireRequest:
    """Request lines whose target is no path, and versions of HTTP that are none."""
    target, version = in_turn([*((line, "HTTP/1.1") for line in LINES), *((NATIVE[0], v) for v in VERSIONS)], turn)
    accepted = NOWHERE | BAD | OK | HUNG_UP | {426, 505}
    return WireRequest(
        f"{target} {version}", target, (), any_image(rng), accepted, version=version, may_be_unreadable=True
    )


VERSIONS = ("HTTP/9.9", "HTTP/1", "HTTP/0.9", "HTTP/2.0", "ICY", "http/1.1", "HTTP/1.1 HTTP/1.1")
