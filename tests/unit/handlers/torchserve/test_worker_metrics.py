"""Metrics on their way from a worker to TorchServe."""

from __future__ import annotations

import gc
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from handlers import torchserve_handler
from handlers.metrics import HISTOGRAMS, RequestMetrics, declaration
from handlers.torchserve_handler import ImageClassifier
from models.release import Release
from tests.unit.handlers.torchserve.stand_in import Context, Metrics, ask

pytestmark = pytest.mark.usefixtures("service")
REPOSITORY = Path(__file__).resolve().parents[4]


@pytest.fixture
def counting(release_with_uncertainty: Release, monkeypatch: pytest.MonkeyPatch) -> tuple[ImageClassifier, Metrics]:
    """A handler that sends its counts to TorchServe without delay, and the counts that TorchServe got."""
    monkeypatch.setattr(torchserve_handler, "FLUSH_SECONDS", 0)
    metrics, loaded = Metrics(), ImageClassifier()
    loaded.initialize(Context(str(release_with_uncertainty.folder), metrics=metrics))
    return loaded, metrics


def until_counted(metrics: Metrics, *names: str) -> dict[str, float]:
    """Wait until the thread has sent counts above 0 for these counters; return the counts."""
    deadline = time.monotonic() + 20
    while not all((found := dict(metrics.counts())).get(name) for name in names) and time.monotonic() < deadline:
        time.sleep(0.005)
    return {name: found[name] for name in names}


def test_batch_metrics_carry_model_and_version(counting: tuple[ImageClassifier, Metrics], image: bytearray) -> None:
    handler, metrics = counting
    start = str(int((time.time() - 2) * 1e6))
    ask(handler, ({"body": image}, {"x-torchlight-start": start}), ({"body": b"text"}, {}))
    expected = {
        "torchlight_requests_total": 2,
        "torchlight_images_total": 1,
        "torchlight_errors_total": 1,
        "torchlight_batch_size_sum": 2,
        "torchlight_queue_seconds_count": 1,
    }
    assert until_counted(metrics, *expected) == expected
    assert 2 <= until_counted(metrics, "torchlight_queue_seconds_sum")["torchlight_queue_seconds_sum"] < 5
    assert {(kind, *labels[:2]) for kind, _, _, labels in metrics.added} == {("counter", "digits", "1.0")}
    assert {tuple(labels[2:]) for _, name, _, labels in metrics.added if name == "torchlight_errors_total"} == {
        ("UnsupportedImage",)
    }


def test_a_copy_of_a_request_is_not_counted(counting: tuple[ImageClassifier, Metrics], image: bytearray) -> None:
    handler, metrics = counting
    ask(handler, ({"body": image}, {"x-torchlight-shadow": "1"}), ({"body": image}, {}))
    expected = {"torchlight_requests_total": 1, "torchlight_images_total": 1, "torchlight_batch_size_sum": 1}
    assert until_counted(metrics, *expected) == expected


@pytest.mark.parametrize("start", ["", "soon", "-5", "1.5", "²", "9" * 30])
def test_a_start_that_is_no_time_is_not_counted(
    handler: ImageClassifier, image: bytearray, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert waited(handler, {"X-Torchlight-Start": start}, image, monkeypatch) is None


def test_clocks_that_disagree_make_no_negative_wait(
    handler: ImageClassifier, image: bytearray, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = str(int((time.time() + 60) * 1e6))
    assert waited(handler, {"x-torchlight-start": start}, image, monkeypatch) == 0.0


def waited(
    handler: ImageClassifier, headers: dict[str, str], image: bytearray, monkeypatch: pytest.MonkeyPatch
) -> float | None:
    """Return the queue seconds that the buffer gets for a request with these headers."""
    records: list[RequestMetrics] = []
    monkeypatch.setattr(handler._metrics, "add", records.extend)
    ask(handler, ({"body": image}, headers))
    (record,) = records
    return record.queue_seconds


def test_every_histogram_is_handed_on_empty_before_the_first_request(
    counting: tuple[ImageClassifier, Metrics],
) -> None:
    _, metrics = counting
    expected = {f"{histogram.name}_{part}" for histogram in HISTOGRAMS for part in ("bucket", "sum", "count")}
    deadline = time.monotonic() + 20
    while {name for _, name, _, _ in metrics.added} != expected:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert {value for _, _, value, _ in metrics.added} == {0}


def test_a_description_is_not_counted(counted: ImageClassifier) -> None:
    counted._metrics.drain()
    ask(counted, ({}, {"describe": "True"}))
    assert counted._metrics.drain() == []


@pytest.mark.parametrize(
    ("text", "sent"),
    [("cat", "cat"), ("a|b,c:d#e\nf", "a%7Cb%2Cc%3Ad%23e%0Af"), ("50%", "50%25"), ("Küken 7", "Küken 7"), ("", "")],
)
def test_a_label_has_no_sign_that_separates_in_torchserves_line(text: str, sent: str) -> None:
    assert torchserve_handler._label(text) == sent


def yaml_cache(path: Path) -> Any:
    """TorchServe's own cache of metrics, from a file like metrics.yaml; it leaves that file open."""
    from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        cache = MetricsCacheYamlImpl(str(path))
        gc.collect()
    cache.initialize_cache()
    return cache


class Stop(Exception):
    """Ends the turns of a thread that never ends."""


class Once:
    """An event that something was counted, once and never again."""

    def __init__(self) -> None:
        self.turns = iter([True])

    def wait(self) -> None:
        if not next(self.turns, False):
            raise Stop

    def clear(self) -> None: ...

    def set(self) -> None: ...


def hand_on(handler: ImageClassifier, cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run one iteration of the thread that sends the counts."""
    monkeypatch.setattr(handler, "_has_metrics", Once())
    monkeypatch.setattr(torchserve_handler, "FLUSH_SECONDS", 0)
    with pytest.raises(Stop):
        handler._flush_forever(cache)


@pytest.fixture
def counted(release_with_uncertainty: Release, image: bytearray, monkeypatch: pytest.MonkeyPatch) -> ImageClassifier:
    """A handler that has counted something of every kind, and a thread of its own that does not hand it on."""
    loaded = ImageClassifier()
    with monkeypatch.context() as patch:
        start = threading.Thread.start  # of the thread that loads the model; those for metrics and samples are daemons
        patch.setattr(threading.Thread, "start", lambda thread: None if thread.daemon else start(thread))
        loaded.initialize(Context(str(release_with_uncertainty.folder)))
    asked = [{"x-torchlight-start": "1"}, {"explain": "True"}, {}]
    loaded.handle([{"body": image}, {"body": image}, {"body": b""}], Context(headers=asked))
    return loaded


def test_torchserve_takes_every_metric_that_is_declared(
    counted: ImageClassifier, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    hand_on(counted, yaml_cache(REPOSITORY / "deploy" / "torchserve" / "metrics.yaml"), monkeypatch)
    lines = [record.message for record in caplog.records if record.message.startswith("[METRICS]torchlight_")]
    names = {line.removeprefix("[METRICS]").partition(".")[0] for line in lines}
    assert names == {metric["name"] for metric in declaration()}
    assert [line for line in lines if "|#model_name:digits,model_version:1.0" not in line] == []


def test_without_its_declarations_torchserve_is_told_of_nothing_and_nothing_breaks(
    counted: ImageClassifier, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "metrics.yaml").write_text(
        "model_metrics: {counter: [{name: other, unit: ms, dimensions: [a]}]}", encoding="utf-8"
    )
    caplog.set_level("INFO")
    hand_on(counted, yaml_cache(tmp_path / "metrics.yaml"), monkeypatch)
    assert [record.message for record in caplog.records if "[METRICS]" in record.message] == []
