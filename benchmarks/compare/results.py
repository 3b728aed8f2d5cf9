"""What a part leaves in benchmarks/results/<part>.json: its figures, and where, when and how they were made."""

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

# Bytes of a part's results.
MAX_BYTES = 50_000_000
REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "benchmarks" / "results"
PACKAGES = ("torch", "torchserve", "numpy", "pillow", "simplejpeg", "captum")


class Figure(BaseModel):
    """A value of a result: unknown keys are errors, so that a page is never made from another kind of file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Spread(Figure):
    """The median of some runs, and the least and the most of them."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Of at least one value."""
        found = list(values)
        return cls(median=statistics.median(found), least=min(found), most=max(found))

    @classmethod
    def ratios(cls, above: Sequence[float], below: Sequence[float]) -> Spread:
        """Of the ratios of runs that were paired: the first of each, the second of each, and so on."""
        return cls.of(a / b for a, b in zip(above, below, strict=True))

    def text(self, unit: str = "") -> str:
        """Three figures of the median, and in brackets the least and the most."""
        space = f" {unit}" if unit else ""
        return f"{three(self.median)}{space} ({three(self.least)} to {three(self.most)})"


def three(value: float) -> str:
    """Three significant figures, or all before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


class Mark(Figure):
    """A row of the README's table: what was to be reached, what was found, and whether that is enough."""

    work: str
    mark: str
    found: str
    holds: bool


class Figures(Figure):
    """What a part measured. A part has a class of its own, which knows how its page looks."""

    def page(self) -> str:
        """Markdown: tables and pictures, without a heading."""
        raise NotImplementedError

    def marks(self) -> list[Mark]:
        """Rows of the README's table; none where nothing was promised."""
        return []


class Where(Figure):
    """The circumstances of a run; `commit` ends in + where the working tree had changes."""

    date: str
    commit: str
    machine: str
    cores: int
    system: str
    python: str
    packages: dict[str, str]

    @classmethod
    def here(cls) -> Where:
        """This machine, now."""
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


# What a run writes, part by part, and what is written about it: none of it is what was measured.
WRITTEN = ("benchmarks/results", "docs", "README.md", "CHANGELOG.md")


def revision(repository: Path = REPOSITORY) -> str:
    """The short revision of the working tree; with a "+" if it has changes that can change a figure."""
    try:
        asked = ["git", "-C", str(repository)]
        head = subprocess.run([*asked, "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True)
        others = [".", *(f":(exclude){path}" for path in WRITTEN)]
        status = [*asked, "status", "--porcelain", "--", *others]
        changed = subprocess.run(status, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):  # no git, or a copy without its history
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


class Measured(Figure):
    """The file of one part. `took` is the seconds of the whole part, `seconds` those of one run of its `rounds`."""

    part: str
    where: Where
    seconds: float
    rounds: int
    took: float
    figures: dict[str, Any]

    def save(self, folder: Path = RESULTS) -> Path:
        """Write `<part>.json`, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.part}.json"
        draft = path.with_suffix(".json.part")
        draft.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        draft.replace(path)
        return path


def load(part: str, folder: Path = RESULTS) -> Measured | None:
    """The last result of a part, or None where it was never measured.

    Raises:
        ValueError: the file is not such a result.
    """
    path = folder / f"{part}.json"
    try:
        return Measured.model_validate(documents.read_json(path, MAX_BYTES))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ValueError(f"{path}: {describe(error)}; measure it again with --only {part}") from None
