"""The parts of a run, in their order."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.compare.measurements import explanations, interference, scaling, startup, throughput
from benchmarks.compare.results import Figures, Measured, Where
from benchmarks.compare.run_config import Setting


@dataclass(frozen=True, slots=True)
class Part:
    """A part: `title` heads its section of docs/performance.md, `figures` is what its file holds.

    Attributes:
        least: seconds that one run takes at least.
        share: of the wanted seconds, what one of its many runs takes.
    """

    name: str
    title: str
    figures: type[Figures]
    measure: Callable[[Setting], Figures]
    least: float = 0.0
    share: float = 1.0


PARTS = {
    part.name: part
    for part in (
        Part("photos", "Photos: ResNet-18 at 224 px, 64 clients", throughput.Throughput, throughput.photos),
        Part("small", "Small images: the `cnn` at 24 px, 64 clients", throughput.Throughput, throughput.small),
        Part("one", "One client", throughput.Throughput, throughput.one),
        Part(
            "explain",
            "Explanations: `ig` with 20 steps, ResNet-18 at 224 px, 4 clients",
            throughput.Throughput,
            explanations.measure,
            least=30,
        ),
        Part("isolation", "Predictions during explanations", interference.Isolation, interference.measure),
        Part("growth", "Scaling", scaling.Growth, scaling.measure, share=0.5),
        Part("start", "Start", startup.Start, startup.measure),
    )
}


def measure(part: Part, setting: Setting) -> Measured:
    """Run a part, and say where, when and how long."""
    began = time.monotonic()
    setting = replace(setting, seconds=max(part.least, part.share * setting.seconds))
    figures = part.measure(setting)
    return Measured(
        part=part.name,
        where=Where.here(),
        seconds=setting.seconds,
        rounds=setting.rounds,
        took=round(time.monotonic() - began, 1),
        figures=figures.model_dump(mode="json"),
    )
