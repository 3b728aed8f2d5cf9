"""Measure a model's settings on this machine and choose them: workers, threads, batchSize and maxBatchDelay.

The model is served for real and asked under load; what is chosen is written into its release, where `archive` finds it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tqdm import tqdm

from models.printable import printable
from models.release import Release, find
from scripts.command import command, sigterm_interrupts
from scripts.tune import picture, record
from serving.artifacts import archive, model_config
from serving.artifacts.model_config import FILE_NAME, ModelConfig
from serving.client import Client
from serving.errors import ConfigError
from serving.runtime import atomic_files, cpu
from serving.runtime.instance import http_url
from serving.tune import load, reference_requests, settings
from serving.tune.search import Point, Result, Search
from serving.tune.server import Server
from serving.tune.settings import Settings
from training.data.checks import Listed, readable
from training.data.left_out import capped, sentences
from training.data.listing import SUFFIXES, list_images

# Of a folder; more would take long to ask for one by one.
MAX_IMAGES = 200


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and tune."""
    parser = argparse.ArgumentParser(prog="python -m scripts.tune", description=__doc__)
    parser.add_argument("--model", default="digits", help="which model (default: digits)")
    parser.add_argument("--version", help="which release of it (default: the newest)")
    parser.add_argument(
        "--p99-ms",
        type=_positive,
        help="the most requests a second of which 99 in 100 are answered within so many ms (default: the most of all)",
    )
    parser.add_argument("--config", type=Path, help="YAML with the settings that stay as they are (default: its own)")
    parser.add_argument("--images", type=Path, help="folder of images to ask with (default: its golden images)")
    parser.add_argument("--seconds", type=_positive, default=2.0, help="of one round of asking (default: 2)")
    parser.add_argument("--minutes", type=_positive, default=4.0, help="after which no more is tried (default: 4)")
    arguments = parser.parse_args(argv)
    with sigterm_interrupts():
        run(
            find(arguments.model, arguments.version),
            budget_ms=arguments.p99_ms,
            base=model_config.load(arguments.config) if arguments.config else None,
            images=arguments.images,
            seconds=arguments.seconds,
            minutes=arguments.minutes,
        )


def run(
    release: Release,
    *,
    budget_ms: float | None = None,
    base: ModelConfig | None = None,
    images: Path | None = None,
    seconds: float = 2.0,
    minutes: float = 4.0,
) -> Result:
    """Tune a release, say what came of it, and write model-config.yaml, report/tuning.png and report/tuning.json there.

    Raises:
        ServingError, ValueError: it cannot be served, or no settings keep the budget; then model-config.yaml is left
            as it was.
    """
    card, target = release.card, release.folder / FILE_NAME
    files_to_send = _images(images) if images else ()
    if base is None:
        base = model_config.of_release(release.folder)
    usable = cpu.usable()
    default = settings.default(usable)
    with tempfile.TemporaryDirectory(prefix="torchlight-tune-") as scratch:
        mar, _ = archive.archive(release, base, Path(scratch), neighbors=False)
        with Server(mar, card.name, base, default) as server:
            with Client(http_url(*server.address), retries=0) as client:
                version = server.path(default).rpartition("/")[2]
                known = reference_requests.learn(client, mar, card.name, version, files_to_send)
            bar = tqdm(unit=" rounds", bar_format="{desc}{n_fmt} rounds, {elapsed}", disable=None, leave=False)

            def ask(which: Settings, clients: int) -> load.Round:
                path = server.path(which)
                bar.set_description_str(f"{which}, {clients} clients ")
                found = load.ask(
                    load.Order(
                        server.address, [one.asked(path) for one in known.images], clients, seconds, known.tolerance
                    )
                )
                bar.update()
                return found

            with bar:
                search = Search(ask, server.remove, usable, budget_ms, minutes, say=tqdm.write)
                result = search.run(default)
    report = release.folder / "report"
    report.mkdir(exist_ok=True)
    title = f"{card.name} {card.version} with {known.engine} on {usable} cores; numbers are clients at a time"
    picture.draw(report / "tuning.png", result, title, budget_ms)
    record.write(
        report / "tuning.json",
        release,
        result,
        engine=known.engine,
        p99_budget_ms=budget_ms,
        images=len(known.images),
        seconds=seconds,
    )
    print(table(result, budget_ms))
    if not result.kept:
        raise ValueError(
            f"no settings keep the p99 within {budget_ms:g} ms here: the best is {result.chosen.latency(0.99):.1f} ms "
            f"with {result.chosen.clients} clients ({result.chosen.settings}); give a larger budget"
        )
    atomic_files.write(target, result.chosen.settings.config(base).to_yaml())
    print(sentence(result))
    how = f"MODEL={card.name} VERSION={card.version}"
    print(f"{target}, {report}/tuning.png; next: `make archive {how}`, which goes by it")
    return result


def _images(folder: Path) -> list[Path]:
    """The first MAX_IMAGES images below `folder` that can be served; says what is left out.

    Raises:
        ConfigError: there is none.
    """
    listing = list_images(folder)
    items, unreadable = readable(folder, [Listed(name, "") for name in listing.images[:MAX_IMAGES]])
    reasons = sentences([*unreadable, *listing.left_out], len(items))
    if not items:
        raise ConfigError(f"{printable(folder)}: has no {', '.join(SUFFIXES)} files; give a folder of images")
    for sentence in capped(reasons):
        print(sentence)
    return [folder / item.name for item in items]


def table(result: Result, budget_ms: float | None) -> str:
    """The default and what was chosen, each under the load that it was compared at."""
    rows: list[tuple[str, ...]] = [
        ("", "workers", "threads", "batchSize", "maxBatchDelay", "clients", "requests/s", "p50 ms", "p99 ms")
    ]
    rows += [_row("default", result.default), _row("chosen", result.chosen)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    goal = "the most requests a second" + (f" with a p99 within {budget_ms:g} ms" if budget_ms else "")
    return "\n".join([f"goal: {goal}", *lines])


def sentence(result: Result) -> str:
    """What it brought."""
    if result.chosen.settings == result.default.settings:
        return f"the default settings stay: nothing that was tried is better by more than {result.least_gain - 1:.0%}"
    return (
        f"chosen: {result.chosen.settings}; {result.gain:.2f} x the requests of the default settings, where "
        f"{result.least_gain:.2f} x could be chance"
    )


def _row(name: str, point: Point) -> tuple[str, ...]:
    one = point.settings
    figures = (f"{point.rate:.0f}", f"{point.latency(0.5):.1f}", f"{point.latency(0.99):.1f}")
    return (name, *map(str, (one.workers, one.threads, one.batch_size, one.delay_ms, point.clients)), *figures)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


if __name__ == "__main__":
    main()
