"""Checks of maps, on maps with known results."""

from __future__ import annotations

import pytest
import torch

from models.card import Architecture, Input
from training.explanations import bootstrap, pointing_game, randomization_test, remove_and_debias, stability
from training.explanations.ranks import spearman

CPU = torch.device("cpu")


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_spearman_depends_on_order_only() -> None:
    maps = noise(3, 8, 8)
    others = torch.stack([maps[0].exp(), -maps[1], torch.zeros(8, 8)])
    assert spearman(maps, others).tolist() == pytest.approx([1, -1, 0])
    assert abs(float(spearman(noise(1, 64, 64), noise(1, 64, 64, seed=1)))) < 0.05


def test_bootstrap_interval_contains_the_mean_and_narrows_with_more_images() -> None:
    wide, narrow = bootstrap.mean(noise(20)), bootstrap.mean(noise(2000))
    assert wide.low < wide.value < wide.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 3
    assert bootstrap.mean(torch.ones(5)) == bootstrap.Mean(1, 1, 1)


def test_relevance_mass_and_pointing_game_measure_evidence_on_the_object() -> None:
    masks = torch.zeros(3, 4, 4, dtype=torch.bool)
    masks[:, :2] = True
    heats = torch.zeros(3, 4, 4)
    heats[0, 0, 0], heats[0, 3, 3] = 3, 1
    heats[1, 0, 0], heats[1, 3, 3] = -5, 1  # evidence against does not count
    assert pointing_game.relevance_mass(heats, masks).tolist() == [0.75, 0, 0]
    assert pointing_game.hits(heats, masks).tolist()[:2] == [True, False]


def test_randomization_similarity_is_high_for_maps_of_the_image_of_either_sign_and_low_by_chance() -> None:
    image, coarse = noise(16, 8, 8), torch.nn.functional.interpolate(noise(1, 32, 2, 2), size=8)[0]
    signs = torch.tensor([1.0, -1.0]).repeat(8)[:, None, None]
    assert randomization_test.similarity(image, image * signs).value > 0.8
    assert randomization_test.similarity(image[:1].expand(16, 8, 8), image[:1].expand(16, 8, 8)).value == pytest.approx(
        1
    )
    assert randomization_test.similarity(image, noise(16, 8, 8, seed=1)).value < 0.1
    assert abs(randomization_test.similarity(image, noise(16, 8, 8, seed=1)).unsigned) < 0.1
    # Maps with new random signs pass with signs, and not without.
    random_signs = noise(16, 8, 8, seed=2).sign()
    flipped = randomization_test.similarity(image, image * random_signs)
    assert flipped.value < 0.1
    assert flipped.unsigned == pytest.approx(1)
    assert spearman(coarse[:16], coarse[16:]).abs().mean() > 0.3  # maps of few cells correlate by chance
    assert randomization_test.similarity(coarse[:16], coarse[16:]).value < 0.2


def test_random_networks_are_repeatable_and_do_not_change_the_global_generator() -> None:
    before = torch.get_rng_state()
    small = Architecture(name="cnn", arguments={"image_size": 8, "classes": 2})
    networks, repeated = (randomization_test.random_networks(small, CPU) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    images = noise(2, 3, 8, 8)
    assert all(torch.equal(first(images), second(images)) for first, second in zip(networks, repeated, strict=True))
    assert not torch.equal(networks[0](images), networks[1](images))


def test_stability_is_relative_to_the_map() -> None:
    maps = noise(2, 4, 4)
    assert stability.relative_change(maps, torch.stack([maps[0], 1.5 * maps[1]])).tolist() == pytest.approx([0, 0.5])
    copies = list(stability.noisy(torch.zeros(2, 3, 16, 16), Input(size=16, mean=(0, 0, 0), std=(0.5, 0.5, 0.5))))
    assert len(copies) == stability.COPIES
    assert torch.equal(copies[0][0], copies[0][1])
    assert not torch.equal(copies[0], copies[1])
    assert float(copies[0].std()) == pytest.approx(0.04, rel=0.1)


def test_imputed_pixels_are_the_weighted_mean_of_their_neighbors() -> None:
    images = noise(2, 3, 7, 9)
    removed = torch.rand(2, 7, 9, generator=torch.Generator().manual_seed(1)) < 0.6
    imputed = remove_and_debias.imputed(images, removed).double()
    visible = ~removed[:, None].expand_as(imputed)
    assert torch.equal(imputed[visible], images.double()[visible])
    kernel = torch.tensor(remove_and_debias.KERNEL).double()
    around = remove_and_debias._around(imputed, kernel) / remove_and_debias._around(torch.ones_like(imputed), kernel)
    assert float((imputed - around)[~visible].abs().max()) < 10 * remove_and_debias.NOISE
    assert float((images - around)[~visible].abs().max()) > 1


def test_remove_and_debias_is_high_for_the_map_of_the_relevant_pixels() -> None:
    """Use a network that depends on the brightness of one quarter of the image."""

    def logits(images: torch.Tensor) -> torch.Tensor:
        bright = 4 * images[:, :, :4, :4].mean(dim=(1, 2, 3))
        return torch.stack([bright, -bright], dim=1)

    images = torch.full((2, 3, 8, 8), -1.0)
    images[:, :, :4, :4] = 1
    weights = torch.tensor([[1.0, 0.0]]).repeat(2, 1)
    right = torch.zeros(2, 8, 8)
    right[:, :4, :4] = 1
    assert remove_and_debias.remove_and_debias(logits, images, weights, right).min() > 0.3
    assert remove_and_debias.remove_and_debias(logits, images, weights, -right).max() < -0.3
