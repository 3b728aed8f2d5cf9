"""Optimizers and learning-rate schedules of torch.optim, and the weights that are regularized."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from training.recipe import Optimizer, Schedule


def decayed(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the parameters that L1 and L2 regularize, and the others.

    Vectors are biases, or scales and shifts of a normalization. Regularizing them has no use (Jia et al. 2018,
    arXiv:1807.11205, section 3.2). Parameters of the network itself, such as the positions of a transformer, are not
    regularized either.
    """
    heavy: list[nn.Parameter] = []
    light: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            (heavy if parameter.ndim > 1 and name.endswith("weight") else light).append(parameter)
    return heavy, light


def build(settings: Optimizer, network: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of a recipe."""
    heavy, light = decayed(network)
    groups = [{"params": heavy, "weight_decay": settings.weight_decay}, {"params": light, "weight_decay": 0.0}]
    if settings.name == "sgd":
        return torch.optim.SGD(
            groups, lr=settings.learning_rate, momentum=settings.momentum, nesterov=settings.nesterov
        )
    kind = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.learning_rate, betas=settings.betas)


def share_of_rate(schedule: Schedule, step: int, steps: int) -> float:
    """Return the learning rate of a step (0 to steps - 1), as a share of the peak."""
    if schedule.name == "constant":
        return 1.0
    rising = int(schedule.warmup * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    done = (step - rising) / max(1, steps - 1 - rising)
    fall = 1 - done if schedule.name == "one_cycle" else (1 + math.cos(math.pi * done)) / 2
    # Not quite 0, or the very last step would be for nothing.
    return max(schedule.last + (1 - schedule.last) * fall, 1 / (10 * steps))


def schedule_for(optimizer: torch.optim.Optimizer, schedule: Schedule, steps: int, steps_done: int = 0) -> LambdaLR:
    """Return a scheduler for `steps` batches, with `steps_done` done already; call its step after each batch."""
    return LambdaLR(optimizer, lambda step: share_of_rate(schedule, min(step, steps - 1), steps), steps_done - 1)


def l1_norm(network: nn.Module) -> torch.Tensor:
    """Return the summed absolute values of the regularized weights."""
    heavy, _ = decayed(network)
    return torch.stack([parameter.abs().sum() for parameter in heavy]).sum()
