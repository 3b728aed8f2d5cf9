from __future__ import annotations

from prometheus_client.core import Metric
from prometheus_client.samples import Sample

from serving.exporter import torchserve

WAIT = "torchlight_queue_seconds"


def text(*lines: str) -> str:
    """Lines as TorchServe writes them: every metric a counter, a comma behind the last label."""
    names = dict.fromkeys(line.partition("{")[0] for line in lines)
    blocks = [
        [f"# HELP {name} Torchserve prometheus counter metric", f"# TYPE {name} counter", *lines_of(name, lines)]
        for name in names
    ]
    return "".join(f"{line}\n" for block in blocks for line in block)


def lines_of(name: str, lines: tuple[str, ...]) -> list[str]:
    return [line for line in lines if line.partition("{")[0] == name]


def line(name: str, value: float, **labels: str) -> str:
    own = {"model_name": "digits", "model_version": "1.0", **labels, "Hostname": "host"}
    pairs = "".join(f'{label}="{text}",' for label, text in own.items())
    return f"{name}{{{pairs}}} {value}"


def family(name: str, *lines: str) -> Metric:
    (metric,) = [metric for metric in torchserve.convert(text(*lines)) if metric.name == name]
    return metric


def values(metric: Metric, *labels: str) -> dict[tuple[str, ...], float]:
    return {tuple(sample.labels[label] for label in labels): sample.value for sample in metric.samples}


def named(samples: list[Sample], name: str) -> list[Sample]:
    return [sample for sample in samples if sample.name == name]


def test_buckets_sum_and_count_become_one_histogram() -> None:
    wait = family(
        WAIT,
        line(f"{WAIT}_bucket", 3.0, le="+Inf"),
        line(f"{WAIT}_bucket", 1.0, le="0.0005"),
        line(f"{WAIT}_bucket", 2.0, le="1"),
        line(f"{WAIT}_sum", 4.5),
        line(f"{WAIT}_count", 3.0),
    )
    assert wait.type == "histogram"
    buckets = named(wait.samples, f"{WAIT}_bucket")
    assert [(sample.labels["le"], sample.value) for sample in buckets] == [("0.0005", 1), ("1.0", 2), ("+Inf", 3)]
    assert [sample.value for sample in named(wait.samples, f"{WAIT}_sum")] == [4.5]
    assert [sample.value for sample in named(wait.samples, f"{WAIT}_count")] == [3]


def test_histogram_scraped_between_two_lines_of_a_worker_stays_cumulative() -> None:
    lines = [line(f"{WAIT}_bucket", count, le=le) for le, count in (("0.5", 4.0), ("1", 3.0), ("+Inf", 3.0))]
    wait = family(WAIT, *lines, line(f"{WAIT}_sum", 1.0), line(f"{WAIT}_count", 3.0))
    assert [sample.value for sample in named(wait.samples, f"{WAIT}_bucket")] == [4, 4, 4]
    assert [sample.value for sample in named(wait.samples, f"{WAIT}_count")] == [4]


def test_histogram_without_its_last_bucket_gets_one() -> None:
    wait = family(WAIT, line(f"{WAIT}_bucket", 2.0, le="0.5"))
    assert [sample.labels["le"] for sample in named(wait.samples, f"{WAIT}_bucket")] == ["0.5", "+Inf"]


def test_versions_have_histograms_of_their_own() -> None:
    lines = [line(f"{WAIT}_bucket", count, le="+Inf", model_version=version) for version, count in (("1", 1), ("2", 2))]
    wait = family(WAIT, *lines)
    assert {sample.labels["model_version"]: sample.value for sample in named(wait.samples, f"{WAIT}_count")} == {
        "1": 1,
        "2": 2,
    }


def test_host_name_is_no_label_and_its_series_are_added_up() -> None:
    lines = [line("torchlight_requests_total", 2.0, kind="predict")]
    lines += [lines[0].replace('"host"', '"other"')]
    requests = family("torchlight_requests", *lines)
    assert [(sample.labels, sample.value) for sample in requests.samples] == [
        ({"model_name": "digits", "model_version": "1.0", "kind": "predict"}, 4)
    ]


def test_encoded_signs_of_a_label_are_decoded() -> None:
    lines = [
        line("torchlight_predictions_total", 1.0, label=label) for label in ("a%7Cb%2Cc%3Ad%23e", "50%25", '\\"x\\"')
    ]
    predicted = family("torchlight_predictions", *lines)
    assert set(values(predicted, "label")) == {("a|b,c:d#e",), ("50%",), ('"x"',)}


def test_torchserves_own_counters_have_base_units_and_roles() -> None:
    names = ("digits", "digits-explain", "digits-unbatched")
    lines = [line("ts_queue_latency_microseconds", 2_500_000.0, model_name=name) for name in names]
    queue = family("ts_queue_latency_seconds", *lines)
    assert values(queue, "model_name", "model_version", "role") == {
        ("digits", "1.0", role): 2.5 for role in ("predict", "explain", "unbatched")
    }


def test_metrics_that_are_not_documented_are_left_out() -> None:
    names = {metric.name for metric in torchserve.convert(text(line("QueueTime", 1.0), line("other_total", 1.0)))}
    assert not names & {"QueueTime", "other"}


def test_an_empty_text_gives_families_without_samples() -> None:
    metrics = list(torchserve.convert(""))
    assert len(metrics) == len(torchserve.WORKERS) + len(torchserve.COUNTERS)
    assert [sample for metric in metrics for sample in metric.samples] == []
