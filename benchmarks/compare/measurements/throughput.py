"""photos, small, one: all answer about the same images with the same model, in turn."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import Literal

from benchmarks.compare import workload
from benchmarks.compare.measurements import ceiling
from benchmarks.compare.results import Figure, Figures, Mark, Spread, three
from benchmarks.compare.rounds import MODE_WORDS, Contestant, Server, field_of
from benchmarks.compare.run_config import Setting
from benchmarks.compare.systems import PEERS, Mode, selection
from benchmarks.compare.workload import Workload
from benchmarks.report import table

logger = logging.getLogger(__name__)

Name = Literal["photos", "small", "one", "explain"]
By = Literal["rate", "p50"]


class Row(Figure):
    """A contestant: right answers a second, milliseconds, and how many times that ours is; `error`: why it is out."""

    name: str
    mode: str
    version: str
    rate: Spread | None = None
    p50: Spread | None = None
    p99: Spread | None = None
    ratio: Spread | None = None
    error: str | None = None


class Throughput(Figures):
    """All contestants, the bundle first.

    Attributes:
        by: what `ratio` compares: rates (ours by theirs, more is better) or medians (ours by theirs, less is better).
        ceiling: images a second of decoding and the same program in a loop, a process a core, without any server.
        share: of that ceiling, what the bundle reached.
        served: the same of what the cores could do that wrk left.
        generator: cores that wrk took of the bundle's.
        engine: what the bundle's answers named.
        costs: microseconds of CPU that an answer of the bundle's took, by its parts.
        image: microseconds of CPU that an image of the ceiling took.
    """

    part: Name
    clients: int
    by: By
    rows: tuple[Row, ...]
    ceiling: Spread | None = None
    share: Spread | None = None
    served: Spread | None = None
    generator: Spread | None = None
    engine: str | None = None
    costs: dict[str, Spread] | None = None
    image: Spread | None = None

    def page(self) -> str:
        """A row a contestant."""
        ratio_head = "throughput ratio" if self.by == "rate" else "latency ratio"
        heads = ["server", "mode", "responses/s", "median, ms", "p99, ms", ratio_head]
        lines = []
        for row in self.rows:
            name, mode = f"{row.name} {row.version}", MODE_WORDS[row.mode]
            if row.error is not None or row.rate is None or row.p50 is None or row.p99 is None:
                lines.append([name, mode, f"failed: {_cell(row.error or '')}", "", "", ""])
            else:
                ratio = row.ratio.text() if row.ratio else ""
                lines.append([name, mode, row.rate.text(), row.p50.text(), row.p99.text(), ratio])
        text = table(heads, lines)
        if self.ceiling and self.share and self.served and self.generator:
            text += (
                f"\n\nThe in-process ceiling is {self.ceiling.text()} images/s. "
                f"Torchlight reaches {_percent(self.share)} of it. wrk uses {self.generator.text()} cores. "
                f"Torchlight reaches {_percent(self.served)} of what the ceiling could do without these."
            )
        text += f"\n\nTorchlight used the engine `{self.engine or 'not named'}`."
        if self.costs:
            parts = ", ".join(f"{part} {cost.text()}" for part, cost in self.costs.items())
            text += f" CPU microseconds per response: {parts}."
        if self.image:
            text += f" An image in the ceiling's loop takes {self.image.text()}."
        return text

    def marks(self) -> list[Mark]:
        """The marks that these figures speak of."""
        return [mark for mark in MARKS[self.part](self) if mark is not None]

    def ratio(self, mode: str, name: str | None = None) -> tuple[str, Spread] | None:
        """The peer of this mode that the bundle is least ahead of, or this one; None where none was measured."""
        found = [
            (f"{row.name}", row.ratio)
            for row in self.rows
            if row.mode == mode and row.ratio and name in (None, row.name)
        ]
        worst = min if self.by == "rate" else max
        return worst(found, key=lambda pair: pair[1].median) if found else None


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _percent(spread: Spread) -> str:
    return f"{spread.median:.0%} ({spread.least:.0%} to {spread.most:.0%})"


def _against(found: Throughput, work: str, mode: str, name: str | None, least: float) -> Mark | None:
    pair = found.ratio(mode, name)
    if pair is None:
        return None
    who = name or f"every peer, {MODE_WORDS[mode]}"
    better = "at least" if least > 1 else "ahead of"
    mark = f"{better} {f'{least:g} x ' if least > 1 else ''}{who}"
    shown = f"{pair[1].text()} x {pair[0]}"
    return Mark(work=work, mark=mark, found=shown, holds=pair[1].median >= least)


def _photos(found: Throughput) -> Sequence[Mark | None]:
    work = f"ResNet-18 at 224 px, JPEG photos, {found.clients} clients"
    return (
        _against(found, work, "box", "stock", 4.0),
        _against(found, work, "box", None, 4.0),
        _against(found, work, "engine", None, 1.0),
        _of_ceiling(work, found.share, 0.85, ""),
    )


def _small(found: Throughput) -> Sequence[Mark | None]:
    work = f"`cnn` at 24 px, {found.clients} clients"
    return (
        _against(found, work, "box", "stock", 3.0),
        _against(found, work, "box", "fastapi", 2.5),
        _of_ceiling(work, found.served, 0.70, ", without the cores that wrk uses"),
    )


def _of_ceiling(work: str, share: Spread | None, least: float, how: str) -> Mark | None:
    if share is None:
        return None
    mark = f"at least {least:.0%} of the in-process ceiling{how}"
    return Mark(work=work, mark=mark, found=_percent(share), holds=share.median >= least)


def _one(found: Throughput) -> Sequence[Mark | None]:
    work, median = "`cnn` at 24 px, one client: median latency", found.rows[0].p50
    if median is None:
        return ()
    stock = found.ratio("box", "stock")
    absolute = Mark(work=work, mark="at most 2 ms", found=f"{median.text('ms')}", holds=median.median <= 2)
    if stock is None:
        return (absolute,)
    half = f"{stock[1].text()} x stock"
    return absolute, Mark(work=work, mark="at most 0.5 x stock", found=half, holds=stock[1].median <= 0.5)


def _explain(found: Throughput) -> Sequence[Mark | None]:
    return (_against(found, "explanations, `ig` with 20 steps, ResNet-18 at 224 px", "box", "stock-ig", 2.0),)


MARKS: dict[str, Callable[[Throughput], Sequence[Mark | None]]] = {
    "photos": _photos,
    "small": _small,
    "one": _one,
    "explain": _explain,
}


def photos(setting: Setting) -> Throughput:
    """64 clients, ResNet-18."""
    work = workload.photos(setting)
    return compare("photos", setting, work, 64, _field(work, setting, tuple(PEERS), selection.MODES), limit=True)


def small(setting: Setting) -> Throughput:
    """64 clients, the small network."""
    work = workload.digits(setting)
    return compare("small", setting, work, 64, _field(work, setting, tuple(PEERS), selection.MODES), limit=True)


def one(setting: Setting) -> Throughput:
    """One client, the small network."""
    work = workload.digits(setting)
    return compare("one", setting, work, 1, _field(work, setting, ("stock", "fastapi", "litserve"), ("box",)))


def _field(work: Workload, setting: Setting, names: Sequence[str], modes: Sequence[Mode]) -> list[Contestant]:
    return [selection.bundle(work, setting), *selection.peers(work, setting, names, modes)]


def compare(
    part: Name, setting: Setting, work: Workload, clients: int, field: Sequence[Contestant], *, limit: bool = False
) -> Throughput:
    """Let the contestants, the bundle first, take their turns; with `limit` the ceiling has one in each round too.

    Raises:
        ValueError: the bundle itself could not be measured.
    """
    model, cores = work.model(), len(os.sched_getaffinity(0))
    ceilings: list[float] = []
    with field_of(field, work.images, work.expected, setting.folder / "wrk") as servers:
        for number in range(1, setting.rounds + 1):
            logger.info("%s, round %d of %d", part, number, setting.rounds)
            for server in servers:
                server.turn(clients, setting.seconds)
            if limit and servers[0].error is None:
                engine = model.engine is not None
                ceilings.append(ceiling.measure(model, list(work.images), setting.seconds, cores, engine))
                logger.info("the ceiling: %s images a second", three(ceilings[-1]))
    first = servers[0]
    if first.error is not None:
        raise ValueError(f"the bundle itself could not be measured: {first.error}")
    by: By = "p50" if clients == 1 else "rate"
    found = Throughput(
        part=part,
        clients=clients,
        by=by,
        rows=tuple(_row(server, first, by) for server in servers),
        engine=first.engine,
        costs={part: Spread.of(turn[part] for turn in first.costs) for part in first.costs[0]},
    )
    if not ceilings:
        return found
    rates, used = [load.rate for load in first.loads], [load.generator for load in first.loads]
    left = [most * (cores - taken) / cores for most, taken in zip(ceilings, used, strict=True)]
    return found.model_copy(
        update={
            "ceiling": Spread.of(ceilings),
            "image": Spread.of(cores * 1e6 / most for most in ceilings),
            "share": Spread.ratios(rates, ceilings),
            "served": Spread.ratios(rates, left),
            "generator": Spread.of(used),
        }
    )


def _row(server: Server, first: Server, by: By) -> Row:
    who = server.contestant
    if server.error is not None or not server.loads:
        return Row(name=who.name, mode=who.mode, version=who.version, error=server.error or "it had no turn")
    mine, its = ([getattr(load, by) for load in found.loads] for found in (first, server))
    return Row(
        name=who.name,
        mode=who.mode,
        version=who.version,
        rate=Spread.of(load.rate for load in server.loads),
        p50=Spread.of(load.p50 for load in server.loads),
        p99=Spread.of(load.p99 for load in server.loads),
        ratio=None if server is first else Spread.ratios(mine, its),
    )
