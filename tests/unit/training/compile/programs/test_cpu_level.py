"""Programs are for a level of processors, never for all that the machine at hand can do."""

from __future__ import annotations

import pytest

from training.compile.errors import CompileError
from training.compile.programs import cpu_level

V3 = frozenset("x86_64 sse4_2 avx avx2 bmi1 bmi2 f16c fma abm movbe".split())
V4 = V3 | set("avx512f avx512bw avx512cd avx512dq avx512vl".split())


@pytest.mark.parametrize(
    ("features", "march"),
    [
        (V3, "x86-64-v3"),
        (V4, "x86-64-v4"),
        (V4 | {"avx512_vnni", "amx_tile"}, "x86-64-v4"),
        (V4 - {"avx512cd"}, "x86-64-v3"),
    ],
)
def test_cpu_level_is_the_best_that_the_processor_fully_has(features: frozenset[str], march: str) -> None:
    assert cpu_level.find(features).march == march


def test_a_lower_one_can_be_chosen() -> None:
    assert cpu_level.find(V4, "x86-64-v3") == cpu_level.find(V3)


@pytest.mark.parametrize(
    ("features", "march", "said"),
    [
        (V3, "x86-64-v4", "below x86-64-v4: it has no avx512bw, avx512cd, avx512dq, avx512f, avx512vl"),
        (V3 - {"avx2"}, None, "below x86-64-v3: it has no avx2"),
        (frozenset({"aarch64", "asimd"}), None, "on x86-64 only; this machine is aarch64, asimd"),
    ],
)
def test_level_beyond_this_processor_is_not_compiled(features: frozenset[str], march: str | None, said: str) -> None:
    with pytest.raises(CompileError, match=said):
        cpu_level.find(features, march)


class Unit:
    """A vector unit of Inductor's."""

    def build_arch_flags(self) -> str:
        return "-mavx512f -mavx512dq -mavx512vl -mavx512bw -mfma -mavx512vnni -mamx-tile"


def test_instructions_of_the_vector_unit_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_level, "pick_vec_isa", Unit)
    here = V4 | {"avx512_vnni", "amx_tile", "amx_int8", "sse4_2"}
    required = cpu_level.required(cpu_level.find(V4), here)
    assert set(required) == (V4 - {"sse4_2"}) | {"avx512_vnni", "amx_tile"}


def test_every_name_is_one_of_handlers_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_level, "pick_vec_isa", Unit)
    assert set(cpu_level.required(cpu_level.find(V3), V3)) <= V3


@pytest.mark.parametrize(
    ("more", "own"), [(set(), False), ({"avx512_vnni"}, True), ({"avx512_vnni", "amx_tile"}, False)]
)
def test_inductors_own_products_are_tried_with_vnni_and_without_amx(more: set[str], own: bool) -> None:
    assert cpu_level.own_products(V4 | more) == own
