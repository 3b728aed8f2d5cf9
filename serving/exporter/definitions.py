"""Every metric of the endpoint: name, type, help text and labels. docs/reference/metrics.md is made from these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
VERSION = ("model_name", "model_version")
ROLE = (*VERSION, "role")


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric family.

    Attributes:
        name: a counter's name ends in `_total`; a histogram's name is that of its buckets without `_bucket`.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


# Counted by the workers (handlers/metrics.py), which hand their counts to TorchServe.
WORKERS = (
    Definition(
        "torchlight_requests_total",
        "counter",
        "Requests that reached a worker: predict, explain, or metadata for readiness and metadata.",
        (*VERSION, "kind"),
    ),
    Definition("torchlight_images_total", "counter", "Images in successful responses.", (*VERSION, "kind")),
    Definition(
        "torchlight_errors_total",
        "counter",
        "Requests that got an error from a worker, by error type.",
        (*VERSION, "type"),
    ),
    Definition("torchlight_predictions_total", "counter", "Images by predicted class.", (*VERSION, "label")),
    Definition(
        "torchlight_decisions_total",
        "counter",
        "Images by decision, accept or refer, and by the reason to refer: out_of_distribution, ambiguous or unsure. "
        "The reason is none for accept.",
        (*VERSION, "decision", "reason"),
    ),
    Definition(
        "torchlight_explanations_total", "counter", "Explained images by attribution method.", (*VERSION, "method")
    ),
    Definition(
        "torchlight_queue_seconds",
        "histogram",
        "Time from the proxy to the start of the batch: network, queue, and waiting for the batch to fill.",
        VERSION,
    ),
    Definition("torchlight_decode_seconds", "histogram", "Time to decode all images of a request.", VERSION),
    Definition(
        "torchlight_inference_seconds",
        "histogram",
        "Time of one pass through the network: at most 64 images or one request.",
        VERSION,
    ),
    Definition(
        "torchlight_explanation_seconds",
        "histogram",
        "Time of one pass of an attribution method: at most 16 images.",
        VERSION,
    ),
    Definition(
        "torchlight_render_seconds", "histogram", "Time to draw the overlays and heat maps of a request.", VERSION
    ),
    Definition("torchlight_encode_seconds", "histogram", "Time to encode the response to a request.", VERSION),
    Definition("torchlight_batch_size", "histogram", "Requests in a batch.", VERSION),
    Definition("torchlight_confidence", "histogram", "Probability of an image's predicted class.", VERSION),
    Definition("torchlight_prediction_set_size", "histogram", "Classes in an image's prediction set.", VERSION),
)

# Counted by TorchServe itself.
INFERENCE_REQUESTS = Definition("ts_inference_requests_total", "counter", "Requests that TorchServe received.", ROLE)
INFERENCE_LATENCY = Definition(
    "ts_inference_latency_seconds_total", "counter", "Total time of requests in TorchServe, queue included.", ROLE
)
QUEUE_LATENCY = Definition(
    "ts_queue_latency_seconds_total", "counter", "Total time of requests in TorchServe's queue.", ROLE
)

# Seen from outside: the supervisor, TorchServe's management API, the proxy's runtime API.
UP = Definition("torchlight_up", "gauge", "1 if the model server answers, 0 if it does not.")
PROXY_UP = Definition("torchlight_proxy_up", "gauge", "1 if the proxy answers, 0 if it does not.")
BUILD = Definition("torchlight_build_info", "gauge", "Always 1; the label has the version of Torchlight.", ("version",))
START = Definition("torchlight_start_time_seconds", "gauge", "Start of the server, in seconds since 1970.")
WORKERS_READY = Definition("torchlight_workers_ready", "gauge", "Workers that are READY.", ROLE)
WORKERS_CONFIGURED = Definition(
    "torchlight_workers_configured", "gauge", "Workers that are configured for the version.", ROLE
)
IN_FLIGHT = Definition("torchlight_in_flight_requests", "gauge", "Requests that the proxy has not finished.", VERSION)
QUEUED = Definition(
    "torchlight_queued_requests",
    "gauge",
    "Requests that wait in the proxy: for explanations, deadline (explanations with a deadline), grpc, torchserve, "
    "documents or shadow (copies of requests during a rollout).",
    ("backend",),
)
CONNECTIONS = Definition("torchlight_proxy_connections", "gauge", "Open connections of clients.")
MAX_CONNECTIONS = Definition(
    "torchlight_proxy_max_connections", "gauge", "Maximum number of connections that the proxy accepts."
)
RESPONSES = Definition(
    "torchlight_proxy_responses_total",
    "counter",
    "Responses to clients, including the proxy's own errors: 2xx, 4xx, 5xx and so on.",
    ("status",),
)

# From the records of rollouts. They describe the last rollout of each model, after its end too.
ROLLOUT_SHARE = Definition(
    "torchlight_rollout_share",
    "gauge",
    "Share of the requests without a version that the candidate of the last rollout answers, from 0 to 1.",
    VERSION,
)
ROLLOUT_PAUSED = Definition(
    "torchlight_rollout_paused", "gauge", "1 if the last rollout waits for a person, 0 if it does not.", VERSION
)
ROLLOUT_PHASE = Definition(
    "torchlight_rollout_phase",
    "gauge",
    "1 for the phase of the last rollout, 0 for all other phases.",
    (*VERSION, "phase"),
)
ROLLOUT_VERDICT = Definition(
    "torchlight_rollout_verdict",
    "gauge",
    "1 for the last outcome of a check of the last rollout, 0 for its other outcomes: pass, fail or inconclusive.",
    (*VERSION, "check", "outcome"),
)

DEFINITIONS = (
    *WORKERS,
    *(INFERENCE_REQUESTS, INFERENCE_LATENCY, QUEUE_LATENCY),
    *(UP, PROXY_UP, BUILD, START, WORKERS_READY, WORKERS_CONFIGURED),
    *(IN_FLIGHT, QUEUED, CONNECTIONS, MAX_CONNECTIONS, RESPONSES),
    *(ROLLOUT_SHARE, ROLLOUT_PAUSED, ROLLOUT_PHASE, ROLLOUT_VERDICT),
)
