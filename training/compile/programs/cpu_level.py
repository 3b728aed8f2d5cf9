"""CPU levels: instruction sets that many processors share. An engine is compiled for one level."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from torch._inductor import config
from torch._inductor.cpu_vec_isa import pick_vec_isa

from training.compile.errors import CompileError


@dataclass(frozen=True, slots=True)
class CpuLevel:
    """A level of x86-64, as the psABI defines it (gitlab.com/x86-psABIs) and compilers name it.

    Attributes:
        bits: width of its vectors.
        features: CPU features beyond the first level, as named in /proc/cpuinfo.
    """

    march: str
    bits: int
    features: frozenset[str]


_V3 = frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"})
_V4 = _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
# The best first.
LEVELS = (CpuLevel("x86-64-v4", 512, _V4), CpuLevel("x86-64-v3", 256, _V3))
# Level for the small part of a GPU engine that runs on the CPU.
BASE = CpuLevel("x86-64", 0, frozenset())
# With VNNI, 8-bit products are summed in 32 bits, not in 16.
VNNI = "avx512_vnni"


def find(features: frozenset[str], march: str | None = None) -> CpuLevel:
    """Return the level `march`, or the best level of a processor with these features (handlers.engines.machine).

    Raises:
        CompileError: the processor has no level, or not the requested one.
    """
    if "x86_64" not in features:
        kind = ", ".join(sorted(features)) or "unknown"
        raise CompileError(f"programs for the CPU are compiled on Linux on x86-64 only; this machine is {kind}")
    there = [level for level in LEVELS if level.features <= features]
    chosen = next((level for level in there if march in (None, level.march)), None)
    if chosen is None:
        required_march = march or LEVELS[-1].march
        lacking = next(level.features for level in LEVELS if level.march == required_march) - features
        raise CompileError(
            f"the processor here is below {required_march}: it has no {', '.join(sorted(lacking))}, so a program for "
            "it could not be tried; compile on a newer machine, or serve without"
        )
    return chosen


def required(level: CpuLevel, features: frozenset[str]) -> tuple[str, ...]:
    """Return the CPU features that an engine needs if it is compiled for `level` here, sorted.

    These are the level's features, and those of the vector unit that Inductor picks (AVX-512 with VNNI, AMX).
    """
    with config.patch({"cpp.simdlen": level.bits}):
        flags = pick_vec_isa().build_arch_flags().split()
    allowed = {flag.removeprefix("-m").replace("-", "") for flag in flags}
    more = {name for name in features if name.replace("_", "") in allowed}
    return tuple(sorted(level.features | more | {"x86_64"}))


def own_products(requires: Collection[str]) -> bool:
    """Return whether Inductor's own 8-bit matrix products may be faster on a processor with these features.

    With VNNI they may be, without it they are several times slower. With AMX they would use its tiles, which a process
    has to ask Linux for first (Documentation/arch/x86/xstate.rst), and no worker does.
    """
    return VNNI in requires and not any(name.startswith("amx") for name in requires)
