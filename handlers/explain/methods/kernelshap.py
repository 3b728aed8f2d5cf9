"""KernelSHAP on patches (Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", arXiv 1705.07874).

The least squares solution and the paired coalitions follow Covert and Lee, "Improving KernelSHAP", arXiv 2012.01536.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from handlers.explain.methods.method import AttributionInputs, Method, MethodSettings, Passes, StepRange, TargetScore
from handlers.explain.methods.row_limit import rows_at_once

GRID = 6  # patches along a side
SEED = 0


def attribute(target_score: TargetScore, inputs: AttributionInputs, settings: MethodSettings) -> torch.Tensor:
    """Estimate the Shapley values of patches; an absent patch shows the baseline.

    Returns:
        (N, 1, H, W), the value of a patch spread evenly over its pixels. Costs `steps` + 2 forward passes.
    """
    images, baselines, weights = inputs.images, inputs.required_baselines, inputs.weights
    patches = _patches(images)
    members = coalitions(patches.shape[0], settings.steps or 0).to(images)
    shown = torch.cat([torch.zeros_like(members[:1]), torch.ones_like(members[:1]), members]) @ patches.flatten(1)
    masks = shown.view(-1, 1, *patches.shape[1:])
    chunk_size = max(1, rows_at_once(images) // len(images))
    scores = []
    with torch.no_grad():
        for chunk in torch.split(masks, chunk_size):
            mixed = torch.where(chunk.unsqueeze(1) > 0, images, baselines).flatten(0, 1)
            scores.append(target_score(mixed, weights.repeat(len(chunk), 1)).view(len(chunk), -1))
    values = torch.cat(scores)
    empty, full = values[0], values[1]
    shares = solve(members, values[2:] - empty, full - empty) / patches.sum(dim=(1, 2)).unsqueeze(1)
    spread: torch.Tensor = shares.T @ patches.flatten(1)
    return spread.view(len(images), 1, *images.shape[2:])


def coalitions(players: int, count: int) -> torch.Tensor:
    """Draw coalitions, each followed by its complement: 0 or 1, (count, players), the same for each call.

    The size s of a coalition is drawn by the Shapley kernel: (players - 1) / (s (players - s)).
    """
    generator = torch.Generator().manual_seed(SEED)
    sizes = torch.arange(1, players, dtype=torch.float64)
    chances = 1 / (sizes * (players - sizes))
    drawn_sizes = 1 + torch.multinomial(chances, (count + 1) // 2, replacement=True, generator=generator)
    ranks = torch.rand(len(drawn_sizes), players, generator=generator).argsort(dim=1).argsort(dim=1)
    members = (ranks < drawn_sizes.unsqueeze(1)).float()
    return torch.stack([members, 1 - members], dim=1).flatten(0, 1)[:count]


def solve(members: torch.Tensor, values: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
    """Fit shares (players, N), with sum total (N,), to the values (count, N) of coalitions (count, players)."""
    design = members.double()
    matrix = design.T @ design
    solution = torch.linalg.solve(
        matrix, torch.cat([design.T @ values.double(), torch.ones_like(matrix[:, :1])], dim=1)
    )
    unconstrained, ones = solution[:, :-1], solution[:, -1:]
    constrained: torch.Tensor = unconstrained - ones * (unconstrained.sum(dim=0) - total) / ones.sum()
    return constrained.to(values)


def _patches(images: torch.Tensor) -> torch.Tensor:
    """Return the pixels of each patch: 0 or 1, (patches, H, W)."""
    height, width = images.shape[2:]
    rows, columns = min(GRID, height), min(GRID, width)
    down = torch.arange(height, device=images.device) * rows // height
    across = torch.arange(width, device=images.device) * columns // width
    numbers = down.unsqueeze(1) * columns + across
    masks: torch.Tensor = functional.one_hot(numbers, rows * columns).permute(2, 0, 1).to(images)
    return masks


def passes(settings: MethodSettings) -> Passes:
    """Return one forward pass for each sample, for the image and for the baseline."""
    return Passes((settings.steps or 0) + 2, 0)


METHOD = Method(
    name="kernelshap",
    title="KernelSHAP",
    rank=20,
    attribute=attribute,
    passes=passes,
    steps=StepRange("samples", default=256, minimum=4 * GRID**2, maximum=2000),
    baseline="blur",
    complete=True,
)
