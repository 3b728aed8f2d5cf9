"""Parts `photos`, `small` and `single`: all systems serve the same model and images, in interleaved rounds."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import Literal

from benchmarks.compare import workload
from benchmarks.compare.measurements import ceiling
from benchmarks.compare.results import PartFigures, ResultModel, Spread, Target, three_digits
from benchmarks.compare.rounds import MODE_NAMES, RunningSystem, SystemUnderTest, running_systems
from benchmarks.compare.run_config import RunConfig
from benchmarks.compare.systems import PEERS, Mode, selection
from benchmarks.compare.workload import Workload
from benchmarks.report import table

logger = logging.getLogger(__name__)

Name = Literal["photos", "small", "single", "explain"]
Metric = Literal["rate", "p50"]


class SystemResult(ResultModel):
    """Figures of a system: right responses per second, latency in milliseconds.

    Attributes:
        ratio: Torchlight's rate or median latency by that of this system.
        error: why the system is excluded.
    """

    name: str
    mode: str
    version: str
    rate: Spread | None = None
    p50: Spread | None = None
    p99: Spread | None = None
    ratio: Spread | None = None
    error: str | None = None


class Throughput(PartFigures):
    """Figures of all systems, Torchlight first.

    Attributes:
        metric: compared by `ratio`: rates (more is better) or median latencies (less is better).
        ceiling: images per second of decoding and the same engine in a loop, a process per core, without a server.
        ceiling_share: Torchlight's rate by the ceiling.
        available_share: Torchlight's rate by the ceiling of the cores that wrk leaves.
        generator_cores: cores that wrk uses while it measures Torchlight.
        engine: engine that Torchlight's responses name.
        cpu_microseconds: CPU time of a response, by component of Torchlight.
        ceiling_cpu_microseconds: CPU time of an image in the ceiling's loop.
    """

    part: Name
    clients: int
    metric: Metric
    systems: tuple[SystemResult, ...]
    ceiling: Spread | None = None
    ceiling_share: Spread | None = None
    available_share: Spread | None = None
    generator_cores: Spread | None = None
    engine: str | None = None
    cpu_microseconds: dict[str, Spread] | None = None
    ceiling_cpu_microseconds: Spread | None = None

    def markdown(self) -> str:
        """Return a table with a row per system, and sentences on the ceiling and the CPU time."""
        ratio_heading = "throughput ratio" if self.metric == "rate" else "latency ratio"
        headings = ["server", "mode", "responses/s", "median, ms", "p99, ms", ratio_heading]
        rows = []
        for system in self.systems:
            name, mode = f"{system.name} {system.version}", MODE_NAMES[system.mode]
            if system.error is not None or system.rate is None or system.p50 is None or system.p99 is None:
                rows.append([name, mode, f"failed: {_cell(system.error or '')}", "", "", ""])
            else:
                ratio = system.ratio.text() if system.ratio else ""
                rows.append([name, mode, system.rate.text(), system.p50.text(), system.p99.text(), ratio])
        text = table(headings, rows)
        if self.ceiling and self.ceiling_share and self.available_share and self.generator_cores:
            text += (
                f"\n\nThe in-process ceiling is {self.ceiling.text()} images/s. "
                f"Torchlight reaches {_percent(self.ceiling_share)} of it. "
                f"wrk uses {self.generator_cores.text()} cores. "
                f"Torchlight reaches {_percent(self.available_share)} of what the ceiling could do without these."
            )
        text += f"\n\nTorchlight used the engine `{self.engine or 'not named'}`."
        if self.cpu_microseconds:
            components = ", ".join(f"{name} {cost.text()}" for name, cost in self.cpu_microseconds.items())
            text += f" CPU microseconds per response: {components}."
        if self.ceiling_cpu_microseconds:
            text += f" An image in the ceiling's loop takes {self.ceiling_cpu_microseconds.text()}."
        return text

    def targets(self) -> list[Target]:
        """Return the targets of this part that have a measured value."""
        return [target for target in TARGETS[self.part](self) if target is not None]

    def closest(self, mode: str, name: str | None = None) -> tuple[str, Spread] | None:
        """Return name and ratio of the closest peer of a mode, or of the named peer; None if it was not measured."""
        ratios = [
            (system.name, system.ratio)
            for system in self.systems
            if system.mode == mode and system.ratio and name in (None, system.name)
        ]
        select = min if self.metric == "rate" else max
        return select(ratios, key=lambda pair: pair[1].median) if ratios else None


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _percent(spread: Spread) -> str:
    return f"{spread.median:.0%} ({spread.minimum:.0%} to {spread.maximum:.0%})"


def _faster(figures: Throughput, work: str, mode: str, name: str | None, factor: float) -> Target | None:
    """Return the target: `factor` times the named peer, or every peer of the mode."""
    closest = figures.closest(mode, name)
    if closest is None:
        return None
    peer, ratio = closest
    opponent = name or f"every peer, {MODE_NAMES[mode]}"
    requirement = f"at least {factor:g} x {opponent}" if factor > 1 else f"ahead of {opponent}"
    return Target(
        workload=work, requirement=requirement, measured=f"{ratio.text()} x {peer}", met=ratio.median >= factor
    )


def _of_ceiling(work: str, share: Spread | None, min_share: float, condition: str) -> Target | None:
    if share is None:
        return None
    requirement = f"at least {min_share:.0%} of the in-process ceiling{condition}"
    return Target(workload=work, requirement=requirement, measured=_percent(share), met=share.median >= min_share)


def _photos_targets(figures: Throughput) -> Sequence[Target | None]:
    work = f"ResNet-18 at 224 px, JPEG photos, {figures.clients} clients"
    return (
        _faster(figures, work, "default", "stock", 4.0),
        _faster(figures, work, "default", None, 4.0),
        _faster(figures, work, "engine", None, 1.0),
        _of_ceiling(work, figures.ceiling_share, 0.85, ""),
    )


def _small_targets(figures: Throughput) -> Sequence[Target | None]:
    work = f"`cnn` at 24 px, {figures.clients} clients"
    return (
        _faster(figures, work, "default", "stock", 3.0),
        _faster(figures, work, "default", "fastapi", 2.5),
        _of_ceiling(work, figures.available_share, 0.70, ", without the cores that wrk uses"),
    )


def _single_targets(figures: Throughput) -> Sequence[Target | None]:
    work, median = "`cnn` at 24 px, one client: median latency", figures.systems[0].p50
    if median is None:
        return ()
    absolute = Target(
        workload=work, requirement="at most 2 ms", measured=f"{median.text('ms')}", met=median.median <= 2
    )
    stock = figures.closest("default", "stock")
    if stock is None:
        return (absolute,)
    ratio = stock[1]
    relative = Target(
        workload=work, requirement="at most 0.5 x stock", measured=f"{ratio.text()} x stock", met=ratio.median <= 0.5
    )
    return absolute, relative


def _explain_targets(figures: Throughput) -> Sequence[Target | None]:
    work = "explanations, `ig` with 20 steps, ResNet-18 at 224 px"
    return (_faster(figures, work, "default", "stock-ig", 2.0),)


TARGETS: dict[str, Callable[[Throughput], Sequence[Target | None]]] = {
    "photos": _photos_targets,
    "small": _small_targets,
    "single": _single_targets,
    "explain": _explain_targets,
}


def photos(config: RunConfig) -> Throughput:
    """Measure 64 clients and a ResNet-18."""
    work = workload.photos(config)
    systems = _systems(work, config, tuple(PEERS), selection.MODES)
    return compare("photos", config, work, 64, systems, with_ceiling=True)


def small(config: RunConfig) -> Throughput:
    """Measure 64 clients and the small network."""
    work = workload.digits(config)
    systems = _systems(work, config, tuple(PEERS), selection.MODES)
    return compare("small", config, work, 64, systems, with_ceiling=True)


def single_client(config: RunConfig) -> Throughput:
    """Measure one client and the small network."""
    work = workload.digits(config)
    systems = _systems(work, config, ("stock", "fastapi", "litserve"), ("default",))
    return compare("single", config, work, 1, systems)


def _systems(work: Workload, config: RunConfig, names: Sequence[str], modes: Sequence[Mode]) -> list[SystemUnderTest]:
    return [selection.torchlight_system(work, config), *selection.peer_systems(work, config, names, modes)]


def compare(
    part: Name,
    config: RunConfig,
    work: Workload,
    clients: int,
    systems: Sequence[SystemUnderTest],
    *,
    with_ceiling: bool = False,
) -> Throughput:
    """Measure all systems in interleaved rounds.

    Args:
        part: name of the part.
        config: length and number of the rounds, and folders.
        work: model and images.
        clients: number of connections.
        systems: systems under test, Torchlight first.
        with_ceiling: measure the in-process ceiling in each round, too.

    Raises:
        ValueError: Torchlight could not be measured.
    """
    model, cores = work.model(), len(os.sched_getaffinity(0))
    ceilings: list[float] = []
    with running_systems(systems, work.images, work.expected, config.folder / "wrk") as running:
        for number in range(1, config.rounds + 1):
            logger.info("%s, round %d of %d", part, number, config.rounds)
            for system in running:
                system.measure(clients, config.seconds)
            if with_ceiling and running[0].error is None:
                compiled = model.engine is not None
                ceilings.append(ceiling.measure(model, list(work.images), config.seconds, cores, compiled))
                logger.info("in-process ceiling: %s images/s", three_digits(ceilings[-1]))
    torchlight = running[0]
    if torchlight.error is not None:
        raise ValueError(f"Torchlight could not be measured: {torchlight.error}")
    metric: Metric = "p50" if clients == 1 else "rate"
    figures = Throughput(
        part=part,
        clients=clients,
        metric=metric,
        systems=tuple(_result(system, torchlight, metric) for system in running),
        engine=torchlight.engine,
        cpu_microseconds={
            component: Spread.of(costs[component] for costs in torchlight.cpu_microseconds)
            for component in torchlight.cpu_microseconds[0]
        },
    )
    if not ceilings:
        return figures
    rates, generator_cores = zip(*((load.rate, load.generator_cores) for load in torchlight.loads), strict=True)
    available = [rate * (cores - used) / cores for rate, used in zip(ceilings, generator_cores, strict=True)]
    return figures.model_copy(
        update={
            "ceiling": Spread.of(ceilings),
            "ceiling_cpu_microseconds": Spread.of(cores * 1e6 / rate for rate in ceilings),
            "ceiling_share": Spread.ratios(rates, ceilings),
            "available_share": Spread.ratios(rates, available),
            "generator_cores": Spread.of(generator_cores),
        }
    )


def _result(running: RunningSystem, torchlight: RunningSystem, metric: Metric) -> SystemResult:
    system = running.system
    if running.error is not None or not running.loads:
        error = running.error or "it was not measured"
        return SystemResult(name=system.name, mode=system.mode, version=system.version, error=error)
    torchlight_values, values = ([getattr(load, metric) for load in s.loads] for s in (torchlight, running))
    return SystemResult(
        name=system.name,
        mode=system.mode,
        version=system.version,
        rate=Spread.of(load.rate for load in running.loads),
        p50=Spread.of(load.p50 for load in running.loads),
        p99=Spread.of(load.p99 for load in running.loads),
        ratio=None if running is torchlight else Spread.ratios(torchlight_values, values),
    )
