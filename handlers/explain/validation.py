"""Checks of the options of an explanation against the model: target class, method and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from handlers.errors import BadOption
from handlers.explain.methods import baselines
from handlers.explain.methods.method import Method, MethodSettings
from handlers.explain.registry import METHODS
from handlers.explain.rendering import colormaps
from handlers.options import ExplainOptions
from models.card import Card


@dataclass(frozen=True, slots=True)
class Target:
    """The explained class.

    Attributes:
        source: predicted, requested or contrast.
        against: index of the class B of a contrast, "why A and not B".
    """

    index: int
    source: str
    against: int | None = None


def target_of(options: ExplainOptions, predicted: int, card: Card) -> Target:
    """Return the class to explain: the predicted class, or the requested one by label or by index.

    Raises:
        BadOption: the class does not exist, the contrast names one class twice, or the request has target and contrast.
    """
    if options.contrast is None:
        if options.target is None:
            return Target(predicted, "predicted")
        return Target(_class("target", options.target, card), "requested")
    if options.target is not None:
        raise BadOption(f"target {options.target!r:.60} beside a contrast, which has its own: leave one of them out")
    first, second = (_class("contrast", name, card) for name in options.contrast)
    if first == second:
        raise BadOption(f"contrast is of {card.classes[first]!r:.60} with itself: name two classes")
    return Target(first, "contrast", second)


def _class(option: str, name: str, card: Card) -> int:
    if name in card.classes:
        return card.classes.index(name)
    if name.isascii() and name.isdigit() and len(name) < 9 and int(name) < len(card.classes):
        return int(name)
    labels = ", ".join(card.classes[:20]) + (", ..." if len(card.classes) > 20 else "")
    raise BadOption(
        f"{option} {name!r:.60} does not exist: the labels are {labels}, the indices 0 to {len(card.classes) - 1}"
    )


def settings_of(options: ExplainOptions, method: Method) -> MethodSettings:
    """Return the settings of the method for a request.

    Raises:
        BadOption: the method does not have the setting, or not this value.
    """
    settings = method.settings
    if options.steps is not None:
        if method.steps is None:
            raise BadOption(f"steps is {options.steps}, and method {method.name} has none: leave it out")
        allowed = method.steps
        if not allowed.minimum <= options.steps <= allowed.maximum:
            raise BadOption(
                f"steps is {options.steps}: method {method.name} takes {allowed.minimum} to {allowed.maximum} "
                f"{allowed.unit} (default: {allowed.default})"
            )
        settings = replace(settings, steps=options.steps)
    if options.baseline is not None:
        if method.baseline is None:
            raise BadOption(f"baseline is {options.baseline!r}, and method {method.name} has none: leave it out")
        if method.baseline == baselines.TRAINING_IMAGES:
            raise BadOption(
                f"baseline is {options.baseline!r}, and method {method.name} always compares with training images: "
                "leave it out"
            )
        settings = replace(settings, baseline=options.baseline)
    if options.smoothgrad_samples:
        if not method.supports_smoothgrad:
            raise BadOption(
                f"smoothgrad_samples is {options.smoothgrad_samples}, and method {method.name} does not use gradients: "
                "leave it out"
            )
        settings = replace(settings, smoothgrad_samples=options.smoothgrad_samples)
    return settings


# Drawing options that do not apply to these outputs.
NOT_APPLICABLE = {"npy": ("alpha", "colormap"), "heatmap": ("alpha",)}


def check_drawing_options(options: ExplainOptions) -> None:
    """Check that drawing options apply to the output.

    Raises:
        BadOption: the output does not have the option.
    """
    for name in NOT_APPLICABLE.get(options.output or "", ()):
        if (value := getattr(options, name)) is not None:
            raise BadOption(f"{name} is {value!r}, and output {options.output!r} has none: leave one of them out")


# The values of options that this package defines.
CHOICES = {"method": tuple(METHODS), "baseline": baselines.NAMES, "colormap": colormaps.NAMES}


def check_choices(options: ExplainOptions) -> None:
    """Check that the method, the baseline and the colormap exist.

    Raises:
        BadOption: one of them does not exist; the message lists those that do.
    """
    for name, choices in CHOICES.items():
        if (value := getattr(options, name)) is not None and value not in choices:
            raise BadOption(f"{name} {value!r:.60} does not exist: there is {', '.join(choices)}")


def method_of(
    options: ExplainOptions, supported: Mapping[str, Method], unsupported: Mapping[str, str], default: str
) -> Method | None:
    """Return the requested method, or the default of the model; None if the deadline chooses the method.

    Args:
        supported: the methods that fit the network.
        unsupported: why the other methods do not fit.
        default: name of the model's default method.

    Raises:
        BadOption: the method does not fit the network, or the request has settings and a deadline but no method.
    """
    if options.method is None:
        if options.deadline_ms is None:
            return supported[default]
        for name, value in (
            ("steps", options.steps),
            ("baseline", options.baseline),
            ("smoothgrad_samples", options.smoothgrad_samples or None),
        ):
            if value is not None:
                raise BadOption(
                    f"{name} is {value!r} beside a deadline that chooses the method: name the method too, or leave "
                    f"{name} out"
                )
        return None
    if options.method in unsupported:
        raise BadOption(
            f"method {options.method} {unsupported[options.method]}; on this model there are {', '.join(supported)}"
        )
    return supported[options.method]
