"""Part `scaling`: throughput by cores and workers, latency by offered load, memory by workers and versions."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks.compare import plots, processes, reference, workload
from benchmarks.compare.load import open_loop, wrk
from benchmarks.compare.reference import ReferenceRequest
from benchmarks.compare.results import PartFigures, ResultModel, Spread, three_digits
from benchmarks.compare.run_config import RunConfig
from benchmarks.compare.systems import torchlight
from benchmarks.compare.workload import VERSION, Workload
from benchmarks.report import table
from serving.torchserve.management import Management

logger = logging.getLogger(__name__)

WORKERS = (1, 2, 3, 4)
CLIENTS = 64
# Offered loads as factors of the server's capacity.
LOADS = (0.25, 0.5, 0.75, 0.9, 1.1, 1.5, 2.0, 3.0, 5.0)
READY_SECONDS = 120.0


class Point(ResultModel):
    """Responses per second with a number of workers on some cores, which the load generator shares."""

    model: str
    cores: int
    workers: int
    rate: Spread


class Latency(ResultModel):
    """Result of an offered load: rates in requests per second, latency of accepted requests in milliseconds."""

    load: float
    offered: float
    answered: float
    p50: float
    p99: float
    refused: dict[str, int]
    generator_delay: float


class Memory(ResultModel):
    """Bytes (PSS) of the whole server with 1 to 4 predict workers, and of one more version."""

    model: str
    workers: tuple[float, ...]
    extra_version: float


class Scaling(PartFigures):
    """Throughput, latency and memory. `model` is the model of the latencies."""

    points: tuple[Point, ...]
    model: str
    latencies: tuple[Latency, ...]
    memories: tuple[Memory, ...]

    def markdown(self) -> str:
        """Return the plots, each with a table of its values."""
        points = [
            [f"`{point.model}`", f"{point.cores}", f"{point.workers}", point.rate.text()] for point in self.points
        ]
        latencies = [
            [
                f"{latency.load:g} x",
                f"{latency.offered:.0f}",
                f"{latency.answered:.0f}",
                f"{latency.p50:.0f}",
                f"{latency.p99:.0f}",
                _refused(latency),
                f"{latency.generator_delay:.0f}",
            ]
            for latency in self.latencies
        ]
        memories = [
            [f"`{memory.model}`", *(_megabytes(value) for value in memory.workers), _megabytes(memory.extra_version)]
            for memory in self.memories
        ]
        return "\n\n".join(
            (
                "![Throughput by workers](pictures/throughput.png)",
                table(["model", "cores", "workers", "responses/s"], points),
                f"![Latency by offered load](pictures/latency.png)\n\n`{self.model}`: requests start at even "
                "intervals. The latency of a request counts from its planned start. Above the server's capacity its "
                "queue is full. It then refuses further requests at once, with 503 and `Retry-After`.",
                table(
                    ["load", "offered/s", "answered/s", "median, ms", "p99, ms", "refused", "generator delay, ms"],
                    latencies,
                ),
                "![Memory](pictures/memory.png)\n\nMemory of the whole server in MB: Java, HAProxy, the gRPC gateway, "
                "one explain worker, one unbatched worker, and the predict workers. Pages that processes share count "
                "once (PSS). One more version adds a predict worker per core, an explain worker and an unbatched "
                "worker.",
                table(
                    [
                        "model",
                        *(f"{count} worker{'s' * (count > 1)}" for count in WORKERS),
                        "one more version",
                    ],
                    memories,
                ),
            )
        )


def _megabytes(value: float) -> str:
    return f"{value / 1e6:.0f}"


def _refused(latency: Latency) -> str:
    return ", ".join(f"{count} x {status}" for status, count in latency.refused.items()) or "none"


def measure(config: RunConfig) -> Scaling:
    """Measure the digits, and the photos if there are any. Offered load is measured for the last of them."""
    works = [workload.digits(config)] + ([workload.photos(config)] if config.photos else [])
    cores = sorted(os.sched_getaffinity(0))
    points: list[Point] = []
    for work in works:
        for count in sorted({1, len(cores)}):
            with _pinned(cores[:count]), torchlight.serve(work, config.port, *torchlight.PREDICT_ONLY) as url:
                points += throughput(work, url, config, count)
    memories = []
    for work in works:
        with torchlight.serve(work, config.port):
            memories.append(memory(work, config.port))
    latencies = latency_by_load(works[-1], config)
    scaling = Scaling(points=tuple(points), model=works[-1].name, latencies=tuple(latencies), memories=tuple(memories))
    draw(scaling, config.plots)
    return scaling


@contextmanager
def _pinned(cores: Sequence[int]) -> Iterator[None]:
    """Pin this process, and all that it starts, to these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def throughput(work: Workload, url: str, config: RunConfig, cores: int) -> list[Point]:
    """Measure each number of workers, up to two per core, in interleaved rounds."""
    management, scratch = torchlight.management(work, config.port), config.folder / "wrk" / "scaling"
    rates: dict[int, list[float]] = {count: [] for count in WORKERS if count <= 2 * cores}
    references = _references(work, url)
    for number in range(1, config.rounds + 1):
        for count in rates:
            _scale(management, work, count)
            wrk.run(url, references, CLIENTS, 1, scratch)
            rates[count].append(wrk.run(url, references, CLIENTS, config.seconds, scratch).rate)
            _references(work, url)  # drains wrk's last requests: TorchServe may end a worker in the middle of a batch
            logger.info(
                "%s, %d cores, %d workers, round %d of %d: %s responses/s",
                *(work.name, cores, count, number, config.rounds, three_digits(rates[count][-1])),
            )
    return [
        Point(model=work.name, cores=cores, workers=count, rate=Spread.of(values)) for count, values in rates.items()
    ]


def latency_by_load(work: Workload, config: RunConfig) -> list[Latency]:
    """Measure offered loads of up to five times the capacity, which wrk measures first on the same server."""
    latencies, scratch = [], config.folder / "wrk" / "scaling"
    with torchlight.serve(work, config.port, *torchlight.PREDICT_ONLY) as url:
        references = _references(work, url)
        wrk.run(url, references, CLIENTS, 2, scratch)
        capacity = wrk.run(url, references, CLIENTS, config.seconds, scratch).rate
        _references(work, url)  # drains wrk's last requests
        for load in LOADS:
            offered = open_loop.run(url, references, load * capacity, config.seconds)
            if offered.wrong:
                raise ValueError(f"{offered.wrong} responses at {load:g} x the capacity differ from the idle server's")
            rates = (three_digits(offered.rate), three_digits(offered.answered))
            median = three_digits(offered.percentile(0.5))
            message = "%s at %g x its capacity: %s offered/s, %s answered/s, median %s ms"
            logger.info(message, work.name, load, *rates, median)
            refused = {str(status): count for status, count in sorted(offered.refused.items())}
            latencies.append(
                Latency(
                    load=load,
                    offered=offered.rate,
                    answered=offered.answered,
                    p50=offered.percentile(0.5),
                    p99=offered.percentile(0.99),
                    refused=refused,
                    generator_delay=offered.generator_delay,
                )
            )
    return latencies


def memory(work: Workload, port: int) -> Memory:
    """Measure the memory of all processes below this one."""
    management, by_workers = torchlight.management(work, port), []
    for count in WORKERS:
        _scale(management, work, count)
        _use_all_workers(work, f"http://127.0.0.1:{port}", 4 * count)
        by_workers.append(processes.memory(processes.descendants()))
        logger.info("%s, %d workers: %.0f MB", work.name, count, by_workers[-1] / 1e6)
    _scale(management, work, 1)
    before = processes.memory(processes.descendants())
    with torchlight.extra_version(work, management):
        extra_version = processes.memory(processes.descendants()) - before
    return Memory(model=work.name, workers=tuple(by_workers), extra_version=extra_version)


def _use_all_workers(work: Workload, url: str, times: int) -> None:
    """Let every worker respond, so that it has allocated its memory. Two requests at once reach the batch workers."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: _references(work, url), range(times)))


def _references(work: Workload, url: str) -> list[ReferenceRequest]:
    request = torchlight.image_request(work)
    return reference.record(url, work.images, request, torchlight.parse_response, work.expected)


def _scale(management: Management, work: Workload, workers: int) -> None:
    management.scale(work.name, VERSION, workers)
    management.await_ready(work.name, VERSION, READY_SECONDS)


def draw(scaling: Scaling, folder: Path) -> None:
    """Write the three plots."""
    folder.mkdir(parents=True, exist_ok=True)
    plots.throughput(folder / "throughput.png", [(p.model, p.cores, p.workers, p.rate) for p in scaling.points])
    plots.latency(folder / "latency.png", [(o.offered, o.answered, o.p50, o.p99) for o in scaling.latencies])
    plots.memory(folder / "memory.png", [(m.model, m.workers) for m in scaling.memories])
