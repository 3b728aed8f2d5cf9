"""Candidate engines, and reasons for skipped ones."""

from __future__ import annotations

import pytest
import torch

from handlers.engines import machine
from training.compile import candidates
from training.compile.errors import CompileError


@pytest.fixture(autouse=True)
def a_plain_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(machine, "features", lambda device: frozenset({"x86_64", "avx2"}))


def test_all_formats_that_the_machine_computes_in_are_tried_and_the_others_named() -> None:
    found = candidates.find()
    assert found.names == ("cpu-int8", "cpu-fp32")
    assert found.skipped == {
        "cpu-bf16": "the processor does not multiply bfloat16 numbers (it has neither avx512_bf16 nor amx_bf16)",
        "cuda-bf16": "this machine has no GPU",
        "cuda-fp16": "this machine has no GPU",
    }


@pytest.mark.parametrize("feature", ["avx512_bf16", "amx_bf16"])
def test_bfloat16_is_tried_where_the_processor_multiplies_it(feature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "features", lambda device: frozenset({"x86_64", feature}))
    assert candidates.find(["bf16"]).names == ("cpu-bf16",)


@pytest.mark.parametrize(("capability", "names"), [((9, 0), ("cuda-bf16", "cuda-fp16")), ((7, 5), ("cuda-fp16",))])
def test_a_gpu_gets_half_precision(
    capability: tuple[int, int], names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert candidates.find(["bf16", "fp16"]).names == names


def test_candidates_are_limited_to_the_requested_formats() -> None:
    assert candidates.find(["fp32"]) == candidates.Candidates(("cpu-fp32",), {})


@pytest.mark.parametrize(
    ("formats", "said"),
    [
        (["int4"], "no number format int4: there are int8, bf16, fp16, fp32"),
        (["int8", ""], "no number format"),
        (["fp16"], "nothing to compile for here: cuda-fp16: this machine has no GPU"),
    ],
)
def test_a_wish_that_cannot_be_met_says_what_can(formats: list[str], said: str) -> None:
    with pytest.raises(CompileError, match=said):
        candidates.find(formats)
