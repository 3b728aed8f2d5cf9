"""Check the measurement of memory and disk, with control groups as files."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import pytest

from serving.artifacts.store import Archive
from serving.rollout import resources
from serving.rollout.registry import TorchServeRegistry
from serving.torchserve.worker_roles import RoleCounts
from tests.unit.serving.fake_management import FakeManagement

MB = 1_000_000


def group(folder: Path, limit: str, used: int, inactive: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 7\ninactive_file {inactive}\nactive_file 3\n")


def own_cgroup(tmp_path: Path, path: str) -> Path:
    file = tmp_path / "cgroup"
    file.write_text(f"4:memory:/legacy\n0::{path}\n10:cpu:/\n")
    return file


def test_without_control_groups_the_machine_is_the_limit(tmp_path: Path) -> None:
    free = resources.free_memory(tmp_path, tmp_path / "none")
    assert free == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_the_limit_of_a_container_counts_without_the_files_in_memory(tmp_path: Path) -> None:
    group(tmp_path, str(200 * MB), 150 * MB, inactive=30 * MB)
    assert resources.free_memory(tmp_path, own_cgroup(tmp_path, "/")) == 80 * MB


def test_the_smallest_limit_of_a_group_and_its_parents_counts(tmp_path: Path) -> None:
    group(tmp_path / "system.slice", str(100 * MB), 40 * MB)
    group(tmp_path / "system.slice" / "torchlight.service", "max", 30 * MB)
    assert resources.free_memory(tmp_path, own_cgroup(tmp_path, "/system.slice/torchlight.service")) == 60 * MB


def test_a_group_above_its_limit_has_nothing_free(tmp_path: Path) -> None:
    group(tmp_path, str(100 * MB), 120 * MB)
    assert resources.free_memory(tmp_path, own_cgroup(tmp_path, "/")) == 0


def test_memory_of_processes_is_summed_and_ended_ones_count_nothing() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    own = resources.memory_of([os.getpid()])
    assert 10 * MB < own <= psutil.Process().memory_info().rss * 1.1
    assert resources.memory_of([ended.pid]) == 0
    assert resources.memory_of([]) == 0


FORK = """
import os, signal
import psutil
from serving.rollout import resources
child = os.fork()
if child == 0:
    signal.pause()
print(resources.memory_of([os.getpid(), child]) / psutil.Process().memory_info().rss)
os.kill(child, signal.SIGKILL)
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux knows shared pages")
def test_pages_that_two_processes_share_count_once() -> None:
    """A forked process that changes nothing adds little: its pages are those of its parent."""
    output = subprocess.run([sys.executable, "-c", FORK], check=True, capture_output=True, text=True).stdout
    assert float(output) < 1.5


def mar(path: Path, unpacked: int) -> Archive:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("weights", os.urandom(unpacked))
    model, version = path.stem.split("-")
    return Archive(path, model, version)


def registry(tmp_path: Path, workers: int) -> TorchServeRegistry:
    """Return a server that runs digits 1.0 for predictions alone."""
    management = FakeManagement()
    management.registered["digits", "1.0"] = workers
    return TorchServeRegistry(management, RoleCounts(0, 0), tmp_path)


def test_a_candidate_unpacks_once_for_each_role_and_needs_memory_like_the_stable_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mar(tmp_path / "digits-1.0.mar", 1 * MB)
    candidate = mar(tmp_path / "digits-2.0.mar", 3 * MB)
    monkeypatch.setattr(resources, "memory_of", lambda pids: 100 * MB * len(pids))
    measured = resources.measure(registry(tmp_path, 2), tmp_path, "digits", "1.0", candidate)
    assert measured.needed_memory == 2 * (100 * MB + 2 * MB)  # its weights are larger, in both workers
    assert measured.needed_disk == 3 * MB
    assert measured.folder == tmp_path
    assert measured.free_memory > 0 < measured.free_disk


def test_a_candidate_with_smaller_weights_needs_as_much_as_the_stable_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mar(tmp_path / "digits-1.0.mar", 3 * MB)
    candidate = mar(tmp_path / "digits-2.0.mar", 1 * MB)
    monkeypatch.setattr(resources, "memory_of", lambda pids: 100 * MB * len(pids))
    assert resources.measure(registry(tmp_path, 1), tmp_path, "digits", "1.0", candidate).needed_memory == 100 * MB
