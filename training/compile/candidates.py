"""The engines that this machine can compile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from handlers.engines import machine
from training.compile.errors import CompileError

FORMATS = ("int8", "bf16", "fp16", "fp32")
NAMES = ("cpu-int8", "cpu-bf16", "cpu-fp32", "cuda-bf16", "cuda-fp16")
# CPU features for bfloat16 products; other processors convert to float32 first.
BF16 = frozenset({"avx512_bf16", "amx_bf16"})
AMPERE = 8


@dataclass(frozen=True, slots=True)
class Candidates:
    """Engines to compile.

    Attributes:
        names: see models.card.Compiled; in the order of NAMES.
        skipped: the other requested engines, each with the reason why it is skipped.
    """

    names: tuple[str, ...]
    skipped: dict[str, str]


def find(formats: Sequence[str] = FORMATS) -> Candidates:
    """Return engines in the requested number formats, for the CPU and for the GPU if there is one.

    Raises:
        CompileError: a format is unknown, or no engine can be compiled here.
    """
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        raise CompileError(f"no number format {', '.join(unknown) or '(none)'}: there are {', '.join(FORMATS)}")
    requested = [name for name in NAMES if name.partition("-")[2] in formats]
    skipped = {name: reason for name in requested if (reason := _obstacle(name)) is not None}
    names = tuple(name for name in requested if name not in skipped)
    if not names:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
        raise CompileError(f"nothing to compile for here: {reasons}")
    return Candidates(names, skipped)


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
