"""Conclusions from the figures, in sentences."""

from __future__ import annotations

from training.explanations.default_method import NOISE, choose
from training.explanations.figures import MAX_RANDOMIZATION, MIN_COMPLETENESS, ExplanationFigures

# With a smaller share of the evidence on the object, the model uses something else.
MIN_ON_OBJECT = 0.5


def conclusions(figures: ExplanationFigures) -> list[str]:
    """Return what users should know before they rely on the explanations of a release, most important first."""
    default, any_passes = choose(figures), any(method.passes_checks for method in figures.methods)
    no_method = "no method passes the checks on this model: its maps have little to do with its predictions"
    return [
        *_on_object(figures),
        *([] if any_passes else [no_method]),
        f"the default is {default.name}: {_reason(figures)}",
        *_failed_checks(figures),
        *(f"{name} does not fit this network: it {reason}" for name, reason in figures.unsupported.items()),
    ]


def _on_object(figures: ExplanationFigures) -> list[str]:
    relevance_mass = choose(figures).relevance_mass
    if relevance_mass is None or figures.object_share is None:
        return []
    chance = f"the object covers {figures.object_share:.0%} of the image"
    if relevance_mass.value < MIN_ON_OBJECT:
        return [
            f"the model looks elsewhere: {1 - relevance_mass.value:.0%} of the evidence lies outside the object "
            f"({chance}), so its predictions depend on something else, even if they are right"
        ]
    return [f"{relevance_mass.value:.0%} of the evidence lies on the object ({chance})"]


def _reason(figures: ExplanationFigures) -> str:
    default = choose(figures)
    candidates = [method for method in figures.methods if method.passes_checks] or figures.methods
    best = max(candidates, key=lambda method: method.gap.value)
    group = "the methods that pass the checks" if default.passes_checks else "all methods"
    if best == default:
        return f"its gap, {default.gap.value:.3f}, is the best of {group}"
    return (
        f"its gap, {default.gap.value:.3f}, is within {NOISE} of the best of {group} ({best.name}, "
        f"{best.gap.value:.3f}), and it needs fewer passes"
    )


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
