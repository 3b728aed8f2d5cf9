"""Conclusions from the figures, in sentences."""

from __future__ import annotations

from training.explanations.default_method import choose
from training.explanations.figures import (
    HIGH_UNSIGNED,
    MAX_RANDOMIZATION,
    MIN_COMPLETENESS,
    ExplanationFigures,
    MethodFigures,
)

# With a smaller share of the evidence on the object, the model uses something else.
MIN_ON_OBJECT = 0.5


def conclusions(figures: ExplanationFigures) -> list[str]:
    """Return what users should know before they rely on the explanations of a release, most important first."""
    choice, any_passes = choose(figures), any(method.passes_checks for method in figures.methods)
    no_method = "no method passes the checks on this model: its maps have little to do with its predictions"
    return [
        *_on_object(figures),
        *([] if any_passes else [no_method]),
        f"the default is {choice.method.name}: {choice.reason}",
        _randomization(choice.method),
        *_failed_checks(figures),
        *(f"{name} does not fit this network: it {reason}" for name, reason in figures.unsupported.items()),
    ]


def _on_object(figures: ExplanationFigures) -> list[str]:
    relevance_mass = choose(figures).method.relevance_mass
    if relevance_mass is None or figures.object_share is None:
        return []
    chance = f"the object covers {figures.object_share:.0%} of the image"
    if relevance_mass.value < MIN_ON_OBJECT:
        return [
            f"the model looks elsewhere: {1 - relevance_mass.value:.0%} of the evidence lies outside the object "
            f"({chance}), so its predictions depend on something else, even if they are right"
        ]
    return [f"{relevance_mass.value:.0%} of the evidence lies on the object ({chance})"]


def _randomization(default: MethodFigures) -> str:
    """Say what the randomization test of the default method means with and without signs."""
    result = (
        f"maps of {default.name} have a rank correlation of {default.spearman:.2f} with those of networks with random "
        f"weights, and of {default.unsigned:.2f} without their signs"
    )
    if default.unsigned >= HIGH_UNSIGNED:
        return (
            f"{result}: how strong a map is at a place depends mostly on the image, so rely on its colors, and not on "
            "its strength alone"
        )
    return f"{result}: both the colors and the strength of a map depend on the network"


def _failed_checks(figures: ExplanationFigures) -> list[str]:
    """Name the methods that fail each check."""
    methods = figures.methods
    failures = {
        f"maps stay similar for networks with random weights (randomization test {MAX_RANDOMIZATION} or more)": [
            f"{method.name} ({method.randomization_test:.2f})"
            for method in methods
            if method.randomization_test >= MAX_RANDOMIZATION
        ],
        "not shown to be better than a random map": [
            method.name for method in methods if method.versus_random.low <= 0
        ],
        "not shown to be better than a map of the center, which does not depend on the model": [
            method.name for method in methods if method.versus_center.low <= 0
        ],
        f"complete for less than {MIN_COMPLETENESS:.0%} of the images; responses have a warning for the others": [
            f"{method.name} ({method.completeness:.0%})"
            for method in methods
            if method.completeness is not None and method.completeness < MIN_COMPLETENESS
        ],
    }
    return [f"{check}: {', '.join(names)}" for check, names in failures.items() if names]
