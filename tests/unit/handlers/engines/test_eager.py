from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from handlers.classifier import Classifier
from handlers.engines import MAX_ROWS, EngineError
from handlers.engines.eager import Eager
from models.architectures import Network
from models.card import Input
from models.release import WEIGHTS, Release

CPU = torch.device("cpu")
SPEC = Input(size=4, mean=(0, 0, 0), std=(1, 1, 1))


def test_the_network_is_frozen_and_in_evaluation_mode(classifier: Classifier) -> None:
    network = classifier.engine.network
    assert not network.training
    assert [name for name, parameter in network.named_parameters() if parameter.requires_grad] == []


def test_more_rows_than_fit_one_pass_come_out_in_order(classifier: Classifier) -> None:
    passes: list[int] = []
    first = next(module for module in classifier.engine.network.modules() if isinstance(module, nn.Conv2d))
    hook = first.register_forward_hook(lambda module, inputs, out: passes.append(len(out)))
    generator = torch.Generator().manual_seed(0)
    batch = torch.randint(256, (2 * MAX_ROWS + 3, 3, 24, 24), dtype=torch.uint8, generator=generator)
    outputs = classifier.engine.outputs(batch)
    hook.remove()
    assert passes == [64, 64, 3]
    assert outputs.logits.shape == (131, 10)
    assert torch.allclose(outputs.logits[-1:], classifier.engine.logits(batch[-1:]), atol=1e-4)
    assert torch.allclose(classifier.engine.network.head(outputs.embeddings), outputs.logits, atol=1e-4)


def test_logits_carry_no_gradient(classifier: Classifier) -> None:
    assert not classifier.engine.logits(torch.zeros(1, 3, 24, 24, dtype=torch.uint8)).requires_grad


def test_missing_weights_are_refused(own_release: Release) -> None:
    (own_release.folder / WEIGHTS).unlink()
    with pytest.raises(EngineError, match=r"weights\.safetensors: cannot be read"):
        Eager.load(own_release.folder, own_release.card, CPU)


@pytest.mark.parametrize("content", [b"", b"garbage" * 10, b"\xff" * 1000])
def test_damaged_weights_are_refused(own_release: Release, content: bytes) -> None:
    (own_release.folder / WEIGHTS).write_bytes(content)
    with pytest.raises(EngineError, match=r"weights\.safetensors: cannot be read"):
        Eager.load(own_release.folder, own_release.card, CPU)


def test_weights_of_another_architecture_are_refused(own_release: Release) -> None:
    weights = load_file(own_release.folder / WEIGHTS)
    weights["classifier.3.bias"] = torch.zeros(7)
    save_file(weights, own_release.folder / WEIGHTS)
    with pytest.raises(EngineError, match=r"does not fit architecture 'cnn': .*classifier\.3\.bias"):
        Eager.load(own_release.folder, own_release.card, CPU)


def test_a_card_that_names_no_architecture_there_is_is_refused(own_release: Release) -> None:
    architecture = own_release.card.architecture.model_copy(update={"name": "vit"})
    with pytest.raises(ValueError, match="no architecture 'vit'"):
        Eager.load(own_release.folder, own_release.card.model_copy(update={"architecture": architecture}), CPU)


class Small(Network):
    """A network on a device that has memory for so many rows at a time."""

    def __init__(self, rows: int, error: Exception) -> None:
        super().__init__()
        self.rows, self.error = rows, error
        self.passes: list[int] = []

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        self.passes.append(len(images))
        if len(images) > self.rows:
            raise self.error
        return images.flatten(1)

    def head(self, embeddings: torch.Tensor) -> torch.Tensor:
        return embeddings[:, :2]


NO_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory"),
    MemoryError(),
    RuntimeError("err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
]


@pytest.mark.parametrize("error", NO_MEMORY, ids=["device", "Python", "CPU"])
def test_out_of_memory_halves_the_rows_of_a_pass_for_good(error: Exception) -> None:
    network = Small(9, error)
    engine = Eager(network, SPEC, CPU)
    batch = torch.arange(120, dtype=torch.uint8).view(20, 3, 1, 2)
    assert torch.equal(engine.logits(batch) * 255, batch.flatten(1)[:, :2].float())
    assert network.passes == [20, 10, 5, 5, 5, 5]
    assert engine.max_rows == 5
    network.passes.clear()
    assert torch.equal(engine.logits(batch) * 255, batch.flatten(1)[:, :2].float())
    assert network.passes == [5, 5, 5, 5]


@pytest.mark.parametrize("error", NO_MEMORY, ids=["device", "Python", "CPU"])
def test_out_of_memory_on_one_row_is_an_error(error: Exception) -> None:
    network = Small(0, error)
    with pytest.raises(type(error)):
        Eager(network, SPEC, CPU).logits(torch.zeros(4, 3, 2, 2, dtype=torch.uint8))
    assert network.passes == [4, 2, 1]


@pytest.mark.parametrize("words", ["CUDA error: an illegal memory access was encountered", "out of memory"])
def test_other_errors_are_not_mistaken_for_out_of_memory(words: str) -> None:
    network = Small(1, RuntimeError(words))
    engine = Eager(network, SPEC, CPU)
    with pytest.raises(RuntimeError, match=words):
        engine.logits(torch.zeros(4, 3, 2, 2, dtype=torch.uint8))
    assert (network.passes, engine.max_rows) == ([4], MAX_ROWS)
