"""The module that is compiled computes what the eager engine does."""

from __future__ import annotations

import pytest
import torch

from handlers.engines import MAX_ROWS
from handlers.engines.eager import Eager
from models import architectures
from models.card import Input
from training.compile.programs.program import FromPixels, traced

SPEC = Input(size=32, mean=(0.5, 0.25, 0.125), std=(0.5, 0.25, 0.125))
CPU = torch.device("cpu")


def pixels(rows: int) -> torch.Tensor:
    return torch.randint(256, (rows, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(rows))


def network(name: str) -> architectures.Network:
    torch.manual_seed(0)
    return architectures.build(name, image_size=32, classes=5).eval().requires_grad_(False)


@pytest.mark.parametrize("name", ["cnn", "resnet9", "vit_tiny"])
def test_pixels_as_decoders_leave_them_give_the_same_outputs(name: str) -> None:
    rows = pixels(3)
    wanted = Eager(network(name), SPEC, CPU).outputs(rows.permute(0, 3, 1, 2))
    logits, embeddings = FromPixels(network(name), SPEC)(rows)
    assert torch.allclose(logits, wanted.logits, atol=1e-4)
    assert torch.allclose(embeddings, wanted.embeddings, atol=1e-4)


def test_outputs_are_float32_in_whatever_it_computes() -> None:
    logits, embeddings = FromPixels(network("cnn"), SPEC, torch.bfloat16)(pixels(2))
    assert (logits.dtype, embeddings.dtype) == (torch.float32, torch.float32)


def test_the_graph_takes_any_number_of_rows_up_to_a_pass() -> None:
    module = FromPixels(network("cnn"), SPEC)
    graph = traced(module, 32, CPU).module()
    for rows in (1, 3, MAX_ROWS):
        assert torch.allclose(graph(pixels(rows))[0], module(pixels(rows))[0], atol=1e-5)
