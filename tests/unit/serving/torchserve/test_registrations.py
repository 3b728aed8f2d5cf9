from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from serving.artifacts.model_config import ModelConfig
from serving.artifacts.store import Archive
from serving.rollout import state
from serving.runtime import cpu
from serving.server.launch_options import Launch
from serving.torchserve import registrations
from serving.torchserve.registrations import Registration
from serving.torchserve.worker_roles import PREDICT_ONLY, Role, RoleCounts
from tests.unit.serving.fake_management import FakeManagement

SETTINGS = ModelConfig(minWorkers=2, maxWorkers=2, batchSize=16, maxBatchDelay=3)


def written(folder: Path, config: ModelConfig | str | None, version: str = "1.0") -> Archive:
    """A .mar with these settings, or this text for them, or none."""
    archive = Archive(folder / f"digits-{version}.mar", "digits", version)
    with zipfile.ZipFile(archive.path, "w") as mar:
        if config is not None:
            mar.writestr("model-config.yaml", config if isinstance(config, str) else config.archived())
    return archive


def launch(folder: Path, role_counts: RoleCounts | None = None, predict_workers: int | None = None) -> Launch:
    archives = [written(folder, SETTINGS, "2.0"), written(folder, SETTINGS, "1.0")]
    desired = state.from_archives(archives)
    desired.models["digits"].versions["1.0"].workers = predict_workers
    return Launch(archives=archives, state=desired, role_counts=role_counts or RoleCounts())


def running(parts: Sequence[Registration], *, gpu: bool = False) -> FakeManagement:
    """A TorchServe that has all of it, with one worker each."""
    management = FakeManagement(gpu=gpu)
    management.registered = {(part.name, part.version): 1 for part in parts}
    return management


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "has_gpu", lambda: False)


def test_registrations_of_each_version_include_every_role_and_start_with_the_default(tmp_path: Path) -> None:
    assert launch(tmp_path, RoleCounts(explain=2), predict_workers=3).registrations() == [
        Registration("digits", "2.0", "digits-2.0.mar", 2, 16, 3),
        Registration("digits-explain", "2.0", "digits-2.0.mar", 2, 1, 3, Role.EXPLAIN),
        Registration("digits-unbatched", "2.0", "digits-2.0.mar", 1, 1, 3, Role.UNBATCHED),
        Registration("digits", "1.0", "digits-1.0.mar", 3, 16, 3),
        Registration("digits-explain", "1.0", "digits-1.0.mar", 2, 1, 3, Role.EXPLAIN),
        Registration("digits-unbatched", "1.0", "digits-1.0.mar", 1, 1, 3, Role.UNBATCHED),
    ]
    assert [part.name for part in launch(tmp_path, PREDICT_ONLY).registrations()] == ["digits", "digits"]


@pytest.mark.parametrize(("device", "size"), [(None, 16), ("gpu", 16), ("cpu", 1)])
def test_gpu_explains_in_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str | None, size: int
) -> None:
    monkeypatch.setattr(cpu, "has_gpu", lambda: True)
    config = SETTINGS.model_copy(update={"deviceType": device})
    parts = registrations.of(written(tmp_path, config), None, RoleCounts())
    assert [part.batch_size for part in parts] == [16, size, 1]


def test_settings_in_torchserves_own_place_are_used(tmp_path: Path) -> None:
    (predicts,) = registrations.of(written(tmp_path, SETTINGS.to_yaml()), None, PREDICT_ONLY)
    assert predicts == Registration("digits", "1.0", "digits-1.0.mar", 2, 16, 3)


@pytest.mark.parametrize("text", [None, "", "- a list", "batchSize: many"])
def test_archive_without_our_settings_gets_one_request_at_a_time(tmp_path: Path, text: str | None) -> None:
    (predicts,) = registrations.of(written(tmp_path, text), None, PREDICT_ONLY)
    assert (predicts.workers, predicts.batch_size) == (None, 1)
    (predicts,) = registrations.of(written(tmp_path, text), 4, PREDICT_ONLY)
    assert predicts.workers == 4


def test_predict_workers_of_all_versions_are_counted(tmp_path: Path) -> None:
    archives = [written(tmp_path, SETTINGS, "2.0"), written(tmp_path, None, "1.0")]
    desired = state.from_archives(archives)
    what = Launch(archives=archives, state=desired, role_counts=RoleCounts(explain=4))
    assert registrations.predict_workers(what.registrations()) == 3, (
        "two of the first archive's settings, one where there are none"
    )
    desired.models["digits"].versions["1.0"].workers = 4
    assert registrations.predict_workers(what.registrations()) == 6


def test_workers_are_counted_once_torchserve_has_registered_them(tmp_path: Path) -> None:
    what = launch(tmp_path).registrations()
    assert registrations.count(what, FakeManagement()) == [(0, 0)] * 6
    management = running(what)
    assert registrations.count(what, management) == [(1, 1)] * 6
    management.broken = ("digits-explain",)
    assert registrations.count(what, management) == [(1, 1), (0, 1), (1, 1)] * 2


def test_registrations_are_scaled_to_their_number_of_workers(tmp_path: Path) -> None:
    what = launch(tmp_path, RoleCounts(explain=2), predict_workers=3).registrations()
    management = running(what)
    registrations.scale(what, management, 1, lambda message: None)
    assert list(management.registered.values()) == [2, 2, 1, 3, 2, 1]


@pytest.mark.parametrize(("gpu", "at_once"), [(False, 2), (True, 128)])
def test_concurrent_explanations_depend_on_workers_and_device(tmp_path: Path, gpu: bool, at_once: int) -> None:
    what = launch(tmp_path).registrations()
    assert registrations.explain_at_once(what, running(what, gpu=gpu)) == at_once
    assert registrations.explain_at_once(launch(tmp_path, PREDICT_ONLY).registrations(), running(what)) == 0
