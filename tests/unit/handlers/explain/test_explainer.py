"""Explanations of a model: its methods, how it chooses one, and the fields beside the map."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from handlers.classifier import Classifier
from handlers.engines import EngineError, Outputs
from handlers.engines.eager import Eager
from handlers.explain.explainer import Explainer
from handlers.explain.registry import METHODS
from handlers.explain.scheduling.costs import Costs, Pass
from models import architectures
from models.card import Architecture, Explanations
from tests.unit.handlers.asking import body, explainer, picture, request, respond
from tests.unit.handlers.modalities.image.test_scaled_decode import jpeg, photo
from training.data import Dataset

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def contents(digits: Dataset) -> Sequence[bytes]:
    return digits.test.images[:4]


def ask(classifier: Classifier, *images: bytes, waited: float | None = None, **options: str) -> dict[str, Any]:
    incoming = replace(request(*images, kind="explain", **options), queue_seconds=waited)
    return body(respond(classifier, [incoming])[0])


@pytest.fixture
def transformer(classifier: Classifier) -> Classifier:
    card = classifier.card
    network = architectures.build("vit_tiny", image_size=card.input.size, classes=10, dim=24, depth=1)
    arguments = {"image_size": card.input.size, "classes": 10, "dim": 24, "depth": 1}
    changed = card.model_copy(
        update={
            "architecture": Architecture(name="vit_tiny", arguments=arguments),
            "explanations": Explanations(),
            "uncertainty": None,
        }
    )
    return Classifier(changed, Eager(network, changed.input, CPU))


def timed(classifier: Classifier, forward: float, both: float) -> Classifier:
    """The same, on a machine where a row takes so many seconds."""
    result = Classifier(classifier.card, classifier.engine, estimator=classifier.estimator)
    explainer(result).__dict__["costs"] = Costs(Pass(0, forward), Pass(0, both))
    explainer(result).__dict__["_render_seconds"] = 0.0
    return result


def test_a_transformer_has_the_methods_that_are_right_for_it(
    transformer: Classifier, contents: Sequence[bytes]
) -> None:
    refused = ask(transformer, contents[0], method="gradcam")
    assert (refused["code"], refused["type"]) == (400, "BadOption")
    assert refused["message"].startswith("method gradcam ")
    assert "on this model there are kernelshap, occlusion, ig, ixg" in refused["message"]
    assert {"gradcam", "layercam", "deeplift", "gradshap"} == set(explainer(transformer).unsupported)
    for name in explainer(transformer).supported:
        assert ask(transformer, contents[0], method=name)["method"] == name


@pytest.mark.parametrize("name", METHODS)
def test_every_method_answers_in_one_shape(classifier: Classifier, contents: Sequence[bytes], name: str) -> None:
    result, default = ask(classifier, contents[0], method=name), ask(classifier, contents[0])
    assert result["method"] == name
    assert set(result) <= set(default)
    assert set(default) - set(result) <= {"steps", "baseline", "baseline_logit", "completeness"}
    assert ("steps" in result) is (METHODS[name].steps is not None)
    assert ("baseline_logit" in result) is (METHODS[name].baseline is not None)
    assert ("completeness" in result) is METHODS[name].complete


def test_the_cards_method_is_taken_unless_another_is_asked_for(
    classifier: Classifier, contents: Sequence[bytes]
) -> None:
    card = classifier.card.model_copy(update={"explanations": Explanations(method="ixg")})
    own = Classifier(card, classifier.engine, estimator=classifier.estimator)
    assert ask(own, contents[0])["method"] == "ixg"
    assert ask(own, contents[0], method="gradcam")["method"] == "gradcam"


@pytest.mark.parametrize(
    ("explanations", "says"),
    [
        (Explanations(method="magic"), "the card's method 'magic' does not exist"),
        (Explanations(layer="features.99"), "layer 'features.99' is not a module whose output keeps its places"),
    ],
)
def test_a_card_that_names_what_is_not_there_is_an_error(
    classifier: Classifier, explanations: Explanations, says: str
) -> None:
    card = classifier.card.model_copy(update={"explanations": explanations})
    with pytest.raises(EngineError, match=says):
        Explainer(card, classifier.engine)


def colorless(png: str) -> bool:
    return bool(np.ptp(picture(png), axis=2).max() == 0)


def test_an_image_without_evidence_has_no_color_and_no_claims(
    classifier: Classifier, contents: Sequence[bytes]
) -> None:
    """An image of one gray is its own blurred copy, so only rounding is left of the difference."""
    file = io.BytesIO()
    Image.new("RGB", (48, 48), (90, 90, 90)).save(file, "PNG")
    options = {"faithfulness": "true", "counterfactual": "true", "method": "ig"}
    result = ask(classifier, file.getvalue(), **options)
    assert "no_evidence" in [warning["type"] for warning in result["warnings"]]
    regions = result["regions"]
    assert (regions["for"], regions["against"], regions["balance"]) == ([], [], None)
    label = result["target"]["label"]
    assert regions["sentence"] == f'There is no evidence for or against "{label}".'
    assert (result["faithfulness"], result["counterfactual"]) == (None, None)
    assert colorless(result["overlay_png"])
    assert colorless(result["heatmap_png"])
    usual = ask(classifier, contents[0], **options)
    assert "no_evidence" not in [warning["type"] for warning in usual["warnings"]]
    assert usual["faithfulness"]["insertion_baseline"] in ("blur", "mean")
    assert not colorless(usual["overlay_png"])


def test_a_deadline_gets_the_best_method_that_fits(classifier: Classifier, contents: Sequence[bytes]) -> None:
    """On this machine a row takes a millisecond forward, and two forward and back."""
    model = timed(classifier, 0.001, 0.002)
    assert ask(model, contents[0], deadline_ms="60000")["method"] == "ig"
    hurried = ask(model, contents[0], deadline_ms="30")
    assert hurried["method"] != "ig"
    assert hurried["deadline"]["estimate_ms"] <= hurried["deadline"]["left_ms"] <= 30


def test_deadline_counts_from_the_proxy(classifier: Classifier, contents: Sequence[bytes]) -> None:
    model = timed(classifier, 0.001, 0.002)
    late = ask(model, contents[0], deadline_ms="1000", waited=0.9999)
    assert (late["code"], late["type"]) == (504, "DeadlineExceeded")
    assert ask(model, contents[0], deadline_ms="1000", waited=0.94)["method"] != "ig"


def test_a_deadline_that_nothing_can_meet_is_refused(classifier: Classifier, contents: Sequence[bytes]) -> None:
    model = timed(classifier, 1.0, 2.0)
    result = ask(model, contents[0], deadline_ms="100")
    assert (result["code"], result["type"]) == (400, "BadOption")
    assert "the fastest method" in result["message"]
    named = ask(model, contents[0], deadline_ms="3000", method="ig")
    assert "method ig takes about" in named["message"]


def test_the_work_for_others_in_the_batch_counts(classifier: Classifier, contents: Sequence[bytes]) -> None:
    """The answers of a batch leave together."""
    model = timed(classifier, 0.001, 0.002)
    alone = ask(model, contents[0], deadline_ms="150")
    single = request(contents[0], kind="explain", deadline_ms="150")
    together = [body(answer) for answer in respond(model, [single] * 8)]
    assert alone["method"] == "ig"
    assert {result["method"] for result in together} != {"ig"}


def test_costs_are_learnt_from_answers_once_they_matter(classifier: Classifier, contents: Sequence[bytes]) -> None:
    model = timed(classifier, 1e-9, 1e-9)
    for _ in range(40):
        ask(model, contents[0], method="ixg", neighbors="0")
    assert explainer(model).costs.factor > 100, "passes take far longer than a nanosecond"
    untimed = Classifier(classifier.card, classifier.engine, estimator=classifier.estimator)
    ask(untimed, contents[0])
    assert "costs" not in explainer(untimed).__dict__


def test_warming_leaves_nothing_to_be_done_for_the_first_time(classifier: Classifier) -> None:
    model = Classifier(classifier.card, classifier.engine, estimator=classifier.estimator)
    explainer(model).warm()
    assert {"costs", "_render_seconds"} <= set(explainer(model).__dict__)


def test_a_network_that_answers_otherwise_than_the_one_explained_is_warned_of(
    classifier: Classifier, contents: Sequence[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Eager(classifier.engine.network, classifier.card.input, CPU)
    real = engine.outputs

    def swapped(batch: torch.Tensor) -> Outputs:
        result = real(batch)
        return Outputs(result.logits.roll(1, dims=1), result.embeddings)

    monkeypatch.setattr(engine, "outputs", swapped)
    result = ask(Classifier(classifier.card, engine, estimator=classifier.estimator), contents[0])
    assert [single["type"] for single in result["warnings"]] == ["engines_disagree"]


def test_boxes_are_of_the_picture_that_was_sent(classifier: Classifier) -> None:
    content = jpeg(photo(2400, 1600))
    regions = ask(classifier, content)["regions"]
    boxes = [region["box"] for region in (*regions["for"], *regions["against"])]
    assert boxes
    assert max(right for _, _, right, _ in boxes) > 600, "JPEGs are decoded at an eighth, and shown at 512 pixels"
    assert all(0 <= left < right <= 2400 and 0 <= top < bottom <= 1600 for left, top, right, bottom in boxes)


def test_positive_evidence_alone_where_that_is_asked_for(classifier: Classifier, contents: Sequence[bytes]) -> None:
    both, positive = ask(classifier, contents[0]), ask(classifier, contents[0], sign="positive")
    assert both["regions"] == positive["regions"], "what is said of the evidence is of all of it"
    assert both["overlay_png"] != positive["overlay_png"]
