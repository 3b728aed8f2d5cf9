from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from training import cost as module
from training.cost import Spent, cost, flops, measured


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NVIDIA_SMI", ("a program that is not there",))


def zone(root: Path, number: int, name: str, joules: float, most: float = 1000) -> Path:
    folder = root / f"intel-rapl:{number}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{int(joules * 1e6)}\n")
    (folder / "max_energy_range_uj").write_text(f"{int(most * 1e6)}\n")
    return folder


def test_sleeping_takes_time_and_no_cpu(tmp_path: Path) -> None:
    with measured(tmp_path) as spent:
        time.sleep(0.2)
    assert 0.2 <= spent.seconds < 2
    assert spent.cpu_seconds < 0.15
    assert (spent.joules, spent.counted) == (None, ())


def test_the_cpu_seconds_of_ended_workers_count(tmp_path: Path) -> None:
    with measured(tmp_path) as spent:
        subprocess.run(["python3", "-c", "import time\nwhile time.process_time() < 0.3: pass"], check=True)
    assert spent.cpu_seconds > 0.25


def test_a_run_that_fails_is_measured_too(tmp_path: Path) -> None:
    measuring = measured(tmp_path)
    spent = measuring.__enter__()
    assert not measuring.__exit__(KeyError, KeyError(), None)
    assert spent.seconds > 0


def test_the_energy_of_all_packages_is_added_up(tmp_path: Path) -> None:
    zone(tmp_path, 0, "package-0", 100)
    zone(tmp_path, 1, "package-1", 40)
    zone(tmp_path, 2, "psys", 7)
    with measured(tmp_path) as spent:
        zone(tmp_path, 0, "package-0", 130)
        zone(tmp_path, 1, "package-1", 45)
        zone(tmp_path, 2, "psys", 99)  # the whole machine, packages included
    assert spent.joules == pytest.approx(35)
    assert spent.counted == ("CPU",)


def test_a_counter_that_starts_anew_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVAL", 0.02)
    zone(tmp_path, 0, "package-0", 990, most=1000)
    with measured(tmp_path) as spent:
        zone(tmp_path, 0, "package-0", 5, most=1000)
        time.sleep(0.1)
        zone(tmp_path, 0, "package-0", 25, most=1000)
    assert spent.joules == pytest.approx(35)


def test_a_counter_that_cannot_be_read_for_a_moment_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INTERVAL", 0.02)
    folder = zone(tmp_path, 0, "package-0", 10)
    with measured(tmp_path) as spent:
        (folder / "energy_uj").unlink()
        time.sleep(0.2)
        zone(tmp_path, 0, "package-0", 45)
    assert spent.joules == pytest.approx(35)


def test_counters_that_root_alone_may_read_are_as_if_there_were_none(tmp_path: Path) -> None:
    (zone(tmp_path, 0, "package-0", 1) / "energy_uj").unlink()
    with measured(tmp_path) as spent:
        pass
    assert spent.joules is None


def test_the_power_of_gpus_is_summed_over_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NVIDIA_SMI", ("printf", "100.0\n50.0\n"))
    with measured(tmp_path) as spent:
        time.sleep(0.2)
    assert spent.counted == ("GPU",)
    assert spent.joules == pytest.approx(150 * spent.seconds, rel=0.3)


def test_a_gpu_that_does_not_tell_its_power_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NVIDIA_SMI", ("echo", "[N/A]"))
    with measured(tmp_path) as spent:
        pass
    assert spent.counted == ()


def test_a_convolution_counts_two_operations_for_each_product(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.Flatten(), nn.Linear(5 * 64, 7))
    assert flops(network, 8) == 2 * (64 * 5 * 3 * 9) + 2 * (5 * 64 * 7)


def test_counting_leaves_the_network_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 2)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    flops(network, 8)
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_the_cost_of_a_release(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"x" * 123)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16, 2))
    found = cost(Spent(12.0, 20.0, 99.0, ("CPU",)), network, 4, tmp_path / "weights")
    assert (found.parameters, found.flops, found.weight_bytes) == (98, 192, 123)
    assert (found.seconds, found.cpu_seconds, found.joules, found.counted) == (12.0, 20.0, 99.0, ("CPU",))
