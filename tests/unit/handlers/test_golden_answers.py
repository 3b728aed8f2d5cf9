from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from handlers import golden_answers
from handlers.classifier import Classifier
from handlers.golden_answers import GoldenError
from models.release import Release


def answers(folder: Path) -> Path:
    return folder / "golden" / "answers.json"


def test_a_release_answers_as_it_did_when_it_was_trained(release: Release, classifier: Classifier) -> None:
    assert golden_answers.check(release.folder, classifier) == 10


def test_written_answers_are_probabilities_by_file_name(release: Release) -> None:
    document = json.loads(answers(release.folder).read_text(encoding="utf-8"))
    assert document["tolerance"] == 0.002
    assert list(document["probabilities"]) == [f"{index:02d}.png" for index in range(10)]
    for probabilities in document["probabilities"].values():
        assert len(probabilities) == 10
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)


def test_a_changed_weight_is_found_with_image_and_values(own_release: Release) -> None:
    changed = Classifier.load(own_release.folder)
    bias = changed.engine.network.get_parameter("classifier.3.bias")
    bias += torch.eye(10)[0] * 20
    with pytest.raises(
        GoldenError, match=r"golden image 0\d\.png: class '.' has probability \d\.\d{4}, expected \d\.\d{4}"
    ):
        golden_answers.check(own_release.folder, changed)


def test_a_network_that_computes_nothing_is_found(own_release: Release) -> None:
    changed = Classifier.load(own_release.folder)
    changed.engine.network.get_parameter("classifier.3.bias").fill_(float("nan"))
    with pytest.raises(GoldenError, match=r"golden image 00\.png: .* has probability nan"):
        golden_answers.check(own_release.folder, changed)


def test_golden_answers_reveal_other_preprocessing(own_release: Release) -> None:
    spec = own_release.card.input.model_copy(update={"mean": (0.0, 0.0, 0.0)})
    own_release.card.model_copy(update={"input": spec}).save(own_release.folder)
    with pytest.raises(GoldenError, match="golden image"):
        golden_answers.check(own_release.folder, Classifier.load(own_release.folder))


def test_noise_below_the_tolerance_passes(own_release: Release, classifier: Classifier) -> None:
    document = json.loads(answers(own_release.folder).read_text(encoding="utf-8"))
    document["probabilities"]["03.png"][3] += 0.0019
    answers(own_release.folder).write_text(json.dumps(document), encoding="utf-8")
    assert golden_answers.check(own_release.folder, classifier) == 10
    document["probabilities"]["03.png"][3] += 0.0002
    answers(own_release.folder).write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(GoldenError, match=r"golden image 03\.png: class '3'"):
        golden_answers.check(own_release.folder, classifier)


def test_missing_answers_are_refused(own_release: Release, classifier: Classifier) -> None:
    answers(own_release.folder).unlink()
    with pytest.raises(GoldenError, match=r"answers\.json"):
        golden_answers.check(own_release.folder, classifier)


@pytest.mark.parametrize(
    "content", ["", "{", "{}", "[]", "null", '{"tolerance": 1}', '{"tolerance": 1, "probabilities": []}']
)
def test_damaged_answers_are_refused(own_release: Release, classifier: Classifier, content: str) -> None:
    answers(own_release.folder).write_text(content, encoding="utf-8")
    with pytest.raises(GoldenError, match=r"answers\.json"):
        golden_answers.check(own_release.folder, classifier)


def test_no_answers_at_all_are_no_proof(own_release: Release, classifier: Classifier) -> None:
    answers(own_release.folder).write_text('{"tolerance": 1, "probabilities": {}}', encoding="utf-8")
    with pytest.raises(GoldenError, match="holds no golden answer"):
        golden_answers.check(own_release.folder, classifier)


def test_answers_for_another_number_of_classes_are_refused(own_release: Release, classifier: Classifier) -> None:
    text = '{"tolerance": 1, "probabilities": {"00.png": [0.5, 0.5]}}'
    answers(own_release.folder).write_text(text, encoding="utf-8")
    with pytest.raises(GoldenError, match=r"golden image 00\.png: 10 classes answered, 2 expected"):
        golden_answers.check(own_release.folder, classifier)


def test_a_missing_image_is_named(own_release: Release, classifier: Classifier) -> None:
    (own_release.folder / "golden" / "04.png").unlink()
    with pytest.raises(GoldenError, match=r"04\.png"):
        golden_answers.check(own_release.folder, classifier)


def test_a_damaged_image_is_named(own_release: Release, classifier: Classifier) -> None:
    path = own_release.folder / "golden" / "04.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(GoldenError, match=r"04\.png"):
        golden_answers.check(own_release.folder, classifier)
