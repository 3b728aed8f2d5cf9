"""Checks of single responses: is a good one the same as without load, and has an error the documented shape?"""

from __future__ import annotations

from typing import Any

from tests.fuzz.connection import RawResponse
from tests.fuzz.corpus.request import FuzzRequest
from tests.fuzz.corpus.routes import JSON, V1, V2
from tests.support.same_answer import first_difference


def difference(reference: RawResponse, response: RawResponse) -> str | None:
    """Return how a response differs from the reference response to the same request; None if it does not."""
    path = first_difference(reference.json(), response.json())
    return f"differs from the reference at {path}" if path else None


def error_shape_problem(request: FuzzRequest, response: RawResponse) -> str | None:
    """Return why an error response does not have the documented shape; None if it has."""
    try:
        body: Any = response.json()
    except ValueError:
        return f"{response.status} without JSON"
    if not isinstance(body, dict):
        return f"{response.status} with {type(body).__name__}, not an object"
    names = {"code", "type", "message"}
    if request.path.partition("?")[0] in (*V1, *V2):
        names |= {"error"}
    if set(body) | {"error"} != names | {"error"} or not names <= set(body):
        return f"{response.status} with members {sorted(body)}, not {sorted(names)}"
    if body["code"] != response.status:
        return f"{response.status} with code {body['code']!r}"
    if body.get("error", body["message"]) != body["message"]:
        return f"{response.status} whose error is not its message"
    if not str(body["type"]).isalpha() or not 10 < len(str(body["message"])) < 2_000:
        return f"{response.status} of type {body['type']!r:.80} and a message of {len(str(body['message']))} characters"
    if response.headers.get("content-type") != JSON:
        return f"{response.status} as {response.headers.get('content-type')}, not {JSON}"
    return None
