"""Measure a model's settings on this machine and choose them: workers, threads, batchSize and maxBatchDelay.

The model is served and measured under load. The chosen settings are written into its release, and `archive` uses them.

For example:

    torchlight tune --model cells --p99-ms 50 --images "new images"
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from tqdm import tqdm

from models.printable import printable
from models.release import Release, find
from scripts import cli, flag_values
from scripts.command import say, sigterm_interrupts
from scripts.tune import plot, record
from serving.artifacts import archive, model_config
from serving.artifacts.model_config import FILE_NAME, ModelConfig
from serving.errors import ConfigError
from serving.runtime import atomic_files, cpu
from serving.runtime.instance import http_url
from serving.tune import load, reference_requests, settings
from serving.tune.search import Point, Result, Search
from serving.tune.server import Server
from serving.tune.settings import WorkerSettings
from torchlight_client import Client
from training.data.checks import readable
from training.data.left_out import capped, sentences
from training.data.listed import Listed
from training.data.listing import SUFFIXES, list_images

# Images of a folder to use: each one is predicted alone first, which takes time.
MAX_IMAGES = 200

_Positive = Parameter(validator=flag_values.positive)


def main(
    *,
    model: str = "digits",
    version: str | None = None,
    p99_ms: Annotated[float | None, _Positive] = None,
    config: Path | None = None,
    images: Path | None = None,
    seconds: Annotated[float, _Positive] = 2.0,
    minutes: Annotated[float, _Positive] = 4.0,
) -> None:
    """Tune the release that the flags name.

    Args:
        model: name of the model
        version: version of its release (default: the newest)
        p99_ms: limit for the 99th percentile of the latency in ms; maximize throughput within it (default: no limit)
        config: YAML file of settings that are not tuned (default: the release's)
        images: folder of images to send (default: the golden images)
        seconds: length of one round
        minutes: time limit for new comparisons
    """
    with sigterm_interrupts():
        run(
            find(model, version),
            budget_ms=p99_ms,
            base=model_config.load(config) if config else None,
            images=images,
            seconds=seconds,
            minutes=minutes,
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
    """Tune a release, print the result, and write model-config.yaml, report/tuning.png and report/tuning.json there.

    Raises:
        ServingError, ValueError: it cannot be served, or no settings keep the budget; model-config.yaml is then
            unchanged.
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
                references = reference_requests.predict_references(client, mar, card.name, version, files_to_send)
            bar = tqdm(unit=" rounds", bar_format="{desc}{n_fmt} rounds, {elapsed}", disable=None, leave=False)

            def measure(candidate: WorkerSettings, clients: int) -> load.Round:
                path = server.path(candidate)
                bar.set_description_str(f"{candidate}, {clients} clients ")
                measured = load.run_in_process(
                    load.Load(
                        server.address,
                        [image.request(path) for image in references.images],
                        clients,
                        seconds,
                        references.tolerance,
                    )
                )
                bar.update()
                return measured

            with bar:
                search = Search(measure, server.remove, usable, budget_ms, minutes, log=tqdm.write)
                result = search.run(default)
    report = release.folder / "report"
    report.mkdir(exist_ok=True)
    title = f"{card.name} {card.version} with {references.engine} on {usable} cores; numbers are clients at a time"
    plot.draw(report / "tuning.png", result, title, budget_ms)
    record.write(
        report / "tuning.json",
        release,
        result,
        engine=references.engine,
        p99_budget_ms=budget_ms,
        images=len(references.images),
        seconds=seconds,
    )
    print(table(result, budget_ms))
    if not result.within_budget:
        raise ValueError(
            f"no settings keep the p99 within {budget_ms:g} ms here: the best is {result.chosen.latency(0.99):.1f} ms "
            f"with {result.chosen.clients} clients ({result.chosen.settings}); give a larger budget"
        )
    atomic_files.write(target, result.chosen.settings.config(base).to_yaml())
    print(sentence(result))
    next_command = f"torchlight archive --model {card.name} --version {card.version}"
    say(f"{target}, {report}/tuning.png; next: `{next_command}`, which uses it")
    return result


def _images(folder: Path) -> list[Path]:
    """Return the first MAX_IMAGES images below `folder` that can be served, and print the files that are left out.

    Raises:
        ConfigError: there is no such image.
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
    """Return a table of the default and the chosen settings, each with the number of clients of the comparison."""
    rows: list[tuple[str, ...]] = [
        ("", "workers", "threads", "batchSize", "maxBatchDelay", "clients", "requests/s", "p50 ms", "p99 ms")
    ]
    rows += [_row("default", result.default), _row("chosen", result.chosen)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    goal = "most requests per second" + (f" with a p99 within {budget_ms:g} ms" if budget_ms else "")
    return "\n".join([f"goal: {goal}", *lines])


def sentence(result: Result) -> str:
    """Return a sentence on the gain of the chosen settings."""
    if result.chosen.settings == result.default.settings:
        return f"the default settings stay: no other settings are better by more than {result.min_gain - 1:.0%}"
    return (
        f"chosen: {result.chosen.settings}; {result.gain:.2f} x the requests of the default settings "
        f"(up to {result.min_gain:.2f} x may be chance)"
    )


def _row(name: str, point: Point) -> tuple[str, ...]:
    settings = point.settings
    figures = (f"{point.rate:.0f}", f"{point.latency(0.5):.1f}", f"{point.latency(0.99):.1f}")
    return (
        name,
        *map(str, (settings.workers, settings.threads, settings.batch_size, settings.delay_ms, point.clients)),
        *figures,
    )


if __name__ == "__main__":
    cli.run("tune")
