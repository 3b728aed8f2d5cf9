"""What Prometheus finds at the metrics port after requests that are known: each metric, its labels, exact counts."""

from __future__ import annotations

import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.server import REPOSITORY, Server, run

# By class index, signs that TorchServe's line format or Prometheus' text format has a use for.
CLASSES = ["zero", "one|1", "two,2", "three:3", "four#4", 'five "5"', "six\\6", "sieben ü", "eight {8}", "ni ne=9"]
# A worker hands its counts on once a second.
PATIENCE_SECONDS = 15

DECLARED = yaml.safe_load((REPOSITORY / "deploy/torchserve/metrics.yaml").read_text(encoding="utf-8"))["model_metrics"]
NAMES = {metric["name"] for metric in DECLARED.get("counter", [])} | {
    f"{metric['name']}_{part}" for metric in DECLARED.get("histogram", []) for part in ("bucket", "sum", "count")
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
    """The model's own metrics. The parser calls a counter `x` `x_total`, whatever stands in the text."""
    text = requests.get(f"http://127.0.0.1:{server.ports.metrics}/metrics", timeout=10).text
    found: Samples = defaultdict(dict)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("torchlight_"):
                name = sample.name if sample.name in NAMES else sample.name.removesuffix("_total")
                labels = dict(sample.labels)
                assert (labels.pop("model_name"), labels.pop("model_version")) == ("digits", "1.0")
                assert labels.pop("Hostname")
                found[name][tuple(sorted(labels.items()))] = sample.value
    return found


def by_label(found: Samples, name: str) -> dict[str, float]:
    """The values of a metric with one label of its own."""
    return {labels[0][1]: value for labels, value in found[name].items()}


def test_each_declared_metric_is_there_and_no_other(counted: Samples) -> None:
    assert {"torchlight_requests_total", "torchlight_wait_seconds_bucket"} < NAMES
    assert {name for name, samples in counted.items() if samples} == NAMES


def test_requests_images_and_errors_are_counted_exactly(counted: Samples) -> None:
    assert by_label(counted, "torchlight_requests_total") == {"predict": 15, "explain": 3}
    assert by_label(counted, "torchlight_images_total") == {"predict": 13, "explain": 2}
    assert by_label(counted, "torchlight_errors_total") == {
        "UnsupportedImage": 2,
        "NoImage": 1,
        "DamagedImage": 1,
        "BadOption": 1,
    }


def test_each_class_is_counted_whatever_its_name(counted: Samples) -> None:
    """TorchServe separates by | , : # so these come as _; everything else comes through as it is."""
    counts = [2, 2, 1, 1, 1, 3, 2, 1, 1, 1]
    names = ["zero", "one_1", "two_2", "three_3", "four_4", *CLASSES[5:]]
    assert by_label(counted, "torchlight_predicted_total") == dict(zip(names, counts, strict=True))


def test_each_image_that_was_answered_is_judged_once(counted: Samples) -> None:
    decisions = by_label(counted, "torchlight_decisions_total")
    assert sum(decisions.values()) == 15
    assert decisions.keys() <= {"accept", "out_of_distribution", "ambiguous", "unsure"}


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("torchlight_wait_seconds", 18),
        ("torchlight_decode_seconds", 17),  # not of the request with a method that does not exist
        ("torchlight_inference_seconds", 13),
        ("torchlight_explanation_seconds", 2),
        ("torchlight_drawing_seconds", 2),
        ("torchlight_encode_seconds", 13),
        ("torchlight_batch_size", 18),  # one at a time, so each is a batch
        ("torchlight_confidence", 15),
        ("torchlight_set_size", 15),
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
    elif name == "torchlight_set_size":
        assert 1 <= mean <= 10
    elif name == "torchlight_confidence":
        assert 0.5 < mean <= 1
    else:
        assert 0.00001 < mean < 5


def test_torchserves_own_metrics_are_there_too(odd: Server, counted: Samples) -> None:
    text = requests.get(f"http://127.0.0.1:{odd.ports.metrics}/metrics", timeout=10).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    samples = [sample for family in families.values() for sample in family.samples]
    total = [sample for sample in samples if sample.name == "ts_inference_requests_total"]
    assert sum(sample.value for sample in total) == 18
    by_name = {sample.labels["model_name"]: sample.value for sample in total}
    assert by_name == {"digits-lone": 15, "digits-explain": 3}, "each came alone"
