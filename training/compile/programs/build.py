"""Compilation of a release's network to one program."""

from __future__ import annotations

from pathlib import Path

import torch

from handlers.engines import machine
from handlers.engines.eager import Eager
from models.card import Card, Compiled
from training.compile.errors import CompileError
from training.compile.programs import aoti, cpu_level
from training.compile.programs.program import FromPixels
from training.compile.programs.quantize import first_convolution, quantized

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32, "int8": torch.float32}


def device_of(name: str) -> torch.device:
    """Return the device of a program, by its name."""
    return torch.device(name.partition("-")[0])


def build(
    folder: Path,
    card: Card,
    name: str,
    pixels: torch.Tensor,
    into: Path,
    march: str | None = None,
    *,
    spare_first: bool = False,
) -> Compiled:
    """Compile the network of the release in `folder` and write `engines/<name>.pt2` into `into`.

    Args:
        pixels: calibration images for int8, uint8 (N, 3, size, size).
        march: name of the CPU level to compile for; default: the best level of this machine.
        spare_first: for int8, keep the first convolution in float32, because its errors affect all later layers (Zhou
            et al. 2016, arXiv:1606.06160, section 2.7).

    Returns:
        Its entry for the card, not evaluated yet.

    Raises:
        CompileError: it cannot be compiled, or there is no convolution to spare.
        EngineError: the release's weights do not load.
    """
    device, form = device_of(name), name.partition("-")[2]
    network = Eager.load(folder, card, device).network
    module: torch.nn.Module = FromPixels(network, card.input, DTYPES[form]).to(device).eval()
    features = machine.features(device)
    if device.type == "cpu":
        chosen = cpu_level.find(features, march)
        requires = cpu_level.required(chosen, features)
    else:
        chosen, requires = cpu_level.BASE, tuple(sorted(features))
    spared = None
    if form == "int8":
        spared = first_convolution(module) if spare_first else None
        if spare_first and spared is None:
            raise CompileError(f"{card.name} has no convolution that could stay in float32")
        narrow = cpu_level.VNNI not in requires
        module = quantized(module, pixels.permute(0, 2, 3, 1).contiguous(), narrow=narrow, spared=spared)
    entry = Compiled(
        name=name,
        torch=torch.__version__,
        requires=requires,
        compiled_on=machine.processor(device),
        float32_layers=() if spared is None else (spared.removeprefix("network."),),
    )
    autotune = form == "int8" and cpu_level.own_products(requires)
    aoti.package(module, card.input.size, into / entry.path, device, chosen, autotune=autotune)
    return entry
