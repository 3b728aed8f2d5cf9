"""Latency of predictions: alone, while clients request explanations without a pause, and with a background load.

The background load is a loop of convolutions in another process at the lowest priority. It does not use the server. So
its effect on predictions comes from shared cores, caches and memory, and not from a queue or a worker of the server.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.explanations.load import ClientGroup, Responses, run

logger = logging.getLogger(__name__)

BACKGROUND_LOAD = """
import os, torch
os.nice(19)
torch.set_num_threads(1)
layer, images = torch.nn.Conv2d(32, 64, 3, padding=1), torch.randn(64, 32, 24, 24)
with torch.inference_mode():
    while True:
        layer(images)
"""


@dataclass(frozen=True, slots=True)
class InterferenceRounds:
    """Responses to predictions for each round and load, and explanations per second for each round."""

    alone: list[Responses]
    with_explanations: list[Responses]
    with_background_load: list[Responses]
    explanations_per_second: list[float]


def client_groups(url: str, model: str, image: bytes) -> tuple[ClientGroup, ClientGroup]:
    """Return four clients that request predictions with pauses, and eight that request overlays without pauses."""
    return (
        ClientGroup(f"{url}/predictions/{model}", image, 4, 0.02),
        ClientGroup(f"{url}/explanations/{model}?output=overlay", image, 8, low_priority=True),
    )


def measure(predict: ClientGroup, explain: ClientGroup, rounds: int, seconds: float) -> InterferenceRounds:
    """Measure the three loads in interleaved rounds, so that noise affects all of them.

    Args:
        predict: clients that request predictions.
        explain: clients that request explanations.
        rounds: number of rounds.
        seconds: length of each measurement.
    """
    results = InterferenceRounds([], [], [], [])
    for number in range(1, rounds + 1):
        results.alone.extend(run([predict], seconds))
        predictions, explanations = run([predict, explain], seconds)
        results.with_explanations.append(predictions)
        results.explanations_per_second.append(len(explanations.milliseconds) / seconds)
        results.with_background_load.extend(_with_background_load(lambda: run([predict], seconds)))
        loads = (results.alone, results.with_explanations, results.with_background_load)
        p99 = [responses[-1].percentile(0.99) for responses in loads]
        message = "round %d of %d, p99: %.3g ms alone, %.3g ms with explanations, %.3g ms with a background load"
        logger.info(message, number, rounds, *p99)
    return results


def _with_background_load(work: Callable[[], list[Responses]]) -> list[Responses]:
    process = subprocess.Popen([sys.executable, "-c", BACKGROUND_LOAD])
    try:
        return work()
    finally:
        process.kill()
        process.wait()
