from __future__ import annotations

import pytest
import torch

from handlers.engines import Engine
from training.compile import timing


class Noted(Engine):
    """Notes who was asked, with how many threads."""

    def __init__(self, name: str, asked: list[tuple[str, int, int]]) -> None:
        super().__init__(name, torch.device("cpu"))
        self.asked = asked

    def run(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.asked.append((self.name, len(pixels), torch.get_num_threads()))
        return torch.zeros(len(pixels), 2), torch.zeros(len(pixels), 2)


def test_engines_take_turns_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "ROUNDS", 3)
    asked: list[tuple[str, int, int]] = []
    torch.set_num_threads(2)
    try:
        took = timing.milliseconds({name: Noted(name, asked) for name in ("a", "b")}, 4)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert asked == 4 * [("a", 8, 1), ("b", 8, 1)]
    assert list(took) == ["a", "b"]
    assert all(0 < value < 100 for value in took.values())


def test_a_slow_network_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "SECONDS", 0.0)
    asked: list[tuple[str, int, int]] = []
    timing.milliseconds({"a": Noted("a", asked)}, 4)
    assert len(asked) == 1 + timing.LEAST
