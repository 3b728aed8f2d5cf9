"""What predictions lose while explanations are asked for without a pause: alone, beside them, and beside idle work.

The last is a loop of convolutions in a process of nobody's, at the lowest priority: what predictions lose by that, they
lose to cores, caches and memory that are shared, and to no queue or worker of the server.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.explanations.load import Answers, Crowd, ask

logger = logging.getLogger(__name__)

BURDEN = """
import os, torch
os.nice(19)
torch.set_num_threads(1)
layer, images = torch.nn.Conv2d(32, 64, 3, padding=1), torch.randn(64, 32, 24, 24)
with torch.inference_mode():
    while True:
        layer(images)
"""


@dataclass(frozen=True, slots=True)
class Beside:
    """Answers to those that predict, a member a round in each; `explained` is what the others got, a second."""

    alone: list[Answers]
    flooded: list[Answers]
    burdened: list[Answers]
    explained: list[float]


def crowds(url: str, model: str, image: bytes) -> tuple[Crowd, Crowd]:
    """Four clients that predict with pauses, and eight that ask for pictures without."""
    return (
        Crowd(f"{url}/predictions/{model}", image, 4, 0.02),
        Crowd(f"{url}/explanations/{model}?output=overlay", image, 8, behind=True),
    )


def measure(crowd: Crowd, flood: Crowd, rounds: int, seconds: float) -> Beside:
    """In turn, so that noise hits all alike."""
    found = Beside([], [], [], [])
    for number in range(1, rounds + 1):
        found.alone.extend(ask([crowd], seconds))
        flooded, others = ask([crowd, flood], seconds)
        found.flooded.append(flooded)
        found.explained.append(len(others.milliseconds) / seconds)
        found.burdened.extend(_burdened(lambda: ask([crowd], seconds)))
        p99 = [kind[-1].percentile(0.99) for kind in (found.alone, found.flooded, found.burdened)]
        said = "round %d of %d, p99: %.3g ms alone, %.3g beside explanations, %.3g beside idle work"
        logger.info(said, number, rounds, *p99)
    return found


def _burdened(work: Callable[[], list[Answers]]) -> list[Answers]:
    process = subprocess.Popen([sys.executable, "-c", BURDEN])
    try:
        return work()
    finally:
        process.kill()
        process.wait()
