"""Part `explain`: Integrated Gradients of 20 steps, by Torchlight with overlay and evidence, by TorchServe as JSON."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.compare import workload
from benchmarks.compare.measurements.throughput import Throughput, compare
from benchmarks.compare.reference import NO_CLASS
from benchmarks.compare.run_config import RunConfig
from benchmarks.compare.systems import PEERS, Peer, programs, selection, torchlight
from benchmarks.compare.systems.peer import LaunchPlan, raw
from benchmarks.compare.systems.server_process import Command
from serving.runtime.cpu import usable

STEPS = 20
CLIENTS = 4
HANDLER = Path(programs.__file__).with_name("stock_integrated_gradients.py")
NUMBER = re.compile(rb"-?\d[\d.eE+-]*")


def measure(config: RunConfig) -> Throughput:
    """Measure four clients. Torchlight has an explain worker per core, and TorchServe a worker per core."""
    work = workload.photos(config)
    work = replace(work, images=work.images[:CLIENTS], expected=work.expected[:CLIENTS])
    query = f"?method=ig&steps={STEPS}"
    system = replace(
        selection.torchlight_system(work, config),
        start=partial(torchlight.serve, work, config.port, "--explain-workers", str(usable())),
        request=torchlight.image_request(work, "explanations", query),
    )
    peer = selection.peer_system(stock_with_explanations(), work, config, "default", 10)
    return compare("explain", config, work, CLIENTS, [system, peer])


def stock_with_explanations() -> Peer:
    """Return the peer `stock` with the handler of stock_integrated_gradients.py in its archive."""
    stock = PEERS["stock"]
    return replace(
        stock,
        name="stock-ig",
        requirements=(*stock.requirements, "captum==0.9.0"),
        launch=partial(_launch, stock),
        request=raw("/explanations/images"),
        parse=parse_first_number,
    )


def _launch(stock: Peer, plan: LaunchPlan) -> Command:
    """Prepare the peer `stock`, and replace its archive by one with our handler."""
    command = stock.launch(plan)
    archiver = plan.command(
        *("--model-name", "images", "--version", "1.0", "--handler", str(HANDLER), "--force"),
        *("--export-path", str(plan.scratch / "model_store")),
        program="torch-model-archiver",
    )
    subprocess.run(archiver.arguments, env=dict(archiver.environment), check=True, capture_output=True)
    return command


def parse_first_number(body: bytes) -> tuple[int, float]:
    """Return NO_CLASS and the first number of an explanation, by which it is recognized.

    Raises:
        ValueError: the body has no number.
    """
    number = NUMBER.search(body)
    if number is None:
        raise ValueError(f"an explanation without a number: {body[:100]!r}")
    return NO_CLASS, float(number[0])
