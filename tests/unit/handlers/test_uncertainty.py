"""UncertaintyCard as it is served: loaded from a release, and in every shape of an answer."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from handlers import golden_answers
from handlers.classifier import Classifier
from handlers.engines import Outputs
from handlers.request import Kind, Part, RawRequest
from handlers.uncertainty import UncertaintyError
from handlers.uncertainty.ood import OodError
from models.card import Card, OutOfDistribution, Policy
from models.golden import GoldenError
from models.release import UNCERTAINTY, Release
from tests.support.scales import UNSCALED
from tests.unit.handlers.asking import body, request, respond
from training.data import Dataset

MEMBERS = ["set", "ood", "decision", "reason", "reason_detail"]


@pytest.fixture(scope="module")
def some(digits: Dataset) -> Sequence[bytes]:
    return digits.test.images[:64]


@pytest.fixture
def own(release_with_uncertainty: Release, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    shutil.copytree(release_with_uncertainty.folder, tmp_path / "copy")
    return tmp_path / "copy"


def under(has_uncertainty: Classifier, **policy: Any) -> Classifier:
    assert has_uncertainty.estimator is not None
    return Classifier(
        has_uncertainty.card, has_uncertainty.engine, estimator=has_uncertainty.estimator.under(Policy(**policy))
    )


def one_by_one(classifier: Classifier, some: Sequence[bytes]) -> list[dict[str, Any]]:
    return [body(answer) for answer in respond(classifier, [request(content, top_k="10") for content in some])]


def test_an_answer_has_these_members_more(has_uncertainty: Classifier, some: Sequence[bytes]) -> None:
    for document in one_by_one(has_uncertainty, some):
        assert list(document) == ["model", "version", "request_id", "predictions", *MEMBERS]
        assert list(document["ood"]) == ["score", "threshold", "method"]
        assert document["ood"]["method"] == "mahalanobis"
        labels = [entry["label"] for entry in document["predictions"]]
        assert document["set"] is None or document["set"] == labels[: len(document["set"])]
        assert (document["decision"] == "accept") == (document["reason"] is None)


def test_probabilities_are_calibrated(has_uncertainty: Classifier, plain: Classifier, some: Sequence[bytes]) -> None:
    assert has_uncertainty.estimator is not None
    temperature = has_uncertainty.estimator.uncertainty.temperature
    assert temperature != 1
    expected = (plain.logits(some).double() / temperature).softmax(dim=1)
    for document, row in zip(one_by_one(has_uncertainty, some), expected, strict=True):
        found = {entry["index"]: entry["probability"] for entry in document["predictions"]}
        assert [found[index] for index in range(10)] == pytest.approx(row.tolist(), abs=1e-5)


def test_some_sets_hold_more_than_one_class_and_are_referred_by_policy(
    has_uncertainty: Classifier, digits: Dataset
) -> None:
    strict = under(has_uncertainty, max_set_size=1, out_of_distribution=False)
    found = one_by_one(strict, digits.test.images)
    sizes = {len(document["set"]) for document in found}
    assert sizes >= {1, 2}
    assert all((document["reason"] == "ambiguous") == (len(document["set"]) > 1) for document in found)
    lax = one_by_one(under(has_uncertainty, max_set_size=None, out_of_distribution=False), digits.test.images[:64])
    assert {document["decision"] for document in lax} == {"accept"}


def test_noise_is_out_of_distribution_and_referred(has_uncertainty: Classifier) -> None:
    board = np.kron(np.indices((8, 8)).sum(axis=0) % 2, np.full((3, 3), 255))
    document = {"instances": [board.tolist()]}
    asked = RawRequest("predict", (Part("body", json.dumps(document).encode(), "application/json"),), {})
    (found,) = body(respond(has_uncertainty, [asked])[0])["predictions"]
    assert found["ood"]["score"] > found["ood"]["threshold"]
    assert (found["decision"], found["reason"]) == ("refer", "out_of_distribution")


@pytest.mark.parametrize("kind", ["predict", "explain"])
def test_every_protocol_says_the_same(has_uncertainty: Classifier, some: Sequence[bytes], kind: Kind) -> None:
    """Over v2, predictions have outputs of their own, and explanations have the members in their JSON text too."""
    own = body(respond(has_uncertainty, [request(some[0], some[1], kind=kind)])[0])["results"]
    encoded = [base64.b64encode(content).decode() for content in some[:2]]
    tensor = {"name": "x", "shape": [2], "datatype": "BYTES", "data": encoded}
    v1, v2 = (
        RawRequest(kind, (Part("body", json.dumps(document).encode()),), {"x-torchlight-route": route})
        for route, document in (
            ("v1", {"instances": [{"b64": text} for text in encoded]}),
            ("v2", {"inputs": [tensor]}),
        )
    )
    in_v1, in_v2 = (body(answer) for answer in respond(has_uncertainty, [v1, v2]))
    entries = in_v1["predictions" if kind == "predict" else "explanations"]
    outputs = {output["name"]: output for output in in_v2["outputs"]}
    for place, expected in enumerate(own):
        members = {name: expected[name] for name in MEMBERS}
        assert {name: entries[place][name] for name in MEMBERS} == members
        assert json.loads(outputs["set"]["data"][place]) == members["set"]
        assert outputs["ood_score"]["data"][place] == members["ood"]["score"]
        assert outputs["decision"]["data"][place] == members["decision"]
        assert outputs["reason"]["data"][place] == (members["reason"] or "")
        assert outputs["reason_detail"]["data"][place] == (members["reason_detail"] or "")
        if kind == "explain":
            text = json.loads(outputs["explanation"]["data"][place])
            assert {name: text[name] for name in MEMBERS} == members


def test_a_card_without_trust_has_none_of_it(plain: Classifier, some: Sequence[bytes]) -> None:
    for kind in ("predict", "explain"):
        assert not set(body(respond(plain, [request(some[0], kind=kind)])[0])) & set(MEMBERS)
    wanted = {"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES", "data": [""]}], "outputs": [{"name": "set"}]}
    asked = RawRequest("predict", (Part("body", json.dumps(wanted).encode()),), {"x-torchlight-route": "v2"})
    document = body(respond(plain, [asked])[0])
    assert document["type"] == "UnknownOption"
    assert document["message"].endswith("there are label, index, probability")


def test_golden_answers_are_the_probabilities_that_are_answered(has_uncertainty: Classifier, own: Path) -> None:
    assert golden_answers.check(own, has_uncertainty) == 10
    name, expected = next(iter(json.loads((own / "golden" / "answers.json").read_text())["probabilities"].items()))
    document = body(respond(has_uncertainty, [request((own / "golden" / name).read_bytes(), top_k="10")])[0])
    found = {entry["index"]: entry["probability"] for entry in document["predictions"]}
    assert [found[index] for index in range(10)] == pytest.approx(expected, abs=2e-6)


def test_golden_answers_reveal_another_temperature(own: Path) -> None:
    card = Card.load(own)
    assert card.uncertainty is not None
    card.model_copy(update={"uncertainty": card.uncertainty.model_copy(update={"temperature": 4.0})}).save(own)
    with pytest.raises(GoldenError, match="golden image"):
        golden_answers.check(own, Classifier.load(own))


def test_a_policy_of_ones_own_takes_the_place_of_the_cards(own: Path, some: Sequence[bytes]) -> None:
    strict = Classifier.load(own, policy=Policy(min_probability=1.0))
    reasons = {document["reason"] for document in one_by_one(strict, some)}
    assert "unsure" in reasons
    assert "unsure" not in {document["reason"] for document in one_by_one(Classifier.load(own), some)}


# ---- what does not fit


def test_missing_tensors_are_refused(own: Path) -> None:
    (own / UNCERTAINTY).unlink()
    with pytest.raises(UncertaintyError, match=r"uncertainty\.safetensors: cannot be used: .*; restore the release"):
        Classifier.load(own)


@pytest.mark.parametrize("content", [b"", b"garbage" * 10])
def test_damaged_tensors_are_refused(own: Path, content: bytes) -> None:
    (own / UNCERTAINTY).write_bytes(content)
    with pytest.raises(UncertaintyError, match=r"uncertainty\.safetensors: cannot be used"):
        Classifier.load(own)


def test_tensors_that_the_card_does_not_vouch_for_are_refused(own: Path) -> None:
    card = Card.load(own)
    digests = {name: digest for name, digest in card.digests.items() if name != UNCERTAINTY}
    card.model_copy(update={"digests": digests}).save(own)
    with pytest.raises(UncertaintyError, match="digests do not vouch for it"):
        Classifier.load(own)


def test_tensors_of_another_network_are_refused(own: Path) -> None:
    tensors = load_file(own / UNCERTAINTY)
    save_file(
        tensors | {"means": tensors["means"][:, :9].contiguous(), "whitening": torch.eye(9)},
        own / UNCERTAINTY,
    )
    with pytest.raises(
        UncertaintyError, match=r"uncertainty\.safetensors: is of another network than weights\.safetensors"
    ):
        Classifier.load(own)


def test_a_file_without_the_tensors_is_refused(own: Path) -> None:
    save_file({"other": torch.zeros(1)}, own / UNCERTAINTY)
    with pytest.raises(UncertaintyError, match=r"cannot be used: the score mahalanobis needs the tensor 'means'"):
        Classifier.load(own)


def test_card_that_needs_tensors_is_not_served_without(has_uncertainty: Classifier) -> None:
    with pytest.raises(OodError, match="the score mahalanobis needs the tensor 'means'"):
        Classifier(has_uncertainty.card, has_uncertainty.engine)


def test_tensors_of_other_pixel_statistics_are_refused(own: Path) -> None:
    tensors = load_file(own / UNCERTAINTY)
    save_file(tensors | {"pixel_mean": torch.zeros(3, dtype=torch.float64)}, own / UNCERTAINTY)
    with pytest.raises(UncertaintyError, match=r"3 pixel statistics are stored, and this code computes 14; restore"):
        Classifier.load(own)


def test_tinted_images_are_referred_for_their_colors(has_uncertainty: Classifier, some: Sequence[bytes]) -> None:
    pixels = np.asarray(Image.open(io.BytesIO(some[0])).convert("RGB")) * np.array([1.0, 0.7, 0.4])
    document = {"instances": [pixels.astype(np.uint8).tolist()]}
    asked = RawRequest("predict", (Part("body", json.dumps(document).encode(), "application/json"),), {})
    (found,) = body(respond(has_uncertainty, [asked])[0])["predictions"]
    assert (found["reason"], found["reason_detail"]) == ("out_of_distribution", "colors")


def test_energy_without_pixel_statistics_needs_no_file(own: Path) -> None:
    card = Card.load(own)
    assert card.uncertainty is not None
    ood = OutOfDistribution(score="energy", scale=UNSCALED, threshold=-3.0, false_positive_rate=0.05)
    card.model_copy(update={"uncertainty": card.uncertainty.model_copy(update={"ood": ood})}).save(own)
    (own / UNCERTAINTY).unlink()
    classifier = Classifier.load(own)
    assert classifier.estimator is not None
    logits = torch.tensor([[2.0, 0.0], [4.0, 0.0]])
    assert classifier.estimator.scores(Outputs(logits, torch.zeros(2, 5))).values == [-2.1269, -4.0181]
