"""KernelSHAP on patches (Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", arXiv 1705.07874).

The least squares are those of Covert and Lee, "Improving KernelSHAP", arXiv 2012.01536, with coalitions in pairs.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from handlers.explain.methods.method import Method, Passes, Question, Readout, Settings, Steps, rows_at_once

GRID = 6  # patches along a side
SEED = 0


def attribute(readout: Readout, question: Question, settings: Settings) -> torch.Tensor:
    """The Shapley values of patches, each shown or covered with the baseline.

    Returns:
        (N, 1, H, W), a patch's value spread evenly over its pixels. Costs `steps` + 2 passes forward.
    """
    images, baselines, weights = question.images, question.baselines, question.weights
    if baselines is None:
        raise ValueError("KernelSHAP covers patches with a baseline, and the question has none")
    patches = _patches(images)
    drawn = coalitions(patches.shape[0], settings.steps or 0).to(images)
    shown = torch.cat([torch.zeros_like(drawn[:1]), torch.ones_like(drawn[:1]), drawn]) @ patches.flatten(1)
    masks = shown.view(-1, 1, *patches.shape[1:])
    at_once = max(1, rows_at_once(images) // len(images))
    found = []
    with torch.no_grad():
        for some in torch.split(masks, at_once):
            mixed = torch.where(some.unsqueeze(1) > 0, images, baselines).flatten(0, 1)
            found.append(readout(mixed, weights.repeat(len(some), 1)).view(len(some), -1))
    values = torch.cat(found)
    empty, full = values[0], values[1]
    shares = solve(drawn, values[2:] - empty, full - empty) / patches.sum(dim=(1, 2)).unsqueeze(1)
    spread: torch.Tensor = shares.T @ patches.flatten(1)
    return spread.view(len(images), 1, *images.shape[2:])


def coalitions(players: int, count: int) -> torch.Tensor:
    """Draw who takes part, each draw followed by its opposite: 0 or 1, (count, players), the same every time.

    A coalition of s players is drawn as the Shapley kernel weighs it, with (players - 1) / (s (players - s)).
    """
    generator = torch.Generator().manual_seed(SEED)
    sizes = torch.arange(1, players, dtype=torch.float64)
    chances = 1 / (sizes * (players - sizes))
    drawn = 1 + torch.multinomial(chances, (count + 1) // 2, replacement=True, generator=generator)
    ranks = torch.rand(len(drawn), players, generator=generator).argsort(dim=1).argsort(dim=1)
    taking_part = (ranks < drawn.unsqueeze(1)).float()
    return torch.stack([taking_part, 1 - taking_part], dim=1).flatten(0, 1)[:count]


def solve(drawn: torch.Tensor, values: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
    """Shares (players, N) that sum to total (N,) and explain values (count, N) of coalitions (count, players) best."""
    seen = drawn.double()
    matrix = seen.T @ seen
    unbound = torch.linalg.solve(matrix, torch.cat([seen.T @ values.double(), torch.ones_like(matrix[:, :1])], dim=1))
    free, ones = unbound[:, :-1], unbound[:, -1:]
    bound: torch.Tensor = free - ones * (free.sum(dim=0) - total) / ones.sum()
    return bound.to(values)


def _patches(images: torch.Tensor) -> torch.Tensor:
    """Which pixels each patch holds: 0 or 1, (patches, H, W)."""
    height, width = images.shape[2:]
    rows, columns = min(GRID, height), min(GRID, width)
    down = torch.arange(height, device=images.device) * rows // height
    across = torch.arange(width, device=images.device) * columns // width
    numbers = down.unsqueeze(1) * columns + across
    held: torch.Tensor = functional.one_hot(numbers, rows * columns).permute(2, 0, 1).to(images)
    return held


def passes(settings: Settings) -> Passes:
    """Each sample is one pass forward, and so are image and baseline."""
    return Passes((settings.steps or 0) + 2, 0)


METHOD = Method(
    name="kernelshap",
    title="KernelSHAP",
    attribute=attribute,
    passes=passes,
    steps=Steps("samples", default=256, least=4 * GRID**2, most=2000),
    baseline="blur",
    complete=True,
)
