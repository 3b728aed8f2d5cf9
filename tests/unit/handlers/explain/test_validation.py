"""Validation of explain options: class, method and settings that a model accepts, and its answer to others."""

from __future__ import annotations

import pytest

from handlers.errors import BadOption
from handlers.explain.methods.baselines import TRAINING_IMAGES
from handlers.explain.methods.method import MethodSettings
from handlers.explain.registry import METHODS
from handlers.explain.validation import Target, check_choices, check_drawing_options, method_of, settings_of, target_of
from handlers.options import ExplainOptions
from models.card import Card, Explanations

REFUSED = {"gradcam": "needs a convolution, and this network has none"}
WORKS = {name: method for name, method in METHODS.items() if name not in REFUSED}


@pytest.mark.parametrize(
    ("requested", "target"),
    [
        (None, Target(1, "predicted")),
        ("dog", Target(1, "requested")),
        ("0", Target(0, "requested")),
        ("2", Target(2, "requested")),
        ("7", Target(2, "requested")),  # a label that looks like an index
    ],
)
def test_a_target_is_a_label_or_else_an_index(card: Card, requested: str | None, target: Target) -> None:
    assert card.classes == ("cat", "dog", "7")
    assert target_of(ExplainOptions(target=requested), 1, card) == target


@pytest.mark.parametrize("requested", ["3", "-1", "Cat", "", "1.0", "²", "٢", "9" * 5000])
def test_a_class_that_is_not_there_is_answered_with_those_there_are(card: Card, requested: str) -> None:
    for options in (ExplainOptions(target=requested), ExplainOptions(contrast=("cat", requested))):
        with pytest.raises(BadOption, match="does not exist: the labels are cat, dog, 7, the indices 0 to 2") as raised:
            target_of(options, 1, card)
        assert len(str(raised.value)) < 150


def test_a_thousand_labels_are_not_all_listed(card: Card) -> None:
    many = card.model_copy(update={"classes": tuple(f"class {index}" for index in range(1000))})
    with pytest.raises(BadOption, match=r"class 19, \.\.\., the indices 0 to 999"):
        target_of(ExplainOptions(target="nobody"), 0, many)


def test_a_contrast_is_of_two_classes_of_its_own(card: Card) -> None:
    assert target_of(ExplainOptions(contrast=("dog", "0")), 2, card) == Target(1, "contrast", 0)
    with pytest.raises(BadOption, match="contrast is of 'dog' with itself: name two classes"):
        target_of(ExplainOptions(contrast=("dog", "1")), 2, card)
    with pytest.raises(BadOption, match="target 'cat' beside a contrast"):
        target_of(ExplainOptions(contrast=("dog", "cat"), target="cat"), 2, card)


def test_a_method_has_the_settings_that_it_has_unless_asked() -> None:
    ig = METHODS["ig"]
    assert settings_of(ExplainOptions(), ig) == ig.settings == MethodSettings(50, "blur")
    assert settings_of(ExplainOptions(steps=20, baseline="black", smoothgrad_samples=4), ig) == MethodSettings(
        20, "black", 4
    )


@pytest.mark.parametrize("name", METHODS)
def test_options_that_a_method_lacks_are_refused(name: str) -> None:
    method = METHODS[name]
    if method.steps is None:
        with pytest.raises(BadOption, match=f"steps is 3, and method {name} has none: leave it out"):
            settings_of(ExplainOptions(steps=3), method)
    else:
        for steps in (method.steps.minimum - 1, method.steps.maximum + 1):
            with pytest.raises(
                BadOption, match=rf"takes {method.steps.minimum} to {method.steps.maximum} \w+ \(default: \d+\)"
            ):
                settings_of(ExplainOptions().model_copy(update={"steps": steps}), method)
    if method.baseline is None:
        with pytest.raises(BadOption, match=f"baseline is 'blur', and method {name} has none"):
            settings_of(ExplainOptions(baseline="blur"), method)
    if method.baseline == TRAINING_IMAGES:
        with pytest.raises(BadOption, match=f"method {name} always compares with training images: leave it out"):
            settings_of(ExplainOptions(baseline="blur"), method)
    if not method.supports_smoothgrad:
        with pytest.raises(BadOption, match=f"smoothgrad_samples is 5, and method {name} does not use gradients"):
            settings_of(ExplainOptions(smoothgrad_samples=5), method)


def test_the_methods_own_is_taken_where_none_is_asked_for() -> None:
    chosen = method_of(ExplainOptions(), WORKS, REFUSED, "ixg")
    assert chosen is METHODS["ixg"]
    assert method_of(ExplainOptions(method="ig"), WORKS, REFUSED, "ixg") is METHODS["ig"]
    assert Explanations().method in METHODS


def test_a_method_that_is_wrong_for_the_network_is_refused_with_the_reason_and_the_others() -> None:
    with pytest.raises(
        BadOption, match=r"method gradcam needs a convolution, and .* on this model there are deeplift, "
    ) as e:
        method_of(ExplainOptions(method="gradcam"), WORKS, REFUSED, "ig")
    assert "gradcam," not in str(e.value)


def test_a_deadline_chooses_unless_a_method_is_named() -> None:
    assert method_of(ExplainOptions(deadline_ms=50), WORKS, REFUSED, "ig") is None
    assert method_of(ExplainOptions(deadline_ms=50, method="ixg"), WORKS, REFUSED, "ig") is METHODS["ixg"]


@pytest.mark.parametrize(
    "options", [ExplainOptions(steps=5), ExplainOptions(baseline="mean"), ExplainOptions(smoothgrad_samples=2)]
)
def test_settings_of_no_method_cannot_go_with_a_deadline(options: ExplainOptions) -> None:
    with pytest.raises(BadOption, match="beside a deadline that chooses the method: name the method too"):
        method_of(options.model_copy(update={"deadline_ms": 50}), WORKS, REFUSED, "ig")


def test_drawing_options_without_a_picture_are_refused() -> None:
    check_drawing_options(ExplainOptions(output="overlay", alpha=0.5, colormap="vik"))
    check_drawing_options(ExplainOptions(output="heatmap", colormap="vik"))
    with pytest.raises(BadOption, match=r"alpha is 0\.5, and output 'heatmap' has none: leave one of them out"):
        check_drawing_options(ExplainOptions(output="heatmap", alpha=0.5))
    with pytest.raises(BadOption, match="colormap is 'vik', and output 'npy' has none"):
        check_drawing_options(ExplainOptions(output="npy", colormap="vik"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (ExplainOptions(method="IG"), "method 'IG' does not exist: there is deeplift, kernelshap, occlusion"),
        (ExplainOptions(baseline="gray"), "baseline 'gray' does not exist: there is blur, mean"),
        (ExplainOptions(baseline=TRAINING_IMAGES), "baseline 'training_images' does not exist: there is blur, mean"),
        (ExplainOptions(colormap="jet"), "colormap 'jet' does not exist: there is rdbu"),
    ],
)
def test_a_choice_that_does_not_exist_is_refused_with_those_that_do(options: ExplainOptions, says: str) -> None:
    with pytest.raises(BadOption) as raised:
        check_choices(options)
    assert says in str(raised.value)


@pytest.mark.parametrize("options", [ExplainOptions(), ExplainOptions(method="ig", baseline="noise", colormap="rdbu")])
def test_choices_that_exist_pass(options: ExplainOptions) -> None:
    check_choices(options)
