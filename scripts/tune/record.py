"""tuning.json: all measurements, with machine and date."""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from handlers.engines import machine
from models.release import Release
from serving.tune.load import Round, percentile
from serving.tune.search import Point, Result


def write(path: Path, release: Release, result: Result, **conditions: Any) -> None:
    """Write the file; `conditions` are the budget, the images, the seconds of a round and the engine."""
    document = {
        "model": release.card.name,
        "version": release.card.version,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": where(),
        **conditions,
        "default": _point(result.default),
        "chosen": _point(result.chosen),
        "gain": _figure(result.gain),
        "least_gain": _figure(result.min_gain),
        "budget_kept": result.within_budget,
        "points": [_point(point) for point in result.points],
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def where() -> dict[str, Any]:
    """Return a description of the machine."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processor": machine.processor(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        **asdict(point.settings),
        "clients": point.clients,
        "requests_per_second": _figure(point.rate),
        "p50_ms": _figure(point.latency(0.5)),
        "p99_ms": _figure(point.latency(0.99)),
        "errors": point.errors,
        "rounds": [_round(measured) for measured in point.rounds],
    }


def _round(measured: Round) -> dict[str, Any]:
    return {
        "requests_per_second": _figure(measured.rate),
        "p50_ms": _figure(percentile(measured.latencies, 0.5)),
        "p99_ms": _figure(percentile(measured.latencies, 0.99)),
        "answers": measured.answers,
    }


def _figure(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None
