"""On a network that looks at one patch of 64, all figures are known."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from handlers.explain.evidence import faithfulness
from handlers.explain.methods.baselines import blur
from handlers.explain.methods.row_limit import MAX_ROWS

FOR, AGAINST = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])


def looks(images: torch.Tensor) -> torch.Tensor:
    """Class 0 where the patch in row 2, column 5 is bright, class 1 elsewhere; both are quite sure."""
    seen = images[:, :, 8:12, 20:24].mean(dim=(1, 2, 3))
    return torch.stack([100 * seen - 50, torch.zeros_like(seen)], dim=1)


@pytest.fixture
def image() -> torch.Tensor:
    image = torch.zeros(1, 3, 32, 32)
    image[:, :, 8:12, 20:24] = 1
    return image


@pytest.fixture
def blurred() -> torch.Tensor:
    return torch.full((1, 3, 32, 32), 0.1)


@pytest.fixture
def right() -> torch.Tensor:
    """The map that points at what the network looks at."""
    heat = torch.zeros(1, 32, 32)
    heat[:, 8:12, 20:24] = 1
    return heat


def test_a_map_that_is_right_has_the_areas_it_should(
    image: torch.Tensor, blurred: torch.Tensor, right: torch.Tensor
) -> None:
    curves = faithfulness.curves(looks, image, FOR, right, blurred)
    assert curves.deletion[0].tolist() == pytest.approx([1] + [0] * 16)
    assert curves.insertion[0].tolist() == pytest.approx([0] + [1] * 16)
    (result,) = faithfulness.measure(looks, image, FOR, right)
    assert result.members() == {
        "deletion": 0.0312,
        "insertion": 0.9688,
        "gap": 0.9375,
        "versus_random": 0.9375,  # where one patch counts, a map and the same upside down cancel out
        "versus_center": pytest.approx(0.9375 - float(faithfulness.center_gap(looks, image, FOR, blurred)), abs=1e-4),
        "insertion_start": 0.0,
        "insertion_baseline": "blur",
    }


def test_a_map_that_is_wrong_is_below_the_random_one(image: torch.Tensor, right: torch.Tensor) -> None:
    (result,) = faithfulness.measure(looks, image, FOR, -right)
    assert (result.gap, result.versus_random) == (pytest.approx(-0.9375), pytest.approx(-0.9375))
    assert result.versus_center < 0


def test_the_map_of_the_centre_is_best_where_the_network_looks_there() -> None:
    def center(images: torch.Tensor) -> torch.Tensor:
        return looks(images.roll((-4, 8), dims=(2, 3)))  # rows 12 to 16, columns 12 to 16

    image = torch.zeros(1, 3, 32, 32)
    image[:, :, 12:16, 12:16] = 1
    assert float(faithfulness.center_gap(center, image, FOR, torch.zeros_like(image))) == pytest.approx(0.9375)


def test_insertion_starts_from_the_mean_color_where_the_blurred_image_keeps_the_class(
    image: torch.Tensor, right: torch.Tensor
) -> None:
    """Class 0 needs a bright image on average, and blur does not change the average."""
    bright, networks = torch.ones_like(image), []

    def average(images: torch.Tensor) -> torch.Tensor:
        networks.append(len(images))
        mean = images.mean(dim=(1, 2, 3))
        return torch.stack([20 * (mean - 0.5), torch.zeros_like(mean)], dim=1)

    images, weights = torch.cat([bright, image]), torch.cat([FOR, FOR])
    start = faithfulness.insertion_start(average, images, weights)
    assert start.blurred.tolist() == [False, True]
    assert not start.images[0].any()
    assert torch.equal(start.images[1:], blur(image))
    assert sum(networks) == 2
    kept, removed = faithfulness.measure(average, images, weights, torch.cat([right, right]))
    assert (kept.insertion_baseline, removed.insertion_baseline) == ("mean", "blur")
    assert kept.insertion_start == pytest.approx(0, abs=1e-4)
    blurred_curves = faithfulness.curves(average, bright, FOR, right, blur(bright))
    assert blurred_curves.insertion.min() > 0.99, "from the blurred image, every map would be perfect"
    assert kept.insertion < 0.9


def test_deletion_fills_with_the_mean_and_insertion_starts_from_the_given_image(
    image: torch.Tensor, right: torch.Tensor
) -> None:
    seen: list[torch.Tensor] = []

    def watches(images: torch.Tensor) -> torch.Tensor:
        seen.append(images)
        return looks(images)

    blurred = torch.full_like(image, 0.25)
    faithfulness.curves(watches, image, FOR, right, blurred)
    rows = torch.cat(seen)
    assert len(rows) == 2 * faithfulness.STEPS + 1
    assert torch.equal(rows[0], image[0])
    assert not rows[16].any()
    assert torch.equal(rows[17], blurred[0])
    assert set(rows[17:].unique().tolist()) == {0, 0.25, 1}


def test_contrast_faithfulness_uses_the_probability_of_the_first_class() -> None:
    logits = torch.tensor([[2.0, 1.0, 9.0], [2.0, 1.0, 9.0]])
    weights = torch.tensor([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    two, single = faithfulness.probability(logits, weights).tolist()
    assert two == pytest.approx(float(logits[0, :2].softmax(dim=0)[0]))
    assert single == pytest.approx(float(logits[1].softmax(dim=0)[2]))


def test_each_image_of_a_batch_is_measured_as_it_is_alone() -> None:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 10 * 18, 3)).eval()
    images, heats = torch.randn(5, 3, 12, 20), torch.randn(5, 12, 20)
    weights = torch.tensor([[1.0, 0, 0], [0, 1, 0], [1, -1, 0], [0, 0, 1], [0, -1, 1]])
    together = faithfulness.measure(network, images, weights, heats)
    for row, result in enumerate(together):
        part = slice(row, row + 1)
        (alone,) = faithfulness.measure(network, images[part], weights[part], heats[part])
        assert alone.members() == {
            name: pytest.approx(value, abs=2e-4) if isinstance(value, float) else value
            for name, value in result.members().items()
        }


def test_passes_are_bounded_and_as_many_as_promised(image: torch.Tensor, right: torch.Tensor) -> None:
    rows: list[int] = []

    def counts(images: torch.Tensor) -> torch.Tensor:
        rows.append(len(images))
        return looks(images)

    many = [tensor.expand(3, *tensor.shape[1:]) for tensor in (image, FOR, right)]
    faithfulness.measure(counts, *many)
    assert max(rows) <= MAX_ROWS
    assert sum(rows) <= 3 * (faithfulness.PASSES + 4)


def test_the_random_map_is_the_same_each_time_and_leaves_the_generator_alone(
    image: torch.Tensor, blurred: torch.Tensor
) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = faithfulness.random_gap(looks, image + 0.3 * blurred, AGAINST, blurred)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(faithfulness.random_gap(looks, image + 0.3 * blurred, AGAINST, blurred), first)


@pytest.mark.parametrize("size", [1, 2, 5, 30])
def test_an_image_of_any_size_is_measured(size: int) -> None:
    images = torch.rand(1, 3, size, size)
    (result,) = faithfulness.measure(
        lambda rows: rows.mean(dim=(2, 3)), images, torch.eye(3)[:1], torch.zeros(1, size, size)
    )
    assert 0 < result.deletion < 1
    assert 0 < result.insertion < 1
