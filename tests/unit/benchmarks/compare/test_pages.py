"""What was measured is kept with its circumstances, and pages are made from that alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.compare import page
from benchmarks.compare.measurements import startup
from benchmarks.compare.measurements.interference import Isolation
from benchmarks.compare.measurements.scaling import Growth, Latency, Memory, Point, draw
from benchmarks.compare.measurements.throughput import Row, Throughput
from benchmarks.compare.results import Measured, Spread, Where, load, revision

WHERE = Where(
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


def row(name: str, mode: str, ratio: float | None) -> Row:
    return Row(
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
        by="rate",
        rows=(
            row("torchlight", "", None),
            row("stock", "box", 4.5),
            row("litserve", "box", 3.5),
            row("litserve", "engine", 1.2),
            Row(name="bentoml", mode="box", version="1", error="ValueError: a | b"),
        ),
        ceiling=spread(120),
        share=spread(0.83),
        served=spread(0.9),
        generator=spread(0.1),
        engine="cpu-int8",
        costs={"workers": spread(200), "Java": spread(40)},
        image=spread(150),
    )


def measured() -> Measured:
    figures = throughput().model_dump(mode="json")
    return Measured(part="photos", where=WHERE, seconds=8, rounds=3, took=99.5, figures=figures)


def test_ratios_are_of_runs_that_were_paired() -> None:
    """The machine was half as fast in the second round: the ratio does not know."""
    assert Spread.ratios([400, 200], [100, 50]) == Spread(median=4, least=4, most=4)


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert load("photos", tmp_path) is None
    measured().save(tmp_path)
    assert load("photos", tmp_path) == measured()
    assert [path.name for path in tmp_path.iterdir()] == ["photos.json"]


def test_a_result_of_another_kind_says_how_to_make_it_again(tmp_path: Path) -> None:
    (tmp_path / "photos.json").write_text('{"part": "photos"}')
    with pytest.raises(ValueError, match="--only photos"):
        load("photos", tmp_path)


def test_pages_are_made_from_results_and_name_who_failed(tmp_path: Path) -> None:
    measured().save(tmp_path)
    document, readme = tmp_path / "performance.md", tmp_path / "README.md"
    readme.write_text("# Torchlight\n\nWords.\n")
    missing = page.write(document, readme, tmp_path)
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
    assert "Words." in readme.read_text()
    assert "| every peer" not in text.partition("ResNet-18 at 224 px, JPEG")[0]
    page.write(document, readme, tmp_path)
    assert document.read_text() == text


def test_the_mark_is_held_against_the_best_peer() -> None:
    held = {mark.mark: (mark.found.partition(" ")[0], mark.holds) for mark in throughput().marks()}
    assert held == {
        "at least 4 x stock": ("4.50", True),
        "at least 4 x every peer, out of the box": ("3.50", False),
        "ahead of every peer, same engine": ("1.20", True),
        "at least 85% of the in-process ceiling": ("83%", False),
    }


def test_a_start_is_taken_apart_by_the_log() -> None:
    log = (
        "Java: /usr/bin/java\n"
        "2026-11-24T10:00:01,500 INFO  [main] ModelServer - Metrics API bind to: http://127.0.0.1:24182\n"
        "2026-11-24T10:00:03,000 INFO  [W-9000-stdout] MODEL_LOG - Torch worker started.\n"
        "2026-11-24T10:00:03,250 INFO  [W-9000-stdout] MODEL_LOG - engine cpu-int8 answers, on cpu\n"
        "2026-11-24T10:00:09,000 INFO  [W-9001-stdout] MODEL_LOG - Torch worker started.\n"
    )
    began = startup._moment(startup.STAMP.match("2026-11-24T10:00:00,000 ") or pytest.fail("no stamp"))
    assert list(startup.parts(log, began, began + 5).values()) == [1.5, 1.5, 0.25, 1.75]
    with pytest.raises(ValueError, match="Torch worker started"):
        startup.parts(log.replace("Torch worker", "worker"), began, began + 5)


def test_growth_is_drawn_and_told(tmp_path: Path) -> None:
    found = Growth(
        points=tuple(
            Point(model=name, cores=cores, workers=workers, rate=spread(100.0 * cores))
            for name in ("digits", "photos")
            for cores, workers in ((1, 1), (2, 1), (2, 2))
        ),
        model="photos",
        latencies=tuple(
            Latency(
                load=load, offered=40 * load, answered=min(40, 40 * load), p50=20, p99=90, refused={"503": 7}, late=2
            )
            for load in (0.5, 1, 5)
        ),
        memories=(Memory(model="digits", workers=(9e8, 11e8, 13e8, 15e8), version=3e8),),
    )
    draw(found, tmp_path)
    pictures = sorted(tmp_path.iterdir())
    assert [path.name for path in pictures] == ["latency.png", "memory.png", "throughput.png"]
    assert all(1_000 < path.stat().st_size < 100_000 for path in pictures)
    text = found.page()
    assert all(f"(pictures/{path.name})" in text for path in pictures)
    assert "| 5 x | 200 | 40 | 20 | 90 | 7 x 503 | 2 |" in text
    assert "| `digits` | 900 | 1100 | 1300 | 1500 | 300 |" in text


def test_isolation_holds_up_to_one_and_a_half() -> None:
    def ratio(value: float) -> bool:
        same = dict.fromkeys(("alone", "flooded", "burdened", "floor", "explained"), spread(1))
        return Isolation(**same, ratio=spread(value)).marks()[0].holds

    assert (ratio(1.5), ratio(1.51)) == (True, False)


def test_only_what_can_change_a_figure_makes_a_revision_another_one(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message", "one"]):
        subprocess.run([*git, *words], check=True)
    plain = revision(tmp_path)
    assert plain.isalnum()
    for written in ("benchmarks/results/photos.json", "docs/performance.md", "README.md"):
        path = tmp_path / written
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("measured")
        assert revision(tmp_path) == plain
    (tmp_path / "handlers.py").write_text("code")
    assert revision(tmp_path) == f"{plain}+"


def test_a_copy_without_history_has_no_revision(tmp_path: Path) -> None:
    assert revision(tmp_path) == "unknown"
