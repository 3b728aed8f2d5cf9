"""What a request wants explained, and how: its options, checked against the model that has to answer them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from handlers.errors import BadOption
from handlers.explain.methods.method import Method, Settings
from handlers.options import Options
from models.card import Card


@dataclass(frozen=True, slots=True)
class Target:
    """The class that is explained, and the source of this choice.

    Attributes:
        source: predicted, requested or contrast.
        against: the class that a contrast sets it against.
    """

    index: int
    source: str
    against: int | None = None


def target_of(options: Options, predicted: int, card: Card) -> Target:
    """The class to explain: the predicted one, or those asked for by label or else by index.

    Raises:
        BadOption: the model has no such class; a contrast of a class with itself, or beside a target.
    """
    if options.contrast is None:
        if options.target is None:
            return Target(predicted, "predicted")
        return Target(_class("target", options.target, card), "requested")
    if options.target is not None:
        raise BadOption(f"target {options.target!r:.60} beside a contrast, which has its own: leave one of them out")
    first, second = (_class("contrast", one, card) for one in options.contrast)
    if first == second:
        raise BadOption(f"contrast is of {card.classes[first]!r:.60} with itself: name two classes")
    return Target(first, "contrast", second)


def _class(option: str, asked: str, card: Card) -> int:
    if asked in card.classes:
        return card.classes.index(asked)
    if asked.isascii() and asked.isdigit() and len(asked) < 9 and int(asked) < len(card.classes):
        return int(asked)
    labels = ", ".join(card.classes[:20]) + (", ..." if len(card.classes) > 20 else "")
    raise BadOption(
        f"{option} {asked!r:.60} does not exist: the labels are {labels}, the indices 0 to {len(card.classes) - 1}"
    )


def settings_of(options: Options, method: Method) -> Settings:
    """How the method is to be run.

    Raises:
        BadOption: it has no such setting, or not this value of it.
    """
    settings = method.settings
    if options.steps is not None:
        if method.steps is None:
            raise BadOption(f"steps is {options.steps}, and method {method.name} has none: leave it out")
        if not method.steps.least <= options.steps <= method.steps.most:
            raise BadOption(
                f"steps is {options.steps}: method {method.name} takes {method.steps.least} to {method.steps.most} "
                f"{method.steps.word} ({method.steps.default} unless asked)"
            )
        settings = replace(settings, steps=options.steps)
    if options.baseline is not None:
        if method.baseline is None:
            raise BadOption(f"baseline is {options.baseline!r}, and method {method.name} has none: leave it out")
        settings = replace(settings, baseline=options.baseline)
    if options.smoothgrad_samples:
        if not method.smooths:
            raise BadOption(
                f"smoothgrad_samples is {options.smoothgrad_samples}, and method {method.name} is not of gradients: "
                "leave it out"
            )
        settings = replace(settings, smoothgrad_samples=options.smoothgrad_samples)
    return settings


# Options of pictures, which these outputs do not have.
PICTURELESS = {"npy": ("alpha", "colormap"), "heatmap": ("alpha",)}


def check_picture(options: Options) -> None:
    """Whether the options of pictures go with the output.

    Raises:
        BadOption: one says how to draw what is not drawn.
    """
    for name in PICTURELESS.get(options.output or "", ()):
        if (value := getattr(options, name)) is not None:
            raise BadOption(f"{name} is {value!r}, and output {options.output!r} has none: leave one of them out")


def method_of(options: Options, works: Mapping[str, Method], refused: Mapping[str, str], default: str) -> Method | None:
    """The method that is asked for, or the model's own; None where the deadline is to choose.

    Args:
        works: the methods that are right for the network.
        refused: why the others are not.

    Raises:
        BadOption: it is wrong for the network, or settings without a method are to be met by a deadline.
    """
    if options.method is None:
        if options.deadline_ms is None:
            return works[default]
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
    if options.method in refused:
        raise BadOption(
            f"method {options.method} {refused[options.method]}; on this model there are {', '.join(works)}"
        )
    return works[options.method]
