"""The parts of a run, in their order."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.compare.measurements import explanations, interference, scaling, startup, throughput
from benchmarks.compare.results import PartFigures, PartResult, RunEnvironment
from benchmarks.compare.run_config import RunConfig


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a run.

    Attributes:
        name: names the results file, and the value of --only.
        title: heading of its section in docs/benchmarks/performance.md.
        figures: type of the figures in its file.
        measure: makes the figures.
        min_seconds: minimum length of a round.
        seconds_factor: length of a round as a factor of --seconds, for parts with many rounds.
    """

    name: str
    title: str
    figures: type[PartFigures]
    measure: Callable[[RunConfig], PartFigures]
    min_seconds: float = 0.0
    seconds_factor: float = 1.0


PARTS = {
    part.name: part
    for part in (
        Part("photos", "Photos: ResNet-18 at 224 px, 64 clients", throughput.Throughput, throughput.photos),
        Part("small", "Small images: the `cnn` at 24 px, 64 clients", throughput.Throughput, throughput.small),
        Part("single", "One client", throughput.Throughput, throughput.single_client),
        Part(
            "explain",
            "Explanations: `ig` with 20 steps, ResNet-18 at 224 px, 4 clients",
            throughput.Throughput,
            explanations.measure,
            min_seconds=30,
        ),
        Part("interference", "Predictions during explanations", interference.Interference, interference.measure),
        Part("scaling", "Scaling", scaling.Scaling, scaling.measure, seconds_factor=0.5),
        Part("start", "Start", startup.Startup, startup.measure),
    )
}


def measure(part: Part, config: RunConfig) -> PartResult:
    """Run a part, and return its result with its environment and duration."""
    start = time.monotonic()
    config = replace(config, seconds=max(part.min_seconds, part.seconds_factor * config.seconds))
    figures = part.measure(config)
    return PartResult(
        part=part.name,
        environment=RunEnvironment.current(),
        seconds=config.seconds,
        rounds=config.rounds,
        duration_seconds=round(time.monotonic() - start, 1),
        figures=figures.model_dump(mode="json"),
    )
