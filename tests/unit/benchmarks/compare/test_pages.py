"""Results are saved with their environment, and pages are made from the results."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.compare import page
from benchmarks.compare.measurements import startup
from benchmarks.compare.measurements.interference import Interference
from benchmarks.compare.measurements.scaling import Latency, Memory, Point, Scaling, draw
from benchmarks.compare.measurements.throughput import SystemResult, Throughput
from benchmarks.compare.results import PartResult, RunEnvironment, Spread, load, revision

ENVIRONMENT = RunEnvironment(
    date="2026-11-24",
    commit="abc1234",
    machine="AMD EPYC",
    cores=2,
    system="Linux 6.1",
    python="3.11.7",
    packages={"torch": "2.13.0"},
)


def spread(value: float) -> Spread:
    return Spread.of([value, value * 0.9, value * 1.1])


def system_result(name: str, mode: str, ratio: float | None) -> SystemResult:
    return SystemResult(
        name=name,
        mode=mode,
        version="1",
        rate=spread(100),
        p50=spread(5),
        p99=spread(9),
        ratio=spread(ratio) if ratio else None,
    )


def throughput() -> Throughput:
    return Throughput(
        part="photos",
        clients=64,
        metric="rate",
        systems=(
            system_result("torchlight", "", None),
            system_result("stock", "default", 4.5),
            system_result("litserve", "default", 3.5),
            system_result("litserve", "engine", 1.2),
            SystemResult(name="bentoml", mode="default", version="1", error="ValueError: a | b"),
        ),
        ceiling=spread(120),
        ceiling_share=spread(0.83),
        available_share=spread(0.9),
        generator_cores=spread(0.1),
        engine="cpu-int8",
        cpu_microseconds={"workers": spread(200), "Java": spread(40)},
        ceiling_cpu_microseconds=spread(150),
    )


def part_result() -> PartResult:
    figures = throughput().model_dump(mode="json")
    return PartResult(
        part="photos", environment=ENVIRONMENT, seconds=8, rounds=3, duration_seconds=99.5, figures=figures
    )


def test_ratios_are_computed_from_paired_runs() -> None:
    """The machine was half as fast in the second round, which does not change the ratio."""
    assert Spread.ratios([400, 200], [100, 50]) == Spread(median=4, minimum=4, maximum=4)


def test_result_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    assert load("photos", tmp_path) is None
    part_result().save(tmp_path)
    assert load("photos", tmp_path) == part_result()
    assert [path.name for path in tmp_path.iterdir()] == ["photos.json"]


def test_invalid_result_is_an_error_that_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "photos.json").write_text('{"part": "photos"}')
    with pytest.raises(ValueError, match="--only photos"):
        load("photos", tmp_path)


def test_page_is_made_from_results_and_show_failures(tmp_path: Path) -> None:
    part_result().save(tmp_path)
    document = tmp_path / "performance.md"
    document.write_text("# Performance\n\nWords.\n")
    missing = page.write(document, tmp_path)
    assert "small" in missing
    assert "photos" not in missing
    text = document.read_text()
    assert "AMD EPYC" in text
    assert "at abc1234" in text
    assert "3 rounds of 8 s" in text
    assert "| bentoml 1 | out of the box | failed: ValueError: a \\| b |" in text
    assert "| stock 1 | out of the box | 100 (90.0 to 110) | 5.00 (4.50 to 5.50) | 9.00 (8.10 to 9.90) | 4.50 " in text
    assert (
        "per response: workers 200 (180 to 220), Java 40.0 (36.0 to 44.0). An image in the ceiling's loop takes 150 ("
        in text
    )
    assert "Words." in text
    assert "| every peer" not in text.partition("ResNet-18 at 224 px, JPEG")[0]
    page.write(document, tmp_path)
    assert document.read_text() == text


def test_targets_are_compared_with_the_best_peer() -> None:
    targets = {target.requirement: (target.measured.partition(" ")[0], target.met) for target in throughput().targets()}
    assert targets == {
        "at least 4 x stock": ("4.50", True),
        "at least 4 x every peer, out of the box": ("3.50", False),
        "ahead of every peer, same engine": ("1.20", True),
        "at least 85% of the in-process ceiling": ("83%", False),
    }


def test_start_is_split_into_steps_by_the_log() -> None:
    log = (
        "Java: /usr/bin/java\n"
        "2026-11-24T10:00:01,500 INFO  [main] ModelServer - Metrics API bind to: http://127.0.0.1:24182\n"
        "2026-11-24T10:00:03,000 INFO  [W-9000-stdout] MODEL_LOG - Torch worker started.\n"
        "2026-11-24T10:00:03,250 INFO  [W-9000-stdout] MODEL_LOG - engine cpu-int8 answers, on cpu\n"
        "2026-11-24T10:00:09,000 INFO  [W-9001-stdout] MODEL_LOG - Torch worker started.\n"
    )
    begin = startup._unix_time(startup.TIMESTAMP.match("2026-11-24T10:00:00,000 ") or pytest.fail("no stamp"))
    assert list(startup.step_seconds(log, begin, begin + 5).values()) == [1.5, 1.5, 0.25, 1.75]
    with pytest.raises(ValueError, match="Torch worker started"):
        startup.step_seconds(log.replace("Torch worker", "worker"), begin, begin + 5)


def test_scaling_has_plots_and_tables(tmp_path: Path) -> None:
    scaling = Scaling(
        points=tuple(
            Point(model=name, cores=cores, workers=workers, rate=spread(100.0 * cores))
            for name in ("digits", "photos")
            for cores, workers in ((1, 1), (2, 1), (2, 2))
        ),
        model="photos",
        latencies=tuple(
            Latency(
                load=load,
                offered=40 * load,
                answered=min(40, 40 * load),
                p50=20,
                p99=90,
                refused={"503": 7},
                generator_delay=2,
            )
            for load in (0.5, 1, 5)
        ),
        memories=(Memory(model="digits", workers=(9e8, 11e8, 13e8, 15e8), extra_version=3e8),),
    )
    draw(scaling, tmp_path)
    plots = sorted(tmp_path.iterdir())
    assert [path.name for path in plots] == ["latency.png", "memory.png", "throughput.png"]
    assert all(1_000 < path.stat().st_size < 100_000 for path in plots)
    text = scaling.markdown()
    assert all(f"(pictures/{path.name})" in text for path in plots)
    assert "| 5 x | 200 | 40 | 20 | 90 | 7 x 503 | 2 |" in text
    assert "| `digits` | 900 | 1100 | 1300 | 1500 | 300 |" in text


def test_interference_target_is_met_up_to_a_ratio_of_one_and_a_half() -> None:
    def meets_target(value: float) -> bool:
        names = set(Interference.model_fields) - {"explanations_ratio"}
        return Interference(**dict.fromkeys(names, spread(1)), explanations_ratio=spread(value)).targets()[0].met

    assert (meets_target(1.5), meets_target(1.51)) == (True, False)


def test_revision_is_marked_as_changed_only_by_files_that_can_change_a_figure(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message", "one"]):
        subprocess.run([*git, *words], check=True)
    clean = revision(tmp_path)
    assert clean.isalnum()
    for written in ("benchmarks/results/photos.json", "docs/benchmarks/performance.md", "README.md"):
        path = tmp_path / written
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("measured")
        assert revision(tmp_path) == clean
    (tmp_path / "handlers.py").write_text("code")
    assert revision(tmp_path) == f"{clean}+"


def test_copy_without_history_has_an_unknown_revision(tmp_path: Path) -> None:
    assert revision(tmp_path) == "unknown"
