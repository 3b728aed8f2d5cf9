from __future__ import annotations

import os
from pathlib import Path

import pytest

from serving.runtime import cpu


@pytest.fixture
def all_cores(tmp_path: Path) -> int:
    return cpu.usable(tmp_path / "no such file")


@pytest.mark.parametrize(
    ("quota", "share"), [("100000 100000\n", 1), ("150000 100000\n", 1), ("50000 100000\n", 1), ("1 100000", 1)]
)
def test_container_of_one_core_or_less_has_one(tmp_path: Path, quota: str, share: int) -> None:
    (tmp_path / "cpu.max").write_text(quota, encoding="ascii")
    assert cpu.usable(tmp_path / "cpu.max") == share


@pytest.mark.parametrize("quota", ["max 100000\n", "99900000 100000\n", "", "nonsense", "1 2 3", "a b"])
def test_quota_that_limits_nothing_leaves_all_cores(tmp_path: Path, all_cores: int, quota: str) -> None:
    (tmp_path / "cpu.max").write_text(quota, encoding="ascii")
    assert cpu.usable(tmp_path / "cpu.max") == all_cores


def test_larger_quota_is_rounded_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    (tmp_path / "cpu.max").write_text("390000 100000", encoding="ascii")
    assert cpu.usable(tmp_path / "cpu.max") == 3


def test_affinity_mask_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 3}, raising=False)
    assert cpu.usable(tmp_path / "no such file") == 2


@pytest.mark.parametrize(
    ("workers", "usable", "threads"),
    [(1, 1, 1), (1, 2, 1), (1, 3, 2), (1, 4, 3), (2, 4, 1), (2, 9, 4), (8, 4, 1), (1, 64, 16), (3, 64, 16), (0, 3, 2)],
)
def test_workers_share_the_cores_that_java_and_the_proxy_leave(workers: int, usable: int, threads: int) -> None:
    assert cpu.threads_per_worker(workers, usable) == threads
