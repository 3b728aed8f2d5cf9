from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from serving import state, workers
from serving.launch import Launch
from serving.model_config import ModelConfig
from serving.store import Archive
from serving.workers import Part
from tests.unit.serving.fake_management import FakeManagement

ARCHIVES = [Archive(Path(f"digits-{version}.mar"), "digits", version) for version in ("2.0", "1.0")]


def launch(explain_workers: int = 1, predict_workers: int | None = None) -> Launch:
    wanted = state.from_archives(ARCHIVES)
    wanted.models["digits"].versions["1.0"].workers = predict_workers
    return Launch(archives=ARCHIVES, state=wanted, explain_workers=explain_workers)


def running(what: Launch, *, gpu: bool = False) -> FakeManagement:
    """A TorchServe that has all of it, with one worker each."""
    management = FakeManagement(gpu=gpu)
    management.registered = {(part.name, part.version): 1 for part in workers.parts(what)}
    return management


def test_each_version_has_its_own_to_explain_and_the_default_comes_first() -> None:
    assert workers.parts(launch(explain_workers=2, predict_workers=3)) == [
        Part("digits", "2.0", None),
        Part("digits-explain", "2.0", 2, explains=True),
        Part("digits", "1.0", 3),
        Part("digits-explain", "1.0", 2, explains=True),
    ]
    assert [part.name for part in workers.parts(launch(explain_workers=0))] == ["digits", "digits"]


def test_cores_are_shared_among_all_that_predict(tmp_path: Path) -> None:
    archives = [Archive(tmp_path / f"digits-{version}.mar", "digits", version) for version in ("2.0", "1.0")]
    with zipfile.ZipFile(archives[0].path, "w") as mar:
        mar.writestr("model-config.yaml", ModelConfig(minWorkers=2, maxWorkers=2).to_yaml())
    wanted = state.from_archives(archives)
    what = Launch(archives=archives, state=wanted, explain_workers=4)
    assert workers.predicting(what) == 3, "two of the first archive's settings, one where an archive has none"
    wanted.models["digits"].versions["1.0"].workers = 4
    assert workers.predicting(what) == 6


def test_they_are_counted_as_soon_as_they_are_there() -> None:
    what = launch()
    assert workers.count(what, FakeManagement()) == [(0, 0)] * 4
    management = running(what)
    assert workers.count(what, management) == [(1, 1)] * 4
    management.broken = ("digits-explain",)
    assert workers.count(what, management) == [(1, 1), (0, 1), (1, 1), (0, 1)]


def test_they_are_scaled_to_what_is_wanted_where_that_is_said() -> None:
    what = launch(explain_workers=2, predict_workers=3)
    management = running(what)
    workers.scale(what, management, 1, lambda message: None)
    assert list(management.registered.values()) == [1, 2, 3, 2]


@pytest.mark.parametrize(("gpu", "at_once"), [(False, 2), (True, 128)])
def test_explanations_are_sent_on_as_many_at_once_as_gains_something(gpu: bool, at_once: int) -> None:
    what = launch()
    assert workers.explain_at_once(what, running(what, gpu=gpu)) == at_once
    assert workers.explain_at_once(launch(explain_workers=0), running(what)) == 0
