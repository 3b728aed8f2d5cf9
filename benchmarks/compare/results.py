"""The results file of a part, benchmarks/results/<part>.json: its figures, and the environment that they come from."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from handlers.engines import machine
from models import documents
from models.card import describe

# Size limit of a results file in bytes.
MAX_BYTES = 50_000_000
REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "benchmarks" / "results"
PACKAGES = ("torch", "torchserve", "numpy", "pillow", "simplejpeg", "captum")


class ResultModel(BaseModel):
    """A value of a result. Unknown keys are errors, so that no page is made from another kind of file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Spread(ResultModel):
    """Median, minimum and maximum of some runs."""

    median: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the spread of at least one value."""
        ordered = sorted(values)
        return cls(median=statistics.median(ordered), minimum=ordered[0], maximum=ordered[-1])

    @classmethod
    def ratios(cls, numerators: Sequence[float], denominators: Sequence[float]) -> Spread:
        """Return the spread of the ratios of paired runs: first by first, second by second, and so on."""
        return cls.of(a / b for a, b in zip(numerators, denominators, strict=True))

    def text(self, unit: str = "") -> str:
        """Return the median, with minimum and maximum in brackets."""
        suffix = f" {unit}" if unit else ""
        return f"{three_digits(self.median)}{suffix} ({three_digits(self.minimum)} to {three_digits(self.maximum)})"


def three_digits(value: float) -> str:
    """Return three significant digits, or all digits before the decimal point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


class Target(ResultModel):
    """A row of the README's table: a requirement on a workload, the measured value, and whether it is met."""

    workload: str
    requirement: str
    measured: str
    met: bool


class PartFigures(ResultModel):
    """The figures of a part. Each part has a subclass, which formats them."""

    def markdown(self) -> str:
        """Return tables and plots as Markdown, without a heading."""
        raise NotImplementedError

    def targets(self) -> list[Target]:
        """Return rows of the README's table; none if the part has no targets."""
        return []


class RunEnvironment(ResultModel):
    """The environment of a run. `commit` ends in + if the working tree had changes."""

    date: str
    commit: str
    machine: str
    cores: int
    system: str
    python: str
    packages: dict[str, str]

    @classmethod
    def current(cls) -> RunEnvironment:
        """Return the environment of this process, today."""
        return cls(
            date=str(datetime.date.today()),
            commit=revision(),
            machine=machine.processor(),
            cores=len(os.sched_getaffinity(0)),
            system=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            packages={name: version(name) for name in PACKAGES},
        )

    def sentences(self) -> str:
        """Return date, revision and machine as the end of a sentence, and the versions as a second sentence."""
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        return (
            f"on {self.date} at {self.commit}, on {self.cores} cores of {self.machine}.\n"
            f"Versions: Python {self.python}, {packages}."
        )


# Files that a run writes itself, part by part, and their documentation. Changes there do not change what is measured.
GENERATED_PATHS = ("benchmarks/results", "docs", "README.md", "CHANGELOG.md")


def revision(repository: Path = REPOSITORY) -> str:
    """Return the short revision of the working tree, with a "+" if it has changes that can change a figure."""
    try:
        git = ["git", "-C", str(repository)]
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True)
        pathspecs = [".", *(f":(exclude){path}" for path in GENERATED_PATHS)]
        status = [*git, "status", "--porcelain", "--", *pathspecs]
        changed = subprocess.run(status, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):  # no git, or a copy without its history
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


class PartResult(ResultModel):
    """The results file of a part.

    Attributes:
        seconds: length of each of the `rounds`.
        duration_seconds: length of the whole part.
        figures: the part's own figures, see `PartFigures`.
    """

    part: str
    environment: RunEnvironment
    seconds: float
    rounds: int
    duration_seconds: float
    figures: dict[str, Any]

    def save(self, folder: Path = RESULTS) -> Path:
        """Write `<part>.json` atomically."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.part}.json"
        draft = path.with_suffix(".json.part")
        draft.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        draft.replace(path)
        return path


def load(part: str, folder: Path = RESULTS) -> PartResult | None:
    """Return the last result of a part, or None if there is none.

    Raises:
        ValueError: the file is not a valid result.
    """
    path = folder / f"{part}.json"
    try:
        return PartResult.model_validate(documents.read_json(path, MAX_BYTES))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ValueError(f"{path}: {describe(error)}; measure it again with --only {part}") from None
