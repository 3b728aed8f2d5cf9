"""Milliseconds per image of each method on each network, with one thread, and the number of passes."""

from __future__ import annotations

import statistics
import time

import torch

from benchmarks.report import table
from handlers.explain.methods import attribution, baselines, introspection
from handlers.explain.methods.background import MAX_IMAGES, Background
from handlers.explain.methods.method import TargetScore
from handlers.explain.registry import METHODS
from models import architectures
from models.card import Input

# Name, and input size in pixels. The cost of a pass does not depend on the weights.
NETWORKS = (("cnn", 24), ("resnet9", 32), ("vit_tiny", 32), ("resnet18", 224), ("resnet50", 224))
CLASSES = 10
RUNS = 5
# A method that takes longer than this runs only once.
LONG_SECONDS = 5.0


def measure() -> str:
    """Measure all methods and networks, and return the table."""
    torch.set_num_threads(1)
    rows = []
    costs = {name: _network(name, size) for name, size in NETWORKS}
    for method in METHODS.values():
        passes = method.passes(method.settings)
        cost = f"{passes.forward} forward, {passes.backward} backward"
        rows.append([f"`{method.name}`", cost, *(costs[name][method.name] for name, _ in NETWORKS)])
    heads = [f"{name}, {size} px" for name, size in NETWORKS]
    return table(["method", "passes", *heads], rows)


def _network(name: str, size: int) -> dict[str, str]:
    torch.manual_seed(0)
    network = architectures.build(name, image_size=size, classes=CLASSES).eval().requires_grad_(False)
    target_score = TargetScore(network, introspection.introspect(network, size))
    spec = Input(size=size, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    images, weights = torch.randn(1, 3, size, size), torch.eye(1, CLASSES)
    # The cost of a pass does not depend on the images either.
    background = Background(torch.randn(MAX_IMAGES, 3, size, size), torch.zeros(MAX_IMAGES, CLASSES))
    costs = {}
    for method in METHODS.values():
        if method.incompatibility(target_score.introspection):
            costs[method.name] = "not supported"
            continue
        settings = method.settings
        attribution_inputs = baselines.attribution_inputs(images, weights, settings, spec, background)
        times: list[float] = []
        while len(times) < RUNS + 1 and (not times or times[-1] < LONG_SECONDS):
            start = time.perf_counter()
            attribution.attribute(method, target_score, attribution_inputs, settings)
            times.append(time.perf_counter() - start)
        costs[method.name] = _milliseconds(times[1:] or times)
    return costs


def _milliseconds(times: list[float]) -> str:
    value = 1000 * statistics.median(times)
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"
