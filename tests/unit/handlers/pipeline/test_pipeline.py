from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from handlers.classifier import Classifier
from handlers.engines import EngineError
from handlers.engines.eager import Eager
from handlers.request import Kind
from models.architectures import Network
from models.card import CardError
from models.release import Release
from tests.support.same_answer import first_difference
from tests.unit.handlers.asking import body, labels, request, respond, unnamed
from training.data import Dataset

HEADERS = {
    "content-type": "application/json",
    "X-Model-Version": "1.0",
    "X-Model-Engine": "eager",
    "X-Request-Id": "r-1",
}


@pytest.fixture(scope="module")
def some(digits: Dataset) -> Sequence[bytes]:
    return digits.test.images[:8]


class FailsOnWhite(Network):
    """A network that cannot take a batch with an all-white image in it."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        if bool((images.flatten(1).amin(dim=1) > 0.5).any()):
            raise RuntimeError("a secret detail")
        return self.network.embed(images)

    def head(self, embeddings: torch.Tensor) -> torch.Tensor:
        return self.network.head(embeddings)


@pytest.fixture
def fragile(classifier: Classifier) -> Classifier:
    engine = Eager(FailsOnWhite(classifier.engine.network), classifier.card.input, torch.device("cpu"))
    return Classifier(unnamed(classifier.card), engine, estimator=classifier.estimator, folder=classifier.folder)


@pytest.fixture(scope="module")
def white() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "white").save(buffer, "PNG")
    return buffer.getvalue()


def test_a_prediction_has_this_shape_and_no_other(plain: Classifier, some: Sequence[bytes]) -> None:
    (answer,) = respond(plain, [request(some[0], top_k="2")])
    document = body(answer)
    assert list(document) == ["model", "version", "request_id", "predictions"]
    assert (document["model"], document["version"], document["request_id"]) == ("digits", "1.0", "r-1")
    assert len(document["predictions"]) == 2
    for entry in document["predictions"]:
        assert list(entry) == ["label", "index", "probability"]
        assert entry["label"] == str(entry["index"])
        assert 0 <= entry["probability"] <= 1


def test_an_explanation_has_this_shape_and_no_other(plain: Classifier, some: Sequence[bytes]) -> None:
    (answer,) = respond(plain, [request(some[0], kind="explain", target="8", top_k="1")])
    document = body(answer)
    assert {key: document[key] for key in ("model", "version", "method", "steps", "baseline")} == {
        "model": "digits",
        "version": "1.0",
        "method": "ig",
        "steps": 50,
        "baseline": "blur",
    }
    probability, raw = (document["target"].pop(name) for name in ("probability", "raw_probability"))
    assert document["target"] == {"label": "8", "index": 8, "source": "requested"}
    assert 0 <= probability == raw < 0.5, "without uncertainty there is no temperature"
    assert set(document) == {
        *(
            "model",
            "version",
            "request_id",
            "method",
            "target",
            "predictions",
            "steps",
            "baseline",
            "target_logit",
            "baseline_logit",
        ),
        *("completeness", "regions", "warnings", "milliseconds", "overlay_png", "heatmap_png"),
    }
    assert list(document["predictions"][0]) == ["label", "index", "probability", "raw_probability"]
    assert list(document["completeness"]) == ["delta", "ok"]
    assert list(document["regions"]) == ["for", "against", "balance", "sentence"]
    assert base64.b64decode(document["overlay_png"]).startswith(b"\x89PNG")


def test_an_error_has_this_shape_and_no_other(classifier: Classifier) -> None:
    (answer,) = respond(classifier, [request(b"no image")])
    assert answer.status == 415
    assert body(answer) == {
        "code": 415,
        "type": "UnsupportedImage",
        "message": (
            "the file's format is plain text, which is not decoded here: send a JPEG, PNG or WebP image (its first "
            "bytes are b'no image'). Send the image's own bytes: with curl, -T image.png or --data-binary @image.png"
        ),
    }


def test_every_answer_says_its_type_version_and_request_id(classifier: Classifier, some: Sequence[bytes]) -> None:
    answers = respond(classifier, [request(some[0]), request(some[1], kind="explain"), request(b"no image")])
    assert [answer.headers for answer in answers] == [HEADERS] * 3


def test_the_predicted_class_is_explained_where_none_is_asked_for(
    classifier: Classifier, some: Sequence[bytes]
) -> None:
    (answer,) = respond(classifier, [request(some[0], kind="explain")])
    first = body(answer)["predictions"][0]
    assert body(answer)["target"] == {**first, "source": "predicted"}


def test_top_k_counts_classes_most_probable_first(classifier: Classifier, some: Sequence[bytes]) -> None:
    one, default, many = respond(
        classifier, [request(some[0], top_k="1"), request(some[0]), request(some[0], top_k="99")]
    )
    assert [len(labels(answer)) for answer in (one, default, many)] == [1, 5, 10]
    assert labels(default) == labels(many)[:5]
    shares = [entry["probability"] for entry in body(many)["predictions"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=1e-5)


def test_digits_are_classified_correctly(classifier: Classifier, digits: Dataset) -> None:
    answers = respond(classifier, [request(content, top_k="1") for content in digits.test.images[:100]])
    right = [labels(answer) == [str(label)] for answer, label in zip(answers, digits.test.labels, strict=False)]
    assert (len(right), sum(right) > 90) == (100, True)


def test_an_empty_batch_has_no_answers(classifier: Classifier) -> None:
    assert respond(classifier, []) == []


def test_everybody_in_a_mixed_batch_gets_what_they_asked_for(classifier: Classifier, some: Sequence[bytes]) -> None:
    kinds: list[Kind] = ["explain", "predict", "explain", "predict", "predict"]
    answers = respond(classifier, [request(content, kind=kind) for content, kind in zip(some, kinds, strict=False)])
    assert ["overlay_png" in body(answer) for answer in answers] == [True, False, True, False, False]
    assert [answer.status for answer in answers] == [200] * 5


def test_a_batch_gives_the_answers_that_each_would_get_alone(classifier: Classifier, some: Sequence[bytes]) -> None:
    batch = [
        request(some[0]),
        request(some[1], kind="explain", target="3"),
        request(some[2], some[3], top_k="2"),
        request(some[4], kind="explain"),
        request(some[5], some[6], kind="explain", target="1"),
    ]
    together = [body(answer) for answer in respond(classifier, batch)]
    alone = [body(respond(classifier, [incoming])[0]) for incoming in batch]
    for one, other in zip(together, alone, strict=True):
        assert first_difference(one, other) is None


def test_images_of_one_request_are_answered_in_their_order(classifier: Classifier, some: Sequence[bytes]) -> None:
    (several,) = respond(classifier, [request(some[3], some[1], some[2], top_k="1")])
    single = respond(classifier, [request(some[place], top_k="1") for place in (3, 1, 2)])
    assert list(body(several)) == ["model", "version", "request_id", "results"]
    found = [[entry["label"] for entry in result["predictions"]] for result in body(several)["results"]]
    assert found == [labels(answer) for answer in single]
    assert len({label for result in found for label in result}) > 1


def test_each_image_of_a_request_is_explained(classifier: Classifier, some: Sequence[bytes]) -> None:
    (answer,) = respond(classifier, [request(*some[:3], kind="explain")])
    results = body(answer)["results"]
    predicted = [result["predictions"][0]["index"] for result in results]
    assert [result["target"]["index"] for result in results] == predicted
    assert len({result["overlay_png"] for result in results}) == 3


def test_bad_image_fails_only_its_own_request(classifier: Classifier, some: Sequence[bytes]) -> None:
    cut = some[1][: len(some[1]) // 2]
    batch = [request(some[0]), request(cut), request(some[2], kind="explain"), request(b""), request(some[3])]
    answers = respond(classifier, batch)
    assert [int(answer.status) for answer in answers] == [200, 422, 200, 400, 200]
    assert body(answers[1])["type"] == "CorruptImage"
    assert body(answers[3])["type"] == "MissingImage"
    assert [labels(answers[place]) for place in (0, 4)] == [
        labels(answer) for answer in respond(classifier, [batch[0], batch[4]])
    ]


def test_a_batch_of_bad_images_alone_is_answered(classifier: Classifier) -> None:
    assert [int(answer.status) for answer in respond(classifier, [request(b"x"), request(b"")])] == [415, 400]


def test_bad_image_among_several_is_named(classifier: Classifier, some: Sequence[bytes]) -> None:
    (answer,) = respond(classifier, [request(some[0], b"text", some[2])])
    assert answer.status == 415
    assert body(answer)["message"].startswith("image 2 of 3 ('image#2'): the file's format is plain text")


@pytest.mark.parametrize(
    ("kind", "options", "type_", "words"),
    [
        ("predict", {"top_k": "0"}, "BadOption", "top_k is '0'"),
        ("predict", {"target": "8"}, "UnknownOption", "unknown option 'target'"),
        ("explain", {"method": "magic"}, "BadOption", "method 'magic' does not exist: there is deeplift"),
        ("explain", {"target": "10"}, "BadOption", "target '10' does not exist: the labels are 0, 1, 2"),
        ("explain", {"color": "red"}, "UnknownOption", "unknown option 'color'"),
    ],
)
def test_a_wrong_option_fails_its_own_request_alone(
    classifier: Classifier, some: Sequence[bytes], kind: Kind, options: dict[str, str], type_: str, words: str
) -> None:
    wrong, right = respond(classifier, [request(some[0], kind=kind, **options), request(some[1])])
    assert (int(wrong.status), body(wrong)["type"]) == (400, type_)
    assert words in body(wrong)["message"]
    assert right.status == 200


@pytest.mark.parametrize("kind", ["predict", "explain"])
def test_network_error_fails_only_the_request_that_caused_it(
    fragile: Classifier, classifier: Classifier, some: Sequence[bytes], white: bytes, kind: Kind
) -> None:
    batch = [request(some[0], kind=kind), request(white, kind=kind), request(some[1], kind=kind)]
    answers = respond(fragile, batch)
    assert [int(answer.status) for answer in answers] == [200, 500, 200]
    assert body(answers[1]) == {
        "code": 500,
        "type": "InferenceFailed",
        "message": "the model failed on this request: RuntimeError",
    }
    for place in (0, 2):
        assert first_difference(body(answers[place]), body(respond(classifier, [batch[place]])[0])) is None


def test_explanation_error_leaves_other_explanations_intact(classifier: Classifier, some: Sequence[bytes]) -> None:
    class FailsOnGradient(FailsOnWhite):
        def embed(self, images: torch.Tensor) -> torch.Tensor:
            if images.requires_grad and len(images) > 50:  # of one image, all steps
                raise RuntimeError("too much for one pass")
            return super().embed(images)

    engine = Eager(FailsOnGradient(classifier.engine.network), classifier.card.input, torch.device("cpu"))
    slow = Classifier(unnamed(classifier.card), engine, estimator=classifier.estimator, folder=classifier.folder)
    batch = [request(some[0], kind="explain"), request(some[1]), request(some[2], kind="explain")]
    answers = respond(slow, batch)
    assert [int(answer.status) for answer in answers] == [200, 200, 200]
    assert [len(labels(answer)) for answer in answers] == [5, 5, 5]


@pytest.mark.parametrize(
    "update",
    [{"classes": tuple("012345678")}, {"classes": tuple("0123456789a")}],
    ids=["a class too few", "a class too many"],
)
def test_a_card_whose_classes_do_not_fit_the_network_is_refused(own_release: Release, update: dict[str, Any]) -> None:
    own_release.card.model_copy(update=update).save(own_release.folder)
    with pytest.raises((CardError, EngineError)):
        Classifier.load(own_release.folder)


def test_a_card_whose_image_size_does_not_fit_the_network_is_refused(own_release: Release) -> None:
    spec = own_release.card.input.model_copy(update={"size": 32})
    own_release.card.model_copy(update={"input": spec}).save(own_release.folder)
    with pytest.raises((CardError, EngineError)):
        Classifier.load(own_release.folder)


def test_a_folder_without_a_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="no such file"):
        Classifier.load(tmp_path)
