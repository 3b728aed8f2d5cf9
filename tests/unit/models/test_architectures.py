from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from models import architectures

TINY = """
from torch import nn


def build(image_size=4, classes=2):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size**2, classes))
"""


def test_the_small_cnn_is_listed_under_its_file_name() -> None:
    assert "cnn" in architectures.names()
    assert architectures.names() == sorted(architectures.names())


def test_arguments_reach_the_architecture() -> None:
    assert architectures.build("cnn", image_size=8, classes=5)(torch.zeros(2, 3, 8, 8)).shape == (2, 5)


def test_a_new_file_is_all_that_a_new_architecture_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny.py").write_text(TINY, encoding="utf-8")
    monkeypatch.setattr(architectures, "__path__", [*architectures.__path__, str(tmp_path)])
    try:
        assert "tiny" in architectures.names()
        assert architectures.build("tiny", classes=7)(torch.zeros(1, 3, 4, 4)).shape == (1, 7)
    finally:
        sys.modules.pop("models.architectures.tiny", None)


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no architecture 'resnt': there are .*cnn"):
        architectures.build("resnt")


def test_a_wrong_argument_is_answered_with_the_signature() -> None:
    with pytest.raises(ValueError, match=r"'cnn'.*image_sze.*; it is cnn\(image_size.*classes.*\)"):
        architectures.build("cnn", image_sze=24)
