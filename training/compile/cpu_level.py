"""Which instructions a program for the CPU may use: a level that many processors share, not all that this one has."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from torch._inductor import config
from torch._inductor.cpu_vec_isa import pick_vec_isa

from training.compile.errors import CompileError


@dataclass(frozen=True, slots=True)
class Level:
    """A level of x86-64, as the psABI defines it (gitlab.com/x86-psABIs) and compilers name it.

    Attributes:
        bits: of its vectors.
        features: that it has beyond the first level, as /proc/cpuinfo names them.
    """

    march: str
    bits: int
    features: frozenset[str]


_V3 = frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"})
_V4 = _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
# The best first.
LEVELS = (Level("x86-64-v4", 512, _V4), Level("x86-64-v3", 256, _V3))
# Of what runs on the CPU of a program for a GPU, which is next to nothing.
BASE = Level("x86-64", 0, frozenset())
# The products of 8-bit numbers add up in 32 bits, not in 16.
VNNI = "avx512_vnni"


def find(features: frozenset[str], march: str | None = None) -> Level:
    """The level `march`, or the best that a processor with these features (handlers.engines.machine) has.

    Raises:
        CompileError: it has none that programs are compiled for, or not this one.
    """
    if "x86_64" not in features:
        kind = ", ".join(sorted(features)) or "unknown"
        raise CompileError(f"programs for the CPU are compiled on Linux on x86-64 only; this machine is {kind}")
    there = [level for level in LEVELS if level.features <= features]
    chosen = next((level for level in there if march in (None, level.march)), None)
    if chosen is None:
        wanted = march or LEVELS[-1].march
        lacking = next(level.features for level in LEVELS if level.march == wanted) - features
        raise CompileError(
            f"the processor here is below {wanted}: it has no {', '.join(sorted(lacking))}, so a program for it could "
            "not be tried; compile on a newer machine, or serve without"
        )
    return chosen


def required(level: Level, features: frozenset[str]) -> tuple[str, ...]:
    """What a processor must have to run what is compiled for `level` here, sorted.

    The level, and what else the compiler is allowed by the vector unit that Inductor picks (AVX-512 with VNNI, AMX).
    """
    with config.patch({"cpp.simdlen": level.bits}):
        flags = pick_vec_isa().build_arch_flags().split()
    allowed = {flag.removeprefix("-m").replace("-", "") for flag in flags}
    more = {name for name in features if name.replace("_", "") in allowed}
    return tuple(sorted(level.features | more | {"x86_64"}))


def own_products(requires: Collection[str]) -> bool:
    """Whether Inductor's own products of 8-bit numbers may be the faster ones on a processor with these features.

    With VNNI they may be, without it they are several times slower. With AMX they would use its tiles, which a process
    has to ask Linux for first (Documentation/arch/x86/xstate.rst), and no worker does.
    """
    return VNNI in requires and not any(name.startswith("amx") for name in requires)
