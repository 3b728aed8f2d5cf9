"""Training from a data set to a release, and the files that remain if it ends too early."""

from __future__ import annotations

import dataclasses
import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from handlers import golden_answers
from models import architectures
from models.release import Release, ReleaseError, sha256
from tests.unit.training.halves import At, ctrl_c, dataset
from training import report
from training.data.dataset import Dataset
from training.loop import checkpoint
from training.loop.checkpoint import CheckpointError
from training.loop.distributed import World
from training.loop.interruption import Interrupted
from training.loop.job import TrainingJob
from training.loop.loop import Training
from training.recipe import Recipe, load
from training.train import check, prepare, train, unfinished

ONCE = load("default", {"epochs": 2, "input.size": 8, "batch_size": 16})


@pytest.fixture(autouse=True)
def without_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the report: it takes seconds and has its own tests."""
    monkeypatch.setattr(report, "write", lambda folder, report: [])


@pytest.fixture
def halves() -> Dataset:
    return dataset()


def made(dataset: Dataset, root: Path, recipe: Recipe = ONCE, version: str = "1.0", **more: Any) -> Release:
    release = train(TrainingJob(dataset=dataset, model="halves", version=version, recipe=recipe, root=root, **more))
    assert release is not None
    return release


def stop(dataset: Dataset, root: Path, place: tuple[int, int] = (2, 1), recipe: Recipe = ONCE) -> None:
    with pytest.raises(Interrupted):
        made(dataset, root, recipe, observers=[At(place, ctrl_c)])


def left(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_release_is_all_that_is_left(halves: Dataset, tmp_path: Path) -> None:
    release = made(halves, tmp_path)
    assert release.folder == tmp_path / "halves" / "1.0"
    assert [path.name for path in (tmp_path / "halves").iterdir()] == ["1.0"]
    assert load(str(release.folder / "recipe.yaml")) == ONCE
    assert release.card.metrics.accuracy == 1.0


def test_the_same_recipe_gives_the_same_release(halves: Dataset, tmp_path: Path) -> None:
    torch.manual_seed(1)
    one = made(halves, tmp_path)
    torch.manual_seed(2)
    other = made(halves, tmp_path, version="2.0")
    assert one.card.digests == other.card.digests
    third = made(halves, tmp_path, ONCE.model_copy(update={"seed": 1}), version="3.0")
    assert third.card.digests != one.card.digests


@pytest.mark.slow
@pytest.mark.parametrize("place", [(1, 1), (1, 4), (2, 2)], ids=str)
def test_a_training_that_was_stopped_ends_in_the_same_release(
    halves: Dataset, tmp_path: Path, place: tuple[int, int]
) -> None:
    stop(halves, tmp_path / "stopped", place)
    work = unfinished("halves", "1.0", tmp_path / "stopped")
    assert left(work) == ["checkpoint.safetensors", "data.json", "recipe.yaml"]
    assert load(str(work / "recipe.yaml")) == ONCE
    again = made(halves, tmp_path / "stopped", resume=True)
    assert again.card.digests == made(halves, tmp_path / "undisturbed").card.digests
    assert not work.exists()


def test_the_cost_of_a_training_is_that_of_all_its_parts(
    halves: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[report.Report] = []
    monkeypatch.setattr(report, "write", lambda folder, report: written.append(report) or [])
    stop(halves, tmp_path)
    path = unfinished("halves", "1.0", tmp_path)
    tensors, document = checkpoint.read(path)
    checkpoint.write(path, tensors, {**document, "spent": [1000.0, 500.0]})
    release = made(halves, tmp_path, resume=True)
    (cost,) = [one.cost for one in written if one.cost]
    assert 1000 < cost.seconds < 1100
    assert 500 < cost.cpu_seconds < 600
    assert release.card.metrics.train_cpu_seconds == round(cost.cpu_seconds, 1)


def test_a_training_that_was_stopped_is_not_begun_anew_unasked(halves: Dataset, tmp_path: Path) -> None:
    stop(halves, tmp_path)
    before = left(tmp_path)
    with pytest.raises(
        ReleaseError,
        match=r"a training of halves 1\.0 was stopped: resume it \(--resume\), restart it \(--restart\), or "
        r"choose another --version",
    ):
        made(halves, tmp_path)
    assert left(tmp_path) == before
    assert made(halves, tmp_path, version="2.0").folder.name == "2.0"


def test_restarted_training_forgets_its_checkpoint(halves: Dataset, tmp_path: Path) -> None:
    stop(halves, tmp_path)
    other = ONCE.model_copy(update={"seed": 5})
    with pytest.raises(Interrupted):
        made(halves, tmp_path, other, restart=True, observers=[At((1, 1), ctrl_c)])
    assert load(str(unfinished("halves", "1.0", tmp_path) / "recipe.yaml")) == other
    made(halves, tmp_path, other, resume=True)
    assert [path.name for path in (tmp_path / "halves").iterdir()] == ["1.0"]


def test_checkpoint_of_another_recipe_or_data_is_refused_and_kept(halves: Dataset, tmp_path: Path) -> None:
    stop(halves, tmp_path)
    before = left(tmp_path)
    with pytest.raises(CheckpointError, match="epochs was 2 and is 3"):
        made(halves, tmp_path, ONCE.model_copy(update={"epochs": 3}), resume=True)
    with pytest.raises(CheckpointError, match="other data"):
        made(dataclasses.replace(halves, sha256="1" * 64), tmp_path, resume=True)
    assert left(tmp_path) == before
    made(halves, tmp_path, resume=True)


def test_with_nothing_to_go_on_with_nothing_is_left(halves: Dataset, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint to resume"):
        made(halves, tmp_path, resume=True)
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_no_number_leaves_nothing_in_the_way(halves: Dataset, tmp_path: Path) -> None:
    wild = load("default", {"epochs": 1, "input.size": 8, "optimizer.learning_rate": 1e20})
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        made(halves, tmp_path, wild)
    assert list(tmp_path.iterdir()) == []
    made(halves, tmp_path)


def test_a_training_is_not_lost_where_the_release_cannot_be_written(halves: Dataset, tmp_path: Path) -> None:
    """A file of the test split breaks while the network trains."""
    test = dataclasses.replace(halves.test, images=[b"\x89PNG\r\n\x1a\n", *halves.test.images[1:]])
    with pytest.raises(ReleaseError, match=r"could not be written \(0\.png: .*but the training is kept"):
        made(dataclasses.replace(halves, test=test), tmp_path)
    work = "halves/.1.0.training"
    assert left(tmp_path) == [f"{work}/checkpoint.safetensors", f"{work}/data.json", f"{work}/recipe.yaml"]
    assert made(halves, tmp_path, resume=True).card.digests == made(halves, tmp_path / "other").card.digests


def test_a_training_is_not_lost_on_a_full_disk(
    halves: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, *_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "golden"))

    with monkeypatch.context() as patch:
        patch.setattr(golden_answers, "write", full)
        with pytest.raises(
            ReleaseError,
            match=r"the release could not be written \(.*golden: No space left on device\), but the training is "
            r"kept: put that right and resume it \(--resume\)$",
        ):
            made(halves, tmp_path)
    assert [path.name for path in (tmp_path / "halves").iterdir()] == [".1.0.training"]
    made(halves, tmp_path, resume=True)


def test_an_existing_release_is_never_written_over(halves: Dataset, tmp_path: Path) -> None:
    release = made(halves, tmp_path)
    before = sha256(release.folder / "card.yaml")
    for more in ({}, {"restart": True}, {"resume": True}):
        with pytest.raises(ReleaseError, match=r"1\.0 exists, and a release is never overwritten: choose another"):
            made(halves, tmp_path, **more)
    assert sha256(release.folder / "card.yaml") == before


@pytest.mark.parametrize(("model", "version"), [("../halves", "1.0"), ("halves", "latest"), ("halves", "../1")])
def test_names_that_are_not_allowed_are_refused(tmp_path: Path, model: str, version: str) -> None:
    with pytest.raises(ReleaseError):
        check(model, version, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_releases_folder_fails_before_training(halves: Dataset, tmp_path: Path) -> None:
    (tmp_path / "releases").write_text("a file")
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        made(halves, tmp_path / "releases", observers=[At((1, 1), lambda: pytest.fail("it trained"))])


def prepared(dataset: Dataset, recipe: Recipe, said: list[str] | None = None) -> Training:
    log = [].append if said is None else said.append
    training, _ = prepare(TrainingJob(dataset=dataset, model="halves", version="1.0", recipe=recipe, log=log), None)
    return training


def test_initial_weights_are_taken_over_and_that_is_said(halves: Dataset, tmp_path: Path) -> None:
    network = architectures.build("cnn", image_size=8, classes=2)
    save_file(network.state_dict(), tmp_path / "some.safetensors")
    said: list[str] = []
    recipe = ONCE.model_copy(update={"weights": str(tmp_path / "some.safetensors")})
    training = prepared(halves, recipe, said)
    found = training.network.state_dict()
    assert all(torch.equal(found[name], value) for name, value in network.state_dict().items())
    assert said


def test_a_training_goes_on_without_the_weights_that_it_began_with(halves: Dataset, tmp_path: Path) -> None:
    save_file(architectures.build("cnn", image_size=8, classes=2).state_dict(), tmp_path / "some.safetensors")
    recipe = ONCE.model_copy(update={"weights": str(tmp_path / "some.safetensors")})
    stop(halves, tmp_path / "stopped", recipe=recipe)
    expected = made(halves, tmp_path / "undisturbed", recipe)
    (tmp_path / "some.safetensors").unlink()
    said: list[str] = []
    again = made(halves, tmp_path / "stopped", recipe, resume=True, log=said.append)
    assert again.card.digests == expected.card.digests
    assert not [sentence for sentence in said if "some.safetensors" in sentence]


def test_the_network_is_built_as_the_recipe_and_the_data_say(halves: Dataset) -> None:
    recipe = load("default", {"architecture": {"name": "resnet9", "arguments": {"width": 4}}, "input.size": 16})
    job = TrainingJob(dataset=halves, model="halves", version="1.0", recipe=recipe)
    training, arguments = prepare(job, None)
    assert arguments == {"width": 4, "image_size": 16, "classes": 2}
    assert training.network(torch.zeros(1, 3, 16, 16)).shape == (1, 2)
    assert training.spec.size == 16


def test_a_network_that_takes_one_size_alone_cannot_begin_with_smaller_pictures(halves: Dataset) -> None:
    smaller = {"input.size": 16, "progressive": {"size": 8, "epochs": 1}}
    prepared(halves, load("default", {"architecture.name": "resnet9", **smaller}))
    for name in ("cnn", "vit_tiny"):
        with pytest.raises(
            ValueError, match=f"progressive.size is 8, but {name} accepts only images of 16 pixels: turn"
        ):
            prepared(halves, load("default", {"architecture.name": name, **smaller}))


def test_pixels_are_normalized_by_what_is_trained_on(halves: Dataset) -> None:
    spec = prepared(halves, ONCE).spec
    pixels = np.stack(list(halves.train.images)) / 255
    assert spec.mean == pytest.approx(pixels.mean(axis=(0, 1, 2)).tolist(), abs=1e-3)
    assert spec.std == pytest.approx(pixels.std(axis=(0, 1, 2)).tolist(), abs=1e-3)


def test_random_numbers_of_others_are_not_disturbed(halves: Dataset) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    prepared(halves, ONCE).run()
    assert torch.equal(torch.rand(3), expected)


def test_first_process_alone_reports_and_writes(halves: Dataset, tmp_path: Path) -> None:
    class Other(World):
        """Second of two processes, without the first."""

        def share(self, network: Any, device: Any) -> Any:
            return network

        def total(self, values: Any, device: Any) -> Any:
            return [0.0, 0.0, 0.0] if isinstance(values[0], bool) else [1.0, 1.0, 1.0]

    told: list[str] = []
    observer = At((1, 1), lambda: told.append("step"))
    job = TrainingJob(
        dataset=halves,
        model="halves",
        version="1.0",
        recipe=ONCE,
        root=tmp_path,
        world=Other(1, 2),
        observers=[observer],
    )
    assert train(job) is None
    assert (told, list(tmp_path.iterdir())) == ([], [])
