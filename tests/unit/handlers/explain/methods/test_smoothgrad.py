from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from handlers.explain.methods import smoothgrad
from handlers.explain.methods.method import Method
from handlers.explain.registry import METHODS
from tests.unit.handlers.explain.asking import ALL, SIZE, ask, images, linear_network, network, slopes, targets

SMOOTHING = [method for method in ALL if method.supports_smoothgrad]


def test_the_gradient_methods_have_it() -> None:
    assert [method.name for method in SMOOTHING] == ["deeplift", "ig", "layercam", "gradcam", "ixg"]


def test_many_noisy_copies_of_a_linear_network_come_to_the_map_without_noise() -> None:
    linear = linear_network()
    method, shown, weights = METHODS["ixg"], images(2), targets(0, (1, 2))
    plain = ask(method, linear, shown, weights).values
    smoothed = ask(method, linear, shown, weights, replace(method.settings, smoothgrad_samples=50)).values
    assert not torch.equal(smoothed, plain)
    deviation = (
        smoothgrad.NOISE * float(shown.max() - shown.min()) * float(slopes(linear, weights).abs().max()) / 50**0.5
    )
    assert float((smoothed - plain).abs().max()) < 10 * deviation


@pytest.mark.parametrize("method", SMOOTHING, ids=lambda method: method.name)
def test_batched_equals_single(method: Method) -> None:
    explained, shown, weights = network("cnn"), images(3), targets(0, 1, (2, 3))
    settings = replace(method.settings, smoothgrad_samples=5)
    together = ask(method, explained, shown, weights, settings).values
    alone = ask(method, explained, shown[1:2], weights[1:2], settings).values
    assert torch.allclose(together[1], alone[0], rtol=1e-3, atol=1e-4 * float(alone.abs().max()))
    plain = ask(method, explained, shown, weights).values
    assert not torch.allclose(together, plain, atol=1e-3 * float(plain.abs().max()))


def test_noise_is_in_proportion_to_the_images_contrast() -> None:
    explained, method, weights = network("cnn"), METHODS["ixg"], targets(0)
    flat = torch.full((1, 3, SIZE, SIZE), 0.3)
    settings = replace(method.settings, smoothgrad_samples=5)
    smoothed = ask(method, explained, flat, weights, settings).values
    assert torch.allclose(smoothed, ask(method, explained, flat, weights).values, atol=1e-7)
