from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from handlers import metrics
from handlers.decision import Reason, Uncertainty
from handlers.metrics import CONFIDENCE, COUNTERS, HISTOGRAMS, STAGES, Histogram, Kind, MetricsBuffer, RequestMetrics
from handlers.protocols import Result
from handlers.response import observe
from tests.unit.handlers.protocols.results import explained

METRICS = Path(__file__).resolve().parents[3] / "deploy" / "torchserve" / "metrics.yaml"


def counted(*batches: list[RequestMetrics]) -> dict[tuple[str, ...], float]:
    """Return the increments of these batches without zeros: (name, own labels) -> increment."""
    buffer = MetricsBuffer()
    for batch in batches:
        buffer.add(batch)
    return {(name.removeprefix("torchlight_"), *labels): value for name, value, labels in buffer.drain() if value}


def totals(*batches: list[RequestMetrics]) -> dict[tuple[str, ...], float]:
    return {key: value for key, value in counted(*batches).items() if key[0].endswith("_total")}


def answered(*tops: tuple[str, float], kind: Kind = "predict", **seconds: float) -> RequestMetrics:
    record = RequestMetrics(kind, seconds=seconds, passes=list(seconds.items()))
    entries = [
        [{"label": label, "index": 0, "probability": probability}, {"label": "other", "index": 1, "probability": 0.0}]
        for label, probability in tops
    ]
    observe(record, [Result(predictions) for predictions in entries])
    return record


def judged(classes: list[str], reason: Reason | None) -> RequestMetrics:
    record = RequestMetrics("predict")
    predictions = [{"label": "cat", "index": 0, "probability": 0.5}]
    observe(record, [Result(predictions, Uncertainty(classes, 1.0, 2.0, "energy", reason))])
    return record


def why(*methods: str) -> RequestMetrics:
    record = RequestMetrics("explain")
    found = explained().explanation
    assert found is not None
    results = [replace(found, fields={**found.fields, "method": method}) for method in methods]
    observe(record, [replace(explained(), explanation=one) for one in results])
    return record


def failed(error: str, kind: Kind = "predict") -> RequestMetrics:
    record = RequestMetrics(kind)
    record.error = error
    return record


def test_torchserve_is_told_of_exactly_these_metrics() -> None:
    assert yaml.safe_load(METRICS.read_text(encoding="utf-8"))["model_metrics"] == {"counter": metrics.declaration()}


def test_names_say_what_is_counted_and_in_which_unit() -> None:
    names = [entry["name"] for entry in metrics.declaration()]
    assert len(set(names)) == len(names)
    assert [name for name in names if not name.startswith("torchlight_")] == []
    assert [counter.name for counter in COUNTERS if not counter.name.endswith("_total")] == []
    assert {histogram.unit == "seconds" for histogram in HISTOGRAMS if histogram.name.endswith("_seconds")} == {True}


@pytest.mark.parametrize("histogram", HISTOGRAMS, ids=[histogram.name for histogram in HISTOGRAMS])
def test_the_buckets_of_a_histogram_rise(histogram: Histogram) -> None:
    assert sorted(set(histogram.bounds)) == list(histogram.bounds)


def test_every_increment_is_of_a_metric_that_is_declared_with_as_many_labels() -> None:
    labels = {entry["name"]: len(entry["dimensions"]) - len(metrics.LABELS) for entry in metrics.declaration()}
    record = answered(("cat", 0.5), **dict.fromkeys(STAGES, 0.1))
    record.queue_seconds = 0.0
    buffer = MetricsBuffer()
    buffer.add([record, judged(["cat"], None), why("ig"), failed("MissingImage")])
    found = buffer.drain()
    assert {name for name, _, _ in found} == set(labels)
    assert [name for name, _, own in found if len(own) != labels[name]] == []


def test_explanations_are_counted_by_method() -> None:
    found = totals([why("ig", "gradcam"), why("ig")])
    assert (found["explanations_total", "ig"], found["explanations_total", "gradcam"]) == (2, 1)


def test_no_requests_are_no_observation() -> None:
    assert counted([]) == {}


def test_at_first_every_bucket_is_there_and_empty_and_then_only_what_changed() -> None:
    buffer = MetricsBuffer()
    first = buffer.drain()
    buckets = [name for name, _, _ in first if name.endswith("_bucket")]
    assert len(buckets) == sum(len(histogram.bounds) + 1 for histogram in HISTOGRAMS)
    assert {value for _, value, _ in first} == {0}
    assert buffer.drain() == []
    buffer.add([failed("MissingImage")])
    assert ("torchlight_errors_total", 1, ("MissingImage",)) in buffer.drain()
    assert buffer.drain() == []


def test_buckets_are_cumulative_as_prometheus_wants_them() -> None:
    found = counted([answered(("cat", 0.5), ("cat", 0.92))], [answered(("cat", 1.0))])
    buckets = {key[1]: value for key, value in found.items() if key[0] == "confidence_bucket"}
    assert buckets == {
        **dict.fromkeys(("0.5", "0.6", "0.7", "0.8", "0.9"), 1),
        **dict.fromkeys(("0.95", "0.99", "0.999"), 2),
        **dict.fromkeys(("1", "+Inf"), 3),
    }
    assert found["confidence_sum",] == pytest.approx(2.42)
    assert found["confidence_count",] == 3


def test_value_beyond_the_last_bound_is_in_the_inf_bucket_only() -> None:
    found = counted([answered(("cat", 0.5), decode=31.0)])
    assert [key for key in found if key[0] == "decode_seconds_bucket"] == [("decode_seconds_bucket", "+Inf")]
    assert (found["decode_seconds_sum",], found["decode_seconds_count",]) == (31.0, 1)


def test_the_bounds_are_written_as_people_write_them() -> None:
    buffer = MetricsBuffer()
    bounds = {labels[0] for name, _, labels in buffer.drain() if name == f"{CONFIDENCE.name}_bucket"}
    assert bounds == {"0.25", "0.5", "0.6", "0.7", "0.8", "0.9", "0.95", "0.99", "0.999", "1", "+Inf"}


def test_the_wait_is_counted_where_it_is_known() -> None:
    known = answered(("cat", 0.5))
    known.queue_seconds = 0.0
    found = counted([known, answered(("cat", 0.5))])
    assert (found["queue_seconds_count",], found["queue_seconds_bucket", "0.0005"]) == (1, 1)


def test_shared_passes_are_observed_once() -> None:
    first = answered(("cat", 0.5), decode=0.1, inference=0.5, explanation=0.7, render=0.1, encode=0.2)
    batch = [first, *(answered(("cat", 0.5), decode=0.1, encode=0.2) for _ in range(2))]
    for record in batch[1:]:  # they went through the network with the first
        record.seconds |= {"inference": 0.5, "explanation": 0.7}
    found = counted(batch)
    assert {stage: found[f"{stage}_seconds_count",] for stage in STAGES} == {
        "decode": 3,
        "inference": 1,
        "explanation": 1,
        "render": 1,
        "encode": 3,
    }
    assert found["inference_seconds_sum",] == 0.5
    assert (found["batch_size_count",], found["batch_size_sum",]) == (1, 3)
    assert [key[1] for key in found if key[0] == "batch_size_bucket"] == ["4", "8", "16", "32", "64", "128", "+Inf"]


def test_requests_images_classes_and_errors_are_added_up() -> None:
    batch = [answered(("cat", 0.5), ("dog", 0.25)), answered(("cat", 0.125), kind="explain"), failed("MissingImage")]
    assert totals(batch, [answered(("dog", 0.5)), failed("MissingImage", "explain")]) == {
        ("requests_total", "predict"): 3,
        ("requests_total", "explain"): 2,
        ("images_total", "predict"): 3,
        ("images_total", "explain"): 1,
        ("predictions_total", "cat"): 2,
        ("predictions_total", "dog"): 2,
        ("errors_total", "MissingImage"): 2,
    }


def test_decisions_are_counted_with_their_reason_and_sets_by_their_size() -> None:
    batch = [judged(["cat"], None), judged(["cat"], "unsure"), judged(["cat", "dog"], "ambiguous")]
    found = counted(batch, [judged(["cat"], None), answered(("cat", 0.5))])
    decisions = {key[1:]: value for key, value in found.items() if key[0] == "decisions_total"}
    assert decisions == {("accept", "none"): 2, ("refer", "unsure"): 1, ("refer", "ambiguous"): 1}
    assert (
        found["prediction_set_size_count",],
        found["prediction_set_size_sum",],
        found["prediction_set_size_bucket", "1"],
    ) == (4, 5, 3)


def test_threads_lose_nothing() -> None:
    buffer, drained = MetricsBuffer(), []

    def add() -> None:
        for _ in range(500):
            buffer.add([answered(("cat", 0.5))])
            drained.extend(buffer.drain())

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(value for name, value, _ in drained if name == "torchlight_requests_total") == 2000


@pytest.mark.parametrize(
    ("waited", "seconds", "header"),
    [
        (None, {}, ""),
        (None, {"decode": 0.0012345}, "decode;dur=1.23"),
        (0.5, {"decode": 0.25, "inference": 1.0}, "queue;dur=500.00, decode;dur=250.00, inference;dur=1000.00"),
    ],
)
def test_server_timing_has_the_milliseconds_of_each_stage(
    waited: float | None, seconds: dict[str, float], header: str
) -> None:
    assert RequestMetrics("predict", waited, seconds).server_timing() == header
