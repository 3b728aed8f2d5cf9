"""Encoding of one request's results, or of its error, as an HTTP response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

import orjson

from handlers.batch import RequestState, timed
from handlers.classifier import Classifier
from handlers.errors import Overloaded, ResponseTooLarge
from handlers.isolation import as_request_error
from handlers.metrics import RequestMetrics
from handlers.protocols import JSON, Response, Result, metadata


def check_size(size: int, limit: int) -> None:
    """Check the bytes of one response.

    Raises:
        ResponseTooLarge: there are more than `limit`.
    """
    if size > limit:
        raise ResponseTooLarge(f"the answer has {size:,} bytes or more, and {limit:,} may be sent: ask less at once")


def encode(state: RequestState, classifier: Classifier, max_bytes: int) -> Response:
    """Encode the response of one request, of at most `max_bytes`, or its error. A failed encoding becomes an error."""
    raw = state.raw
    request_id = raw.headers.get("x-request-id", raw.request_id)
    headers = {
        "content-type": JSON,
        "X-Model-Version": classifier.card.version,
        "X-Model-Engine": classifier.engine.name,
        "X-Request-Id": request_id,
    }
    if state.error is None:
        try:
            response = _encode_results(state, classifier, request_id, max_bytes)
        except Exception as error:
            state.error = as_request_error(error)
        else:
            observe(state.metrics, state.results)
            return replace(response, headers=headers | response.headers, metrics=state.metrics)
    state.metrics.error = state.error.type
    body = orjson.dumps(state.error.body(kserve=raw.route in ("v1", "v2")))
    return Response(body, headers, HTTPStatus(state.error.status), state.metrics)


def _encode_results(state: RequestState, classifier: Classifier, request_id: str, max_bytes: int) -> Response:
    if state.raw.is_metadata:
        return Response(orjson.dumps(metadata.answer(state.raw.route, classifier.card)), {})
    with timed([state], "encode"):
        response = state.request.encoder.encode(classifier.card, request_id, state.results)
    check_size(len(response.body), classifier.limits.max_answer_bytes)
    if len(response.body) > max_bytes:
        raise Overloaded("the answers to what came together with this request are too large: try again")
    if state.request.options.timing:
        response.headers["Server-Timing"] = state.metrics.server_timing()
    return response


def observe(metrics: RequestMetrics, results: Sequence[Result]) -> None:
    """Record each image's top class and probability, its decision, the size of its prediction set, and its method."""
    for result in results:
        top = result.predictions[0]
        metrics.predictions.append((top["label"], top["probability"]))
        if result.uncertainty is not None:
            uncertainty = result.uncertainty
            size = None if uncertainty.set is None else len(uncertainty.set)
            metrics.decisions.append((uncertainty.decision, uncertainty.reason or "none", size))
        if result.explanation is not None:
            metrics.methods.append(result.explanation.fields["method"])
