"""explain: Integrated Gradients of 20 steps, ours with picture and evidence, TorchServe's with its list of numbers."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.compare import workload
from benchmarks.compare.measurements.throughput import Throughput, compare
from benchmarks.compare.reference import NO_CLASS
from benchmarks.compare.run_config import Setting
from benchmarks.compare.systems import PEERS, Peer, programs, selection, torchlight
from benchmarks.compare.systems.peer import Plan, raw
from benchmarks.compare.systems.server_process import Command
from serving.runtime.cpu import usable

STEPS = 20
CLIENTS = 4
HANDLER = Path(programs.__file__).with_name("stock_integrated_gradients.py")
NUMBER = re.compile(rb"-?\d[\d.eE+-]*")


def measure(setting: Setting) -> Throughput:
    """Four clients; ours has as many workers for explanations as TorchServe has workers, one a core."""
    work = workload.photos(setting)
    work = replace(work, images=work.images[:CLIENTS], expected=work.expected[:CLIENTS])
    query = f"?method=ig&steps={STEPS}"
    mine = replace(
        selection.bundle(work, setting),
        start=partial(torchlight.serve, work, setting.port, "--explain-workers", str(usable())),
        request=torchlight.request(work, "explanations", query),
    )
    return compare("explain", setting, work, CLIENTS, [mine, selection.peer(stock(), work, setting, "box", 10)])


def stock() -> Peer:
    """The peer of that name, with the handler of stock_integrated_gradients.py in its archive."""
    plain = PEERS["stock"]
    return replace(
        plain,
        name="stock-ig",
        requirements=(*plain.requirements, "captum==0.9.0"),
        launch=partial(_launch, plain),
        request=raw("/explanations/images"),
        answer=first_number,
    )


def _launch(plain: Peer, plan: Plan) -> Command:
    """As the stock peer; then its archive is made again with our handler."""
    command = plain.launch(plan)
    archiver = plan.command(
        *("--model-name", "images", "--version", "1.0", "--handler", str(HANDLER), "--force"),
        *("--export-path", str(plan.scratch / "model_store")),
        program="torch-model-archiver",
    )
    subprocess.run(archiver.arguments, env=dict(archiver.environment), check=True, capture_output=True)
    return command


def first_number(body: bytes) -> tuple[int, float]:
    """An answer without classes is known again by its first number.

    Raises:
        ValueError: it has none.
    """
    found = NUMBER.search(body)
    if found is None:
        raise ValueError(f"an explanation without a number: {body[:100]!r}")
    return NO_CLASS, float(found[0])
