from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from serving.artifacts.model_config import ModelConfig
from serving.artifacts.store import Archive
from serving.errors import Refused, VersionError
from serving.rollout.journal import Journal
from serving.rollout.registry import TorchServeRegistry
from serving.torchserve.process import WORKER_ERRORS
from serving.torchserve.worker_roles import PREDICT_ONLY, Role, RoleCounts
from tests.unit.serving.fake_management import FakeManagement

ALL = {("digits", "1.0"): 2, ("digits-explain", "1.0"): 1, ("digits-unbatched", "1.0"): 1}


def load(
    folder: Path, management: FakeManagement, role_counts: RoleCounts | None = None, workers: int = 2
) -> TorchServeRegistry:
    registry = TorchServeRegistry(management, role_counts or RoleCounts(), folder)
    run = Journal(folder).begin("register", "digits", "1.0")
    with zipfile.ZipFile(folder / "digits-1.0.mar", "w") as mar:
        mar.writestr("model-config.yaml", ModelConfig(batchSize=16, maxBatchDelay=3).archived())
    registry.load(Archive(folder / "digits-1.0.mar", "digits", "1.0"), workers, run, lambda message: None)
    return registry


def steps(folder: Path) -> list[str]:
    return [entry["step"] for entry in Journal(folder).entries()]


def test_a_version_is_loaded_under_each_name_with_its_workers(tmp_path: Path) -> None:
    management = FakeManagement()
    registry = load(tmp_path, management)
    assert management.registered == ALL
    assert management.batches == {"digits": (16, 3), "digits-explain": (1, 3), "digits-unbatched": (1, 3)}
    assert steps(tmp_path) == ["registered", "scaled", "registered", "registered", "ready"]
    assert registry.models() == ["digits"]
    (registered,) = registry.versions("digits")
    assert registered == registry.find("digits", "1.0")
    assert [registered.roles[role].configured for role in Role] == [2, 1, 1]
    assert [registered.ready_as(role) for role in Role] == [2, 1, 1]
    assert registered.ready


def test_a_version_without_extra_workers_is_loaded_once(tmp_path: Path) -> None:
    management = FakeManagement()
    registry = load(tmp_path, management, PREDICT_ONLY)
    assert management.registered == {("digits", "1.0"): 2}
    (registered,) = registry.versions("digits")
    assert (list(registered.roles), registered.ready_as(Role.EXPLAIN), registered.ready) == ([Role.PREDICT], 0, True)


def test_explain_workers_do_not_follow_the_archives_number(tmp_path: Path) -> None:
    management = FakeManagement()
    load(tmp_path, management, RoleCounts(explain=3))
    assert management.registered["digits-explain", "1.0"] == 3


@pytest.mark.parametrize("left", ALL)
def test_a_partly_registered_version_is_not_found_and_is_completed_by_loading_again(
    tmp_path: Path, left: tuple[str, str]
) -> None:
    management = FakeManagement()
    management.registered[left] = 1
    registry = TorchServeRegistry(management, RoleCounts(), tmp_path)
    assert registry.find("digits", "1.0") is None
    load(tmp_path, management)
    assert management.registered == ALL


@pytest.mark.parametrize("broken", RoleCounts().registered_names("digits"))
def test_a_version_with_a_broken_role_is_removed(tmp_path: Path, broken: str) -> None:
    management = FakeManagement(broken=(broken,))
    with pytest.raises(VersionError, match=r"cannot be loaded: .*; it is not registered, and nothing else changed$"):
        load(tmp_path, management)
    assert management.registered == {}
    assert steps(tmp_path)[-1] == "removed"


def test_the_reason_is_an_error_that_is_new_whichever_of_them_has_it(tmp_path: Path) -> None:
    class Dies(FakeManagement):
        def register(self, model: str, archive: str, workers: int, batch_size: int, max_batch_delay: int) -> None:
            super().register(model, archive, workers, batch_size, max_batch_delay)
            errors = {"digits/1.0": ("an old one", 1), "digits-explain/1.0": ("OSError: no such thing", 2)}
            (tmp_path / WORKER_ERRORS).write_text(json.dumps(errors))

    (tmp_path / WORKER_ERRORS).write_text(json.dumps({"digits/1.0": ("an old one", 1)}))
    with pytest.raises(VersionError, match=r"digits 1\.0 cannot be loaded: OSError: no such thing"):
        load(tmp_path, Dies(broken=("digits",)))


def test_ready_workers_stay_when_scaling_up_fails(tmp_path: Path) -> None:
    management = FakeManagement()
    load(tmp_path, management)

    class CannotGrow(FakeManagement):
        def scale(self, model: str, version: str, workers: int) -> None:
            super().scale(model, version, workers)
            self.broken = (model,)

    grown = CannotGrow()
    grown.registered = management.registered
    with pytest.raises(VersionError):
        load(tmp_path, grown, workers=4)
    assert set(grown.registered) == set(ALL)


def test_all_roles_follow_a_promotion_and_a_retirement(tmp_path: Path) -> None:
    management = FakeManagement(pending=4)
    registry = load(tmp_path, management)
    registry.set_default("digits", "1.0")
    assert management.defaults == dict.fromkeys(RoleCounts().registered_names("digits"), "1.0")
    assert registry.pending("digits", "1.0") == 12, "requests wait in all queues"
    del management.registered["digits-explain", "1.0"]  # by a retirement that was killed
    assert registry.pending("digits", "1.0") == 8
    registry.remove("digits", "1.0")
    registry.remove("digits", "1.0")
    assert management.registered == {}


def test_refused_second_role_removes_the_first(tmp_path: Path) -> None:
    class DiskIsFull(FakeManagement):
        def register(self, model: str, archive: str, workers: int, batch_size: int, max_batch_delay: int) -> None:
            if self.registered:
                raise Refused("no space left")
            super().register(model, archive, workers, batch_size, max_batch_delay)

    management = DiskIsFull()
    with pytest.raises(VersionError, match=r"digits-explain 1\.0 cannot be registered: no space left; it is not"):
        load(tmp_path, management)
    assert management.registered == {}


@pytest.mark.parametrize(("broken", "ready"), [("digits", False), ("digits-explain", True), ("digits-unbatched", True)])
def test_a_version_is_ready_if_it_can_predict(tmp_path: Path, broken: str, ready: bool) -> None:
    management = FakeManagement()
    registry = load(tmp_path, management)
    management.broken = (broken,)
    registered = registry.find("digits", "1.0")
    assert registered is not None
    assert registered.ready is ready
