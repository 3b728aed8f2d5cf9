"""Metrics that Prometheus finds after counted requests: each metric, its labels, exact values."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from handlers import metrics
from serving.exporter.definitions import DEFINITIONS
from tests.support import prometheus
from tests.support.prometheus import Prometheus
from tests.support.server import Server, run

# By class index, signs that TorchServe's line format or Prometheus' text format has a use for.
CLASSES = ["zero", "one|1", "two,2", "three:3", "four#4", 'five "5"', "six\\6", "sieben ü", "50%25", "ni ne=9"]
# A worker hands its counts on once a second.
PATIENCE_SECONDS = 15
# A request may still be sent to a worker that was killed, and wait for the next one.
RESTART_SECONDS = 90

NAMES = {total.name for total in metrics.COUNTERS} | {
    f"{histogram.name}_{part}" for histogram in metrics.HISTOGRAMS for part in ("bucket", "sum", "count")
}

Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]  # by name, then by labels without model and version


@pytest.fixture(scope="module")
def odd(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose model has classes with odd names; nobody else asks it."""
    folder = tmp_path_factory.mktemp("odd")
    shutil.copytree(workspace / "releases", folder / "releases")
    card = folder / "releases" / "digits" / "1.0" / "card.yaml"
    content: dict[str, Any] = yaml.safe_load(card.read_text(encoding="utf-8"))
    card.write_text(yaml.safe_dump(content | {"classes": CLASSES}, allow_unicode=True), encoding="utf-8")
    done = run(folder, "scripts.archive")
    assert done.returncode == 0, done.stderr
    with Server(folder) as server:
        yield server


@pytest.fixture(scope="module")
def counted(odd: Server, digit: dict[str, bytes]) -> Samples:
    """The metrics after these requests, and after each of the model's own is there."""
    for label in "0123456789":
        assert requests.post(f"{odd.url}/predictions/digits", data=digit[label], timeout=30).status_code == 200
    several = [("image", digit[label]) for label in "015"]
    assert requests.post(f"{odd.url}/predictions/digits", files=several, timeout=30).status_code == 200
    for label in "56":
        assert requests.post(f"{odd.url}/explanations/digits", data=digit[label], timeout=30).status_code == 200
    for body, status in ((b"rubbish", 415), (b"", 400), (digit["1"][:-300], 422), (b"more rubbish", 415)):
        assert requests.post(f"{odd.url}/predictions/digits", data=body, timeout=30).status_code == status
    assert requests.post(f"{odd.url}/explanations/digits?method=magic", data=digit["1"], timeout=30).status_code == 400
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum((found := scrape(odd)).get("torchlight_requests_total", {}).values()) < 18:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    time.sleep(0.5)  # a worker hands on one number after the other
    return scrape(odd)


def scrape(server: Server) -> Samples:
    """The values that the model's workers counted."""
    found: Samples = defaultdict(dict)
    for family in text_string_to_metric_families(scrape_text(server)):
        for sample in family.samples:
            if sample.name in NAMES:
                labels = dict(sample.labels)
                assert (labels.pop("model_name"), labels.pop("model_version")) == ("digits", "1.0")
                found[sample.name][tuple(sorted(labels.items()))] = sample.value
    return found


def scrape_text(server: Server) -> str:
    """The text of the metrics endpoint."""
    return requests.get(f"http://127.0.0.1:{server.ports.web}/metrics", timeout=10).text


def by_label(found: Samples, name: str) -> dict[str, float]:
    """The values of a metric with one label of its own."""
    return {labels[0][1]: value for labels, value in found[name].items()}


def by_labels(found: Samples, name: str) -> dict[tuple[str, ...], float]:
    """Return the values of a metric by the values of its own labels, in the order of their names."""
    return {tuple(value for _, value in labels): count for labels, count in found[name].items()}


def test_each_declared_metric_is_there_and_no_other(counted: Samples) -> None:
    assert {"torchlight_requests_total", "torchlight_queue_seconds_bucket"} < NAMES
    assert {name for name, samples in counted.items() if samples} == NAMES


def test_requests_images_and_errors_are_counted_exactly(counted: Samples) -> None:
    assert by_label(counted, "torchlight_requests_total") == {"predict": 15, "explain": 3}
    assert by_label(counted, "torchlight_images_total") == {"predict": 13, "explain": 2}
    assert by_label(counted, "torchlight_errors_total") == {
        "UnsupportedImage": 2,
        "MissingImage": 1,
        "CorruptImage": 1,
        "BadOption": 1,
    }


def test_each_class_is_counted_whatever_its_name(counted: Samples) -> None:
    counts = [2, 2, 1, 1, 1, 3, 2, 1, 1, 1]
    assert by_label(counted, "torchlight_predictions_total") == dict(zip(CLASSES, counts, strict=True))


def test_each_answered_image_is_counted_once_by_decision(counted: Samples) -> None:
    decisions = by_labels(counted, "torchlight_decisions_total")
    assert sum(decisions.values()) == 15
    reasons = ("out_of_distribution", "ambiguous", "unsure")
    assert decisions.keys() <= {("accept", "none"), *(("refer", reason) for reason in reasons)}


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("torchlight_queue_seconds", 18),
        ("torchlight_decode_seconds", 17),  # not of the request with a method that does not exist
        ("torchlight_inference_seconds", 13),
        ("torchlight_explanation_seconds", 2),
        ("torchlight_render_seconds", 2),
        ("torchlight_encode_seconds", 13),
        ("torchlight_batch_size", 18),  # one at a time, so each is a batch
        ("torchlight_confidence", 15),
        ("torchlight_prediction_set_size", 15),
    ],
)
def test_histograms_are_exact_and_plausible(counted: Samples, name: str, count: int) -> None:
    assert counted[f"{name}_count"][()] == count
    buckets = sorted((float(le), value) for le, value in by_label(counted, f"{name}_bucket").items())
    assert buckets[-1] == (float("inf"), count)
    assert [value for _, value in buckets] == sorted(value for _, value in buckets)
    mean = counted[f"{name}_sum"][()] / count
    if name == "torchlight_batch_size":
        assert mean == 1
    elif name == "torchlight_prediction_set_size":
        assert 1 <= mean <= 10
    elif name == "torchlight_confidence":
        assert 0.5 < mean <= 1
    else:
        assert 0.00001 < mean < 5


def test_every_family_has_its_type_its_help_and_its_labels(odd: Server, counted: Samples) -> None:
    families = {family.name: family for family in text_string_to_metric_families(scrape_text(odd))}
    assert families.keys() == {definition.name.removesuffix("_total") for definition in DEFINITIONS}
    for definition in DEFINITIONS:
        family = families[definition.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (definition.kind, definition.help)
        # This server had no rollout.
        assert bool(family.samples) != definition.name.startswith("torchlight_rollout_"), definition.name
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == set(definition.labels)


def test_requests_that_torchserve_counted_have_the_role_of_their_workers(odd: Server, counted: Samples) -> None:
    families = {family.name: family for family in text_string_to_metric_families(scrape_text(odd))}
    by_role = {sample.labels["role"]: sample.value for sample in families["ts_inference_requests"].samples}
    assert by_role == {"unbatched": 15, "explain": 3}, "each came alone"


def test_promtool_has_no_complaint(odd: Server, counted: Samples) -> None:
    prometheus.install()
    assert prometheus.lint('x_total{a="1"} 1\n') != ""
    assert prometheus.lint(scrape_text(odd)) == ""


def test_prometheus_computes_a_quantile_from_a_histogram(
    odd: Server, counted: Samples, digit: dict[str, bytes], tmp_path: Path
) -> None:
    quantile = "histogram_quantile(0.99, sum by (le) (rate(torchlight_inference_seconds_bucket[15s])))"
    prometheus.install()
    with Prometheus(tmp_path, odd.ports.web) as server:
        before = float(server.await_query("torchlight_inference_seconds_count")[0]["value"][1])
        for _ in range(20):
            assert requests.post(f"{odd.url}/predictions/digits", data=digit["1"], timeout=30).status_code == 200
        server.await_query(f"torchlight_inference_seconds_count == {before + 20}")
        (vector,) = server.await_query(f"{quantile} > 0")
        assert 0 < float(vector["value"][1]) < 5
        assert server.query("up")[0]["value"][1] == "1"
        (metadata,) = server.metadata("torchlight_inference_seconds")
        assert metadata["type"] == "histogram"


def test_counts_survive_the_death_of_a_worker(odd: Server, counted: Samples, digit: dict[str, bytes]) -> None:
    before = scrape(odd)["torchlight_requests_total"]
    (pid,) = [pid for pid, _ in odd.workers("digits-unbatched")]
    os.kill(pid, signal.SIGKILL)
    assert scrape(odd)["torchlight_requests_total"] == before
    deadline = time.monotonic() + RESTART_SECONDS
    while requests.post(f"{odd.url}/predictions/digits", data=digit["1"], timeout=90).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(scrape(odd)["torchlight_requests_total"].values()) <= sum(before.values()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
