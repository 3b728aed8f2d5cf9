"""Which programs there are, and which of them can be made on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from handlers.engines import machine
from training.compile.errors import CompileError

FORMATS = ("int8", "bf16", "fp16", "fp32")
NAMES = ("cpu-int8", "cpu-bf16", "cpu-fp32", "cuda-bf16", "cuda-fp16")
# Processors that multiply bfloat16 numbers; the others make float32 of each one first.
BF16 = frozenset({"avx512_bf16", "amx_bf16"})
AMPERE = 8


@dataclass(frozen=True, slots=True)
class Candidates:
    """What can be tried here.

    Attributes:
        names: as of models.card.Compiled, in the order of NAMES.
        left: the others of those that were wanted, and why they are not tried.
    """

    names: tuple[str, ...]
    left: dict[str, str]


def find(formats: Sequence[str] = FORMATS) -> Candidates:
    """Programs in the wanted number formats, for the CPU and for a GPU where there is one.

    Raises:
        CompileError: there is no such format, or nothing to try.
    """
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        raise CompileError(f"no number format {', '.join(unknown) or '(none)'}: there are {', '.join(FORMATS)}")
    wanted = [name for name in NAMES if name.partition("-")[2] in formats]
    left = {name: why for name in wanted if (why := _obstacle(name)) is not None}
    names = tuple(name for name in wanted if name not in left)
    if not names:
        reasons = "; ".join(f"{name}: {why}" for name, why in left.items())
        raise CompileError(f"nothing to compile for here: {reasons}")
    return Candidates(names, left)


def _obstacle(name: str) -> str | None:
    if name.startswith("cuda"):
        if not torch.cuda.is_available():
            return "this machine has no GPU"
        if name == "cuda-bf16" and torch.cuda.get_device_capability()[0] < AMPERE:
            return "the GPU does not multiply bfloat16 numbers"
        return None
    if name == "cpu-bf16" and not BF16 & machine.features(torch.device("cpu")):
        return "the processor does not multiply bfloat16 numbers (it has neither avx512_bf16 nor amx_bf16)"
    return None
