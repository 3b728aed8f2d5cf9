"""Optimizers, learning rate schedules, and regularized weights."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import nn

from models import architectures
from training.loop.optimizer import build, decayed, l1_norm, schedule_for, share_of_rate
from training.recipe import Optimizer, Schedule

STEPS = 50


def shares(steps: int = STEPS, **settings: Any) -> list[float]:
    return [share_of_rate(Schedule(**settings), step, steps) for step in range(steps)]


def stepped(optimizer: torch.optim.Optimizer, schedule: Schedule, first: int, last: int) -> list[float]:
    """The learning rate of each step, as the loop has it."""
    scheduler = schedule_for(optimizer, schedule, STEPS, first)
    rates = []
    for _ in range(first, last):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("name", architectures.names())
def test_biases_and_norms_are_not_held_small(name: str) -> None:
    network = architectures.build(name, image_size=32, classes=3)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    heavy, light = ([names[id(parameter)] for parameter in group] for group in decayed(network))
    assert not [name for name in heavy if name.endswith("bias") or "norm" in name or "bn" in name]
    assert all(name.endswith("weight") for name in heavy)
    assert len(heavy) + len(light) == len(names)
    norms = [module for module in network.modules() if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm))]
    assert {names[id(norm.weight)] for norm in norms} <= set(light)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_weight_decay_draws_weights_to_zero_and_leaves_biases(name: str) -> None:
    network = nn.Linear(3, 3)
    with torch.no_grad():
        network.weight.sign_()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    optimizer = build(Optimizer(name=name, learning_rate=0.1, weight_decay=0.1), network)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.equal(network.bias, before["bias"])
    assert (network.weight.abs() < before["weight"].abs()).all()


def test_decay_is_decoupled_in_adamw() -> None:
    network = nn.Linear(3, 3)
    before = network.weight.detach().clone()
    optimizer = build(Optimizer(name="adamw", learning_rate=0.1, weight_decay=0.1), network)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.allclose(network.weight, before * (1 - 0.1 * 0.1))


def test_the_l1_norm_is_of_weights_alone() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(-3)
    assert l1_norm(network).item() == 3 * (4 + 2)


def test_a_frozen_weight_is_nobodys() -> None:
    network = nn.Linear(2, 2)
    network.weight.requires_grad_(False)
    assert decayed(network)[0] == []


def test_the_optimizer_is_the_one_that_was_asked_for() -> None:
    network = nn.Linear(2, 2)
    sgd = build(Optimizer(name="sgd", learning_rate=0.3, momentum=0.8, nesterov=True), network)
    assert isinstance(sgd, torch.optim.SGD)
    assert (sgd.defaults["lr"], sgd.defaults["momentum"], sgd.defaults["nesterov"]) == (0.3, 0.8, True)
    adamw = build(Optimizer(name="adamw", learning_rate=0.3, betas=(0.7, 0.9)), network)
    assert isinstance(adamw, torch.optim.AdamW)
    assert adamw.defaults["betas"] == (0.7, 0.9)
    adam = build(Optimizer(name="adam"), network)
    assert isinstance(adam, torch.optim.Adam)
    assert not isinstance(adam, torch.optim.AdamW)


def test_a_constant_rate_is_one() -> None:
    assert shares(name="constant", warmup=0.5) == [1.0] * STEPS


@pytest.mark.parametrize("name", ["one_cycle", "cosine"])
def test_a_rate_rises_in_a_straight_line_and_falls_to_nearly_nothing(name: str) -> None:
    found = shares(name=name, warmup=0.2)
    rise, fall = found[:11], found[10:]
    assert rise == pytest.approx([(step + 1) / 11 for step in range(11)])
    assert found.index(max(found)) == 10
    assert max(found) == 1.0
    assert fall == sorted(fall, reverse=True)
    assert 0 < found[-1] < 0.01


def test_one_cycle_falls_linearly_and_cosine_along_a_cosine() -> None:
    assert shares(11, name="one_cycle", warmup=0)[::5] == pytest.approx([1, 0.5, 0], abs=0.01)
    straight = shares(11, name="one_cycle", warmup=0)
    assert [a - b for a, b in itertools.pairwise(straight[:-1])] == pytest.approx([0.1] * 9)
    assert shares(9, name="cosine", warmup=0) == pytest.approx(
        [1, 0.962, 0.854, 0.691, 0.5, 0.309, 0.146, 0.038, 0.011], abs=0.001
    )


def test_the_last_rate_is_the_one_that_was_asked_for() -> None:
    assert shares(name="cosine", last=0.1)[-1] == pytest.approx(0.1)
    assert shares(name="one_cycle", last=0.1)[-1] == pytest.approx(0.1)
    assert min(shares(name="one_cycle", last=0.1, warmup=0)) == pytest.approx(0.1)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("name", ["one_cycle", "cosine", "constant"])
def test_the_shortest_training_has_a_rate_too(name: str, steps: int) -> None:
    assert all(0 < share <= 1 for share in shares(steps, name=name, warmup=0.9))


@pytest.mark.parametrize("taken", [1, 10, 11, 49])
def test_a_schedule_goes_on_exactly_where_it_was(taken: int) -> None:
    schedule, network = Schedule(name="cosine", warmup=0.2), nn.Linear(2, 2)
    settings = Optimizer(learning_rate=0.7)
    whole = stepped(build(settings, network), schedule, 0, STEPS)
    assert whole == [pytest.approx(0.7 * share) for share in shares(name="cosine", warmup=0.2)]
    again = build(settings, network)
    schedule_for(again, schedule, STEPS)
    assert stepped(again, schedule, taken, STEPS) == whole[taken:]
