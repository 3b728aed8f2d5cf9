"""Milliseconds an image of each method on each network, one thread, beside the passes that it takes."""

from __future__ import annotations

import statistics
import time

import torch

from benchmarks.report import table
from handlers.explain import METHODS, attribution
from handlers.explain.methods import baselines, introspection
from handlers.explain.methods.method import Readout
from models import architectures
from models.card import Input

# Name and input in pixels; weights do not change what a pass costs.
NETWORKS = (("cnn", 24), ("resnet9", 32), ("vit_tiny", 32), ("resnet18", 224), ("resnet50", 224))
CLASSES = 10
RUNS = 5
# A method that takes longer than this is run once.
LONG_SECONDS = 5.0


def measure() -> str:
    """The table."""
    torch.set_num_threads(1)
    rows = []
    found = {name: _network(name, size) for name, size in NETWORKS}
    for method in METHODS.values():
        passes = method.passes(method.settings)
        cost = f"{passes.forward} forward, {passes.backward} backward"
        rows.append([f"`{method.name}`", cost, *(found[name][method.name] for name, _ in NETWORKS)])
    heads = [f"{name}, {size} px" for name, size in NETWORKS]
    return table(["method", "passes", *heads], rows)


def _network(name: str, size: int) -> dict[str, str]:
    torch.manual_seed(0)
    network = architectures.build(name, image_size=size, classes=CLASSES).eval().requires_grad_(False)
    readout = Readout(network, introspection.scan(network, size))
    spec = Input(size=size, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    images, weights = torch.randn(1, 3, size, size), torch.eye(1, CLASSES)
    took = {}
    for method in METHODS.values():
        if method.refuses(readout.traits):
            took[method.name] = "not supported"
            continue
        wanted = method.settings
        question = baselines.question(images, weights, wanted, spec)
        times: list[float] = []
        while len(times) < RUNS + 1 and (not times or times[-1] < LONG_SECONDS):
            began = time.perf_counter()
            attribution.attribute(method, readout, question, wanted)
            times.append(time.perf_counter() - began)
        took[method.name] = _milliseconds(times[1:] or times)
    return took


def _milliseconds(times: list[float]) -> str:
    value = 1000 * statistics.median(times)
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"
