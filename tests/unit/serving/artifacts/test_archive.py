from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest
import yaml

from handlers import golden_answers
from handlers.classifier import Classifier
from models.card import Card, Conformal, OutOfDistribution, Policy, UncertaintyCard
from models.release import UNCERTAINTY, WEIGHTS, Release, ReleaseError, sha256
from serving.artifacts import archive as archiving
from serving.artifacts import store
from serving.artifacts.archive import archive, prove
from serving.artifacts.model_config import HandlerConfig, ModelConfig
from serving.errors import ArchiveError
from tests.support.scales import UNSCALED

pytestmark = pytest.mark.slow

ENERGY = UncertaintyCard(
    temperature=2.0,
    conformal=Conformal(method="aps", coverage=0.9, thresholds=(0.5,)),
    ood=OutOfDistribution(score="energy", scale=UNSCALED, threshold=0.0, false_positive_rate=0.05),
)


@pytest.fixture(scope="module")
def archived(release: Release, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The archive of the release, proved: it takes some seconds, so it is made once."""
    return archive(release, ModelConfig(batchSize=8), tmp_path_factory.mktemp("store"))


@pytest.fixture
def mar(archived: tuple[Path, int]) -> Path:
    return archived[0]


def rewritten(mar: Path, target: Path, **changes: bytes) -> Path:
    """A copy of the archive, whole as a zip file, some of whose files have other contents."""
    with zipfile.ZipFile(mar) as source, zipfile.ZipFile(target, "w") as out:
        for name in source.namelist():
            out.writestr(name, changes.get(name, source.read(name)))
    return target


def test_the_archive_is_in_the_store_and_proved(archived: tuple[Path, int]) -> None:
    path, count = archived
    assert (path.name, count) == ("digits-1.0.mar", 10)
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["digits-1.0.mar", "digits-1.0.mar.sha256"]
    assert [(entry.model, entry.version) for entry in store.archives(path.parent)] == [("digits", "1.0")]


def test_the_sha256_file_is_one_that_sha256sum_checks(mar: Path) -> None:
    digest = hashlib.sha256(mar.read_bytes()).hexdigest()
    assert mar.with_suffix(".mar.sha256").read_text(encoding="ascii") == f"{digest}  digits-1.0.mar\n"
    checked = store.checked(store.Archive(mar, "digits", "1.0"))
    assert (checked.sha256, checked.listed) == (digest, True)


def test_the_code_that_answers_travels_along(mar: Path) -> None:
    with zipfile.ZipFile(mar) as opened:
        names = set(opened.namelist())
    expected = {"torchserve_handler.py", "card.yaml", WEIGHTS, "model-config.yaml", "MAR-INF/MANIFEST.json"}
    expected |= {"golden/answers.json", "golden/00.png", "handlers/pipeline.py", "models/architectures/cnn.py"}
    assert expected - names == set()
    assert [name for name in names if "__pycache__" in name or name.startswith(("training", "serving"))] == []


def test_the_card_the_manifest_and_the_settings_are_ours(mar: Path, release: Release, tmp_path: Path) -> None:
    with zipfile.ZipFile(mar) as opened:
        manifest = json.loads(opened.read("MAR-INF/MANIFEST.json"))
        config = yaml.safe_load(opened.read("model-config.yaml"))
        opened.extract("card.yaml", tmp_path)
    assert Card.load(tmp_path) == release.card
    assert (manifest["model"]["modelName"], manifest["model"]["modelVersion"]) == ("digits", "1.0")
    assert manifest["model"]["handler"] == "torchserve_handler.py"
    assert manifest["createdOn"] == release.card.created
    assert config["predict"]["batchSize"] == 8


def test_the_same_release_gives_the_same_bytes(
    mar: Path, release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "prove", lambda path: 10)  # takes seconds and changes no byte
    again, _ = archive(release, ModelConfig(batchSize=8), tmp_path)
    assert again.read_bytes() == mar.read_bytes()
    other, _ = archive(release, ModelConfig(batchSize=9), tmp_path)
    assert other.read_bytes() != mar.read_bytes()


def test_files_in_the_cards_digests_are_archived(own_release: Release, tmp_path: Path) -> None:
    (own_release.folder / UNCERTAINTY).write_bytes(b"tensors")
    digests = own_release.card.digests | {UNCERTAINTY: sha256(own_release.folder / UNCERTAINTY)}
    card = own_release.card.model_copy(update={"uncertainty": ENERGY, "digests": digests})
    card.save(own_release.folder)
    answers = own_release.folder / "golden" / "answers.json"
    with_it, _ = archive(with_card(own_release, card), ModelConfig(), tmp_path / "with")
    with zipfile.ZipFile(with_it) as opened:
        assert opened.read(UNCERTAINTY) == b"tensors"
    assert answers.is_file()
    without = with_card(own_release, card.model_copy(update={"digests": digests | {"other.bin": "0" * 64}}))
    with pytest.raises(ReleaseError, match=r"other\.bin: missing, though the card lists it"):
        archive(without, ModelConfig(), tmp_path / "without")


def with_card(release: Release, card: Card) -> Release:
    """The release with this card, and the golden answers that it gives with it."""
    card.save(release.folder)
    folder = release.folder / golden_answers.FOLDER
    images = {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}
    shutil.rmtree(folder)
    golden_answers.write(release.folder, Classifier.load(release.folder), images)
    return Release(release.folder, card)


def test_a_policy_needs_a_card_with_trust(own_release: Release, tmp_path: Path) -> None:
    config = ModelConfig(handler=HandlerConfig(policy=Policy(max_set_size=2)))
    bare = own_release.card.model_copy(update={"uncertainty": None})
    with pytest.raises(ArchiveError, match=r"the settings have a policy, but the card of .* has no uncertainty"):
        archive(Release(own_release.folder, bare), config, tmp_path)


def test_rule_on_set_sizes_needs_a_model_with_sets(own_release: Release, tmp_path: Path) -> None:
    """Found here, and not by a worker that does not start."""
    without_sets = {"conformal": None, "no_sets_reason": "too few calibration images"}
    card = own_release.card.model_copy(update={"uncertainty": ENERGY.model_copy(update=without_sets)})
    config = ModelConfig(handler=HandlerConfig(policy=Policy(max_set_size=2)))
    with pytest.raises(ArchiveError, match=r"max_set_size 2, but .* no prediction sets \(too few calibration images\)"):
        archive(Release(own_release.folder, card), config, tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_archive_is_refused(mar: Path, tmp_path: Path, share: float) -> None:
    content = mar.read_bytes()
    (tmp_path / "digits-1.0.mar").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ArchiveError, match=r"digits-1\.0\.mar: not a complete \.mar .*make it again"):
        prove(tmp_path / "digits-1.0.mar")


def test_a_flipped_byte_is_found(mar: Path, tmp_path: Path) -> None:
    content = bytearray(mar.read_bytes())
    with zipfile.ZipFile(mar) as opened:
        info = opened.getinfo(WEIGHTS)
    content[info.header_offset + 1000] ^= 1
    (tmp_path / "digits-1.0.mar").write_bytes(content)
    with pytest.raises(ArchiveError, match=r"not a complete \.mar .*CRC"):
        prove(tmp_path / "digits-1.0.mar")


def test_weights_that_were_exchanged_do_not_pass(mar: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(mar) as opened:
        weights = bytearray(opened.read(WEIGHTS))
    weights[-1] ^= 1
    tampered = rewritten(mar, tmp_path / "digits-1.0.mar", **{WEIGHTS: bytes(weights)})
    with pytest.raises(ArchiveError, match=r"digits-1\.0\.mar: .*weights\.safetensors: its SHA-256 is not the card's"):
        prove(tampered)


def test_an_archive_brings_its_own_code_or_none(mar: Path, tmp_path: Path) -> None:
    without = rewritten(mar, tmp_path / "digits-1.0.mar", **{"handlers/__init__.py": b"raise SystemExit('not today')"})
    with pytest.raises(ArchiveError, match=r"the archive does not reproduce its golden answers: not today"):
        prove(without)


def test_an_archive_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"digits-1\.0\.mar: no such archive"):
        prove(tmp_path / "digits-1.0.mar")


def test_a_version_that_the_store_has_in_another_spelling_is_not_archived(own_release: Release, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "digits-1.mar").touch()
    with pytest.raises(ReleaseError, match=r"digits 1\.0 and digits 1 are the same version in two spellings"):
        archive(own_release, ModelConfig(), tmp_path / "store")


def test_a_release_that_is_not_whole_is_not_archived(own_release: Release, tmp_path: Path) -> None:
    (own_release.folder / WEIGHTS).write_bytes(b"something else")
    with pytest.raises(ReleaseError, match="its SHA-256 is not the card's"):
        archive(own_release, ModelConfig(), tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_release_that_does_not_prove_itself_leaves_nothing_in_the_store(
    own_release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> int:
        assert path.is_file()
        raise ArchiveError("the archive does not reproduce its golden answers")

    monkeypatch.setattr(archiving, "prove", refuse)
    with pytest.raises(ArchiveError, match="golden answers"):
        archive(own_release, ModelConfig(), tmp_path / "store")
    assert list((tmp_path / "store").iterdir()) == []
