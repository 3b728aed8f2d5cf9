"""growth: throughput by cores and workers, latency by offered load, memory by workers and versions; as pictures too."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks.compare import plots, processes, workload
from benchmarks.compare.load import open_loop, wrk
from benchmarks.compare.reference import Question, ask
from benchmarks.compare.results import Figure, Figures, Spread, three
from benchmarks.compare.run_config import Setting
from benchmarks.compare.systems import torchlight
from benchmarks.compare.workload import VERSION, Workload
from benchmarks.report import table
from serving.torchserve.management import Management

logger = logging.getLogger(__name__)

WORKERS = (1, 2, 3, 4)
CLIENTS = 64
# Of what the server answers at most.
LOADS = (0.25, 0.5, 0.75, 0.9, 1.1, 1.5, 2.0, 3.0, 5.0)
READY_SECONDS = 120.0


class Point(Figure):
    """Answers a second with so many workers on so many cores, the generator on the same."""

    model: str
    cores: int
    workers: int
    rate: Spread


class Latency(Figure):
    """What an offered load led to, in requests a second; milliseconds of those that were answered."""

    load: float
    offered: float
    answered: float
    p50: float
    p99: float
    refused: dict[str, int]
    late: float


class Memory(Figure):
    """Bytes (PSS) of the whole server with 1 to 4 workers that predict, and with one version more."""

    model: str
    workers: tuple[float, ...]
    version: float


class Growth(Figures):
    """All three."""

    points: tuple[Point, ...]
    model: str
    latencies: tuple[Latency, ...]
    memories: tuple[Memory, ...]

    def page(self) -> str:
        """Pictures, and the numbers that they are drawn from."""
        points = [
            [f"`{point.model}`", f"{point.cores}", f"{point.workers}", point.rate.text()] for point in self.points
        ]
        latencies = [
            [
                f"{one.load:g} x",
                f"{one.offered:.0f}",
                f"{one.answered:.0f}",
                f"{one.p50:.0f}",
                f"{one.p99:.0f}",
                _refused(one),
                f"{one.late:.0f}",
            ]
            for one in self.latencies
        ]
        memories = [
            [f"`{one.model}`", *(f"{value / 1e6:.0f}" for value in one.workers), f"{one.version / 1e6:.0f}"]
            for one in self.memories
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


def _refused(one: Latency) -> str:
    return ", ".join(f"{count} x {status}" for status, count in one.refused.items()) or "none"


def measure(setting: Setting) -> Growth:
    """Of the digits, and of the photos where there are some; the latter alone under offered load, if there are."""
    works = [workload.digits(setting)] + ([workload.photos(setting)] if setting.photos else [])
    cores = sorted(os.sched_getaffinity(0))
    points: list[Point] = []
    for work in works:
        for count in sorted({1, len(cores)}):
            with _only(cores[:count]), torchlight.serve(work, setting.port, *torchlight.PREDICT_ONLY) as url:
                points += throughput(work, url, setting, count)
    memories = []
    for work in works:
        with torchlight.serve(work, setting.port):
            memories.append(memory(work, setting.port))
    latencies = overload(works[-1], setting)
    found = Growth(points=tuple(points), model=works[-1].name, latencies=tuple(latencies), memories=tuple(memories))
    draw(found, setting.pictures)
    return found


@contextmanager
def _only(cores: Sequence[int]) -> Iterator[None]:
    """This process, and all that it starts, on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def throughput(work: Workload, url: str, setting: Setting, cores: int) -> list[Point]:
    """Each number of workers up to two a core in turn, and again in each round."""
    management, scratch = torchlight.management(work, setting.port), setting.folder / "wrk" / "growth"
    rates: dict[int, list[float]] = {count: [] for count in WORKERS if count <= 2 * cores}
    questions = _questions(work, url)
    for number in range(1, setting.rounds + 1):
        for count in rates:
            _scale(management, work, count)
            wrk.run(url, questions, CLIENTS, 1, scratch)
            rates[count].append(wrk.run(url, questions, CLIENTS, setting.seconds, scratch).rate)
            _questions(work, url)  # behind what wrk left: TorchServe ends a worker in the middle of a batch, if it must
            told = (work.name, cores, count, number, setting.rounds, three(rates[count][-1]))
            logger.info("%s, cores: %d, workers: %d, round %d of %d: %s answers a second", *told)
    return [Point(model=work.name, cores=cores, workers=count, rate=Spread.of(found)) for count, found in rates.items()]


def overload(work: Workload, setting: Setting) -> list[Latency]:
    """Offered loads of up to five times what the same server answers under wrk, with the workers of its settings."""
    found, scratch = [], setting.folder / "wrk" / "growth"
    with torchlight.serve(work, setting.port, *torchlight.PREDICT_ONLY) as url:
        questions = _questions(work, url)
        wrk.run(url, questions, CLIENTS, 2, scratch)
        capacity = wrk.run(url, questions, CLIENTS, setting.seconds, scratch).rate
        _questions(work, url)  # behind what wrk left in the queue
        for load in LOADS:
            one = open_loop.offer(url, questions, load * capacity, setting.seconds)
            if one.wrong:
                raise ValueError(
                    f"{one.wrong} answers at {load:g} times the capacity were not those of the idle server"
                )
            told = (work.name, load, three(one.rate), three(one.answered), three(one.percentile(0.5)))
            logger.info("%s at %g x its capacity, %s a second: %s answered, median %s ms", *told)
            refused = {str(status): count for status, count in sorted(one.refused.items())}
            found.append(
                Latency(
                    load=load,
                    offered=one.rate,
                    answered=one.answered,
                    p50=one.percentile(0.5),
                    p99=one.percentile(0.99),
                    refused=refused,
                    late=one.late,
                )
            )
    return found


def memory(work: Workload, port: int) -> Memory:
    """Of everything that this process has started."""
    management, held = torchlight.management(work, port), []
    for count in WORKERS:
        _scale(management, work, count)
        _each(work, f"http://127.0.0.1:{port}", 4 * count)
        held.append(processes.memory(processes.descendants()))
        logger.info("%s, workers: %d: %.0f MB", work.name, count, held[-1] / 1e6)
    _scale(management, work, 1)
    before = processes.memory(processes.descendants())
    with torchlight.again(work, management):
        more = processes.memory(processes.descendants()) - before
    return Memory(model=work.name, workers=tuple(held), version=more)


def _each(work: Workload, url: str, times: int) -> None:
    """Let every worker answer, so that what it takes is taken; two at once, for one alone has a worker of its own."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: _questions(work, url), range(times)))


def _questions(work: Workload, url: str) -> list[Question]:
    return ask(url, work.images, torchlight.request(work), torchlight.answer, work.expected)


def _scale(management: Management, work: Workload, workers: int) -> None:
    management.scale(work.name, VERSION, workers)
    management.await_ready(work.name, VERSION, READY_SECONDS)


def draw(found: Growth, folder: Path) -> None:
    """The three pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    plots.throughput(folder / "throughput.png", [(p.model, p.cores, p.workers, p.rate) for p in found.points])
    plots.latency(folder / "latency.png", [(o.offered, o.answered, o.p50, o.p99) for o in found.latencies])
    plots.memory(folder / "memory.png", [(m.model, m.workers) for m in found.memories])
