from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from handlers.classifier import Classifier
from handlers.engine import MAX_ROWS, Engine, EngineError
from models.release import WEIGHTS, Release

CPU = torch.device("cpu")


def test_the_network_is_frozen_and_in_evaluation_mode(classifier: Classifier) -> None:
    network = classifier.engine.network
    assert not network.training
    assert [name for name, parameter in network.named_parameters() if parameter.requires_grad] == []


def test_more_rows_than_fit_one_pass_come_out_in_order(classifier: Classifier) -> None:
    passes: list[int] = []
    hook = classifier.engine.network.register_forward_hook(lambda module, inputs, out: passes.append(len(out)))
    batch = torch.randn(2 * MAX_ROWS + 3, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    logits = classifier.engine.logits(batch)
    hook.remove()
    assert passes == [64, 64, 3]
    assert logits.shape == (131, 10)
    assert torch.allclose(logits[-1:], classifier.engine.logits(batch[-1:]), atol=1e-4)


def test_logits_carry_no_gradient(classifier: Classifier) -> None:
    assert not classifier.engine.logits(torch.zeros(1, 3, 24, 24)).requires_grad


def test_missing_weights_are_refused(own_release: Release) -> None:
    (own_release.folder / WEIGHTS).unlink()
    with pytest.raises(EngineError, match=r"weights\.safetensors: cannot be read"):
        Engine.load(own_release.folder, own_release.card, CPU)


@pytest.mark.parametrize("content", [b"", b"garbage" * 10, b"\xff" * 1000])
def test_damaged_weights_are_refused(own_release: Release, content: bytes) -> None:
    (own_release.folder / WEIGHTS).write_bytes(content)
    with pytest.raises(EngineError, match=r"weights\.safetensors: cannot be read"):
        Engine.load(own_release.folder, own_release.card, CPU)


def test_weights_of_another_architecture_are_refused(own_release: Release) -> None:
    weights = load_file(own_release.folder / WEIGHTS)
    weights["classifier.3.bias"] = torch.zeros(7)
    save_file(weights, own_release.folder / WEIGHTS)
    with pytest.raises(EngineError, match=r"does not fit architecture 'cnn': .*classifier\.3\.bias"):
        Engine.load(own_release.folder, own_release.card, CPU)


def test_a_card_that_names_no_architecture_there_is_is_refused(own_release: Release) -> None:
    architecture = own_release.card.architecture.model_copy(update={"name": "vit"})
    with pytest.raises(ValueError, match="no architecture 'vit'"):
        Engine.load(own_release.folder, own_release.card.model_copy(update={"architecture": architecture}), CPU)
